"""The state of a supervisor as a frozen value, and what can be read from it.

Reading never waits for anything: ``which_children`` answers while children start, stop or wait for a delayed restart.
"""

import enum
from operator import attrgetter

import attrs

from policies.restart import RestartState, RestartType
from policies.restart_window import RestartWindow
from supervisors.core.table import Table
from supervisors.core.transitions import ChildInfo, RestartChild, StartChild, SupervisorError
from supervisors.exits import ExitReason
from supervisors.spec import ChildKind, ChildSpec, SupervisorSpec


class Phase(enum.Enum):
    """The life of a supervisor. It only moves forward."""

    NEW = "new"
    """Before ``Init``."""
    INIT = "init"
    """The first children start, one after another; a refused start rolls them back."""
    RUNNING = "running"
    STOPPING = "stopping"
    """The children are stopped, one after another; nothing is started any more."""
    ENDED = "ended"
    """``Exit`` was commanded."""


class Status(enum.Enum):
    """What a child does, as the core sees it."""

    UNDEFINED = "undefined"
    """Down, and nothing will start it but a request or a group restart (OTP's word)."""
    QUEUED = "queued"
    """Down, waits for its turn in the plan."""
    DELAYED = "delayed"
    """Down, waits for its own restart timer (one_for_one)."""
    FALLEN = "fallen"
    """Ended while the supervisor was still in ``INIT``: an ordinary restart once that is over."""
    STARTING = "starting"
    UP = "up"
    CONDEMNED = "condemned"
    """Alive; the plan stops it when its turn comes."""
    STOPPING = "stopping"
    """Alive; it was told to stop."""

    @property
    def alive(self) -> bool:
        """True if an attempt of the child exists, or may exist."""
        return self in _ALIVE


_ALIVE = (Status.STARTING, Status.UP, Status.CONDEMNED, Status.STOPPING)


@attrs.frozen
class Child:
    """One row of the child table."""

    spec: ChildSpec
    position: int
    """Start order. Kept over restarts; a deleted child that is added again moves to the end."""
    status: Status = Status.UNDEFINED
    attempt: int = 0
    """The number of its latest start; 0 if there was none."""
    times_up: int = 0
    """How many attempts became ready."""
    failed: ExitReason | None = None
    """The failure it is recovering from, until it is up again."""
    due: float | None = None
    """When its delayed restart is due. Kept until it is up: an attempt with a due time was a delayed one."""
    history: RestartState = attrs.field(factory=RestartState)
    """Its streak and backoff. The restart window is the supervisor's."""
    comes_back: bool = False
    """To be queued once it is down; said of those that are to be stopped only."""
    starter: StartChild | RestartChild | None = None
    """The request to answer when it is up."""
    stoppers: tuple[int, ...] = ()
    """The requests to answer when it is down."""

    @property
    def id(self) -> str:
        """The id in its specification."""
        return self.spec.id

    # What every restart and every stop goes through, field by field: ``attrs.evolve`` takes three times as long.

    def ending(self, status: Status, *, comes_back: bool) -> "Child":
        """The row of a living child that is to end, or was told to: ``CONDEMNED`` or ``STOPPING``."""
        return Child(
            self.spec,
            self.position,
            status,
            self.attempt,
            self.times_up,
            self.failed,
            self.due,
            self.history,
            comes_back,
            self.starter,
            self.stoppers,
        )

    def failing(self, reason: ExitReason, due: float | None, history: RestartState) -> "Child":
        """The row of a child that has to be started again."""
        return Child(
            self.spec,
            self.position,
            Status.QUEUED,
            self.attempt,
            self.times_up,
            reason,
            due,
            history,
            self.comes_back,
            self.starter,
            self.stoppers,
        )

    def starting(self, attempt: int) -> "Child":
        """The row of a child that is started."""
        return Child(
            self.spec,
            self.position,
            Status.STARTING,
            attempt,
            self.times_up,
            self.failed,
            self.due,
            self.history,
            self.comes_back,
            self.starter,
            self.stoppers,
        )

    def up(self, history: RestartState) -> "Child":
        """The row of a child that has come up: it recovers from nothing, and whoever asked for it is answered."""
        return Child(
            self.spec,
            self.position,
            Status.UP,
            self.attempt,
            self.times_up + 1,
            None,
            None,
            history,
            self.comes_back,
            None,
            self.stoppers,
        )


