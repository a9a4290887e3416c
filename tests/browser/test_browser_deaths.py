"""Kill and freeze real browsers and drivers in the middle of calls: nothing hangs, nothing is left."""

import asyncio
import contextlib
import os
import signal

import psutil
import pytest

from scorewise_actors.browser import chromium, plan
from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.errors import BrowserGone, BrowserNotFound, DriverGone, GuardTimeout, PageGone
from scorewise_actors.browser.guard import guard
from scorewise_actors.browser.options import BrowserOptions
from scorewise_actors.browser.processes import children, group_members

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEVER = "new Promise(() => {})"
CALLS = {
    "goto": lambda page, site: page.goto(site.url + "/hang"),
    "evaluate": lambda page, site: page.evaluate(NEVER),
    "locator": lambda page, site: page.locator("#never").click(),
    "screenshot": lambda page, site: page.screenshot(),
    "wait for an event": lambda page, site: page.wait_for_event("download"),
    "new page in the context": lambda page, site: page.context.new_page(),
    "title": lambda page, site: page.title(),
}


def left_of(browser):
    """What is left of a browser: processes of its group, its folder, its profile."""
    paths = [path for path in (browser._room.path, browser._room.profile) if path is not None and path.exists()]
    return [*group_members(browser.pid), *paths]


async def ends(task):
    """The exception a call ended with; fails when it did not end."""
    done, _ = await asyncio.wait({task}, timeout=60)
    assert done, "the call hangs"
    return task.exception()


async def busy_slot(browser, site):
    slot = await browser.new_page_slot()
    page = await slot.fresh()
    await page.goto(site.url)
    return slot, page


@pytest.mark.parametrize("call", CALLS)
async def test_a_killed_browser_ends_every_call_in_flight(browser, site, call):
    """SIGKILL of the browser: the pending call raises BrowserGone, and so does every later one."""
    slot, page = await busy_slot(browser, site)
    # frozen first, so that even a quick call is in flight when the kill comes
    os.kill(browser.pid, signal.SIGSTOP)
    task = asyncio.ensure_future(CALLS[call](page, site))
    await asyncio.sleep(0)
    os.killpg(browser.pid, signal.SIGKILL)
    assert isinstance(await ends(task), BrowserGone)
    with pytest.raises(BrowserGone):
        await page.title()
    with pytest.raises(BrowserGone):
        await slot.fresh()
    with pytest.raises(BrowserGone):
        await browser.new_page_slot()
    with pytest.raises(BrowserGone):
        await browser.heartbeat()
    assert not browser.is_connected
    await browser.close()
    assert left_of(browser) == []


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03])
async def test_new_pages_in_flight_do_not_hang_when_the_browser_dies(browser, delay):
    """The call that hangs for ever in bare Playwright, at several moments of its life."""
    slots = [asyncio.ensure_future(browser.new_page_slot()) for _ in range(4)]
    await asyncio.sleep(delay)
    os.killpg(browser.pid, signal.SIGKILL)
    for slot in slots:
        error = await ends(slot)
        assert error is None or isinstance(error, BrowserGone)


async def test_the_browser_next_to_it_does_not_notice(driver, browser, site):
    """One driver, two browsers: the death of one is not the other's."""
    other = await Browser.launch(driver)
    slot, page = await busy_slot(other, site)
    browser.kill("on purpose")
    assert browser.gone.reason == "on purpose"
    assert await page.title() == "plain"
    assert other.is_connected
    await slot.close()
    await other.close()
    assert left_of(other) == []


async def test_a_frozen_browser_is_noticed_and_leaves_nothing(browser, site):
    """SIGSTOP: the heartbeat fails in bounded time; kill and close remove stopped processes and profile."""
    _, page = await busy_slot(browser, site)
    assert await browser.heartbeat() >= 0
    assert browser.responsive
    for pid in group_members(browser.pid):
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(GuardTimeout, match=r"Browser\.heartbeat"):
        await browser.heartbeat(deadline=0.3)
    call = asyncio.ensure_future(page.evaluate("1"))
    await asyncio.sleep(0)
    browser.kill("frozen")
    assert isinstance(await ends(call), BrowserGone)
    await browser.close()
    assert left_of(browser) == []


