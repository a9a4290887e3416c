"""The classifier against the texts of the Chromium and Playwright that are installed: they change with each release.

Each failure is provoked for real, without a network, and its facts are those that a scraper has: the exception, what a
response listener saw, the crash event, the connection. The verdict must be the same whatever URL the text holds.
"""

import asyncio
import contextlib
import itertools
import re

import attrs
import pytest
from bad_servers import BrokenProxy, RefusingProxy, Site, closed_port, serving, tls
from playwright.async_api import Error, async_playwright, expect

from policies import Failure, FailureClassifier
from scorewise_actors.browser.executables import find_executable

URLS = re.compile(r"(?:https?|chrome|file)://[^\s\"']*")
POISON = (
    "http://h/timeout/404/net::ERR_ABORTED/Page%20crashed/Target%20page,%20context%20or%20browser%20has%20been%20closed",
    "https://example.com/" + "Execution-context-was-destroyed/" * 300,
)

WORDY = FailureClassifier(transient=["timeout", "crashed"], permanent=["404", "aborted", "closed", "destroyed"])
"""Has words of a user that stand in the URLs as well."""


@contextlib.asynccontextmanager
async def chromium(**options):
    """A driver and a browser; names that end with .invalid are not found, without asking anybody."""
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP *.invalid ~NOTFOUND"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_executable().path, args=arguments, **options)
        try:
            yield playwright, browser
        finally:
            await browser.close()


async def failure_of(call, **facts):
    """What is known of the failure of a call."""
    with pytest.raises((Error, AssertionError, TimeoutError)) as raised:
        await call
    return Failure.from_exception(raised.value, **facts)


async def visit(browser, url, **options):
    """The failure of a navigation on a page of its own, with what a listener saw. Some browsers show an error status as
    a page, others fail without saying it: a scraper makes a failure of both.
    """
    # a page each: an error page that is still being shown interrupts the next navigation
    page = await browser.new_page()
    facts = {}
    page.on("response", lambda response: facts.update(status=response.status, headers=response.headers))
    try:
        await page.goto(url, **options)
        assert facts["status"] >= 400, f"{url} did not fail"
        return Failure("HttpStatusError", f"HTTP status {facts['status']}", **facts)
    except Error as error:
        return Failure.from_exception(error, **facts)
    finally:
        await page.close()


def aborting(reason):
    """A route handler that lets every request fail."""

    async def abort(route):
        await route.abort(reason)

    return abort


def check(found, expected):
    """Each failure has the verdict of the rule that is expected, and keeps it with any other URL in its text."""
    classifier = FailureClassifier()
    assert {name: classifier.classify(failure).rule_id for name, failure in found.items()} == expected
    for failure, url, one in itertools.product(found.values(), POISON, (classifier, WORDY)):
        other = attrs.evolve(failure, message=URLS.sub(url, failure.message), url=url)
        assert one.classify(other) == one.classify(failure)


# Chromium shows any network error on request
NETWORK_ERRORS = {
    2: "connection",
    3: "aborted",
    4: "code:other",
    6: "bad_target",
    7: "connection",
    9: "code:other",
    10: "code:other",
    12: "resources",
    13: "resources",
    15: "connection",
    18: "resources",
    20: "refused_by_site",
    21: "connection",
    22: "refused_by_site",
    27: "refused_by_site",
    100: "connection",
    101: "connection",
    102: "connection",
    103: "connection",
    104: "connection",
    105: "dns",
    106: "offline",
    107: "tls_handshake",
    109: "offline",
    111: "proxy",
    113: "certificate",
    115: "proxy_configuration",
    118: "connection",
    120: "proxy",
    130: "proxy",
    131: "proxy_configuration",
    137: "dns",
    176: "resources",
    200: "certificate",
    201: "certificate",
    202: "certificate",
    206: "certificate",
    301: "bad_target",
    302: "bad_target",
    310: "refused_by_site",
    311: "refused_by_site",
    312: "bad_target",
    320: "protocol",
    321: "protocol",
    324: "connection",
    325: "protocol",
    330: "protocol",
    331: "offline",
    336: "proxy_configuration",
    337: "protocol",
    338: "proxy_configuration",
    354: "protocol",
    355: "protocol",
    356: "protocol",
    370: "protocol",
    379: "hidden_status",
    400: "code:cache",
    800: "dns",
    803: "dns",
}


async def test_network_errors_have_the_verdict_of_the_table():
    """Every kind of network error that Chromium has a number for."""
    async with chromium() as (_, browser):
        found = {number: await visit(browser, f"chrome://network-error/-{number}") for number in NETWORK_ERRORS}
    check(found, NETWORK_ERRORS)


STATUSES = {
    "204": "status:204",
    "400": "status:bad_request",
    "401": "status:blocked",
    "403": "status:blocked",
    "404": "status:gone",
    "408": "status:too_early",
    "410": "status:gone",
    "418": "status:4xx",
    "429/7": "status:429",
    "451": "status:gone",
    "500": "status:5xx",
    "501": "status:unsupported",
    "502": "status:5xx",
    "503": "status:5xx",
    "503/Wed, 21 Oct 2099 07:28:00 GMT": "status:503_retry_after",
    "522": "status:5xx",
}


