"""MonitorActor: watches with paces and policies of their own, told what they need to hear, whatever dies."""

import queue
import random

import pytest

from policies.thresholds import CleanupLevel, Threshold, ThresholdEventKind, ThresholdPolicy
from scorewise_actors.actors import monitor as module
from scorewise_actors.actors.monitor import MonitorActor
from scorewise_actors.events import EventHub
from scorewise_actors.messages.monitor import MonitorMemory, RenewBrowsers, StartWatch, StopWatch, TakeSample
from scorewise_actors.resources.lifetimes import lifetime_reading, overdue_browsers
from scorewise_actors.resources.processes import BrowserProcess
from supervisors import ChildSpec, Runtime, Supervisor, SupervisorSpec
from supervisors.testing import DEADLINE, await_true

ALWAYS = ThresholdPolicy((Threshold("memory_absolute", 1.0), Threshold("disk_space", 0.0, below=True)))
"""Breached from the first sample on, by memory alone."""
NEVER = ThresholdPolicy((Threshold("memory_absolute", 1e9),))


@pytest.fixture
def events():
    """What was told, in order."""
    return []


@pytest.fixture
def monitor(tmp_path, events):
    """The reference of a monitor without a system."""
    hub = EventHub()
    hub.subscribe(events.append)
    memory = MonitorMemory()
    runtime = Runtime("monitored")
    spec = ChildSpec("resources", lambda: MonitorActor(hub, memory, tmp_path))
    runtime.start(Supervisor(SupervisorSpec((spec,))))
    yield runtime.ref("monitored/resources")
    assert runtime.stop(DEADLINE)


def watch(monitor, name, policy, interval=0.05, *, cleanup=None):
    """Start a watch; returns the queue of its reports."""
    reports = queue.SimpleQueue()
    assert monitor.ask(StartWatch(name, policy, interval, cleanup, reports.put)) is True
    return reports


def test_a_breach_is_reported_once_with_its_figures(monitor, events):
    """To the watch, and as an event; a policy that is not breached hears nothing."""
    quiet = watch(monitor, "quiet", NEVER)
    report = watch(monitor, "loud", ALWAYS).get(timeout=DEADLINE)
    assert report.breached == {"memory_absolute"}
    (event,) = report.events
    assert (event.kind, event.resource) == (ThresholdEventKind.BREACHED, "memory_absolute")
    assert report.readings["memory_absolute"] == report.sample.memory == event.value > 1
    assert report.cleanup is None, "it was not asked for"
    looks = monitor.actor._sampler
    before = looks.exact_looks
    await_true(lambda: looks.exact_looks >= before + 2, "two more samples were taken, exact ones: memory is short")
    told = [event.type.value for event in events if event.data.get("watch") == "loud"]
    assert told == ["threshold_breached"]
    assert quiet.empty()


def test_a_recovery_is_reported(monitor, events, monkeypatch):
    """In turn with the breach."""
    reports = watch(monitor, "job", ALWAYS)
    assert reports.get(timeout=DEADLINE).breached
    watches = monitor.actor._memory.watches
    state = watches["job"].state
    monitor.ask(StartWatch("job", ThresholdPolicy((Threshold("memory_absolute", 1e9),)), 0.05, None, reports.put))
    watches["job"].state = state
    report = reports.get(timeout=DEADLINE)
    assert [event.kind for event in report.events] == [ThresholdEventKind.RECOVERED]
    assert report.breached == frozenset()
    assert [event.type.value for event in events] == ["threshold_breached", "threshold_recovered"]


def test_a_watch_that_was_stopped_hears_nothing(monitor):
    """Stopping twice is told by the answer."""
    reports = watch(monitor, "job", ALWAYS)
    reports.get(timeout=DEADLINE)
    assert monitor.ask(StopWatch("job")) is True
    assert monitor.ask(StopWatch("job")) is False
    other = watch(monitor, "other", ALWAYS)
    other.get(timeout=DEADLINE)
    assert reports.empty()


def test_watches_have_paces_of_their_own_and_share_samples(monitor):
    """A slow one does not slow a fast one down, and one that joins begins at once."""
    slow = watch(monitor, "slow", ALWAYS, interval=3600)
    slow.get(timeout=DEADLINE)
    fast = watch(monitor, "fast", ALWAYS, interval=0.02)
    fast.get(timeout=DEADLINE)
    watches = monitor.actor._memory.watches
    due = watches["slow"].due
    await_true(lambda: watches["fast"].due > due - 3600 + 1, "the fast one goes on for a second")
    assert watches["slow"].due == due


