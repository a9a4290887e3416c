"""Resilience events: what was saved, retried, breached, aborted, as records for whoever wants to know.

A record carries plain values without secrets, never a live exception. Log lines are made from it
(`scorewise_actors.resilience.logs`), not the other way round.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar

import attrs

from scorewise_actors.correlation import correlation_id
from scorewise_actors.redaction import redact, redact_text
from supervisors.events import Event
from supervisors.subscribers import Subscribers


class EventType(StrEnum):
    """Everything that is told."""

    CHECKPOINT_CREATED = "checkpoint_created"
    CHECKPOINT_LOADED = "checkpoint_loaded"
    CHECKPOINT_CORRUPTED = "checkpoint_corrupted"
    CHECKPOINT_DELETED = "checkpoint_deleted"
    RETRY_ATTEMPTED = "retry_attempted"
    """A try failed and there will be another."""
    RETRY_SUCCEEDED = "retry_succeeded"
    """A later try succeeded; a first one that does is not told."""
    RETRY_EXHAUSTED = "retry_exhausted"
    PERMANENT_FAILURE = "permanent_failure"
    THRESHOLD_BREACHED = "threshold_breached"
    THRESHOLD_RECOVERED = "threshold_recovered"
    CLEANUP_INITIATED = "cleanup_initiated"
    BROWSER_RESTARTED = "browser_restarted"
    ABORT_EVALUATED = "abort_evaluated"
    ABORT_TRIGGERED = "abort_triggered"
    ABORT_EXECUTED = "abort_executed"
    FAILURE_PATTERN_DETECTED = "failure_pattern_detected"
    """The same error signature came again and again."""
    FAILURE_HANDLED = "failure_handled"


class Severity(StrEnum):
    """How bad it is."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


def utc_now() -> dt.datetime:
    """The time in UTC, aware."""
    return dt.datetime.now(dt.UTC)


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(redact(data))


@attrs.frozen
class ResilienceEvent(Event):
    """Something that happened to a job or component. ``path`` is the component's place in the tree."""

    kind: ClassVar[str] = "resilience"
    type: EventType = attrs.field(converter=EventType)
    component: str
    """``checkpoint``, ``retry``, ``resource``, ``abort`` or ``failure``."""
    job_id: str | None = None
    severity: Severity = attrs.field(default=Severity.LOW, converter=Severity)
    data: Mapping[str, Any] = attrs.field(factory=dict, converter=_plain, hash=False)
    """Plain values, without secrets."""
    timestamp: dt.datetime = attrs.field(factory=utc_now)
    """UTC, aware."""
    correlation_id: str | None = attrs.field(factory=correlation_id)
    """The id in force where it happened; see ``correlation``."""
    stack: str | None = attrs.field(default=None, repr=False, eq=False)
    """Formatted traceback of the failure that is told of, for the log; there only if the log asks for it."""

    def __str__(self) -> str:
        of_job = f" of job {self.job_id}" if self.job_id is not None else ""
        figures = ", ".join(f"{name}={value}" for name, value in self.data.items())
        return redact_text(f"{self.type}{of_job}{': ' if figures else ''}{figures}")

    def as_map(self) -> dict[str, Any]:
        """Flat dict of plain values for machines: the fields, ``kind`` first, the timestamp in ISO 8601."""
        return {
            "kind": self.kind,
            "type": self.type.value,
            "timestamp": self.timestamp.isoformat(),
            "job_id": self.job_id,
            "component": self.component,
            "severity": self.severity.value,
            "correlation_id": self.correlation_id,
            "path": self.path,
            "data": dict(self.data),
        }


Listener = Callable[[ResilienceEvent], None]


class EventHub:
    """Where the events of one tree are told. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._listeners: Subscribers[ResilienceEvent] = Subscribers(EventType)

    def subscribe(self, listener: Listener, types: Iterable[EventType | str] | None = None) -> Callable[[], None]:
        """Call ``listener`` with each event (of these ``types``), in the thread where it happens: it must only pass the
        event on. Returns the function that ends the subscription. Raises ``ValueError`` for an unknown type, and for
        what cannot be called.
        """
        return self._listeners.add(listener, types)

    def emit(self, event: ResilienceEvent) -> None:
        """Tell the listeners. One that raises is logged and harms nobody."""
        self._listeners.tell(event.type, event)
