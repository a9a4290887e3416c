"""What a supervisor has to do, as data: a row is a supervisor, a script of what happens to it, and what is to be seen.

The scripts speak of children and seconds only, never of the supervisor's inside, so that one table serves every way to
run it: the pure core under a virtual clock, and real actors. The rows follow the observed behaviour of the Erlang/OTP
supervisor; rows whose id begins with ``own`` have no counterpart there.

The trace that ``See`` compares: ``+a`` a start of a succeeded, ``!a`` one was refused, ``?a`` one was declined, ``-a``
a was stopped by its supervisor. Children that end by themselves leave no trace.
"""

from typing import Any

import attrs

from policies.backoff import Backoff
from policies.restart import Intensity, RestartPolicy, RestartType, Strategy
from supervisors.spec import AutoShutdown, ChildKind, GiveUp

# ------------------------------------------------------------------------------------------------------- children


@attrs.frozen
class Tree:
    """A supervisor to run."""

    kids: tuple["Kid", ...]
    options: dict[str, Any] = attrs.field(factory=dict)
    """Keyword arguments of ``SupervisorSpec``, without ``children``."""


@attrs.frozen
class Kid:
    """A child: how it is specified and how it behaves."""

    id: str
    restart: RestartType = RestartType.PERMANENT
    significant: bool = False
    starts: tuple[str, ...] = ()
    """What becomes of its first starts: ``ok``, ``refuse`` or ``decline``; later ones are ok."""
    start_takes: float = 0.0
    stop_takes: float = 0.0
    tree: Tree | None = None
    """Its own children, if it is a supervisor."""

    @property
    def kind(self) -> ChildKind:
        return ChildKind.WORKER if self.tree is None else ChildKind.SUPERVISOR


def permanent(ids: str, **behaviour: Any) -> tuple[Kid, ...]:
    """Permanent workers with these ids."""
    return tuple(Kid(one, **behaviour) for one in ids.split())


def transient(ids: str, **behaviour: Any) -> tuple[Kid, ...]:
    """Transient workers with these ids."""
    return permanent(ids, restart=RestartType.TRANSIENT, **behaviour)


def temporary(ids: str, **behaviour: Any) -> tuple[Kid, ...]:
    """Temporary workers with these ids."""
    return permanent(ids, restart=RestartType.TEMPORARY, **behaviour)


# --------------------------------------------------------------------------------------------------------- scripts


@attrs.frozen
class Kill:
    """These children end by themselves, all before the supervisor looks. ``how``: crash, kill, normal or shutdown.

    A child of a sub-supervisor is written ``sub/child``."""

    ids: str
    how: str = "crash"


@attrs.frozen
class Next:
    """What becomes of the next starts of a child; ``then`` of those after them."""

    id: str
    starts: tuple[str, ...]
    then: str = "ok"


@attrs.frozen
class Terminate:
    """Dynamic API, with the code of the expected error. ``wait=False``: the answer is not waited for."""

    id: str
    error: str | None = None
    wait: bool = True


@attrs.frozen
class Restart:
    id: str
    error: str | None = None


@attrs.frozen
class Delete:
    id: str
    error: str | None = None


@attrs.frozen
class Start:
    kid: Kid
    error: str | None = None


@attrs.frozen
class Advance:
    """Time passes."""

    seconds: float


@attrs.frozen
class Stop:
    """The supervisor is asked to stop. ``wait=False``: its end is not waited for."""

    wait: bool = True


@attrs.frozen
class See:
    """What is to be seen since the last look. None: not compared."""

    trace: str | None = None
    children: str | None = None
    """``a=up b=undefined``, all children in start order."""
    counts: str | None = None
    """specs/active/supervisors/workers."""
    took: float | None = None
    """Seconds since the last look, when everything has come to rest."""
    due: float | None = None
    """Seconds until the earliest delayed restart."""


@attrs.frozen
class Alive:
    """The supervisor runs."""


@attrs.frozen
class Ended:
    """The supervisor has ended, with this kind of exit reason and this text in it."""

    kind: str
    text: str = ""


@attrs.frozen
class Gave:
    """The supervisor gave up on a child exactly once, by this rule, with so many restarts on record."""

    child: str
    rule: str
    restarts: int


