"""AbortJudges: for every job that is reported on, whether it should go on, by any policy that is asked about."""

import time
from typing import Any

import attrs

from policies.abort import AbortPolicy, AbortState
from policies.abort_decision import AbortAction, AbortDecision
from scorewise_actors.actors.tracked import TrackedActor
from scorewise_actors.events import EventHub, EventType, Severity
from scorewise_actors.messages.resilience import (
    DefinePolicy,
    HaltJob,
    JobBegan,
    JobHalted,
    Judge,
    Judgement,
    Observed,
    RecordOutcomes,
    Standing,
)
from scorewise_actors.resilience_memory import AbortMemory, JudgedJob, remembered
from supervisors.signals import Signal, Timeout

_LOOK_EVERY = 1.0
_WATCH = "watch"


class AbortJudges(TrackedActor):
    """Permanent. It judges; halting is done by the job's own judge in the tree, or by whoever asked.

    A policy may be asked about at any time: the outcomes that are kept are judged by it as if it had been there from
    the beginning.
    """

    component = "abort"

    def __init__(self, events: EventHub, memory: AbortMemory) -> None:
        super().__init__(events)
        self._memory = memory
        self._looks = False

    def on_start(self) -> None:
        if any(job.watched for job in self._memory.jobs.values()):
            self._look_again()

    def handle(self, message: Any) -> Any:
        match message:
            case DefinePolicy(name, policy):
                chosen, self._memory.book = self._memory.book.with_new("abort", name, policy)
                return chosen
            case RecordOutcomes():
                self._record(message)
                return None
            case Judge():
                return self._asked(message)
            case JobHalted(job_id, decision):
                self._job(job_id).halted = decision
                return None
            case HaltJob(job_id, reason):
                job = self._job(job_id)
                job.halted = job.halted or AbortDecision(AbortAction.ABORT, "halted", _figures(job), reason)
                return True
            case Standing(job_id):
                return self._standing(job_id)
            case JobBegan(job_id, policy):
                self._memory.jobs.pop(job_id, None)
                self._job(job_id).own = policy
                return None
        return super().handle(message)

    def on_signal(self, signal: Signal) -> None:
        if isinstance(signal, Timeout) and signal.token == _WATCH:
            self._looks = False
            self._look()

    # ------------------------------------------------------------------------------------------------- outcomes

    def _record(self, message: RecordOutcomes) -> None:
        job = self._job(message.job_id)
        if message.id is not None:
            if message.id in job.ids:
                return
            job.ids.append(message.id)
        now = time.monotonic()
        for seen in message.outcomes:
            job.outcomes.append((now, seen, message.browsers))
            job.operations += seen.counts
            job.failures += seen.counts and seen.failed
            for policy_id, state in job.sights.items():
                job.sights[policy_id] = _after(job.policies[policy_id], state, seen, now, message.browsers)

    def _job(self, job_id: str) -> JudgedJob:
        job: JudgedJob = remembered(self._memory.jobs, job_id, JudgedJob)
        return job

    # ------------------------------------------------------------------------------------------------- judging

    def _asked(self, question: Judge) -> Judgement:
        job = self._job(question.job_id)
        if job.policies.get(question.policy_id) != question.policy:
            job.policies[question.policy_id] = question.policy
            job.sights[question.policy_id] = _replayed(question.policy, job)
            job.told.discard(question.policy_id)
        if question.every is not None:
            job.watched[question.policy_id] = (question.every, question.floor)
            self._look_again()
        return self._judged(question.job_id, job, question.policy_id, question.floor)

    def _judged(self, job_id: str, job: JudgedJob, policy_id: str, floor: int, *, unasked: bool = False) -> Judgement:
        if job.halted is not None:
            return Judgement(job.halted, by_job=True)
        state, decision = job.policies[policy_id].tick(job.sights[policy_id], time.monotonic())
        if decision.action is AbortAction.ABORT and job.operations < floor:
            return Judgement(decision, below_floor=True)  # not kept: by the time there are enough it may be well again
        job.sights[policy_id] = state
        if decision.action is AbortAction.ABORT and policy_id not in job.told:
            job.told.add(policy_id)
            self.emit(
                EventType.ABORT_TRIGGERED,
                job_id,
                Severity.CRITICAL,
                policy=policy_id,
                unasked=unasked,
                rule=decision.rule,
                reason=decision.reason,
                evidence=decision.evidence,
            )
        return Judgement(decision)

    def _standing(self, job_id: str) -> dict[str, str] | None:
        job = self._memory.jobs.get(job_id)
        if job is None:
            return None
        verdicts = [*(state.verdict for state in job.sights.values()), job.halted]
        verdict = next((decision for decision in verdicts if decision is not None), None)
        return None if verdict is None else {"rule": verdict.rule, "reason": verdict.reason}

    def _look(self) -> None:
        for job_id, job in tuple(self._memory.jobs.items()):
            for policy_id, (_, floor) in tuple(job.watched.items()):
                self._judged(job_id, job, policy_id, floor, unasked=True)
                if policy_id in job.told:
                    del job.watched[policy_id]
        self._look_again()

    def _look_again(self) -> None:
        every = [seconds for job in self._memory.jobs.values() for seconds, _ in job.watched.values()]
        if every and not self._looks:
            self._looks = True
            self.signal_at(time.monotonic() + max(_LOOK_EVERY, min(every)), Timeout(_WATCH))


def _figures(job: JudgedJob) -> dict[str, float]:
    return {"operations": job.operations, "failures": job.failures}


def _after(policy: AbortPolicy, state: AbortState, seen: Observed, now: float, browsers: int) -> AbortState:
    """What a policy knows after one outcome. It is judged only when it is asked about: then the floor is known, and
    whether all has become well again.
    """
    if seen.counts:
        state = policy.after_outcome(state, seen.failed, now, seen.stream)
    return policy.after_crash(state, now, browsers) if seen.crash else state


def _replayed(policy: AbortPolicy, job: JudgedJob) -> AbortState:
    state = AbortState()
    for at, seen, browsers in job.outcomes:
        state = _after(policy, state, seen, at, browsers)
    if job.operations > state.operations:  # the oldest outcomes are not kept, but they did happen
        return attrs.evolve(state, operations=job.operations, failures=job.failures)
    return state
