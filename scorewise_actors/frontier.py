"""Where work comes from: the contract of every frontier, and the one that lives in memory over the job's journal.

The contract is ``swap``: completed work for new work in one step, ``renew``: a holder is alive, and ``release``: it is
not. A lease runs out unless it is renewed, and carries a fencing token; a completion counts only with the newest token
of its item, so that a scraper which was given up for dead can never complete what somebody else is doing by now. No
actor, thread or clock in here.
"""

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import attrs

from policies.classify import FailureClassifier
from policies.failures import Failure, Stream
from policies.hosts import HostPolicy
from policies.retry import RetryAction, RetryBudget, RetryPolicy, RetryState
from policies.retry_after import retry_after_of
from policies.rules import Verdict as Classified
from scorewise_actors import ledger
from scorewise_actors.checkpoints.ops import Op
from scorewise_actors.host_parking import LONGEST_PAUSE, HostNews, HostParking
from scorewise_actors.job import DeadLetter, Progress, Request
from scorewise_actors.ledger import Tries
from scorewise_actors.messages.jobs import Commit, Failed, Lease, Outcome, OutcomeSeen, Returned, Scraped
from scorewise_actors.page_url import place_of
from scorewise_actors.redaction import redact_text

LEASE_SECONDS = 30.0
"""How long a lease is good for without being renewed."""
POISON_CRASHES = 3
"""Crashes of an item's own page, or of its scraper, after which it is a dead letter."""
POISON_SHARED = 6
"""Deaths of a browser or driver with the item in flight after which it is one, whoever was to blame."""


@attrs.frozen
class Swapped:
    """What came of a swap."""

    leases: tuple[Lease, ...] = ()
    commits: tuple[Commit, ...] = ()
    """To be made durable, in this order."""
    seen: tuple[OutcomeSeen, ...] = ()
    """For the judge."""
    hosts: tuple[HostNews, ...] = ()
    """For the log."""


class Frontier(Protocol):
    """What the FrontierActor needs; a frontier for many machines keeps the same contract."""

    def add(self, requests: Iterable[Request]) -> tuple[int, Commit | None]:
        """Take new items; those known by their unique key are left out. Answers how many were new."""
        ...

    def swap(self, holder: str, completed: Iterable[Outcome], want: int, now: float) -> Swapped:
        """Completed work for at most ``want`` new leases."""
        ...

    def release(self, holder: str, why: str, failure: Failure | None, alone: bool | None, now: float) -> Swapped:
        """The holder died: its leases return, or fail with ``failure`` if it is known to be their fault. ``alone``:
        the item crashed its own scraper (True), died with others (False), or nothing is to blame (None).
        """
        ...

    def renew(self, holder: str, now: float) -> None:
        """The holder lives: its leases are good for another ``LEASE_SECONDS``."""
        ...

    def expired(self, now: float) -> frozenset[str]:
        """Holders of leases that have run out."""
        ...

    def committed(self, items: Iterable[int]) -> None:
        """These outcomes are durable: only now do they count."""
        ...

    def next_due(self) -> float | None:
        """When a delayed item, or one of a host that is left alone, becomes ready: monotonic seconds."""
        ...

    def idle(self) -> bool:
        """No item is waiting, delayed, leased or on its way to the journal."""
        ...

    def leased(self) -> int:
        """How many leases are out, or on their way to the journal."""
        ...

    def progress(self) -> Progress:
        """The counts."""
        ...


