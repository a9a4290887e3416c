"""Restart types: who is restarted after which end."""

from tests.supervisors.scenarios.vocabulary import (
    Alive,
    Ended,
    Kill,
    See,
    limit,
    permanent,
    row,
    temporary,
    transient,
)

row(
    "14",
    "a permanent child is restarted whatever its end",
    permanent("a"),
    See("+a"),
    Kill("a", "normal"),
    See("+a"),
    Kill("a", "shutdown"),
    See("+a"),
    Kill("a", "crash"),
    See("+a"),
    Kill("a", "kill"),
    See("+a", "a=up"),
    restarts=limit(4),
)
row(
    "14 counts",
    "normal ends of a permanent child count",
    permanent("a"),
    Kill("a", "normal"),
    Kill("a", "shutdown"),
    See("+a +a +a"),
    Kill("a", "normal"),
    See(""),
    Ended("gave_up"),
    restarts=limit(2),
)
row(
    "15 normal",
    "a transient child that ends normally stays down, its spec is kept",
    transient("t"),
    Kill("t", "normal"),
    See("+t", "t=undefined", "1/0/0/1"),
    Alive(),
    restarts=limit(0),
)
row("15 shutdown", "so does one that shut down", transient("t"), Kill("t", "shutdown"), See("+t", "t=undefined"))
row("15 crash", "one that crashes is restarted", transient("t"), Kill("t"), See("+t +t", "t=up", "1/1/0/1"))
row("15 kill", "one that is killed is restarted", transient("t"), Kill("t", "kill"), See("+t +t", "t=up"))
row("16 normal", "a temporary child is forgotten", temporary("m"), Kill("m", "normal"), See("+m", "", "0/0/0/0"))
row("16 crash", "even when it crashed", temporary("m"), Kill("m"), See("+m", "", "0/0/0/0"), restarts=limit(0))
row(
    "17",
    "ends that restart nothing count nothing",
    (*transient("t"), *temporary("m"), *permanent("p")),
    See("+t +m +p"),
    Kill("t", "normal"),
    Kill("m"),
    See("", "t=undefined p=up", "2/1/0/2"),
    Kill("p", "normal"),
    See(""),
    Ended("gave_up"),
    restarts=limit(0),
)
row("16 kill", "or was killed", temporary("m"), Kill("m", "kill"), See("+m", "", "0/0/0/0"), restarts=limit(0))
row(
    "16 mixed",
    "each child is restarted by its own type",
    (*permanent("p"), *transient("t"), *temporary("m")),
    See("+p +t +m"),
    Kill("p t m", "normal"),
    See("+p", "p=up t=undefined"),
)
