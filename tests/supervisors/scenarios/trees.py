"""Trees: supervisors of supervisors."""

from policies.restart import RestartType
from tests.supervisors.scenarios.vocabulary import (
    ALL,
    ANY_ENDS,
    Alive,
    Delete,
    Ended,
    Kid,
    Kill,
    See,
    Start,
    Stop,
    Terminate,
    Tree,
    limit,
    permanent,
    row,
    transient,
)

_SUB = Tree(permanent("x y"), {"restarts": limit(1)})
row(
    "71",
    "a tree stops in reverse, depth first",
    (Kid("a"), Kid("sup", tree=_SUB), Kid("b")),
    See("+a +x +y +sup +b", "a=up sup=up b=up", "3/3/1/2"),
    Stop(),
    See("-b -y -x -sup -a"),
    Ended("shutdown"),
)
row(
    "73",
    "a sub-supervisor that gives up is restarted by its parent, at one count, from its first children",
    (Kid("a"), Kid("sup", tree=_SUB), Kid("b")),
    See("+a +x +y +sup +b"),
    Kill("sup/x"),
    See("+x"),
    Kill("sup/x"),
    See("-y +x +y +sup", "a=up sup=up b=up", "3/3/1/2"),
    Kill("sup/x"),
    See("+x"),
    Alive(),
    restarts=limit(1),
)
row(
    "75",
    "escalation goes up level by level",
    (Kid("sub", tree=Tree(permanent("x"), {"restarts": limit(0)})),),
    See("+x +sub"),
    Kill("sub/x"),
    See("+x +sub"),
    Kill("sub/x"),
    Ended("gave_up", "'sub'"),
    restarts=limit(1),
)
row(
    "own transient sub",
    "a transient sub-supervisor that gave up is restarted: giving up is abnormal",
    (Kid("sub", RestartType.TRANSIENT, tree=Tree(permanent("x"), {"restarts": limit(0)})),),
    See("+x +sub"),
    Kill("sub/x"),
    See("+x +sub", "sub=up"),
)
row(
    "80 sub",
    "a significant sub-supervisor that shut itself down shuts its parent down",
    (
        Kid("a"),
        Kid("sub", RestartType.TRANSIENT, True, tree=Tree(transient("x", significant=True), ANY_ENDS)),
    ),
    See("+a +x +sub"),
    Kill("sub/x", "normal"),
    See("-a"),
    Ended("shutdown", "'sub'"),
    **ANY_ENDS,
)
row(
    "80 sub plain",
    "one that is not significant does not",
    (Kid("a"), Kid("sub", RestartType.TRANSIENT, tree=Tree(transient("x", significant=True), ANY_ENDS))),
    Kill("sub/x", "normal"),
    See(None, "a=up sub=undefined"),
    Alive(),
)
row(
    "74",
    "a temporary sub-supervisor that gave up is forgotten and counts nothing",
    (Kid("a"), Kid("sub", RestartType.TEMPORARY, tree=Tree(permanent("x y"), {"restarts": limit(0)}))),
    See("+a +x +y +sub"),
    Kill("sub/x"),
    See("-y", "a=up", "1/1/0/1"),
    Alive(),
    restarts=limit(0),
)
row(
    "76",
    "attempts multiply over the levels: limits of 1 and 1 are three restarts of the leaf",
    (Kid("sub", tree=Tree(permanent("x"), {"restarts": limit(1)})),),
    *(Kill("sub/x"), Alive()) * 3,
    See("+x +sub +x +x +sub +x"),
    Kill("sub/x"),
    Ended("gave_up", "'x'"),
    restarts=limit(1),
)
row(
    "own first children",
    "a restarted supervisor starts from its first children: those that were added are gone, deleted ones are back",
    (Kid("sub", tree=Tree(permanent("x y"), {"restarts": limit(0)})),),
    Start(Kid("z"), at="sub"),
    Terminate("y", at="sub"),
    Delete("y", at="sub"),
    See("+x +y +sub +z -y"),
    Kill("sub/x"),
    See("-z +x +y +sub"),
    Stop(),
    See("-y -x -sub"),
)
row(
    "own group of trees",
    "a group restart stops and starts a sub-supervisor with all that is below it",
    (Kid("a"), Kid("sub", tree=Tree(permanent("x y"))), Kid("b")),
    See("+a +x +y +sub +b"),
    Kill("a"),
    See("-b -y -x -sub +a +x +y +sub +b", "a=up sub=up b=up"),
    **ALL,
)