async def test_a_heartbeat_that_is_answered_with_an_error_is_a_death(driver, browser):
    """Whoever beats hears nothing but the layer's own errors, also when Playwright's session is closed."""
    await browser._session.detach()
    with pytest.raises(BrowserGone, match="answers with an error"):
        await browser.heartbeat()
    assert browser.gone.is_set
    polite = await Driver.start()
    await polite.playwright.stop()
    with pytest.raises(DriverGone):
        await polite.heartbeat()
    await polite.stop()


async def test_without_the_guard_a_frozen_browser_really_holds_its_callers(browser, site):
    """The twin: the same calls on Playwright's own page do not come back while the browser is stopped."""
    slot, _ = await busy_slot(browser, site)
    raw = slot._page
    os.kill(browser.pid, signal.SIGSTOP)
    bare = [asyncio.ensure_future(call) for call in (raw.evaluate("1"), raw.title(), raw.context.new_page())]
    with pytest.raises(GuardTimeout):
        await guard(raw.evaluate("1"), deadline=0.5, gone=slot.gone, what="Page.evaluate")
    _, pending = await asyncio.wait(bare, timeout=0.5)
    assert len(pending) == 3
    browser.kill()
    for call in bare:
        call.cancel()
    await asyncio.gather(*bare, return_exceptions=True)


async def test_a_killed_renderer_costs_its_page_only(browser, site):
    """SIGKILL of a renderer: PageGone or Playwright's crash error, the slot knows, the next item gets a new page."""
    other, other_page = await busy_slot(browser, site)
    before = {pid for pid, kind in (await browser.pids()).items() if kind == "renderer"}
    slot = await browser.new_page_slot()
    page = await slot.fresh()
    await page.goto(site.other)
    renderers = {pid for pid, kind in (await browser.pids()).items() if kind == "renderer"} - before
    call = asyncio.ensure_future(page.evaluate(NEVER))
    await asyncio.sleep(0)
    for pid in renderers:
        os.kill(pid, signal.SIGKILL)
    error = await ends(call)
    assert isinstance(error, PageGone) or "Target crashed" in str(error)
    await asyncio.wait_for(slot.gone[-1].wait(), 30)
    assert slot.crashed
    with pytest.raises(PageGone, match="crashed"):
        await page.title()
    assert await other_page.title() == "plain"
    opened = slot.pages_opened
    page = await slot.fresh()
    assert not slot.crashed
    assert slot.pages_opened == opened + 1
    await page.goto(site.url)
    assert await page.title() == "plain"
    await other.close()


@pytest.mark.parametrize("call", ["goto", "evaluate", "new page in the context"])
async def test_a_killed_driver_is_known_to_be_the_driver(site, call):
    """SIGKILL of node: Playwright fires no event and claims to be connected; the pid watch knows better."""
    driver = await Driver.start()
    browser = await Browser.launch(driver)
    _, page = await busy_slot(browser, site)
    task = asyncio.ensure_future(CALLS[call](page, site))
    await asyncio.sleep(0)
    os.kill(driver.pid, signal.SIGKILL)
    assert isinstance(await ends(task), DriverGone)
    assert browser.raw.is_connected()  # the trap
    assert not browser.is_connected
    with pytest.raises(DriverGone):
        await page.title()
    with pytest.raises(DriverGone):
        await browser.heartbeat()
    with pytest.raises(DriverGone):
        await driver.heartbeat()
    with pytest.raises(DriverGone):
        await Browser.launch(driver)
    await browser.close()
    assert left_of(browser) == []
    await driver.stop()


