"""When a supervisor restarts what, and when it gives up: OTP's rules, with backoff and a streak limit on top.

OTP counts restarts in a window and never waits. A supervisor that waits between restarts would by that alone never
reach OTP's limit: a child that dies a second after each start, restarted with backoff up to 60 s, never makes "5 in 60
s". Hence the second limit, the *streak*: restarts in a row without one stable life in between. Every crash loop reaches
one of the two.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeVar

import attrs

from policies.backoff import Backoff
from policies.restart_window import RestartWindow
from policies.validation import CLOCK_LIMIT, instance_of, integer, number, require_integer
from policies.values import JsonValue

T = TypeVar("T")


class RestartType(StrEnum):
    """When a child that ended by itself is started again (OTP child spec, ``restart``)."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Only after an abnormal end."""
    TEMPORARY = "temporary"
    """Never."""

    def wants_restart(self, abnormal: bool) -> bool:
        """Whether a child of this type is restarted after an end that was `abnormal` or not."""
        return self is RestartType.PERMANENT or (abnormal and self is RestartType.TRANSIENT)


class Strategy(StrEnum):
    """Which children a restart takes along (OTP supervisor, ``strategy``)."""

    ONE_FOR_ONE = "one_for_one"
    """The failed one alone."""
    ONE_FOR_ALL = "one_for_all"
    """All of them."""
    REST_FOR_ONE = "rest_for_one"
    """The failed one and those started after it."""

    def affected(self, ids: Sequence[T], failed: T) -> tuple[T, ...]:
        """The ids to restart, in start order and with `failed` among them; `ids` are all children in start order.

        Raises `ValueError` when `failed` is not one of `ids`.
        """
        if failed not in ids:
            raise ValueError(f"{failed!r} is not among the children {tuple(ids)!r}")
        if self is Strategy.ONE_FOR_ONE:
            return (failed,)
        if self is Strategy.ONE_FOR_ALL:
            return tuple(ids)
        return tuple(ids[ids.index(failed) :])


@attrs.frozen
class Intensity:
    """At most `max_restarts` restarts within any `period` seconds (OTP supervisor, ``intensity`` and ``period``)."""

    max_restarts: int = attrs.field(default=3, validator=integer(0, 10_000_000))
    """Restarts that are still fine; 0 means that the first one is too many."""
    period: float = attrs.field(default=5.0, validator=number(0.001, 10_000_000))
    """Length of the window, seconds."""

    @classmethod
    def for_children(cls, children: int) -> Self:
        """The limit for a supervisor of `children` independent children: ``max(5, 2 * children)`` in 60 s.

        One fixed limit would make a big supervisor give up over crashes that have nothing to do with each other.
        """
        require_integer("Intensity.for_children: children", children, 0)
        return cls(max(5, 2 * children), 60.0)

    def record(self, window: RestartWindow, now: float) -> tuple[RestartWindow, bool]:
        """Count a restart at `now` (monotonic seconds): the new window, and whether that was one too many.

        It was, if the restart `max_restarts` before this one is at most `period` ago; exactly `period` ago still counts
        (OTP, without its rounding to whole seconds). The cost grows neither with the limit nor with the restarts.
        """
        window = window.added(now, self.max_restarts + 1, self.period)
        return window, len(window) > self.max_restarts and now - window.oldest <= self.period

    def counted(self, window: RestartWindow, now: float) -> tuple[float, ...]:
        """The times of the restarts that count at `now`, at most ``max_restarts + 1``."""
        return tuple(time for time in window if now - time <= self.period)


class RestartAction(StrEnum):
    """What a supervisor does about a dead child."""

    RESTART = "restart"
    GIVE_UP = "give_up"


@attrs.frozen
class RestartDecision(JsonValue):
    """Whether to restart, and when."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"action": RestartAction}

    action: RestartAction
    """Restart, or give up and end."""
    delay: float = 0.0
    """Seconds to wait before the start; stop the group at once all the same."""
    reason: str = ""
    """Which limit made it give up: ``"intensity"``, ``"uptime"`` or ``"streak"``; empty for a restart."""


def _window(times: Iterable[float] | RestartWindow) -> RestartWindow:
    return RestartWindow.of(times)


@attrs.frozen
class RestartState(JsonValue):
    """What a supervisor remembers between restarts. Times are monotonic seconds."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"times": RestartWindow.of}

    times: RestartWindow = attrs.field(factory=RestartWindow, converter=_window)
    """The counted restarts. A list of seconds in the plain form."""
    streak: int = attrs.field(default=0, validator=integer(0, 10**9))
    """Restarts in a row without a stable life."""
    delays: int = attrs.field(default=0, validator=integer(0, 10**9))
    """How many of them were delayed: the exponent of the backoff."""
    brief: int = attrs.field(default=0, validator=integer(0, 10**9))
    """Counted restarts in a row after a life shorter than `RestartPolicy.min_uptime`."""
    last_delay: float | None = attrs.field(default=None, validator=number(0, CLOCK_LIMIT, optional=True))
    """The latest delay, seconds."""
    started: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """When the child was last known to be up; None before its first start and while it is down."""

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"times": list(self.times)}

    def with_times(self, times: RestartWindow) -> Self:
        """The same with these counted restarts: for supervisors, who keep one window for all their children."""
        return type(self)(times, self.streak, self.delays, self.brief, self.last_delay, self.started)

    def with_start(self, started: float) -> Self:
        """The same, with the child known to be up at `started`."""
        return type(self)(self.times, self.streak, self.delays, self.brief, self.last_delay, started)


