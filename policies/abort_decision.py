"""What an abort policy answers: an action, the steps that carry it out, and why."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

import attrs

from policies.validation import instance_of, integer, member, number, text
from policies.values import JsonValue


class AbortAction(StrEnum):
    """What the caller is to do."""

    CONTINUE = "continue"
    """All is well."""
    SUSPECT = "suspect"
    """Something is wrong: keep no more than `AbortDecision.probes` operations under way until it is known better."""
    ABORT = "abort"
    """The job is broken: save the state, clean up, end with the reason."""


class Measure(StrEnum):
    """What one step does. Carrying it out is the caller's."""

    LOG_EVENT = "log_event"
    """Write the decision into the log."""
    NOTIFY = "notify"
    """Tell whoever wants to know."""
    SAVE_STATE = "save_state"
    """Make everything done so far durable."""
    CLEANUP = "cleanup"
    """Give back browsers, pages, temporary files."""
    SHUTDOWN = "shutdown"
    """End the job, with the reason and an exit code that is not 0."""


@attrs.frozen
class AbortStep(JsonValue):
    """One step on the way: a measure, bounded in time. A step that fails or runs out of time never keeps the next one
    from being carried out.
    """

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"measure": Measure}

    measure: Measure = attrs.field(validator=member(Measure))
    """What to do."""
    target: str | None = attrs.field(default=None, validator=text(1, 2000, optional=True))
    """Whom or what it is done to, in the caller's words."""
    parameters: dict[str, Any] = attrs.field(factory=dict, validator=instance_of(dict), hash=False)
    """Whatever else the caller needs to know, plain values. Treat it as read-only."""
    timeout: float = attrs.field(default=30.0, validator=number(0.001, 86_400))
    """Seconds after which the next step is begun all the same."""

    @classmethod
    def of(cls, step: Any) -> Self:
        """`step` itself, or the step with a measure's name (any case) and nothing else set.

        Raises `ValueError` for a name that is no measure; the error lists them.
        """
        if isinstance(step, cls):
            return step
        name = step.lower() if isinstance(step, str) else step
        if name not in list(Measure):
            raise ValueError(f"an abort action must be one of {', '.join(Measure)}, got {step!r}")
        return cls(Measure(name))


def steps(given: Iterable[Any]) -> tuple[AbortStep, ...]:
    """A converter: steps and names of measures, in their order."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(f"abort actions must be a list of {', '.join(Measure)}, got {given!r}")  # noqa: TRY004 - one error type for all fields
    return tuple(AbortStep.of(step) for step in given)


def steps_from_json(data: Iterable[Any]) -> tuple[AbortStep, ...]:
    """The steps whose plain forms are `data`."""
    return tuple(AbortStep.from_json(step) for step in data)


@attrs.frozen
class AbortDecision(JsonValue):
    """The judgement and its reasons."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"action": AbortAction, "actions": steps_from_json}

    action: AbortAction = attrs.field(validator=member(AbortAction))
    """What to do."""
    rule: str = ""
    """The rule that speaks: ``infra_evidence``, ``content_evidence``, ``window`` or ``crashes``; empty for CONTINUE."""
    evidence: dict[str, float] = attrs.field(factory=dict, hash=False)
    """The figures behind it. Always ``operations`` and ``failures`` (final outcomes so far) and ``running_for`` (s).
    Evidence rules add ``score`` and ``limit`` (points), ``failure_rate`` (fraction), ``suspect_for`` and ``hold`` (s);
    the window rule ``window`` (operations) and ``window_failures``; the crash rule ``crashes``, ``limit`` (crashes) and
    ``crash_window`` (s)."""
    reason: str = ""
    """One sentence for people; empty for CONTINUE."""
    actions: tuple[AbortStep, ...] = ()
    """The policy's steps on ABORT, in order. Carry them out once: the decision is given again whenever one asks."""
    probes: int | None = attrs.field(default=None, validator=integer(0, 1_000_000, optional=True))
    """How many operations may be under way while it stands; None for no limit."""
