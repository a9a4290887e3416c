"""A supervision tree on the pure core: simulated children, virtual time, no thread."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from policies import validation
from policies.short_text import short_text
from supervisors.core import step
from supervisors.core.state import initial, which_children
from supervisors.core.transitions import (
    CancelTimer,
    ChildDeclined,
    ChildDown,
    ChildReady,
    ChildRefused,
    Command,
    CoreEvent,
    DeleteChild,
    Exit,
    Init,
    InitDone,
    InitFailed,
    Reply,
    Report,
    RestartChild,
    SetTimer,
    StartActor,
    StartChild,
    StopActor,
    StopRequested,
    TerminateChild,
    TimerFired,
)
from supervisors.exits import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.spec import ChildKind, ChildSpec, SupervisorSpec
from supervisors.supervision import Supervision
from supervisors.testing.fake_clock import FakeClock

if TYPE_CHECKING:
    from supervisors.events import Event

Step = Callable[[Any, CoreEvent, float, random.Random], tuple[Any, tuple[Command, ...]]]

CRASH = ExitReason(ExitKind.ERROR, error_type="RuntimeError", error_text="boom")
"""How children end that ``crash`` and how starts fail that are refused."""


def _outcomes(starts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(starts, str) or not isinstance(starts, Iterable):
        raise validation.wrong("Behaviour.starts", "a list of outcomes, such as ['refuse', 'ok']", starts)
    return tuple(starts)


def _known_outcome(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, str) or value not in ("ok", "refuse", "decline"):
        raise ValueError(f"Behaviour.{attribute.name} knows 'ok', 'refuse' and 'decline', got {short_text(value)}")


@attrs.frozen
class Behaviour:
    """What a simulated child does when it is told to start and to stop."""

    starts: tuple[str, ...] = attrs.field(default=(), converter=_outcomes, validator=validation.each(of=_known_outcome))
    """What becomes of its first starts: ``ok``, ``refuse`` (raises) or ``decline`` (its start function makes None)."""
    then: str = attrs.field(default="ok", validator=_known_outcome)
    """What becomes of those after them."""
    start_takes: float = attrs.field(default=0.0, validator=validation.duration(endless=True))
    """Seconds until it is ready, or has refused."""
    stop_takes: float = attrs.field(default=0.0, validator=validation.duration(endless=True))
    """Seconds from the stop request to its end."""


class _Attempt:
    """One living attempt of a child."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.below: Simulation | None = None
        self.ready = False
        self.stopping = False
        self.gone = False
        """It ended or was never up; its last event is on the way."""


