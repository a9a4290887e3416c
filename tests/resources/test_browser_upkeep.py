"""Browsers of running jobs are trimmed, renewed, restarted and killed because memory is short, and no item pays for it.

Real Chromium on the demo site.
"""

import os
import signal
import time

import pytest
from harness import KEY, QUICK_RETRY, actors, match_urls

from policies.thresholds import CleanupLevel, Threshold, ThresholdPolicy
from scorewise_actors import ActorSystem
from scorewise_actors.actors.browser_upkeep import BrowserUpkeep
from scorewise_actors.actors.judge import AbortJudgeActor
from scorewise_actors.browser import BrowserOptions
from scorewise_actors.messages.jobs import Breach, BrowserCrashed, Evict, Trim
from scorewise_actors.messages.monitor import RenewBrowsers, StartWatch
from scorewise_actors.resources.processes import BrowserProcess


async def scrape(context):
    await context.page.goto(context.request.url)
    return {"url": context.request.url}


@pytest.fixture
def make_system(storage):
    """A system with these thresholds that samples often; its resilience events are kept."""
    made = []

    def make(policy, **settings):
        system = ActorSystem(
            storage_path=storage, key=KEY, retry=QUICK_RETRY, thresholds=policy, monitor_interval=0.3, **settings
        )
        system.told = []
        system.resilience.events.subscribe(system.told.append)
        made.append(system.start())
        return system

    yield make
    for system in made:
        system.stop()


def run_until(system, site, condition, what, policy=None):
    """Scrapes match pages until the condition holds; checks that each was recorded once and none paid with a try.

    ``policy`` becomes the system's once the browsers are up.
    """
    handle = system.open_job("job", scrape)
    if policy is not None:
        system.runtime.ref("system/monitor").ask(StartWatch("system", policy, 0.3, CleanupLevel.FORCE, lambda _: None))
    urls, added = match_urls(site, 60), 0
    try:
        end = time.monotonic() + 120
        while not condition(system):
            assert time.monotonic() < end, (
                f"not within 120 s: {what}; told: {[str(event) for event in system.told[-5:]]}"
            )
            if added - handle.progress().done < 10:
                handle.add([f"{urls[added % 60]}?n={added}"])
                added += 1
            time.sleep(0.01)
    finally:
        handle.close_input()
        report = handle.wait()
    assert (report.done, report.dead_letters, report.lost, report.recorded_twice) == (added, (), 0, 0), report


def told(system, kind):
    return [event.data for event in system.told if event.type.value == kind]


def restarts(system, reason):
    return [data for data in told(system, "browser_restarted") if reason in data["reason"]]


NOTHING = ThresholdPolicy(())
SHORT = {
    "moderate": ThresholdPolicy(
        (Threshold("memory_absolute", 1.0, max_cleanup=CleanupLevel.MODERATE),), escalate_after=0.5
    ),
    "aggressive": ThresholdPolicy(
        (Threshold("memory_absolute", 1.0, hard=1.0, max_cleanup=CleanupLevel.AGGRESSIVE),), escalate_after=3.0
    ),
    "force": ThresholdPolicy((Threshold("memory_absolute", 1.0, hard=1.0),), escalate_after=4.0),
}


@pytest.mark.parametrize("level", SHORT)
def test_each_level_is_carried_out_and_no_item_pays(make_system, healthy_site, level):
    """Two browsers; they are replaced because of that level, the job goes on, every item is recorded once."""
    system = make_system(NOTHING, browsers_per_driver=2, max_concurrency=2)
    due = 1 if level == "force" else 2
    run_until(
        system,
        healthy_site,
        lambda s: len(restarts(s, f"cleanup {level}")) >= due,
        f"restarts for {level}",
        SHORT[level],
    )
    breached = told(system, "threshold_breached")
    assert breached[0]["resource"] == "memory_absolute"
    assert level in [data["level"] for data in told(system, "cleanup_initiated")]
    assert restarts(system, "it died") == []


def test_a_browser_beyond_its_lifetime_is_renewed_and_the_breach_recovers(make_system, healthy_site):
    """One after the other, without a cleanup; each successor begins young."""
    policy = ThresholdPolicy((Threshold("browser_lifetime", 4.0, max_cleanup=None),))
    system = make_system(policy, browsers_per_driver=2, max_concurrency=2)
    run_until(system, healthy_site, lambda s: len(restarts(s, "beyond its lifetime")) >= 2, "two browsers renewed")
    assert told(system, "cleanup_initiated") == []
    assert told(system, "threshold_breached")[0]["resource"] == "browser_lifetime"


