"""What a supervisor is told about its children: frozen specifications, checked when they are made."""

import enum
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs

from policies import validation
from policies.restart import RestartPolicy, RestartType, Strategy
from supervisors.hooks import ChildHooks
from supervisors.mailboxes.policy import MailboxPolicy

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.events import GaveUp


class AutoShutdown(enum.Enum):
    """When the end of significant children ends their supervisor (OTP 24, ``auto_shutdown``)."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class ChildKind(enum.Enum):
    """Worker or supervisor: only counted apart, as in OTP."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


class GiveUp(enum.Enum):
    """What a supervisor does when the restart limit is reached."""

    END = "end"
    """Stop the children and end with the kind ``gave_up`` (OTP's way, with its own reason)."""
    PAUSE = "pause"
    """Leave the children down for ``pause`` seconds, then start them again with a cleared window."""


@attrs.frozen
class Ladder:
    """How long each rung of the kill ladder may take, in seconds. It always ends, at the latest with abandonment.

    stop (a polite signal) -> cancel (async actors: cancel the running coroutine) -> release (the killer calls the
    actor's ``release()``, which frees what it is blocked on) -> exception (an asynchronous ``Killed`` in its thread)
    -> abandon (declared dead, fenced).
    """

    stop: float = attrs.field(default=5.0, validator=validation.duration(endless=True))
    cancel: float = attrs.field(default=2.0, validator=validation.duration(endless=True))
    release: float = attrs.field(default=2.0, validator=validation.duration(endless=True))
    exception: float = attrs.field(default=1.0, validator=validation.duration(endless=True))

    @classmethod
    def brutal(cls) -> "Ladder":
        """Start at ``release()``: the stop hook is given no time (OTP ``brutal_kill``)."""
        return cls(stop=0.0, cancel=0.0)

    @property
    def total(self) -> float:
        """Seconds after which the actor is dead or abandoned; infinite for a supervisor that waits for its tree."""
        return self.stop + self.cancel + self.release + self.exception

    def within(self, seconds: float) -> "Ladder":
        """The same ladder, each rung shortened in proportion so that it ends within ``seconds``. One that waits for a
        tree is left as it is: the ladders of the tree shorten it.
        """
        validation.require_duration("Ladder.within: seconds", seconds, endless=True)
        if math.isinf(self.total) or self.total <= seconds:
            return self
        part = seconds / self.total
        return Ladder(self.stop * part, self.cancel * part, self.release * part, self.exception * part)


_WORKER_LADDER = Ladder()
SUPERVISOR_LADDER = Ladder(stop=math.inf)
"""Supervisors wait for their own children, whose ladders end (OTP: ``infinity``)."""


