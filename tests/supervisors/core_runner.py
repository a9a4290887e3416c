"""A deterministic world for the supervisor core: simulated children, timers and requests under a virtual clock.

``CoreRunner`` stands where the supervisor actor stands: it feeds events to ``step`` and carries out the commands. It
checks on every command what must hold for any of them, whatever the script: no two living attempts of a child, no
answer twice, nothing after ``Exit``, and ``Exit`` only when nothing lives.
"""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable

from supervisors.core import step
from supervisors.core.state import SupervisorState, initial
from supervisors.core.transitions import (
    CancelTimer,
    ChildDeclined,
    ChildDown,
    ChildReady,
    ChildRefused,
    Command,
    CoreEvent,
    Exit,
    Init,
    InitDone,
    InitFailed,
    Reply,
    Report,
    SetTimer,
    StartActor,
    StartChild,
    StopActor,
    StopRequested,
    TimerFired,
)
from supervisors.events import Event
from supervisors.exits import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.spec import ChildSpec, SupervisorSpec
from tests.supervisors.scenarios import Kid, Tree
from tests.supervisors.scenarios.vocabulary import LADDER_TAKES

Step = Callable[[SupervisorState, CoreEvent, float, random.Random], tuple[SupervisorState, tuple[Command, ...]]]
CRASH = ExitReason(ExitKind.ERROR, error_type="RuntimeError", error_text="boom")
STOPS = {"shutdown": SHUTDOWN, "crash": CRASH, "never": ExitReason(ExitKind.ABANDONED)}
REASONS = {"crash": CRASH, "kill": ExitReason(ExitKind.KILLED), "normal": NORMAL, "shutdown": SHUTDOWN}


