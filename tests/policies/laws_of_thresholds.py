"""The laws of thresholds: breaches are earned, cleanup gets harder, lifetimes are spread."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import Bug, eighths, examples, law

runs = st.lists(
    st.tuples(st.sampled_from([None, math.nan, math.inf, 70.0, 77.0, 85.0, 85.0]), eighths(1, 12), st.integers(1, 6)),
    min_size=10,
    max_size=25,
)
readings = runs.map(lambda rows: [(value, gap) for value, gap, count in rows for _ in range(count)])


@law(
    Bug("thresholds", "not threshold.beyond(value, threshold.clear)", "not threshold.beyond(value, threshold.limit)"),
    Bug("thresholds", "now - over_since >= threshold.for_seconds", "now >= over_since"),
    Bug("thresholds", "now - clear_since >= threshold.clear_for", "now >= clear_since"),
    Bug("thresholds", " or math.isinf(value)", ""),
)
def breaches_and_recoveries_alternate_and_are_earned(p):
    limits = p.Threshold("memory_percent", 80.0, 75.0, for_seconds=15.0, clear_for=30.0)
    policy = p.ThresholdPolicy((limits,))

    @examples
    @given(readings)
    def check(samples):
        state, now, kinds, history = p.ThresholdState(), 0.0, [], []
        for value, gap in samples:
            now += gap
            after, decision = policy.evaluate(state, {"memory_percent": value}, now)
            if value is None or not math.isfinite(value):
                assert after == state
                assert decision == p.ThresholdDecision()
                continue
            state = after
            history.append((now, value))
            for event in decision.events:
                kinds.append(event.kind)
                breach = event.kind is p.ThresholdEventKind.BREACHED
                held = limits.for_seconds if breach else limits.clear_for
                recent = [value for at, value in history if at >= now - held]
                assert all(value >= 80 if breach else value < 75 for value in recent)
                assert history[0][0] <= now - held
        both = [p.ThresholdEventKind.BREACHED, p.ThresholdEventKind.RECOVERED]
        assert kinds == (both * len(kinds))[: len(kinds)]
        assert state.breached == ({"memory_percent"} if len(kinds) % 2 else set())
        assert p.ThresholdState.from_json(json.loads(json.dumps(state.to_json()))) == state

    check()


@law(
    Bug("thresholds", "now - watch.level_at >= self.escalate_after", "over"),
)
def cleanup_gets_harder_step_by_step(p):
    policy = p.ThresholdPolicy((p.Threshold("memory_percent", 80.0, 75.0, for_seconds=15.0),))
    state, asked = p.ThresholdState(), {}
    for now in range(0, 400, 5):
        state, decision = policy.evaluate(state, {"memory_percent": 90.0}, float(now))
        if decision.cleanup is not None:
            asked[now] = decision.cleanup
    levels = p.CleanupLevel
    assert asked == {
        15: levels.GENTLE,
        75: levels.MODERATE,
        135: levels.AGGRESSIVE,
        195: levels.FORCE,
        255: levels.FORCE,
        315: levels.FORCE,
        375: levels.FORCE,
    }


@law(
    Bug("thresholds", "CleanupLevel.AGGRESSIVE if hard else CleanupLevel.GENTLE", "CleanupLevel.GENTLE"),
    Bug("thresholds", "(hard or now - over_since", "(now - over_since"),
    Bug("thresholds", "if hard and watch.level < CleanupLevel.AGGRESSIVE:", "if False:"),
)
def the_hard_limit_goes_straight_to_aggressive(p):
    @examples
    @given(st.integers(0, 20), eighths(0.125, 30), st.booleans())
    def check(mild, gap, below):
        marks = {"for_seconds": 15.0, "below": below, "hard": 10.0 if below else 95.0}
        policy = p.ThresholdPolicy((p.Threshold("x", 20.0 if below else 80.0, **marks),))
        state, now, level = p.ThresholdState(), 0.0, None
        for _ in range(mild):
            now += gap
            state, decision = policy.evaluate(state, {"x": 15.0 if below else 85.0}, now)
            level = decision.cleanup or level
        state, decision = policy.evaluate(state, {"x": 5.0 if below else 99.0}, now + gap)
        assert state.breached == {"x"}
        if level is None or level < p.CleanupLevel.AGGRESSIVE:
            assert decision.cleanup is p.CleanupLevel.AGGRESSIVE

    check()


@law(
    Bug("thresholds", "1 + self.jitter * (2 * drawn - 1)", "1 + self.jitter * 2 * drawn"),
    Bug("thresholds", "seed.encode(", "'browser'.encode("),
    Bug("thresholds", "clear=self.clear * factor", "clear=self.clear"),
)
def lifetimes_are_spread_by_name_alone(p):
    @examples
    @given(st.text(max_size=20), st.floats(0, 0.5))
    def check(seed, jitter):
        lifetime = p.Threshold("browser_lifetime", 3600.0, 3000.0, hard=7200.0, jitter=jitter)
        one = lifetime.for_subject(seed)
        assert one == lifetime.for_subject(seed)
        assert 3600 * (1 - jitter) <= one.limit <= 3600 * (1 + jitter)
        factor = one.limit / 3600
        assert (one.clear, one.hard) == (pytest.approx(3000 * factor), pytest.approx(7200 * factor))
        assert one.for_subject("again") == one

    check()
    lifetime = p.Threshold("browser_lifetime", 3600.0, jitter=0.1)
    limits = [lifetime.for_subject(f"browser-{n}").limit for n in range(200)]
    assert len(set(limits)) == 200
    assert min(limits) < 3300
    assert max(limits) > 3900


@law(
    Bug("thresholds", "None if at is None else at + seconds", "at"),
    Bug("thresholds", "over_since=moved(self.over_since)", "over_since=self.over_since"),
    Bug("thresholds", "level_at=moved(self.level_at)", "level_at=self.level_at"),
)
def a_checkpoint_changes_no_breach(p):
    limits = p.Threshold("memory_percent", 80.0, 75.0, for_seconds=15.0, clear_for=30.0, hard=95.0)
    policy = p.ThresholdPolicy((limits,), escalate_after=20.0)

    @examples
    @given(readings, st.floats(0, 1), st.integers(1, 1000))
    def check(samples, part, shift):
        def play(rows, state, now):
            decisions = []
            for value, gap in rows:
                now += gap
                state, decision = policy.evaluate(state, {"memory_percent": value}, now)
                decisions.append((decision.cleanup, [event.kind for event in decision.events]))
                assert p.ThresholdDecision.from_json(json.loads(json.dumps(decision.to_json()))) == decision
            return decisions, state, now

        cut = int(part * len(samples))
        whole = play(samples, p.ThresholdState(), 0.0)[0]
        before, state, now = play(samples[:cut], p.ThresholdState(), 0.0)
        after = play(samples[cut:], state.shifted(shift), now + shift)[0]
        assert before + after == whole

    check()
