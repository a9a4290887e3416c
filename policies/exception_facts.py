"""The facts of any exception, read without knowing its class: what `Failure.from_exception` sees.

Libraries put the same facts in different places. What is read here, in this order:

- text: ``message`` where it is a string (Playwright), otherwise ``str()``;
- code: ``code`` where it is a string (Playwright, Node), otherwise the name of an `OSError`'s errno;
- status: ``status`` (aiohttp), ``status_code``, ``code`` where it is a number (urllib), each on the exception and then
  on its ``response`` (httpx, requests);
- headers: ``headers`` on the exception, then on its ``response``;
- lineage: the names of the base classes, so that an exception of a library's own is known by the builtin it extends.

An exception may be hostile: its attributes may raise, its text may be megabytes or unreadable. Reading is total.
"""

import errno
from collections.abc import Iterator
from typing import Any

from policies.short_text import Interruption, said

CONTROL_FLOW = frozenset({"CancelledError", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "ActorDeadError"})
"""Names of what stops a program and is no failure."""

_ROOTS = frozenset({"object", "BaseException", "Exception", "Generic", "Protocol"})
_HEADERS = 100
_DEPTH = 20


def facts_of(exception: BaseException) -> dict[str, Any]:
    """``{"type", "message", "code", "status", "headers", "lineage"}`` of `exception`.

    A group (``asyncio.TaskGroup``) has the facts of the first exception in it that is not control flow, a ``URLError``
    those of its reason. Total: nothing that an attribute of the exception raises comes out but an `Interruption`.
    """
    exception = _cause_of_urllib(_first_leaf(exception))
    holders = (exception, _read(exception, "response"))
    return {
        "type": type(exception).__name__,
        "message": message_of(exception),
        "code": _code(exception),
        "status": next(_statuses(holders), None),
        "headers": _headers(holders),
        "lineage": tuple(kind.__name__ for kind in type(exception).__mro__[1:] if kind.__name__ not in _ROOTS),
    }


def _first_leaf(exception: BaseException) -> BaseException:
    for _ in range(_DEPTH):
        if not isinstance(exception, BaseExceptionGroup):
            break
        inside = exception.exceptions
        exception = next((one for one in inside if type(one).__name__ not in CONTROL_FLOW), inside[0])
    return exception


def _cause_of_urllib(exception: BaseException) -> BaseException:
    # urllib puts the error of the connection inside of one that says nothing itself
    reason = _read(exception, "reason") if type(exception).__name__ == "URLError" else None
    return reason if isinstance(reason, BaseException) else exception


def _read(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Interruption:
        raise
    except BaseException:  # noqa: BLE001 - a property of somebody's exception may raise anything
        return None


def message_of(exception: BaseException) -> str:
    """What `exception` says, also where its class raises in place of a text."""
    message = _read(exception, "message")
    return message if isinstance(message, str) else said(exception)


def _code(exception: BaseException) -> str | None:
    code = _read(exception, "code")
    if isinstance(code, str):
        return code
    number = _read(exception, "errno") if isinstance(exception, OSError) else None
    return errno.errorcode.get(number) if isinstance(number, int) else None


def _statuses(holders: tuple[Any, ...]) -> Iterator[int]:
    for holder in holders:
        for name in ("status", "status_code", "code"):
            status = _read(holder, name)
            if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 999:
                yield int(status)


def _headers(holders: tuple[Any, ...]) -> dict[str, str]:
    return next(filter(None, map(_headers_on, holders)), {})


def _headers_on(holder: Any) -> dict[str, str]:
    headers = _read(holder, "headers")
    try:
        items = [] if headers is None else list(headers.items())[:_HEADERS]
        return {str(name): str(value) for name, value in items}
    except Interruption:
        raise
    except BaseException:  # noqa: BLE001 - an object of another kind by that name
        return {}
