"""Lifecycle events: what happened in the tree, as typed records.

Each event has a readable ``str()`` and a ``as_map()`` for machines. Sinks subscribe at the system; an event never
carries a live actor or exception.
"""

from typing import Any, ClassVar

import attrs

from supervisors.exits import ExitReason


@attrs.frozen
class Event:
    """Something that happened to the actor at ``path``."""

    kind: ClassVar[str] = "event"
    path: str

    def as_map(self) -> dict[str, Any]:
        """Flat dict of plain values, with ``kind`` first; exit reasons become their text."""
        pairs = attrs.asdict(self, recurse=False)
        return {"kind": self.kind} | {
            name: str(value) if isinstance(value, ExitReason) else value for name, value in pairs.items()
        }


@attrs.frozen
class Started(Event):
    """An incarnation is ready: its ``on_start`` returned."""

    kind: ClassVar[str] = "started"
    incarnation: int

    def __str__(self) -> str:
        return f"{self.path} started (incarnation {self.incarnation})"


@attrs.frozen
class StartRefused(Event):
    """A start failed; the supervisor tries again within its limit."""

    kind: ClassVar[str] = "start_refused"
    reason: ExitReason

    def __str__(self) -> str:
        return f"{self.path} refused to start: {self.reason}"


@attrs.frozen
class Ended(Event):
    """An incarnation ended, by itself or because it was stopped."""

    kind: ClassVar[str] = "ended"
    reason: ExitReason
    expected: bool
    """True if its supervisor had asked for it."""

    def __str__(self) -> str:
        return f"{self.path} ended: {self.reason}"


@attrs.frozen
class Restarting(Event):
    """A supervisor restarts a child, with those that its strategy adds, after ``delay`` seconds."""

    kind: ClassVar[str] = "restarting"
    delay: float
    group: tuple[str, ...]
    reason: ExitReason

    def __str__(self) -> str:
        others = f" with {len(self.group) - 1} siblings" if len(self.group) > 1 else ""
        wait = f" in {self.delay:.1f} s" if self.delay else ""
        return f"{self.path} restarts{others}{wait} after {self.reason}"


@attrs.frozen
class GaveUp(Event):
    """A supervisor reached its restart limit."""

    kind: ClassVar[str] = "gave_up"
    child: str
    rule: str
    """``intensity``, ``uptime`` or ``streak``."""
    reason: ExitReason
    restarts: tuple[float, ...]
    """Times of the restarts in the window, monotonic seconds."""

    def __str__(self) -> str:
        return f"{self.path} gave up on {self.child} ({self.rule}): {self.reason}"


@attrs.frozen
class Leaked(Event):
    """A supervisor ends, and these below it would not stop: they were abandoned, their threads may live on."""

    kind: ClassVar[str] = "leaked"
    children: tuple[str, ...]
    """Their paths."""

    def __str__(self) -> str:
        return f"{self.path} ends, but these would not stop: {', '.join(self.children)}"


@attrs.frozen
class LadderRung(Event):
    """The kill ladder moved on to a rung because the one before did not end the actor."""

    kind: ClassVar[str] = "ladder_rung"
    rung: str

    def __str__(self) -> str:
        return f"{self.path} does not stop: {self.rung}"


@attrs.frozen
class Abandoned(Event):
    """An actor survived every rung. It is fenced; its thread is listed as a zombie with this stack."""

    kind: ClassVar[str] = "abandoned"
    incarnation: int
    stack: str = attrs.field(repr=False)

    def __str__(self) -> str:
        return f"{self.path} was abandoned (incarnation {self.incarnation}), its thread is stuck"


@attrs.frozen
class ZombieEnded(Event):
    """The thread of an abandoned actor ended after all."""

    kind: ClassVar[str] = "zombie_ended"
    incarnation: int

    def __str__(self) -> str:
        return f"{self.path}: the abandoned thread of incarnation {self.incarnation} has ended"


@attrs.frozen
class DeadLetter(Event):
    """A message that nobody will handle."""

    kind: ClassVar[str] = "dead_letter"
    message_type: str
    why: str
    """``down``, ``closed`` or ``fenced``."""

    def __str__(self) -> str:
        return f"{self.path}: dead letter {self.message_type} ({self.why})"
