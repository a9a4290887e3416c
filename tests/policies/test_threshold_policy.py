import math
import random

import pytest

from policies import CleanupLevel, Threshold, ThresholdEventKind, ThresholdPolicy, ThresholdState, named

BREACHED, RECOVERED = ThresholdEventKind.BREACHED, ThresholdEventKind.RECOVERED


def play(policy, resource, readings, *, every=5.0):
    """Plays one reading each `every` seconds; gives (time, what happened) for each event and cleanup, and the state."""
    state, happened = ThresholdState(), []
    for n, value in enumerate(readings):
        state, decision = policy.evaluate(state, {resource: value}, n * every)
        happened += [(n * every, event.kind) for event in decision.events]
        if decision.cleanup is not None:
            happened.append((n * every, decision.cleanup))
    return happened, state


def test_a_threshold_without_hold_acts_at_once():
    """Given only a limit, the first reading at it is a breach and the first below it a recovery."""
    happened, state = play(ThresholdPolicy([Threshold("cpu_percent", 80.0)]), "cpu_percent", [79, 80, 79, 81])
    assert happened == [
        (5, BREACHED),
        (5, CleanupLevel.GENTLE),
        (10, RECOVERED),
        (15, BREACHED),
        (15, CleanupLevel.GENTLE),
    ]
    assert state.breached == {"cpu_percent"}


def test_a_noisy_reading_about_the_limit_is_no_alarm():
    """An hour of readings about 78 % with a limit of 80 % gives two events at most; the bare limit gives dozens."""
    rng = random.Random(4)
    noise = [rng.gauss(78, 2) for _ in range(720)]
    held = Threshold("memory_percent", 80.0, 75.0, for_seconds=30.0, clear_for=60.0)
    assert len(play(ThresholdPolicy([held]), "memory_percent", noise)[0]) <= 2
    assert len(play(ThresholdPolicy([Threshold("memory_percent", 80.0)]), "memory_percent", noise)[0]) > 40


def test_free_disk_space_is_short_when_it_is_low():
    """A threshold from below breaches at low readings and recovers at high ones."""
    disk = Threshold("disk_space", 1000.0, 1200.0, hard=500.0, below=True)
    happened, _ = play(ThresholdPolicy([disk]), "disk_space", [1300, 1000, 1100, 1200, 1201])
    assert happened == [(5, BREACHED), (5, CleanupLevel.GENTLE), (20, RECOVERED)]
    assert play(ThresholdPolicy([disk]), "disk_space", [400])[0] == [(0, BREACHED), (0, CleanupLevel.AGGRESSIVE)]


def test_a_hard_limit_is_not_waited_for():
    """Beyond the hard limit the breach is immediate and cleanup begins with restarts; force follows."""
    memory = Threshold("memory_percent", 80.0, 75.0, for_seconds=30.0, hard=95.0)
    policy = ThresholdPolicy([memory], escalate_after=10.0)
    happened, _ = play(policy, "memory_percent", [96, 96, 96, 96])
    assert happened == [(0, BREACHED), (0, CleanupLevel.AGGRESSIVE), (10, CleanupLevel.FORCE)]
    happened, _ = play(policy, "memory_percent", [85] * 7 + [96])
    assert happened == [(30, BREACHED), (30, CleanupLevel.GENTLE), (35, CleanupLevel.AGGRESSIVE)]


def test_cleanup_stops_getting_harder_once_it_helps():
    """Between the clear mark and the limit the breach lasts, but nothing more is asked for."""
    policy = ThresholdPolicy([Threshold("memory_percent", 80.0, 75.0)], escalate_after=10.0)
    happened, state = play(policy, "memory_percent", [85, 85, 85, 78, 78, 78, 78])
    assert happened == [(0, BREACHED), (0, CleanupLevel.GENTLE), (10, CleanupLevel.MODERATE)]
    assert state.breached == {"memory_percent"}


def test_a_breach_may_be_limited_to_reports_or_mild_cleanup():
    """A busy processor is not cooled by killing browsers: the level stops where it is told to, or is never given."""
    limited = Threshold("cpu_percent", 80.0, hard=95.0, max_cleanup=CleanupLevel.MODERATE)
    happened, _ = play(ThresholdPolicy([limited], escalate_after=5.0), "cpu_percent", [85, 97, 97, 97])
    assert [what for _, what in happened] == [BREACHED, *[CleanupLevel.GENTLE], *[CleanupLevel.MODERATE] * 3]
    silent = Threshold("browser_lifetime", 80.0, max_cleanup=None)
    happened, state = play(ThresholdPolicy([silent], escalate_after=5.0), "browser_lifetime", [85] * 4)
    assert happened == [(0, BREACHED)]
    assert ThresholdState.from_json(state.to_json()) == state


