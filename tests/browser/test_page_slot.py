"""A page slot serves one item after the other, and no item finds anything of the one before."""

import asyncio
import contextlib
import socket

import pytest
import pytest_asyncio
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.errors import GuardTimeout, PageGone
from scorewise_actors.browser.options import BrowserOptions
from scorewise_actors.browser.pages import MAX_POPUPS, PageSlot

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLEAN = {
    "cookie": "",
    "local": {},
    "session": {},
    "name": "",
    "databases": [],
    "caches": [],
    "files": [],
    "workers": 0,
    "history": 2,
}


@pytest_asyncio.fixture(loop_scope="module")
async def slots(shared_browser):
    """Opens slots with options of the test's own on the shared browser."""
    opened = []

    async def open_slot(**options):
        slot = PageSlot(shared_browser)
        slot._options = BrowserOptions(**{"close_timeout": 30.0, **options})
        await slot.open()
        opened.append(slot)
        return slot

    yield open_slot
    for slot in opened:
        await slot.close()
        await asyncio.gather(*slot._closers)
    assert shared_browser.raw.contexts == []


async def leave_traces(page, site):
    await page.goto(site.url + "/traces")
    for frame in page.frames:
        await frame.wait_for_function("window.traces && (window !== top || localStorage.late)")


async def traces_seen_by(page, site, see_traces):
    """What pages of both sites find, and what the server gets to hear."""
    found = []
    for url in (site.url, site.other):
        await page.goto(url + "/cookies")
        found += [await page.evaluate("document.body.textContent")]
        found += [await page.evaluate(see_traces)]
    found[-1]["history"] -= 1  # the second document of this item
    return found


async def test_a_reset_page_leaks_nothing(slots, site, see_traces):
    """Cookies, storages, databases, caches, window.name, history, timers that write on: gone, on the same page."""
    slot = await slots()
    await leave_traces(await slot.fresh(), site)
    page = await slot.fresh()
    assert slot.pages_opened == 1
    assert await traces_seen_by(page, site, see_traces) == ['""', CLEAN, '""', CLEAN]


async def test_the_traces_are_real(slots, site, see_traces):
    """The twin: with isolation none the next item finds them all, so the test above can fail."""
    slot = await slots(isolation="none")
    await leave_traces(await slot.fresh(), site)
    page = await slot.fresh()
    sent, seen, *_ = await traces_seen_by(page, site, see_traces)
    assert "secret=1" in sent
    assert {key for key in CLEAN if seen[key] != CLEAN[key]} == set(CLEAN)


@pytest.mark.parametrize("isolation", ["page", "context"])
async def test_the_other_isolations(slots, site, see_traces, isolation):
    """page: a new page, but cookies stay. context: a new page and nothing stays."""
    slot = await slots(isolation=isolation)
    await leave_traces(await slot.fresh(), site)
    page = await slot.fresh()
    assert slot.pages_opened == 2
    sent, seen, *_ = await traces_seen_by(page, site, see_traces)
    assert ("secret=1" in sent) == (isolation == "page")
    assert (seen["name"], seen["session"]) == ("", {})
    assert (seen == CLEAN) == (isolation == "context")


async def test_slots_of_one_browser_share_nothing(slots, site, see_traces):
    """Two items at the same time: neither sees the other's state, nor does one's reset hurt the other."""
    one, two = await slots(), await slots()
    first = await one.fresh()
    await leave_traces(first, site)
    page = await two.fresh()
    assert await traces_seen_by(page, site, see_traces) == ['""', CLEAN, '""', CLEAN]
    await two.fresh()
    assert "crumb=1" in await first.evaluate("document.cookie")


async def test_a_replaced_page_is_as_clean_as_a_reset_one(slots, site, see_traces):
    """The page is replaced after so many items; the new one finds nothing in the context."""
    slot = await slots(pages_before_replace=2)
    for _ in range(2):
        page = await slot.fresh()
        await leave_traces(page, site)
    assert slot.pages_opened == 1
    page = await slot.fresh()
    assert slot.pages_opened == 2
    assert await traces_seen_by(page, site, see_traces) == ['""', CLEAN, '""', CLEAN]


async def test_a_context_is_replaced_after_so_many_items(slots):
    """Contexts grow too, so they have an age."""
    slot = await slots(items_before_new_context=2)
    contexts = []
    for _ in range(4):
        await slot.fresh()
        contexts.append(slot._context)
    assert contexts[0] is contexts[1] is not contexts[2] is contexts[3]


