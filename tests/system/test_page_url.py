"""URLs: which are refused and with which words, which are the same page, and that a journal's own are kept."""

import asyncio
import re

import pytest
from harness import match_urls
from hypothesis import example, given
from hypothesis import strategies as st

from scorewise_actors import ConfigurationError, Request, ledger, page_url
from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.page_url import canonical_url, place_of

GOOD = [
    "http://example.org",
    "HTTPS://Example.ORG:8443/a?b=c#d",
    "http://user:Pa55@example.org/",
    "http://127.0.0.1:1/",
    "http://[::1]:8080/",
    "http://example.org:/",
    "http://example.org./",
    "http://a_b.example.org/",
    "http://münchen.example/straße?q=ü",
    "http://example.org/%20%00",
    "data:text/html,<title>1</title>",
    "data:,",
    "file:///etc/hosts",
    "file://localhost/etc/hosts",
    "chrome://version/",
]
BAD = [
    ("", "must begin with http://"),
    (5, "must be a string, got 5"),
    (None, "must be a string"),
    (b"http://a/", "must be a string"),
    ("example.com/page", "must begin with"),
    ("ftp://example.com/", "must begin with"),
    ("about:blank", "must begin with"),
    ("javascript:alert(1)", "is a script and no page"),
    ("JavaScript:alert(1)", "is a script and no page"),
    ("data:text/html", "has no comma"),
    ("file:etc/hosts", "names no local file"),
    ("file://server/share", "names no local file"),
    ("http://", "names no host"),
    ("http:///path", "names no host"),
    ("http:example.org", "names no host"),
    ("http://user@/", "names no host"),
    ("http://:80/", "names no host"),
    ("http://example.org:99999/", "bad port; it must be a whole number from 1 to 65535"),
    ("http://example.org:0/", "bad port"),
    ("http://example.org:80a/", "bad port"),
    ("http://example.org:-1/", "bad port"),
    ("http://[::1", "is no URL"),
    ("http://[1::2::3]/", "IPv6"),
    ("http://[fe80::1%25eth0]/", "names a network interface"),
    ("http://a b/", "contains white space"),
    ("http://a/b c", "contains white space"),
    ("http://a/b\u00a0c", "contains white space"),
    (" http://a/", "contains white space"),
    ("http://a/\n", "contains white space"),
    ("http://a/\x00", r"control character '\x00'"),
    ("\x01http://a/", "control character"),
    ("http://a\x7f/", "control character"),
    ("http://a/\ud83d", "half a surrogate pair"),
    ("http://a%2fb/", "has '%' in its host"),
    ("http://a<b/", "has '<' in its host"),
    ("http://a\\b/", r"has '\\' in its host"),
    ("http://a..b/", "empty part in its host"),
    ("http://.a/", "empty part in its host"),
    (f"http://{'a' * 64}.org/", "too long"),
    (f"http://{'a.' * 130}org/", "too long"),
    ("http://a\u2100b/", "is no URL"),
]
SAME = [
    ("http://example.org", "HTTP://EXAMPLE.org:80/#top"),
    ("https://example.org/", "https://example.org:443"),
    ("http://example.org/", "http://example.org:/"),
    ("http://user:Pa55@Example.org/", "http://user:Pa55@example.org:80/"),
    ("http://[::1]/", "http://[0:0:0:0:0:0:0:1]:80/"),
    ("http://münchen.example/", "http://XN--MNCHEN-3YA.example/"),
    ("http://münchen.example/", "http://MÜNCHEN.example/"),
    ("http://example.org/", "http://\uff45\uff58ample.org/"),
]
DIFFERENT = [
    ("http://user:Pa55@example.org/", "http://user:pa55@example.org/"),
    ("http://User@example.org/", "http://user@example.org/"),
    ("http://example.org/", "http://user@example.org/"),
    ("http://example.org/a", "http://example.org/A"),
    ("http://example.org/", "https://example.org/"),
    ("http://example.org:80/", "https://example.org:80/"),
    ("http://straße.example/", "http://strasse.example/"),
    ("http://app.example/#/item/1", "http://app.example/#/item/2"),
    ("http://app.example/#!item/1", "http://app.example/"),
    ("http://xn--a.example/", "http://xn--b.example/"),
]


@pytest.mark.parametrize("url", GOOD)
def test_a_url_of_a_page_is_taken_as_it_is(url):
    """Its identity is its own identity: making it canonical again changes nothing."""
    request = Request(url)
    assert request.url == url
    assert canonical_url(request.unique_key) == request.unique_key
    assert Request.from_json(request.to_json()) == request


