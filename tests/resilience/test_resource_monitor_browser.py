"""A browser's session outlives its restarts: real Chromium, real cookies and storage, checkpoints in between."""

import asyncio
import os
import signal
import tempfile

import pytest
from playwright.async_api import async_playwright

from scorewise_actors.browser.executables import find_executable
from scorewise_actors.resilience import (
    BrowserSession,
    CheckpointConfiguration,
    CheckpointManager,
    ResourceCleanupError,
    ResourceConfiguration,
    ResourceMonitor,
    browser_session,
    capture_browser_state,
    restore_browser_state,
)
from scorewise_actors.resilience.connection import PrivateTree
from scorewise_actors.resources.processes import ProcessTree

KEY = b"0123456789abcdef0123456789abcdef"
REMEMBER = "() => { document.cookie = 'visits=7; path=/; max-age=9999'; localStorage.setItem('team', 'Rovers') }"
RECALL = "() => [document.cookie, localStorage.getItem('team')]"


@pytest.fixture
async def launch():
    """Starts browsers, all of which are closed in the end."""
    executable = find_executable()
    with tempfile.TemporaryDirectory() as folder:  # a killed Chromium leaves its files
        async with async_playwright() as playwright:
            started = []

            async def start():
                browser = await playwright.chromium.launch(
                    executable_path=executable.path, args=["--no-sandbox"], env={**os.environ, "TMPDIR": folder}
                )
                started.append(browser)
                return browser

            yield start
            for browser in started:
                await browser.close()


async def remember(context, site):
    page = await context.new_page()
    await page.goto(f"{site.url}/matches/1")
    await page.evaluate(REMEMBER)


async def recall(context, site):
    page = await context.new_page()
    await page.goto(f"{site.url}/matches/2")
    return await page.evaluate(RECALL)


KEPT = ["visits=7", "Rovers"]


async def test_the_session_outlives_a_restart(launch, healthy_site):
    """Cookies and storage are there in the new browser; the old one has ended; its pages are known."""
    session = BrowserSession(launch, locale="en-GB")
    with pytest.raises(RuntimeError, match="is not started"):
        _ = session.context
    old = await session.start()
    assert await session.start() is old
    await remember(old, healthy_site)
    assert await session.restart("it is old") is True
    assert session.context is not old
    assert not old.browser.is_connected()
    assert await recall(session.context, healthy_site) == KEPT
    assert (await session.capture())["pages"] == [f"{healthy_site.url}/matches/2"]
    await session.close()
    assert (await session.capture())["storage_state"]["cookies"][0]["value"] == "7"


async def test_a_state_goes_through_a_checkpoint_into_another_program(launch, healthy_site, tmp_path):
    """Captured, saved sealed, loaded, restored."""
    context = await restore_browser_state(await launch(), {})
    await remember(context, healthy_site)
    config = CheckpointConfiguration(storage_path=tmp_path)
    async with CheckpointManager(config, key=KEY, connection=PrivateTree()) as manager:
        state = {"browser": await capture_browser_state(context), "completed_count": 3}
        loaded = await manager.load_checkpoint(await manager.create_checkpoint("job", state))
    session = BrowserSession(launch, state=loaded["browser"])
    assert await recall(await session.start(), healthy_site) == KEPT


async def test_a_browser_that_was_killed_gives_back_what_it_told_last(launch, healthy_site):
    """It cannot be asked any more: the state of the last capture is restored."""
    session = BrowserSession(launch)
    await remember(await session.start(), healthy_site)
    await session.capture()
    pid = browser_pid()
    os.killpg(pid, signal.SIGKILL)
    await session.restart("it died")
    assert await recall(session.context, healthy_site) == KEPT
    assert browser_pid() != pid


async def test_a_frozen_browser_holds_nobody_up(launch, healthy_site, monkeypatch):
    """It answers nothing; the restart goes on without it after a deadline."""
    monkeypatch.setattr(browser_session, "CAPTURE_DEADLINE", 1.0)
    session = BrowserSession(launch)
    await remember(await session.start(), healthy_site)
    await session.capture()
    pid = browser_pid()
    os.killpg(pid, signal.SIGSTOP)
    try:
        await asyncio.wait_for(session.restart("it is frozen"), 90)
        assert await recall(session.context, healthy_site) == KEPT
    finally:
        os.killpg(pid, signal.SIGKILL)


async def test_a_browser_that_does_not_start_is_an_error(launch, healthy_site):
    """The state is kept, and the next start restores it."""
    works = True

    async def sometimes():
        if not works:
            raise TimeoutError("no browser within 30 s")
        return await launch()

    session = BrowserSession(sometimes)
    await remember(await session.start(), healthy_site)
    works = False
    with pytest.raises(ResourceCleanupError, match="the new browser did not start: no browser within 30 s"):
        await session.restart("it is old")
    works = True
    assert await recall(await session.start(), healthy_site) == KEPT


async def test_a_browser_beyond_its_lifetime_is_restarted_with_its_session(launch, healthy_site, monkeypatch):
    """As the monitor finds it: a controlled restart, told as an event with its reason."""
    session = BrowserSession(launch)
    await remember(await session.start(), healthy_site)
    config = ResourceConfiguration(monitoring_interval=0.1)
    async with ResourceMonitor(config, connection=PrivateTree()) as monitor:
        restarted = asyncio.Event()
        loop = asyncio.get_running_loop()
        told = []

        def hear(event):
            told.append(event.data)
            loop.call_soon_threadsafe(restarted.set)

        monitor.events.subscribe(hear, ["browser_restarted"])
        monitor.on_browser_restart(session.restart)
        got = asyncio.Queue()
        name = await monitor.create_resource_threshold({"name": "old", "browser_lifetime": 60})
        # nobody waits an hour for a test: the browser is made older than it is
        usual = ProcessTree.browsers
        monkeypatch.setattr(
            ProcessTree,
            "browsers",
            lambda self: tuple(browser_session_age(one, 0 if restarted.is_set() else 7200) for one in usual(self)),
        )
        await monitor.start_monitoring(name, got.put)
        data = await asyncio.wait_for(got.get(), 60)
        assert data["browser_lifetime_breached"] is True
        assert data["browser_lifetime"] > 60
        await asyncio.wait_for(restarted.wait(), 90)
        assert told[0]["reason"] == "browser lifetime"
        assert await recall(session.context, healthy_site) == KEPT


def browser_session_age(browser, seconds):
    return type(browser)(browser.pid, browser.started - seconds, browser.memory)


def browser_pid():
    tree = ProcessTree()
    tree.refresh()
    return tree.browsers()[-1].pid