async def test_a_retired_page_is_not_used_again(slots, site):
    """retire() by the owner, and by a call that did not come back in time."""
    slot = await slots(operation_timeout=0.3, close_timeout=0.5)
    page = await slot.fresh()
    slot.retire()
    page = await slot.fresh()
    assert slot.pages_opened == 2
    await page.goto(site.url)
    with pytest.raises(GuardTimeout, match=r"Page\.evaluate: no answer within 0\.3 s"):
        await page.evaluate("(() => { for (;;); })()")
    page = await slot.fresh()
    assert slot.pages_opened == 3
    await page.goto(site.url)


async def test_a_page_that_is_stuck_at_the_reset_is_replaced(slots, site):
    """A script that never lets go cannot be wiped: the next item gets a new context, in bounded time."""
    slot = await slots(close_timeout=0.3)
    page = await slot.fresh()
    await page.goto(site.url)
    await page.evaluate("setTimeout(() => { for (;;); })")
    page = await slot.fresh()
    assert slot.pages_opened == 2
    await page.goto(site.url)
    assert await page.title() == "plain"


@pytest.mark.parametrize("what", ["page", "context"])
async def test_a_handler_may_close_what_it_got(slots, site, what):
    """The next item gets a page all the same."""
    slot = await slots()
    page = await slot.fresh()
    await (page if what == "page" else page.context).close()
    with pytest.raises(PlaywrightError, match="closed"):
        await page.title()
    page = await slot.fresh()
    await page.goto(site.url)
    assert await page.title() == "plain"


async def test_an_item_that_is_over_cannot_touch_the_next_one(slots, site):
    """A handler that was given up still holds its page: calls in flight and new ones raise PageGone."""
    slot = await slots()
    old = await slot.fresh()
    await old.goto(site.url)
    stale_locator = old.locator("h1")
    pending = asyncio.ensure_future(old.evaluate("new Promise(() => {})"))
    await asyncio.sleep(0)
    page = await slot.fresh()
    with pytest.raises(PageGone, match="has ended"):
        await pending
    for call in (old.goto(site.url + "/status?code=500"), stale_locator.text_content(), old.context.clear_cookies()):
        with pytest.raises(PageGone, match="has ended"):
            await call
    with pytest.raises(PageGone, match="has ended"):
        old.on("console", print)
    assert slot.pages_opened == 1
    assert slot._replace == 0, "a stale handler must not retire the page of the next item"
    await page.goto(site.url)


async def test_listeners_routes_and_timeouts_of_an_item_go_with_it(slots, site):
    """What a handler registers on page or context does not see the next item."""
    slot = await slots()
    page = await slot.fresh()
    heard = []
    page.on("request", lambda request: heard.append(request.url))
    page.once("load", lambda: heard.append("load"))
    page.context.on("response", lambda response: heard.append(response.status))
    await page.route("**/*", lambda route: route.fulfill(body="faked"))
    await page.context.route("**/cookies", lambda route: route.abort())
    await page.goto(site.url)
    assert await page.evaluate("document.body.textContent") == "faked"
    assert "load" in heard
    page.set_default_timeout(60)
    with pytest.raises(PlaywrightError, match="Timeout 60ms"):
        await page.locator("#none").click()
    heard.clear()
    page = await slot.fresh()
    assert slot.pages_opened == 1
    await page.goto(site.url)
    assert await page.title() == "plain"
    await page.goto(site.url + "/cookies")
    await page.goto(site.url + "/slow")  # slower than the default timeout of the item before
    assert heard == []


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        (lambda page: page.set_viewport_size({"width": 300, "height": 200}), "page"),
        (lambda page: page.add_init_script("window.injected = 1"), "page"),
        (lambda page: page.expose_function("injected", lambda: 1), "page"),
        (lambda page: page.set_extra_http_headers({"Cookie": "injected=1"}), "page"),
        (lambda page: page.keyboard.down("Shift"), "page"),
        (lambda page: page.context.add_init_script("window.injected = 1"), "context"),
        (lambda page: page.context.set_offline(True), "context"),
        (lambda page: page.context.grant_permissions(["geolocation"]), "context"),
        (lambda page: page.clock.install(time=0), "context"),
    ],
)
async def test_what_cannot_be_undone_costs_a_new_page_or_context(slots, site, change, replaced):
    """The next item finds no trace of init scripts, exposed functions, emulation, held keys, permissions."""
    slot = await slots()
    page = await slot.fresh()
    await change(page)
    context = slot._context
    page = await slot.fresh()
    assert slot.pages_opened == 2
    assert (slot._context is not context) == (replaced == "context")
    await page.goto(site.url + "/cookies")
    assert await page.evaluate("[document.body.textContent, innerWidth, window.injected ?? null]") == ['""', 800, None]
    assert await page.evaluate("Date.now()") > 10**12


