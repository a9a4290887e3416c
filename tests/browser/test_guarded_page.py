"""The page that handlers get looks and works like Playwright's, and each of its awaits is guarded."""

import asyncio
import datetime as dt

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Locator, Page, expect
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.errors import GuardTimeout
from scorewise_actors.browser.guarded import Guarded
from scorewise_actors.browser.plan import MARGIN, TRANSFER_SECONDS, Kind, plan_of
from scorewise_actors.browser.taint import Taint, taint_of
from scorewise_actors.errors import HandlerClosedBrowser

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def slot(shared_browser):
    """A slot of the test's own on the shared browser."""
    slot = await shared_browser.new_page_slot()
    yield slot
    await slot.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(slot, site):
    """A guarded page on the plain document."""
    page = await slot.fresh()
    await page.goto(site.url)
    return page


async def test_the_stand_in_passes_for_the_real_thing(page):
    """isinstance, equality, identity, repr and dir are those of Playwright's page."""
    assert isinstance(page, Page)
    assert type(page) is Guarded
    assert isinstance(page.locator("h1"), Locator)
    assert isinstance(page.context, BrowserContext)
    assert page.main_frame is page.main_frame
    assert page.main_frame == page.frames[0]
    assert page.main_frame.page is page
    assert page in {page.context.pages[0]}
    assert repr(page).startswith("<Page")
    assert str(page).startswith("<Page")
    assert "goto" in dir(page)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = page.no_such_thing
    page.note = "mine"
    assert page.note == "mine"


async def test_everything_the_page_gives_out_is_guarded(page, site):
    """Responses, locators, frames, handles, keyboards, lists of them: all stand-ins."""
    response = await page.goto(site.url)
    given = [
        response,
        response.request,
        page.locator("h1").first,
        page.get_by_text("plain"),
        page.main_frame,
        page.keyboard,
        page.context,
        page.frames[0],
        (await page.query_selector_all("a"))[0],
        await page.evaluate_handle("document"),
        (await (await page.evaluate_handle("({a: document})")).get_properties())["a"],
        (await page.locator("h1").all())[0],
    ]
    assert {type(thing) for thing in given} == {Guarded}
    assert response.status == 200
    assert await response.text()


async def test_plain_playwright_code_works(page, site):
    """Locators, chains, keyboard, handles as arguments, filters with other locators, assertions."""
    assert await page.locator("h1").text_content() == "plain"
    assert await page.get_by_role("link").first.get_attribute("id") == "next"
    assert await page.locator("body").filter(has=page.locator("h1")).count() == 1
    assert await page.locator("h1").or_(page.locator("h2")).count() == 1
    handle = await page.query_selector("h1")
    assert await page.evaluate("([element, n]) => element.textContent + n", [handle, 1]) == "plain1"
    assert await page.evaluate("({e}) => e.textContent", {"e": handle}) == "plain"
    await page.locator("#i").focus()
    await page.keyboard.type("typed", delay=1)
    await page.keyboard.press("!")
    assert await page.locator("#i").input_value() == "typed!"
    await expect(page.locator("h1")).to_have_text("plain")
    await expect(page).to_have_title("plain")
    assert len(await page.screenshot()) > 100
    assert (await page.request.get(site.url)).status == 200
    assert (await page.request.fetch(site.url, method="GET")).ok


async def test_async_with_blocks_work(page, site):
    """expect_... gives a value to await inside or after the block; an exception in the block goes through."""
    async with page.expect_response("**/cookies") as info:
        await page.evaluate("fetch('/cookies')")
        assert (await info.value).status == 200
    assert info.is_done()
    assert type(await info.value) is Guarded
    async with page.expect_navigation():
        await page.locator("#next").click()
    assert "/status" in page.url
    with pytest.raises(ZeroDivisionError):
        async with page.expect_popup():
            _ = 1 / 0
    with pytest.raises(PlaywrightError, match="Timeout 50ms"):
        async with page.expect_download(timeout=50):
            pass
    async with page.expect_request(lambda request: request.url.endswith("/many")):
        await page.goto(site.url + "/many")
    async with page.context.expect_page() as opened:
        await page.evaluate("window.open('/')")
    async with await opened.value as popup:
        await popup.wait_for_load_state()
        assert await popup.title() == "plain"
    assert popup.is_closed()


async def test_handlers_get_guarded_objects_and_can_be_removed(page, site):
    """on, once, route and their opposites work with functions, methods, coroutines of any number of arguments."""
    heard = []

    class Listener:
        def method(self, request):
            heard.append(("method", type(request)))

    listener = Listener()
    first = f"{site.url}/"

    async def coroutine(response):
        if response.url == first:  # the next page may be there before the body of another one is read
            heard.append(("coroutine", (await response.body())[:1]))

    page.on("request", listener.method)
    page.on("response", coroutine)
    page.once("load", lambda: heard.append(("load", None)))
    await page.goto(site.url)
    async with asyncio.timeout(30):  # a listener that is a coroutine ends when it ends
        while ("coroutine", b"<") not in heard:
            await asyncio.sleep(0.01)
    await page.goto(site.url + "/cookies")
    assert heard.count(("method", Guarded)) == 2
    assert heard.count(("load", None)) == 1
    page.remove_listener("request", listener.method)
    page.remove_listener("response", coroutine)
    routed = []

    async def fake(route):
        routed.append(type(route))
        await route.fulfill(body=f"faked {route.request.url}")

    await page.route("**/faked", fake)
    await page.goto(site.url + "/faked")
    assert "faked" in await page.content()
    await page.unroute("**/faked", fake)
    await page.goto(site.url + "/faked")
    assert await page.title() == "plain"
    assert routed == [Guarded]
    assert heard.count(("method", Guarded)) == 2
    await page.expose_binding("told", lambda source, value: f"{type(source).__name__} {value}")
    assert await page.evaluate("told(5)") == "dict 5"


