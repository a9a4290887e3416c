"""What becomes of an item whose handler ended with an exception: the one home of whose fault that is.

What a failure is called, and whether another try can help, is the classification's.
"""

import asyncio

from loguru import logger

from policies.failures import Failure
from scorewise_actors.browser.errors import is_target_closed
from scorewise_actors.browser.failures import diagnose
from scorewise_actors.browser.pages import PageSlot
from scorewise_actors.errors import (
    HandlerCancelledOthers,
    HandlerClosedPage,
    HandlerRaisedBaseException,
    HttpStatusError,
)
from scorewise_actors.messages.jobs import Failed, Lease, Returned
from supervisors.confinement import Confinement
from supervisors.exits import ActorExit, Killed


async def outcome_of(error: BaseException, lease: Lease, slot: PageSlot, work: Confinement) -> Failed | Returned:
    """Judge what came out of a handler, confined as ``work``, that served ``lease`` on the page of ``slot``.

    The first that holds decides:

    1. ``Killed`` and ``ActorExit`` are the kernel's: raised as they are.
    2. Another handler that reached for all tasks of the loop cancelled this one's: the item goes back.
    3. Page, browser or driver died or froze: the item goes back, whatever the handler made of it; but not where it
       raised ``SystemExit`` or the like, which no machinery does.
    4. The item failed, under the name of what its handler did if that says more than the exception.

    On the driver's loop, while the slot still has the item's page; takes as long as ``diagnose`` may.
    """
    if isinstance(error, (Killed, ActorExit)):
        raise error
    culprit = work.culprit(error)
    if culprit is work:
        error = HandlerCancelledOthers(work.refused)
    elif culprit is not None:
        return Returned(lease.item, lease.token, f"{culprit.name} cancelled tasks of this one's", alone=False)
    try:
        return await _diagnosed(error, lease, slot)
    except Exception as hostile:  # noqa: BLE001 - an exception whose text cannot be had fails its item, nothing else
        logger.opt(exception=hostile).debug("a {} cannot be judged", type(error).__name__)
        failure = Failure(type(error).__name__, "its text cannot be read", url=lease.request.url)
        return Failed(lease.item, lease.token, failure)


async def _diagnosed(error: BaseException, lease: Lease, slot: PageSlot) -> Failed | Returned:
    facts, infrastructure = await diagnose(error, slot)
    crashed = facts.get("page_crashed", False)
    if isinstance(error, Exception) and (infrastructure or crashed):
        logger.debug("{} was in hand when its page or browser died: {}", lease.request.url, error)
        return Returned(lease.item, lease.token, str(error), alone=crashed and not infrastructure)
    if isinstance(error, HttpStatusError):
        facts["status"] = error.status
    failure = Failure.from_exception(_named(error, slot), url=lease.request.url, **facts)
    logger.debug("{} failed: {}", lease.request.url, failure.message)
    return Failed(lease.item, lease.token, failure)


def _named(error: BaseException, slot: PageSlot) -> BaseException:
    """``error``, or what the handler did to deserve it."""
    if not isinstance(error, (Exception, asyncio.CancelledError)):
        return HandlerRaisedBaseException(f"{type(error).__name__}: {error}")
    if slot.closed_by_item and is_target_closed(error):
        return HandlerClosedPage(f"the handler closed its page by {slot.closed_by_item} and went on to use it: {error}")
    return error
