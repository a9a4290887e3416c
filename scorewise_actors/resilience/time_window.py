"""How far back a manager is asked to look."""

import datetime as dt

from policies.validation import is_number
from scorewise_actors.resilience.errors import ResilienceException

TimeWindow = float | dt.timedelta | None
"""Seconds, a ``timedelta``, or None for all there is."""


def seconds_of(window: TimeWindow, error: type[ResilienceException]) -> float | None:
    """Seconds of a time window. Raises ``error`` for one that is none."""
    value = window.total_seconds() if isinstance(window, dt.timedelta) else window
    if value is not None and not is_number(value, 0, 1e9):
        raise error.because(
            f"a time window must be a number of seconds of at least 0, a timedelta or None, got {window!r}",
            field="time_window",
        )
    return value
