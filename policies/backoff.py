"""How long to wait before the next try: exponential backoff with a cap that jitter never passes."""

import random
from typing import Literal

import attrs

from policies.validation import number
from policies.values import JsonValue

Jitter = Literal["proportional", "full", "equal", "decorrelated", "none"]
_KINDS = ("proportional", "full", "equal", "decorrelated", "none")
_DECORRELATED_FACTOR = 3.0


def _kind_is_known(instance: "Backoff", _attribute: "attrs.Attribute[str]", value: object) -> None:
    if value not in _KINDS:
        raise ValueError(f"{type(instance).__name__}.kind must be one of {', '.join(_KINDS)}, got {value!r}")


@attrs.frozen
class Backoff(JsonValue):
    """Waits that grow by `multiplier` from `base_delay` up to `max_delay`; the randomness is the caller's.

    The kinds of jitter:

    - ``proportional``: the nominal wait ± `jitter` (a fraction). Clamping after the jitter would put half of all
      saturated waits on exactly `max_delay` and bring the crowd back together, so the *nominal* wait is capped at
      ``max_delay / (1 + jitter)``.
    - ``full``: uniform from 0 to the nominal wait.
    - ``equal``: half of the nominal wait, and uniformly up to as much again.
    - ``decorrelated``: uniform from `base_delay` to three times the previous wait (after Brooker, "Exponential Backoff
      And Jitter").
    - ``none``: the nominal wait itself.
    """

    base_delay: float = attrs.field(default=1.0, validator=number(0.001, 3600))
    """Nominal wait (seconds) after the first failed try."""
    multiplier: float = attrs.field(default=2.0, validator=number(1, 10))
    """Growth of the nominal wait from one try to the next."""
    max_delay: float = attrs.field(default=300.0, validator=number(0.001, 86400))
    """No wait is longer than this (seconds)."""
    jitter: float = attrs.field(default=0.25, validator=number(0, 1))
    """Fraction by which ``proportional`` waits vary; the other kinds do not look at it."""
    kind: Jitter = attrs.field(default="proportional", validator=_kind_is_known)
    """How randomness enters."""

    def __attrs_post_init__(self) -> None:
        if self.max_delay < self.base_delay:
            raise ValueError(
                f"Backoff.max_delay must be at least base_delay ({self.base_delay:g} s), got {self.max_delay!r}"
            )

    def nominal(self, n: int) -> float:
        """The wait (seconds) after the `n`-th failed try, `n` from 1, before jitter. Never falls with `n`.

        Raises `ValueError` for an `n` below 1.
        """
        if n < 1:
            raise ValueError(f"n counts failed tries from 1, got {n!r}")
        top = self.max_delay / (1 + self.jitter) if self.kind == "proportional" else self.max_delay
        try:
            return min(top, self.base_delay * float(self.multiplier) ** (n - 1))
        except OverflowError:
            return top

    def delay(self, n: int, rng: random.Random, previous: float | None = None) -> float:
        """The wait (seconds) after the `n`-th failed try, from 0 to `max_delay`.

        `previous` is the wait given last time; only ``decorrelated`` looks at it, and takes the nominal one where it
        is not known. The same `rng` state gives the same wait.
        """
        nominal = self.nominal(n)
        if self.kind == "proportional":
            # the minimum only absorbs the rounding of max_delay / (1 + jitter) * (1 + jitter)
            return min(self.max_delay, nominal * (1 + rng.uniform(-self.jitter, self.jitter)))
        if self.kind == "full":
            return rng.uniform(0.0, nominal)
        if self.kind == "equal":
            return nominal / 2 + rng.uniform(0.0, nominal / 2)
        if self.kind == "decorrelated":
            last = self.nominal(max(1, n - 1)) if previous is None else max(self.base_delay, previous)
            return rng.uniform(self.base_delay, min(self.max_delay, last * _DECORRELATED_FACTOR))
        return nominal
