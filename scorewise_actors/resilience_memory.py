"""What outlives a restart of the actors below ``resilience``: each has one part, and only it writes there.

The parts stand beside the tree, so that a restarted actor finds what its predecessor knew. Readers in other threads see
the newest value or the one before it.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import attrs

from policies import named, validation
from policies.abort import AbortPolicy, AbortState
from policies.abort_decision import AbortDecision
from policies.classify import FailureClassifier
from policies.named import PolicyBook
from policies.retry import RetryBudget, RetryPolicy
from scorewise_actors.failure_events import FailureEvent
from scorewise_actors.messages.resilience import Observed, Slot

JOBS_KEPT = 1000
"""Jobs, and managers, that are remembered; those that nothing was heard of for longest are forgotten first."""
EVENTS_KEPT = 1000
"""Failure events, and outcomes, that are kept of each job; their counts go on."""


@attrs.frozen
class NamedRetry(RetryPolicy):
    """A retry policy with its classifier."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        **RetryPolicy.decoders,
        "classifier": FailureClassifier.from_json,
    }

    classifier: FailureClassifier = attrs.field(
        factory=FailureClassifier, validator=validation.instance_of(FailureClassifier)
    )

    @classmethod
    def of(cls, policy: RetryPolicy) -> "NamedRetry":
        """`policy` itself if it has a classifier, else with the usual one."""
        return policy if isinstance(policy, cls) else cls(**attrs.asdict(policy, recurse=False))


@attrs.define
class RetryAccount:
    """One manager's share of the RetryDesk."""

    budget: RetryBudget = attrs.field(factory=RetryBudget)
    counted: int = 0
    """First tries that were paid in."""
    held: list[Slot] = attrs.field(factory=list)
    """Slots that are taken."""
    answered: "OrderedDict[str, bool]" = attrs.field(factory=OrderedDict)
    """The latest answers to withdrawals, by id: for one that comes twice."""


@attrs.define
class RetryMemory:
    """Of the RetryDesk."""

    book: PolicyBook = named.PRESETS
    """With the policies that managers created, each a `NamedRetry`; presets get their classifier when they are used."""
    accounts: "OrderedDict[str, RetryAccount]" = attrs.field(factory=OrderedDict)


@attrs.define
class JudgedJob:
    """What the AbortJudges know of a job."""

    outcomes: "deque[tuple[float, Observed, int]]" = attrs.field(factory=lambda: deque(maxlen=EVENTS_KEPT))
    """Time (monotonic), outcome, size of the fleet: for policies that are asked about later."""
    operations: int = 0
    failures: int = 0
    sights: dict[str, AbortState] = attrs.field(factory=dict)
    """The job as each policy sees it, by the policy's id, for those that were asked about."""
    policies: dict[str, AbortPolicy] = attrs.field(factory=dict)
    watched: dict[str, tuple[float, int]] = attrs.field(factory=dict)
    """Policy id → seconds between two judgements, floor."""
    told: set[str] = attrs.field(factory=set)
    """Policies whose verdict was told."""
    ids: "deque[str]" = attrs.field(factory=lambda: deque(maxlen=EVENTS_KEPT))
    halted: AbortDecision | None = None
    own: AbortPolicy | None = None
    """Of a job that has a judge of its own."""


@attrs.define
class AbortMemory:
    """Of the AbortJudges."""

    book: PolicyBook = named.PRESETS
    """With the policies that managers created."""
    jobs: "OrderedDict[str, JudgedJob]" = attrs.field(factory=OrderedDict)


@attrs.define
class SignatureCount:
    """One kind of failure."""

    count: int
    first: FailureEvent
    last: FailureEvent


@attrs.define
class FailureRecord:
    """What the FailureLedger knows of a job. The counts are exact for ever, the events the latest only."""

    events: "deque[FailureEvent]" = attrs.field(factory=lambda: deque(maxlen=EVENTS_KEPT))
    total: int = 0
    successes: int = 0
    streak: int = 0
    longest_streak: int = 0
    by: dict[str, dict[str, int]] = attrs.field(factory=dict)
    """``category``, ``severity``, ``host``, ``error_type``, ``breach``, ``restart``, ``action`` → word → count."""
    signatures: dict[str, SignatureCount] = attrs.field(factory=dict)
    timeline: "OrderedDict[int, int]" = attrs.field(factory=OrderedDict)
    """Minute since 1970 → failures."""
    ids: "deque[str]" = attrs.field(factory=lambda: deque(maxlen=EVENTS_KEPT))


@attrs.define
class FailureMemory:
    """Of the FailureLedger."""

    jobs: "OrderedDict[str, FailureRecord]" = attrs.field(factory=OrderedDict)


@attrs.frozen
class ResilienceMemory:
    """All parts."""

    retry: RetryMemory = attrs.field(factory=RetryMemory)
    aborts: AbortMemory = attrs.field(factory=AbortMemory)
    failures: FailureMemory = attrs.field(factory=FailureMemory)


def remembered(jobs: "OrderedDict[str, Any]", job_id: str, new: type[Any]) -> Any:
    """The record of a job, made if there is none; the one that was silent for longest makes room."""
    record = jobs.get(job_id)
    if record is None:
        record = jobs[job_id] = new()
        while len(jobs) > JOBS_KEPT:
            jobs.popitem(last=False)
    else:
        jobs.move_to_end(job_id)
    return record
