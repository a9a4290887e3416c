"""What is known about a failure, and who was to blame for it."""

import asyncio
import os
import signal

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.errors import BrowserGone, DriverGone, GuardTimeout, PageGone, is_target_closed
from scorewise_actors.browser.failures import diagnose, failure_facts, is_infrastructure
from scorewise_actors.browser.options import BrowserOptions

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMPATIENT = BrowserOptions(heartbeat_deadline=0.5, close_timeout=10.0)


async def opened(browser, site):
    slot = await browser.new_page_slot()
    page = await slot.fresh()
    await page.goto(site.url)
    return slot, page


async def failure_of(awaitable):
    with pytest.raises(Exception) as caught:
        await awaitable
    return caught.value


async def test_what_the_site_says_is_the_items_failure(shared_browser, site):
    """Status, headers, net error and API name are there; the machinery is not to blame."""
    slot, page = await opened(shared_browser, site)
    await page.goto(site.url + "/status?code=429&body=slow")
    facts = failure_facts(ValueError("no price"), slot)
    assert (facts["status"], facts["headers"]["retry-after"]) == (429, "7")
    assert facts["browser_connected"] is True
    assert (facts["page_crashed"], facts["deadline_exceeded"]) == (False, False)
    assert "code" not in facts
    assert "api" not in facts
    assert not is_infrastructure(ValueError("no price"), slot)
    error = await failure_of(page.goto("http://no.such.host.invalid/"))
    facts, infrastructure = await diagnose(error, slot)
    assert facts["api"] == "Page.goto"
    assert facts["code"].startswith("net::ERR_")
    assert "status" not in facts
    assert not infrastructure
    await slot.close()


async def test_a_slow_site_in_a_browser_that_answers_is_no_frozen_browser(shared_browser, site):
    """Playwright's TimeoutError and a page stuck in its own script: the browser answers, so the item pays."""
    slot, page = await opened(shared_browser, site)
    error = await failure_of(page.goto(site.url + "/hang", timeout=100))
    assert isinstance(error, PlaywrightTimeout)
    facts, infrastructure = await diagnose(error, slot)
    assert (facts["deadline_exceeded"], infrastructure) == (False, False)
    page = await slot.fresh()
    await page.goto(site.url)
    page.set_default_timeout(200)
    error = await failure_of(page.evaluate("(() => { for (;;); })()"))
    assert isinstance(error, GuardTimeout)
    facts, infrastructure = await diagnose(error, slot)
    assert (facts["api"], facts["deadline_exceeded"], infrastructure) == ("Page.evaluate", False, False)
    await slot.close()


@pytest.mark.parametrize("call", ["goto", "evaluate"])
async def test_a_frozen_browser_is_to_blame(driver, site, call):
    """With the browser stopped, goto ends by Playwright's timeout and evaluate by ours: both are infrastructure."""
    browser = await Browser.launch(driver, IMPATIENT)
    slot, page = await opened(browser, site)
    page.set_default_timeout(300)
    os.kill(browser.pid, signal.SIGSTOP)
    error = await failure_of(page.goto(site.url) if call == "goto" else page.evaluate("1"))
    assert isinstance(error, PlaywrightTimeout if call == "goto" else GuardTimeout)
    facts, infrastructure = await diagnose(error, slot)
    assert infrastructure
    assert facts["deadline_exceeded"]
    await browser.close()


async def test_without_a_heartbeat_for_long_a_browser_is_not_responsive(driver, site):
    """The judgement without asking: silence longer than interval plus deadline."""
    browser = await Browser.launch(driver, BrowserOptions(heartbeat_interval=0.3, heartbeat_deadline=0.3))
    slot, _ = await opened(browser, site)
    timeout = GuardTimeout("Page.evaluate", 15.0)
    await asyncio.wait_for(browser.heartbeat(deadline=30), 30)
    assert not is_infrastructure(timeout, slot)
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.6
    while loop.time() <= end:
        await asyncio.sleep(0.05)
    assert is_infrastructure(timeout, slot)
    assert failure_facts(timeout, slot)["deadline_exceeded"]
    await browser.close()


async def test_a_dead_browser_is_to_blame_for_everything(browser, site):
    """Also for what a handler made of it: a failure that came with the death costs the item nothing."""
    slot, page = await opened(browser, site)
    browser.kill()
    error = await failure_of(page.title())
    assert isinstance(error, BrowserGone)
    facts, infrastructure = await diagnose(error, slot)
    assert infrastructure
    assert (facts["browser_connected"], facts["api"]) == (False, "Page.title")
    assert is_infrastructure(AttributeError("None has no attribute strip"), slot)


async def test_a_dead_driver_is_to_blame_although_the_browser_seems_connected(site):
    """TargetClosedError while is_connected() is True: the driver died, and diagnose waits for the notice."""
    driver = await Driver.start()
    browser = await Browser.launch(driver)
    slot, page = await opened(browser, site)
    bare = asyncio.ensure_future(slot._page.evaluate("new Promise(() => {})"))
    await asyncio.sleep(0)
    os.kill(driver.pid, signal.SIGKILL)
    error = await failure_of(bare)
    assert is_target_closed(error)
    facts, infrastructure = await diagnose(error, slot)
    assert (infrastructure, facts["browser_connected"]) == (True, False)
    assert isinstance(await failure_of(page.title()), DriverGone)
    await browser.close()
    await driver.stop()


async def test_a_crashed_page_is_the_items_own(shared_browser, site):
    """The renderer dies of what it loaded: page_crashed is set, whichever error came first."""
    slot, page = await opened(shared_browser, site)
    error = await failure_of(page.goto("chrome://crash"))
    facts, infrastructure = await diagnose(error, slot)
    assert facts["page_crashed"]
    assert facts["browser_connected"]
    assert not infrastructure
    assert isinstance(await failure_of(page.title()), PageGone)
    await slot.close()


async def test_facts_of_errors_without_a_slot():
    """A failure before there was a page, an error of Playwright's request API with a system code."""
    error = PlaywrightError("APIRequestContext.get: connect ECONNREFUSED 127.0.0.1:1\nCall log: Page.goto: net::ERR_X")
    error.code = "ECONNREFUSED"
    facts = failure_facts(error, None)
    assert facts == {"code": "ECONNREFUSED", "api": "APIRequestContext.get", "deadline_exceeded": False}
    assert is_infrastructure(BrowserGone("Browser.new_context", "killed"), None)
    assert is_infrastructure(GuardTimeout("BrowserType.launch", 30.0), None)
    assert not is_infrastructure(error, None)
