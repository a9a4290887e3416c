"""How far back a manager is asked to look."""

import datetime as dt

from policies.short_text import short_text
from policies.validation import LONGEST_WAIT, is_number
from scorewise_actors.resilience.errors import ResilienceException

TimeWindow = float | dt.timedelta | None
"""Seconds, a ``timedelta``, or None for all there is."""


def seconds_of(name: str, window: TimeWindow, error: type[ResilienceException]) -> float | None:
    """Seconds of a time window. Raises ``error`` for one that is none, or that reaches back further than dates do;
    ``name`` is how the error calls it.
    """
    value = window.total_seconds() if isinstance(window, dt.timedelta) else window
    if value is not None and not is_number(value, 0, LONGEST_WAIT):
        raise error.because(
            f"{name} must be a number of seconds from 0 to {LONGEST_WAIT:.0f}, a timedelta or None, "
            f"got {short_text(window)}",
            field=name,
        )
    return value
