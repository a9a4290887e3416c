"""Start: order, refusals and declines at init, requests meanwhile."""

from tests.supervisors.scenarios.vocabulary import (
    ALL,
    ANY_ENDS,
    Advance,
    Alive,
    Delete,
    Ended,
    Gave,
    Kid,
    Kill,
    See,
    Start,
    Terminate,
    limit,
    permanent,
    row,
    temporary,
)

row(
    "01",
    "children start in order, each when the one before is up",
    permanent("a b c", start_takes=0.1),
    See("+a +b +c", "a=up b=up c=up", "3/3/0/3", took=0.3),
    Alive(),
)
row(
    "03",
    "a refused start at init rolls back those before and starts none after",
    (*permanent("a"), *permanent("b", starts=("refuse",)), *permanent("c")),
    See("+a !b -a"),
    Ended("start_failed", "'b'"),
)
row(
    "05",
    "a temporary child that refuses at init is no exception",
    (*permanent("a"), *temporary("b", starts=("refuse",)), *permanent("c")),
    See("+a !b -a"),
    Ended("start_failed", "'b'"),
)
row(
    "06",
    "a declined start is no failure; of a temporary child nothing is kept",
    (*permanent("a", starts=("decline",)), *temporary("b", starts=("decline",)), *permanent("c")),
    See("?a ?b +c", "a=undefined c=up", "2/1/0/2"),
    Alive(),
)
row(
    "11",
    "a child that dies after its own start but before init is over is restarted after init",
    (*permanent("a"), *permanent("b", start_takes=1.0)),
    See("+a"),
    Kill("a"),
    See("", "a=restarting b=starting", "2/0/0/2"),
    Advance(1.0),
    See("+b +a", "a=up b=up"),
)
row(
    "11 group",
    "under one_for_all its group restarts after init, at one count for all that had died by then",
    (*permanent("a b"), *temporary("m", significant=True), *permanent("c", start_takes=1.0)),
    Kill("a b m"),
    Advance(1.0),
    See("+a +b +m +c -c +a +b", "a=up b=up c=starting"),
    Advance(1.0),
    See("+c", "a=up b=up c=up"),
    Alive(),
    restarts=limit(1),
    **ALL,
    **ANY_ENDS,
)
row(
    "own requests in init",
    "requests during init are answered and hurry nothing",
    permanent("a b", start_takes=1.0),
    Advance(0.5),
    Delete("a", "running"),
    Delete("b", "restarting"),
    See("", "a=starting b=undefined"),
    Start(Kid("c")),
    See("+a +b +c"),
)
row(
    "own terminate in init",
    "a child terminated before its turn in init is left out",
    permanent("a b c", start_takes=1.0),
    Terminate("b"),
    Terminate("a"),
    See("-a", "a=undefined b=undefined c=starting"),
    Advance(1.0),
    See("+c"),
    Alive(),
)
row(
    "own late start in init",
    "a child added late in init starts after those that are still to come",
    permanent("a b c", start_takes=1.0),
    Advance(1.5),
    Start(Kid("d")),
    See("+a +b +c +d", took=3.0),
)
row(
    "04",
    "a start function that raises at init is a refused start",
    (*permanent("a"), *permanent("b", starts=("raise",)), *permanent("c")),
    See("+a !b -a"),
    Ended("start_failed", "boom"),
)
row(
    "08",
    "a refused start at init stops what is up, however long that takes, before the supervisor ends",
    (*permanent("a b", stop_takes=1.0), *permanent("c", starts=("refuse",))),
    See("+a +b !c", "a=stopping b=stopping c=undefined"),
    Advance(1.0),
    See("-b"),
    Advance(1.0),
    See("-a"),
    Ended("start_failed", "'c'"),
)
row(
    "11 counts",
    "a death in init counts as any other",
    (*permanent("a"), *permanent("b", start_takes=1.0)),
    Kill("a"),
    Advance(1.0),
    See("+a +b +a"),
    Kill("b"),
    Ended("gave_up", "'b'"),
    Gave("b", "intensity", 2),
    restarts=limit(1),
)