class MemoryFrontier:
    """The frontier of one machine."""

    def __init__(
        self,
        state: Mapping[str, Any],
        *,
        retry: RetryPolicy,
        classifier: FailureClassifier,
        hosts: HostPolicy,
        rng: random.Random,
        epoch: float,
        now: float,
    ) -> None:
        """``state`` is the journal's; ``epoch`` is now in epoch seconds minus ``now`` in monotonic seconds."""
        self._retry = retry
        self._classifier = classifier
        self._rng = rng
        self._epoch = epoch
        self._budget = RetryBudget()
        self._requests = ledger.requests_of(state)
        self._known = {request.unique_key for request in self._requests}
        self._tries = ledger.tries_of(state)
        self._recorded = set(self._tries)
        counted = ledger.audit(state)
        self._done, self._dead = counted.done, len(counted.dead)
        self._resumed = self._done + self._dead
        fresh = sorted(counted.pending)
        self._fresh: deque[int] = deque(item for item in fresh if item not in self._tries)
        self._again: deque[int] = deque(item for item in fresh if item in self._tries)
        self._delayed: list[tuple[float, int]] = []
        self._hosts = HostParking(hosts, rng=rng, epoch=epoch, now=now, kept=state.get("hosts", {}))
        for item in fresh:
            self._hosts.enqueued(self._place(item))
        self._leases: dict[int, tuple[Lease, str]] = {}
        self._renewed: dict[str, float] = {}
        """When each holder was last heard of, monotonic seconds."""
        self._tokens = itertools.count(1)
        self._committing: dict[int, str] = {}
        self._retries = 0
        self._failures: Counter[str] = Counter()
        self._refused: set[int] = set()
        self._between: dict[int, RetryState] = {}
        """For items without an outcome: when this run first began them, and the latest wait."""

    # ----------------------------------------------------------------------------------------------- the contract

    def add(self, requests: Iterable[Request]) -> tuple[int, Commit | None]:
        new = []
        for request in requests:
            if request.unique_key not in self._known:
                self._known.add(request.unique_key)
                new.append(request)
        if not new:
            return 0, None
        first = len(self._requests)
        self._requests += new
        for request in new:
            self._hosts.enqueued(place_of(request.url))
        self._fresh.extend(range(first, len(self._requests)))
        return len(new), Commit((ledger.enqueued(new),))

    def swap(self, holder: str, completed: Iterable[Outcome], want: int, now: float) -> Swapped:
        commits: list[Commit] = []
        seen: list[OutcomeSeen] = []
        self._renewed[holder] = now
        for outcome in completed:
            lease, _ = self._leases.get(outcome.item, (None, ""))
            if lease is None or lease.token != outcome.token:
                continue  # fenced: somebody else holds or has finished the item
            del self._leases[outcome.item]
            match outcome:
                case Scraped(item, _, results, found):
                    commits.append(self._finish(item, results, found, now))
                    seen.append(OutcomeSeen(False, Stream.INFRA))
                case Failed(item, _, failure):
                    self._fail(item, failure, now, commits, seen)
                case Returned(item, _, why, alone):
                    self._give_back(item, why, alone, now, commits, seen)
        leases: list[Lease] = []
        while len(leases) < want and (ready := self._next(now)) is not None:
            leases.append(self._lease(ready, holder, now))
        return Swapped(tuple(leases), tuple(commits), tuple(seen), self._hosts.news())

    def release(self, holder: str, why: str, failure: Failure | None, alone: bool | None, now: float) -> Swapped:
        commits: list[Commit] = []
        seen: list[OutcomeSeen] = []
        self._renewed.pop(holder, None)
        for item in [item for item, (_, by) in self._leases.items() if by == holder]:
            del self._leases[item]
            if failure is not None:
                self._fail(item, failure, now, commits, seen)
            else:
                self._give_back(item, why, alone, now, commits, seen)
        return Swapped((), tuple(commits), tuple(seen), self._hosts.news())

    def renew(self, holder: str, now: float) -> None:
        if holder in self._renewed:
            self._renewed[holder] = now

    def expired(self, now: float) -> frozenset[str]:
        holders = {holder for _, holder in self._leases.values()}
        return frozenset(holder for holder in holders if now - self._renewed[holder] > LEASE_SECONDS)

    def committed(self, items: Iterable[int]) -> None:
        for item in items:
            status = self._committing.pop(item, None)
            if status == ledger.DONE:
                self._done += 1
            elif status == ledger.DEAD:
                self._dead += 1

    def next_due(self) -> float | None:
        delayed = self._delayed[0][0] if self._delayed else None
        held = self._hosts.next_due(self._busy()) if self._hosts.waiting() else None
        return min((due for due in (delayed, held) if due is not None), default=None)

    def idle(self) -> bool:
        waiting = self._fresh or self._again or self._delayed or self._hosts.waiting()
        return not (waiting or self._leases or self._committing)

    def leased(self) -> int:
        return len(self._leases) + len(self._committing)

    def progress(self) -> Progress:
        return Progress(
            enqueued=len(self._requests),
            done=self._done,
            dead=self._dead,
            in_flight=len(self._leases),
            waiting=len(self._fresh) + len(self._again),
            delayed=len(self._delayed) + self._hosts.waiting(),
            retries=self._retries,
            failures=dict(self._failures),
            resumed=self._resumed,
        )

    # ------------------------------------------------------------------------------------------------- handing out

    def _next(self, now: float) -> int | None:
        """The item to begin now, out of its queue."""
        while self._delayed and self._delayed[0][0] <= now:
            self._again.append(heapq.heappop(self._delayed)[1])
        hosts = self._hosts
        busy = frozenset() if hosts.calm else self._busy()
        item = hosts.due(now, busy)
        if item is not None:
            return item
        for queue in (self._again, self._fresh):  # an item is finished before the next one is begun
            while queue:
                item = queue.popleft()
                if hosts.calm or hosts.admits(self._place(item), now, busy):
                    return item
                hosts.hold(self._place(item), item)
        return hosts.probe(now, busy)

    def _busy(self) -> frozenset[str]:
        """The hosts with an item under way."""
        return frozenset(place_of(lease.request.url) for lease, _ in self._leases.values())

    def _place(self, item: int) -> str:
        return place_of(self._requests[item].url)

    def _lease(self, item: int, holder: str, now: float) -> Lease:
        tries = self._tries.get(item, Tries())
        if tries.attempts == 0:
            self._budget = self._budget.deposit()
        self._between.setdefault(item, RetryState(started=now))
        lease = Lease(item, next(self._tokens), self._requests[item], tries.attempts + 1)
        self._leases[item] = (lease, holder)
        return lease

    # --------------------------------------------------------------------------------------------------- outcomes

    def _finish(self, item: int, results: Iterable[str], found: Iterable[Request], now: float) -> Commit:
        tries = self._tries.pop(item, Tries())
        ops: list[Op] = [ledger.done(item, tries.attempts + 1, results)]
        _, added = self.add(found)
        if added is not None:
            ops += added.ops
        ops += self._hosts.outcome(self._place(item), False, Stream.INFRA, now)
        return self._close(item, ledger.DONE, ops)

    def _close(self, item: int, status: str, ops: list[Op]) -> Commit:
        if item in self._recorded:
            self._recorded.discard(item)
            ops.append(ledger.forget_tries(item))
        self._refused.discard(item)
        self._between.pop(item, None)
        self._hosts.closed(self._place(item))
        self._committing[item] = status
        return Commit(tuple(ops), (item,))

    def _fail(self, item: int, failure: Failure, now: float, commits: list[Commit], seen: list[OutcomeSeen]) -> None:
        before = self._tries.get(item, Tries())
        self._tries[item] = tries = attrs.evolve(before, attempts=before.attempts + 1)
        classified = self._classifier.classify(failure)
        kind = f"{classified.category.value}/{failure.type}"
        self._failures[kind] += 1
        retry_after = retry_after_of(failure.headers, now_epoch=now + self._epoch)
        between = attrs.evolve(self._between[item], attempts=tries.attempts)
        decision = self._policy(item).decide(
            between,
            classified,
            now=now,
            rng=self._rng,
            retry_after=retry_after,
            budget=self._budget if self._fresh else None,
        )
        if decision.action is RetryAction.GIVE_UP:
            letter = self._letter(item, tries.attempts, failure, classified, decision.reason)
            final = OutcomeSeen(True, classified.stream, self._located(item, failure), classified)
            commits.append(self._bury(item, letter, final.stream, now))
            seen.append(final)
            return
        host = self._place(item)
        stands_for_the_outcome = self._hosts.probed(host)
        if decision.action is RetryAction.DEFER:
            self._tries[item] = before
            if decision.reason == "retry_after":
                pause = min(decision.delay, LONGEST_PAUSE)
                decision = attrs.evolve(decision, delay=pause)
                commits.append(Commit(self._hosts.asked(host, pause, now)))
                stands_for_the_outcome = False
            elif item not in self._refused:
                # the retry budget is used up: this try has to stand for the outcome, or an outage would stay unseen
                self._refused.add(item)
                stands_for_the_outcome = True
                seen.append(OutcomeSeen(True, classified.stream, self._located(item, failure), classified))
        else:
            self._budget = self._budget.withdraw()[1]
            self._retries += 1
            self._between[item] = between.after(decision)
            commits.append(self._remember(item))
        if stands_for_the_outcome and (ops := self._hosts.outcome(host, True, classified.stream, now)):
            commits.append(Commit(ops))
        heapq.heappush(self._delayed, (now + decision.delay, item))

    def _give_back(  # noqa: PLR0917 - private, and called in two places
        self, item: int, why: str, alone: bool | None, now: float, commits: list[Commit], seen: list[OutcomeSeen]
    ) -> None:
        if alone is None:
            self._again.append(item)
            return
        tries = self._tries.get(item, Tries())
        if alone:
            tries = attrs.evolve(tries, crashes=tries.crashes + 1)
        else:
            tries = attrs.evolve(tries, shared=tries.shared + 1)
        self._tries[item] = tries
        if tries.crashes < POISON_CRASHES and tries.shared < POISON_SHARED:
            # once in the wrong place is chance; after that the others go first, so that they are through if it is not
            (self._again if tries.crashes + tries.shared == 1 else self._fresh).append(item)
            commits.append(self._remember(item))
            return
        crashes = tries.crashes + tries.shared
        message = redact_text(f"given up after {crashes} crashes while it was being scraped, the last: {why}")
        request = self._requests[item]
        letter = DeadLetter(
            request.url, request.unique_key, tries.attempts, "PoisonItem", "browser", message, "poison limit"
        )
        commits.append(self._bury(item, letter, Stream.INFRA, now))
        seen.append(OutcomeSeen(True, Stream.INFRA, Failure("PoisonItem", message, url=request.url, page_crashed=True)))

    def _located(self, item: int, failure: Failure) -> Failure:
        return attrs.evolve(failure, url=failure.url or self._requests[item].url)

    def _bury(self, item: int, letter: DeadLetter, stream: Stream, now: float) -> Commit:
        self._tries.pop(item, None)
        ops = [ledger.dead(item, letter), *self._hosts.outcome(self._place(item), True, stream, now)]
        return self._close(item, ledger.DEAD, ops)

    def _remember(self, item: int) -> Commit:
        self._recorded.add(item)
        return Commit((ledger.tried(item, self._tries[item]),))

    def _policy(self, item: int) -> RetryPolicy:
        retries = self._requests[item].max_retries
        return self._retry if retries is None else attrs.evolve(self._retry, max_attempts=retries + 1)

    def _letter(self, item: int, attempts: int, failure: Failure, classified: Classified, reason: str) -> DeadLetter:
        request = self._requests[item]
        lines = failure.message.strip().splitlines() or [failure.type]
        return DeadLetter(
            url=request.url,
            unique_key=request.unique_key,
            attempts=attempts,
            error_type=failure.type,
            category=classified.category.value,
            message=redact_text(lines[0])[:300],
            rule=f"{classified.rule_id}: {reason}",
        )
