"""``FailureHandler``: what is to be done about a failure, by the user's handlers or else by the classification."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from policies.short_text import short_text
from policies.validation import LONGEST_WAIT, is_number
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.events import EventType, Severity
from scorewise_actors.failure_events import FailureEvent, RecoveryAction, of_any_form, recovery_of
from scorewise_actors.messages.resilience import Analyse, RecordFailures
from scorewise_actors.redaction import redact
from scorewise_actors.resilience.callbacks import CallbackFailed, bounded
from scorewise_actors.resilience.connection import Connection, TreeClient
from scorewise_actors.resilience.errors import FailureHandlingError, ResilienceException
from scorewise_actors.resilience.logs import log, stack_of
from scorewise_actors.resilience.time_window import TimeWindow, seconds_of

Handler = Callable[[dict[str, Any], dict[str, Any]], Any | Awaitable[Any]]
"""``handler(failure_event, context)``: the event as it was handed in (a dict), completed with what was found out.
Returns ``{"action": word, "delay": seconds, "reason": text}``, only the word, or None for no opinion. Sync or async."""

HANDLER_TIMEOUT = 30.0
"""Seconds that a handler has."""
UNNAMED_JOB = "(no job)"
"""Where failures go that were handed in without a job's id."""
ANY = "*"
"""Failure type of a handler for whatever no other one is registered for."""


