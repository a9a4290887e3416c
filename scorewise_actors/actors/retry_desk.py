"""RetryDesk: what all retries of a tree share - policies by name, budgets, and the slots of later tries."""

from collections import deque
from typing import TYPE_CHECKING, Any

from policies import named
from policies.retry import RetryBudget
from scorewise_actors.actors.tracked import TrackedActor
from scorewise_actors.events import EventHub
from scorewise_actors.resilience_memory import RetryMemory, defined
from scorewise_actors.resilience_messages import DefinePolicy, FreeSlots, TakeSlot, Withdraw
from supervisors.actor import NO_REPLY

if TYPE_CHECKING:
    from supervisors.future import ReplyFuture

ANSWERS_KEPT = 1000


class RetryDesk(TrackedActor):
    """Permanent. An operation that succeeds at once never talks to it."""

    component = "retry"

    def __init__(self, events: EventHub, memory: RetryMemory) -> None:
        super().__init__(events)
        self._memory = memory
        self._waiting: dict[str, deque[tuple[TakeSlot, ReplyFuture]]] = {}

    def handle(self, message: Any) -> Any:
        match message:
            case DefinePolicy(name, policy):
                taken = frozenset(named.names("retry"))
                chosen, self._memory.policies = defined(self._memory.policies, name, policy, taken)
                return chosen
            case TakeSlot(account):
                asker = self.hold_reply()
                if asker is not None:
                    self._waiting.setdefault(account, deque()).append((message, asker))
                self._hand_out(account)
                return NO_REPLY
            case FreeSlots(account):
                self._hand_out(account)
                return None
            case Withdraw():
                return self._withdraw(message)
        return super().handle(message)

    def _hand_out(self, account: str) -> None:
        held = [slot for slot in self._memory.held.get(account, ()) if not slot.freed]
        waiting = self._waiting.get(account, deque())
        while waiting and (waiting[0][0].slot.freed or len(held) < waiting[0][0].limit):
            wanted, asker = waiting.popleft()
            if not wanted.slot.freed:
                if wanted.slot not in held:  # the answer to it may have been lost
                    held.append(wanted.slot)
                asker.offer(value=True)
        self._memory.held[account] = held
        if not held:
            del self._memory.held[account]
        if not waiting:
            self._waiting.pop(account, None)

    def _withdraw(self, wish: Withdraw) -> bool:
        if wish.id in self._memory.answered:
            return self._memory.answered[wish.id]
        budget = self._memory.budgets.get(wish.account) or RetryBudget()
        new = wish.first_tries - self._memory.counted.get(wish.account, 0)
        # deposits beyond a full bucket change nothing
        for _ in range(min(new, int(budget.capacity / max(budget.ratio, 0.001)) + 1)):
            budget = budget.deposit()
        granted, budget = budget.withdraw()
        self._memory.budgets[wish.account] = budget
        self._memory.counted[wish.account] = max(wish.first_tries, self._memory.counted.get(wish.account, 0))
        granted = granted or wish.refused_at == wish.first_tries
        self._memory.answered[wish.id] = granted
        while len(self._memory.answered) > ANSWERS_KEPT:
            self._memory.answered.popitem(last=False)
        return granted
