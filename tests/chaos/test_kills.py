"""Real signals to real processes in mid-run: nothing is lost, nothing is recorded twice, nobody pays for it."""

import asyncio
import os
import signal

import psutil
import pytest
from harness import KEY, QUICK_RETRY, actors, match_urls, wait_until

from scorewise_actors import ActorSystem, BrowserOptions, ExitCode, Request

ITEMS = 24


async def visit(context):
    await context.page.goto(context.request.url)
    return {"url": context.request.url, "id": await context.page.evaluate("document.title")}


def start(system, site, handler=visit, items=ITEMS):
    handle = system.open_job("kills", handler)
    handle.add(match_urls(site, items))
    handle.close_input()
    wait_until(lambda: handle.progress().done >= items // 4, "a quarter of the items")
    return handle


def check(handle, items=ITEMS):
    urls = [value["url"] for value in handle.iter_results(from_start=True)]
    report = handle.wait()
    assert sorted(urls) == sorted(set(urls)), "recorded twice"
    assert (report.done, report.lost, report.recorded_twice, report.pending) == (items, 0, 0, 0), report
    assert report.exit_code is ExitCode.DONE
    return report


def browser_pid(system):
    return actors(system, "browser")[0]._cell.browser.pid


def driver_pid(system):
    return actors(system, "driver")[0]._driver.pid


def test_a_killed_browser_costs_no_item_an_attempt(system, healthy_site):
    """SIGKILL of the browser with pages in flight: it is replaced, and every item is done at its first try."""
    handle = start(system, healthy_site)
    os.kill(browser_pid(system), signal.SIGKILL)
    report = check(handle)
    assert report.restarts_by_actor == {"browser": 1}
    assert report.retries == 0


def test_a_killed_driver_takes_its_browser_along_and_both_come_back(system, healthy_site):
    """SIGKILL of the Playwright driver, which fires no event at all."""
    handle = start(system, healthy_site)
    os.kill(driver_pid(system), signal.SIGKILL)
    report = check(handle)
    assert report.restarts_by_actor.get("driver") == 1
    assert report.retries == 0


@pytest.mark.parametrize("victim", ["browser", "driver"])
def test_a_frozen_process_is_noticed_and_replaced(storage, healthy_site, victim):
    """SIGSTOP: everything still looks connected and nothing answers; the heartbeat from outside notices."""
    options = BrowserOptions(heartbeat_interval=0.5, heartbeat_deadline=3.0)
    with ActorSystem(storage_path=storage, key=KEY, retry=QUICK_RETRY, browser=options) as system:
        handle = start(system, healthy_site)
        if victim == "browser":
            os.killpg(browser_pid(system), signal.SIGSTOP)
        else:
            os.kill(driver_pid(system), signal.SIGSTOP)
        report = check(handle)
    assert report.restarts_by_actor.get(victim) == 1


def test_a_crashed_page_returns_its_lease_and_spares_the_others(system, healthy_site):
    """SIGKILL of the renderers: pages are replaced, the browser stays, no attempt is counted."""
    handle = start(system, healthy_site)
    before = browser_pid(system)
    for process in psutil.Process(before).children(recursive=True):
        try:
            if "--type=renderer" in process.cmdline():
                process.kill()
        except psutil.NoSuchProcess:
            continue
    report = check(handle)
    assert report.retries == 0
    assert report.restarts_by_actor.get("browser", 0) == 0


def test_a_page_that_kills_every_renderer_is_poison(storage, healthy_site):
    """An item whose page crashes each time is given up after three crashes; the others are done."""

    async def handler(context):
        if context.request.label == "poison":
            await context.page.goto("chrome://crash")
        await context.page.goto(context.request.url)
        return {"url": context.request.url}

    urls = match_urls(healthy_site, 6)
    with ActorSystem(storage_path=storage, key=KEY, retry=QUICK_RETRY) as system:
        report = system.run_blocking("poison", [*urls[:5], Request(urls[5], "poison")], handler)
    (letter,) = report.dead_letters
    assert (report.done, letter.error_type) == (5, "PoisonItem")
    assert "3 crashes" in letter.message


def test_repeated_kills_of_both_are_survived(system, healthy_site):
    """Browser and driver are killed in turn, four times in all, within the restart limits."""
    handle = start(system, healthy_site, items=40)
    for count, pid in enumerate((browser_pid, driver_pid, browser_pid, driver_pid), start=1):
        os.kill(pid(system), signal.SIGKILL)
        done = handle.progress().done
        wait_until(lambda: handle.restarts.total() >= count, "the restart")  # noqa: B023 - called at once
        wait_until(lambda: handle.progress().done >= min(done + 3, 40) or handle.ended, "progress")  # noqa: B023
    check(handle, 40)


@pytest.mark.parametrize("role", ["frontier", "checkpoint", "judge", "scrape", "monitor"])
def test_a_crashed_actor_is_restarted_and_the_job_goes_on(system, healthy_site, role):
    """An exception injected into any actor's thread, or cancelled task: the tree heals and the ledger balances."""
    from supervisors import ExitKind, ExitReason

    handle = start(system, healthy_site)
    actor = actors(system, role)[0]
    reason = ExitReason(ExitKind.KILLED, "by the test")
    assert actor.request_cancel(reason) or actor.inject(reason)
    wait_until(lambda: actor.exit_reason is not None, "its end")
    assert actor.exit_reason.abnormal
    check(handle)


def test_a_browser_is_renewed_under_load_without_a_pause(system, healthy_site):
    """Recycle: the successor is up before the old one ends, no item is disturbed."""
    from scorewise_actors.messages.jobs import Recycle

    handle = start(system, healthy_site, items=40)
    before = browser_pid(system)
    actors(system, "browser")[0].ref.tell(Recycle("by the test"))
    wait_until(lambda: browser_pid(system) != before, "the successor")
    wait_until(
        lambda: not psutil.pid_exists(before) or psutil.Process(before).status() == "zombie", "the end of the old"
    )
    report = check(handle, 40)
    assert (report.restarts, report.retries) == (0, 0)


def test_a_scraper_that_is_not_heard_of_loses_its_lease_and_its_life(system, healthy_site, monkeypatch):
    """Stuck in code without a deadline: the lease runs out, the scraper is ended, its successor does the item."""
    from scorewise_actors import frontier
    from scorewise_actors.actors import frontier as frontier_actor
    from scorewise_actors.actors.scrape import ScrapeActor

    stuck = []
    scrape = ScrapeActor._scrape

    async def scrape_or_hang(self, lease):
        if not stuck:
            stuck.append(lease.request.url)
            await asyncio.get_running_loop().create_future()
        return await scrape(self, lease)

    async def silent(_self):
        return None

    monkeypatch.setattr(ScrapeActor, "_scrape", scrape_or_hang)
    monkeypatch.setattr(ScrapeActor, "_renew", silent)
    monkeypatch.setattr(frontier, "LEASE_SECONDS", 3.0)
    monkeypatch.setattr(frontier_actor, "_PATROL_EVERY", 0.5)
    report = system.run_blocking("stuck", match_urls(healthy_site, 6), visit)
    assert (report.done, report.lost) == (6, 0)
    assert report.restarts_by_actor == {"scrape": 1}


@pytest.mark.parametrize("victim", ["browser", "driver"])
def test_a_kill_at_the_tail_of_a_job_blames_nobody(system, healthy_site, victim):
    """More idle slots than items: the one in flight goes from hand to hand of the bereaved, and is done in the end."""
    started = []

    async def slow(context):
        await context.page.goto(context.request.url)
        started.append(context.attempt)
        await context.page.wait_for_timeout(2000)
        return {"url": context.request.url}

    handle = system.open_job("tail", slow)
    handle.add(match_urls(healthy_site, 1))
    handle.close_input()
    wait_until(lambda: started)
    os.kill(browser_pid(system) if victim == "browser" else driver_pid(system), signal.SIGKILL)
    report = check(handle, 1)
    assert report.retries == 0


def test_a_browser_that_dies_while_the_job_starts_is_no_reason_to_fail(system, healthy_site, monkeypatch):
    """The start is rolled back, as in OTP, and made once more."""
    from scorewise_actors.actors.browser import BrowserActor

    killed = []
    renew = BrowserActor._renew

    async def renew_and_die(self):
        await renew(self)
        if not killed:
            killed.append(self._cell.browser.pid)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(BrowserActor, "_renew", renew_and_die)
    report = system.run_blocking("start", match_urls(healthy_site, 3), visit)
    assert killed
    assert (report.done, report.exit_code) == (3, ExitCode.DONE)
