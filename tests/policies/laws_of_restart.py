"""The laws of restart."""

import json
import math
import random

from hypothesis import given
from hypothesis import strategies as st
from laws import Bug, eighths, examples, law, seeds


@law(
    Bug("restart", "len(window) > self.max_restarts", "len(window) >= self.max_restarts"),
    Bug("restart", "now - window.oldest <= self.period", "now - window.oldest < self.period"),
    Bug("restart_window", "len(chunks[-1]) - keep", "0"),
)
def no_window_holds_more_restarts_than_allowed(p):
    @examples
    @given(
        st.integers(0, 6),
        st.sampled_from([1.0, 2.5, 5.0]),
        st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=10, max_size=40),
    )
    def check(most, period, gaps):
        intensity = p.Intensity(most, period)
        times, now, all_times = p.RestartWindow(), 0.0, []
        for gap in gaps:
            now += gap
            all_times.append(now)
            times, exceeded = intensity.record(times, now)
            assert exceeded is (sum(now - at <= period for at in all_times) > most)
            assert len(times) <= most + 1
            assert tuple(times) == tuple(all_times[len(all_times) - len(times) :])

    check()


@law(
    Bug("restart", "streak = 1 if fresh else", "streak ="),
    Bug("restart", "delays = 0 if fresh else", "delays ="),
)
def delays_follow_the_streak_and_end_with_a_stable_life(p):
    @examples
    @given(st.lists(eighths(0, 300), min_size=1, max_size=60), st.integers(0, 3), seeds)
    def check(lives, immediate, seed):
        policy = p.RestartPolicy(p.Intensity(5, 60.0), immediate=immediate)
        state, now, rng, streak = p.RestartState(), 0.0, random.Random(seed), 0
        for life in lives:
            state = policy.started(state, now)
            now += life
            streak = 1 if life >= policy.stable_after else streak + 1
            state, decision = policy.decide(state, now, rng)
            assert p.RestartState.from_json(json.loads(json.dumps(state.to_json()))) == state
            assert state.streak == streak
            if decision.action is p.RestartAction.GIVE_UP:
                assert decision.reason == "intensity" or streak > 8
                break
            assert streak <= 8
            assert (decision.delay == 0) is (streak <= immediate)
            waits = streak - immediate
            assert decision.delay <= 60
            assert streak <= immediate or 0.7 * min(48, 2 ** (waits - 1)) <= decision.delay <= 1.3 * 2 ** (waits - 1)
            now = math.ceil((now + decision.delay) * 8) / 8

    check()


@law(
    Bug("restart", "elif self.max_streak is not None and streak > self.max_streak:", "elif False:"),
)
def every_crash_loop_is_escalated(p):
    policy = p.RestartPolicy(backoff=p.Backoff(1.0, max_delay=60.0, jitter=0.0))
    escalated = {}
    for life in (0, 1, 5, 20, 60, 100):
        state, now = p.RestartState(), 0.0
        for _ in range(20):
            state = policy.started(state, now)
            now += life
            state, decision = policy.decide(state, now, random.Random(0))
            if decision.action is p.RestartAction.GIVE_UP:
                escalated[life] = (now - life, decision.reason)
                break
            now += decision.delay
    assert escalated == {
        0: (15.0, "intensity"),
        1: (20.0, "intensity"),
        5: (40.0, "intensity"),
        20: (283.0, "streak"),
        60: (603.0, "streak"),
        100: (923.0, "streak"),
    }


@law(
    Bug("restart", "ids[ids.index(failed) :]", "ids[: ids.index(failed) + 1]"),
)
def strategies_take_along_whom_they_name(p):
    @examples
    @given(st.lists(st.integers(), min_size=1, max_size=8, unique=True), st.data())
    def check(ids, data):
        failed = data.draw(st.sampled_from(ids))
        position = ids.index(failed)
        assert p.Strategy.ONE_FOR_ONE.affected(ids, failed) == (failed,)
        assert p.Strategy.ONE_FOR_ALL.affected(ids, failed) == tuple(ids)
        assert p.Strategy.REST_FOR_ONE.affected(ids, failed) == tuple(ids[position:])

    check()


@law(
    Bug("restart", "(abnormal and self is RestartType.TRANSIENT)", "self is RestartType.TRANSIENT"),
)
def restart_types_decide_by_the_way_it_ended(p):
    wants = {
        (kind.value, abnormal): kind.wants_restart(abnormal) for kind in p.RestartType for abnormal in (False, True)
    }
    assert wants == {
        ("permanent", False): True,
        ("permanent", True): True,
        ("transient", False): False,
        ("transient", True): True,
        ("temporary", False): False,
        ("temporary", True): False,
    }