class World:
    """A virtual clock and what is to happen by it. Things due at the same time happen in the order they were set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.trace: list[str] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._numbers), action))

    def settle(self) -> None:
        """Let happen what is due now."""
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end + 1e-9:
            self._next()
        self.now = max(self.now, end)

    def run_until(self, done: Callable[[], bool]) -> None:
        """Let time pass until ``done``; fails if nothing is left to happen before."""
        self.settle()
        while not done():
            assert self._due, "nothing is left to happen, and still it is not done"
            self._next()
        self.settle()

    def _next(self) -> None:
        when, _number, action = heapq.heappop(self._due)
        self.now = max(self.now, when)
        action()


class Attempt:
    """One living attempt of a child."""

    def __init__(self, number: int, sub: "CoreRunner | None" = None) -> None:
        self.number = number
        self.sub = sub
        self.ready = False
        self.stopping = False
        self.gone = False
        """It ended or was never up; its last event is on the way."""


class CoreRunner:
    """One supervisor core in a world. ``told`` hears ``ready``, ``init_failed`` and ``exit`` with their reason."""

    def __init__(
        self,
        world: World,
        tree: Tree,
        *,
        path: str = "sup",
        step: Step = step,
        told: Callable[[str, ExitReason | None], None] | None = None,
        seed: int = 0,
    ) -> None:
        self.world = world
        self.path = path
        self.step = step
        self.told = told or (lambda _what, _reason: None)
        self.kids = {kid.id: kid for kid in tree.kids}
        self.spec = SupervisorSpec(children=tuple(spec_of(kid) for kid in tree.kids), **tree.options)
        self.rng = random.Random(seed)
        self.state = initial(self.spec, path)
        self.living: dict[str, Attempt] = {}
        self.replies: dict[int, Reply] = {}
        self.requested: list[int] = []
        self.reports: list[tuple[float, Event]] = []
        self.log: list[tuple[float, Command]] = []
        self.timers: dict[str, object] = {}
        self.initialised = False
        self.init_failed: ExitReason | None = None
        self.exit: ExitReason | None = None
        self._starts = {kid.id: deque(kid.starts) for kid in tree.kids}
        self._then: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------------- what to do

    def run(self) -> None:
        """Deliver Init and let happen what is due now."""
        self.send(Init())
        self.world.settle()

    def send(self, event: CoreEvent) -> None:
        """Step the core and carry out its commands."""
        self.state, commands = self.step(self.state, event, self.world.now, self.rng)
        for command in commands:
            assert self.exit is None or isinstance(command, Reply), f"{command} after Exit"
            self.log.append((self.world.now, command))
            self._perform(command)

    def kill(self, ids: Iterable[str], how: str = "crash") -> None:
        """Children end by themselves; the supervisor sees all of it only afterwards. The dead cannot be killed."""
        for name in ids:
            first, _, rest = name.partition("/")
            attempt = self.living.get(first)
            if rest:
                assert attempt is not None
                assert attempt.sub is not None
                attempt.sub.kill([rest], how)
            elif attempt is not None and attempt.ready and not attempt.gone:
                attempt.gone = True
                self._later(0.0, ChildDown(first, attempt.number, REASONS[how]))

    def next_starts(self, name: str, starts: Iterable[str], then: str = "ok") -> None:
        """Say what becomes of the next starts of a child."""
        self._starts[name] = deque(starts)
        self._then[name] = then

    def at(self, name: str) -> "CoreRunner":
        """The runner of a sub-supervisor; of this one if there is no name."""
        if not name:
            return self
        sub = self.living[name].sub
        assert sub is not None
        return sub

    def request(self, make: Callable[[int], CoreEvent]) -> int:
        """Send a request of the dynamic API; returns its number."""
        number = len(self.requested) + 1
        self.requested.append(number)
        self.send(make(number))
        return number

    def add(self, kid: Kid) -> int:
        """Ask for a new child. A kid the supervisor already knows is not replaced."""
        if self.state.children.get(kid.id) is None:
            self.kids[kid.id] = kid
            self._starts[kid.id] = deque(kid.starts)
        return self.request(lambda number: StartChild(number, spec_of(kid)))

    # ------------------------------------------------------------------------------------------ carrying out commands

    def _perform(self, command: Command) -> None:
        match command:
            case StartActor():
                self._start(command.spec.id, command.attempt)
            case StopActor():
                self._stop(command)
            case SetTimer():
                self._set_timer(command)
            case CancelTimer():
                self.timers.pop(command.timer, None)
            case Reply():
                assert command.request not in self.replies, f"request {command.request} was answered twice"
                self.replies[command.request] = command
            case Report():
                self.reports.append((self.world.now, command.event))
            case InitDone():
                assert not self.initialised
                self.initialised = True
                self.told("ready", None)
            case InitFailed():
                self.init_failed = command.reason
            case Exit():
                assert not self.living, f"{self.path} exits while {list(self.living)} live"
                self.exit = command.reason
                self.told("exit", command.reason)

    def _start(self, name: str, number: int) -> None:
        assert name not in self.living, f"{name} is started while an attempt of it lives"
        kid = self.kids[name]
        outcomes = self._starts[name]
        outcome = outcomes.popleft() if outcomes else self._then.get(name, "ok")
        attempt = self.living[name] = Attempt(number)
        if kid.tree is not None:
            attempt.sub = CoreRunner(
                self.world,
                kid.tree,
                path=f"{self.path}/{name}",
                step=self.step,
                told=lambda what, reason: self._told_by(name, number, what, reason),
            )
            self.world.after(0.0, lambda: attempt.sub and attempt.sub.send(Init()))
        elif outcome == "decline":
            self._later(0.0, ChildDeclined(name, number), "?")
        elif outcome == "hang":
            return
        elif outcome in ("refuse", "raise"):
            self._later(kid.start_takes if outcome == "refuse" else 0.0, ChildRefused(name, number, CRASH), "!")
        else:
            self._later(kid.start_takes, ChildReady(name, number), "+")

    def _stop(self, command: StopActor) -> None:
        attempt = self.living[command.child]
        assert attempt.number == command.attempt
        assert not attempt.stopping, f"{command.child} is stopped twice"
        attempt.stopping = True
        if attempt.gone:
            return
        if attempt.sub is not None:
            attempt.sub.send(StopRequested(SHUTDOWN))
        else:
            kid = self.kids[command.child]
            takes, reason, mark = kid.stop_takes, STOPS[kid.stops], "-"
            if kid.stops == "never":
                takes, mark = LADDER_TAKES, ""
            self._later(takes, ChildDown(command.child, command.attempt, reason), mark)

    def _told_by(self, name: str, number: int, what: str, reason: ExitReason | None) -> None:
        """News of a sub-supervisor become news of a child."""
        attempt = self.living[name]
        if what == "ready":
            self._later(0.0, ChildReady(name, number), "+")
        elif attempt.ready or attempt.stopping:
            self._later(0.0, ChildDown(name, number, reason or SHUTDOWN), "-" if attempt.stopping else "")
        else:
            self._later(0.0, ChildRefused(name, number, reason or SHUTDOWN), "!")

    def _later(self, seconds: float, event: CoreEvent, mark: str = "") -> None:
        """Deliver an event of a living attempt; dropped if the attempt is over by then."""

        def deliver() -> None:
            attempt = self.living.get(event.child)
            if attempt is None or attempt.number != event.attempt:
                return
            if mark in ("+", "-", "!") and attempt.gone:
                return
            if isinstance(event, ChildReady):
                attempt.ready = True
            else:
                del self.living[event.child]
            if mark:
                self.world.trace.append(mark + event.child)
            self.send(event)

        self.world.after(seconds, deliver)

    def _set_timer(self, command: SetTimer) -> None:
        token = self.timers[command.timer] = object()

        def fire() -> None:
            if self.timers.get(command.timer) is token:
                del self.timers[command.timer]
                self.send(TimerFired(command.timer))

        self.world.at(command.at, fire)


def spec_of(kid: Kid) -> ChildSpec:
    """The specification of a kid. Its start function is never called: the core does not start actors."""
    return ChildSpec(kid.id, _never_called, kid.restart, kind=kid.kind, significant=kid.significant)


def _never_called() -> None:
    raise AssertionError