def test_the_hardest_cleanup_of_all_breaches_is_given():
    """Several breaches at once give their events in order and one cleanup, the hardest."""
    policy = ThresholdPolicy([Threshold("cpu_percent", 80.0), Threshold("memory_percent", 80.0, hard=95.0)])
    sample = {"cpu_percent": 90.0, "memory_percent": 99.0, "unknown": 1.0}
    state, decision = policy.evaluate(ThresholdState(), sample, 0.0)
    assert [event.resource for event in decision.events] == ["cpu_percent", "memory_percent"]
    assert (decision.events[1].value, decision.events[1].limit, decision.events[1].at) == (99.0, 80.0, 0.0)
    assert type(decision.events[0]).from_json(decision.events[0].to_json()) == decision.events[0]
    assert decision.cleanup is CleanupLevel.AGGRESSIVE
    assert state.breached == {"cpu_percent", "memory_percent"}


def test_missing_readings_neither_breach_nor_recover():
    """None, NaN, infinity and absence leave the state as it is."""
    policy = ThresholdPolicy([Threshold("cpu_percent", 80.0)])
    state, _ = policy.evaluate(ThresholdState(), {"cpu_percent": 90.0}, 0.0)
    for sample in (
        {"cpu_percent": None},
        {"cpu_percent": math.nan},
        {"cpu_percent": -math.inf},
        {},
        {"cpu_percent": True},
    ):
        after, decision = policy.evaluate(state, sample, 1.0)
        assert after == state
        assert not decision.events


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Threshold("", 80), r"Threshold\.resource must be a string of 1 to 200 characters, got ''"),
        (lambda: Threshold("x", math.nan), r"Threshold\.limit must be a finite number"),
        (lambda: Threshold("x", 80, 81), r"clear of x must be at most limit \(80\), got 81"),
        (lambda: Threshold("x", 80, 79, below=True), r"clear of x must be at least limit \(80\), got 79"),
        (lambda: Threshold("x", 80, hard=79), r"hard of x must be at least limit \(80\), got 79"),
        (lambda: Threshold("x", 80, hard=81, below=True), r"hard of x must be at most limit \(80\), got 81"),
        (lambda: Threshold("x", 80, max_cleanup=4), r"Threshold\.max_cleanup must be one of CleanupLevel\.GENTLE"),
        (lambda: ThresholdPolicy([Threshold("x", 1), Threshold("x", 2)]), "each resource once, got x more than once"),
    ],
)
def test_a_wrong_threshold_says_what_is_wrong(make, said):
    """An error names the field, the resource, the value and its bound."""
    with pytest.raises(ValueError, match=said):
        make()


def test_the_presets_watch_what_a_browser_job_runs_out_of():
    """Production is stricter than development in every mark."""
    production = {one.resource: one for one in named.get("thresholds", "production").thresholds}
    development = {one.resource: one for one in named.get("thresholds", "development").thresholds}
    assert production.keys() == development.keys()
    assert production["memory_percent"].limit < development["memory_percent"].limit
    assert production["disk_space"].limit > development["disk_space"].limit
    assert production["browser_lifetime"].limit == 3600


def test_a_memory_size_becomes_limits():
    """Of 1,000 MB, 800 are a breach, below 750 is clear and 950 is hard; a threshold that is there is replaced."""
    policy = named.get("thresholds", "production").with_memory_of(1000)
    memory = policy.for_resource("memory_absolute")
    assert (memory.limit, memory.clear, memory.hard, memory.for_seconds) == (800, 750, 950, 30)
    again = policy.with_memory_of(2000)
    assert [one.limit for one in again.thresholds if one.resource == "memory_absolute"] == [1600]
    assert len(again.thresholds) == len(policy.thresholds) == 7
    assert policy.for_resource("memory") is None
    with pytest.raises(ValueError, match="megabytes must be a finite number from 1"):
        policy.with_memory_of(0)


def test_browsers_of_a_preset_are_not_replaced_together():
    """The production lifetime of an hour differs by up to a tenth from one browser to the next."""
    production = named.get("thresholds", "production")
    limits = {}
    for browser in ("browser-1", "browser-2", "browser-3"):
        marks = {one.resource: one.for_subject(browser).limit for one in production.thresholds}
        limits[browser] = marks.pop("browser_lifetime")
        assert marks == {one.resource: one.limit for one in production.thresholds if one.jitter == 0}
    assert len(set(limits.values())) == 3
    assert all(3240 <= limit <= 3960 for limit in limits.values())
