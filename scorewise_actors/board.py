"""The board of one job, on which each of its actors publishes its news, and how the job is to end.

A cell of the board has one writer and any number of readers in other threads; a reader sees the newest value or the one
before it. What is asked and decided about the end stands apart: it has several writers, and outlives the actors that a
restart replaces.
"""

import threading
import time
from typing import TYPE_CHECKING, Any

from scorewise_actors.durable_results import DurableResults
from scorewise_actors.job import Progress, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scorewise_actors.checkpoints import Journal


class JobEnd:
    """How the job is to end. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verdict: Verdict | None = None
        self.input_closed = threading.Event()
        """Set by the JobHandle, or by the FrontierActor that was told so: nothing more comes from outside."""
        self.draining: str | None = None
        """The reason, once the job has been asked to stop."""

    @property
    def verdict(self) -> Verdict | None:
        """Why the job ends, once that is decided."""
        return self._verdict

    @property
    def begun(self) -> bool:
        """The job has been asked to stop, or its end is decided: what dies from now on is ended on purpose."""
        return self.draining is not None or self._verdict is not None

    def decide(self, verdict: Verdict) -> Verdict:
        """Keep the first verdict, whoever comes first: FrontierActor, AbortJudgeActor or JobHandle."""
        with self._lock:
            if self._verdict is None:
                self._verdict = verdict
            return self._verdict


class JobBoard:
    """News of a running job, for its own actors and for readers outside of the tree."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.progress = Progress()
        """Written by the FrontierActor."""
        self.results = DurableResults()
        """Written by the CheckpointActor."""
        self.run_opened = False
        """Written by the CheckpointActor: this run is in the journal."""
        self.first_journal: Journal | None = None
        """The journal that ``open_job`` has opened to see its errors; taken by the first CheckpointActor."""
        self.remains: Mapping[str, Any] | None = None
        """Written by the CheckpointActor: the journal's last state, once the journal itself is gone from the disk."""
        self.end = JobEnd()
