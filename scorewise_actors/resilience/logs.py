"""The log of the resilience parts: loguru as everywhere in this library, and Python's ``logging`` for who asks there.

``logging.getLogger("scorewise_actors.resilience").setLevel(logging.DEBUG)`` shows the records, also in a program that
has configured no handler. Nothing secret is in them. `JsonFormatter` and `json_sink` write one JSON object per line.
"""

import contextlib
import datetime as dt
import json
import logging
import math
import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

from policies.short_text import UNREADABLE, said
from scorewise_actors.correlation import correlation_id
from scorewise_actors.events import ResilienceEvent, Severity
from scorewise_actors.redaction import redact, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from loguru import Message

LOGGER_NAME = "scorewise_actors.resilience"
"""The logger of Python's ``logging`` that the records go to."""

_MOST_BITS = 2000
"""Python refuses to print whole numbers that are much longer."""
_log = logging.getLogger(LOGGER_NAME)
_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}
_switches = {"debug_enabled": False, "include_stack_traces": False}


class _OnlyWhenAsked(logging.Handler):
    """Writes to stderr for a program that set a level for our logger and configured no handler anywhere."""

    def emit(self, record: logging.LogRecord) -> None:
        if _log.level != logging.NOTSET and not _handlers_elsewhere() and sys.stderr is not None:
            text = f"{record.levelname} {record.name} {record.getMessage()}{_trace(record)}\n"
            with contextlib.suppress(ValueError, OSError):  # stderr is closed, or whoever read it has gone
                sys.stderr.write(_writable(text))


def _handlers_elsewhere() -> bool:
    at: logging.Logger | None = _log
    while at is not None:
        if any(not isinstance(handler, _OnlyWhenAsked | logging.NullHandler) for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


def _trace(record: logging.LogRecord) -> str:
    return f"\n{record.__dict__['stack']}" if record.__dict__.get("stack") else ""


_log.addHandler(_OnlyWhenAsked())


def switch(name: str, *, on: bool) -> None:
    """Turn ``debug_enabled`` or ``include_stack_traces`` on or off, for the whole process."""
    _switches[name] = on
    if name == "debug_enabled":
        _log.setLevel(logging.DEBUG if on else logging.NOTSET)


def stack_traces() -> bool:
    """Whether records of failures are to carry the traceback."""
    return _switches["include_stack_traces"]


def stack_of(error: BaseException) -> str | None:
    """The formatted traceback of `error`, None unless records are to carry it."""
    return "".join(traceback.format_exception(error)) if stack_traces() else None


def log(level: str, message: str, *, stack: str | None = None, **fields: Any) -> None:
    """Write one record: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``. Any thread; secrets are taken out here.

    ``fields`` are plain values for machines; ``stack`` is a formatted traceback, kept only if asked for.
    """
    text = redact_text(message)
    kept = redact_text(stack) if stack and stack_traces() else None
    plain = redact({name: value for name, value in fields.items() if value is not None})
    plain.setdefault("correlation_id", correlation_id())
    bound = logger.bind(component="resilience", **plain)
    # its own module as place: loguru enables a library by the name of the module; page text may have braces in it
    bound.log(level, "{}", f"{text}\n{kept}" if kept else text)
    number = _LEVELS[level]
    if _log.isEnabledFor(number):
        _log.log(number, "%s", text, extra={"fields": plain, "stack": kept}, stacklevel=2)


def log_event(event: ResilienceEvent) -> None:
    """The record of an event: errors for what is critical, warnings for what is bad, the rest for who looks closely."""
    level = {Severity.CRITICAL: "ERROR", Severity.HIGH: "WARNING"}.get(event.severity, "DEBUG")
    log(
        level,
        str(event),
        stack=event.stack,
        event=event.type.value,
        job_id=event.job_id,
        part=event.component,
        severity=event.severity.value,
        correlation_id=event.correlation_id,
        data=dict(event.data),
    )


class JsonFormatter(logging.Formatter):
    """For a handler of Python's ``logging``: one JSON object per record and line.

    Keys: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``correlation_id``, the record's own fields, and
    ``stack`` if there is one. NaN and infinities, which JSON lacks, are null; what else it lacks is text, also as key.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = dict(record.__dict__.get("fields") or {})
        stack = record.__dict__.get("stack") or (self.formatException(record.exc_info) if record.exc_info else None)
        return _line(record.created, record.levelname, record.name, record.getMessage(), fields=fields, stack=stack)


def json_sink(stream: TextIO) -> "Callable[[Message], None]":
    """A sink for loguru, ``logger.add(json_sink(sys.stderr), format="{message}")``: the same lines."""

    def write(message: "Message") -> None:
        record = message.record
        stack = str(record["exception"]) if record["exception"] is not None else None
        text = _line(
            record["time"].timestamp(),
            record["level"].name,
            record["name"] or "",
            record["message"],
            fields=dict(record["extra"]),
            stack=stack,
        )
        stream.write(text + "\n")

    return write


def _line(time: float, level: str, name: str, message: str, *, fields: dict[str, Any], stack: str | None) -> str:
    record = {
        "time": dt.datetime.fromtimestamp(time, dt.UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "logger": name,
        "message": redact_text(message),
        **_jsonable(redact(fields)),
    }
    record.setdefault("correlation_id", correlation_id())
    if stack:
        record["stack"] = redact_text(stack)
    return _writable(json.dumps(record, ensure_ascii=False))


def _jsonable(value: Any) -> Any:
    """What JSON has for `value`."""
    match value:
        case None | bool() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case int():
            return value if value.bit_length() <= _MOST_BITS else hex(value)
        case Mapping():
            return {key if isinstance(key, str) else _text(key): _jsonable(item) for key, item in value.items()}
        case list():
            return [_jsonable(item) for item in value]
        case _:
            return _text(value)


def _text(value: Any) -> str:
    return redact_text(said(value, f"<{type(value).__name__}: {UNREADABLE}>"))


def _writable(text: str) -> str:
    """Page text may hold halves of characters, which no stream takes."""
    return text.encode("utf-8", "backslashreplace").decode()