def test_all_browsers_are_renewed_in_turn_when_asked(make_system, healthy_site):
    """The request says why, and so do the events."""
    system = make_system(NOTHING, browsers_per_driver=2, max_concurrency=2)
    asked = []

    def renewed(system):
        ready = [actor for actor in actors(system, "browser") if actor.pid is not None]
        if len(ready) == 2 and not asked:
            asked.append(system.runtime.ref("system/monitor").ask(RenewBrowsers("new proxies")))
        return len(restarts(system, "new proxies")) == 2

    run_until(system, healthy_site, renewed, "both are renewed")
    assert asked == [2]


def test_garbage_of_pages_is_collected(make_system, healthy_site):
    """The gentle level: what a page's script has dropped is given back, while the page goes on."""
    system = make_system(NOTHING, browsers_per_driver=1, max_concurrency=1)
    gone = "() => window.dropped.deref() === undefined"
    seen = []

    async def litter(context):
        await context.page.goto(context.request.url)
        await context.page.evaluate("() => { window.dropped = new WeakRef(new Array(1000).fill(1)) }")
        seen.append(await context.page.evaluate(gone))
        (browser,) = actors(system, "browser")
        await browser._cell.browser.collect_garbage()
        seen.append(await context.page.evaluate(gone))

    assert system.run_blocking("job", match_urls(healthy_site, 1), litter).done == 1
    assert seen == [False, True]


def test_the_judges_of_all_jobs_hear_of_breaches_of_the_system(make_system, healthy_site, monkeypatch):
    """Of the system's own thresholds, with the cleanup that is called for; those of other watches are not theirs."""
    heard = []
    usual = AbortJudgeActor.on_receive

    def hear(self, message):
        if isinstance(message, Breach):
            heard.append(message)
        return usual(self, message)

    monkeypatch.setattr(AbortJudgeActor, "on_receive", hear)
    system = make_system(NOTHING, browsers_per_driver=1, max_concurrency=1)
    policy = ThresholdPolicy((Threshold("disk_space", 1.0, below=True), Threshold("memory_absolute", 1.0)))
    asked = []

    def both_watch(system):
        if actors(system, "judge") and not asked:
            monitor = system.runtime.ref("system/monitor")
            for watch in ("another", "system"):
                asked.append(monitor.ask(StartWatch(watch, policy, 0.3, None, lambda _: None)))
        return heard

    run_until(system, healthy_site, both_watch, "the judge hears of it")
    (breach,) = heard
    assert (breach.resource, breach.limit, breach.level, breach.breached) == ("memory_absolute", 1.0, "gentle", True)
    assert breach.value > 1.0


@pytest.mark.parametrize("purpose", [True, False])
def test_a_browser_killed_on_purpose_is_no_crash_for_the_judge(make_system, healthy_site, monkeypatch, purpose):
    """Killed to free memory, it is nobody's fault; one that dies of itself is told to the judge."""
    crashes = []
    usual = AbortJudgeActor.on_receive

    def hear(self, message):
        if isinstance(message, BrowserCrashed):
            crashes.append(message)
        return usual(self, message)

    monkeypatch.setattr(AbortJudgeActor, "on_receive", hear)
    system = make_system(NOTHING, browsers_per_driver=1, max_concurrency=1)
    killed = []

    def another_came(system):
        browsers = [actor for actor in actors(system, "browser") if actor.pid is not None]
        if browsers and not killed:
            killed.append(browsers[0].pid)
            if purpose:
                browsers[0].ref.tell(Evict("cleanup force"))
            else:
                os.kill(browsers[0].pid, signal.SIGKILL)
        return browsers and browsers[0].pid not in killed

    run_until(system, healthy_site, another_came, "another browser came")
    assert len(crashes) == (0 if purpose else 1)