Action = Kill | Next | Terminate | Restart | Delete | Start | Advance | Stop | See | Alive | Ended | Gave


@attrs.frozen
class Scenario:
    """One row of the table."""

    id: str
    tells: str
    tree: Tree
    script: tuple[Action, ...]

    @property
    def seconds(self) -> float:
        """How long the script makes time pass; a run under the real clock may leave the long ones out."""
        return sum(action.seconds for action in self.script if isinstance(action, Advance))


TABLE: dict[str, Scenario] = {}


def _row(name: str, tells: str, kids: tuple[Kid, ...], *script: Action, **options: Any) -> None:
    options.setdefault("restarts", _limit(3))
    assert name not in TABLE, name
    TABLE[name] = Scenario(name, tells, Tree(kids, options), script)


def _limit(restarts: int, period: float = 5.0) -> RestartPolicy:
    return RestartPolicy.otp(restarts, period)


def _slowly(restarts: int = 100, *, immediate: int = 0, streak: int | None = None) -> RestartPolicy:
    backoff = Backoff(base_delay=0.1, multiplier=2.0, max_delay=0.4, jitter=0.0)
    return RestartPolicy(Intensity(restarts, 5.0), backoff, stable_after=10.0, max_streak=streak, immediate=immediate)


ALL = {"strategy": Strategy.ONE_FOR_ALL}
REST = {"strategy": Strategy.REST_FOR_ONE}
ANY_ENDS = {"auto_shutdown": AutoShutdown.ANY_SIGNIFICANT}
ALL_END = {"auto_shutdown": AutoShutdown.ALL_SIGNIFICANT}

# ------------------------------------------------------------------------------------------------ start and stop