class FailureHandler(TreeClient):
    """Decides about failures and keeps them on record."""

    component: ClassVar[str] = "failure"
    unavailable: ClassVar[type[ResilienceException]] = FailureHandlingError

    def __init__(self, *, connection: Connection | None = None, handler_timeout: float = HANDLER_TIMEOUT) -> None:
        """``connection`` is the tree of a running system, ``handler_timeout`` the seconds that a handler has. This
        manager has no configuration. Raises ``ConfigurationError`` for an argument of another type.
        """
        if not is_number(handler_timeout, 0.001, LONGEST_WAIT):
            raise ConfigurationError(
                f"FailureHandler's handler_timeout must be a number of seconds from 0.001 to {LONGEST_WAIT:.0f}, "
                f"got {handler_timeout!r}"
            )
        super().__init__(connection)
        self._timeout = handler_timeout
        self._handlers: dict[str, Handler] = {}

    async def register_failure_handler(self, failure_type: str | type[BaseException], handler: Handler) -> None:
        """Have ``handler`` decide on failures of this type: the name of an exception class (or the class), a category
        (``network``, ``browser``, ``system``, ``application``, ``external``, ``unknown``), or ``"*"`` for all others.
        The error type wins over the category. A later handler of the same type replaces it. Raises
        ``FailureHandlingError`` for a type that is no name or a handler that is no function.
        """
        name = failure_type.__name__ if isinstance(failure_type, type) else failure_type
        if not isinstance(name, str) or not name.strip():
            raise FailureHandlingError.because(f"failure_type must be the name of a failure type, got {failure_type!r}")
        if not callable(handler):
            raise FailureHandlingError.because(f"the handler of {name!r} must be a function, got {handler!r}")
        self._handlers[name.strip().lower()] = handler

    async def handle_failure(
        self, failure_event: Any, context: Mapping[str, Any] | None = None, job_id: str | None = None
    ) -> dict[str, Any]:
        """Decide about a failure and record it.

        ``failure_event`` is a dict (see ``failure_events.failure_event``: each key may be missing), an exception or a
        ``FailureEvent``; the job is ``job_id``, or the key ``job_id`` of event or context.

        Answers ``{"action_taken": "retry" | "restart" | "skip" | "abort" | "manual" | a handler's own word, "delay"
        (s), "reason", "handled_by": a failure type or "classification", "handler_error": None or text, "failure_id",
        "category", "error_type", "severity", "transient", "job_id", "correlation_id", "timestamp"}``. A handler that
        raises, hangs or answers nonsense is logged, and the classification decides. Raises ``FailureHandlingError`` for
        something that is no failure, and when it cannot be recorded.
        """
        try:
            event, given, around = of_any_form(failure_event, context)
        except TypeError as error:
            raise FailureHandlingError.because(str(error), field="failure_event") from None
        job = str(job_id or given.get("job_id") or around.get("job_id") or UNNAMED_JOB)[:200]
        answer: dict[str, Any] = {
            "action_taken": recovery_of(event).value.lower(),
            "delay": 0.0,
            "reason": f"{event.category} failure, {'transient' if event.transient else 'permanent'}",
            "handled_by": "classification",
        }
        name, error_text = self._handler_of(event), None
        if name is not None:
            decided, error_text = await self._ask(name, given | event.as_map() | given, around)
            answer |= decided
        recovery = next((word for word in RecoveryAction if word.value.lower() == answer["action_taken"].lower()), None)
        await self._call("failures", RecordFailures(job, (event.with_recovery(recovery),)))
        severity = Severity.HIGH if recovery is RecoveryAction.ABORT else event.severity
        self._emit(
            EventType.FAILURE_HANDLED,
            job,
            severity,
            stack=event.stack_trace,
            action=answer["action_taken"],
            handled_by=answer["handled_by"],
        )
        return answer | {
            "handler_error": error_text,
            "failure_id": event.id,
            "category": event.category.value,
            "error_type": event.error_type,
            "severity": event.severity.value,
            "transient": event.transient,
            "job_id": job,
            "correlation_id": event.correlation_id,
            "timestamp": event.timestamp.isoformat(),
        }

    async def get_failure_statistics(self, job_id: str | None = None, time_range: TimeWindow = None) -> dict[str, Any]:
        """Figures of one job (the keys of ``failure_analysis.analysed``), or of all: the same keys ``total_failures``,
        ``by_category``, ``by_severity``, ``by_error_type``, ``by_host`` summed up, and ``jobs`` with those of each.
        ``time_range`` in seconds or as ``timedelta``: failures of that last time only. Raises ``FailureHandlingError``.
        """
        if not isinstance(job_id, str | None):
            raise FailureHandlingError.because(f"job_id must be a text or None, got {job_id!r}", field="job_id")
        since = seconds_of("time_range", time_range, FailureHandlingError)
        figures: dict[str, Any] = await self._call("failures", Analyse(job_id, since))
        return figures

    def _handler_of(self, event: FailureEvent) -> str | None:
        names = (*(kind.lower() for kind in event.error_types), event.category.value, ANY)
        return next((name for name in names if name in self._handlers), None)

    async def _ask(
        self, name: str, event: dict[str, Any], context: dict[str, Any]
    ) -> tuple[dict[str, Any], str | None]:
        try:
            answer = await bounded(
                self._handlers[name], event, context, timeout=self._timeout, what=f"the handler of {name!r} failures"
            )
            return _read(answer, name), None
        except (CallbackFailed, _Nonsense) as failed:
            log("ERROR", str(failed), stack=stack_of(failed), failure_type=name)
            return {}, str(redact(str(failed)))


class _Nonsense(Exception):  # noqa: N818 - what came back
    """The handler's answer cannot be understood."""


def _read(answer: Any, name: str) -> dict[str, Any]:
    if answer is None:
        return {"handled_by": name}
    if isinstance(answer, str):
        answer = {"action": answer}
    action = answer.get("action", answer.get("action_taken")) if isinstance(answer, Mapping) else None
    if not isinstance(action, str) or not action.strip():
        raise _Nonsense(
            f"the handler of {name!r} failures must return a dict with the key 'action', a word or None, got "
            f"{short_text(answer)}"
        )
    more = {str(key): value for key, value in answer.items() if key not in ("action", "action_taken")}
    return (
        {"reason": f"decided by the handler of {name!r} failures"}
        | more
        | {
            "action_taken": action.strip(),
            "action": action.strip(),
            "handled_by": name,
        }
    )
