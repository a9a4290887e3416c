"""A browser of a program's own whose session - cookies, local storage, IndexedDB, open pages - outlives its restarts.

session = BrowserSession(lambda: playwright.chromium.launch())
await session.start()
monitor.on_browser_restart(session.restart)
page = await session.context.new_page()
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.storage_state import storage_state
from scorewise_actors.resilience.errors import ResourceCleanupError
from scorewise_actors.resilience.logs import log

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

CAPTURE_DEADLINE = 10.0
"""Seconds that a browser may take to tell its state, or to close. One that is frozen answers nothing."""
START_DEADLINE = 60.0


async def capture_browser_state(context: "BrowserContext") -> dict[str, Any]:
    """The state of a context as plain values, to be kept in a checkpoint: ``{"storage_state": {"cookies", "origins"},
    "pages": [url, ...]}``. Raises Playwright's errors, and ``TimeoutError`` for a browser that does not answer.
    """
    async with asyncio.timeout(CAPTURE_DEADLINE):
        state = await storage_state(context)
    return {"storage_state": state, "pages": [page.url for page in context.pages]}


async def restore_browser_state(browser: "Browser", state: Mapping[str, Any], **options: Any) -> "BrowserContext":
    """A new context with this state; ``options`` are Playwright's for ``Browser.new_context``. Pages are not opened."""
    async with asyncio.timeout(START_DEADLINE):
        return await browser.new_context(**{**options, "storage_state": state.get("storage_state")})


class BrowserSession:
    """One browser with one context. On one event loop."""

    def __init__(
        self,
        launch: "Callable[[], Awaitable[Browser]]",
        *,
        state: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """``launch`` starts a browser; ``state`` is what ``capture`` gave, from a checkpoint for example; ``options``
        are Playwright's for ``Browser.new_context``.
        """
        self._launch = launch
        self._options = options
        self._state: Mapping[str, Any] = state or {}
        self._browser: Browser | None = None
        self._context: BrowserContext | None = None
        self._restarting = asyncio.Lock()

    @property
    def context(self) -> "BrowserContext":
        """The present one; ask again after a restart. Raises RuntimeError before ``start``."""
        if self._context is None:
            raise RuntimeError("the browser session is not started; await session.start() first")
        return self._context

    async def start(self) -> "BrowserContext":
        """Launch the browser and restore the state, if there is any."""
        async with self._restarting:
            if self._context is None:
                await self._begin()
            return self.context

    async def capture(self) -> dict[str, Any]:
        """The state now; where the browser cannot tell it any more, the one that it told last."""
        if self._context is not None:
            try:
                self._state = await capture_browser_state(self._context)
            except (PlaywrightError, TimeoutError) as error:
                log("WARNING", f"a browser did not tell its state, the last one known is kept: {error}")
        return dict(self._state)

    async def restart(self, reason: str) -> bool:
        """Capture the state, end the browser, start another one and restore it; True when it was done.

        Pages of the old browser fail; their operations are to be tried again. Raises ``ResourceCleanupError`` when the
        new browser does not come up; ``start`` may be tried again then.
        """
        async with self._restarting:
            await self.capture()
            await self._end()
            try:
                await self._begin()
            except (PlaywrightError, TimeoutError) as error:
                await self._end()
                raise ResourceCleanupError.because(f"the new browser did not start: {error}", reason=reason) from error
            log("INFO", f"a browser was restarted: {reason}")
            return True

    async def close(self) -> None:
        """End the browser; the state is kept and can still be captured."""
        async with self._restarting:
            await self.capture()
            await self._end()

    async def _begin(self) -> None:
        async with asyncio.timeout(START_DEADLINE):
            self._browser = await self._launch()
        self._context = await restore_browser_state(self._browser, self._state, **self._options)

    async def _end(self) -> None:
        browser, self._browser, self._context = self._browser, None, None
        if browser is not None:
            with contextlib.suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(CAPTURE_DEADLINE):
                    await browser.close()
