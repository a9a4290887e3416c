"""The guard: bounded waiting, death notices, and what happens to a call that was given up."""

import asyncio
import gc
import pickle

import pytest
import pytest_asyncio

from scorewise_actors.browser.errors import BrowserGone, DriverGone, GuardTimeout, PageGone
from scorewise_actors.browser.gone import Gone
from scorewise_actors.browser.guard import _abandoned, guard

LONG = 60.0


async def never():
    await asyncio.get_running_loop().create_future()


async def answer(value):
    await asyncio.sleep(0)
    return value


class TargetClosedError(Exception):
    """Named like Playwright's."""


async def fail(error):
    await asyncio.sleep(0)
    raise error


@pytest_asyncio.fixture
async def complaints():
    """What asyncio would have logged: exceptions that nobody retrieved, tasks destroyed while pending."""
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["message"]))
    return heard


async def test_a_result_passes_through():
    """What the call returns is returned, whether it is a coroutine or a future that is done."""
    gone = Gone(BrowserGone)
    assert await guard(answer(5), deadline=LONG, gone=(gone,), what="x") == 5
    done = asyncio.get_running_loop().create_future()
    done.set_result(6)
    assert await guard(done, deadline=None, what="x") == 6
    assert not gone._callbacks


async def test_an_exception_passes_through():
    """What the call raises is raised, the very object."""
    error = ValueError("page said no")
    with pytest.raises(ValueError, match="page said no") as caught:
        await guard(fail(error), deadline=LONG, gone=(Gone(BrowserGone),), what="x")
    assert caught.value is error


async def test_the_deadline_ends_a_call_that_never_answers(complaints):
    """GuardTimeout names the call and the seconds; the call is cancelled."""
    call = asyncio.ensure_future(never())
    with pytest.raises(GuardTimeout, match=r"Page\.title: no answer within 0\.01 s") as caught:
        await guard(call, deadline=0.01, what="Page.title")
    assert (caught.value.what, caught.value.seconds) == ("Page.title", 0.01)
    await asyncio.wait({call})
    assert call.cancelled()
    assert not _abandoned
    assert complaints == []


async def test_a_death_ends_the_call_at_once():
    """The moment a Gone is given, its error is raised, with what and reason."""
    gone = Gone(BrowserGone)
    call = asyncio.ensure_future(guard(never(), deadline=LONG, gone=(gone,), what="Browser.new_page"))
    await asyncio.sleep(0)
    gone.set("SIGKILL")
    with pytest.raises(BrowserGone, match=r"Browser\.new_page: the browser is gone \(SIGKILL\)"):
        await asyncio.wait_for(call, 30)
    assert not gone._callbacks


async def test_the_widest_death_wins():
    """With driver and page both gone, it was the driver."""
    driver, page = Gone(DriverGone), Gone(PageGone)
    call = asyncio.ensure_future(guard(never(), deadline=LONG, gone=(driver, page), what="x"))
    await asyncio.sleep(0)
    page.set("crash")
    driver.set("killed")
    with pytest.raises(DriverGone):
        await call


async def test_nothing_is_sent_to_the_dead():
    """A call to something known to be gone does not even start."""
    gone = Gone(PageGone)
    gone.set("crash")
    started = []

    async def call():
        started.append(1)

    with pytest.raises(PageGone):
        await guard(call(), deadline=LONG, gone=(gone,), what="x")
    await asyncio.sleep(0)
    assert started == []


async def test_an_error_caused_by_a_death_becomes_that_death():
    """Playwright's own error is kept as the cause."""
    gone = Gone(BrowserGone)
    error = RuntimeError("ERR_ABORTED")

    async def call():
        gone.set("disconnected")
        raise error

    with pytest.raises(BrowserGone) as caught:
        await guard(call(), deadline=LONG, gone=(gone,), what="x")
    assert caught.value.__cause__ is error


async def test_target_closed_waits_a_moment_for_the_notice():
    """The error may come a few ms before the notice that says which process died."""
    gone = Gone(DriverGone)

    async def call():
        asyncio.get_running_loop().call_later(0.01, gone.set, "pidfd")
        raise TargetClosedError

    with pytest.raises(DriverGone):
        await guard(call(), deadline=LONG, gone=(gone,), what="x")


async def test_target_closed_of_the_living_passes_through():
    """A page that the handler closed itself is no death."""
    with pytest.raises(TargetClosedError):
        await guard(fail(TargetClosedError()), deadline=LONG, gone=(Gone(BrowserGone),), what="x")


async def test_the_late_exception_of_an_abandoned_call_is_dropped(complaints):
    """A call that fails after it was given up disturbs nobody."""

    async def stubborn():
        try:
            await never()
        except asyncio.CancelledError:
            raise RuntimeError("too late") from None

    with pytest.raises(GuardTimeout):
        await guard(stubborn(), deadline=0.01, what="x")
    while _abandoned:
        await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


async def test_a_call_that_ignores_its_cancellation_does_not_hold_the_caller():
    """The guard returns in time even when the call does not end."""
    release = asyncio.Event()

    async def deaf():
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(GuardTimeout):
        await guard(deaf(), deadline=0.01, what="x")
    assert len(_abandoned) == 1
    release.set()
    while _abandoned:
        await asyncio.sleep(0)


async def test_cancelling_the_caller_cancels_the_call():
    """Outer cancellation reaches the call and goes on up."""
    gone = Gone(BrowserGone)
    call = asyncio.ensure_future(never())
    outer = asyncio.ensure_future(guard(call, deadline=LONG, gone=(gone,), what="x"))
    await asyncio.sleep(0)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    await asyncio.wait({call})
    assert call.cancelled()
    assert not gone._callbacks


async def test_a_call_that_was_cancelled_from_inside_raises_cancelled():
    """Somebody else cancelled the call: that passes through as it is."""
    call = asyncio.ensure_future(never())
    outer = asyncio.ensure_future(guard(call, deadline=LONG, what="x"))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer


@pytest.mark.parametrize("error", [GuardTimeout("Page.goto", 1.5), BrowserGone("Page.goto", "killed")])
def test_the_errors_survive_pickling(error):
    """They are told between threads and processes."""
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.what) == (type(error), str(error), error.what)
