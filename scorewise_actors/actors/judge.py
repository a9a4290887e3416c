"""AbortJudgeActor: sees every outcome, crash and breach, and halts the job when the abort policy trips."""

import time
from typing import Any

from loguru import logger

from policies.abort import AbortState
from policies.abort_decision import AbortAction, AbortDecision
from scorewise_actors.actors.job_news import JobNews
from scorewise_actors.board import JobBoard
from scorewise_actors.job import Verdict
from scorewise_actors.messages.jobs import (
    Breach,
    BrowserCrashed,
    OutcomeSeen,
    Restore,
    Restored,
    SavePolicyState,
    StorageFailed,
    Throttle,
)
from scorewise_actors.plan import JobPlan
from scorewise_actors.redaction import redact_text
from supervisors.exits import end_actor
from supervisors.signals import Signal, Timeout
from supervisors.thread_actor import ThreadActor

POLICY = "abort"
_TICK = 1.0
_SAVE_EVERY = 5.0


class AbortJudgeActor(ThreadActor):
    """A significant child: when the policy says abort it ends with the verdict, and OTP's auto_shutdown stops the tree
    in order. Halting is no special path.
    """

    drains = True

    def __init__(self, plan: JobPlan, board: JobBoard) -> None:
        super().__init__()
        self._plan = plan
        self._board = board
        self._policy = plan.config.abort
        self._state = AbortState()
        self._action = AbortAction.CONTINUE
        self._saved = (AbortState(), 0.0)
        self._news: JobNews

    def on_start(self) -> None:
        self._news = JobNews(self.runtime, self._plan)
        restored: Restored = self.runtime.ref(self._plan.checkpoint).ask(Restore(), timeout=60.0)
        kept = restored.state["policies"].get(POLICY)
        now = time.monotonic()
        if kept is not None:
            before = AbortState.from_json(kept["state"])
            if before.verdict is None:  # after an abort the user has had a look: begin anew
                self._state = before.shifted(now - kept["at"])
        self.runtime.ref(self._plan.frontier).tell(Throttle(None))  # a predecessor may have throttled it
        self._tick_again(now)

    def on_receive(self, message: Any) -> Any:
        now = time.monotonic()
        match message:
            case OutcomeSeen(failed, stream, failure, classified):
                self._news.outcome(message)
                if failure is not None and classified is not None and self._policy.ends_misconfigured(classified):
                    reason = redact_text(f"no page can come, the job is misconfigured: {failure.message}")
                    self._end(Verdict("aborted", classified.rule_id, reason))
                self._state, decision = self._policy.step(self._state, failed, now, stream)
            case BrowserCrashed():
                self._news.crash()
                browsers = sum(len(slots) for slots in self._plan.config.slots())
                self._state, decision = self._policy.crash(self._state, now, browsers)
            case StorageFailed(error, seconds):
                reason = f"storage could not be written for {seconds:.0f} s: {error}" if seconds >= 1 else error
                self._end(Verdict("storage", "storage patience", reason, {"seconds": round(seconds, 1)}))
            case Breach(resource, value, limit, level, breached):
                self._news.breach(message)
                word = "over" if breached else "back below"
                logger.warning("{} is {} its limit: {:.1f} of {:.1f} ({})", resource, word, value, limit, level)
                return None
            case _:
                return super().on_receive(message)
        self._act(decision, now)
        return None

    def on_signal(self, signal: Signal) -> None:
        if isinstance(signal, Timeout):
            now = time.monotonic()
            self._state, decision = self._policy.tick(self._state, now)
            self._act(decision, now)
            self._save(now)
            self._news.flush()
            self._tick_again(now)

    def on_stop(self) -> None:
        self._save(time.monotonic(), at_once=True)
        self._news.flush()

    def _act(self, decision: AbortDecision, now: float) -> None:
        if decision.action is AbortAction.ABORT:
            self._save(now, at_once=True)
            self._end(Verdict("aborted", decision.rule, decision.reason, decision.evidence))
        if decision.action is self._action:
            return
        self._action = decision.action
        suspect = decision.action is AbortAction.SUSPECT
        self.runtime.ref(self._plan.frontier).tell(Throttle(decision.probes))
        if suspect:
            logger.warning("job {} is under suspicion, only probes go on: {}", self._plan.job_id, decision.reason)
        else:
            logger.info("job {} is above suspicion again", self._plan.job_id)

    def _end(self, verdict: Verdict) -> None:
        self._news.halted(AbortDecision(AbortAction.ABORT, verdict.rule, dict(verdict.evidence), verdict.reason))
        logger.error("job {} is halted ({}): {}", self._plan.job_id, verdict.rule, verdict.reason)
        end_actor(self._board.end.decide(verdict), verdict.rule)

    def _save(self, now: float, *, at_once: bool = False) -> None:
        state, saved_at = self._saved
        if state == self._state or (not at_once and now - saved_at < _SAVE_EVERY):
            return
        self._saved = (self._state, now)
        content = {"at": now, "state": self._state.to_json()}
        self.runtime.ref(self._plan.checkpoint).tell(SavePolicyState(POLICY, content))

    def _tick_again(self, now: float) -> None:
        self.signal_at(now + _TICK, Timeout("tick"))
