"""Strategies: who is restarted with whom, in which order, at which count."""

from tests.supervisors.scenarios.vocabulary import (
    ALL,
    REST,
    Advance,
    Alive,
    Delete,
    Ended,
    Gave,
    Kill,
    See,
    Stop,
    Terminate,
    limit,
    permanent,
    row,
    temporary,
    transient,
)

row(
    "18",
    "one_for_one restarts the dead one only",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("+b", "a=up b=up c=up"),
    Delete("b", "running"),
)
row(
    "19",
    "one_for_all stops the others in reverse and starts all in order",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("-c -a +a +b +c", "a=up b=up c=up"),
    **ALL,
)
row(
    "20",
    "rest_for_one stops and starts those after the dead one",
    permanent("a b c d"),
    See("+a +b +c +d"),
    Kill("b"),
    See("-d -c +b +c +d", "a=up b=up c=up d=up"),
    **REST,
)
row(
    "21",
    "rest_for_one with the last, then with the first",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("c"),
    See("+c"),
    Kill("a"),
    See("-c -b +a +b +c"),
    **REST,
)
row(
    "24",
    "the crash of a temporary child triggers no strategy and counts nothing",
    (*permanent("a"), *temporary("m"), *permanent("b")),
    See("+a +m +b"),
    Kill("m"),
    See("", "a=up b=up", "2/2/0/2"),
    restarts=limit(0),
    **ALL,
)
row(
    "own temporary bystander",
    "a temporary child in a group is stopped and forgotten",
    (*permanent("a"), *temporary("m"), *permanent("b")),
    See("+a +m +b"),
    Kill("a"),
    See("-b -m +a +b", "a=up b=up"),
    **ALL,
)
row(
    "24b",
    "a transient child's normal end triggers no strategy",
    (*permanent("a"), *transient("t"), *permanent("b")),
    See("+a +t +b"),
    Kill("t", "normal"),
    See("", "a=up t=undefined b=up"),
    restarts=limit(0),
    **ALL,
)
row(
    "26",
    "a group restart brings back a child that was terminated by hand",
    permanent("a b"),
    Terminate("b"),
    See("+a +b -b", "a=up b=undefined"),
    Kill("a"),
    See("+a +b", "a=up b=up"),
    **ALL,
)
row(
    "26b",
    "and a transient one that had ended normally",
    (*permanent("a"), *transient("t")),
    Kill("t", "normal"),
    See("+a +t", "a=up t=undefined"),
    Kill("a"),
    See("+a +t", "a=up t=up"),
    **ALL,
)
row(
    "27",
    "one_for_one leaves a terminated child alone",
    permanent("a b"),
    Terminate("b"),
    See("+a +b -b"),
    Kill("a"),
    See("+a", "a=up b=undefined"),
)
row("29", "a group restart counts once", permanent("a b c d"), Kill("b"), Alive(), restarts=limit(1), **ALL)
row(
    "29 twice",
    "two group restarts count two",
    permanent("a b c d"),
    Kill("b"),
    Kill("c"),
    Alive(),
    Kill("d"),
    Ended("gave_up", "'d'"),
    Gave("d", "intensity", 3),
    restarts=limit(2),
    **ALL,
)
row(
    "30 all",
    "two dead at once under one_for_all: one count",
    permanent("a b"),
    See("+a +b"),
    Kill("a b"),
    See("+a +b", "a=up b=up"),
    Alive(),
    restarts=limit(1),
    **ALL,
)
row(
    "30 rest",
    "under rest_for_one one count if the earlier died first",
    permanent("a b"),
    Kill("a b"),
    Alive(),
    restarts=limit(1),
    **REST,
)
row(
    "30 rest later first",
    "two counts if the later died first",
    permanent("a b"),
    Kill("b a"),
    Ended("gave_up", "'a'"),
    restarts=limit(1),
    **REST,
)
row("30 one", "two counts under one_for_one", permanent("a b"), Kill("a b"), Ended("gave_up", "'b'"), restarts=limit(1))
row(
    "33",
    "order is that of the list, not of the ids",
    permanent("7 3 10 2 5"),
    See("+7 +3 +10 +2 +5"),
    Kill("10"),
    See("-5 -2 +10 +2 +5"),
    Stop(),
    See("-5 -2 -10 -3 -7"),
    **REST,
)
row(
    "own bystander",
    "a child of the group that dies before its turn to stop is no failure of its own",
    (*permanent("a b"), *permanent("c", stop_takes=1.0)),
    See("+a +b +c"),
    Kill("a"),
    Kill("b"),
    Advance(1.0),
    See("-c +a +b +c"),
    Alive(),
    restarts=limit(1),
    **ALL,
)
row(
    "own crash in group start",
    "a child that dies again while its group still starts is a new failure",
    (*permanent("a b"), *permanent("c", start_takes=1.0)),
    Advance(1.0),
    See("+a +b +c"),
    Kill("a"),
    See("-c -b +a +b", "a=up b=up c=starting"),
    Kill("a"),
    Advance(1.0),
    See("-c -b +a +b +c"),
    restarts=limit(2),
    **ALL,
)
row(
    "own crash while group stops",
    "a child before the group that dies while the group stops widens it, at a count of its own",
    (*permanent("a b"), *permanent("c", stop_takes=1.0)),
    See("+a +b +c"),
    Kill("b"),
    Kill("a"),
    See("", "a=restarting b=restarting c=stopping"),
    Advance(1.0),
    See("-c +a +b +c"),
    Kill("c"),
    Ended("gave_up"),
    restarts=limit(2),
    **REST,
)
row(
    "22",
    "rest_for_one brings back transient children that had ended normally, those after the dead one only",
    (*transient("s"), *permanent("b"), *transient("t")),
    See("+s +b +t"),
    Kill("s", "normal"),
    Kill("t", "normal"),
    Kill("b"),
    See("+b +t", "s=undefined b=up t=up"),
    **REST,
)
row(
    "23",
    "rest_for_one brings back children terminated by hand, those after the dead one only",
    permanent("a b c"),
    See("+a +b +c"),
    Terminate("a"),
    Terminate("c"),
    Kill("b"),
    See("-a -c +b +c", "a=undefined b=up c=up"),
    **REST,
)
row(
    "25",
    "rest_for_one stops and forgets temporary children after the dead one, and leaves those before it alone",
    (*temporary("m"), *permanent("b"), *temporary("n")),
    See("+m +b +n"),
    Kill("b"),
    See("-n +b", "m=up b=up", "2/2/0/2"),
    **REST,
)
row(
    "28",
    "a group of one is restarted as any other",
    permanent("a"),
    Kill("a"),
    See("+a +a", "a=up"),
    Alive(),
    restarts=limit(1),
    **ALL,
)
row(
    "31",
    "two dead at once under rest_for_one, the earlier first: the later is not stopped any more, and one count",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("a c"),
    See("-b +a +b +c", "a=up b=up c=up"),
    Alive(),
    restarts=limit(1),
    **REST,
)
row(
    "32",
    "all dead at once under one_for_all: nobody is stopped, one count",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("c a b"),
    See("+a +b +c"),
    Alive(),
    restarts=limit(1),
    **ALL,
)
row(
    "32 temporary",
    "a temporary child that died at the same time is forgotten and counts nothing",
    (*permanent("a"), *temporary("m"), *permanent("b")),
    See("+a +m +b"),
    Kill("m a"),
    See("-b +a +b", "a=up b=up"),
    Alive(),
    restarts=limit(1),
    **ALL,
)
