"""``FailureEvent``: one failure as a record, whatever form it was reported in.

Reports are accepted loosely (``failure_event``): dicts with missing fields, lower-case words, naive timestamps, live
exceptions. What comes out is strict, bounded in size (below 10 KB) and free of secrets.
"""

import datetime as dt
import json
import re
import traceback
import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

import attrs

from policies.classify import FailureClassifier
from policies.failures import Category, Failure, Stream
from policies.rules import Reading, Verdict
from policies.validation import is_number
from scorewise_actors.correlation import correlation_id
from scorewise_actors.events import Severity, utc_now
from scorewise_actors.redaction import redact, redact_text

MESSAGE_LIMIT = 1000
STACK_LIMIT = 4000
CONTEXT_LIMIT = 2000
"""Characters kept of each; the end of a stack trace is what matters, so its beginning is cut."""

_SEVERITIES = {
    "debug": Severity.LOW,
    "info": Severity.LOW,
    "low": Severity.LOW,
    "warning": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "fatal": Severity.CRITICAL,
    "critical": Severity.CRITICAL,
}
_NUMBER = re.compile(r"\d+|0x[0-9a-fA-F]+")
_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)


class RecoveryAction(StrEnum):
    """What is done about a failure."""

    RETRY = "RETRY"
    RESTART = "RESTART"
    SKIP = "SKIP"
    ABORT = "ABORT"
    MANUAL = "MANUAL"


def _time(value: Any) -> dt.datetime:
    """Aware, UTC; naive times are taken for UTC; now for what is no time."""
    try:
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = dt.datetime.fromtimestamp(value, dt.UTC)
        if isinstance(value, dt.datetime):
            aware = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
            return _possible(aware.astimezone(dt.UTC))
    except (ValueError, OverflowError, OSError):
        return utc_now()
    return utc_now()


def _possible(time: dt.datetime) -> dt.datetime:
    """A time that can be counted by its minute; the last hours of the year 9999 cannot."""
    dt.datetime.fromtimestamp(time.timestamp(), dt.UTC)
    return time


@attrs.frozen
class FailureEvent:
    """A failure on record."""

    id: str
    """Unique; a report that comes twice under one id counts once."""
    timestamp: dt.datetime = attrs.field(converter=_time)
    """UTC, aware."""
    severity: Severity = attrs.field(converter=Severity)
    category: Category = attrs.field(converter=Category)
    source: str
    error_type: str
    """The exception's class name, or ``"Failure"``."""
    message: str
    signature: str
    """Same for the same fault: error type and first line, with URLs and numbers masked."""
    stream: Stream = attrs.field(converter=Stream)
    """Which abort score it counts against."""
    transient: bool
    """Whether another try can help."""
    error_types: tuple[str, ...] = ()
    """``error_type`` and the names of the exception's base classes, nearest first."""
    host: str | None = None
    context: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    stack_trace: str | None = attrs.field(default=None, repr=False)
    recovery_action: RecoveryAction | None = None
    resolution_time: float | None = None
    """Seconds until it was dealt with."""
    correlation_id: str | None = None

    def as_map(self) -> dict[str, Any]:
        """Flat dict of plain values."""
        fields = attrs.asdict(self, recurse=False)
        fields |= {"timestamp": self.timestamp.isoformat(), "context": dict(self.context)}
        fields["error_types"] = list(self.error_types)
        for name in ("severity", "category", "stream", "recovery_action"):
            fields[name] = str(fields[name]) if fields[name] is not None else None
        return fields

    def with_recovery(self, action: "RecoveryAction | None") -> Self:
        """The same event, and what was done about it."""
        return self if action is None else attrs.evolve(self, recovery_action=action)


def failure_event(report: Any, context: Mapping[str, Any] | None = None) -> FailureEvent:
    """The record of what was reported: a ``FailureEvent``, an exception, or a mapping with any of the keys ``id``,
    ``timestamp`` (``datetime``, naive means UTC; epoch seconds; ISO text), ``severity``, ``category``, ``source``,
    ``error_type``, ``message``, ``error`` (an exception), ``context``, ``stack_trace``, ``recovery_action``,
    ``resolution_time``, ``correlation_id``, ``status``. Words may be in any case.

    What is missing is filled in: the category by the classification table. A word that is not known counts as missing;
    only something that is none of the three raises ``TypeError``.
    """
    if isinstance(report, FailureEvent):
        return report
    if isinstance(report, BaseException):
        report = {"error": report}
    if not isinstance(report, Mapping):
        raise TypeError(
            f"a failure event is a dict, an exception or a FailureEvent, got {type(report).__name__}: {report!r:.200}"
        )
    error = report.get("error")
    failure = _facts(report, error if isinstance(error, BaseException) else None)
    verdict = FailureClassifier().classify(failure)
    category = _word(Category, report.get("category")) or verdict.category
    merged = {**(context or {}), **_mapping(report.get("context"))}
    return FailureEvent(
        id=str(report.get("id") or uuid.uuid4().hex),
        timestamp=_time(report.get("timestamp")),
        severity=_severity(report.get("severity"), category),
        category=category,
        source=str(report.get("source") or "unknown")[:200],
        error_type=failure.type,
        error_types=(failure.type, *failure.lineage),
        message=redact_text(failure.message)[:MESSAGE_LIMIT],
        signature=signature_of(failure),
        stream=_stream(category, verdict, given="category" in report),
        transient=verdict.transient,
        host=_host(report, merged, failure.message),
        context=bounded(merged),
        stack_trace=_stack(report, error),
        recovery_action=_word(RecoveryAction, report.get("recovery_action")),
        resolution_time=_seconds(report.get("resolution_time")),
        correlation_id=_text(report.get("correlation_id")) or correlation_id(),
    )


