"""Shutdown: order, time limits, and what cannot disturb it."""

from tests.supervisors.scenarios.vocabulary import (
    ALL,
    REST,
    Advance,
    Alive,
    Ended,
    Kid,
    Kill,
    Next,
    See,
    Stop,
    Terminate,
    Tree,
    limit,
    permanent,
    row,
    slowly,
    temporary,
)

row("02", "children stop in reverse", permanent("a b c"), See("+a +b +c"), Stop(), See("-c -b -a"), Ended("shutdown"))
row(
    "68 ordered",
    "children stop one after another",
    permanent("a b c", stop_takes=0.1),
    See("+a +b +c"),
    Stop(),
    See("-c -b -a", took=0.3),
    Ended("shutdown"),
)
row(
    "19b stop",
    "a stop request during a restart loop wins",
    permanent("a b"),
    See("+a +b"),
    Next("b", (), then="refuse"),
    Kill("b"),
    Advance(0.1),
    See("!b", "a=up b=restarting"),
    Stop(),
    See("-a"),
    Ended("shutdown"),
    Advance(10.0),
    See(""),
    restarts=slowly(),
)
row(
    "own stop in init",
    "a stop request during init stops those that are up and the one that starts",
    permanent("a b c", start_takes=1.0),
    Advance(1.5),
    See("+a"),
    Stop(),
    See("-b -a"),
    Ended("shutdown"),
)
row(
    "own stop in group",
    "a stop request while a group stops goes on from there",
    permanent("a b c", stop_takes=1.0),
    See("+a +b +c"),
    Kill("b"),
    Advance(0.5),
    Stop(),
    See("-c -a", took=2.0),
    Ended("shutdown"),
    **REST,
)
row(
    "70",
    "a child that crashes while the others stop changes nothing",
    (*permanent("a b"), *permanent("c", stop_takes=1.0)),
    See("+a +b +c"),
    Stop(wait=False),
    Kill("a"),
    Advance(1.0),
    See("-c -b"),
    Ended("shutdown"),
)
row(
    "68 parallel",
    "with parallel_stop the children stop side by side, within the longest of their times",
    (*permanent("a", stop_takes=1.0), *permanent("b", stop_takes=3.0), *permanent("c", stop_takes=2.0)),
    See("+a +b +c"),
    Stop(),
    See("-a -c -b", took=3.0),
    Ended("shutdown"),
    parallel_stop=True,
)
row(
    "68 parallel group",
    "so does a group that restarts; it starts in order",
    (*permanent("a"), *permanent("b", stop_takes=1.0), *permanent("c", stop_takes=2.0)),
    See("+a +b +c"),
    Kill("a"),
    Advance(1.5),
    See("-b", "a=restarting b=undefined c=stopping"),
    Advance(0.5),
    See("-c +a +b +c"),
    parallel_stop=True,
    **ALL,
)
row(
    "68 parallel crash",
    "one whose stop hook raises meanwhile is no failure of its own",
    (*permanent("a b", stop_takes=1.0), *permanent("c", stop_takes=0.5, stops="crash")),
    See("+a +b +c"),
    Kill("b"),
    Advance(1.0),
    See("-c -a +a +b +c"),
    Alive(),
    restarts=limit(1),
    parallel_stop=True,
    **ALL,
)
row(
    "68 rollback",
    "a refused start at init rolls back side by side with parallel_stop",
    (*permanent("a", stop_takes=1.0), *permanent("b", stop_takes=2.0), *permanent("c", starts=("refuse",))),
    Advance(2.0),
    See("+a +b !c -a -b"),
    Ended("start_failed", "'c'"),
    parallel_stop=True,
)
row(
    "70 stop hook",
    "a child whose stop hook raises holds up nobody and does not change the reason",
    (*permanent("a"), *permanent("b", stops="crash"), *permanent("c")),
    See("+a +b +c"),
    Stop(),
    See("-c -b -a"),
    Ended("shutdown"),
)
row(
    "70 terminate",
    "terminate_child of a child whose stop hook raises answers that it is down, and counts nothing",
    permanent("a", stops="crash"),
    Terminate("a"),
    See("+a -a", "a=undefined"),
    Alive(),
    restarts=limit(0),
)
row(
    "72 abandoned",
    "a child that would not stop is abandoned after its ladder, the others are stopped, and the reason names it",
    (*permanent("a"), *permanent("b", stops="never"), *permanent("c")),
    See("+a +b +c"),
    Stop(),
    See("-c -a", took=8.0),
    Ended("shutdown", "would not stop: rt/b"),
)
row(
    "72 parallel",
    "with parallel_stop all stop within the longest ladder, however many would not",
    (*permanent("a", stop_takes=1.0), *permanent("b c", stops="never")),
    See("+a +b +c"),
    Stop(),
    See("-a", took=8.0),
    Ended("shutdown", "would not stop: rt/c, rt/b"),
    parallel_stop=True,
)
row(
    "72 rollback",
    "so it is when init is rolled back",
    (*permanent("a", stops="never"), *permanent("b", starts=("refuse",))),
    Advance(8.0),
    See("+a !b"),
    Ended("start_failed", "would not stop: rt/a"),
)
row(
    "72 group",
    "one that would not stop for its group is replaced, and is not told again at the end",
    (*permanent("a"), *permanent("b", stops="never"), *temporary("m", stops="never")),
    See("+a +b +m"),
    Terminate("m"),
    Kill("a"),
    Advance(8.0),
    See("+a +b", "a=up b=up", took=16.0),
    Stop(),
    See("-a", took=8.0),
    Ended("shutdown", "would not stop: rt/b"),
    **ALL,
)
row(
    "72 tree",
    "who would not stop is told up the tree",
    (Kid("a"), Kid("sub", tree=Tree(permanent("x", stops="never"))), Kid("b")),
    See("+a +x +sub +b"),
    Stop(),
    See("-b -sub -a", took=8.0),
    Ended("shutdown", "would not stop: rt/sub/x"),
)
