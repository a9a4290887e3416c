"""The scenario table's world on the pure core: a ``Simulation`` of its trees, under a clock that the test turns.

Beyond what a simulation does, several requests and ends may be under way at once, and a child may hang in its start,
fail in its stop, or never stop.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable

from supervisors.core import step
from supervisors.core.state import SupervisorState
from supervisors.core.transitions import ChildDown, Command, CoreEvent, StartChild
from supervisors.exits import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.spec import ChildSpec, SupervisorSpec
from supervisors.testing import CRASH, Behaviour, FakeClock, Simulation
from tests.supervisors.scenarios import Kid, Tree
from tests.supervisors.scenarios.vocabulary import LADDER_TAKES

Step = Callable[[SupervisorState, CoreEvent, float, random.Random], tuple[SupervisorState, tuple[Command, ...]]]
STOPS = {"shutdown": SHUTDOWN, "crash": CRASH, "never": ExitReason(ExitKind.ABANDONED)}
REASONS = {"crash": CRASH, "kill": ExitReason(ExitKind.KILLED), "normal": NORMAL, "shutdown": SHUTDOWN}
OUTCOMES = {"hang": "ok", "raise": "refuse"}
"""What comes of starts that a simulation knows by another name: ``hang`` never comes of it, ``raise`` at once."""
FOR_EVER = 1e6


class World:
    """A virtual clock, and what became of the children of all supervisors in it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.trace: list[str] = []

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def settle(self) -> None:
        """Let happen what is due now."""
        self.clock.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def run_until(self, done: Callable[[], bool]) -> None:
        """Let time pass until ``done``; fails if nothing is left to happen before."""
        self.settle()
        assert self.clock.run_until(done, FOR_EVER), "nothing is left to happen, and still it is not done"
        self.settle()


class CoreRunner(Simulation):
    """One supervisor core in a world. Its trace names children by their ids alone."""

    def __init__(self, world: World, tree: Tree, *, path: str = "sup", step: Step = step, seed: int = 0) -> None:
        spec = SupervisorSpec(children=tuple(spec_of(kid) for kid in tree.kids), **tree.options)
        super().__init__(spec, clock=world.clock, path=path, seed=seed, step=step)
        self.world = world
        self.trace = world.trace
        self.kids = {kid.id: kid for kid in tree.kids}
        self.requested: list[int] = []
        self._outcomes = {kid.id: deque(kid.starts) for kid in tree.kids}
        self._then: dict[str, str] = {}

    def kill(self, ids: Iterable[str], how: str = "crash") -> None:
        """Children end by themselves; the supervisor sees all of it only afterwards. The dead cannot be killed."""
        for name in ids:
            first, _, rest = name.partition("/")
            attempt = self._living.get(first)
            if rest:
                self.at(first).kill([rest], how)
            elif attempt is not None and attempt.ready and not attempt.gone:
                attempt.gone = True
                self._later(0.0, ChildDown(first, attempt.number, REASONS[how]))

    def next_starts(self, name: str, starts: Iterable[str], then: str = "ok") -> None:
        """Say what becomes of the next starts of a child."""
        self._outcomes[name] = deque(starts)
        self._then[name] = then

    def at(self, name: str) -> "CoreRunner":
        """The runner of a sub-supervisor; of this one if there is no name."""
        below = self._living[name].below if name else self
        assert isinstance(below, CoreRunner)
        return below

    def request(self, make: Callable[[int], CoreEvent]) -> int:
        """Send a request of the dynamic API; returns its number. Nothing happens yet but what the core does at once."""
        number = len(self.requested) + 1
        self.requested.append(number)
        self.send(make(number))
        return number

    def add(self, kid: Kid) -> int:
        """Ask for a new child. A kid the supervisor already knows is not replaced."""
        if self.state.children.get(kid.id) is None:
            self.kids[kid.id] = kid
            self._outcomes[kid.id] = deque(kid.starts)
        return self.request(lambda number: StartChild(number, spec_of(kid)))

    # ------------------------------------------------------------------------------- what the simulation asks for

    def _start_attempt(self, spec: ChildSpec, number: int) -> None:
        outcomes = self._outcomes[spec.id]
        outcome = outcomes.popleft() if outcomes else self._then.get(spec.id, "ok")
        if self.kids[spec.id].tree is not None:
            outcome = "ok"  # its children say what becomes of it
        takes = {"hang": math.inf, "raise": 0.0}.get(outcome, self.kids[spec.id].start_takes)
        self._behaviour[spec.id] = Behaviour(then=OUTCOMES.get(outcome, outcome), start_takes=takes)
        super()._start_attempt(spec, number)

    def _end_of_stop(self, child: str) -> tuple[float, ExitReason, str]:
        kid = self.kids[child]
        if kid.stops == "never":
            return LADDER_TAKES, STOPS[kid.stops], ""
        return kid.stop_takes, STOPS[kid.stops], "-"

    def _below(self, spec: ChildSpec, number: int) -> "CoreRunner":
        tree = self.kids[spec.id].tree
        assert tree is not None
        below = CoreRunner(self.world, tree, path=f"{self.path}/{spec.id}", step=self._step)
        below._told = lambda what, reason: self._hear(spec.id, number, what, reason)
        return below


def spec_of(kid: Kid) -> ChildSpec:
    """The specification of a kid. Its start function is never called: the core does not start actors."""
    return ChildSpec(kid.id, _never_called, kid.restart, kind=kid.kind, significant=kid.significant)


def _never_called() -> None:
    raise AssertionError
