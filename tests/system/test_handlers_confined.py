"""Handlers that reach for what is not theirs, tasks of their loop or the browser: each harms its own item only."""

import asyncio
import contextlib
import re

import pytest
from harness import KEY, QUICK_RETRY, match_urls, run_with_a_bad_page
from loguru import logger

from scorewise_actors import ActorSystem, Request


@pytest.fixture
def said():
    """What is logged while the test runs."""
    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="ERROR")
    packages = ("scorewise_actors", "supervisors")
    for package in packages:
        logger.enable(package)
    yield lines
    for package in packages:
        logger.disable(package)
    logger.remove(sink)


async def cancel_all(_context):
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(0)


async def cancel_others(_context):
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def cancel_all_in_a_listener(context):
    def listener(_response):
        for task in asyncio.all_tasks():
            task.cancel()

    context.page.on("response", listener)
    await context.page.goto(context.request.url)
    await context.page.title()


async def cancel_all_in_an_async_listener(context):
    async def listener(_response):
        await cancel_all(context)

    context.page.on("response", listener)
    await context.page.goto(context.request.url)
    await context.page.title()


@pytest.mark.parametrize(
    "misbehave", [cancel_all, cancel_others, cancel_all_in_a_listener, cancel_all_in_an_async_listener]
)
def test_a_handler_that_cancels_all_tasks_fails_its_item_only(system, healthy_site, misbehave):
    """Actors, heartbeats, the connection to the driver and the other handlers live on; the dead letter says who it was
    and what was to be cancelled.
    """
    letter, report = run_with_a_bad_page(system, healthy_site, misbehave)
    assert (letter.error_type, letter.attempts) == ("HandlerCancelledOthers", 2)
    assert f"the handler of {letter.url} tried to cancel" in letter.message
    assert (report.restarts, report.retries) == (0, 1)


def test_a_handler_whose_tasks_another_one_cancels_loses_no_attempt(system, healthy_site):
    """Its tasks are not protected, for handlers may share some; but it does not pay for it."""
    waiting, attempts = {}, []

    async def handler(context):
        here = waiting.setdefault(context.request.label, asyncio.get_running_loop().create_future())
        if context.request.label == "culprit":
            await waiting.setdefault("victim", asyncio.get_running_loop().create_future())
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                with contextlib.suppress(RuntimeError):
                    task.cancel()
            await asyncio.sleep(0)
            return None
        attempts.append(context.attempt)
        if len(attempts) == 1:
            asyncio.get_running_loop().call_soon(here.set_result, None)
            await asyncio.gather(asyncio.sleep(3600), context.page.goto(context.request.url))
        return {"url": context.request.url}

    urls = match_urls(healthy_site, 2)
    report = system.run_blocking("shared", [Request(urls[0], "culprit"), Request(urls[1], "victim")], handler)
    assert (report.done, report.retries, report.restarts) == (2, 0, 0)
    assert attempts == [1, 1]


def test_a_handler_that_waits_for_all_tasks_runs_out_of_time_alone(storage, healthy_site):
    """gather() would pass its cancellation on to everything it waits for."""

    async def wait_for_all(_context):
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    with ActorSystem(storage_path=storage, key=KEY, retry=QUICK_RETRY, request_handler_timeout=3.0) as system:
        letter, report = run_with_a_bad_page(system, healthy_site, wait_for_all)
    assert letter.error_type == "HandlerTimeout"
    assert report.restarts == 0


def test_a_handler_that_cancels_itself_at_its_very_end_fails_its_item_only(system, healthy_site):
    """The cancellation takes the place of what the handler raised."""

    async def cancel_itself(_context):
        asyncio.current_task().cancel()
        raise ValueError

    letter, report = run_with_a_bad_page(system, healthy_site, cancel_itself)
    assert letter.error_type == "CancelledError"
    assert report.restarts == 0


