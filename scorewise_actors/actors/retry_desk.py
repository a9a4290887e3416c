"""RetryDesk: what all retries of a tree share - policies by name, budgets, and the slots of later tries."""

from collections import deque
from typing import TYPE_CHECKING, Any

from scorewise_actors.actors.tracked import TrackedActor
from scorewise_actors.events import EventHub
from scorewise_actors.messages.resilience import DefinePolicy, FreeSlots, TakeSlot, Withdraw
from scorewise_actors.resilience_memory import RetryAccount, RetryMemory, remembered
from supervisors.actor import NO_REPLY

if TYPE_CHECKING:
    from supervisors.future import ReplyFuture

ANSWERS_KEPT = 1000


class RetryDesk(TrackedActor):
    """Permanent. An operation that succeeds at once never talks to it. Whoever waits for a slot when it ends asks the
    next incarnation: the kernel answers for it.
    """

    component = "retry"

    def __init__(self, events: EventHub, memory: RetryMemory) -> None:
        super().__init__(events)
        self._memory = memory
        self._waiting: dict[str, deque[tuple[TakeSlot, ReplyFuture]]] = {}

    def handle(self, message: Any) -> Any:
        match message:
            case DefinePolicy(name, policy):
                chosen, self._memory.book = self._memory.book.with_new("retry", name, policy)
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

    def _account(self, name: str) -> RetryAccount:
        account: RetryAccount = remembered(self._memory.accounts, name, RetryAccount)
        return account

    def _hand_out(self, name: str) -> None:
        account = self._account(name)
        held = [slot for slot in account.held if not slot.freed]
        waiting = self._waiting.get(name, deque())
        granted = []
        while waiting and (waiting[0][0].slot.freed or len(held) < waiting[0][0].limit):
            wanted, asker = waiting.popleft()
            if not wanted.slot.freed:
                if wanted.slot not in held:  # the answer to it may have been lost
                    held.append(wanted.slot)
                granted.append(asker)
        account.held = held
        for asker in granted:  # only now: whoever has a slot must be known to the next incarnation
            asker.offer(value=True)
        if not waiting:
            self._waiting.pop(name, None)

    def _withdraw(self, wish: Withdraw) -> bool:
        account = self._account(wish.account)
        if wish.id in account.answered:
            return account.answered[wish.id]
        budget = account.budget
        full = int(budget.capacity / max(budget.ratio, 0.001)) + 1  # deposits beyond a full bucket change nothing
        for _ in range(min(wish.first_tries - account.counted, full)):
            budget = budget.deposit()
        granted, account.budget = budget.withdraw()
        account.counted = max(wish.first_tries, account.counted)
        granted = granted or wish.refused_at == wish.first_tries
        account.answered[wish.id] = granted
        while len(account.answered) > ANSWERS_KEPT:
            account.answered.popitem(last=False)
        return granted
