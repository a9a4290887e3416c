"""``Bench``: what ``python -m bench`` knows of one bench."""

from collections.abc import Callable, Iterable

import attrs

from bench.rows import Row

Say = Callable[[str], None]
"""Tells a line of progress to whoever waits."""


class CannotMeasureError(Exception):
    """A contender failed, or what it needs is not on this machine: there is no figure."""


@attrs.frozen(kw_only=True)
class Bench:
    """A named bench and its usual size."""

    name: str
    summary: str
    """What is compared to what, in one line."""
    rounds: int
    """Interleaved rounds unless told otherwise; figures are medians over them."""
    items: int
    """Items measured in each round unless told otherwise."""
    quick_items: int
    """Items of a quick run, which has one round: enough to show that everything runs, too few for its figures."""
    run: Callable[[int, int, Say], Iterable[Row]]
    """``run(rounds, items, say)``; blocks until all is measured. Raises CannotMeasureError."""
