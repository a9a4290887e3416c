"""What the managers of the resilience API, and the judges of jobs, say to the actors below ``resilience``.

====================  ====================  ==================  ================================================
message               from                  to                  meaning
====================  ====================  ==================  ================================================
Ping                  managers              any of them         are you there? (asked)
DefinePolicy          Retry-, AbortManager  RetryDesk, Judges   keep this policy (asked: answers its id)
TakeSlot              RetryManager          RetryDesk           may I try again now? (asked: answered when free)
FreeSlots             RetryManager          RetryDesk           slots were given back
Withdraw              RetryManager          RetryDesk           does the budget pay for a retry? (asked)
RecordOutcomes        managers, a judge     AbortJudges         operations of a job ended, browsers crashed
Judge                 AbortManager          AbortJudges         should the job go on? (asked: answers `Judgement`)
HaltJob               AbortManager          AbortJudges         the abort was carried out (asked)
Standing              AbortManager          AbortJudges         is there a verdict on the job? (asked)
JobBegan              ActorSystem           AbortJudges         a run of the job begins
JobHalted             AbortJudgeActor       AbortJudges         the job's own judge halted it
RecordFailures        managers, a judge     FailureLedger       failures of a job (asked, or told by a judge)
RecordSuccess         AbortManager, judge   FailureLedger       an operation succeeded: ends a streak
RecordNote            managers, a judge     FailureLedger       a breach, or an action taken
Analyse               managers              FailureLedger       what failed? (asked: answers a dict)
====================  ====================  ==================  ================================================

All travel in `Tracked`, with their sender's correlation id. Each may come twice, when its receiver ended before it
answered: it counts once.
"""

from typing import Any

import attrs

from policies.abort import AbortPolicy
from policies.abort_decision import AbortDecision
from policies.failures import Stream
from scorewise_actors.failure_events import FailureEvent


@attrs.frozen
class Ping:
    """Answered with True by an actor that is not stuck."""


@attrs.frozen
class DefinePolicy:
    """Keep a policy under its name, or under ``name-2`` and so on if another one has that name already."""

    name: str
    policy: Any


class Slot:
    """The right to run one later try. Given back by ``free``; the desk looks at the flag, so that a slot is never lost
    with a message.
    """

    __slots__ = ("freed",)

    def __init__(self) -> None:
        self.freed = False

    def free(self) -> None:
        """Give it back, also one that was not granted yet: then it is not wanted any more. Any thread."""
        self.freed = True


@attrs.frozen
class TakeSlot:
    """Answered with True as soon as fewer than ``limit`` slots of the account are taken; first come, first served."""

    account: str
    limit: int
    slot: Slot


@attrs.frozen
class FreeSlots:
    """Have a look at which slots of the account were freed."""

    account: str


@attrs.frozen
class Withdraw:
    """Answered with True if the budget pays for one retry, or if there is nothing to protect from it."""

    account: str
    id: str
    first_tries: int
    """First tries of the account so far."""
    refused_at: int | None = None
    """``first_tries`` when this retry was refused the last time. If none came since, nothing waits: it may go."""


@attrs.frozen
class Observed:
    """The end of one operation, or the crash of a browser, as a judge sees it."""

    failed: bool
    stream: Stream = Stream.INFRA
    crash: bool = False
    """A browser crashed as well."""
    counts: bool = True
    """An operation ended; False for a crash alone."""


@attrs.frozen
class RecordOutcomes:
    """What happened in a job since the last message."""

    job_id: str
    outcomes: tuple[Observed, ...]
    id: str | None = None
    """For those that may come twice."""
    browsers: int = 0
    """Size of the fleet; 0 if not known."""


@attrs.frozen
class Judge:
    """Judge a job by a policy; the job may be unknown so far."""

    job_id: str
    policy_id: str
    policy: AbortPolicy
    floor: int
    """Operations below which the job is never aborted."""
    every: float | None = None
    """Judge it again by itself every so many seconds, and tell once (an event) when it should be aborted."""


@attrs.frozen
class Judgement:
    """The answer."""

    decision: AbortDecision
    by_job: bool = False
    """The job's own judge has halted it."""
    below_floor: bool = False
    """The policy would abort, but too few operations have ended."""


@attrs.frozen
class JobHalted:
    """The verdict of the judge in a job's own tree."""

    job_id: str
    decision: AbortDecision


@attrs.frozen
class HaltJob:
    """Every judgement of the job says from now on that it is to be aborted, for this reason."""

    job_id: str
    reason: str


@attrs.frozen
class Standing:
    """Answered with None, or with ``{"rule", "reason"}`` if the job is to be aborted by any judgement so far."""

    job_id: str


@attrs.frozen
class JobBegan:
    """A run of a job began: what earlier runs of it did is history, and not held against it."""

    job_id: str
    policy: AbortPolicy
    """By which its own judge judges it."""


@attrs.frozen
class RecordFailures:
    """Failures for the ledger; the events' ids tell those that come twice."""

    job_id: str
    events: tuple[FailureEvent, ...]


@attrs.frozen
class RecordSuccess:
    """Operations succeeded."""

    job_id: str
    count: int = 1
    id: str | None = None
    """For those that may come twice."""


@attrs.frozen
class RecordNote:
    """Something beside the failures that belongs into their analysis: ``kind`` is ``breach``, ``restart`` or
    ``action``.
    """

    job_id: str
    kind: str
    name: str


@attrs.frozen
class Analyse:
    """What is known of one job, or of all (None)."""

    job_id: str | None
    since: float | None = None
    """Only what happened in the last so many seconds."""
