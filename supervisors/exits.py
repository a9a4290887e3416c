"""Why an actor ended: exit reasons as values.

An exit reason never holds the live exception: its frames would pin pages, buffers and whole browsers in memory.
It keeps what people and supervisors need: a kind, a sentence, the error's type and text, and the traceback's text.
"""

import enum
from typing import Any, NoReturn

import attrs

from policies import validation
from policies.short_text import Interruption, said
from supervisors.trace import Trace


class ExitKind(enum.Enum):
    """How an incarnation ended. Everything but ``NORMAL`` and ``SHUTDOWN`` is abnormal."""

    NORMAL = "normal"
    """The actor finished its work and ended by itself."""
    SHUTDOWN = "shutdown"
    """The actor was asked to stop and did."""
    ERROR = "error"
    """A hook or handler of the actor raised."""
    KILLED = "killed"
    """The kill ladder ended it by cancellation, by freeing its resources or by an asynchronous exception."""
    START_FAILED = "start_failed"
    """``on_start`` raised, or the actor could not be started at all."""
    ABANDONED = "abandoned"
    """It answered to no rung of the ladder: it counts as dead and its late messages are dropped."""
    GAVE_UP = "gave_up"
    """A supervisor reached its restart limit. Deviates from OTP, where this looks like a normal ``shutdown``."""
    LINKED = "linked"
    """An actor that it was linked to ended abnormally; ``cause`` is that actor's reason."""
    NOPROC = "noproc"
    """There was no such actor when the monitor was set."""


@attrs.frozen
class ExitReason:
    """The reason of one ended incarnation."""

    kind: ExitKind = attrs.field(validator=validation.member(ExitKind))
    detail: str = attrs.field(default="", validator=validation.instance_of(str))
    """One sentence for people."""
    error_type: str = attrs.field(default="", validator=validation.instance_of(str))
    error_text: str = attrs.field(default="", validator=validation.instance_of(str))
    _trace: str | Trace = attrs.field(default="", alias="traceback", repr=False, eq=str)
    cause: "ExitReason | None" = attrs.field(default=None)
    """The reason further down the tree: what made a supervisor give up."""
    value: Any = None
    """What a normally ended actor leaves behind, for example the verdict of a judge."""
    leaked: tuple[str, ...] = attrs.field(default=(), validator=validation.each(of=validation.instance_of(str)))
    """Paths below a supervisor that would not stop when it ended: they were abandoned, their threads may live on."""

    @cause.validator
    def _check_cause(self, _attribute: "attrs.Attribute[Any]", value: object) -> None:
        validation.require_instance("ExitReason.cause", value, ExitReason, optional=True)

    @property
    def traceback(self) -> str:
        """Where the error came from, as formatted text; empty if there was none."""
        return str(self._trace)

    @property
    def abnormal(self) -> bool:
        """True if a transient child has to be restarted after it."""
        return self.kind not in (ExitKind.NORMAL, ExitKind.SHUTDOWN)

    @property
    def root(self) -> "ExitReason":
        """The first reason of the cause chain."""
        reason = self
        while reason.cause is not None:
            reason = reason.cause
        return reason

    def __str__(self) -> str:
        parts = [self.kind.value]
        if self.detail:
            parts.append(self.detail)
        if self.error_type:
            parts.append(f"{self.error_type}: {self.error_text}" if self.error_text else self.error_type)
        if self.leaked:
            parts.append(f"would not stop: {', '.join(self.leaked)}")
        if self.cause is not None:
            parts.append(f"caused by {self.cause}")
        return ": ".join(parts)

    @classmethod
    def of(cls, kind: ExitKind, error: BaseException, detail: str = "") -> "ExitReason":
        """The reason made from a live exception, which is let go: files, lines and names are kept, but no frame."""
        validation.require_instance("ExitReason.of: error", error, BaseException)
        return cls(
            kind,
            detail,
            error_type=type(error).__name__,
            error_text=_first_line(error),
            traceback=Trace(error),
        )


NORMAL = ExitReason(ExitKind.NORMAL)
SHUTDOWN = ExitReason(ExitKind.SHUTDOWN)


class ActorExit(BaseException):
    """Raised inside an actor to end it on purpose with a reason. Passes through ``except Exception``."""

    def __init__(self, reason: ExitReason) -> None:
        validation.require_instance("ActorExit.reason", reason, ExitReason)
        super().__init__(str(reason))
        self.reason = reason


class Killed(Interruption):
    """Injected by the kill ladder into the thread of a stuck actor. Passes through ``except Exception``."""


def end_actor(value: Any = None, detail: str = "") -> NoReturn:
    """End the calling actor normally. ``value`` travels in its exit reason to whoever watches it."""
    raise ActorExit(ExitReason(ExitKind.NORMAL, detail, value=value))


def _first_line(error: BaseException) -> str:
    text = said(error).strip()
    return text.splitlines()[0][:500] if text else ""
