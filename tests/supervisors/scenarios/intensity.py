"""Intensity: how many restarts are too many."""

from tests.supervisors.scenarios.vocabulary import (
    Advance,
    Alive,
    Ended,
    Gave,
    Kill,
    Restart,
    See,
    Terminate,
    limit,
    permanent,
    row,
)

row(
    "34",
    "as many restarts as the intensity are fine, one more is not",
    permanent("a b"),
    Kill("b"),
    Kill("b"),
    See("+a +b +b +b"),
    Alive(),
    Kill("b"),
    See("-a"),
    Ended("gave_up", "'b'"),
    Gave("b", "intensity", 3),
    restarts=limit(2),
)
row(
    "35",
    "restarts further apart than the period are fine for ever",
    permanent("a"),
    Kill("a"),
    Advance(2.1),
    Kill("a"),
    Advance(2.1),
    Kill("a"),
    Alive(),
    restarts=limit(1, 1.0),
)
row(
    "35 inclusive",
    "a restart exactly one period ago still counts",
    permanent("a"),
    Kill("a"),
    Advance(1.0),
    Kill("a"),
    Ended("gave_up"),
    restarts=limit(1, 1.0),
)
row(
    "37",
    "the count is the supervisor's, not the child's",
    permanent("a b c"),
    Kill("a"),
    Kill("b"),
    Alive(),
    Kill("c"),
    Ended("gave_up", "'c'"),
    restarts=limit(2),
)
row(
    "38",
    "an intensity of 0 allows no restart",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("-c -a"),
    Ended("gave_up"),
    Gave("b", "intensity", 1),
    restarts=limit(0),
)
row(
    "39",
    "restarts by hand count nothing",
    permanent("a"),
    *(Terminate("a"), Restart("a")) * 4,
    Alive(),
    Kill("a"),
    Alive(),
    Kill("a"),
    Ended("gave_up"),
    restarts=limit(1),
)
