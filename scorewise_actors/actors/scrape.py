"""ScrapeActor: one page slot. Asks for a lease when it is free, runs the handler on it, reports what came of it."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from loguru import logger
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.errors import BrowserLayerError
from scorewise_actors.errors import HandlerTimeout
from scorewise_actors.frontier import LEASE_SECONDS
from scorewise_actors.handler_failures import outcome_of
from scorewise_actors.handlers import call_handler
from scorewise_actors.job import ScrapeContext
from scorewise_actors.messages.jobs import Lease, Outcome, Renew, Returned, Scraped, Swap
from scorewise_actors.plan import BrowserCell, JobPlan
from supervisors.async_actor import AsyncActor
from supervisors.confinement import Confinement
from supervisors.exits import ExitKind, ExitReason
from supervisors.runtime import Runtime

if TYPE_CHECKING:
    from scorewise_actors.browser.chromium import Browser
    from scorewise_actors.browser.pages import PageSlot

_OVERHEAD = 60.0
"""Seconds that everything around the handler may take: a slot, a page, the diagnosis of a failure."""
_CANCEL_GRACE = 2.0
"""Seconds that a handler which ran out of time is given to end by its cancellation."""


class NoPageError(Exception):
    """The browser lives and gives no page."""


def cancel_pages(runtime: Runtime, below: str, reason: str) -> None:
    """Cancel what all scrapers below a path are doing; their items go back. Any thread."""
    killed = ExitReason(ExitKind.KILLED, reason)
    for ref in runtime.refs():
        actor = ref.actor
        if isinstance(actor, ScrapeActor) and ref.path.startswith(f"{below}/"):
            actor.request_cancel(killed)


class ScrapeActor(AsyncActor):
    """Failures of the item are values and go to the frontier; failures of the machinery end or suspend this actor.

    The handler runs as a task of its own, so that one which swallows its cancellation costs a page and not the slot;
    and it is confined to its own tasks and page, so that one which cancels or closes all it finds costs its item only.
    """

    def __init__(self, plan: JobPlan, cell: BrowserCell) -> None:
        super().__init__(cell.driver.loop)
        self._plan = plan
        self._cell = cell
        self._slot: PageSlot | None = None
        self._browser: Browser | None = None
        self._slot_failed = False

    async def set_up(self) -> None:
        await self._move()
        self._swap()

    async def on_receive(self, message: Any) -> Any:
        if not isinstance(message, Lease):
            return super().on_receive(message)
        renewing = self.spawn(self._renew())
        try:
            outcome = await self._scrape(message)
        finally:
            renewing.cancel()
        browser = self._cell.browser
        browser_lives = browser is not None and not any(gone.is_set for gone in browser.mortal)
        if browser_lives and isinstance(outcome, Returned) and self._slot_failed:
            self._swap(outcome, want=0)
            raise NoPageError(outcome.why)  # its supervisor waits a little longer each time, then replaces the browser
        # without its browser this actor only waits for its supervisor, which is about to replace both
        self._swap(outcome, want=1 if browser_lives else 0)
        return None

    async def tear_down(self, reason: ExitReason) -> None:
        del reason
        await self._leave()

    # ------------------------------------------------------------------------------------------------- one item

    async def _scrape(self, lease: Lease) -> Outcome:
        self._slot_failed = False
        browser = self._cell.browser
        if browser is None or any(gone.is_set for gone in browser.mortal):
            return Returned(lease.item, lease.token, "the browser was gone before the item was begun", alone=None)
        try:
            await self._move()
            assert self._slot is not None
            page = await self._slot.fresh()
        except (BrowserLayerError, PlaywrightError) as error:
            self._slot_failed = True
            return Returned(lease.item, lease.token, f"no page: {error}", alone=None)
        log = logger.bind(job=self._plan.job_id, url=lease.request.url, attempt=lease.attempt)
        context = ScrapeContext(
            page=page, request=lease.request, log=log, job_id=self._plan.job_id, attempt=lease.attempt
        )
        work = Confinement(f"the handler of {lease.request.url}")
        raised = await self._run_handler(context, work)
        if raised is None:
            return Scraped(lease.item, lease.token, tuple(context._results), tuple(context._found))
        self._slot.retire()
        return await outcome_of(raised, lease, self._slot, work)

    async def _run_handler(self, context: ScrapeContext, work: Confinement) -> BaseException | None:
        limit = self._plan.config.request_handler_timeout
        task = self.spawn(call_handler(self._plan.handler, context), work)
        try:
            await asyncio.wait({task}, timeout=limit)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_GRACE)
                if not task.done():
                    logger.error(
                        "the handler of {} swallows its cancellation; its page is given up", context.request.url
                    )
                return HandlerTimeout(f"the handler did not return within {limit:g} s")
        finally:
            task.cancel()
        # a handler that cancels its own task as the last thing it does ends the task that way
        return asyncio.CancelledError() if task.cancelled() else task.result()

    async def _renew(self) -> None:
        """Keep the lease alive beside the work, but not for ever: after that this actor must be stuck."""
        end = time.monotonic() + self._plan.config.request_handler_timeout + _OVERHEAD
        while time.monotonic() < end:
            await asyncio.sleep(LEASE_SECONDS / 3)
            self.runtime.ref(self._plan.frontier).tell(Renew(self.path, self.incarnation))

    # ------------------------------------------------------------------------------------------------- the slot

    async def _move(self) -> None:
        """Have a slot on the browser that is current now; between two items only."""
        browser = self._cell.browser
        assert browser is not None, "a scraper is started after its browser"
        if browser is self._browser:
            return
        before = self._slot if self._browser is not None and not self._browser.gone.is_set else None
        slot = await browser.new_page_slot(await before.session() if before is not None else None)
        await self._leave()
        self._slot, self._browser = slot, browser
        self._cell.slots_in_use[browser] = self._cell.slots_in_use.get(browser, 0) + 1

    async def _leave(self) -> None:
        slot, browser = self._slot, self._browser
        self._slot = self._browser = None
        if browser in self._cell.slots_in_use:
            self._cell.slots_in_use[browser] -= 1
        if slot is not None and browser is not None and not browser.gone.is_set:
            await slot.close()

    def _swap(self, *completed: Outcome, want: int = 1) -> None:
        self.runtime.ref(self._plan.frontier).tell(Swap(self.path, self.incarnation, completed, want))
