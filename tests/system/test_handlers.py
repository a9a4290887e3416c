"""Handlers that misbehave: each costs its own item and nobody else's."""

import asyncio
import sys
import time

import pytest
from harness import KEY, QUICK_RETRY, match_urls, run_with_a_bad_page

from scorewise_actors import ActorSystem


@pytest.fixture
def strict(storage):
    """A system that has little patience with handlers, and enough for a machine that is busy."""
    with ActorSystem(
        storage_path=storage,
        key=KEY,
        retry=QUICK_RETRY,
        max_concurrency=2,
        request_handler_timeout=5.0,
        loop_block_limit=2.0,
        loop_block_grace=1.0,
    ) as system:
        yield system


def test_a_handler_that_never_returns_runs_out_of_time(strict, healthy_site):
    """It is cancelled after request_handler_timeout, tried again, and its item becomes a dead letter."""
    letter, _ = run_with_a_bad_page(strict, healthy_site, lambda _context: asyncio.sleep(3600))
    assert (letter.error_type, letter.attempts) == ("HandlerTimeout", 2)
    assert "did not return within 5 s" in letter.message


def test_a_handler_that_swallows_its_cancellation_costs_a_page_and_not_the_slot(strict, healthy_site):
    """Its task is left to itself and the slot goes on with the next item."""

    async def stubborn(_context):
        while True:
            try:
                await asyncio.sleep(0.2)
                if "stop stubborn handlers" in sys.modules:
                    return
            except asyncio.CancelledError:
                continue

    try:
        letter, _ = run_with_a_bad_page(strict, healthy_site, stubborn)
    finally:
        sys.modules["stop stubborn handlers"] = sys
    del sys.modules["stop stubborn handlers"]
    assert letter.error_type == "HandlerTimeout"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("odd")])
def test_a_handler_that_raises_base_exceptions_fails_its_item_only(strict, healthy_site, error):
    """SystemExit and the like neither end the process nor the loop; the dead letter says what was raised."""

    async def raising(_context):
        raise error

    letter, report = run_with_a_bad_page(strict, healthy_site, raising)
    assert letter.error_type == "HandlerRaisedBaseException"
    assert type(error).__name__ in letter.message
    assert report.restarts == 0


def test_a_handler_that_blocks_the_loop_in_python_is_interrupted(strict, healthy_site):
    """A loop without await is ended by an exception; the item is a dead letter that names the line."""

    async def spinning(_context):
        end = time.monotonic() + 3600
        while time.monotonic() < end:
            pass

    letter, report = run_with_a_bad_page(strict, healthy_site, spinning)
    assert letter.error_type == "HandlerBlockedLoop"
    assert "test_handlers.py" in letter.message
    assert set(report.restarts_by_actor) == {"scrape"}, "only the scraper that ran it is replaced"


def test_a_handler_that_blocks_the_loop_in_a_system_call_costs_the_driver(strict, healthy_site):
    """time.sleep cannot be interrupted: the whole loop is given up, a new driver takes over, nobody else is blamed."""

    async def sleeping(_context):
        time.sleep(8)

    letter, report = run_with_a_bad_page(strict, healthy_site, sleeping)
    assert letter.error_type == "HandlerBlockedLoop"
    assert report.restarts_by_actor["driver"] == 1


def test_a_result_that_cannot_be_kept_is_a_failure_of_its_item(strict, healthy_site):
    """The dead letter names the path of the value."""

    async def pushing(context):
        await context.push_data({"scores": [1, {"page": context.page}]})

    letter, _ = run_with_a_bad_page(strict, healthy_site, pushing)
    assert letter.error_type == "CheckpointNotSerializable"
    assert "scores" in letter.message


def test_a_handler_that_returns_something_odd_is_told_so(strict, healthy_site):
    """A returned number is neither pushed nor ignored."""

    async def handler(_context):
        return 7

    report = strict.run_blocking("odd", match_urls(healthy_site, 1), handler)
    (letter,) = report.dead_letters
    assert "returned a int" in letter.message


def test_an_exception_without_a_text_fails_its_item_only(strict, healthy_site):
    """Even if asking for the text raises."""

    class SpeechlessError(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    async def raising(_context):
        raise SpeechlessError

    letter, report = run_with_a_bad_page(strict, healthy_site, raising)
    assert letter.error_type == "SpeechlessError"
    assert report.restarts == 0