@pytest.mark.parametrize(("isolation", "kept"), [("none", True), ("page", True), ("reset", False)])
def test_a_renewed_browser_goes_on_with_the_session(make_system, healthy_site, isolation, kept):
    """Where items share cookies and storage, they are still there in the next browser; where they do not, not."""
    options = BrowserOptions(isolation=isolation)
    system = make_system(NOTHING, browsers_per_driver=1, max_concurrency=1, browser=options)
    seen = {}

    async def visit(context):
        await context.page.goto(context.request.url)
        (scraper,) = actors(system, "scrape")
        found = await context.page.evaluate("() => [document.cookie, localStorage.getItem('team')]")
        first = not seen
        seen.setdefault(scraper._browser.pid, found)  # the browser of this page, not the one that is coming up
        if first:
            await context.page.evaluate(
                "() => { document.cookie = 'visits=7; path=/; max-age=9999'; localStorage.setItem('team', 'Rovers') }"
            )
            system.runtime.ref("system/monitor").tell(RenewBrowsers("new proxies"))

    handle = system.open_job("job", visit)
    urls = match_urls(healthy_site, 60)
    end, added = time.monotonic() + 120, 0
    while len(seen) < 2:
        assert time.monotonic() < end, "the browser is not renewed"
        if added - handle.progress().done < 2:
            handle.add([f"{urls[added % 60]}?n={added}"])
            added += 1
        time.sleep(0.01)
    handle.close_input()
    assert handle.wait().done == added
    assert list(seen.values()) == [["", None], ["visits=7", "Rovers"] if kept else ["", None]]


# ------------------------------------------------------------------------------------------------- who comes next


class Place:
    """Stands where a browser's reference would; keeps what it was told."""

    def __init__(self, path, pid):
        self.path, self.actor, self.got = path, self, []
        self.pid = pid
        self.renewing = False

    def is_up(self):
        return True

    def tell(self, message):
        self.got.append(message)


@pytest.fixture
def upkeep(monkeypatch):
    """Three browsers of which the second is the largest."""
    places = [Place(f"system/job:a/drivers/driver-1/browser-{n}/browser", n) for n in (1, 2, 3)]

    class Tree:
        def refs(self):
            return places

        def ref(self, path):
            return next((place for place in places if place.path == path), Place(path, None))

    monkeypatch.setattr("scorewise_actors.actors.browser_upkeep.BrowserActor", Place)
    restarted = []
    upkeep = BrowserUpkeep(Tree(), lambda path, reason: restarted.append((path[-17:], reason)))
    upkeep.look(0.0)
    return upkeep, places, restarted


SIZES = [BrowserProcess(n, 0.0, memory) for n, memory in ((1, 10.0), (2, 90.0), (3, 20.0))]


def test_one_browser_at_a_time(upkeep):
    """A second one is not asked before the first has its successor, or has had time enough."""
    keep, places, restarted = upkeep
    keep.clean(CleanupLevel.MODERATE, SIZES, 0.0)
    keep.clean(CleanupLevel.MODERATE, SIZES, 60.0)
    keep.renew_overdue(SIZES, 61.0)
    assert sorted(len(place.got) for place in places) == [0, 0, 1]
    (asked,) = [place for place in places if place.got]
    asked.pid, asked.renewing = 77, True
    keep.look(62.0)
    assert restarted == [("browser-2/browser", "cleanup moderate")]
    keep.clean(CleanupLevel.MODERATE, SIZES, 62.5)
    assert sum(len(place.got) for place in places) == 1, "the old one is still there"
    asked.renewing = False
    keep.clean(CleanupLevel.MODERATE, SIZES, 63.0)
    assert sorted(len(place.got) for place in places) == [0, 1, 1]
    keep.clean(CleanupLevel.MODERATE, SIZES, 63.0 + 121.0)
    assert sorted(len(place.got) for place in places) == [1, 1, 1], "the third one's turn comes without the second"


def test_the_largest_is_restarted_and_at_last_killed(upkeep):
    """Aggressive waits for nobody's pages for long; force waits for nobody at all."""
    keep, places, _ = upkeep
    keep.clean(CleanupLevel.GENTLE, SIZES, 0.0)
    keep.clean(CleanupLevel.AGGRESSIVE, SIZES, 1.0)
    keep.clean(CleanupLevel.FORCE, SIZES, 2.0)
    assert [place.got for place in (places[0], places[2])] == [[Trim("cleanup gentle")]] * 2
    _trim, recycle, evict = places[1].got
    assert (recycle.reason, recycle.patience) == ("cleanup aggressive", 5.0)
    assert evict == Evict("cleanup force")


def test_a_browser_that_died_by_itself_is_told_as_that(upkeep):
    """Another pid in the same place, and nobody had asked for it; a first browser is no restart."""
    keep, places, restarted = upkeep
    assert restarted == []
    places[0].pid = 50
    keep.look(5.0)
    keep.look(6.0)
    assert restarted == [("browser-1/browser", "it died")]


def test_asking_several_at_once_is_found(upkeep, monkeypatch):
    """The test of one at a time can fail."""
    monkeypatch.setattr(BrowserUpkeep, "_busy", lambda self, now: False)
    with pytest.raises(AssertionError):
        test_one_browser_at_a_time(upkeep)
