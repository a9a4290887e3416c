"""Intensity: how many restarts are too many."""

from tests.supervisors.scenarios.vocabulary import (
    ALL,
    Advance,
    Alive,
    Delete,
    Ended,
    Gave,
    Kid,
    Kill,
    Next,
    Restart,
    See,
    Start,
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
row(
    "36",
    "the window has no clock phase: restarts 1.5 periods apart are fine for ever",
    permanent("a"),
    *(Kill("a"), Advance(1.5)) * 6,
    See("+a +a +a +a +a +a +a"),
    Alive(),
    restarts=limit(1, 1.0),
)
row(
    "39 added anew",
    "nor do children that are deleted and added anew",
    permanent("a"),
    *(Terminate("a"), Delete("a"), Start(Kid("a"))) * 3,
    Alive(),
    restarts=limit(0),
)
row(
    "40",
    "the limit is reached while a group starts: those of it that are up are stopped, the rest is not started",
    permanent("a b c"),
    See("+a +b +c"),
    Next("b", ("refuse",)),
    Kill("a"),
    See("-c -b +a !b -a"),
    Ended("gave_up", "'b'"),
    restarts=limit(1),
    **ALL,
)
row(
    "own slow siblings",
    "siblings that take long to stop make the limit unreachable, as in OTP",
    (*permanent("a"), *permanent("b", stop_takes=3.0)),
    *(Kill("a"), Advance(3.0)) * 5,
    Alive(),
    restarts=limit(2),
    **ALL,
)
row(
    "own uptime",
    "a minimum uptime guards against that: restarts after short lives count whatever the time between them",
    (*permanent("a"), *permanent("b", stop_takes=3.0)),
    *(Kill("a"), Advance(3.0)) * 2,
    Alive(),
    Kill("a"),
    Ended("gave_up", "uptime"),
    Gave("a", "uptime", 2),
    restarts=limit(2, min_uptime=1.0),
    **ALL,
)
row(
    "own uptime over",
    "a life of the minimum uptime ends the run of short ones",
    permanent("a"),
    *(Advance(6.0), Kill("a"), Advance(6.0), Kill("a"), Advance(8.0), Kill("a")) * 2,
    Alive(),
    restarts=limit(2, min_uptime=8.0),
)
