"""What an exception tells about a failed operation: the facts that are classified, and how long a server asks to wait.

Duck-typed, so that errors of any HTTP client count: ``status`` or ``status_code``, ``headers``, ``retry_after`` on the
error or on its ``response``.
"""

from collections.abc import Mapping
from typing import Any

from policies.failures import Failure
from policies.retry_after import parse_retry_after, retry_after_of
from policies.validation import is_number
from scorewise_actors.browser.failures import failure_facts

_LONGEST = 1e9


def failure_of(error: BaseException) -> Failure:
    """The facts of `error`. Never fails, whatever the error's attributes are."""
    facts = failure_facts(error, None)
    status, headers = _status(error), _headers(error)
    if status is not None:
        facts["status"] = status
    if headers:
        facts["headers"] = headers
    return Failure.from_exception(error, **facts)


def asked_pause(error: BaseException, failure: Failure, now_epoch: float) -> float | None:
    """Seconds that the server asks to be left alone, None if it does not: from the ``Retry-After`` header in any of its
    forms, or from an attribute ``retry_after`` of the error (seconds, or the header's text).
    """
    given = _get(error, "retry_after")
    if is_number(given, 0, _LONGEST):
        return float(given)
    if isinstance(given, str) and (parsed := parse_retry_after(given, now_epoch=now_epoch)) is not None:
        return parsed
    return retry_after_of(failure.headers, now_epoch=now_epoch)


def _status(error: BaseException) -> int | None:
    for place in (error, _get(error, "response")):
        for name in ("status", "status_code"):
            value = _get(place, name)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 999:
                return int(value)
    return None


def _headers(error: BaseException) -> dict[str, str]:
    for place in (error, _get(error, "response")):
        value = _get(place, "headers")
        try:
            pairs = dict(value.items()) if isinstance(value, Mapping) or hasattr(value, "items") else {}
        except Exception:  # noqa: BLE001, S112 - a foreign object
            continue
        if pairs:
            return {_text(name): _text(item) for name, item in pairs.items()}
    return {}


def _get(place: Any, name: str) -> Any:
    try:
        return getattr(place, name, None)
    except Exception:  # noqa: BLE001 - a property of a foreign object
        return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
