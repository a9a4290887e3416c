"""What the actors of one job share: the plan, which never changes, and the board, on which each publishes its news.

A board cell has one writer and any number of readers in other threads; a reader sees the newest value or the one before
it. How the job is to end stands here too, because it has to survive the actors.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
from loguru import logger

from scorewise_actors.checkpoints import CheckpointStore, Journal
from scorewise_actors.config import SystemConfig
from scorewise_actors.job import Handler, Progress, Verdict

if TYPE_CHECKING:
    from scorewise_actors.browser.chromium import Browser
    from scorewise_actors.browser.driver import Driver


@attrs.frozen
class JobPlan:
    """A job as it was submitted."""

    job_id: str
    handler: Handler
    config: SystemConfig
    store: CheckpointStore
    system: str = "system"
    """Path of the root."""

    @property
    def name(self) -> str:
        """Id of the job's supervisor in the tree."""
        return f"job:{quote(self.job_id, safe='')}"

    @property
    def path(self) -> str:
        """Path of the job's supervisor."""
        return f"{self.system}/{self.name}"

    @property
    def checkpoint(self) -> str:
        """Path of the CheckpointActor."""
        return f"{self.path}/checkpoint"

    @property
    def frontier(self) -> str:
        """Path of the FrontierActor."""
        return f"{self.path}/frontier"

    @property
    def judge(self) -> str:
        """Path of the AbortJudgeActor."""
        return f"{self.path}/judge"


class DurableResults:
    """The outcomes that the journal holds, in the order in which they became durable. Readers keep a position.

    Written by the CheckpointActor only; ``after`` may be called from any thread.
    """

    def __init__(self) -> None:
        self._outcomes: Sequence[list[Any]] = ()
        self._durable = 0
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
        self.first_of_run = 0
        """Number of outcomes that earlier runs left."""

    def publish(self, outcomes: Sequence[list[Any]]) -> None:
        """The journal's list of outcomes has grown, or is a new one with the same beginning."""
        with self._changed:
            self._outcomes = outcomes
            self._durable = len(outcomes)  # the journal lengthens its list before the disk has answered
            self._notify()

    def close(self) -> None:
        """Nothing will come any more."""
        with self._changed:
            self._closed = True
            self._notify()

    @property
    def closed(self) -> bool:
        """True once nothing will come any more."""
        return self._closed

    def after(self, position: int) -> list[list[Any]]:
        """The outcomes from ``position`` on: ``[item, status, attempts, content]`` each."""
        with self._changed:
            return list(self._outcomes[position : self._durable])

    def wait(self, position: int, timeout: float | None = None) -> bool:
        """Block until there is more than ``position`` outcomes, or nothing will come. True if there is more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._durable > position, timeout)
            return self._durable > position

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` at every change, in the writer's thread; returns the function that ends it."""
        with self._changed:
            self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _notify(self) -> None:
        self._changed.notify_all()
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception as error:  # noqa: BLE001 - a reader must not harm the writer
                logger.opt(exception=error).error("a reader of results failed: {!r}", error)


class JobBoard:
    """News of a running job, for its own actors and for readers outside of the tree."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.began = time.monotonic()
        self.progress = Progress()
        """Written by the FrontierActor."""
        self.results = DurableResults()
        """Written by the CheckpointActor."""
        self.verdict: Verdict | None = None
        """Set by ``decide``: whoever ends the job first, FrontierActor, AbortJudgeActor or the JobHandle."""
        self.input_closed = threading.Event()
        """Set by the JobHandle: it survives a restart of the FrontierActor here."""
        self.draining: str | None = None
        """Set by the JobHandle: the reason, once the job has been asked to stop; survives a restart as well."""
        self.run_opened = False
        """Written by the CheckpointActor: this run is in the journal."""
        self.first_journal: Journal | None = None
        """The journal that ``submit`` has opened to see its errors; taken by the first CheckpointActor."""

    def decide(self, verdict: Verdict) -> Verdict:
        """Keep the first verdict. Any thread."""
        with self._lock:
            if self.verdict is None:
                self.verdict = verdict
            return self.verdict


class DriverCell:
    """The driver that lives below one ``driver-n`` supervisor now. Written by its DriverActor."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self.loop: Any = None
        """The ``LoopThread`` of the present DriverActor."""


class BrowserCell:
    """The browser that lives below one ``browser-m`` supervisor now. Written by its BrowserActor."""

    def __init__(self, driver: DriverCell) -> None:
        self.driver = driver
        self.browser: Browser | None = None
        self.slots_in_use: dict[Browser, int] = {}
        """How many page slots each browser still serves, while one is being replaced. On the driver's loop only."""
