"""FrontierActor: hands out leases, settles outcomes, and ends the job when the work is done."""

import random
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs
from loguru import logger

from policies.failures import Failure
from scorewise_actors.board import JobBoard
from scorewise_actors.errors import HandlerBlockedLoop
from scorewise_actors.frontier import Frontier, MemoryFrontier, Swapped
from scorewise_actors.job import COMPLETED, Verdict
from scorewise_actors.messages.jobs import (
    AddRequests,
    CloseInput,
    Commit,
    Committed,
    Drain,
    Outcome,
    Renew,
    Restore,
    Restored,
    Returned,
    ScraperGone,
    StorageTrouble,
    Swap,
    Throttle,
)
from scorewise_actors.plan import JobPlan
from supervisors.actor import NO_REPLY
from supervisors.exits import ExitKind, ExitReason, end_actor
from supervisors.loop_watchdog import BLOCKED_LOOP
from supervisors.signals import Down, Signal, Timeout
from supervisors.spec import Ladder
from supervisors.thread_actor import ThreadActor

if TYPE_CHECKING:
    from supervisors.timer import Timer

_DUE = "due"
_PATROL = "patrol"
_PATROL_EVERY = 5.0
"""Seconds between two looks for leases that have run out."""
_STUCK = Ladder(stop=0.0)


