"""The literal abort rule: too many of the last operations failed. It looks back so many operations and so long."""

import attrs

from policies.validation import CLOCK_LIMIT, instance_of, integer, number
from policies.values import JsonValue


@attrs.frozen
class Outcome(JsonValue):
    """One entry of the window."""

    at: float = attrs.field(validator=number(-CLOCK_LIMIT, CLOCK_LIMIT))
    """When, monotonic seconds."""
    failed: bool = attrs.field(validator=instance_of(bool))
    """How it ended, in whatever stream."""


@attrs.frozen
class WindowRule(JsonValue):
    """The literal rule: too many of the last operations failed, of whatever kind. No hold, no grace."""

    window: int = attrs.field(default=10, validator=integer(1, 10_000))
    """How many operations it looks back."""
    failure_rate: float = attrs.field(default=0.5, validator=number(0, 1))
    """Aborts above this fraction."""
    min_operations: int = attrs.field(default=10, validator=integer(1, 1_000_000))
    """Operations before it speaks at all, and (up to `window`) that it must see."""
    duration: float | None = attrs.field(default=None, validator=number(0.001, CLOCK_LIMIT, optional=True))
    """Operations older than this (seconds) are not looked at; None looks at all `window` of them."""

    def kept(self, entries: tuple[Outcome, ...], entry: Outcome) -> tuple[Outcome, ...]:
        """The entries to remember after `entry`, oldest first."""
        return (*entries, entry)[-self.window :]

    def seen(self, entries: tuple[Outcome, ...], now: float) -> tuple[Outcome, ...]:
        """Those of `entries` that are looked at `now`."""
        return tuple(entry for entry in entries if self.duration is None or now - entry.at <= self.duration)

    def broken_by(self, seen: tuple[Outcome, ...], operations: int) -> bool:
        """Whether what is `seen` is too bad, after `operations` in all."""
        if operations < self.min_operations or len(seen) < min(self.min_operations, self.window):
            return False
        return sum(entry.failed for entry in seen) > self.failure_rate * len(seen)
