"""``AbortManager``: whether a job should go on, why not, and what is done then."""

import asyncio
import contextlib
import uuid
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from policies.abort import AbortPolicy
from policies.abort_decision import AbortAction, AbortStep, Measure
from policies.failures import Category
from policies.named import UnknownPolicyError
from policies.validation import is_number
from scorewise_actors.errors import ConfigurationError, ExitCode
from scorewise_actors.events import EventType, ResilienceEvent, Severity, utc_now
from scorewise_actors.failure_events import FailureEvent, failure_event
from scorewise_actors.messages.resilience import (
    Analyse,
    DefinePolicy,
    HaltJob,
    Judge,
    Judgement,
    Observed,
    RecordFailures,
    RecordNote,
    RecordOutcomes,
    RecordSuccess,
    Standing,
)
from scorewise_actors.redaction import redact_text
from scorewise_actors.resilience.abort_actions import ActionHandler, ActionRun
from scorewise_actors.resilience.callbacks import CallbackFailed, bounded
from scorewise_actors.resilience.configuration import AbortConfiguration, part_for
from scorewise_actors.resilience.connection import Connection, TreeClient
from scorewise_actors.resilience.definitions import abort_policy
from scorewise_actors.resilience.errors import (
    AbortConfigurationError,
    AbortExecutionError,
    AbortPolicyNotFoundError,
    ResilienceException,
)
from scorewise_actors.resilience.logs import log, stack_of
from scorewise_actors.resilience.time_window import TimeWindow, seconds_of
from scorewise_actors.resilience_memory import JOBS_KEPT

Notified = Callable[[dict[str, Any]], Any | Awaitable[Any]]
"""A notification hook: gets ``{"job_id", "reason", "rule", "policy_id", "evidence", "timestamp"}``; sync or async."""

NOTIFY_TIMEOUT = 30.0
OF_THE_JOB = "(job)"
"""Id of the policy that a job of an ``ActorSystem`` was started with: what a call that names none judges it by."""