@pytest.mark.parametrize(("url", "words"), BAD)
def test_a_url_where_no_page_can_be_is_refused_with_the_reason(url, words):
    """Before anything starts; the error has field, value and what is wrong."""
    with pytest.raises(ConfigurationError, match=r"^Request\.url ") as caught:
        Request(url)
    assert words in str(caught.value)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_write_a_page_are_one_item(one, other):
    """As a browser would make them one."""
    assert Request(one).unique_key == Request(other).unique_key


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_pages_are_two_items(one, other):
    """An item too many costs a visit, one too few a page that is never scraped."""
    assert Request(one).unique_key != Request(other).unique_key


async def test_a_browser_agrees_on_which_hosts_are_the_same():
    """Chromium's own parser of URLs is asked."""
    driver = await Driver.start()
    try:
        browser = await driver.playwright.chromium.launch(
            executable_path=find_executable().path, chromium_sandbox=False
        )
        page = await browser.new_page()
        parse = "url => { try { return new URL(url).href.replace(/#(?![/!]).*/, '') } catch { return null } }"
        for one, other in SAME:
            assert await page.evaluate(parse, one) == await page.evaluate(parse, other), (one, other)
        for one, other in DIFFERENT[:-1]:  # the last ones are no names in any edition of IDNA
            assert await page.evaluate(parse, one) != await page.evaluate(parse, other), (one, other)
        for url in GOOD:
            assert await page.evaluate(parse, url), url
        await browser.close()
    finally:
        await asyncio.shield(driver.stop())


def test_who_is_asked_to_wait_is_a_host_with_its_port():
    """Whoever logs in, in whatever spelling; a URL that cannot be taken apart is a place of its own."""
    assert place_of("http://me:x@Example.org:80/a") == place_of("HTTP://example.org/b") == "example.org"
    assert place_of("http://example.org:8080/") == "example.org:8080"
    assert place_of("http://example.org:99999/") == "http://example.org:99999/"


def test_a_journal_of_laxer_times_is_read_as_it_was_written(system, healthy_site):
    """A URL that is refused today and was recorded once keeps neither the job from going on nor its number."""
    old, *rest = match_urls(healthy_site, 3)
    bad = "http://example.org:99999/"
    with system.store.open("old") as journal:
        journal.append(ledger.opening({}, 1.0), now_ms=1)
        recorded = ledger.enqueued([Request(old), Request("data:,")])
        recorded.values[1]["url"] = bad
        journal.append([recorded], now_ms=2)

    async def handler(context):
        await context.page.goto(context.request.url)

    report = system.run_blocking("old", rest, handler)
    assert (report.enqueued, report.done, report.dead_lettered) == (4, 3, 1)
    assert [letter.url for letter in report.dead_letters] == [bad]


@example("a/?", "http://")
@example("a/b?c#", "http://")
@given(st.text("aA:/?#@.-x%8[]ü", max_size=14), st.sampled_from(["http://", "https://", "HTTP://", "http://xn--", ""]))
def test_the_short_cut_for_plain_urls_goes_where_the_long_way_goes(rest, scheme):
    """Most URLs are canonical as they are written; that they are is seen without taking them apart."""
    url = scheme + rest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_url, "_CANONICAL", re.compile("(?!)"))
        long_way = canonical_url(url)
    assert canonical_url(url) == long_way


@pytest.mark.parametrize(
    "url", ["http://a.test", "https://a-b.test/x:1@2", "http://a.test?q=http://b/", "http://a.test#!/x"]
)
def test_the_short_cut_to_the_place_of_a_plain_url_leads_to_the_same(url, monkeypatch):
    """It is taken for plain hosts, and gives what taking the URL apart gives."""
    short = place_of(url)
    monkeypatch.setattr(page_url, "_PLAIN_PLACE", re.compile("(?!)"))
    assert short == place_of(url) == re.split("[/?#]", url)[2]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://a.test:80/", "a.test"),
        ("http://a.test:81/", "a.test:81"),
        ("http://me:x@a.test/", "a.test"),
        ("http://A.test/", "a.test"),
        ("http://xn--mnchen-3ya.test/", "münchen.test"),
    ],
)
def test_what_is_not_plain_is_taken_apart(url, place):
    """Ports, names, capitals and encoded names."""
    assert place_of(url) == place
