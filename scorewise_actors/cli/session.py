"""One run of a job from its opening to its end: feeds it, exports its results, shows progress, heeds interrupts.

The loop runs in the main thread, where signals arrive, and never blocks for long; what may block has its own threads.
"""

import time
from collections.abc import Callable, Sequence

import attrs

from scorewise_actors.browser.errors import BrowserNotFound
from scorewise_actors.checkpoints import CheckpointError
from scorewise_actors.cli.interrupt import Interrupted, Interrupts, in_background
from scorewise_actors.cli.logs import log_restarts
from scorewise_actors.cli.progress import Display, Pace, Snapshot
from scorewise_actors.cli.tree_state import tree_state
from scorewise_actors.errors import CannotStartError
from scorewise_actors.export import ResultsFile, ResultsFileError
from scorewise_actors.handle import JobHandle
from scorewise_actors.job import Handler, JobReport, Request
from scorewise_actors.system import ActorSystem

_TICK = 0.2
"""Seconds after which the loop looks around though nothing has come."""
_BATCH = 500
"""Requests that are recorded together."""
_EXPORT_AGAIN = 5.0
"""Seconds until a results file that could not be written is tried again."""
_STOP_GRACE = 10.0
"""Beyond ``drain_timeout``: until a tree that is being stopped is killed."""
_FEEDER_ENDS = 5.0
_NO_BROWSER = (BrowserNotFound, CannotStartError)
"""A job that was complete and gets new items asks for one only then."""


def _nothing(_handle: JobHandle) -> None:
    """Do nothing."""


@attrs.frozen
class Session:
    """What is to be done, and what is to be told on the way. The callbacks run in the main thread unless they say."""

    job_id: str
    handler: Handler
    requests: Sequence[Request]
    results: ResultsFile
    resume: str
    """The command that goes on with the job after an interrupt, as it is told to people."""
    purge: bool = False
    on_open: Callable[[JobHandle], None] = _nothing
    """The job is open and locked."""
    on_fed: Callable[[JobHandle], None] = _nothing
    """All requests are recorded; in the feeder's thread."""
    on_tick: Callable[[JobHandle], None] = _nothing
    """Several times a second."""


@attrs.frozen
class Ended:
    """How it ended."""

    report: JobReport
    export_error: ResultsFileError | None
    """Why the results file is not complete; the journal is."""
    fed: bool
    """All requests are in the journal."""


def carry_out(system: ActorSystem, session: Session, display: Display, interrupts: Interrupts) -> Ended:
    """Run the job in a started system; the main thread only.

    Raises what ``ActorSystem.open_job`` raises, and ``Interrupted`` at the second signal, or if the tree does not end
    in time after the first: browsers and tree have then been killed.
    """
    assert system.runtime is not None, "the system has been started"
    forget = log_restarts(system.runtime)
    try:
        handle = system.open_job(session.job_id, session.handler, purge=session.purge)
        session.on_open(handle)
        return _Watch(system, handle, session, display, interrupts).until_end()
    except Interrupted as stop:
        forget()
        last = Interrupted(f"{stop}; go on later with: {session.resume}")
        last.stuck = not system.kill()
        raise last from None


class _Watch:
    def __init__(
        self, system: ActorSystem, handle: JobHandle, session: Session, display: Display, interrupts: Interrupts
    ) -> None:
        self._system = system
        self._handle = handle
        self._session = session
        self._display = display
        self._interrupts = interrupts
        self._source = handle.recorded
        self._pace = Pace()
        self._pace.per_minute(handle.progress().finished, time.monotonic())
        self._stopping_since: float | None = None
        self._export_at = 0.0
        self._export_error: ResultsFileError | None = None
        self._fed = False
        self._feeder_error: Exception | None = None

    def until_end(self) -> Ended:
        feeder = in_background(self._feed, "feeder")
        seen = 0
        while not self._handle.ended:
            if self._source.wait(seen, _TICK):
                seen += len(self._source.after(seen))
            self._look(time.monotonic())
        report = self._handle.wait()
        self._export(self._session.results.finish)
        feeder.join(_FEEDER_ENDS)
        # a job that ended for a reason of its own has that in its report; this one was stopped because feeding failed
        stopped = report.verdict.outcome == "interrupted" and not self._interrupts.count
        if self._feeder_error is not None and (stopped or isinstance(self._feeder_error, _NO_BROWSER)):
            raise self._feeder_error
        return Ended(report, self._export_error, self._fed)

    def _look(self, now: float) -> None:
        self._session.on_tick(self._handle)
        if now >= self._export_at:
            self._export(self._session.results.update)
        if self._interrupts.count and self._stopping_since is None:
            self._stop(self._interrupts.name, now)
            patience = self._system.config.drain_timeout
            self._display.say(
                f"{self._interrupts.name}: no new pages are begun, those in hand may take up to {patience:g} s; "
                f"once more ends at once. Go on later with: {self._session.resume}"
            )
        elif self._feeder_error is not None and self._stopping_since is None:
            self._stop("its requests could not be recorded", now)
        if self._stopping_since is not None:
            limit = self._system.config.drain_timeout + _STOP_GRACE
            if now - self._stopping_since > limit:
                raise Interrupted(
                    f"the job did not end within {limit:g} s and was killed; what was acknowledged is recorded"
                )
        if self._display.due(now):
            self._display.show(self._snapshot(now))

    def _stop(self, reason: str, now: float) -> None:
        self._stopping_since = now
        in_background(lambda: self._handle.stop(reason), "stop")

    def _feed(self) -> None:
        requests = self._session.requests
        try:
            for start in range(0, len(requests), _BATCH):
                if self._stopping_since is not None:
                    return
                self._handle.add(requests[start : start + _BATCH])
            self._fed = True
            self._handle.close_input()
        except Exception as error:  # noqa: BLE001 - told by the main thread
            self._feeder_error = error
            return
        try:
            self._session.on_fed(self._handle)
        except CheckpointError as error:  # the requests are recorded, only the note that they are is not
            self._display.say(str(error))

    def _export(self, write: Callable[..., None]) -> None:
        try:
            write(self._source)
            self._export_error = None
        except ResultsFileError as error:
            if self._export_error is None:
                self._display.say(f"{error}; the job goes on meanwhile")
            self._export_error = error
            self._export_at = time.monotonic() + _EXPORT_AGAIN

    def _snapshot(self, now: float) -> Snapshot:
        progress = self._handle.progress()
        runtime = self._system.runtime
        return Snapshot(
            job_id=self._session.job_id,
            progress=progress,
            seconds=self._handle.seconds,
            per_minute=self._pace.per_minute(progress.finished, now),
            restarts=self._handle.restarts,
            tree=() if runtime is None else tree_state(runtime, self._handle.path),
            stopping=self._stopping_since is not None,
        )