class Simulation:
    """Plays a ``SupervisorSpec`` on the pure core under a ``FakeClock``.

    Start functions of workers are never called: what they do is said by ``behaviour``, by path below this supervisor
    (``"a"``, ``"sub/x"``). Those of supervisors are called, and the ``spec`` of the ``Supervisor`` they make is played
    in turn; so the specification of a whole program can be tried out as it is. ``behaviour`` may also name children
    that are only started later, by ``request``. Not thread-safe: one test, one thread.

    With every command it checks what must hold for any: no two living attempts of a child, no answer twice, nothing
    after the exit, and the exit only when no child lives. ``AssertionError`` otherwise.
    """

    def __init__(
        self,
        spec: SupervisorSpec,
        behaviour: Mapping[str, Behaviour] | None = None,
        *,
        clock: FakeClock | None = None,
        path: str = "system",
        seed: int = 0,
        step: Step = step,
    ) -> None:
        """``seed`` is for the jitter of delays; ``step`` is another core than that of ``supervisors.core``.

        ``ValueError`` for what is wrongly given; that a child does not exist cannot be seen yet.
        """
        validation.require_instance("Simulation.spec", spec, SupervisorSpec)
        validation.require_instance("Simulation.behaviour", behaviour, Mapping, optional=True)
        validation.require_instance("Simulation.clock", clock, FakeClock, optional=True)
        validation.require_instance("Simulation.path", path, str)
        validation.require_instance("Simulation.seed", seed, int)
        validation.require_function("Simulation.step", step)
        for child, how in (behaviour or {}).items():
            _check_behaviour("Simulation.behaviour", child, how)
        self.spec = spec
        self.path = path
        self.clock = clock or FakeClock()
        self.state: Any = initial(spec, path)
        """The state of the core, ``supervisors.core.state.SupervisorState``."""
        self.trace: list[str] = []
        """What became of children, by path below this supervisor: ``+a`` a start succeeded, ``!a`` one was refused,
        ``?a`` one was declined, ``-s/x`` x was stopped by s. Those that end by themselves leave nothing.
        """
        self.events: list[tuple[float, Event]] = []
        """What the supervisors of the tree reported, with the virtual time."""
        self.commands: list[tuple[float, Command]] = []
        """What the core of this supervisor commanded, with the virtual time."""
        self.replies: dict[int, Reply] = {}
        """Answers to ``request``, by its number."""
        self.is_up = False
        """True once all first children were up."""
        self.init_failed: ExitReason | None = None
        self.exit: ExitReason | None = None
        """Why it ended, once it has."""
        self._behaviour = dict(behaviour or {})
        self._starts: dict[str, deque[str]] = {}
        self._step = step
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - jitter
        self._living: dict[str, _Attempt] = {}
        self._timers: dict[str, object] = {}
        self._requested = 0
        self._started = False
        self._prefix = ""
        self._told: Callable[[str, ExitReason | None], None] = lambda _what, _reason: None

    # ----------------------------------------------------------------------------------------------- what to do

    def start(self) -> None:
        """Begin, and let happen what needs no time. ``RuntimeError`` for the second time."""
        if self._started:
            raise RuntimeError(f"{self.path} was started already: make a new Simulation to begin anew")
        self._started = True
        self.send(Init())
        self.settle()

    def stop(self, limit: float = 3600.0) -> ExitReason:
        """Request the stop and let time pass until it has ended; returns why it did.

        ``AssertionError`` if it has not within ``limit`` virtual seconds.
        """
        if self.exit is None:
            self.send(StopRequested(SHUTDOWN))
            self.clock.run_until(lambda: self.exit is not None, limit)
        assert self.exit is not None, f"{self.path} has not ended within {limit} s: {self.look()}"
        return self.exit

    def settle(self) -> None:
        """Let happen what needs no more time."""
        self.clock.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def end(self, *children: str, reason: ExitReason = NORMAL) -> None:
        """These children end by themselves, all before their supervisor looks; then happens what needs no time.

        By path below this supervisor; ``ValueError`` for one that is not up.
        """
        validation.require_instance("Simulation.end: reason", reason, ExitReason)
        for child in children:
            supervisor, name = self._home(child)
            supervisor._end(name, reason)
        self.settle()

    def crash(self, *children: str) -> None:
        """These children end with an error, see ``end``."""
        self.end(*children, reason=CRASH)

    def behave(self, child: str, behaviour: Behaviour) -> None:
        """From now on the child at this path behaves so; the outcomes of its starts begin anew.

        ``ValueError`` for a child that is not there, unless the constructor was told of one to come.
        """
        _check_behaviour("Simulation.behave", child, behaviour)
        name, _, rest = child.partition("/")
        kind = {row.id: row.kind for row in which_children(self.state)}.get(name)
        if child not in self._behaviour and (kind is None or (rest and kind != ChildKind.SUPERVISOR.value)):
            raise ValueError(
                f"{self.path}/{child} is not there: {self.look()}; one to come is named in Simulation(spec, behaviour)"
            )
        attempt = self._living.get(name)
        if rest and attempt is not None and attempt.below is not None:
            attempt.below.behave(rest, behaviour)
        self._behaviour[child] = behaviour
        if not rest:
            self._starts.pop(name, None)

    def request(self, make: Callable[[int], StartChild | TerminateChild | RestartChild | DeleteChild]) -> int:
        """Send a request of the dynamic API: ``request(lambda n: TerminateChild(n, "a"))``, and let happen what needs
        no time. Returns its number, under which the answer comes to ``replies``. ``RuntimeError`` before the start.
        """
        validation.require_function("Simulation.request: make", make)
        if not self._started:
            raise RuntimeError(f"{self.path} is not started, so it answers nobody: start() comes first")
        self._requested += 1
        number = self._requested
        self.send(make(number))
        self.settle()
        return number

    def send(self, event: CoreEvent) -> None:
        """Step the core with this event and carry its commands out."""
        self.state, commands = self._step(self.state, event, self.clock.monotonic(), self._random)
        for command in commands:
            assert self.exit is None or isinstance(command, Reply), f"{command} after Exit"
            self.commands.append((self.clock.monotonic(), command))
            self._carry_out(command)

    # --------------------------------------------------------------------------------------------- what to see

    def look(self) -> str:
        """The tree in one line, as ``tree_look`` shows real ones; ``"down"`` once it has ended."""
        if self.exit is not None:
            return "down"
        rows = []
        for row in which_children(self.state):
            attempt = self._living.get(row.id)
            below = attempt.below if attempt is not None and row.status == "up" else None
            rows.append(f"{row.id}={row.status}" + (f"({below.look()})" if below is not None else ""))
        return " ".join(rows)

    def living(self) -> tuple[str, ...]:
        """Ids of the children of which an attempt lives, in the order of their starts."""
        return tuple(self._living)

    # ---------------------------------------------------------------------------------- carrying out commands

    def _carry_out(self, command: Command) -> None:
        match command:
            case StartActor():
                self._start_attempt(command.spec, command.attempt)
            case StopActor():
                self._stop_attempt(command)
            case SetTimer():
                self._set_timer(command)
            case CancelTimer():
                self._timers.pop(command.timer, None)
            case Reply():
                assert command.request not in self.replies, f"request {command.request} was answered twice"
                self.replies[command.request] = command
            case Report():
                self.events.append((self.clock.monotonic(), command.event))
            case InitDone():
                assert not self.is_up, f"{self.path} announced twice that it is up"
                self.is_up = True
                self._told("ready", None)
            case InitFailed():
                self.init_failed = command.reason
            case Exit():
                assert not self._living, f"{self.path} exits while {list(self._living)} live"
                self.exit = command.reason
                self._told("exit", command.reason)

    def _start_attempt(self, spec: ChildSpec, number: int) -> None:
        assert spec.id not in self._living, f"{spec.id} is started while an attempt of it lives"
        attempt = self._living[spec.id] = _Attempt(number)
        behaviour = self._behaviour.get(spec.id, Behaviour())
        outcomes = self._starts.setdefault(spec.id, deque(behaviour.starts))
        outcome = outcomes.popleft() if outcomes else behaviour.then
        if outcome == "decline":
            self._later(0.0, ChildDeclined(spec.id, number), "?")
        elif outcome == "refuse":
            self._later(behaviour.start_takes, ChildRefused(spec.id, number, CRASH), "!")
        elif spec.kind is ChildKind.SUPERVISOR:
            below = attempt.below = self._below(spec, number)
            self.clock.timers().after(behaviour.start_takes, below._begin)
        else:
            self._later(behaviour.start_takes, ChildReady(spec.id, number), "+")

    def _begin(self) -> None:
        if self.exit is None:
            self.send(Init())

    def _below(self, spec: ChildSpec, number: int) -> "Simulation":
        supervisor: object = spec.start()
        if not isinstance(supervisor, Supervision):
            raise TypeError(f"child {spec.id!r} of {self.path} is a supervisor, but its start made {supervisor!r}")
        prefix = f"{spec.id}/"
        inner = {path.removeprefix(prefix): how for path, how in self._behaviour.items() if path.startswith(prefix)}
        below = Simulation(
            supervisor.spec,
            inner,
            clock=self.clock,
            path=f"{self.path}/{spec.id}",
            seed=self._seed + number,
            step=self._step,
        )
        below.trace, below.events, below._prefix = self.trace, self.events, f"{self._prefix}{spec.id}/"
        below._told = lambda what, reason: self._hear(spec.id, number, what, reason)
        return below

    def _stop_attempt(self, command: StopActor) -> None:
        attempt = self._living[command.child]
        assert attempt.number == command.attempt, f"{command} speaks of another attempt than {attempt.number}"
        assert not attempt.stopping, f"{command.child} is stopped twice"
        attempt.stopping = True
        if attempt.gone:
            return
        if attempt.below is not None:
            attempt.below.send(StopRequested(SHUTDOWN))
        else:
            takes, reason, mark = self._end_of_stop(command.child)
            self._later(takes, ChildDown(command.child, command.attempt, reason), mark)

    def _end_of_stop(self, child: str) -> tuple[float, ExitReason, str]:
        """How a worker ends that is told to: after how many seconds, why, and as what in the trace."""
        return self._behaviour.get(child, Behaviour()).stop_takes, SHUTDOWN, "-"

    def _hear(self, child: str, number: int, what: str, reason: ExitReason | None) -> None:
        """News of a supervisor below become news of a child."""
        attempt = self._living[child]
        why = reason or SHUTDOWN
        if what == "ready":
            self._later(0.0, ChildReady(child, number), "+")
        elif attempt.ready or attempt.stopping:
            self._later(0.0, ChildDown(child, number, why), "-" if attempt.stopping else "")
        else:
            self._later(0.0, ChildRefused(child, number, why), "!")

    def _end(self, child: str, reason: ExitReason) -> None:
        attempt = self._living.get(child)
        if attempt is None or not attempt.ready or attempt.gone or attempt.below is not None:
            raise ValueError(f"{self.path}/{child} is not a worker that is up: {self.look()}")
        attempt.gone = True
        self._later(0.0, ChildDown(child, attempt.number, reason))

    def _later(
        self, seconds: float, news: ChildReady | ChildDeclined | ChildRefused | ChildDown, mark: str = ""
    ) -> None:
        """Deliver news of a living attempt; dropped if the attempt is over by then."""

        def deliver() -> None:
            attempt = self._living.get(news.child)
            if attempt is None or attempt.number != news.attempt or (mark and attempt.gone):
                return
            if isinstance(news, ChildReady):
                attempt.ready = True
            else:
                del self._living[news.child]
            if mark:
                self.trace.append(f"{mark}{self._prefix}{news.child}")
            self.send(news)

        self.clock.timers().after(seconds, deliver)

    def _set_timer(self, command: SetTimer) -> None:
        token = self._timers[command.timer] = object()

        def fire() -> None:
            if self._timers.get(command.timer) is token:
                del self._timers[command.timer]
                self.send(TimerFired(command.timer))

        self.clock.timers().at(command.at, fire)

    def _home(self, child: str) -> "tuple[Simulation, str]":
        """The supervisor of the child at this path, and the child's id."""
        validation.require_instance("the path of a child", child, str)
        supervisor: Simulation | None = self
        *parents, name = child.split("/")
        for parent in parents:
            attempt = supervisor._living.get(parent) if supervisor is not None else None
            supervisor = attempt.below if attempt is not None else None
        if supervisor is None:
            raise ValueError(f"no supervisor lives above {self.path}/{child}: {self.look()}")
        return supervisor, name


def _check_behaviour(what: str, child: object, behaviour: object) -> None:
    if not isinstance(child, str) or not all(child.split("/")):
        raise validation.wrong(f"{what}: child", "a path, such as 'a' or 'sub/x'", child)
    validation.require_instance(f"{what} of {child!r}", behaviour, Behaviour)