async def test_dialogs_never_block(slots, site):
    """Nobody listens: dismissed at once. A listener answers: that counts. It forgets: dismissed after a while."""
    slot = await slots()
    page = await slot.fresh()
    await page.goto(site.url + "/dialog")
    assert await page.evaluate("window.answer") == [False, None]
    page = await slot.fresh()
    page.on("dialog", lambda dialog: dialog.accept("yes"))
    await page.goto(site.url + "/dialog")
    assert await page.evaluate("window.answer") == [True, "yes"]
    page = await slot.fresh()
    forgotten = []
    page.on("dialog", forgotten.append)
    await page.goto(site.url)
    assert await page.evaluate("confirm('really?')") is False
    assert [dialog.message for dialog in forgotten] == ["really?"]
    page = await slot.fresh()
    await page.goto(site.url + "/dialog")
    assert await page.evaluate("window.answer") == [False, None]
    assert slot.pages_opened == 1


async def test_popups_are_few_and_end_with_the_item(slots, site):
    """A page that opens many keeps a handful; the handler can use them; the next item finds none."""
    slot = await slots()
    page = await slot.fresh()
    async with page.expect_popup() as popup:
        await page.goto(site.url + "/popups?n=2")
    await (await popup.value).wait_for_load_state()
    assert await (await popup.value).title() == "plain"
    await page.goto(site.url + "/popups?n=12")
    async with asyncio.timeout(30):
        while len(slot._context.pages) > 1 + MAX_POPUPS:
            await asyncio.sleep(0.01)
    extra = await page.context.new_page()
    page = await slot.fresh()
    assert len(slot._context.pages) == 1
    with pytest.raises(PageGone):
        await extra.title()
    await page.goto(site.url)


async def test_downloads_are_refused_unless_wanted(slots, site, tmp_path):
    """By default a download stops at once; when accepted its file can be had."""
    slot = await slots()
    page = await slot.fresh()
    with contextlib.suppress(PlaywrightError):
        async with page.expect_download() as refused:
            with contextlib.suppress(PlaywrightError):
                await page.goto(site.url + "/file")
        with pytest.raises(PlaywrightError, match="accept_downloads"):
            await (await refused.value).path()
    slot = await slots(accept_downloads=True)
    page = await slot.fresh()
    async with page.expect_download() as info:
        with contextlib.suppress(PlaywrightError):
            await page.goto(site.url + "/file")
    download = await info.value
    await download.save_as(tmp_path / "f.bin")
    assert (tmp_path / "f.bin").stat().st_size == 2000


async def test_the_slot_remembers_the_answer_to_the_document(slots, site):
    """Status and headers of the last main document: after goto, redirect, click; none while there was no answer."""
    slot = await slots()
    page = await slot.fresh()
    assert (slot.status, slot.headers) == (None, {})
    await page.goto(site.url)
    assert slot.status == 200
    await page.locator("#next").click()
    await page.wait_for_url("**/status*")
    assert (slot.status, slot.headers["retry-after"]) == (404, "7")
    await page.goto(site.url + "/redirect?to=/status%3Fcode%3D503%26body%3Dx")
    assert slot.status == 503
    with contextlib.suppress(PlaywrightError):
        await page.goto(site.url + "/status?code=429")
    assert slot.status == 429
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    with pytest.raises(PlaywrightError, match="ERR_CONNECTION_REFUSED"):
        await page.goto(refused)
    assert slot.status is None
    page = await slot.fresh()
    assert slot.pages_opened == 2, "the error page of the failed navigation would interrupt the next one"
    await page.goto(site.url + "/many")
    assert slot.status == 200
    await slot.fresh()
    assert (slot.status, slot.headers) == (None, {})


async def test_the_driver_is_not_made_to_report_every_request(slots, site):
    """Status is known without a response listener: those cost CPU for each request of each page."""
    slot = await slots()
    page = await slot.fresh()
    await page.goto(site.url + "/many")
    assert slot.status == 200
    assert slot._page._impl_obj.listener_count("response") == 0
    assert slot._context._impl_obj.listener_count("response") == 0


async def test_blocked_urls_are_not_loaded_even_on_a_replaced_page(driver, site):
    """Blocking happens in the browser: the server never hears of it."""
    browser = await Browser.launch(driver, BrowserOptions(block_urls=("*image.png",), pages_before_replace=1))
    slot = await browser.new_page_slot()
    for _ in range(2):
        page = await slot.fresh()
        await page.goto(site.url + "/picture")
        await page.goto(site.other + "/picture")
    assert slot.pages_opened == 2
    await browser.close()
    assert "/picture" in site.hits
    assert "/image.png" not in site.hits


async def test_a_slot_without_an_item_has_no_page(slots):
    """Before the first fresh() and after close() there is no page to give."""
    slot = await slots()
    with pytest.raises(PageGone, match="fresh"):
        _ = slot.page
    assert await slot.fresh() is slot.page
    await slot.close()
    await slot.close()
    with pytest.raises(PageGone, match="fresh"):
        _ = slot.page
