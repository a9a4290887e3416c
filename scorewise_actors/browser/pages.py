"""``PageSlot``: a place in a browser that serves one item after the other, each with a clean page.

The page is reused and wiped in between, which costs a tenth of a new context, and replaced when it has served long
enough, when it crashed, when a call did not come back, or when a handler did something that cannot be wiped.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from playwright.async_api import BrowserContext, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.documents import watch_documents
from scorewise_actors.browser.errors import BrowserLayerError, GuardTimeout, PageGone
from scorewise_actors.browser.gone import Gone
from scorewise_actors.browser.guard import guard
from scorewise_actors.browser.reset import clear_storage, leave_document
from scorewise_actors.browser.scope import Scope
from scorewise_actors.browser.storage_state import storage_state
from scorewise_actors.browser.taint import Taint

if TYPE_CHECKING:
    from scorewise_actors.browser.chromium import Browser

T = TypeVar("T")

MAX_POPUPS = 4
"""Popups that an item may have open; further ones are closed at once, the rest with the item."""


class PageSlot:
    """One page of a browser, in a context of its own, for one item at a time. On the driver's loop only."""

    def __init__(self, browser: "Browser", session: dict[str, Any] | None = None) -> None:
        self.browser = browser
        self._begin_with = session
        self.status: int | None = None
        """HTTP status of the last main document of this item; None when there was no answer (yet)."""
        self.headers: Mapping[str, str] = {}
        """Headers of that answer, names in lower case."""
        self.pages_opened = 0
        """How many pages this slot has used up so far, the current one included."""
        self._options = browser.options
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        self._session: CDPSession | None = None
        self._scope: Scope | None = None
        self._guarded: Page | None = None
        self._page_gone = Gone(PageGone)
        self._served_by_page = 0
        self._served_by_context = 0
        self._unanswered = False
        self._replace = Taint.NONE
        self._closers: set[asyncio.Task[None]] = set()

    @property
    def page(self) -> Page:
        """The current item's page; raises PageGone when :meth:`fresh` has not been called."""
        if self._guarded is None:
            raise PageGone("PageSlot.page", "no item is being served; call fresh() first")
        return self._guarded

    @property
    def crashed(self) -> bool:
        """Whether the current page's renderer died."""
        return self._page_gone.is_set

    @property
    def handler_error(self) -> Exception | None:
        """What a listener or route handler of this item raised and no call of the item has raised since."""
        return None if self._scope is None else self._scope.handler_error

    @property
    def closed_by_item(self) -> str:
        """The call by which this item closed the page, ``"Page.close"`` for example; empty if it did not."""
        return "" if self._scope is None else self._scope.closed

    @property
    def gone(self) -> tuple[Gone, ...]:
        """What a call to the current page depends on, the widest first."""
        return (*self.browser.mortal, self._page_gone)

    async def open(self) -> None:
        """Open context and page, so that the first :meth:`fresh` finds them ready."""
        if self._page is None:
            await self._open_context()
            await self._open_page()

    async def fresh(self) -> Page:
        """A clean page for the next item; the previous item's page is dead from here on.

        It is typed and used as Playwright's Page, each await in it guarded (see :mod:`~.guarded`). Raises BrowserGone,
        DriverGone, or GuardTimeout when the browser opens no page in time.
        """
        self._end_item()
        await self._prepare()
        self._served_by_page += 1
        self._served_by_context += 1
        self.status, self.headers = None, {}
        assert self._page is not None
        scope = Scope(
            self._page,
            self.gone,
            operation=self._options.operation_timeout,
            navigation=self._options.navigation_timeout,
            on_broken=self.retire,
            others=lambda context: self.browser.is_claimed(context) and context is not self._context,
        )
        self._scope = scope
        self._guarded = cast("Page", scope.wrap(self._page))
        return self._guarded

    async def session(self) -> dict[str, Any] | None:
        """Cookies and storage, for a slot in the browser that takes this one's place. None where the isolation lets no
        item see what another one left, and for a browser that does not tell within ``close_timeout``.
        """
        if self._context is None or self._options.isolation not in {"none", "page"}:
            return None
        with contextlib.suppress(BrowserLayerError, PlaywrightError):
            telling = storage_state(self._context)
            return await self._soon(telling, "BrowserContext.storage_state", page_matters=False)
        return None

    def retire(self) -> None:
        """The next item gets a new page in a new context, whatever the isolation."""
        self._replace = Taint.CONTEXT

    async def close(self) -> None:
        """Close the slot's context; bounded by ``close_timeout``, never raises for a dead browser or page."""
        self._end_item()
        with contextlib.suppress(BrowserLayerError):
            await self._close_context()

    def _end_item(self) -> None:
        self._guarded = None
        if self._scope is not None:
            self._replace = max(self._replace, self._scope.taint)
            self._scope.end()

    async def _prepare(self) -> None:
        """Bring the slot into the state that the next item may see, by the cheapest way that is enough."""
        replace = max(self._replace, self._due())
        if replace is Taint.NONE:
            replace = await self._wipe()
        if replace is Taint.CONTEXT:
            await self._close_context()
            await self._open_context()
            await self._open_page()
        elif replace is Taint.PAGE:
            await self._replace_page()
        self._scope = None
        self._replace = Taint.NONE

    def _due(self) -> Taint:
        """What has to be replaced for reasons of age, isolation or health."""
        if (
            self._context is None
            or self._page is None
            or self._served_by_context >= self._options.items_before_new_context
        ):
            return Taint.CONTEXT
        if self._served_by_page == 0:
            return Taint.NONE
        if self._options.isolation == "context":
            return Taint.CONTEXT
        worn = self._served_by_page >= self._options.pages_before_replace
        # a navigation that was never answered is still under way, or its error page is: it would interrupt the next one
        broken = self.crashed or self._unanswered or self._page.is_closed()
        if worn or broken or self._options.isolation == "page":
            return Taint.PAGE
        return Taint.NONE

    async def _wipe(self) -> Taint:
        """Make the page that served clean again. Returns what has to be replaced because that failed."""
        if self._served_by_page == 0:
            return Taint.NONE
        assert self._context is not None
        assert self._session is not None
        try:
            await self._undo_item()
            if self._options.isolation == "reset":
                await self._soon(leave_document(self._session), "reset")
                await self._soon(clear_storage(self._session), "reset")
        except (GuardTimeout, PageGone, PlaywrightError):
            return Taint.CONTEXT
        return Taint.NONE

    async def _undo_item(self) -> None:
        """Take back what the item registered and opened."""
        assert self._context is not None
        if self._scope is not None:
            await self._scope.undo(self.gone, self._options.close_timeout)
        for page in self._context.pages:
            if page is not self._page:
                await self._soon(page.close(), "Page.close")

    async def _replace_page(self) -> None:
        """A new page in the same context, without what the old one left there."""
        assert self._context is not None
        try:
            for page in self._context.pages:
                await self._soon(page.close(), "Page.close", page_matters=False)
            if self._scope is not None:
                await self._scope.undo(self.browser.mortal, self._options.close_timeout)
            await self._open_page()
            if self._options.isolation == "reset":
                assert self._session is not None
                await self._soon(clear_storage(self._session), "reset")
        except (GuardTimeout, PageGone, PlaywrightError):
            await self._close_context()
            await self._open_context()
            await self._open_page()

    async def _open_context(self) -> None:
        arguments = self._options.context_arguments()
        session, self._begin_with = self._begin_with, None
        if session is not None:
            arguments = {**arguments, "storage_state": session}
        context = await self._guard(self.browser.raw.new_context(**arguments), "Browser.new_context")
        context.set_default_timeout(self._options.operation_timeout * 1000)
        context.set_default_navigation_timeout(self._options.navigation_timeout * 1000)
        context.on("page", self._limit_popups)
        watch_documents(context, lambda: self._page, self._document)
        self._context = context
        self.browser.claim(context)
        self._served_by_context = 0

    async def _open_page(self) -> None:
        assert self._context is not None
        self._page = None  # while it opens, no new page of the context is a popup
        page = await self._guard(self._context.new_page(), "BrowserContext.new_page")
        gone = Gone(PageGone)

        def crashed(_: Page) -> None:
            gone.set("the page crashed")

        page.on("crash", crashed)
        session = await self._guard(self._context.new_cdp_session(page), "BrowserContext.new_cdp_session")
        if self._options.block_urls:
            await self._guard(session.send("Network.enable"), "Network.enable")
            blocked = {"urls": list(self._options.block_urls)}
            await self._guard(session.send("Network.setBlockedURLs", blocked), "Network.setBlockedURLs")
        self._page, self._session, self._page_gone = page, session, gone
        self._served_by_page = 0
        self._unanswered = False
        self.pages_opened += 1

    async def _close_context(self) -> None:
        """Close the context, for ``close_timeout`` at most; then the closing goes on by itself."""
        context, self._context, self._page, self._session = self._context, None, None, None
        if context is not None:
            self.browser.release(context)
        if context is not None and self.browser.is_connected:
            with contextlib.suppress(GuardTimeout, PlaywrightError):
                closing = asyncio.shield(self._closer(context.close(), "BrowserContext.close"))
                await self._soon(closing, "BrowserContext.close", page_matters=False)

    def _closer(self, closing: Awaitable[None], what: str) -> asyncio.Task[None]:
        """Close something beside the work: it may take long on a busy machine, and cancelled it would stay open."""

        async def close() -> None:
            with contextlib.suppress(BrowserLayerError, PlaywrightError):
                await self._guard(closing, what)

        task = asyncio.get_running_loop().create_task(close())
        self._closers.add(task)
        task.add_done_callback(self._closers.discard)
        return task

    async def _guard(self, awaitable: Awaitable[T], what: str) -> T:
        return await guard(awaitable, deadline=self._options.launch_timeout, gone=self.browser.mortal, what=what)

    async def _soon(self, awaitable: Awaitable[T], what: str, *, page_matters: bool = True) -> T:
        gone = self.gone if page_matters else self.browser.mortal
        return await guard(awaitable, deadline=self._options.close_timeout, gone=gone, what=what)

    def _document(self, status: int | None, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers
        self._unanswered = status is None

    def _limit_popups(self, popup: Page) -> None:
        if self._page is None or self._context is None or len(self._context.pages) <= 1 + MAX_POPUPS:
            return
        self._closer(popup.close(), "Page.close")
