"""What an exception tells about a failed operation: its facts, and how long a server asks to be left alone."""

import math
from typing import Any

from policies.failures import Failure
from policies.retry_after import parse_retry_after, retry_after_of
from policies.validation import CLOCK_LIMIT, is_number
from scorewise_actors.browser.failures import failure_facts


def failure_of(error: BaseException) -> Failure:
    """The facts of `error`: those of any HTTP client's exception, and Playwright's code and call."""
    return Failure.from_exception(error, **failure_facts(error, None))


def asked_pause(error: BaseException, failure: Failure, now_epoch: float) -> float | None:
    """Seconds that the server asks to be left alone, None if it does not: from the ``Retry-After`` header in any of its
    forms, or from an attribute ``retry_after`` of the error (seconds, or the header's text).
    """
    given = _given(error)
    if is_number(given, 0, math.inf):
        return float(min(given, CLOCK_LIMIT))
    if isinstance(given, str) and (parsed := parse_retry_after(given, now_epoch=now_epoch)) is not None:
        return parsed
    return retry_after_of(failure.headers, now_epoch=now_epoch)


def _given(error: BaseException) -> Any:
    try:
        return getattr(error, "retry_after", None)
    except Exception:  # noqa: BLE001 - a property of a foreign object
        return None
