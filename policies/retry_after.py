"""The ``Retry-After`` header: how long a server asks to be left alone (RFC 9110, 10.2.3)."""

import email.utils
import re
from collections.abc import Mapping
from datetime import UTC

from policies.validation import CLOCK_LIMIT

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]{1,6})?", re.ASCII)


def parse_retry_after(text: str | None, *, now_epoch: float) -> float | None:
    """Seconds to wait as `text` asks, at least 0; None for anything unreadable.

    `now_epoch` (seconds since 1970, UTC) is what a date is taken relative to. Understands delta-seconds (also with
    decimals, which some servers send; however many there are, it is no more than `CLOCK_LIMIT`) and the three date
    forms of HTTP: IMF-fixdate, RFC 850 and asctime. Total: no text raises.
    """
    if not isinstance(text, str):
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), CLOCK_LIMIT)
    at = _epoch_of(text)
    return None if at is None else max(0.0, at - now_epoch)


def retry_after_of(headers: Mapping[str, str], *, now_epoch: float) -> float | None:
    """Seconds to wait as the response with these `headers` (lower-case names) asks, or None where it does not.

    A date is taken relative to the response's own ``date`` header where there is one: the server's clock and ours may
    differ by hours. `now_epoch` stands in when there is none.
    """
    sent_at = _epoch_of(headers.get("date", ""))
    return parse_retry_after(headers.get("retry-after"), now_epoch=now_epoch if sent_at is None else sent_at)


def _epoch_of(text: str) -> float | None:
    if not 6 < len(text) < 64:
        return None
    try:
        date = email.utils.parsedate_to_datetime(text)
        # asctime names no zone; HTTP dates are always UTC
        return (date.replace(tzinfo=UTC) if date.tzinfo is None else date).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