@attrs.frozen
class ChildSpec:
    """One child: how to make it, when to restart it, how to stop it."""

    id: str = attrs.field()
    start: "Callable[[], Actor | None]" = attrs.field()
    """Makes the actor object, not yet running, where the supervisor's messages are handled: it must be quick, as
    ``start_timeout`` does not count for it. What takes time belongs into ``on_start``. None declines the start (OTP
    ``ignore``).
    """
    restart: RestartType = attrs.field(default=RestartType.PERMANENT, validator=validation.member(RestartType))
    ladder: Ladder | None = attrs.field(default=None, validator=validation.instance_of(Ladder, optional=True))
    """None: the default ladder for a worker; unlimited patience with a supervisor."""
    kind: ChildKind = attrs.field(default=ChildKind.WORKER, validator=validation.member(ChildKind))
    significant: bool = attrs.field(default=False, validator=validation.instance_of(bool))
    mailbox: MailboxPolicy | None = attrs.field(
        default=None, validator=validation.instance_of(MailboxPolicy, optional=True)
    )
    """Bound, measures, and whether messages outlive an incarnation. None: a mailbox without bounds, not kept."""
    start_timeout: float = attrs.field(validator=validation.duration(endless=True))
    """Seconds until a child that is not ready counts as refused. Default: 60; infinite for a supervisor, whose own
    children have theirs.
    """

    @start_timeout.default
    def _start_timeout(self) -> float:
        return math.inf if self.kind is ChildKind.SUPERVISOR else 60.0

    hooks: ChildHooks = attrs.field(factory=ChildHooks, validator=validation.instance_of(ChildHooks))
    """What to call in its life."""

    @id.validator
    def _check_id(self, _attribute: "attrs.Attribute[str]", value: Any) -> None:
        if not isinstance(value, str) or not value or "/" in value:
            raise validation.wrong("ChildSpec.id", "a non-empty string without '/'", value)

    @start.validator
    def _check_start(self, _attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if not callable(value):
            raise validation.wrong(f"ChildSpec.start of child {self.id!r}", "callable", value)

    def __attrs_post_init__(self) -> None:
        if self.significant and self.restart is RestartType.PERMANENT:
            raise ValueError(
                f"child {self.id!r}: significant needs restart=TRANSIENT or TEMPORARY, a permanent child never ends"
            )

    @property
    def shutdown(self) -> Ladder:
        """The ladder that applies."""
        if self.ladder is not None:
            return self.ladder
        return SUPERVISOR_LADDER if self.kind is ChildKind.SUPERVISOR else _WORKER_LADDER


def _as_tuple(specs: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    if not isinstance(specs, Iterable):
        raise validation.wrong("SupervisorSpec.children", "an iterable of ChildSpec values", specs)
    return tuple(specs)


@attrs.frozen
class SupervisorSpec:
    """A supervisor: strategy, restart limit and first children, in start order."""

    children: tuple[ChildSpec, ...] = attrs.field(default=(), converter=_as_tuple)
    strategy: Strategy = attrs.field(default=Strategy.ONE_FOR_ONE, validator=validation.member(Strategy))
    restarts: RestartPolicy = attrs.field(factory=RestartPolicy, validator=validation.instance_of(RestartPolicy))
    """Limit and delay of restarts. The window is the supervisor's; backoff and streak are each child's."""
    auto_shutdown: AutoShutdown = attrs.field(default=AutoShutdown.NEVER, validator=validation.member(AutoShutdown))
    on_give_up: GiveUp = attrs.field(default=GiveUp.END, validator=validation.member(GiveUp))
    pause: float = attrs.field(default=60.0, validator=validation.duration())
    """Seconds that ``GiveUp.PAUSE`` leaves the children down."""
    give_up_hook: "Callable[[GaveUp], object] | None" = attrs.field(
        default=None, validator=validation.function(optional=True)
    )
    """Called each time the restart limit is reached, once: with the child, its last reason and the restart times. In
    the supervisor's thread or loop; must be quick. One that raises is logged and changes nothing.
    """
    parallel_stop: bool = attrs.field(default=False, validator=validation.instance_of(bool))
    """Stop children all at once, within the longest of their ladders, instead of one after another in reverse start
    order. For children that do not need each other. Pools always do.
    """
    pool: bool = attrs.field(default=False, validator=validation.instance_of(bool))
    """A dynamic pool: children come and go, stop in parallel, and are forgotten once terminated."""
    max_children: int | None = attrs.field(default=None, validator=validation.integer(1, optional=True))

    def __attrs_post_init__(self) -> None:
        if self.pool and self.strategy is not Strategy.ONE_FOR_ONE:
            raise ValueError(f"a pool is one_for_one, got strategy {self.strategy.name}")
        if self.pool and self.auto_shutdown is not AutoShutdown.NEVER:
            raise ValueError("a pool cannot have auto_shutdown: no child of it is significant")
        if self.max_children is not None and not self.pool:
            raise ValueError("SupervisorSpec.max_children needs pool=True")
        check_child_specs(self.children, self.auto_shutdown)

    @property
    def stops_together(self) -> bool:
        """True if children are stopped all at once."""
        return self.pool or self.parallel_stop


def check_child_specs(specs: Iterable[ChildSpec], auto_shutdown: AutoShutdown = AutoShutdown.NEVER) -> None:
    """Raise ``ValueError`` for what is no ``ChildSpec``, for a duplicate id, or for a combination that OTP calls
    ``bad_combination``.
    """
    if not isinstance(auto_shutdown, AutoShutdown):
        raise validation.wrong("auto_shutdown", f"one of {', '.join(map(str, AutoShutdown))}", auto_shutdown)
    seen: set[str] = set()
    for spec in _as_tuple(specs):
        if not isinstance(spec, ChildSpec):
            raise validation.wrong("SupervisorSpec.children", "ChildSpec values", spec)
        if spec.id in seen:
            raise ValueError(f"duplicate child id {spec.id!r}: ids are unique within a supervisor")
        seen.add(spec.id)
        if spec.significant and auto_shutdown is AutoShutdown.NEVER:
            raise ValueError(f"child {spec.id!r} is significant, but its supervisor has auto_shutdown=NEVER")
