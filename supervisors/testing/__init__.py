"""Tools for tests of programs built on ``supervisors``: wait for what happens in a tree, never for time to pass.

Waiting: for signals (``ready_of``, ``down_of``), for events (``EventLog``), for what actors did (``Journal``), for the
look of a supervisor or a whole tree (``await_children``, ``await_tree``). All fail with what was there instead.

Acting: ``Probe`` and ``AsyncProbe`` are actors that do what a test tells them: ``ref.ask(Do(lambda actor: 1 / 0))`` is
a crash. A ``Gate`` holds them up in a hook or a handler until the test opens it.

Time: ``FakeClock`` stands still until it is advanced (``Runtime(clock=clock)``). ``SteppedRuntime`` goes further: its
time passes only while all its actors are at rest, so a test of hours with real actors takes milliseconds and sees the
same on any machine.

Without any actor: ``Simulation`` plays a whole tree, as specified, on the pure core of the supervisors. No thread, no
sleep; a test says which child crashes or refuses to start, and looks at what the supervisors make of it.
"""

from supervisors.testing.awaiting import (
    DEADLINE,
    await_children,
    await_tree,
    await_true,
    down_of,
    ready_of,
    tree_look,
)
from supervisors.testing.fake_clock import FakeClock, FakeTimers
from supervisors.testing.probes import AsyncProbe, Do, Gate, Hook, Probe, is_held
from supervisors.testing.records import EventLog, Journal
from supervisors.testing.simulation import CRASH, Behaviour, Simulation
from supervisors.testing.stepped import SteppedRuntime

__all__ = [
    "CRASH",
    "DEADLINE",
    "AsyncProbe",
    "Behaviour",
    "Do",
    "EventLog",
    "FakeClock",
    "FakeTimers",
    "Gate",
    "Hook",
    "Journal",
    "Probe",
    "Simulation",
    "SteppedRuntime",
    "await_children",
    "await_tree",
    "await_true",
    "down_of",
    "is_held",
    "ready_of",
    "tree_look",
]
