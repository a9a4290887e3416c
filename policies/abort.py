"""Whether a job should go on: stop a broken one soon, a healthy one never.

The rule one thinks of first, "more than half of the last 10 failed", aborts half of all healthy jobs of 10,000 items at
a base failure rate of 10 %. So the default collects evidence (`policies.evidence`) and lets it stand for a *hold* time:
counting alone burns through any limit in seconds when failures are instant. The literal rule can be had beside it or
instead (`WindowRule`).

Feed it the *final* outcome of each item, not each attempt, each browser crash, and a tick every second or so.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import attrs

from policies.abort_decision import AbortAction, AbortDecision, AbortStep, Measure, steps, steps_from_json
from policies.evidence import EvidenceScore
from policies.failures import Remedy, Stream
from policies.rules import Verdict
from policies.validation import CLOCK_LIMIT, each, instance_of, integer, number, require_number
from policies.values import JsonValue, optional
from policies.window import Outcome, WindowRule


@attrs.frozen
class AbortState(JsonValue):
    """What is remembered between events. Times are monotonic seconds."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "infra": EvidenceScore.from_json,
        "content": EvidenceScore.from_json,
        "window": lambda entries: tuple(Outcome.from_json(entry) for entry in entries),
        "crashes": tuple,
        "verdict": optional(AbortDecision.from_json),
    }

    infra: EvidenceScore = attrs.field(factory=EvidenceScore, validator=instance_of(EvidenceScore))
    """Evidence that pages do not come."""
    content: EvidenceScore = attrs.field(factory=EvidenceScore, validator=instance_of(EvidenceScore))
    """Evidence that pages come without items."""
    operations: int = attrs.field(default=0, validator=integer(0, 10**15))
    """Final outcomes counted so far."""
    failures: int = attrs.field(default=0, validator=integer(0, 10**15))
    """How many of them were failures."""
    started: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """Time of the first event."""
    window: tuple[Outcome, ...] = attrs.field(default=(), validator=instance_of(tuple))
    """Latest outcomes, oldest first; empty without a `WindowRule`."""
    crashes: tuple[float, ...] = attrs.field(default=(), validator=each(of=number(-CLOCK_LIMIT, CLOCK_LIMIT)))
    """Times of the browser crashes since a browser last proved that it works, oldest first."""
    verdict: AbortDecision | None = attrs.field(default=None, validator=instance_of(AbortDecision, optional=True))
    """The decision to abort, once taken: it is never taken back. A job that is run again begins with a new state."""
    browsers: int | None = attrs.field(default=None, validator=integer(0, 1_000_000, optional=True))
    """Size of the fleet at the latest crash; None before the first one."""

    def shifted(self, seconds: float) -> Self:
        """The same state on a clock that reads `seconds` more: for a state restored in another process."""
        return attrs.evolve(
            self,
            infra=self.infra.shifted(seconds),
            content=self.content.shifted(seconds),
            started=None if self.started is None else self.started + seconds,
            window=tuple(attrs.evolve(outcome, at=outcome.at + seconds) for outcome in self.window),
            crashes=tuple(at + seconds for at in self.crashes),
        )