@attrs.frozen
class Plan:
    """Ordered work: stop some children one after another, wait until ``due``, start some one after another.

    Init, group restart, pause and shutdown are all plans; at most one is under way. What becomes of a child is written
    in its own status, the plan only holds the order and how far it has come.
    """

    stops: tuple[str, ...] = ()
    """In reverse start order."""
    starts: tuple[str, ...] = ()
    """In start order."""
    due: float | None = None
    """Earliest time of the first start, monotonic seconds; None once it has passed."""
    why: str = ""
    """Told to the children that are stopped."""
    stopped: int = 0
    """How many of ``stops`` are down."""
    started: int = 0
    """How many of ``starts`` are through."""
    timer_set: bool = False

    @property
    def done(self) -> bool:
        """True if nothing of it is left."""
        return self.stopped == len(self.stops) and self.started == len(self.starts) and self.due is None


@attrs.frozen
class SupervisorState:
    """Everything a supervisor knows. A value: stepping from it leaves it as it was."""

    spec: SupervisorSpec
    path: str
    children: Table[Child]
    phase: Phase = Phase.NEW
    window: RestartWindow = attrs.field(factory=RestartWindow)
    """The counted restarts."""
    plan: Plan | None = None
    fallen: tuple[str, ...] = ()
    """Children with status ``FALLEN``, in the order of their ends."""
    exit: ExitReason | None = None
    """Why the supervisor ends, from ``STOPPING`` on."""
    init_failed: bool = False
    """A first child refused: the exit is announced by ``InitFailed``."""
    leaked: tuple[str, ...] = ()
    """Paths of those that would not stop while the supervisor ended."""
    next_attempt: int = 1
    next_position: int = 0


def initial(spec: SupervisorSpec, path: str) -> SupervisorState:
    """The state before ``Init``: all children of ``spec`` known, none started.

    ``path`` names the supervisor in reports, its children are ``{path}/{id}``.
    """
    children = {child.id: Child(child, position) for position, child in enumerate(spec.children)}
    return SupervisorState(spec, path, Table[Child]().updated(children), next_position=len(children))


def which_children(state: SupervisorState) -> tuple[ChildInfo, ...]:
    """All children in start order."""
    return tuple(_info(state, child) for child in sorted(state.children, key=attrgetter("position")))


def count_children(state: SupervisorState) -> dict[str, int]:
    """Numbers of ``specs``, ``active`` (alive and once started), ``supervisors`` and ``workers``, as in OTP.

    Children that wait for a restart count in all but ``active``.
    """
    supervisors = sum(child.spec.kind is ChildKind.SUPERVISOR for child in state.children)
    active = sum(child.status.alive and child.status is not Status.STARTING for child in state.children)
    return {
        "specs": len(state.children),
        "active": active,
        "supervisors": supervisors,
        "workers": len(state.children) - supervisors,
    }


def child_spec(state: SupervisorState, child: str) -> ChildSpec:
    """The specification of a child, with its defaults filled in; ``SupervisorError`` ``not_found`` if unknown."""
    row = state.children.get(child)
    if row is None:
        raise not_found(state.path, child)
    return row.spec


def not_found(path: str, child: str) -> SupervisorError:
    """The error for an id that the supervisor at ``path`` does not know."""
    return SupervisorError("not_found", f"supervisor {path} has no child {child!r}; which_children lists those it has")


def forgets(spec: SupervisorSpec, child: Child) -> bool:
    """True if nothing of the child is kept once it is down: temporary children and those of a pool."""
    return spec.pool or child.spec.restart is RestartType.TEMPORARY


def _info(state: SupervisorState, child: Child) -> ChildInfo:
    return ChildInfo(
        id=child.id,
        status=_word(child),
        kind=child.spec.kind.value,
        restarts=max(0, child.times_up - 1),
        due=_due(state, child),
    )


def _word(child: Child) -> str:
    if child.status.alive:
        return "stopping" if child.status is Status.CONDEMNED else child.status.value
    waits = child.status is not Status.UNDEFINED and child.failed is not None
    return "restarting" if waits else "undefined"


def _due(state: SupervisorState, child: Child) -> float | None:
    if child.status is Status.DELAYED:
        return child.due
    if child.status is Status.QUEUED and state.plan is not None:
        return state.plan.due
    return None
