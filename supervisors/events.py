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
class Launched(Event):
    """An incarnation is about to run its ``on_start``."""

    kind: ClassVar[str] = "launched"
    incarnation: int

    def __str__(self) -> str:
        return f"{self.path} is launched (incarnation {self.incarnation})"


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
class Restarted(Event):
    """A child is ready again. Told after its ``Started``."""

    kind: ClassVar[str] = "restarted"
    incarnation: int
    restarts: int
    """How often it has been, in the life of its supervisor."""

    def __str__(self) -> str:
        return f"{self.path} is up again (incarnation {self.incarnation}, restart {self.restarts})"


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
    """``down`` (nobody lives there), ``closed`` (it ended before it took it up), ``full`` (its mailbox), ``dropped``
    (to make room in it), ``fenced`` (an abandoned actor sent it) or ``no_attribute`` (a proxy named one it lacks).
    """
    sender: str = ""
    """With ``fenced``: the path of the abandoned actor."""

    def __str__(self) -> str:
        sender = f" from {self.sender}" if self.sender else ""
        return f"{self.path}: dead letter {self.message_type}{sender} ({self.why})"


@attrs.frozen
class MailboxHigh(Event):
    """As many messages wait as its policy calls high. Told once; again only after fewer than ``low`` waited."""

    kind: ClassVar[str] = "mailbox_high"
    incarnation: int
    waiting: int
    limit: int | None

    def __str__(self) -> str:
        bound = f" of at most {self.limit}" if self.limit is not None else ""
        return f"{self.path}: {self.waiting} messages wait{bound}"


@attrs.frozen
class ManyZombies(Event):
    """More abandoned actors live on than the runtime's ``max_zombies``: the process is better replaced. Told once;
    again after their number was below. ``path`` is the name of the runtime.
    """

    kind: ClassVar[str] = "many_zombies"
    count: int
    limit: int

    def __str__(self) -> str:
        return f"{self.path}: {self.count} abandoned threads are stuck, more than {self.limit}"


@attrs.frozen
class Traced(Event):
    """A traced actor has handled a message."""

    kind: ClassVar[str] = "traced"
    incarnation: int
    message_type: str
    text: str
    """The message, redacted by the actor and cut."""
    asked: bool
    """False for a tell."""
    seconds: float
    """From taking it up to the end of its handler."""
    error: str
    """The type of what the handler raised; empty if nothing."""

    def __str__(self) -> str:
        end = f", raised {self.error}" if self.error else ""
        return f"{self.path} {'answered' if self.asked else 'handled'} {self.text} in {self.seconds * 1e3:.3f} ms{end}"


@attrs.frozen
class TraceEnded(Event):
    """A trace is over."""

    kind: ClassVar[str] = "trace_ended"
    incarnation: int
    messages: int
    why: str
    """``count``, ``seconds``, ``stopped`` or ``replaced``."""

    def __str__(self) -> str:
        return f"{self.path}: trace ended after {self.messages} messages ({self.why})"