async def test_errors_without_a_body_have_the_verdict_of_their_status():
    """Where Chromium calls all of them the same, what the response listener saw tells them apart."""
    with serving(Site) as port:
        async with chromium() as (_, browser):
            found = {status: await visit(browser, f"http://127.0.0.1:{port}/status/{status}") for status in STATUSES}
    check(found, STATUSES)
    assert found["429/7"].headers["retry-after"] == "7"


BAD_ANSWERS = {
    "reset": "connection",
    "empty": "connection",
    "garbage": "protocol",
    "huge-headers": "protocol",
    "two-lengths": "protocol",
    "two-places": "protocol",
    "loop": "refused_by_site",
    "to-file": "refused_by_site",
    "to-nowhere/1": "bad_target",
    "download": "download",
    "hang": "load_timeout",
    "short": "load_timeout",
    "gzip": "load_timeout",
    "cut/404": "status:gone",
}


async def test_bad_answers_of_a_server():
    """Connections that end, answers that are no HTTP, redirects that lead nowhere, a download, silence."""
    with serving(Site) as port:
        async with chromium() as (_, browser):
            found = {}
            for word in BAD_ANSWERS:
                found[word] = await visit(browser, f"http://127.0.0.1:{port}/{word}?timeout=404", timeout=2000)
            targets = {
                "refused": f"http://127.0.0.1:{closed_port()}/404",
                "unsafe port": "http://127.0.0.1:1/",
                "no name": "http://timeout.invalid/",
                "no file": "file:///nonexistent/timeout",
                "no scheme": "gopher://127.0.0.1/",
                "no URL": "nonsense",
                "no host": "http://",
            }
            found |= {name: await visit(browser, url) for name, url in targets.items()}
    expected = {"refused": "connection", "unsafe port": "bad_target", "no name": "dns", "no file": "bad_target"}
    check(found, BAD_ANSWERS | expected | {"no scheme": "aborted", "no URL": "bad_target", "no host": "bad_target"})


async def test_certificates_and_proxies(tmp_path):
    """Self-signed, expired, for another name, no TLS at all; proxies that are dead, closed or cut off."""
    found = {}
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(serving(Site))
        signed = stack.enter_context(serving(Site, tls(tmp_path)))
        expired = stack.enter_context(serving(Site, tls(tmp_path, days=-1)))
        elsewhere = stack.enter_context(serving(Site, tls(tmp_path, host="elsewhere.invalid")))
        closed, broken = (stack.enter_context(serving(proxy)) for proxy in (RefusingProxy, BrokenProxy))
        async with chromium() as (playwright, browser):
            for name, at in {"self-signed": signed, "expired": expired, "elsewhere": elsewhere, "no TLS": port}.items():
                found[name] = await visit(browser, f"https://127.0.0.1:{at}/page", timeout=5000)
            request = await playwright.request.new_context()
            found["API self-signed"] = await failure_of(request.get(f"https://127.0.0.1:{signed}/page"))
            found["API refused"] = await failure_of(request.get(f"http://127.0.0.1:{closed_port()}/"))
            found["API hang"] = await failure_of(request.get(f"http://127.0.0.1:{port}/hang", timeout=300))
            found["API reset"] = await failure_of(request.get(f"http://127.0.0.1:{port}/reset"))
            await request.dispose()
            proxies = {
                "dead proxy": f"http://127.0.0.1:{closed_port()}",
                "dead SOCKS proxy": f"socks5://127.0.0.1:{closed_port()}",
                "closed proxy": f"http://127.0.0.1:{closed}",
                "broken proxy": f"http://127.0.0.1:{broken}",
            }
            for name, server in proxies.items():
                context = await browser.new_context(proxy={"server": server})
                found[name] = await visit(context, "http://site.invalid/page", timeout=3000)
                found[f"{name}, TLS"] = await visit(context, "https://site.invalid/page", timeout=3000)
                await context.close()
    check(
        found,
        {
            "self-signed": "certificate",
            "expired": "certificate",
            "elsewhere": "certificate",
            "no TLS": "tls_handshake",
            "API self-signed": "certificate",
            "API refused": "connection",
            "API hang": "load_timeout",
            "API reset": "connection",
            "dead proxy": "proxy",
            "dead proxy, TLS": "proxy",
            "dead SOCKS proxy": "proxy",
            "dead SOCKS proxy, TLS": "proxy",
            "closed proxy": "status:blocked",
            "closed proxy, TLS": "status:blocked",
            "broken proxy": "status:5xx",
            "broken proxy, TLS": "proxy",
        },
    )