@attrs.frozen
class AbortPolicy(JsonValue):
    """When to abort a job. Every method takes a state and gives the next one with a decision."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "window": optional(WindowRule.from_json),
        "on_abort": steps_from_json,
    }

    failure_rate: float = attrs.field(default=0.5, validator=number(0.01, 0.99))
    """Evidence grows while more than this fraction fails."""
    evidence: int | None = attrs.field(default=40, validator=integer(1, 1_000_000, optional=True))
    """Points of evidence that make a suspicion: so many failures in a row, or twice as many more of them than is fine.
    None turns the evidence rules off."""
    hold: float = attrs.field(default=30.0, validator=number(0, 1_000_000))
    """Seconds that the suspicion must last: a blip shorter than this never aborts."""
    grace: float = attrs.field(default=60.0, validator=number(0, 1_000_000))
    """Seconds from the first event before evidence may abort; it is collected from the first operation."""
    min_operations: int = attrs.field(default=40, validator=integer(1, 10**9))
    """Operations before evidence may abort. Crashes are not operations: browsers that never bring a page have to end
    the job as well."""
    crashes: int | None = attrs.field(default=3, validator=integer(1, 1_000_000, optional=True))
    """Browser crashes in a row that abort, but never fewer than two for each browser; None turns the crash rule off."""
    crash_window: float = attrs.field(default=300.0, validator=number(0.001, 1_000_000))
    """Seconds within which they must lie."""
    window: WindowRule | None = attrs.field(default=None, validator=instance_of(WindowRule, optional=True))
    """The literal rule, beside the others."""
    probes: int = attrs.field(default=1, validator=integer(1, 1_000_000))
    """Operations that may be under way under suspicion: enough to see the job recover, too few to burn through it."""
    on_abort: tuple[AbortStep, ...] = attrs.field(
        default=(Measure.SAVE_STATE, Measure.CLEANUP, Measure.NOTIFY, Measure.SHUTDOWN), converter=steps
    )
    """What to do on ABORT, in order: what was done is safe before anything else can fail."""

    def ends_misconfigured(self, verdict: Verdict) -> bool:
        """Whether a final failure with this `verdict` ends the job at once: no other page can come either, and evidence
        would only burn items. Never with all rules turned off.
        """
        silent = self.evidence is None and self.crashes is None and self.window is None
        return verdict.remedy is Remedy.ABORT_JOB and not silent

    @classmethod
    def for_job(cls, items: int, base_rate: float, false_abort: float = 0.01) -> Self:
        """The quickest policy that leaves a healthy job alone.

        A job of `items` operations of which the fraction `base_rate` fails independently even in good times is aborted
        with a probability of at most `false_abort`. It inverts the asymptotic hazard of the score, (q - p)(1 - r) r^H
        for p = `base_rate`, q = 1 - p and r = p / q. Raises `ValueError` for a base rate outside 0.001 to 0.49: at one
        half there is no difference left to see.
        """
        require_number("items", items, 1, 10**12)
        require_number("base_rate", base_rate, 0.001, 0.49)
        require_number("false_abort", false_abort, 1e-9, 0.5)
        ratio = base_rate / (1 - base_rate)
        hazard = (1 - 2 * base_rate) * (1 - ratio)
        evidence = max(1, math.ceil(math.log(items * hazard / false_abort) / -math.log(ratio)))
        return cls(evidence=evidence, min_operations=evidence)

    def step(
        self,
        state: AbortState,
        failed: bool,
        now: float,
        stream: Stream = Stream.INFRA,
        *,
        browser_started: float | None = None,
    ) -> tuple[AbortState, AbortDecision]:
        """After the final outcome of one item.

        A success speaks for both streams. A failure speaks against its own `stream`; one of content shows that the page
        came and so speaks *for* the infrastructure. An uncounted one changes nothing. A page that came also ends a row
        of browser crashes if its browser was started (at `browser_started`) after the first of them, or if that is not
        known.
        """
        return self._judged(self.after_outcome(state, failed, now, stream, browser_started=browser_started), now)

    def after_outcome(
        self,
        state: AbortState,
        failed: bool,
        now: float,
        stream: Stream = Stream.INFRA,
        *,
        browser_started: float | None = None,
    ) -> AbortState:
        """The state of `step` without its judgement, for a caller that asks for one later (`tick`)."""
        state = self._begun(state, now)
        if state.verdict is not None or (failed and stream is Stream.UNCOUNTED):
            return state
        came = not failed or stream is Stream.CONTENT
        proven = came and bool(state.crashes) and (browser_started is None or browser_started >= state.crashes[0])
        return attrs.evolve(
            state,
            infra=self._add(state.infra, not came, now),
            content=self._add(state.content, failed, now) if came else state.content,
            operations=state.operations + 1,
            failures=state.failures + failed,
            window=() if self.window is None else self.window.kept(state.window, Outcome(now, failed)),
            crashes=() if proven else state.crashes,
        )

    def crash(self, state: AbortState, now: float, browsers: int) -> tuple[AbortState, AbortDecision]:
        """After a browser crash at `now` in a fleet of `browsers`.

        Crashes count only in a row, that is while no browser started since proved to work: ten browsers that crash once
        in four hours each make three crashes in five minutes on most days.
        """
        return self._judged(self.after_crash(state, now, browsers), now)

    def after_crash(self, state: AbortState, now: float, browsers: int) -> AbortState:
        """The state of `crash` without its judgement, for a caller that asks for one later (`tick`)."""
        require_number("browsers", browsers, 0, 1_000_000)
        state = self._begun(state, now)
        if state.verdict is not None or self.crashes is None:
            return state
        row = state.crashes[-self._crash_limit(self.crashes, browsers) :]
        recent = tuple(at for at in row if now - at <= self.crash_window)
        return attrs.evolve(state, crashes=(*recent, now), browsers=browsers)

    def tick(self, state: AbortState, now: float) -> tuple[AbortState, AbortDecision]:
        """After time has passed: suspicion matures without any outcome when all that is under way hangs."""
        return self._judged(self._begun(state, now), now)

    def _begun(self, state: AbortState, now: float) -> AbortState:
        require_number("now", now, -CLOCK_LIMIT, CLOCK_LIMIT)
        return attrs.evolve(state, started=now) if state.started is None else state

    def _add(self, score: EvidenceScore, failed: bool, now: float) -> EvidenceScore:
        if self.evidence is None:
            return score
        return score.add(failed, now, rate=self.failure_rate, limit=self.evidence)

    def _judged(self, state: AbortState, now: float) -> tuple[AbortState, AbortDecision]:
        if state.verdict is not None:
            return state, state.verdict
        return self._by_crashes(state, now) or self._by_window(state, now) or self._by_evidence(state, now)

    def _by_crashes(self, state: AbortState, now: float) -> tuple[AbortState, AbortDecision] | None:
        if self.crashes is None or state.browsers is None:
            return None
        limit = self._crash_limit(self.crashes, state.browsers)
        if len(state.crashes) < limit:
            return None
        evidence = self._figures(state, now) | {
            "crashes": len(state.crashes),
            "limit": limit,
            "crash_window": self.crash_window,
        }
        within = state.crashes[-1] - state.crashes[0]
        reason = (
            f"{len(state.crashes)} browser crashes within {within:.0f} s, and no browser started since the first of "
            "them brought a page."
        )
        return self._aborted(state, "crashes", evidence, reason)

    def _by_window(self, state: AbortState, now: float) -> tuple[AbortState, AbortDecision] | None:
        rule = self.window
        if rule is None:
            return None
        seen = rule.seen(state.window, now)
        if not rule.broken_by(seen, state.operations):
            return None
        failures = sum(entry.failed for entry in seen)
        evidence = self._figures(state, now) | {
            "window": len(seen),
            "window_failures": failures,
            "failure_rate": rule.failure_rate,
        }
        reason = f"{failures} of the last {len(seen)} operations failed, more than {rule.failure_rate:.0%} of them."
        return self._aborted(state, "window", evidence, reason)

    def _by_evidence(self, state: AbortState, now: float) -> tuple[AbortState, AbortDecision]:
        suspicion = AbortDecision(AbortAction.CONTINUE, evidence=self._figures(state, now))
        for rule, score in (("infra_evidence", state.infra), ("content_evidence", state.content)):
            if self.evidence is None or score.since is None:
                continue
            evidence, reason = self._explained(state, score, rule, self.evidence, now)
            running = evidence["running_for"]
            ripe = state.operations >= self.min_operations and running >= self.grace
            if ripe and score.held(now, limit=self.evidence, hold=self.hold):
                return self._aborted(state, rule, evidence, reason)
            if suspicion.action is AbortAction.CONTINUE:
                suspicion = AbortDecision(AbortAction.SUSPECT, rule, evidence, reason, probes=self.probes)
        return state, suspicion

    @staticmethod
    def _crash_limit(crashes: int, browsers: int) -> int:
        return max(crashes, 2 * browsers)

    def _figures(self, state: AbortState, now: float) -> dict[str, float]:
        return {
            "operations": state.operations,
            "failures": state.failures,
            "running_for": 0.0 if state.started is None else now - state.started,
        }

    def _explained(
        self, state: AbortState, score: EvidenceScore, rule: str, limit: int, now: float
    ) -> tuple[dict[str, float], str]:
        suspect_for = 0.0 if score.since is None else now - score.since
        evidence = self._figures(state, now) | {
            "score": score.score,
            "limit": limit,
            "failure_rate": self.failure_rate,
            "suspect_for": suspect_for,
            "hold": self.hold,
        }
        what = "pages fail to load" if rule == "infra_evidence" else "pages give no item"
        reason = (
            f"More than {self.failure_rate:.0%} of the {what}: {score.score:.0f} of {limit} points of evidence, "
            f"suspected for {suspect_for:.0f} s; {state.failures} of {state.operations} operations failed so far."
        )
        return evidence, reason

    def _aborted(
        self, state: AbortState, rule: str, evidence: dict[str, float], reason: str
    ) -> tuple[AbortState, AbortDecision]:
        decision = AbortDecision(AbortAction.ABORT, rule, evidence, reason, self.on_abort, probes=0)
        return attrs.evolve(state, verdict=decision), decision
