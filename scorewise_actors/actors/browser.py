"""BrowserActor: owns one Chromium process group."""

import asyncio
import contextlib
import math
from typing import Any

from loguru import logger
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.actors.driver import Lost, beat, tell_lost
from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.errors import BrowserLayerError, BrowserNotFound, DidNotStart
from scorewise_actors.browser.last_words import last_words
from scorewise_actors.messages.jobs import BrowserCrashed, Evict, Recycle, Trim
from scorewise_actors.plan import BrowserCell, JobPlan
from supervisors.async_actor import AsyncActor
from supervisors.exits import ExitReason
from supervisors.signals import Signal

_LAUNCHES = 2
"""A browser that does not come up is tried once more before the start counts as refused."""

_LOOK_EVERY = 0.1
"""Seconds between two looks whether the scrapers have left a browser that is being replaced."""


class BrowserLost(Exception):  # noqa: N818 - reads as a fact in exit reasons
    """The browser died, disconnected or does not answer."""


class BrowserEvicted(Exception):  # noqa: N818 - reads as a fact in exit reasons
    """The browser was killed on purpose: memory was short and nothing milder helped. Nobody's crash."""


class BrowserActor(AsyncActor):
    """Crashes when its browser dies or freezes; its supervisor then replaces it, with the scrapers that used it."""

    def __init__(self, plan: JobPlan, cell: BrowserCell) -> None:
        super().__init__(cell.driver.loop)
        self._plan = plan
        self._cell = cell
        self._heart: asyncio.Task[BaseException | None] | None = None
        self._old: list[Browser] = []

    @property
    def pid(self) -> int | None:
        """Of the browser that scrapers get now; None while there is none. Any thread."""
        browser = self._cell.browser
        return browser.pid if browser is not None else None

    @property
    def renewing(self) -> bool:
        """Whether the browser before this one has not ended yet, since pages in it are at work. Any thread."""
        return bool(self._old)

    async def set_up(self) -> None:
        await self._renew()

    async def on_receive(self, message: Any) -> Any:
        match message:
            case Recycle(reason, patience):
                await self._recycle(reason, patience)
            case Trim(reason):
                logger.debug("{} collects the garbage of its pages: {}", self.path, reason)
                for browser in self._all():
                    self.spawn(browser.collect_garbage())
            case Evict(reason):
                for browser in self._all():
                    browser.kill(reason)
                raise BrowserEvicted(reason)
            case _:
                return super().on_receive(message)
        return None

    def on_signal(self, signal: Signal) -> None:
        if isinstance(signal, Lost):
            self.runtime.ref(self._plan.judge).tell(BrowserCrashed(self.path, signal.reason))
            raise BrowserLost(signal.reason)

    async def tear_down(self, reason: ExitReason) -> None:
        del reason
        if self._heart is not None:
            self._heart.cancel()
        browsers, self._cell.browser = self._all(), None
        self._cell.slots_in_use = {}
        for browser in browsers:
            with contextlib.suppress(BrowserLayerError, PlaywrightError):
                await browser.close()

    def release(self) -> None:
        """Killer's thread: with the process group dead, every call that waits for the browser fails."""
        for browser in self._all():
            browser.kill()

    # ------------------------------------------------------------------------------------------------ the browser

    async def _renew(self) -> None:
        """Launch a browser and make it the one that scrapers get."""
        driver = self._cell.driver.driver
        assert driver is not None, "a browser is started after its driver"
        browser = await self._launch(driver)
        self._cell.browser = browser
        self._cell.slots_in_use = {browser: 0} | self._cell.slots_in_use
        browser.gone.add_callback(lambda gone: self._is_gone(browser, gone.reason or "gone"))
        if self._heart is not None:
            self._heart.cancel()
        options = self._plan.config.browser
        self._heart = self.spawn(beat(self, browser, options.heartbeat_interval, options.heartbeat_deadline))

    async def _launch(self, driver: Any) -> Browser:
        for left in reversed(range(_LAUNCHES)):
            try:
                return await Browser.launch(driver, self._plan.config.browser)
            except BrowserNotFound:
                raise
            except (BrowserLayerError, PlaywrightError) as error:
                if driver.gone.is_set:
                    raise
                if not left:
                    raise DidNotStart(last_words(error)) from error
                logger.warning("{}: once more: {}", self.path, last_words(error))
        raise AssertionError

    def _is_gone(self, browser: Browser, reason: str) -> None:
        if browser is self._cell.browser:
            tell_lost(self, reason)

    async def _recycle(self, reason: str, patience: float | None) -> None:
        """Rolling renewal: the successor comes up, scrapers move to it between two items, then the old one ends."""
        old = self._cell.browser
        if old is None or self._old:
            return
        logger.info("{} is renewed: {}", self.path, reason)
        self._old.append(old)
        try:
            await self._renew()
        except (BrowserLayerError, PlaywrightError) as error:
            self._old.remove(old)
            logger.warning("{} goes on with its old browser, a new one did not start: {}", self.path, error)
            return
        self.spawn(self._retire(old, patience))

    async def _retire(self, old: Browser, patience: float | None) -> None:
        clock = asyncio.get_running_loop().time
        end = math.inf if patience is None else clock() + patience
        while clock() < end and self._is_used(old):  # noqa: ASYNC110 - scrapers count it
            await asyncio.sleep(_LOOK_EVERY)
        self._cell.slots_in_use.pop(old, None)
        await old.close()
        self._old.remove(old)

    def _is_used(self, browser: Browser) -> bool:
        return bool(self._cell.slots_in_use.get(browser, 0)) and not browser.gone.is_set

    def _all(self) -> list[Browser]:
        present = self._cell.browser
        return [*self._old, present] if present is not None else list(self._old)
