"""Where requests come from: lists, generators that take their time, async generators, and what is none of these."""

import asyncio
import threading

import pytest
from harness import match_urls, wait_until

from scorewise_actors import ConfigurationError, Request

PATIENCE = 30.0


async def visit(context):
    await context.page.goto(context.request.url)
    return {"url": context.request.url}


def test_a_slow_generator_of_requests_does_not_block_the_callers_loop(system, healthy_site):
    """While it waits the loop turns."""
    urls = match_urls(healthy_site, 3)
    asked, go_on = threading.Event(), threading.Event()

    def slow():
        yield from urls[:2]
        asked.set()
        assert go_on.wait(PATIENCE), "the loop was blocked"
        yield urls[2]

    async def main():
        running = asyncio.ensure_future(system.run("slow", slow(), visit))
        while not asked.is_set():
            await asyncio.sleep(0.01)
        assert not running.done()
        go_on.set()
        return await running

    assert asyncio.run(main()).done == 3


def test_what_a_slow_source_has_given_is_scraped_before_it_goes_on(system, healthy_site, monkeypatch):
    """A batch is not waited for until it is full. From a plain thread as well."""
    monkeypatch.setattr("scorewise_actors.system._LONGEST_GATHERING", 0.0)
    urls = match_urls(healthy_site, 2)
    seen = threading.Event()

    async def handler(_context):
        seen.set()

    def slow():
        yield urls[0]
        assert seen.wait(PATIENCE), "the first page is not scraped before the second is known"
        yield urls[1]

    assert system.run_blocking("drip", slow(), handler).done == 2


def test_requests_may_come_from_an_async_generator(system, healthy_site):
    """It is iterated on the caller's loop."""
    loops = []

    async def requests():
        for url in match_urls(healthy_site, 3):
            loops.append(asyncio.get_running_loop())
            yield Request(url)

    async def main():
        report = await system.run("async", requests(), visit)
        assert set(loops) == {asyncio.get_running_loop()}
        return report

    assert asyncio.run(main()).done == 3


def test_a_generator_that_fails_stops_the_job(system, healthy_site):
    """The error is the caller's, and the job is free for another run."""
    (url,) = match_urls(healthy_site, 1)

    def failing():
        yield url
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        asyncio.run(system.run("failing", failing(), visit))
    assert system.run_blocking("failing", [url], visit).done == 1


NO_LISTS = ["http://example.org/", Request("http://example.org/"), {"url": "x"}, b"x", 7, None]


@pytest.mark.parametrize("requests", NO_LISTS)
def test_what_is_no_list_of_requests_is_named(system, requests):
    """A single URL is an iterable of letters, which is never meant; the job is not begun."""
    with pytest.raises(ConfigurationError, match=r"^requests must be a list"):
        system.run_blocking("never", requests, visit)
    with pytest.raises(ConfigurationError, match=r"^requests must be a list"):
        asyncio.run(system.submit("never", requests, visit))
    assert not system.store.exists("never")


def test_a_single_url_given_to_a_running_job_is_named_too(system, healthy_site):
    """By ``add`` of the handle, and by ``add_requests`` of a page's context."""

    async def handler(context):
        await context.add_requests(context.request.url)

    handle = system.open_job("one", handler)
    with pytest.raises(ConfigurationError, match="got one"):
        handle.add(match_urls(healthy_site, 1)[0])
    handle.add(match_urls(healthy_site, 1))
    handle.close_input()
    wait_until(lambda: handle.ended)
    (letter,) = handle.wait().dead_letters
    assert letter.error_type == "ConfigurationError"