def test_a_restarted_monitor_goes_on_with_its_watches(monitor, events, monkeypatch):
    """What it was told survives; what was breached is not told anew."""
    reports = watch(monitor, "job", ALWAYS)
    reports.get(timeout=DEADLINE)
    before = monitor.incarnation
    monkeypatch.setattr(monitor.actor._sampler, "sample", lambda _: 1 / 0)
    await_true(lambda: monitor.is_up() and monitor.incarnation != before, "the monitor is restarted")
    await_true(lambda: hasattr(monitor.actor, "_sampler"), "it has begun")
    looks = monitor.actor._sampler
    await_true(lambda: looks.exact_looks >= 2, "it samples again")
    assert reports.empty()
    assert [event.type.value for event in events] == ["threshold_breached"]


def test_a_watch_that_raises_harms_nobody(monitor):
    """It is logged; the monitor lives and serves the others."""

    def broken(report):
        raise ValueError("this sink is broken")

    before = monitor.incarnation
    monitor.ask(StartWatch("broken", ALWAYS, 0.05, None, broken))
    report = watch(monitor, "sound", ALWAYS).get(timeout=DEADLINE)
    assert report.watch == "sound"
    assert monitor.incarnation == before


def test_cleanup_is_told_and_collects_garbage(monitor, events, monkeypatch):
    """Without browsers of a system that is all there is to do; the level rises while it does not help."""
    collected = queue.SimpleQueue()
    monkeypatch.setattr(module.gc, "collect", lambda: collected.put(True))
    policy = ThresholdPolicy((Threshold("memory_absolute", 1.0),), escalate_after=0.2)
    reports = watch(monitor, "job", policy, cleanup=CleanupLevel.FORCE)
    levels = [reports.get(timeout=DEADLINE).cleanup.name for _ in range(4)]
    assert levels == ["GENTLE", "MODERATE", "AGGRESSIVE", "FORCE"]
    for _ in levels:
        assert collected.get(timeout=DEADLINE)
    told = [event.data["level"] for event in events if event.type.value == "cleanup_initiated"]
    assert told[:4] == ["gentle", "moderate", "aggressive", "force"]
    assert monitor.ask(RenewBrowsers("asked")) == 0


def test_a_sample_can_be_had_at_any_time(monitor):
    """Also while nobody watches."""
    sample = monitor.ask(TakeSample())
    assert sample.processes >= 1
    assert sample.memory > 1
    assert monitor.ask(TakeSample()).at >= sample.at


# ---------------------------------------------------------------------------------------------------------- lifetimes

LIFETIME = ThresholdPolicy((Threshold("browser_lifetime", 1000.0, max_cleanup=None, jitter=0.1),))


def test_each_browser_has_a_lifetime_of_its_own():
    """Within a tenth, and always the same one; the reading passes the limit just when a browser is overdue."""
    rnd = random.Random(2)
    browsers = [BrowserProcess(pid, 5000.0 + rnd.random(), None) for pid in range(100, 140)]
    reached = {}
    for age in range(890, 1110):
        for browser in browsers:
            now = browser.started + age
            overdue = overdue_browsers(LIFETIME, [browser], now)
            assert (lifetime_reading(LIFETIME, [browser], now) >= 1000) is bool(overdue)
            if overdue:
                reached.setdefault(browser, age)
    limits = sorted(reached.values())
    assert len(reached) == 40
    assert 900 <= limits[0] < 940
    assert 1060 < limits[-1] <= 1100
    assert len(set(limits)) > 20, "they are spread"


def test_the_most_overdue_browser_comes_first():
    """And the reading is that of the one that is nearest to its limit."""
    browsers = [BrowserProcess(pid, float(pid), None) for pid in (100, 200, 5000)]
    assert [browser.pid for browser in overdue_browsers(LIFETIME, browsers, 5500.0)] == [100, 200]
    assert lifetime_reading(LIFETIME, browsers, 5500.0) > 4000
    assert (lifetime_reading(LIFETIME, [], 1.0), overdue_browsers(LIFETIME, [], 1.0)) == (None, ())
    assert (lifetime_reading(NEVER, browsers, 5500.0), overdue_browsers(NEVER, browsers, 5500.0)) == (5400.0, ())


def test_without_jitter_all_would_be_renewed_together(monkeypatch):
    """The test of lifetimes can fail."""
    monkeypatch.setattr(Threshold, "for_subject", lambda self, _: self)
    with pytest.raises(AssertionError):
        test_each_browser_has_a_lifetime_of_its_own()