def test_tasks_that_a_listener_began_may_be_cancelled_by_its_handler(system, healthy_site):
    """They are the item's own, though it is the driver's connection that calls listeners."""

    async def handler(context):
        tasks = []

        async def listener(_response):
            tasks.append(asyncio.create_task(asyncio.sleep(3600)))

        context.page.on("request", lambda _request: tasks.append(asyncio.create_task(asyncio.sleep(3600))))
        context.page.on("response", listener)
        await context.page.goto(context.request.url)
        assert len(tasks) >= 2
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return {"cancelled": all(task.cancelled() for task in tasks)}

    handle = system.open_job("listeners", handler)
    handle.add(match_urls(healthy_site, 1))
    handle.close_input()
    assert list(handle.iter_results()) == [{"cancelled": True}]


async def close_browser(context):
    await context.page.context.browser.close()


async def close_browser_by_leaving(context):
    async with context.page.context.browser:
        await context.page.goto(context.request.url)


async def close_browser_by_protocol(context):
    session = await context.page.context.new_cdp_session(context.page)
    await session.send("Browser.close")


@pytest.mark.parametrize("misbehave", [close_browser, close_browser_by_leaving, close_browser_by_protocol])
def test_a_handler_that_closes_the_browser_fails_its_item_only(system, healthy_site, misbehave):
    """The browser serves others and stays; the dead letter says what the handler did."""
    letter, report = run_with_a_bad_page(system, healthy_site, misbehave)
    assert (letter.error_type, letter.attempts) == ("HandlerClosedBrowser", 2)
    assert "the handler closed the browser by Browser.close" in letter.message
    assert (report.restarts, report.retries) == (0, 1)


@pytest.mark.parametrize(
    ("misbehave", "says"),
    [
        (cancel_others, r"refused: the handler of {url} tried to cancel '"),
        (close_browser, r"refused, on a page at about:blank: the handler closed the browser by Browser\.close"),
    ],
)
def test_a_handler_that_catches_a_refusal_is_done_and_it_is_logged(system, healthy_site, said, misbehave, says):
    """Nothing has happened to anybody, so its item need not fail; who reads the log knows."""
    (url,) = match_urls(healthy_site, 1)

    async def handler(context):
        with contextlib.suppress(Exception):
            await misbehave(context)

    report = system.run_blocking("caught", [url], handler)
    assert (report.done, report.retries, report.restarts) == (1, 0, 0)
    assert len([line for line in said if re.search(says.format(url=re.escape(url)), line)]) == 1, said


async def close_page(context):
    await context.page.close()


async def close_context(context):
    await context.page.context.close()


async def close_all_contexts(context):
    for found in context.page.context.browser.contexts:
        await found.close()


@pytest.mark.parametrize(
    ("misbehave", "call"),
    [
        (close_page, "Page.close"),
        (close_context, "BrowserContext.close"),
        (close_all_contexts, "BrowserContext.close"),
    ],
)
def test_a_handler_that_uses_its_page_after_closing_it_is_told_so(system, healthy_site, misbehave, call):
    """Its own page, and that of nobody else, is closed: it does not even see the contexts of other items."""
    letter, report = run_with_a_bad_page(system, healthy_site, misbehave)
    assert (letter.error_type, letter.attempts) == ("HandlerClosedPage", 2)
    assert f"closed its page by {call} and went on to use it: Page.goto" in letter.message
    assert (report.restarts, report.retries) == (0, 1)


@pytest.mark.parametrize("tidy", [close_page, close_context])
def test_a_handler_may_close_its_page_when_it_is_done(system, healthy_site, tidy):
    """As in many a tutorial. The next item gets another one."""

    async def handler(context):
        await context.page.goto(context.request.url)
        url = context.page.url
        await tidy(context)
        return {"url": url}

    report = system.run_blocking("tidy", match_urls(healthy_site, 6), handler)
    assert (report.done, report.retries, report.restarts) == (6, 0, 0)


async def stop_loop(_context):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    raise ValueError("the loop turns")


async def close_loop(_context):
    asyncio.get_running_loop().close()


@pytest.mark.parametrize(
    ("misbehave", "says"),
    [(stop_loop, "the loop turns"), (close_loop, "Cannot close a running event loop")],
)
def test_a_handler_that_ends_its_loop_fails_its_item_only(system, healthy_site, misbehave, says):
    """The loop goes on, asyncio itself refuses to close one that runs."""
    letter, report = run_with_a_bad_page(system, healthy_site, misbehave)
    assert says in letter.message
    assert report.restarts == 0
