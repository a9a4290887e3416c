"""The laws of waits: bounds, growth, spread."""

import random

from hypothesis import given
from hypothesis import strategies as st
from laws import Bug, examples, law, seeds

KINDS = ("proportional", "full", "equal", "decorrelated", "none")


def backoffs(p):
    return st.builds(
        lambda base, multiplier, most, jitter, kind: p.Backoff(base, multiplier, max(base, most), jitter, kind),
        st.floats(0.1, 60),
        st.floats(1, 10),
        st.floats(0.1, 3600),
        st.floats(0, 1),
        st.sampled_from(KINDS),
    )


class Highest(random.Random):
    """Draws the upper end of the range."""

    def uniform(self, a, b):
        return b


class Extreme(random.Random):
    """Draws the ends of the range."""

    def uniform(self, a, b):
        return b if self.random() < 0.5 else a


@law(
    Bug("backoff", "return min(self.max_delay, nominal * (", "return (nominal * 1.1 * ("),
    Bug("backoff", "min(self.max_delay, last * ", "(last * "),
)
def waits_stay_between_zero_and_the_cap(p):
    @examples
    @given(
        backoffs(p),
        st.integers(1, 400),
        st.sampled_from([random.Random, Extreme]),
        seeds,
        st.none() | st.floats(0, 3600),
    )
    def check(made, n, rng, seed, previous):
        for kind in KINDS:
            check_one(
                p.Backoff(made.base_delay, made.multiplier, made.max_delay, made.jitter, kind), n, rng, seed, previous
            )

    def check_one(backoff, n, rng, seed, previous):
        delay = backoff.delay(n, rng(seed), previous)
        assert 0 <= delay <= backoff.max_delay
        assert delay == backoff.delay(n, rng(seed), previous)
        if backoff.kind == "proportional":
            assert abs(delay - backoff.nominal(n)) <= (backoff.jitter + 1e-9) * backoff.nominal(n)
        if backoff.kind == "full":
            assert delay <= backoff.nominal(n)
        if backoff.kind == "equal":
            assert backoff.nominal(n) / 2 <= delay <= backoff.nominal(n)
        if backoff.kind == "decorrelated":
            assert delay >= backoff.base_delay
        if backoff.kind == "none":
            assert delay == backoff.nominal(n)

    check()


@law(
    Bug("backoff", "** (n - 1)", "** min(n - 1, 40 - n % 2)"),
    Bug("backoff", "** (n - 1)", "** (n % 7)"),
)
def nominal_waits_never_fall(p):
    @examples
    @given(backoffs(p), st.integers(1, 2000))
    def check(backoff, n):
        waits = [backoff.nominal(later) for later in range(n, n + 8)]
        assert waits == sorted(waits)
        assert 0 < waits[0] <= waits[-1] <= backoff.max_delay

    check()


@law(
    Bug(
        "backoff",
        'self.max_delay / (1 + self.jitter) if self.kind == "proportional" else self.max_delay',
        "self.max_delay",
    ),
)
def saturated_waits_stay_spread(p):
    backoff = p.Backoff(max_delay=60.0)
    delays = [backoff.delay(50, random.Random(seed)) for seed in range(100)]
    assert len(set(delays)) == 100
    assert min(delays) < 40
    assert 55 < max(delays) <= 60


@law(Bug("backoff", "last = self.nominal(max(1, n - 1)) if", "last = self.base_delay if"))
def decorrelated_waits_grow_without_a_memory(p):
    backoff = p.Backoff(1.0, 2.0, kind="decorrelated")
    highest = [backoff.delay(n, Highest()) for n in range(1, 6)]
    assert highest == [3, 3, 6, 12, 24]
    assert [backoff.delay(n, Highest(), previous=5.0) for n in (1, 5)] == [15, 15]


@law(
    Bug("backoff", "default=1.0, validator=number(0.001, 3600)", "default=2.0, validator=number(0.001, 3600)"),
    Bug("backoff", "** (n - 1)", "** n"),
    Bug("backoff", "default=2.0, validator=number(1, 10)", "default=1.5"),
)
def the_default_waits_double_from_one_second(p):
    assert [p.Backoff().nominal(n) for n in range(1, 6)] == [1, 2, 4, 8, 16]