@attrs.frozen
class RestartPolicy:
    """How often and how fast a child is restarted before its supervisor gives up."""

    intensity: Intensity = attrs.field(factory=lambda: Intensity(5, 60.0), validator=instance_of(Intensity))
    """Limit on restarts per time."""
    backoff: Backoff | None = attrs.field(
        factory=lambda: Backoff(base_delay=1.0, max_delay=60.0),
        validator=instance_of(Backoff, optional=True),
    )
    """Waits between restarts; None restarts at once, always."""
    stable_after: float = attrs.field(default=120.0, validator=number(0, 10_000_000))
    """A life of at least this many seconds ends a streak: the next crash is the first of a new one."""
    max_streak: int | None = attrs.field(default=8, validator=integer(0, 1_000_000, optional=True))
    """Restarts in a row without a stable life that are still fine; None for no such limit."""
    immediate: int = attrs.field(default=1, validator=integer(0, 1_000_000))
    """Restarts at the beginning of a streak that happen at once, before the backoff begins."""
    min_uptime: float = attrs.field(default=0.0, validator=number(0, 10_000_000))
    """Guard against crash loops that are slower than the window, for example because siblings take long to stop before
    each restart: restarts in a row after lives of less than this many seconds count whatever the time between them, and
    one more than ``intensity.max_restarts`` is too many. 0: no such guard (as in OTP).
    """

    @classmethod
    def otp(cls, max_restarts: int | Intensity = 3, period: float = 5.0) -> Self:
        """OTP to the letter: `max_restarts` within `period` seconds, no delay, no streak. An `Intensity` may be given
        whole.
        """
        intensity = max_restarts if isinstance(max_restarts, Intensity) else Intensity(max_restarts, period)
        return cls(intensity, backoff=None, max_streak=None)

    def started(self, state: RestartState, now: float) -> RestartState:
        """The state after the child came up at `now`. Call it when the child is ready, not when its start began."""
        return state.with_start(now)

    def stopped(self, state: RestartState, now: float) -> RestartState:
        """The state after the child went down at `now` for no failure of its own: stopped, or at its normal end.

        A stable life ends the streak here as well; a start that is refused later is no failure of a life.
        """
        if state.started is None:
            return state
        if now - state.started >= self.stable_after:
            return RestartState(state.times)
        return attrs.evolve(state, started=None)

    def decide(
        self, state: RestartState, now: float, rng: random.Random, *, count: bool = True
    ) -> tuple[RestartState, RestartDecision]:
        """What to do about a crash, or a refused start, that is handled at `now` (before any sibling is stopped).

        Call it once for a whole group. ``count=False`` leaves the intensity alone and is for a start that was refused
        after a delay: waiting is what keeps it from spinning. It does lengthen the streak, so that it cannot go on for
        ever.
        """
        after, times, decision = self.decide_among(state.times, state, now, rng, count=count)
        return after.with_times(times), decision

    def decide_among(
        self, times: RestartWindow, state: RestartState, now: float, rng: random.Random, *, count: bool = True
    ) -> tuple[RestartState, RestartWindow, RestartDecision]:
        """The same for one of many children whose restarts count together: `times` are those of all, and come back with
        this one. ``state.times`` is neither looked at nor changed.
        """
        lived = 0.0 if state.started is None else now - state.started
        fresh = state.started is not None and lived >= self.stable_after
        streak = 1 if fresh else state.streak + 1
        delays = 0 if fresh else state.delays
        brief, too_many = state.brief, False
        if count:
            times, too_many = self.intensity.record(times, now)
            brief = brief + 1 if lived < self.min_uptime else 0
        last_delay, delay, rule = None if fresh else state.last_delay, 0.0, ""
        if too_many:
            rule = "intensity"
        elif brief > self.intensity.max_restarts:
            rule = "uptime"
        elif self.max_streak is not None and streak > self.max_streak:
            rule = "streak"
        elif self.backoff is not None and streak > self.immediate:
            delays += 1
            last_delay = delay = self.backoff.delay(delays, rng, last_delay)
        action = RestartAction.GIVE_UP if rule else RestartAction.RESTART
        after = RestartState(state.times, streak, delays, brief, last_delay)
        return after, times, RestartDecision(action, delay, rule)
