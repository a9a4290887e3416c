import random

import pytest

from policies import (
    Backoff,
    Intensity,
    RestartAction,
    RestartPolicy,
    RestartState,
    RestartType,
    RestartWindow,
    Strategy,
)

RNG = random.Random(0)


def crash_at(policy, times, **options):
    """Crashes at `times`, each right after a start; gives the decisions until it gives up."""
    state, decisions = RestartState(), []
    for now in times:
        state, decision = policy.decide(policy.started(state, now), now, RNG, **options)
        decisions.append(decision)
        if decision.action is RestartAction.GIVE_UP:
            break
    return decisions


def test_intensity_permits_n_restarts_and_gives_up_at_the_next():
    """OTP's rule: with intensity 2 the third restart in the window is one too many."""
    decisions = crash_at(RestartPolicy.otp(2, 5.0), [0.0, 1.0, 2.0, 3.0])
    assert [decision.action for decision in decisions] == [RestartAction.RESTART] * 2 + [RestartAction.GIVE_UP]
    assert decisions[-1].reason == "intensity"
    assert all(decision.delay == 0 for decision in decisions)


def test_intensity_zero_permits_none():
    """The first crash is already one too many."""
    assert crash_at(RestartPolicy.otp(Intensity(0, 5.0)), [0.0])[0].action is RestartAction.GIVE_UP


def test_a_restart_exactly_one_period_ago_still_counts():
    """The window is closed: at the boundary it counts, beyond it does not."""
    window = RestartWindow.of([10.0])
    assert Intensity(1, 5.0).record(window, 15.0) == (RestartWindow.of([10.0, 15.0]), True)
    after, exceeded = Intensity(1, 5.0).record(window, 15.0000001)
    assert (after, exceeded) == (RestartWindow.of([15.0000001]), False)
    assert Intensity(1, 5.0).counted(after, 21.0) == ()


def test_an_old_limit_does_not_burden_a_slow_sequence():
    """Crashes further apart than the period go on for ever under OTP's rule."""
    assert len(crash_at(RestartPolicy.otp(1, 1.0), [n * 2.1 for n in range(100)])) == 100


def test_a_big_supervisor_is_granted_more_restarts():
    """The limit grows with the number of children."""
    assert [Intensity.for_children(n).max_restarts for n in (0, 1, 3, 50)] == [5, 5, 6, 100]


def test_waits_double_up_to_the_cap():
    """Without an immediate restart the waits are base, double, and the cap from then on."""
    policy = RestartPolicy(Intensity(100, 60.0), Backoff(0.1, 2.0, 0.4, 0.0), immediate=0)
    assert [decision.delay for decision in crash_at(policy, [0.0] * 5)] == [0.1, 0.2, 0.4, 0.4, 0.4]


def test_the_first_restart_of_a_streak_is_at_once():
    """By default a first crash is answered without a wait, and a second one after about 1 s."""
    first, second = crash_at(RestartPolicy(), [0.0, 0.0])
    assert first.delay == 0
    assert 0.75 <= second.delay <= 1.25


def test_a_stable_life_ends_the_streak():
    """After 120 s up the next crash counts as the first again."""
    policy = RestartPolicy()
    state = RestartState(times=(1.0,), streak=7, delays=6, last_delay=48.0, started=100.0)
    after, decision = policy.decide(state, 220.0, RNG)
    assert decision.delay == 0
    assert after == RestartState(times=(220.0,), streak=1)


def test_a_child_that_never_came_up_has_no_stable_life():
    """A refused start leaves nothing to be stable, however long ago the last life was."""
    policy = RestartPolicy(Intensity(100, 60.0), max_streak=2)
    state, decision = policy.decide(policy.started(RestartState(), 0.0), 10.0, RNG)
    assert state.started is None
    state, decision = policy.decide(state, 1000.0, RNG)
    assert (state.streak, decision.action) == (2, RestartAction.RESTART)
    state, decision = policy.decide(state, 2000.0, RNG)
    assert (decision.action, decision.reason) == (RestartAction.GIVE_UP, "streak")


def test_a_child_that_was_stopped_keeps_its_streak_unless_its_life_was_stable():
    """What counts is the time it was up, not the time it is down afterwards."""
    policy = RestartPolicy(Intensity(100, 60.0), stable_after=10.0)
    crashed, _ = policy.decide(policy.started(RestartState(), 0.0), 1.0, RNG)
    for up_for, streak in ((9.0, 2), (10.0, 1)):
        stopped = policy.stopped(policy.started(crashed, 100.0), 100.0 + up_for)
        refused, _ = policy.decide(stopped, 1000.0, RNG)
        assert refused.streak == streak
    assert policy.stopped(crashed, 5000.0) == crashed


