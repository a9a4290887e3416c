"""Pools."""

from tests.supervisors.scenarios.vocabulary import (
    Delete,
    Ended,
    Kid,
    Kill,
    Next,
    Restart,
    See,
    Start,
    Stop,
    Terminate,
    permanent,
    row,
    slowly,
    transient,
)

row(
    "68 pool",
    "the children of a pool stop side by side",
    transient("a b c", stop_takes=0.1),
    See("+a +b +c"),
    Stop(),
    See(took=0.1),
    Ended("shutdown"),
    pool=True,
)
row(
    "81",
    "a terminated pool child is forgotten",
    permanent("a b c"),
    See(None, None, "3/3/0/3"),
    Terminate("a"),
    See(None, "b=up c=up", "2/2/0/2"),
    Terminate("a", "not_found"),
    Restart("a", "simple_one_for_one"),
    Restart("b", "simple_one_for_one"),
    Delete("b", "simple_one_for_one"),
    pool=True,
)
row(
    "82",
    "of a pool child whose start or restart is declined nothing is kept",
    permanent("a"),
    Start(*permanent("b", starts=("decline",))),
    See("+a ?b", "a=up"),
    Next("a", ("decline",)),
    Kill("a"),
    See("?a", ""),
    pool=True,
)
row(
    "83",
    "a full pool takes no more until one has ended; restarting ones take a place",
    transient("a b"),
    Start(Kid("c"), "max_children"),
    See(None, None, "2/2/0/2"),
    Kill("a"),
    See(None, "a=restarting b=up"),
    Start(Kid("c"), "max_children"),
    Kill("b", "normal"),
    Start(Kid("c")),
    See(None, "a=restarting c=up"),
    pool=True,
    max_children=2,
    restarts=slowly(),
)
