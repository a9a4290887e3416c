"""What the judge of a job passes on to the branch behind the managers, so that a job is visible through them."""

from policies.abort_decision import AbortDecision
from scorewise_actors.failure_events import of_failure
from scorewise_actors.messages.jobs import Breach, OutcomeSeen
from scorewise_actors.messages.resilience import (
    JobHalted,
    Observed,
    RecordFailures,
    RecordNote,
    RecordOutcomes,
    RecordSuccess,
)
from scorewise_actors.plan import JobPlan
from supervisors.runtime import Runtime

AT_ONCE = 200
"""Outcomes that are passed on together at most."""


class JobNews:
    """Belongs to the judge. Successes are passed on in batches: they come with every page."""

    def __init__(self, runtime: Runtime, plan: JobPlan) -> None:
        self._aborts = runtime.ref(f"{plan.resilience}/aborts")
        self._failures = runtime.ref(f"{plan.resilience}/failures")
        self._job_id = plan.job_id
        self._browsers = sum(len(slots) for slots in plan.config.slots())
        self._outcomes: list[Observed] = []

    def outcome(self, seen: OutcomeSeen) -> None:
        """An item ended, or a try stands for the outcome."""
        self._outcomes.append(Observed(seen.failed, seen.stream))
        if seen.failed:
            self.flush()  # the successes before it first: the ledger counts failures in a row
            if seen.failure is not None:
                event = of_failure(seen.failure, seen.classified, "scraper")
                self._failures.tell(RecordFailures(self._job_id, (event,)))
        elif len(self._outcomes) >= AT_ONCE:
            self.flush()

    def crash(self) -> None:
        """A browser crashed."""
        self._outcomes.append(Observed(failed=True, crash=True, counts=False))
        self.flush()

    def breach(self, breach: Breach) -> None:
        """A resource is short."""
        if breach.breached:
            self._failures.tell(RecordNote(self._job_id, "breach", breach.resource))

    def halted(self, decision: AbortDecision) -> None:
        """The judge ends the job."""
        self.flush()
        self._aborts.tell(JobHalted(self._job_id, decision))

    def flush(self) -> None:
        """Pass on what is waiting."""
        outcomes, self._outcomes = tuple(self._outcomes), []
        if not outcomes:
            return
        self._aborts.tell(RecordOutcomes(self._job_id, outcomes, browsers=self._browsers))
        came = sum(1 for seen in outcomes if not seen.failed)
        if came:
            self._failures.tell(RecordSuccess(self._job_id, came))
