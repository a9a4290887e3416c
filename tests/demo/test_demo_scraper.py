"""The scraper brings home exactly the league's records from the real site in a real Chromium."""

from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import pytest_asyncio
from playwright.async_api import Error

from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.demo import scraper, server
from scorewise_actors.demo.league import Fault, League
from scorewise_actors.demo.scraper import UnexpectedPageError, index_request, match_requests, scrape
from scorewise_actors.demo.site import LeagueSite
from scorewise_actors.errors import HttpStatusError
from scorewise_actors.job import Request

pytestmark = pytest.mark.asyncio(loop_scope="module")


@attrs.define
class FakeContext:
    """What a handler sees of a job, without the job."""

    page: Any
    request: Request
    added: list[Request] = attrs.field(factory=list)

    async def add_requests(self, requests):
        self.added += requests


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    """One Chromium for all tests here."""
    driver = await Driver.start()  # its home takes the temporary files
    browser = await driver.playwright.chromium.launch(executable_path=find_executable().path, args=["--no-sandbox"])
    yield browser
    await browser.close()
    await driver.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser):
    """A fresh page."""
    page = await browser.new_page()
    yield page
    await page.close()


@pytest.fixture
def serve():
    """Serve a league for the time of a test; a bug inside the site fails the test."""
    sites = []

    def start(league):
        sites.append(LeagueSite(league).start())
        return sites[-1]

    yield start
    for site in sites:
        site.close()
        assert site.errors == ()


def urls(requests):
    """The addresses of requests, in order."""
    return [request.url for request in requests]


async def test_every_record_comes_home_exactly(page, serve):
    """One page, reused for all matches, gives for each of them what the league expects."""
    site = serve(League(7, 40, faults={}))
    requests = match_requests(site.url, site.league)
    scraped = [await scrape(FakeContext(page, request)) for request in requests]
    assert scraped == [match.record() for match in site.league.matches]
    assert site.hits.keys() == {
        path for match in site.league.matches for path in (match.path, f"/api{match.path}.json")
    }


async def test_the_way_from_the_index_finds_every_match_once(page, serve):
    """Index and rounds add requests and return nothing; together they lead to each match."""
    site = serve(League(7, 23, faults={}))
    index = FakeContext(page, index_request(site.url))
    assert await scrape(index) is None
    assert urls(index.added) == [f"{site.url}/rounds/{number}" for number in (1, 2, 3)]
    matches = []
    for request in index.added:
        assert request.label == "round"
        context = FakeContext(page, request)
        assert await scrape(context) is None
        matches += context.added
    assert {request.label for request in matches} == {"match"}
    assert urls(matches) == urls(match_requests(site.url, site.league))


async def test_passing_faults_cost_one_attempt(browser, serve):
    """Flaky and rate-limited pages fail once, visibly, also on the reused connections of a browser."""
    site = serve(League(7, 8, faults={Fault.FLAKY: 0.75, Fault.RATE_LIMITED: 0.25}))
    failures, records = {}, {}
    async with await browser.new_context() as session:
        for number, request in enumerate(match_requests(site.url, site.league), start=1):
            async with await session.new_page() as page:
                await scrape(FakeContext(page, index_request(site.url)))  # leaves a connection to be reused
                with pytest.raises((HttpStatusError, Error)) as caught:
                    await scrape(FakeContext(page, request))
                failures[number] = getattr(caught.value, "status", None) or str(caught.value).partition(" at ")[0]
            async with await session.new_page() as page:
                records[number] = await scrape(FakeContext(page, request))
    reset = "Page.goto: net::ERR_CONNECTION_RESET"
    assert failures == {
        number: 429 if site.league.fault(number) is Fault.RATE_LIMITED else reset if number % 2 else 500
        for number in range(1, 9)
    }
    assert set(failures.values()) == {reset, 500, 429}
    assert records == site.league.records()


async def test_slow_data_are_waited_for(page, serve):
    """The score of a slow match comes after the page, and is not missed."""
    site = serve(League(7, 1, faults={Fault.SLOW: 1.0}))
    (request,) = match_requests(site.url, site.league)
    assert await scrape(FakeContext(page, request)) == site.league.matches[0].record()


@pytest.mark.parametrize(("fault", "status"), [(Fault.BROKEN_404, 404), (Fault.BROKEN_500, 500)])
async def test_error_pages_raise_their_status(page, serve, fault, status):
    """A page that is an HTTP error gives no record but the error, with status and address."""
    site = serve(League(7, 1, faults={fault: 1.0}))
    (request,) = match_requests(site.url, site.league)
    with pytest.raises(HttpStatusError) as caught:
        await scrape(FakeContext(page, request))
    assert (caught.value.status, caught.value.url) == (status, request.url)


async def test_a_page_without_its_score_is_an_error(page, serve):
    """Broken markup is told apart from a match without goals, and the missing fields are named."""
    site = serve(League(7, 1, faults={Fault.BROKEN_MARKUP: 1.0}))
    (request,) = match_requests(site.url, site.league)
    with pytest.raises(UnexpectedPageError, match="/matches/1 does not show home, away, home_goals, away_goals"):
        await scrape(FakeContext(page, request))


async def test_a_page_without_links_is_an_error(page, serve):
    """A round that lists no match would lose matches in silence."""
    site = serve(League(7, 1, faults={}))
    context = FakeContext(page, Request(url=f"{site.url}/", label="round"))
    with pytest.raises(UnexpectedPageError, match=r"has no links 'a\.match'"):
        await scrape(context)
    assert context.added == []


async def test_a_page_that_never_renders_is_an_error(page, serve, monkeypatch):
    """The wait for a page's script has an end, for matches and for lists of links."""
    monkeypatch.setattr(server, "SLOW_SECONDS", 600)
    monkeypatch.setattr(scraper, "READY_SECONDS", 0.2)
    site = serve(League(7, 1, faults={Fault.SLOW: 1.0}))
    (request,) = match_requests(site.url, site.league)
    for label in ("match", "round"):
        with pytest.raises(UnexpectedPageError, match=r"/matches/1 was not rendered within 0\.2 s"):
            await scrape(FakeContext(page, Request(url=request.url, label=label)))


async def test_a_navigation_without_response_is_not_scraped():
    """A reused page that went elsewhere still shows another match: no record may come of it."""

    async def goto(url):
        return None

    context = FakeContext(
        SimpleNamespace(goto=goto, url="http://elsewhere/"), Request(url="http://site/", label="match")
    )
    with pytest.raises(UnexpectedPageError, match="gave no response; the page is at http://elsewhere/"):
        await scrape(context)


async def test_an_unknown_label_is_an_error():
    """A request that no handler is meant for fails instead of counting as done."""
    with pytest.raises(ValueError, match="no handler for the label 'player'"):
        await scrape(FakeContext(None, Request(url="http://site/", label="player")))


async def test_match_requests_can_be_limited():
    """The first n matches, all by default, never more than there are."""
    league = League(7, 5, faults={})
    assert urls(match_requests("http://site", league, 2)) == ["http://site/matches/1", "http://site/matches/2"]
    assert len(match_requests("http://site", league)) == 5
    assert match_requests("http://site", league, 0) == []
    for n in (-1, 6):
        with pytest.raises(ValueError, match="n must be 0 to 5"):
            match_requests("http://site", league, n)
