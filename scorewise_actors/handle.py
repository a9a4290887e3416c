"""JobHandle: a running job as its submitter sees it."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pykka
from loguru import logger

from scorewise_actors import ledger
from scorewise_actors.actors.checkpoint import NotRecorded
from scorewise_actors.actors.scrape import cancel_pages
from scorewise_actors.board import JobBoard
from scorewise_actors.browser.errors import BrowserNotFound, DidNotStart
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.checkpoints.values import decode, encode
from scorewise_actors.durable_results import DurableResults
from scorewise_actors.errors import CannotStartError, ExitCode, JobFailedError
from scorewise_actors.job import JobReport, Progress, Request, Verdict, check_requests
from scorewise_actors.messages.jobs import AddRequests, CloseInput, Drain
from scorewise_actors.plan import JobPlan
from scorewise_actors.roles import ROOT, role_of
from scorewise_actors.tree import drivers_spec, job_spec
from supervisors.children import start_child, terminate_child
from supervisors.core.transitions import SupervisorError
from supervisors.events import Event, Restarting
from supervisors.future import ReplyFuture
from supervisors.runtime import Runtime
from supervisors.signals import Down, Signal
from supervisors.spec import ChildSpec

_START_TIMEOUT = 300.0
_STARTS = 3
"""A browser or driver that dies while the tree comes up takes the whole start back (OTP: init rolls back)."""
_ADD_TIMEOUT = 120.0
_TICK = 0.5

_EXIT_CODES = {
    "completed": ExitCode.DONE,
    "aborted": ExitCode.ABORTED,
    "interrupted": ExitCode.INTERRUPTED,
    "storage": ExitCode.STORAGE,
    "failed": ExitCode.FAILED,
}


class JobHandle:
    """Made by ``ActorSystem.open_job`` and ``submit``. Methods that are no coroutines may be called from any thread."""

    def __init__(self, runtime: Runtime, plan: JobPlan, board: JobBoard) -> None:
        self._runtime = runtime
        self._plan = plan
        self._board = board
        self._down = ReplyFuture()
        self._lock = threading.Lock()
        self._beginning = threading.Lock()
        self._idle = False
        """Drivers and browsers have not been started, as there was nothing to do."""
        self._acknowledged = 0
        self._restarts: Counter[str] = Counter()
        self._unsubscribe: Callable[[], None] = runtime.subscribe(self._count, ("restarting",))
        self._seconds = 0.0

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self._plan.job_id

    @property
    def ended(self) -> bool:
        """True once the job's tree has ended."""
        return self._down.done()

    @property
    def seconds(self) -> float:
        """Since the run began; the whole run once it has ended."""
        return self._seconds or time.monotonic() - self._board.began

    @property
    def restarts(self) -> Counter[str]:
        """Restarts in this run by role: ``driver``, ``browser``, ``scrape``, ``checkpoint`` ..."""
        with self._lock:
            return Counter(self._restarts)

    @property
    def path(self) -> str:
        """Path of the job's supervisor in the tree."""
        return self._plan.path

    @property
    def recorded(self) -> DurableResults:
        """The outcomes that are durable, for readers that keep a position of their own."""
        return self._board.results

    def progress(self) -> Progress:
        """Where the job stands."""
        return self._board.progress

    # ------------------------------------------------------------------------------------------------------ input

    def add(self, requests: Iterable[Request | str]) -> int:
        """Add items; blocks until they are durable. Answers how many were new.

        Raises ``ConfigurationError`` or ``CheckpointNotSerializable`` for a bad one (none is added then) and
        ``JobFailedError`` if the job has ended. The first new item of a job that was complete brings up browsers, and
        raises what ``ActorSystem.open_job`` raises about them.
        """
        check_requests(requests)
        batch = tuple(Request.of(request) for request in requests)
        for request in batch:
            encode(dict(request.user_data))
        frontier = self._runtime.ref(self._plan.frontier)
        until = time.monotonic() + _ADD_TIMEOUT
        while True:
            try:
                count = int(frontier.ask(AddRequests(batch), timeout=_ADD_TIMEOUT))
            except (pykka.ActorDeadError, pykka.Timeout, NotRecorded):
                # an actor is being restarted; known keys are left out, so giving twice is harmless
                if self._down_within(_TICK) or time.monotonic() > until:
                    break
            else:
                with self._lock:
                    self._acknowledged += count
                if count:
                    self._begin_work()
                return count
        raise JobFailedError(f"job {self.job_id!r} has ended and takes no more requests: {self._end_text()}")

    def close_input(self) -> None:
        """No more items will be added from outside: the job completes when nothing is left."""
        self._board.end.input_closed.set()
        self._runtime.ref(self._plan.frontier).tell(CloseInput())

    # ------------------------------------------------------------------------------------------------------ results

    async def results(self, *, from_start: bool = False) -> AsyncIterator[Any]:
        """The pushed values, each as soon as it is durable, until the job ends. ``from_start``: with those that
        earlier runs of the job left.
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        forget = self._board.results.listen(wake)
        position = 0 if from_start else self._board.results.first_of_run
        try:
            while True:
                changed.clear()
                closed = self._board.results.closed
                outcomes = self._board.results.after(position)
                position += len(outcomes)
                for value in values_of(outcomes):
                    yield value
                if not outcomes:
                    if closed:
                        return
                    await changed.wait()
        finally:
            forget()

    def iter_results(self, *, from_start: bool = False) -> Iterator[Any]:
        """``results`` for programs without an event loop; blocks while it waits."""
        results = self._board.results
        position = 0 if from_start else results.first_of_run
        while results.wait(position):
            outcomes = results.after(position)
            position += len(outcomes)
            yield from values_of(outcomes)

    # ------------------------------------------------------------------------------------------------------ the end

    def drain(self, reason: str = "asked to stop") -> None:
        """Hand out nothing more; the job ends as interrupted when the pages in hand are done. Returns at once."""
        self._board.end.draining = reason
        self._runtime.ref(self._plan.frontier).tell(Drain("interrupted", reason))

    def abort(self, reason: str, rule: str = "by request") -> None:
        """``drain``, but the job ends as aborted, with this rule and reason in its verdict and the exit code 4."""
        self._board.end.decide(Verdict("aborted", rule, reason))
        self.drain(reason)

    def stop(self, reason: str = "asked to stop") -> JobReport:
        """Drain, and after ``drain_timeout`` stop the tree whatever is in hand; blocks until it has ended."""
        self.drain(reason)
        if not self._down_within(self._plan.config.drain_timeout):
            self._board.end.decide(Verdict("interrupted", reason=reason))
            terminate_child(self._runtime.ref(ROOT), self._plan.name)
            cancel_pages(self._runtime, self._plan.path, reason)
        return self.wait()

    async def report(self) -> JobReport:
        """Wait for the end of the job."""
        await self._down
        return await asyncio.to_thread(self._report)

    def wait(self, timeout: float | None = None) -> JobReport:
        """``report`` for programs without an event loop. Raises ``pykka.Timeout``."""
        self._down.get(timeout=timeout)
        return self._report()

    # ------------------------------------------------------------------------------------------------------ inside

    def launch(self, *, idle: bool = False) -> None:
        """Start the tree; called once, by the system. ``idle``: all items that are known have their outcome, so that
        drivers and browsers wait until ``add`` brings a new one. Raises ``JobFailedError``.
        """
        self._idle = idle
        try:
            self._start(ROOT, job_spec(self._plan, self._board, idle=idle))
        except JobFailedError:
            terminate_child(self._runtime.ref(ROOT), self._plan.name)  # it may still be coming up
            self._unsubscribe()
            self._board.results.close()
            if self._board.first_journal is not None:
                self._board.first_journal.close()
            raise
        self._runtime.ref(self._plan.path).monitor(self._hear)

    def _begin_work(self) -> None:
        """There is something to do: bring up drivers and browsers if that has been put off. A job that cannot have
        them ends.
        """
        with self._beginning:
            if not self._idle:
                return
            try:
                find_executable(self._plan.config.browser.executable)
                self._start(self._plan.path, drivers_spec(self._plan))
            except (BrowserNotFound, JobFailedError) as error:
                self._board.end.decide(Verdict("failed", reason=str(error).splitlines()[0]))
                terminate_child(self._runtime.ref(ROOT), self._plan.name)
                raise
            self._idle = False

    def _start(self, supervisor: str, spec: ChildSpec) -> None:
        for left in reversed(range(_STARTS)):
            try:
                start_child(self._runtime.ref(supervisor), spec).get(timeout=_START_TIMEOUT)
            except Exception as error:
                reason = error.reason.root if isinstance(error, SupervisorError) and error.reason is not None else None
                if reason is not None and reason.error_type == DidNotStart.__name__:
                    raise CannotStartError(
                        f"job {self.job_id!r} cannot start: {reason.error_text}; 'scorewise doctor' looks for the cause"
                    ) from error
                if not left or not isinstance(error, SupervisorError):
                    raise JobFailedError(f"job {self.job_id!r} could not be started: {error}") from error
                logger.warning("job {} did not start, once more: {}", self.job_id, error)
            else:
                return

    def system_stops(self, reason: str) -> None:
        """The whole system is being stopped: a job that runs ends as interrupted."""
        if not self.ended:
            self._board.end.decide(Verdict("interrupted", reason=reason))

    def _hear(self, signal: Signal) -> None:
        if isinstance(signal, Down):
            self._seconds = time.monotonic() - self._board.began
            if signal.reason.abnormal:
                self._board.end.decide(Verdict("failed", signal.reason.kind.value, str(signal.reason.root)))
            self._unsubscribe()
            self._board.results.close()
            self._down.offer(signal.reason)

    def _count(self, event: Event) -> None:
        if isinstance(event, Restarting) and event.path.startswith(f"{self._plan.path}/"):
            with self._lock:
                self._restarts[role_of(event.path)] += 1

    def _down_within(self, seconds: float) -> bool:
        try:
            self._down.get(timeout=seconds)
        except pykka.Timeout:
            return False
        return True

    def _end_text(self) -> str:
        verdict = self._board.end.verdict
        return verdict.reason or verdict.outcome if verdict is not None else "its tree gave up"

    def _report(self) -> JobReport:
        remains = self._board.remains
        counted = ledger.audit(remains if remains is not None else self._plan.store.read(self.job_id)[0])
        progress = self._board.progress
        verdict = self._board.end.verdict or Verdict("interrupted", reason="its tree was stopped")
        pending = len(counted.pending)
        # what a completed job left undone, or was acknowledged and is not in the journal, is lost
        lost = counted.unknown + max(0, self._acknowledged - counted.enqueued)
        if verdict.outcome == "completed":
            lost, pending = lost + pending, 0
        code = _EXIT_CODES[verdict.outcome]
        if code is ExitCode.DONE and counted.dead:
            code = ExitCode.DEAD_LETTERS
        if lost or counted.recorded_twice:
            logger.critical(
                "the ledger of job {} does not balance: {} lost, {} twice", self.job_id, lost, counted.recorded_twice
            )
            code = ExitCode.ERROR
        return JobReport(
            job_id=self.job_id,
            verdict=verdict,
            exit_code=code,
            enqueued=counted.enqueued,
            done=counted.done,
            dead_lettered=len(counted.dead),
            pending=pending,
            lost=lost,
            recorded_twice=counted.recorded_twice,
            results=counted.results,
            restarts=self.restarts.total(),
            restarts_by_actor=dict(self.restarts),
            retries=progress.retries,
            resumed=progress.resumed,
            seconds=self._seconds,
            dead_letters=counted.dead,
            storage=str(self._plan.store.directory(self.job_id)),
        )


def values_of(outcomes: Iterable[list[Any]]) -> Iterator[Any]:
    """The pushed values among journal outcomes, decoded, in order."""
    for _, status, _, content in outcomes:
        if status == ledger.DONE:
            for text in content:
                yield decode(text.encode("utf-8", "surrogatepass"))
