"""What becomes of an item whose handler ended with an exception: whose fault it was, and under which name."""

import asyncio

import pytest
import pytest_asyncio

from scorewise_actors.browser.errors import PageGone
from scorewise_actors.errors import HandlerTimeout, HttpStatusError
from scorewise_actors.handler_failures import outcome_of
from scorewise_actors.job import Request
from scorewise_actors.messages.jobs import Failed, Lease, Returned
from supervisors import Confinement, ForeignTaskError
from supervisors.exits import ActorExit, ExitKind, ExitReason, Killed
from supervisors.testing import DEADLINE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEASE = Lease(7, 1, Request("http://a.example/7"), 1)


class Unreadable(Exception):
    @property
    def code(self):
        raise ValueError


def undisturbed():
    return Confinement("the handler")


def refused():
    work = Confinement("the handler")
    work.refused = "the handler tried to cancel 'a', which is not its own"
    return work


def disturbed(by=refused):
    work = Confinement("the handler")
    work.disturbed_by = by()
    work.disturbed_by.name = "another"
    return work


async def judged(error, slot, work=None):
    return await outcome_of(error, LEASE, slot, work or undisturbed())


@pytest_asyncio.fixture(loop_scope="module")
async def slot(shared_browser):
    slot = await shared_browser.new_page_slot()
    await slot.fresh()
    yield slot
    await slot.close()


@pytest.mark.parametrize("error", [Killed("by the test"), ActorExit(ExitReason(ExitKind.SHUTDOWN))], ids=repr)
async def test_what_the_kernel_ends_an_actor_by_is_raised(slot, error):
    """A kill that strikes while a handler runs is no failure of the item."""
    with pytest.raises(type(error)):
        await judged(error, slot)


@pytest.mark.parametrize(
    ("error", "work", "name", "says"),
    [
        (KeyError("price"), undisturbed, "KeyError", "price"),
        (asyncio.CancelledError(), undisturbed, "CancelledError", ""),
        (SystemExit(3), undisturbed, "HandlerRaisedBaseException", "SystemExit: 3"),
        (ForeignTaskError("no"), refused, "HandlerCancelledOthers", "tried to cancel 'a'"),
        (asyncio.CancelledError(), refused, "HandlerCancelledOthers", "tried to cancel 'a'"),
        (KeyError("price"), refused, "KeyError", "price"),
        (KeyError("price"), lambda: disturbed(by=undisturbed), "KeyError", "price"),
        (Unreadable(), undisturbed, "Unreadable", "its text cannot be read"),
        (PageGone("Page.title", "the item has ended"), undisturbed, "PageGone", "the page is gone"),
    ],
)
async def test_a_failure_of_the_item_has_the_name_that_says_most(slot, error, work, name, says):
    """The exception's own, or that of what the handler did."""
    outcome = await judged(error, slot, work())
    assert isinstance(outcome, Failed)
    assert (outcome.item, outcome.token, outcome.failure.url) == (7, 1, LEASE.request.url)
    assert outcome.failure.type == name
    assert says in outcome.failure.message


async def test_the_status_that_a_handler_raises_is_the_failures(slot, site):
    """It may be that of a request of its own, where the page itself came well."""
    await slot.page.goto(site.url)
    outcome = await judged(HttpStatusError(503, site.url), slot)
    assert outcome.failure.status == 503


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), KeyError("price"), SystemExit(3), HandlerTimeout("60 s")], ids=repr
)
async def test_who_is_disturbed_by_another_handler_does_not_pay(slot, error):
    """Whatever comes of it, also that the handler waits in vain: the item goes back."""
    outcome = await judged(error, slot, disturbed())
    assert outcome == Returned(7, 1, "another cancelled tasks of this one's", alone=False)


async def test_a_page_that_was_closed_and_used_is_named(slot, site):
    """Playwright's own words would be those of a browser that died."""
    page = slot.page
    await page.close()
    with pytest.raises(Exception) as caught:
        await page.goto(site.url)
    outcome = await judged(caught.value, slot)
    assert outcome.failure.type == "HandlerClosedPage"
    assert outcome.failure.message.startswith("the handler closed its page by Page.close and went on to use it: ")
    assert (await judged(KeyError("price"), slot)).failure.type == "KeyError"


async def test_a_crashed_page_returns_its_item_alone(slot):
    """The renderer is the item's own, so it is one of the strikes that only this item can cause."""
    with pytest.raises(Exception) as caught:
        await slot.page.goto("chrome://crash")
    outcome = await judged(caught.value, slot)
    assert (type(outcome), outcome.alone) == (Returned, True)


async def test_a_dead_browser_returns_its_items_but_not_what_no_machinery_raises(browser):
    """Whatever a handler made of the death is not its fault, also where its own page crashed before; ``SystemExit`` and
    a cancellation are.
    """
    slot = await browser.new_page_slot()
    page = await slot.fresh()
    with pytest.raises(Exception):  # noqa: B017 - either the crash is told, or the page is gone
        await page.goto("chrome://crash")
    await asyncio.wait_for(slot.gone[-1].wait(), DEADLINE)
    assert slot.crashed
    browser.kill()
    for error, work in ((KeyError("price"), undisturbed()), (ForeignTaskError("no"), refused())):
        outcome = await judged(error, slot, work)
        assert (type(outcome), outcome.alone) == (Returned, False)
    for error in (SystemExit(3), asyncio.CancelledError()):
        assert isinstance(await judged(error, slot), Failed)
