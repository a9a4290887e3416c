"""Significant children and auto_shutdown."""

from tests.supervisors.scenarios.vocabulary import (
    ALL,
    ALL_END,
    ANY_ENDS,
    REST,
    Advance,
    Alive,
    Ended,
    Kid,
    Kill,
    Restart,
    See,
    Terminate,
    permanent,
    row,
    slowly,
    temporary,
    transient,
)

for _name, _kids, _how in (
    ("77 transient", transient("s", significant=True), "normal"),
    ("77 temporary", temporary("s", significant=True), "normal"),
    ("77 temporary crash", temporary("s", significant=True), "crash"),
):
    row(
        _name,
        "any_significant: the end of a significant child ends its supervisor",
        (Kid("a"), *_kids, Kid("b")),
        See("+a +s +b"),
        Kill("s", _how),
        See("-b -a"),
        Ended("shutdown", "'s'"),
        **ANY_ENDS,
    )
row(
    "77 restart",
    "any_significant: a crash of a transient one is a restart",
    (Kid("a"), *transient("s", significant=True)),
    Kill("s"),
    See("+a +s +s"),
    Alive(),
    **ANY_ENDS,
)
row(
    "78",
    "all_significant: the end of the last one ends the supervisor",
    (*transient("s1", significant=True), *temporary("s2", significant=True), Kid("b")),
    See("+s1 +s2 +b"),
    Kill("s1", "normal"),
    See("", None, "3/2/0/3"),
    Alive(),
    Kill("s2"),
    See("-b"),
    Ended("shutdown", "'s2'"),
    **ALL_END,
)
row(
    "78 by hand",
    "all_significant: one terminated by hand neither ends it nor holds it",
    (*transient("s1", significant=True), *temporary("s2", significant=True), Kid("b")),
    Terminate("s2"),
    Alive(),
    Kill("s1", "normal"),
    Ended("shutdown", "'s1'"),
    **ALL_END,
)
row(
    "78 restarting",
    "all_significant: one that waits for its restart holds it",
    transient("s1 s2", significant=True),
    Kill("s1"),
    Kill("s2", "normal"),
    See("+s1 +s2", "s1=restarting s2=undefined"),
    Advance(1.0),
    Alive(),
    restarts=slowly(),
    **ALL_END,
)
row(
    "77 by hand",
    "a significant child terminated by hand ends nothing",
    (*transient("s", significant=True), Kid("b")),
    Terminate("s"),
    See("+s +b -s", "s=undefined b=up"),
    Alive(),
    **ANY_ENDS,
)
row(
    "77 other",
    "the end of a child that is not significant ends nothing",
    (*transient("s", significant=True), *transient("t")),
    Kill("t", "normal"),
    See("+s +t", "s=up t=undefined"),
    Alive(),
    **ANY_ENDS,
)
row(
    "78 coming back",
    "all_significant: one that is stopped only to come back holds it",
    (*transient("s1", significant=True), *permanent("b"), *transient("s2", significant=True, stop_takes=1.0)),
    Kill("b"),
    Kill("s1", "normal"),
    Advance(1.0),
    See("+s1 +b +s2 -s2 +b +s2", "s1=undefined b=up s2=up"),
    Alive(),
    **REST,
    **ALL_END,
)
row(
    "77 shutdown",
    "any_significant: a transient one that shut down has ended by itself",
    (Kid("a"), *transient("s", significant=True)),
    Kill("s", "shutdown"),
    See("+a +s -a"),
    Ended("shutdown", "'s'"),
    **ANY_ENDS,
)
row(
    "77 bystander",
    "any_significant: one that is stopped with its group has not ended by itself",
    (Kid("a"), *temporary("m", significant=True), *transient("t", significant=True)),
    See("+a +m +t"),
    Kill("a"),
    See("-t -m +a +t", "a=up t=up"),
    Alive(),
    **ALL,
    **ANY_ENDS,
)
row(
    "77 delayed",
    "any_significant: nobody waits for a restart that is due",
    (Kid("a"), *transient("s", significant=True)),
    Kill("a"),
    Kill("s", "normal"),
    Ended("shutdown", "'s'"),
    Advance(1.0),
    See("+a +s"),
    restarts=slowly(),
    **ANY_ENDS,
)
row(
    "79",
    "all_significant: a crash of the last one is a restart, its normal end is the end",
    (*transient("s1 s2", significant=True), Kid("b")),
    Kill("s1", "normal"),
    Kill("s2"),
    See("+s1 +s2 +b +s2", "s1=undefined s2=up b=up"),
    Alive(),
    Kill("s2", "normal"),
    See("-b"),
    Ended("shutdown", "'s2'"),
    **ALL_END,
)
row(
    "79 restarted",
    "all_significant: one that was restarted by hand holds it again",
    transient("s1 s2", significant=True),
    Kill("s1", "normal"),
    Restart("s1"),
    Kill("s2", "normal"),
    See("+s1 +s2 +s1", "s1=up s2=undefined"),
    Alive(),
    **ALL_END,
)