class AbortManager(TreeClient):
    """Judges jobs by named policies - ``conservative``, ``production``, ``development``, ``literal`` - and those of
    ``create_abort_policy``.

    Report the *final* outcome of every operation, failures and successes, or no rate exists. A job of an
    ``ActorSystem`` reports by itself.
    """

    component: ClassVar[str] = "abort"
    unavailable: ClassVar[type[ResilienceException]] = AbortExecutionError

    def __init__(
        self,
        config: AbortConfiguration | None = None,
        *,
        connection: Connection | None = None,
        notify: Notified | None = None,
    ) -> None:
        """``connection`` is the tree of a running system. ``notify`` is told of every abort: by the action NOTIFY, and
        when a job that was asked about once comes to be aborted while nobody asks (looked at every
        ``evaluation_interval``). Raises ``ConfigurationError`` for an argument of another type.
        """
        self.config = part_for(self, config, AbortConfiguration)
        if notify is not None and not callable(notify):
            raise ConfigurationError(f"AbortManager's notify must be a function or None, got {notify!r}")
        super().__init__(connection)
        self._notify = notify
        self._actions: dict[Measure, ActionHandler] = {}
        self._judged_by: dict[str, str] = {}
        self._asked_on: dict[str, asyncio.AbstractEventLoop] = {}
        """Job → loop of whoever asked about it last: a notification hook runs there."""
        self._notifying: set[asyncio.Future[None]] = set()
        if notify is not None:
            unsubscribe = self.events.subscribe(_unasked(weakref.ref(self)), (EventType.ABORT_TRIGGERED,))
            weakref.finalize(self, unsubscribe)

    # ------------------------------------------------------------------------------------------------ policies

    async def create_abort_policy(self, policy_config: Mapping[str, Any]) -> str:
        """Keep a policy (see ``definitions.abort_policy`` for the keys); returns its id: its name, or ``name-2`` and so
        on if another policy has that name. Raises ``AbortConfigurationError`` naming key, value and range.
        """
        name, policy = abort_policy(policy_config)
        chosen: str = await self._call("aborts", DefinePolicy(name, policy))
        return chosen

    def _policy_for(self, job_id: str, policy_id: str | None) -> tuple[str, AbortPolicy]:
        job = self._connection.memory.aborts.jobs.get(job_id) if policy_id is None else None
        if job is not None and job.own is not None:
            return OF_THE_JOB, job.own
        return self._policy(None if policy_id == OF_THE_JOB else policy_id)

    def _policy(self, policy_id: str | None) -> tuple[str, AbortPolicy]:
        wanted = self.config.default_policy if policy_id is None else policy_id
        try:
            return wanted, self._connection.memory.aborts.book.get("abort", wanted)
        except UnknownPolicyError as unknown:
            raise AbortPolicyNotFoundError.because(str(unknown), policy=str(wanted)) from None

    # ----------------------------------------------------------------------------------------------- outcomes

    async def record_failure(self, job_id: str, event: Any) -> None:
        """One operation of the job failed for good. ``event`` is a dict, an exception or a ``FailureEvent`` (see
        ``failure_events.failure_event`` for the keys); one of category ``browser`` counts as a browser's crash, too.

        Raises ``AbortConfigurationError`` for something that is none of these, ``AbortExecutionError``.
        """
        _check_job(job_id)
        failure = _event(event)
        seen = Observed(failed=True, stream=failure.stream, crash=failure.category is Category.BROWSER)
        await asyncio.gather(
            self._call("failures", RecordFailures(job_id, (failure,))),
            self._call("aborts", RecordOutcomes(job_id, (seen,), failure.id)),
        )

    async def record_success(self, job_id: str, count: int = 1) -> None:
        """So many operations of the job succeeded. Raises ``AbortConfigurationError`` for a bad count."""
        _check_job(job_id)
        if not isinstance(count, int) or not is_number(count, 1, 100_000):
            raise AbortConfigurationError.because(f"count must be a whole number from 1 to 100000, got {count!r}")
        given = uuid.uuid4().hex
        await asyncio.gather(
            self._call("failures", RecordSuccess(job_id, count, given)),
            self._call("aborts", RecordOutcomes(job_id, (Observed(failed=False),) * count, given)),
        )

    # ----------------------------------------------------------------------------------------------- judgement

    async def evaluate_abort_conditions(self, job_id: str, abort_policy_id: str | None = None) -> dict[str, Any]:
        """Whether the job should be aborted now, by this policy.

        Answers ``{"should_abort": bool, "reason": text (never empty), "action": "continue" | "suspect" | "abort",
        "rule", "evidence": {...}, "job_id", "policy_id", "min_operations", "exit_code", "timestamp"}``. A verdict to
        abort stands. No job with fewer than ``min_operations_before_eval`` (or the policy's own, if that is more)
        outcomes is aborted. With ``enabled=False`` no job is. Raises ``AbortPolicyNotFoundError``,
        ``AbortExecutionError``.
        """
        _check_job(job_id)
        policy_id, policy = self._policy_for(job_id, abort_policy_id)
        floor = max(self.config.min_operations_before_eval, policy.min_operations)
        answer: dict[str, Any] = {
            "should_abort": False,
            "reason": "abort management is switched off (AbortConfiguration.enabled is False)",
            "action": AbortAction.CONTINUE.value,
            "rule": "",
            "evidence": {},
            "job_id": job_id,
            "policy_id": policy_id,
            "min_operations": floor,
            "exit_code": int(ExitCode.DONE),
            "timestamp": utc_now().isoformat(),
        }
        if self.config.enabled:
            _remember(self._asked_on, job_id, asyncio.get_running_loop())
            question = Judge(job_id, policy_id, policy, floor, self.config.evaluation_interval)
            judgement: Judgement = await self._call("aborts", question)
            answer |= _explained(judgement, floor)
            if answer["should_abort"]:
                _remember(self._judged_by, job_id, policy_id)
        self._emit(
            EventType.ABORT_EVALUATED,
            job_id,
            Severity.CRITICAL if answer["should_abort"] else Severity.LOW,
            should_abort=answer["should_abort"],
            reason=answer["reason"],
            policy=policy_id,
        )
        return answer

    async def get_failure_analysis(self, job_id: str, time_window: TimeWindow = None) -> dict[str, Any]:
        """What failed in the job; in the last ``time_window`` (seconds or a ``timedelta``) if given. The keys are those
        of ``failure_analysis.analysed``, with ``job_id``, ``verdict`` (None, or why the job is to be aborted) and
        ``exit_code`` (4 with a verdict, 3 with failures, 0 without). An unknown job has no failures. Raises
        ``AbortConfigurationError`` for another window, ``AbortExecutionError``.
        """
        _check_job(job_id)
        since = seconds_of("time_window", time_window, AbortConfigurationError)
        analysis, verdict = await asyncio.gather(
            self._call("failures", Analyse(job_id, since)), self._call("aborts", Standing(job_id))
        )
        code = ExitCode.ABORTED if verdict else ExitCode.DEAD_LETTERS if analysis["total_failures"] else ExitCode.DONE
        return dict(analysis) | {"verdict": verdict, "exit_code": int(code)}

    # ------------------------------------------------------------------------------------------------- actions

    def register_abort_action(self, action: str, handler: ActionHandler) -> None:
        """Have ``handler(job_id, reason, action)`` carry out SHUTDOWN, CLEANUP, SAVE_STATE, NOTIFY or LOG_EVENT; sync
        (it gets a thread) or async. ``action`` is an ``AbortStep`` with ``measure``, ``target``, ``parameters`` and
        ``timeout``. Raises ``AbortConfigurationError``.
        """
        try:
            kind = Measure[action.upper()]
        except (KeyError, AttributeError):
            words = ", ".join(Measure.__members__)
            raise AbortConfigurationError.because(f"an abort action is one of {words}, got {action!r}") from None
        if not callable(handler):
            raise AbortConfigurationError.because(f"the handler of {kind.name} must be a function, got {handler!r}")
        self._actions[kind] = handler

    async def execute_abort_actions(self, job_id: str, abort_reason: str, abort_policy_id: str | None = None) -> bool:
        """Carry out the policy's actions in order, each within its time; one that fails does not keep the next from
        running. Without ``abort_policy_id``: those of the policy by which the job was judged.

        LOG_EVENT writes to the log, NOTIFY calls the notification hook, SHUTDOWN has every later judgement of the job
        say that it is to be aborted (and stops the job, if it runs in this manager's system); CLEANUP and SAVE_STATE do
        what was registered for them. True if none failed; False if one did, or with ``enabled=False``, when nothing is
        done. Raises ``AbortPolicyNotFoundError``.
        """
        _check_job(job_id)
        if not self.config.enabled:
            log("INFO", f"job {job_id}: abort actions are switched off", job_id=job_id)
            return False
        policy_id, policy = self._policy_for(job_id, abort_policy_id or self._judged_by.get(job_id))
        run = ActionRun(job_id, redact_text(str(abort_reason)), policy_id, self._built_in(), self._actions)
        outcomes = await run.carry_out(policy.on_abort)
        for kind, outcome in outcomes:
            self._connection.tell("failures", RecordNote(job_id, "action", f"{kind}:{outcome}"))
        failed = [kind for kind, outcome in outcomes if outcome == "failed"]
        self._emit(
            EventType.ABORT_EXECUTED,
            job_id,
            Severity.CRITICAL,
            reason=run.reason,
            policy=policy_id,
            actions=[f"{kind}: {outcome}" for kind, outcome in outcomes],
        )
        return not failed

    def _built_in(self) -> dict[Measure, ActionHandler]:
        return {
            Measure.LOG_EVENT: self._log_event,
            Measure.NOTIFY: self._tell_hook,
            Measure.SHUTDOWN: self._halt,
        }

    async def _log_event(self, job_id: str, reason: str, action: AbortStep) -> None:
        log("ERROR", f"job {job_id} is aborted: {reason}", job_id=job_id, target=action.target)

    async def _tell_hook(self, job_id: str, reason: str, action: AbortStep) -> None:
        if not self.config.abort_notification_enabled:
            return
        log("ERROR", f"abort notification for job {job_id}: {reason}", job_id=job_id, target=action.target)
        if self._notify is not None:
            news = _news(job_id, reason, policy_id=self._judged_by.get(job_id))
            await bounded(self._notify, news, timeout=action.timeout, what="the notification hook")

    def _news_unasked(self, event: ResilienceEvent) -> None:
        loop = self._asked_on.get(event.job_id or "")
        if loop is None or not self.config.abort_notification_enabled or not self._seat.alive:
            return
        news = _news(
            event.job_id or "",
            event.data["reason"],
            policy_id=event.data["policy"],
            rule=event.data["rule"],
            evidence=event.data["evidence"],
        )
        with contextlib.suppress(RuntimeError):  # that loop has ended
            loop.call_soon_threadsafe(self._notify_soon, news)

    def _notify_soon(self, news: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._notify_quietly(news))
        self._notifying.add(task)
        task.add_done_callback(self._notifying.discard)

    async def _notify_quietly(self, news: dict[str, Any]) -> None:
        assert self._notify is not None
        try:
            await bounded(self._notify, news, timeout=NOTIFY_TIMEOUT, what="the notification hook")
        except CallbackFailed as failed:
            log("ERROR", f"job {news['job_id']}: {failed}", stack=stack_of(failed), job_id=news["job_id"])

    async def _halt(self, job_id: str, reason: str, action: AbortStep) -> None:
        del action
        await self._call("aborts", HaltJob(job_id, reason))
        await self._connection.stop_job(job_id, reason)