async def test_what_pages_and_handlers_do():
    """Selectors, scripts, popups, aborted requests, navigations that cross each other."""
    found = {}
    with serving(Site) as port:
        home = f"http://127.0.0.1:{port}/page"
        async with chromium() as (_, browser):
            page = await browser.new_page()
            await page.goto(home)
            found["no element"] = await failure_of(page.click("#absent", timeout=50))
            found["never seen"] = await failure_of(page.wait_for_selector("#absent", timeout=50))
            found["two elements"] = await failure_of(page.locator("a").click(timeout=5000))
            found["bad selector"] = await failure_of(page.query_selector("a["))
            found["not as expected"] = await failure_of(expect(page.locator("#absent")).to_be_visible(timeout=50))
            found["script"] = await failure_of(page.evaluate("() => { throw new Error('Target crashed') }"))
            found["script of a crash"] = await failure_of(page.evaluate("() => { throw new Error('net::ERR_FAILED') }"))
            found["no such name"] = await failure_of(page.evaluate("nope"))
            moved = page.evaluate("() => new Promise(() => { location.href = '/page?again' })")
            found["moved on"] = await failure_of(moved)
            await page.wait_for_load_state()
            found["no load"] = await failure_of(page.reload(timeout=1))
            for reason in (
                "aborted",
                "failed",
                "blockedbyclient",
                "internetdisconnected",
                "timedout",
                "namenotresolved",
            ):
                await page.route("**/*", aborting(reason))
                found[f"route {reason}"] = await failure_of(page.goto(home))
                await page.unroute("**/*")
            await page.close()
            page = await browser.new_page()
            first = asyncio.ensure_future(failure_of(page.goto(f"http://127.0.0.1:{port}/hang")))
            await page.wait_for_event("request")
            await page.goto(home)
            found["crossed"] = await first
            await page.close()
    check(
        found,
        {
            "no element": "element_timeout",
            "never seen": "element_timeout",
            "two elements": "bad_selector",
            "bad selector": "bad_selector",
            "not as expected": "handler_error",
            "script": "page_script",
            "script of a crash": "page_script",
            "no such name": "page_script",
            "moved on": "moved_on",
            "no load": "load_timeout",
            "route aborted": "aborted",
            "route failed": "connection",
            "route blockedbyclient": "refused_by_site",
            "route internetdisconnected": "offline",
            "route timedout": "connection",
            "route namenotresolved": "dns",
            "crossed": "aborted",
        },
    )


async def test_what_dies(tmp_path, monkeypatch):
    """Pages, contexts and browsers that crash, are closed or never come up."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # Playwright leaves the profile of a launch that failed
    found = {}
    async with chromium() as (playwright, browser):
        page = await browser.new_page()
        crashed = asyncio.Event()
        page.on("crash", lambda _: crashed.set())
        session = await page.context.new_cdp_session(page)
        order = asyncio.ensure_future(session.send("Page.crash"))
        found["crash"] = await failure_of(page.evaluate("() => new Promise(() => {})"))
        await crashed.wait()
        order.cancel()
        found["after a crash"] = await failure_of(page.evaluate("1"))
        found["crash seen"] = Failure("ValueError", "no title", page_crashed=True)
        await page.close()
        page = await browser.new_page()
        crashed = asyncio.Event()
        page.on("crash", lambda _: crashed.set())
        aborted = await failure_of(page.goto("chrome://crash"))
        await crashed.wait()
        found["crash by address"] = attrs.evolve(aborted, page_crashed=True)
        await page.close()
        found["page closed"] = await failure_of(page.title(), browser_connected=browser.is_connected())
        context = await browser.new_context()
        page = await context.new_page()
        await context.close()
        found["context closed"] = await failure_of(page.title())
        page = await browser.new_page()
        with serving(Site) as port:
            hanging = asyncio.ensure_future(failure_of(page.goto(f"http://127.0.0.1:{port}/hang")))
            await page.wait_for_event("request")
            await page.close()
            found["closed in flight"] = await hanging
        frozen = await browser.new_page()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(frozen.evaluate("() => { for (;;) {} }"), 0.2)
        found["frozen"] = await failure_of(asyncio.wait_for(frozen.title(), 0.2), deadline_exceeded=True)
        found["own timeout"] = await failure_of(asyncio.wait_for(frozen.title(), 0.2))
        gone = asyncio.Event()
        browser.on("disconnected", lambda _: gone.set())
        session = await browser.new_browser_cdp_session()
        with contextlib.suppress(Error):
            await session.send("Browser.crash")
        await gone.wait()
        found["browser gone"] = await failure_of(frozen.title(), browser_connected=browser.is_connected())
        found["no page"] = await failure_of(browser.new_page(), browser_connected=browser.is_connected())
        found["launch"] = await failure_of(playwright.chromium.launch(executable_path="/bin/true"))
        found["no browser"] = await failure_of(playwright.chromium.launch(executable_path="/nonexistent"))
        found["no port"] = await failure_of(playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{closed_port()}"))
    check(
        found,
        {
            "crash": "page_crashed",
            "after a crash": "page_crashed",
            "crash seen": "page_crashed",
            "crash by address": "page_crashed",
            "page closed": "target_closed",
            "context closed": "target_closed",
            "closed in flight": "detached",
            "frozen": "browser_frozen",
            "own timeout": "timeout",
            "browser gone": "browser_gone",
            "no page": "browser_gone",
            "launch": "launch",
            "no browser": "no_browser",
            "no port": "launch",
        },
    )