def test_an_uncounted_restart_spares_the_intensity_but_not_the_streak():
    """A delayed start that is refused does not burn the window, yet cannot go on for ever."""
    decisions = crash_at(RestartPolicy(Intensity(0, 60.0), max_streak=3), [0.0] * 9, count=False)
    assert [decision.action for decision in decisions] == [RestartAction.RESTART] * 3 + [RestartAction.GIVE_UP]
    assert decisions[-1].reason == "streak"


def test_short_lives_count_however_far_apart_they_are():
    """With a minimum uptime a loop that is slower than the window is given up all the same; a longer life ends it."""
    policy = RestartPolicy(Intensity(2, 5.0), backoff=None, max_streak=None, min_uptime=3.0)
    state, now = RestartState(), 0.0
    for life in (1.0, 2.0, 3.0, 1.0, 2.9, 2.9):
        state = policy.started(state, now)
        state, decision = policy.decide(state, now + life, RNG)
        now += 100.0
    assert (decision.action, decision.reason) == (RestartAction.GIVE_UP, "uptime")
    assert state.brief == 3


def test_a_refusal_after_a_delay_is_no_short_life():
    """It is not counted at all, and ends no run of short lives either."""
    policy = RestartPolicy(Intensity(1, 5.0), max_streak=None, min_uptime=3.0)
    state, _ = policy.decide(RestartState(), 0.0, RNG)
    for now in range(100, 1000, 100):
        state, decision = policy.decide(state, float(now), RNG, count=False)
        assert decision.action is RestartAction.RESTART
    assert state.brief == 1


def test_a_window_is_a_value():
    """Equal by its times, however they came into it; a bad time is named."""
    window = RestartWindow()
    assert len(window) == 0
    for now in range(1000):
        window = window.added(float(now), 600, 10_000.0)
    assert window == RestartWindow.of(float(now) for now in range(400, 1000))
    assert hash(window) == hash(RestartWindow.of(window))
    assert (len(window), window.oldest, window != (400.0,)) == (600, 400.0, True)
    with pytest.raises(ValueError, match=r"RestartWindow\.times must be a finite number.*nan"):
        RestartWindow.of([1.0, float("nan")])


def test_a_window_copies_little():
    """With 100,000 restarts in it one more copies a short list and a single chunk; a step of time drops what is old."""
    window = RestartWindow()
    for k in range(100_000):
        window = window.added(k / 1000, 1_000_000, 1e6)
    after = window.added(100.0, 1_000_000, 1e6)
    assert len(after._chunks) < 400
    assert sum(a is not b for a, b in zip(window._chunks, after._chunks, strict=False)) <= 1
    assert len(after.added(300.0, 1_000_000, 200.5)) == 502


def test_decorrelated_waits_remember_the_last_one():
    """The last delay is part of the state, so the next one can build on it."""
    backoff = Backoff(1.0, max_delay=1000.0, kind="decorrelated")
    highest = type("Highest", (random.Random,), {"uniform": lambda self, a, b: b})()
    policy = RestartPolicy(Intensity(100, 60.0), backoff, immediate=0)
    state, delays = RestartState(), []
    for _ in range(4):
        state, decision = policy.decide(state, 0.0, highest)
        delays.append(decision.delay)
    assert delays == [3, 9, 27, 81]
    assert type(decision).from_json(decision.to_json()) == decision


def test_an_unknown_child_has_no_group():
    """Asking for the group of a child that is not there is a mistake, and the error names it."""
    with pytest.raises(ValueError, match=r"'x' is not among the children \('a', 'b'\)"):
        Strategy.ONE_FOR_ALL.affected(["a", "b"], "x")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Intensity(-1), r"Intensity\.max_restarts must be a whole number from 0 to 10000000, got -1"),
        (lambda: Intensity(float("inf")), r"Intensity\.max_restarts must be a whole number"),
        (lambda: Intensity(1, 0), r"Intensity\.period must be a finite number from 0\.001"),
        (lambda: RestartPolicy(max_streak=-1), r"RestartPolicy\.max_streak"),
        (lambda: RestartType("sometimes"), "'sometimes' is not a valid RestartType"),
        (lambda: Strategy("one_for_two"), "'one_for_two' is not a valid Strategy"),
    ],
)
def test_a_wrong_restart_policy_says_what_is_wrong(make, said):
    """An error names the field, its range and the value."""
    with pytest.raises(ValueError, match=said):
        make()


def test_only_the_window_of_a_state_is_replaced():
    """What else is remembered of the child stays."""
    state = RestartState(RestartWindow.of([1.0]), 2, 3, 4, 5.0, 6.0)
    window = RestartWindow.of([7.0, 8.0])
    assert state.with_times(window) == RestartState(window, 2, 3, 4, 5.0, 6.0)