_row(
    "01",
    "children start in order, each when the one before is up",
    permanent("a b c", start_takes=0.1),
    See("+a +b +c", "a=up b=up c=up", "3/3/0/3", took=0.3),
    Alive(),
)
_row("02", "children stop in reverse", permanent("a b c"), See("+a +b +c"), Stop(), See("-c -b -a"), Ended("shutdown"))
_row(
    "03",
    "a refused start at init rolls back those before and starts none after",
    (*permanent("a"), *permanent("b", starts=("refuse",)), *permanent("c")),
    See("+a !b -a"),
    Ended("start_failed", "'b'"),
)
_row(
    "05",
    "a temporary child that refuses at init is no exception",
    (*permanent("a"), *temporary("b", starts=("refuse",)), *permanent("c")),
    See("+a !b -a"),
    Ended("start_failed", "'b'"),
)
_row(
    "06",
    "a declined start is no failure; of a temporary child nothing is kept",
    (*permanent("a", starts=("decline",)), *temporary("b", starts=("decline",)), *permanent("c")),
    See("?a ?b +c", "a=undefined c=up", "2/1/0/2"),
    Alive(),
)
_row(
    "11",
    "a child that dies after its own start but before init is over is restarted after init",
    (*permanent("a"), *permanent("b", start_takes=1.0)),
    See("+a"),
    Kill("a"),
    See("", "a=restarting b=starting", "2/0/0/2"),
    Advance(1.0),
    See("+b +a", "a=up b=up"),
)
_row(
    "11 group",
    "under one_for_all its group restarts after init, at one count for all that had died by then",
    (*permanent("a b"), *temporary("m", significant=True), *permanent("c", start_takes=1.0)),
    Kill("a b m"),
    Advance(1.0),
    See("+a +b +m +c -c +a +b", "a=up b=up c=starting"),
    Advance(1.0),
    See("+c", "a=up b=up c=up"),
    Alive(),
    restarts=_limit(1),
    **ALL,
    **ANY_ENDS,
)
_row(
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
_row(
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
_row(
    "own late start in init",
    "a child added late in init starts after those that are still to come",
    permanent("a b c", start_takes=1.0),
    Advance(1.5),
    Start(Kid("d")),
    See("+a +b +c +d", took=3.0),
)
_row(
    "68 ordered",
    "children stop one after another",
    permanent("a b c", stop_takes=0.1),
    See("+a +b +c"),
    Stop(),
    See("-c -b -a", took=0.3),
    Ended("shutdown"),
)
_row(
    "68 pool",
    "the children of a pool stop side by side",
    transient("a b c", stop_takes=0.1),
    See("+a +b +c"),
    Stop(),
    See(took=0.1),
    Ended("shutdown"),
    pool=True,
)
_row(
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
    restarts=_slowly(),
)
_row(
    "own stop in init",
    "a stop request during init stops those that are up and the one that starts",
    permanent("a b c", start_takes=1.0),
    Advance(1.5),
    See("+a"),
    Stop(),
    See("-b -a"),
    Ended("shutdown"),
)
_row(
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

# --------------------------------------------------------------------------------------------------- restart types

_row(
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
    restarts=_limit(4),
)
_row(
    "14 counts",
    "normal ends of a permanent child count",
    permanent("a"),
    Kill("a", "normal"),
    Kill("a", "shutdown"),
    See("+a +a +a"),
    Kill("a", "normal"),
    See(""),
    Ended("gave_up"),
    restarts=_limit(2),
)
_row(
    "15 normal",
    "a transient child that ends normally stays down, its spec is kept",
    transient("t"),
    Kill("t", "normal"),
    See("+t", "t=undefined", "1/0/0/1"),
    Alive(),
    restarts=_limit(0),
)
_row("15 shutdown", "so does one that shut down", transient("t"), Kill("t", "shutdown"), See("+t", "t=undefined"))
_row("15 crash", "one that crashes is restarted", transient("t"), Kill("t"), See("+t +t", "t=up", "1/1/0/1"))
_row("15 kill", "one that is killed is restarted", transient("t"), Kill("t", "kill"), See("+t +t", "t=up"))
_row("16 normal", "a temporary child is forgotten", temporary("m"), Kill("m", "normal"), See("+m", "", "0/0/0/0"))
_row("16 crash", "even when it crashed", temporary("m"), Kill("m"), See("+m", "", "0/0/0/0"), restarts=_limit(0))
_row(
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
    restarts=_limit(0),
)

# ------------------------------------------------------------------------------------------------------- strategies

_row(
    "18",
    "one_for_one restarts the dead one only",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("+b", "a=up b=up c=up"),
    Delete("b", "running"),
)
_row(
    "19",
    "one_for_all stops the others in reverse and starts all in order",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("-c -a +a +b +c", "a=up b=up c=up"),
    **ALL,
)
_row(
    "20",
    "rest_for_one stops and starts those after the dead one",
    permanent("a b c d"),
    See("+a +b +c +d"),
    Kill("b"),
    See("-d -c +b +c +d", "a=up b=up c=up d=up"),
    **REST,
)
_row(
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
_row(
    "24",
    "the crash of a temporary child triggers no strategy and counts nothing",
    (*permanent("a"), *temporary("m"), *permanent("b")),
    See("+a +m +b"),
    Kill("m"),
    See("", "a=up b=up", "2/2/0/2"),
    restarts=_limit(0),
    **ALL,
)
_row(
    "own temporary bystander",
    "a temporary child in a group is stopped and forgotten",
    (*permanent("a"), *temporary("m"), *permanent("b")),
    See("+a +m +b"),
    Kill("a"),
    See("-b -m +a +b", "a=up b=up"),
    **ALL,
)
_row(
    "24b",
    "a transient child's normal end triggers no strategy",
    (*permanent("a"), *transient("t"), *permanent("b")),
    See("+a +t +b"),
    Kill("t", "normal"),
    See("", "a=up t=undefined b=up"),
    restarts=_limit(0),
    **ALL,
)
_row(
    "26",
    "a group restart brings back a child that was terminated by hand",
    permanent("a b"),
    Terminate("b"),
    See("+a +b -b", "a=up b=undefined"),
    Kill("a"),
    See("+a +b", "a=up b=up"),
    **ALL,
)
_row(
    "26b",
    "and a transient one that had ended normally",
    (*permanent("a"), *transient("t")),
    Kill("t", "normal"),
    See("+a +t", "a=up t=undefined"),
    Kill("a"),
    See("+a +t", "a=up t=up"),
    **ALL,
)
_row(
    "27",
    "one_for_one leaves a terminated child alone",
    permanent("a b"),
    Terminate("b"),
    See("+a +b -b"),
    Kill("a"),
    See("+a", "a=up b=undefined"),
)
_row("29", "a group restart counts once", permanent("a b c d"), Kill("b"), Alive(), restarts=_limit(1), **ALL)
_row(
    "30 all",
    "two dead at once under one_for_all: one count",
    permanent("a b"),
    See("+a +b"),
    Kill("a b"),
    See("+a +b", "a=up b=up"),
    Alive(),
    restarts=_limit(1),
    **ALL,
)
_row(
    "30 rest",
    "under rest_for_one one count if the earlier died first",
    permanent("a b"),
    Kill("a b"),
    Alive(),
    restarts=_limit(1),
    **REST,
)
_row(
    "30 rest later first",
    "two counts if the later died first",
    permanent("a b"),
    Kill("b a"),
    Ended("gave_up", "'a'"),
    restarts=_limit(1),
    **REST,
)
_row(
    "30 one", "two counts under one_for_one", permanent("a b"), Kill("a b"), Ended("gave_up", "'b'"), restarts=_limit(1)
)
_row(
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
_row(
    "own bystander",
    "a child of the group that dies before its turn to stop is no failure of its own",
    (*permanent("a b"), *permanent("c", stop_takes=1.0)),
    See("+a +b +c"),
    Kill("a"),
    Kill("b"),
    Advance(1.0),
    See("-c +a +b +c"),
    Alive(),
    restarts=_limit(1),
    **ALL,
)
_row(
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
    restarts=_limit(2),
    **ALL,
)
_row(
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
    restarts=_limit(2),
    **REST,
)

# -------------------------------------------------------------------------------------------------------- intensity

_row(
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
    restarts=_limit(2),
)
_row(
    "35",
    "restarts further apart than the period are fine for ever",
    permanent("a"),
    Kill("a"),
    Advance(2.1),
    Kill("a"),
    Advance(2.1),
    Kill("a"),
    Alive(),
    restarts=_limit(1, 1.0),
)
_row(
    "35 inclusive",
    "a restart exactly one period ago still counts",
    permanent("a"),
    Kill("a"),
    Advance(1.0),
    Kill("a"),
    Ended("gave_up"),
    restarts=_limit(1, 1.0),
)
_row(
    "37",
    "the count is the supervisor's, not the child's",
    permanent("a b c"),
    Kill("a"),
    Kill("b"),
    Alive(),
    Kill("c"),
    Ended("gave_up", "'c'"),
    restarts=_limit(2),
)
_row(
    "38",
    "an intensity of 0 allows no restart",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("-c -a"),
    Ended("gave_up"),
    Gave("b", "intensity", 1),
    restarts=_limit(0),
)
_row(
    "39",
    "restarts by hand count nothing",
    permanent("a"),
    *(Terminate("a"), Restart("a")) * 4,
    Alive(),
    Kill("a"),
    Alive(),
    Kill("a"),
    Ended("gave_up"),
    restarts=_limit(1),
)

# ------------------------------------------------------------------------------------------------ refused restarts

_row(
    "42",
    "each refused restart counts once",
    permanent("a"),
    See("+a"),
    Next("a", ("refuse", "refuse")),
    Kill("a"),
    See("!a !a +a", "a=up"),
    Alive(),
    Kill("a"),
    Ended("gave_up"),
)
_row(
    "43",
    "a child that always refuses is tried as often as the intensity allows",
    permanent("a b"),
    See("+a +b"),
    Next("a", (), then="refuse"),
    Kill("a"),
    See("!a !a !a -b"),
    Ended("gave_up", "'a'"),
)
_row(
    "44",
    "one_for_all stops what it had restarted and starts all again",
    permanent("a b c"),
    See("+a +b +c"),
    Next("b", ("refuse",)),
    Kill("c"),
    See("-b -a +a !b -a +a +b +c"),
    restarts=_limit(2),
    **ALL,
)
_row(
    "45",
    "rest_for_one keeps those before the refused one and goes on from there",
    permanent("a b c d"),
    See("+a +b +c +d"),
    Next("c", ("refuse",)),
    Kill("b"),
    See("-d -c +b !c +c +d"),
    restarts=_limit(2),
    **REST,
)
_row(
    "46 47",
    "while a restart is refused the child is restarting and those after it are undefined",
    permanent("a b c"),
    See("+a +b +c"),
    Next("b", (), then="refuse"),
    Kill("b"),
    See("-c !b", "a=up b=restarting c=undefined", "3/1/0/3"),
    Start(Kid("b"), "already_present"),
    Restart("b", "restarting"),
    Delete("b", "restarting"),
    Next("b", ()),
    Advance(1.0),
    See("+b +c", "a=up b=up c=up"),
    restarts=_slowly(immediate=1),
    **REST,
)
_row(
    "50",
    "a restart that is declined is not tried again",
    permanent("a"),
    Next("a", ("decline",)),
    Kill("a"),
    See("+a ?a", "a=undefined"),
    Alive(),
    Restart("a"),
    See("+a", "a=up"),
)
_row(
    "51",
    "a refused restart of a transient child is tried again",
    transient("t"),
    Next("t", ("refuse", "refuse")),
    Kill("t"),
    See("+t !t !t +t", "t=up"),
)
_row(
    "54",
    "a pool child that waits for its restart counts as a worker, not as active",
    permanent("a b c"),
    Next("a", (), then="refuse"),
    Next("b", (), then="refuse"),
    Kill("a b"),
    See("+a +b +c !a !b", "a=restarting b=restarting c=up", "3/1/0/3"),
    restarts=_slowly(immediate=1),
    pool=True,
)

# ------------------------------------------------------------------------------------------------------ dynamic API

_row(
    "55",
    "requests about running and unknown children are refused",
    permanent("a"),
    Start(Kid("a"), "already_started"),
    Restart("a", "running"),
    Delete("a", "running"),
    Terminate("x", "not_found"),
    Restart("x", "not_found"),
    Delete("x", "not_found"),
    See("+a", "a=up"),
)
_row(
    "56",
    "a terminated child keeps its spec and can be restarted",
    permanent("a"),
    Terminate("a"),
    See("+a -a", "a=undefined", "1/0/0/1"),
    Terminate("a"),
    Start(Kid("a"), "already_present"),
    Restart("a"),
    See("+a", "a=up"),
)
_row("57", "a deleted child is gone", permanent("a"), Terminate("a"), Delete("a"), See(None, "", "0/0/0/0"))
_row(
    "59",
    "a child restarted by hand keeps its place",
    permanent("a b"),
    Terminate("a"),
    Restart("a"),
    See("+a +b -a +a", "a=up b=up"),
    Stop(),
    See("-b -a"),
)
_row(
    "60",
    "a child that was deleted and started again moves to the end",
    permanent("a b"),
    Terminate("a"),
    Delete("a"),
    Start(Kid("a")),
    See("+a +b -a +a", "b=up a=up"),
    Stop(),
    See("-a -b"),
)
_row(
    "60 many",
    "children that are added stop in reverse, before the first ones",
    permanent("a"),
    *(Start(Kid(name)) for name in ("z", "b", "y", "c")),
    See("+a +z +b +y +c", "a=up z=up b=up y=up c=up"),
    Stop(),
    See("-c -y -b -z -a"),
)
_row(
    "61",
    "a terminated temporary child is forgotten",
    temporary("m"),
    Terminate("m"),
    See("+m -m", "", "0/0/0/0"),
    Restart("m", "not_found"),
    Start(*temporary("m")),
    See("+m", "m=up"),
)
_row(
    "62",
    "a declined start_child keeps the spec unless it is temporary",
    (),
    Start(*permanent("a", starts=("decline",))),
    Start(*temporary("m", starts=("decline",))),
    See("?a ?m", "a=undefined"),
)
_row(
    "own refused start_child",
    "a refused start_child keeps nothing, counts nothing and is not tried again",
    permanent("a"),
    Start(*permanent("b", starts=("refuse",)), "refused"),
    See("+a !b", "a=up"),
    Alive(),
    restarts=_limit(0),
)
_row(
    "own refused restart_child",
    "a refused restart_child leaves the child down, counts nothing and is not tried again",
    permanent("a"),
    Terminate("a"),
    Next("a", ("refuse",)),
    Restart("a", "refused"),
    See("+a -a !a", "a=undefined"),
    Alive(),
    restarts=_limit(0),
)
_row(
    "19c",
    "terminate_child ends a delayed restart",
    permanent("a b"),
    See("+a +b"),
    Kill("b"),
    See("", "a=up b=restarting", due=0.1),
    Terminate("b"),
    See("", "a=up b=undefined"),
    Advance(5.0),
    See("", "a=up b=undefined"),
    restarts=_slowly(),
)
_row(
    "own terminate in group delay",
    "a child terminated while its group waits stays down, the rest comes back",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("-c", "a=up b=restarting c=undefined", due=0.1),
    Terminate("b"),
    Advance(1.0),
    See("+c", "a=up b=undefined c=up"),
    restarts=_slowly(),
    **REST,
)
_row(
    "own terminate while group stops",
    "a child terminated while its group stops is stopped in its turn and stays down",
    (*permanent("a b"), *permanent("c", stop_takes=1.0)),
    See("+a +b +c"),
    Kill("a"),
    Terminate("b"),
    See("-c -b +a +c", "a=up b=undefined c=up"),
    **ALL,
)
_row(
    "own slow terminate",
    "while one child stops the supervisor restarts another",
    (*permanent("a", stop_takes=1.0), *permanent("b")),
    See("+a +b"),
    Terminate("a", wait=False),
    Kill("b"),
    See("+b", "a=stopping b=up", "2/2/0/2"),
    Restart("a", "running"),
    Advance(1.0),
    See("-a", "a=undefined b=up"),
)
_row(
    "own start in group",
    "a child added while a group restarts starts in its turn",
    (*permanent("a"), *permanent("b", stop_takes=1.0)),
    See("+a +b"),
    Kill("a"),
    Start(Kid("c")),
    See("-b +a +b +c", "a=up b=up c=up"),
    **ALL,
)
_row(
    "own restart in group",
    "a child restarted by hand while a group restarts starts in its place",
    (*permanent("a b"), *permanent("c", stop_takes=1.0)),
    Terminate("a"),
    See("+a +b +c -a"),
    Kill("b"),
    Delete("c", "restarting"),
    Restart("a"),
    Advance(1.0),
    See("-c +a +b +c", "a=up b=up c=up"),
    **REST,
)
_row(
    "own group overtakes terminate",
    "a child that is being terminated comes back with its group; who terminated it is answered once",
    (*permanent("a"), *permanent("b", stop_takes=1.0)),
    See("+a +b"),
    Terminate("b", wait=False),
    Kill("a"),
    Advance(1.0),
    See("-b +a +b", "a=up b=up"),
    Terminate("b"),
    See("-b", "a=up b=undefined"),
    **ALL,
)

# -------------------------------------------------------------------------------------------------------- shutdown

_row(
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

# ------------------------------------------------------------------------------------------------------------ trees

_SUB = Tree(permanent("x y"), {"restarts": _limit(1)})
_row(
    "71",
    "a tree stops in reverse, depth first",
    (Kid("a"), Kid("sup", tree=_SUB), Kid("b")),
    See("+a +x +y +sup +b", "a=up sup=up b=up", "3/3/1/2"),
    Stop(),
    See("-b -y -x -sup -a"),
    Ended("shutdown"),
)
_row(
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
    restarts=_limit(1),
)
_row(
    "75",
    "escalation goes up level by level",
    (Kid("sub", tree=Tree(permanent("x"), {"restarts": _limit(0)})),),
    See("+x +sub"),
    Kill("sub/x"),
    See("+x +sub"),
    Kill("sub/x"),
    Ended("gave_up", "'sub'"),
    restarts=_limit(1),
)
_row(
    "own transient sub",
    "a transient sub-supervisor that gave up is restarted: giving up is abnormal",
    (Kid("sub", RestartType.TRANSIENT, tree=Tree(permanent("x"), {"restarts": _limit(0)})),),
    See("+x +sub"),
    Kill("sub/x"),
    See("+x +sub", "sub=up"),
)
_row(
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
_row(
    "80 sub plain",
    "one that is not significant does not",
    (Kid("a"), Kid("sub", RestartType.TRANSIENT, tree=Tree(transient("x", significant=True), ANY_ENDS))),
    Kill("sub/x", "normal"),
    See(None, "a=up sub=undefined"),
    Alive(),
)

# ------------------------------------------------------------------------------------------------------ significant

for _name, _kids, _how in (
    ("77 transient", transient("s", significant=True), "normal"),
    ("77 temporary", temporary("s", significant=True), "normal"),
    ("77 temporary crash", temporary("s", significant=True), "crash"),
):
    _row(
        _name,
        "any_significant: the end of a significant child ends its supervisor",
        (Kid("a"), *_kids, Kid("b")),
        See("+a +s +b"),
        Kill("s", _how),
        See("-b -a"),
        Ended("shutdown", "'s'"),
        **ANY_ENDS,
    )
_row(
    "77 restart",
    "any_significant: a crash of a transient one is a restart",
    (Kid("a"), *transient("s", significant=True)),
    Kill("s"),
    See("+a +s +s"),
    Alive(),
    **ANY_ENDS,
)
_row(
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
_row(
    "78 by hand",
    "all_significant: one terminated by hand neither ends it nor holds it",
    (*transient("s1", significant=True), *temporary("s2", significant=True), Kid("b")),
    Terminate("s2"),
    Alive(),
    Kill("s1", "normal"),
    Ended("shutdown", "'s1'"),
    **ALL_END,
)
_row(
    "78 restarting",
    "all_significant: one that waits for its restart holds it",
    transient("s1 s2", significant=True),
    Kill("s1"),
    Kill("s2", "normal"),
    See("+s1 +s2", "s1=restarting s2=undefined"),
    Advance(1.0),
    Alive(),
    restarts=_slowly(),
    **ALL_END,
)
_row(
    "77 by hand",
    "a significant child terminated by hand ends nothing",
    (*transient("s", significant=True), Kid("b")),
    Terminate("s"),
    See("+s +b -s", "s=undefined b=up"),
    Alive(),
    **ANY_ENDS,
)
_row(
    "77 other",
    "the end of a child that is not significant ends nothing",
    (*transient("s", significant=True), *transient("t")),
    Kill("t", "normal"),
    See("+s +t", "s=up t=undefined"),
    Alive(),
    **ANY_ENDS,
)
_row(
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

# ------------------------------------------------------------------------------------------------------------ pools

_row(
    "81",
    "a terminated pool child is forgotten",
    permanent("a b c"),
    See(None, None, "3/3/0/3"),
    Terminate("a"),
    See(None, "b=up c=up", "2/2/0/2"),
    Terminate("a", "not_found"),
    Restart("a", "not_found"),
    Restart("b", "running"),
    Delete("b", "running"),
    pool=True,
)
_row(
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
_row(
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
    restarts=_slowly(),
)

# ----------------------------------------------------------------------------------------- beyond OTP: delays, pause

_row(
    "84",
    "restarts are delayed more and more, up to the cap, and the due time is visible",
    permanent("a"),
    See("+a"),
    *(
        step
        for delay in (0.1, 0.2, 0.4, 0.4, 0.4)
        for step in (Kill("a"), See("", "a=restarting", "1/0/0/1", due=delay), Advance(delay), See("+a"))
    ),
    restarts=_slowly(),
)
_row(
    "85",
    "after a stable life the delay begins anew; so it does after a restart by hand",
    permanent("a"),
    Kill("a"),
    Advance(0.1),
    Kill("a"),
    See(due=0.2),
    Advance(11.0),
    Kill("a"),
    See(due=0.1),
    Advance(0.1),
    Kill("a"),
    See(due=0.2),
    Terminate("a"),
    Restart("a"),
    Kill("a"),
    See(due=0.1),
    restarts=_slowly(),
)
_row(
    "own group delay",
    "a delayed group is stopped at once, only its start waits",
    permanent("a b c"),
    See("+a +b +c"),
    Kill("b"),
    See("-c -a", "a=undefined b=restarting c=undefined", took=0.0, due=0.1),
    Advance(0.1),
    See("+a +b +c"),
    restarts=_slowly(),
    **ALL,
)
_row(
    "own group delay joined",
    "a survivor that crashes during the delay joins the group, which waits for the longest of the delays",
    permanent("a b c"),
    Kill("b"),
    Advance(0.1),
    See("+a +b +c -c +b +c"),
    Kill("b"),
    See("-c", "a=up b=restarting c=undefined", due=0.2),
    Kill("a"),
    See("", "a=restarting b=restarting c=undefined", due=0.2),
    Advance(0.2),
    See("+a +b +c"),
    restarts=_slowly(),
    **REST,
)
_row(
    "own group delay kept",
    "a survivor that would restart at once waits for the delay of the group it joins",
    permanent("a b c"),
    Kill("b"),
    Kill("b"),
    See("+a +b +c -c +b +c -c", due=0.1),
    Kill("a"),
    See("", "a=restarting b=restarting c=undefined", due=0.1),
    Advance(0.1),
    See("+a +b +c"),
    Kill("c"),
    See("+c"),
    restarts=_slowly(immediate=1),
    **REST,
)
_row(
    "own delayed crashes",
    "a crash after a delayed restart counts",
    permanent("a"),
    *(Kill("a"), Advance(0.5)) * 2,
    Alive(),
    Kill("a"),
    Ended("gave_up"),
    Gave("a", "intensity", 3),
    restarts=_slowly(2),
)
_row(
    "own streak",
    "a slow crash loop that never fills the window ends by the streak limit",
    permanent("a b"),
    *(Kill("a"), Advance(6.0)) * 4,
    See("+a +b +a +a +a +a"),
    Alive(),
    Kill("a"),
    See("-b"),
    Ended("gave_up", "streak"),
    Gave("a", "streak", 1),
    restarts=_slowly(streak=4),
)
_row(
    "own delayed refusals",
    "refused retries that had been delayed do not use up the intensity, but grow the delay",
    permanent("a"),
    Next("a", ("refuse", "refuse", "refuse")),
    Kill("a"),
    Advance(0.1),
    See("+a !a", due=0.2),
    Advance(0.6),
    See("!a !a", due=0.4),
    Advance(0.4),
    See("+a"),
    Alive(),
    restarts=_slowly(1),
)
_row(
    "88 end",
    "giving up is told once, with the restart times",
    permanent("a b"),
    Kill("a"),
    Kill("a"),
    Gave("a", "intensity", 2),
    Ended("gave_up", "boom"),
    restarts=_limit(1),
)
_row(
    "88 pause",
    "with a pause the children stay down for a while and come back with a cleared window",
    permanent("a b c"),
    Terminate("a"),
    Kill("b"),
    See("+a +b +c -a +b"),
    Kill("b"),
    Gave("b", "intensity", 2),
    See("-c", "a=undefined b=restarting c=undefined", due=60.0),
    Advance(59.0),
    See("", "a=undefined b=restarting c=undefined"),
    Advance(1.0),
    See("+b +c", "a=undefined b=up c=up"),
    Kill("b"),
    See("+b"),
    Alive(),
    restarts=_limit(1, 1000.0),
    on_give_up=GiveUp.PAUSE,
    pause=60.0,
)
_row(
    "88 pause stop",
    "a stop request during the pause wins",
    permanent("a b"),
    Kill("b"),
    See("+a +b -a"),
    Stop(),
    See("", took=0.0),
    Ended("shutdown"),
    restarts=_limit(0),
    on_give_up=GiveUp.PAUSE,
)
_row(
    "88 pause terminate",
    "a child terminated during the pause stays down",
    permanent("a b"),
    Kill("b"),
    Terminate("b"),
    Advance(60.0),
    See("+a +b -a +a", "a=up b=undefined"),
    restarts=_limit(0),
    on_give_up=GiveUp.PAUSE,
)
_row(
    "88 pause terminated before",
    "a child that was being terminated when the pause began stays down",
    (*permanent("a", stop_takes=1.0), *permanent("b")),
    Terminate("a", wait=False),
    Kill("b"),
    Advance(60.0),
    See("+a +b -a +b", "a=undefined b=up"),
    restarts=_limit(0),
    on_give_up=GiveUp.PAUSE,
)
_row(
    "88 pause delayed",
    "a child that waited for its restart waits for the end of the pause",
    permanent("a b"),
    Kill("a"),
    Kill("b"),
    See("+a +b", "a=restarting b=restarting", due=60.0),
    Advance(59.0),
    See(""),
    Advance(1.0),
    See("+a +b"),
    restarts=_slowly(1),
    on_give_up=GiveUp.PAUSE,
)
_row(
    "88 pause streak",
    "a pause ends streaks",
    permanent("a"),
    Kill("a"),
    Advance(0.1),
    Kill("a"),
    Gave("a", "streak", 2),
    Advance(60.0),
    See("+a +a +a"),
    Kill("a"),
    See("", due=0.1),
    restarts=_slowly(streak=1),
    on_give_up=GiveUp.PAUSE,
)