def _remember(jobs: dict[str, Any], job_id: str, value: Any) -> None:
    """As many jobs as the actors remember, the latest."""
    jobs.pop(job_id, None)
    jobs[job_id] = value
    if len(jobs) > JOBS_KEPT:
        del jobs[next(iter(jobs))]


def _unasked(manager: "weakref.ref[AbortManager]") -> Callable[[ResilienceEvent], None]:
    def hear(event: ResilienceEvent) -> None:
        live = manager()
        if live is not None and event.data.get("unasked"):
            live._news_unasked(event)

    return hear


def _explained(judgement: Judgement, floor: int) -> dict[str, Any]:
    decision = judgement.decision
    figures = {"rule": decision.rule, "evidence": dict(decision.evidence)}
    operations = int(decision.evidence.get("operations", 0))
    failures = int(decision.evidence.get("failures", 0))
    if judgement.below_floor:
        reason = f"too early to judge: {operations} of at least {floor} operations; so far: {decision.reason}"
        return figures | {"action": AbortAction.SUSPECT.value, "reason": reason}
    if decision.action is AbortAction.ABORT:
        reason = decision.reason or "the job was halted"
        code = int(ExitCode.ABORTED)
        return figures | {"should_abort": True, "action": "abort", "reason": reason, "exit_code": code}
    if decision.action is AbortAction.SUSPECT:
        return figures | {"action": AbortAction.SUSPECT.value, "reason": f"under suspicion: {decision.reason}"}
    if operations == 0:
        return figures | {"reason": "nothing has been recorded yet"}
    return figures | {"reason": f"{failures} of {operations} operations failed, which is fine by this policy"}


def _news(job_id: str, reason: str, *, policy_id: str | None, **more: Any) -> dict[str, Any]:
    return {"job_id": job_id, "reason": reason, "policy_id": policy_id, "timestamp": utc_now().isoformat(), **more}


def _event(report: Any) -> FailureEvent:
    try:
        return failure_event(report)
    except TypeError as error:
        raise AbortConfigurationError.because(str(error), field="failure_event") from None


def _check_job(job_id: Any) -> None:
    if not isinstance(job_id, str) or not job_id:
        raise AbortConfigurationError.because(f"job_id must be a text, got {job_id!r}", field="job_id")