async def test_contexts_of_other_slots_are_not_shown(shared_browser, page):
    """A handler finds its own context and those it opened, so that closing all it finds harms nobody."""
    other = await shared_browser.new_page_slot()
    browser = page.context.browser
    mine = await browser.new_context()
    assert browser.contexts == [page.context, mine]
    assert len(shared_browser.raw.contexts) >= 3
    claimed = [context for context in shared_browser.raw.contexts if shared_browser.is_claimed(context)]
    assert len(claimed) == 2
    await mine.close()
    await other.close()
    assert [context for context in claimed if shared_browser.is_claimed(context)] == [page.context]


async def test_a_browser_that_a_handler_launched_may_be_closed(page, shared_browser):
    """Only the one that serves others too is not to be closed."""
    kind = page.context.browser.browser_type
    own = await kind.launch(executable_path=shared_browser.executable.path)
    await own.close()
    assert not own.is_connected()
    with pytest.raises(HandlerClosedBrowser, match=r"by Browser\.close"):
        await page.context.browser.close()
    assert shared_browser.is_connected


@pytest.mark.parametrize("kind", ["function", "coroutine", "route"])
async def test_an_exception_in_a_handler_hits_its_own_item_only(shared_browser, slot, page, site, kind):
    """Playwright would raise it from the next call of any page; here it is raised by the item's own next call."""
    other = await shared_browser.new_page_slot()
    other_page = await other.fresh()
    failed = asyncio.Event()

    def function(_):
        failed.set()
        raise ZeroDivisionError(kind)

    async def coroutine(argument):
        function(argument)

    if kind == "route":
        await page.route("**/cookies", coroutine)
    else:
        page.on("request", function if kind == "function" else coroutine)
    pending = asyncio.ensure_future(page.evaluate("void fetch('/cookies')"))
    await asyncio.wait_for(failed.wait(), 30)
    await asyncio.wait({pending})
    assert await other_page.evaluate("5") == 5
    assert isinstance(slot.handler_error, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match=kind):
        await page.title()
    assert slot.handler_error is None
    assert await page.title() == "plain"
    await other.close()


async def test_a_call_without_a_timeout_gets_ours(shared_browser, site):
    """evaluate has no timeout in Playwright: it ends by ours, while the others keep Playwright's error."""
    slot = await shared_browser.new_page_slot()
    page = await slot.fresh()
    await page.goto(site.url)
    page.set_default_timeout(100)
    with pytest.raises(GuardTimeout, match=r"Page\.evaluate: no answer within 0\.1 s"):
        await page.evaluate("new Promise(() => {})")
    with pytest.raises(PlaywrightError, match="Timeout 100ms exceeded"):
        await page.locator("#none").click()
    page.set_default_navigation_timeout(50)
    with pytest.raises(PlaywrightError, match="Timeout 50ms exceeded"):
        await page.goto(site.url + "/hang")
    await slot.close()


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "seconds"),
    [
        ("title", (), {}, 15.0),
        ("evaluate", ("1",), {}, 15.0),
        ("click", ("a",), {}, 15.0 + MARGIN),
        ("click", ("a",), {"timeout": 500}, 0.5 + MARGIN),
        ("click", ("a",), {"timeout": dt.timedelta(seconds=3)}, 3.0 + MARGIN),
        ("click", ("a",), {"timeout": 0}, None),
        ("goto", ("u",), {}, 30.0 + MARGIN),
        ("goto", ("u",), {"timeout": 90_000}, 90.0 + MARGIN),
        ("reload", (), {}, 30.0 + MARGIN),
        ("expect_navigation", (), {}, 30.0 + MARGIN),
        ("expect_download", (), {}, 15.0 + MARGIN),
        ("wait_for_timeout", (60_000,), {}, 60.0 + MARGIN),
        ("wait_for_timeout", (0,), {}, MARGIN),
    ],
)
async def test_the_deadline_of_a_call(name, args, kwargs, seconds):
    """Playwright's own timeout plus a margin where it has one, else ours; none where the caller asked for none."""
    assert plan_of(Page, name).deadline(args, kwargs, operation=15.0, navigation=30.0) == seconds


async def test_calls_that_take_their_time_by_request():
    """Typing with a delay, a download that is saved, defaults switched off by the handler."""
    from playwright.async_api import Download, Keyboard

    typing = plan_of(Keyboard, "type")
    assert typing.deadline(("ab",), {"delay": 1000}, operation=15.0, navigation=30.0) == 17.0
    assert plan_of(Download, "save_as").deadline((), {}, operation=15.0, navigation=30.0) == TRANSFER_SECONDS
    assert plan_of(Page, "click").deadline((), {}, operation=0.0, navigation=30.0) is None


async def test_what_is_known_of_playwrights_api_is_still_true():
    """The names that plans and taints rely on exist, and coroutine methods are coroutine functions."""
    from playwright import async_api

    from scorewise_actors.browser import plan, taint

    assert plan_of(Page, "goto").kind is Kind.AWAIT
    assert plan_of(Page, "locator").kind is Kind.CALL
    assert plan_of(Page, "url").kind is Kind.VALUE
    for name in plan._NAVIGATIONS:
        assert hasattr(Page, name) or hasattr(async_api.APIRequestContext, name), name
    assert all(hasattr(getattr(async_api, kind), name) for kind, name in plan._TRANSFERS | taint._HELD_DOWN)
    assert all(hasattr(Page, name) for name in taint._PAGE)
    assert [name for name in taint._CONTEXT_HARMLESS if not hasattr(BrowserContext, name)] == []
    assert taint_of("BrowserContext", "whatever_comes_next") is Taint.CONTEXT