class FrontierActor(ThreadActor):
    """A significant child: it ends normally, with the verdict as its value, and the job's supervisor stops the tree.

    Scrapers pull: each asks for a lease when it is free, and waits here while there is none. A scraper that dies gives
    its lease back at once, through the ``Down`` that the kernel sends; after its last outcome, if it sent one.
    """

    drains = True

    def __init__(self, plan: JobPlan, board: JobBoard) -> None:
        super().__init__()
        self._plan = plan
        self._board = board
        self._frontier: Frontier | None = None
        self._hungry: dict[str, int] = {}
        """Scrapers that wait for a lease, by holder name -> how many they want; in order of asking."""
        self._holders: dict[str, str] = {}
        """Holder name -> path of the scraper, for all that are watched."""
        self._limit: int | None = None
        self._storage_down = False
        self._timer: Timer | None = None
        self._patrolled = 0.0

    @property
    def frontier(self) -> Frontier:
        """The leases and queues."""
        assert self._frontier is not None
        return self._frontier

    def on_start(self) -> None:
        restored: Restored = self.runtime.ref(self._plan.checkpoint).ask(Restore(anew=True), timeout=60.0)
        self._storage_down = restored.storage_down
        config = self._plan.config
        now = time.monotonic()
        self._frontier = MemoryFrontier(
            restored.state,
            retry=config.retry,
            classifier=config.classifier,
            hosts=config.hosts,
            rng=random.Random(),  # noqa: S311 - jitter
            epoch=time.time() - now,
            now=now,
        )
        self._board.progress = self.frontier.progress()
        self._patrolled = time.monotonic()
        self.signal_at(self._patrolled + _PATROL_EVERY, Timeout(_PATROL))

    # ------------------------------------------------------------------------------------------ what comes in

    def on_receive(self, message: Any) -> Any:
        reply = None
        match message:
            case Swap(scraper, incarnation, completed, want):
                self._swap(scraper, incarnation, completed, want)
            case Renew(scraper, incarnation):
                self.frontier.renew(_holder(scraper, incarnation), time.monotonic())
                return None
            case ScraperGone(scraper, incarnation, reason):
                self._release(_holder(scraper, incarnation), reason)
            case Committed(items):
                self.frontier.committed(items)
            case AddRequests(requests):
                reply = self._add(requests)
            case CloseInput():
                self._board.end.input_closed.set()
            case Drain(outcome, reason):
                self._board.end.draining = reason or outcome
            case Throttle(limit):
                self._limit = limit
            case StorageTrouble(error):
                self._storage_down = error is not None
            case _:
                return super().on_receive(message)
        self._settle()
        return reply

    def on_signal(self, signal: Signal) -> None:
        match signal:
            case Down(path, incarnation, reason):
                self.ref.tell(ScraperGone(path, incarnation, reason))
            case Timeout(token) if token == _PATROL:
                self._patrol()
            case Timeout():
                self._timer = None
                self._settle()

    # ---------------------------------------------------------------------------------------------- settling

    def _add(self, requests: Iterable[Any]) -> Any:
        """Durable before it is acknowledged, also where all are known: their own commit may still be on its way."""
        count, commit = self.frontier.add(requests)
        future = self.hold_reply(outlives=True)
        self._tell_checkpoint((attrs.evolve(commit or Commit(()), acknowledge=future, answer=count),))
        return NO_REPLY if future is not None else count

    def _swap(self, scraper: str, incarnation: int, completed: Iterable[Any], want: int) -> None:
        holder = _holder(scraper, incarnation)
        actor = self.runtime.ref(scraper).actor
        living = actor is not None and actor.incarnation == incarnation
        if living and actor is not None and holder not in self._holders:
            self._holders[holder] = scraper
            actor.monitor(self._hear)
        if self._ending():
            completed = tuple(_blameless(outcome) for outcome in completed)
        self._carry_out(self.frontier.swap(holder, completed, 0, time.monotonic()))
        if want and living:  # the news of a death overtakes the last message of the dead
            self._hungry[holder] = self._hungry.get(holder, 0) + want

    def _hear(self, signal: Signal) -> None:
        """Any thread: pass the end of a scraper on to this actor."""
        if isinstance(signal, Down):
            self.signal(signal)

    def _release(self, holder: str, reason: ExitReason) -> None:
        self._hungry.pop(holder, None)
        self._holders.pop(holder, None)
        failure, alone = _blame(reason)
        if self._ending():
            alone = None
        self._carry_out(self.frontier.release(holder, str(reason), failure, alone, time.monotonic()))

    def _ending(self) -> bool:
        """The job has been told to stop, or its end is decided: what dies now is ended on purpose."""
        return self._board.end.begun

    def _settle(self) -> None:
        """After anything has changed: hand out what can be handed out, tell the world, end if all is done."""
        starved = self._feed()
        self._board.progress = self.frontier.progress()
        if self._board.end.draining is not None:
            if self.frontier.leased() == 0:
                self._end(Verdict("interrupted", reason=self._board.end.draining))
        elif self._board.end.input_closed.is_set() and self.frontier.idle():
            self._end(COMPLETED)
        self._wake_when_due(starved=starved)

    def _feed(self) -> bool:
        """Hand out leases. True if scrapers wait for nothing but a ready item."""
        if self._ending() or self._storage_down or self._stop_reason is not None:
            return False
        while self._hungry and (self._limit is None or self.frontier.leased() < self._limit):
            holder = next(iter(self._hungry))
            swapped = self.frontier.swap(holder, (), 1, time.monotonic())
            if not swapped.leases:
                return True
            self._hungry[holder] -= 1
            if not self._hungry[holder]:
                del self._hungry[holder]
            self.runtime.ref(self._holders[holder]).tell(swapped.leases[0])
        return False

    def _carry_out(self, swapped: Swapped) -> None:
        self._tell_checkpoint(swapped.commits)
        judge = self.runtime.ref(self._plan.judge)
        for seen in swapped.seen:
            judge.tell(seen)
        for news in swapped.hosts:
            logger.warning("job {}: {}", self._plan.job_id, news)

    def _tell_checkpoint(self, commits: Iterable[Any]) -> None:
        checkpoint = self.runtime.ref(self._plan.checkpoint)
        for commit in commits:
            checkpoint.tell(commit)

    def _wake_when_due(self, *, starved: bool) -> None:
        due = self.frontier.next_due() if starved else None  # else another event comes first, and settles again
        if self._timer is not None:
            if due is not None and self._timer.at <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self.signal_at(due, Timeout(_DUE))

    def _patrol(self) -> None:
        """End scrapers that hold a lease and are not heard of, whatever they are stuck in; that returns the lease."""
        now = time.monotonic()
        on_time = now - self._patrolled < 2 * _PATROL_EVERY  # else this very process stood still: nobody's fault
        self._patrolled = now
        for holder in self.frontier.expired(now):
            actor = self.runtime.ref(holder.rpartition("#")[0]).actor
            if not on_time:
                self.frontier.renew(holder, now)
            elif actor is None or _holder(actor.path, actor.incarnation) != holder:
                self._release(holder, ExitReason(ExitKind.NOPROC, "its scraper has ended"))
            else:
                logger.error("{} holds a lease that ran out and is ended", actor.path)
                self.frontier.renew(holder, now)  # the ladder takes its time, one is enough
                self.runtime.kill(actor, _STUCK, ExitReason(ExitKind.KILLED, "its lease ran out"))
        self._settle()
        self.signal_at(now + _PATROL_EVERY, Timeout(_PATROL))

    def _end(self, verdict: Verdict) -> None:
        end_actor(self._board.end.decide(verdict), verdict.outcome)


def _blameless(outcome: Outcome) -> Outcome:
    """Browsers that are killed to end the job are no evidence against the items in flight."""
    return attrs.evolve(outcome, alone=None) if isinstance(outcome, Returned) else outcome


def _holder(path: str, incarnation: int) -> str:
    return f"{path}#{incarnation}"


def _blame(reason: ExitReason) -> tuple[Failure | None, bool | None]:
    """Whether the death of a scraper is its item's fault (a failure of the item), its own (a crash), or nobody's."""
    if reason.error_type == BLOCKED_LOOP:
        return Failure(HandlerBlockedLoop.__name__, reason.error_text), None
    if not reason.abnormal:
        return None, None
    return None, reason.kind is not ExitKind.ABANDONED
