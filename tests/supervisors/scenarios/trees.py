"""Trees: supervisors of supervisors."""

from policies.restart import RestartType
from tests.supervisors.scenarios.vocabulary import (
    ANY_ENDS,
    Alive,
    Ended,
    Kid,
    Kill,
    See,
    Stop,
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
