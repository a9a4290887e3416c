"""The vocabulary of the scenario table: children, what happens to them, and what is to be seen.

The scripts speak of children and seconds only, never of the supervisor's inside, so that one table serves every way to
run it.
"""

from typing import Any

import attrs

from policies.backoff import Backoff
from policies.restart import Intensity, RestartPolicy, RestartType, Strategy
from supervisors.spec import AutoShutdown, ChildKind

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
    """What becomes of its first starts: ``ok``, ``refuse``, ``raise`` (its start function does) or ``decline``; later
    ones are ok."""
    start_takes: float = 0.0
    stop_takes: float = 0.0
    stops: str = "shutdown"
    """How it ends when it is told to stop: ``shutdown``, ``crash`` (its stop hook raises) or ``never`` (it is abandoned
    by the kill ladder, ``LADDER_TAKES`` seconds later)."""
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


LADDER_TAKES = 8.0
"""Seconds until the default kill ladder has abandoned a child that never stops: 5 stop, 2 release, 1 exception."""

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
    at: str = ""
    """The sub-supervisor that is asked; nothing: the supervisor of the row."""
    by_ref: bool = False
    """The child is named by its reference."""
    by: str = ""
    """The child whose code asks; nothing: somebody else."""


@attrs.frozen
class Restart:
    id: str
    error: str | None = None
    wait: bool = True


@attrs.frozen
class Delete:
    id: str
    error: str | None = None
    at: str = ""


@attrs.frozen
class Start:
    kid: Kid
    error: str | None = None
    at: str = ""


@attrs.frozen
class Reset:
    """Forget failures: of one child, or of all and of the supervisor."""

    id: str | None = None
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


Action = Kill | Next | Terminate | Restart | Delete | Start | Reset | Advance | Stop | See | Alive | Ended | Gave


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
"""All rows by their id. The modules of this package fill it."""

# ------------------------------------------------------------------------------------------------------------ rows


def row(name: str, tells: str, kids: tuple[Kid, ...], *script: Action, **options: Any) -> None:
    """Add a row. ``options`` are those of ``SupervisorSpec``; the limit is 3 restarts in 5 s unless said."""
    options.setdefault("restarts", limit(3))
    assert name not in TABLE, name
    TABLE[name] = Scenario(name, tells, Tree(kids, options), script)


def limit(restarts: int, period: float = 5.0, *, min_uptime: float = 0.0) -> RestartPolicy:
    """OTP's rule: so many restarts in ``period`` seconds, at once."""
    return attrs.evolve(RestartPolicy.otp(restarts, period), min_uptime=min_uptime)


def slowly(restarts: int = 100, *, immediate: int = 0, streak: int | None = None) -> RestartPolicy:
    """Delays of 0.1, 0.2, 0.4, 0.4, ... seconds after the first ``immediate`` restarts."""
    backoff = Backoff(base_delay=0.1, multiplier=2.0, max_delay=0.4, jitter=0.0)
    return RestartPolicy(Intensity(restarts, 5.0), backoff, stable_after=10.0, max_streak=streak, immediate=immediate)


ALL = {"strategy": Strategy.ONE_FOR_ALL}
REST = {"strategy": Strategy.REST_FOR_ONE}
ANY_ENDS = {"auto_shutdown": AutoShutdown.ANY_SIGNIFICANT}
ALL_END = {"auto_shutdown": AutoShutdown.ALL_SIGNIFICANT}
