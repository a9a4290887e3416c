"""Which callables are handlers: those that can work do, and each of the others gets a sentence that fits it."""

import functools

import pytest
from harness import match_urls

from scorewise_actors import ConfigurationError, ExitCode, Request, ScrapeContext
from scorewise_actors.handlers import call_handler, check_handler


async def scrape(context):
    return {"url": context.request.url}


async def scrape_with(name, context, *, extra=None):
    return {"url": context.request.url, "name": name, "extra": extra}


async def scrape_nothing():
    """It takes no context."""


async def each(context):
    """An async generator function."""
    yield {"url": context.request.url}
    yield [{"part": 1}, {"part": 2}]
    yield None


async def odd(context):
    yield {"url": context.request.url}
    yield 7


def logged(function):
    """A decorator as people write it: the wrapper itself is not async."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@logged
def pretends(context):
    return {"url": context.request.url}


pretends.__wrapped__ = scrape


def plain(_context):
    """Not async."""


def generates(context):
    yield {"url": context.request.url}


class Scraper:
    """An object with handlers of every kind."""

    async def __call__(self, context):
        return {"url": context.request.url}

    async def method(self, context):
        return {"url": context.request.url}

    @classmethod
    async def of_class(cls, context):
        return {"url": context.request.url}

    @staticmethod
    async def static(context):
        return {"url": context.request.url}


class Yielding:
    """Its call is an async generator."""

    async def __call__(self, context):
        yield {"url": context.request.url}


class Plain:
    """Its call is not async."""

    def __call__(self, context):
        """Nothing."""


WORKING = {
    "function": scrape,
    "async generator": each,
    "wrapped": logged(scrape),
    "wrapped generator": logged(each),
    "partial": functools.partial(scrape_with, "x"),
    "partial with keyword": functools.partial(scrape_with, "x", extra=1),
    "partial of partial": functools.partial(functools.partial(scrape_with, extra=1), "x"),
    "partial of an object": functools.partial(Scraper()),
    "object": Scraper(),
    "yielding object": Yielding(),
    "method": Scraper().method,
    "class method": Scraper.of_class,
    "static method": Scraper.static,
    "static method object": staticmethod(scrape),
}


@pytest.mark.parametrize("handler", WORKING.values(), ids=WORKING.keys())
def test_what_can_work_works(system, healthy_site, handler):
    """On a real page, with the result recorded."""
    (url,) = match_urls(healthy_site, 1)
    handle = system.open_job("kind", handler)
    handle.add([url])
    handle.close_input()
    assert next(handle.iter_results())["url"] == url
    assert handle.wait().exit_code is ExitCode.DONE


def test_what_an_async_generator_yields_counts_together_or_not_at_all(system, healthy_site):
    """Each value is a result, and those before an error are not recorded."""
    good, bad = match_urls(healthy_site, 2)

    async def handler(context):
        async for value in each(context) if context.request.url == good else odd(context):
            yield value

    handle = system.open_job("yields", handler)
    handle.add([good, bad])
    handle.close_input()
    assert sorted(map(str, handle.iter_results())) == sorted(map(str, [{"url": good}, {"part": 1}, {"part": 2}]))
    (letter,) = handle.wait().dead_letters
    assert (letter.url, letter.error_type) == (bad, "TypeError")
    assert "the handler yielded a int" in letter.message


async def test_a_generator_that_is_cut_off_is_closed_at_once():
    """Its ``finally`` runs before the page is given to the next item."""
    closed = []

    async def handler(_context):
        try:
            yield 7
        finally:
            closed.append(True)

    context = ScrapeContext(page=None, request=Request("data:,"), log=None, job_id="x", attempt=1)
    with pytest.raises(TypeError, match="yielded a int"):
        await call_handler(handler, context)
    assert closed


def test_a_wrapper_that_names_an_async_function_and_is_none_fails_its_items(system, healthy_site):
    """It cannot be told before it is called; the dead letter says what is wrong."""
    report = system.run_blocking("pretends", match_urls(healthy_site, 1), pretends)
    (letter,) = report.dead_letters
    assert "the handler pretends is not async: it returned a dict at once" in letter.message


REFUSED = {
    "plain function": (plain, "the handler plain is not async; write 'async def'"),
    "lambda": (lambda context: scrape(context), "is a lambda, which is not async; give the async function itself"),
    "generator": (generates, "the handler generates is a generator that is not async"),
    "class": (Scraper, "the handler Scraper is a class; give an async function, or an instance"),
    "partial of a class": (functools.partial(Scraper), "is a class"),
    "partial of a plain function": (functools.partial(plain), "the handler plain is not async"),
    "object": (Plain(), "is not async"),
    "text": ("scrape", "must be an async function of one argument, got 'scrape'"),
    "nothing": (None, "must be an async function of one argument, got None"),
    "no argument": (scrape_nothing, "the handler scrape_nothing must take one argument, the context"),
    "too many arguments": (scrape_with, "scrape_with must take one argument, the context: .*; functools.partial"),
    "too few left": (functools.partial(scrape_with, "x", None), "must take one argument"),
}


@pytest.mark.parametrize(("handler", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_before_anything_starts(system, handler, message):
    """The error says what it is and what to give instead; the job is not begun."""
    with pytest.raises(ConfigurationError, match=message):
        system.open_job("never", handler)
    assert not system.store.exists("never")


@pytest.mark.parametrize("function", [scrape, each])
@pytest.mark.filterwarnings("error")
def test_a_handler_that_was_called_by_mistake_is_told_apart(function):
    """``run(..., scrape(x))``: without the parentheses it is right. Python has nothing to complain about either."""
    with pytest.raises(ConfigurationError, match=r"has been called already .* without parentheses"):
        check_handler(function(None))