def of_any_form(report: Any, context: Mapping[str, Any] | None) -> tuple[FailureEvent, dict[str, Any], dict[str, Any]]:
    """The record, what was reported as a dict (empty if it was no dict), and the context as a dict."""
    around = dict(_mapping(context))
    given = dict(report) if isinstance(report, Mapping) else {}
    return failure_event(report, around), given, around


def recovery_of(event: FailureEvent) -> RecoveryAction:
    """What is usually done about such a failure: what the report says, else by category and persistence."""
    if event.recovery_action is not None:
        return event.recovery_action
    if not event.transient:
        return RecoveryAction.MANUAL if event.category is Category.SYSTEM else RecoveryAction.SKIP
    return RecoveryAction.RESTART if event.category is Category.BROWSER else RecoveryAction.RETRY


def of_failure(failure: Failure, verdict: Verdict | None, source: str) -> FailureEvent:
    """The record of a classified failure inside of the tree."""
    report = {"error_type": failure.type, "message": failure.message, "source": source, "status": failure.status}
    event = failure_event(report | ({"context": {"url": failure.url}} if failure.url else {}))
    verdict = verdict or FailureClassifier().classify(failure)
    return attrs.evolve(event, category=verdict.category, stream=verdict.stream, transient=verdict.transient)


def signature_of(failure: Failure) -> str:
    """What equal faults have in common."""
    line = Reading.of(failure).line
    return redact_text(f"{failure.type}: {_NUMBER.sub('N', line)}".rstrip(": "))[:200]


def bounded(context: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values without secrets, of limited size in all; what does not fit is cut and said so."""
    kept: dict[str, Any] = {}
    left = CONTEXT_LIMIT
    for name, value in context.items():
        plain = redact({str(name)[:100]: _plain(value)})
        size = len(json.dumps(plain, ensure_ascii=False))
        if size > left:
            text = str(next(iter(plain.values())))
            plain = {str(name)[:100]: f"{text[: max(0, left - 200)]}… ({len(text)} characters)"}
        if left < 200:
            kept["…"] = f"{len(context) - len(kept)} more"
            break
        kept |= plain
        left -= min(size, left)
    return kept


def _plain(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[: CONTEXT_LIMIT * 2]
    if depth >= 5:
        return f"{type(value).__name__}"
    if isinstance(value, Mapping):
        return {str(key)[:100]: _plain(item, depth + 1) for key, item in list(value.items())[:50]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in list(value)[:50]]
    try:
        return str(value)[:500]
    except Exception:  # noqa: BLE001 - a user's object; the report must not fail for it
        return type(value).__name__


def _facts(report: Mapping[str, Any], error: BaseException | None) -> Failure:
    status = report.get("status")
    facts: dict[str, Any] = {"status": status} if isinstance(status, int) and is_number(status, 100, 999) else {}
    if error is not None:
        return Failure.from_exception(error, **facts)
    return Failure(str(report.get("error_type") or "Failure")[:200], report.get("message") or "", **facts)


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"context": value}


def _word(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, str):
        return None
    return next((member for member in kind if member.value.lower() == value.strip().lower()), None)


def _severity(value: Any, category: Category) -> Severity:
    known = _SEVERITIES.get(value.strip().lower()) if isinstance(value, str) else None
    if known is not None:
        return known
    return Severity.HIGH if category in (Category.BROWSER, Category.SYSTEM) else Severity.MEDIUM


def _stream(category: Category, verdict: Verdict, *, given: bool) -> Stream:
    if verdict.stream is Stream.UNCOUNTED:
        return verdict.stream
    if given and category in (Category.NETWORK, Category.BROWSER, Category.SYSTEM):
        return Stream.INFRA
    return verdict.stream


def _host(report: Mapping[str, Any], context: Mapping[str, Any], message: str) -> str | None:
    for place in (report.get("host"), context.get("host")):
        if isinstance(place, str) and place:
            return place.lower()[:200]
    found = _URL.search(message)
    for url in (report.get("url"), context.get("url"), found[0] if found else None):
        if isinstance(url, str):
            try:
                host = urlsplit(url).hostname
            except ValueError:
                continue
            if host:
                return host[:200]
    return None


def _stack(report: Mapping[str, Any], error: Any) -> str | None:
    text = report.get("stack_trace")
    if not text and isinstance(error, BaseException) and error.__traceback__ is not None:
        text = "".join(traceback.format_exception(error))
    if not isinstance(text, str) or text.strip() in ("", "NoneType: None"):
        return None
    if len(text) > 2 * STACK_LIMIT:  # cut at a line: half a header would not be known for a secret
        text = text[-2 * STACK_LIMIT :].partition("\n")[2]
    return redact_text(text)[-STACK_LIMIT:]


def _seconds(value: Any) -> float | None:
    return float(value) if is_number(value, 0, 1e12) else None


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) and value else None