async def test_a_frozen_driver_is_noticed_and_leaves_nothing(site, monkeypatch):
    """SIGSTOP of node: only deadlines of our own help, then the kill releases every caller."""
    driver = await Driver.start()
    assert await driver.heartbeat() >= 0
    browser = await Browser.launch(driver)
    slot, page = await busy_slot(browser, site)
    page.set_default_navigation_timeout(200)
    monkeypatch.setattr(plan, "MARGIN", 0.3)
    os.kill(driver.pid, signal.SIGSTOP)
    bare = asyncio.ensure_future(slot._page.goto(site.url, timeout=200))
    with pytest.raises(GuardTimeout, match=r"Driver\.heartbeat"):
        await driver.heartbeat(deadline=0.3)
    with pytest.raises(GuardTimeout, match=r"Page\.goto"):
        await page.goto(site.url)  # its timeout is the driver's, and the driver stands still
    assert not bare.done(), "the twin: Playwright's own timeout does not fire"
    call = asyncio.ensure_future(page.wait_for_event("download", timeout=0))
    await asyncio.sleep(0)
    driver.kill("frozen")
    assert driver.gone.reason == "frozen"
    assert isinstance(await ends(call), DriverGone)
    await ends(bare)
    await browser.close()
    await driver.stop()
    await driver.stop()
    assert left_of(browser) == []
    assert not psutil.pid_exists(driver.pid)


async def test_a_driver_stops_politely_and_can_be_killed_from_a_thread():
    """stop() leaves no process; kill() needs no loop."""
    polite = await Driver.start()
    await polite.stop()
    assert not psutil.pid_exists(polite.pid)
    killed = await Driver.start()
    await asyncio.to_thread(killed.kill)
    await killed.stop()
    assert not psutil.pid_exists(killed.pid)


async def test_a_driver_that_does_not_start_in_time_is_not_left_behind():
    """Cancelled or out of time: no process remains."""
    before = children(os.getpid())
    with pytest.raises(GuardTimeout, match=r"Driver\.start"):
        await Driver.start(deadline=0.05)
    starting = asyncio.ensure_future(Driver.start())
    while children(os.getpid()) == before:
        await asyncio.sleep(0.005)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    for pid in set(children(os.getpid())) - set(before):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(30)
    assert set(children(os.getpid())) <= set(before)


async def test_a_launch_that_fails_leaves_nothing(driver, tmp_path):
    """A program that is no browser, one that exits, a browser that is not there, a launch that is cancelled."""
    before = children(driver.pid)
    silent = tmp_path / "silent"
    silent.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Chromium 1 && exit\nexec sleep 1000\n')
    silent.chmod(0o755)
    with pytest.raises(Exception, match="Timeout"):
        await Browser.launch(driver, BrowserOptions(executable=str(silent), launch_timeout=0.5))
    exits = tmp_path / "exits"
    exits.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Chromium 1\n')
    exits.chmod(0o755)
    with pytest.raises(Exception, match="closed"):
        await Browser.launch(driver, BrowserOptions(executable=str(exits)))
    with pytest.raises(BrowserNotFound, match="not there"):
        await Browser.launch(driver, BrowserOptions(executable=str(tmp_path / "none")))
    launching = asyncio.ensure_future(Browser.launch(driver))
    while children(driver.pid) == before:
        await asyncio.sleep(0.005)
    launching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await launching
    deadline = asyncio.get_running_loop().time() + 30
    while set(children(driver.pid)) - set(before) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)
    assert set(children(driver.pid)) <= set(before)


@pytest.mark.parametrize("state", ["well", "killed in a thread", "frozen", "one renderer frozen"])
async def test_close_is_for_every_state(browser, site, state):
    """Nothing is left, and no close takes the 30 seconds that Playwright would."""
    slot, _ = await busy_slot(browser, site)
    if state == "killed in a thread":
        await asyncio.to_thread(browser.kill)
    elif state != "well":
        for pid, kind in (await browser.pids()).items():
            if state == "frozen" or kind == "renderer":
                os.kill(pid, signal.SIGSTOP)
    await asyncio.wait_for(browser.close(), 15)
    await slot.close()
    await browser.close()
    assert left_of(browser) == []


async def test_a_browser_whose_process_cannot_be_found_is_not_left_running(driver, monkeypatch):
    """It runs, but it cannot be watched: the launch fails and takes the browser along."""
    before = set(children(driver.pid))

    async def lost(*_):
        raise RuntimeError("no such process")

    monkeypatch.setattr(chromium, "_main_process", lost)
    with pytest.raises(RuntimeError, match="no such process"):
        await Browser.launch(driver)
    deadline = asyncio.get_running_loop().time() + 30
    while set(children(driver.pid)) - before and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)
    assert set(children(driver.pid)) <= before
