"""Shutdown: order, time limits, and what cannot disturb it."""

from tests.supervisors.scenarios.vocabulary import (
    REST,
    Advance,
    Ended,
    Kill,
    Next,
    See,
    Stop,
    permanent,
    row,
    slowly,
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
