"""DriverActor: owns one event loop, in a thread of its own, and one Playwright driver process on it."""

import asyncio
from typing import Any

import attrs
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.errors import BrowserLayerError, DidNotStart
from scorewise_actors.plan import DriverCell, JobPlan
from supervisors.async_actor import AsyncActor
from supervisors.exits import ExitReason
from supervisors.loop_thread import LoopThread
from supervisors.loop_watchdog import LoopWatchdog
from supervisors.signals import Signal


@attrs.frozen
class Lost(Signal):
    """Told to itself by a watch: what this actor owns is dead or frozen."""

    reason: str


class DriverLost(Exception):  # noqa: N818 - reads as a fact in exit reasons
    """The driver process died or does not answer."""


class DriverActor(AsyncActor):
    """Crashes when its driver process dies or freezes; its supervisor then replaces it with all browsers below it."""

    def __init__(self, plan: JobPlan, cell: DriverCell, name: str) -> None:
        super().__init__(LoopThread(name))
        self._plan = plan
        self._cell = cell
        self._driver: Driver | None = None
        self._heart: asyncio.Task[BaseException | None] | None = None

    async def set_up(self) -> None:
        config = self._plan.config
        LoopWatchdog(self.runtime, self.loop_thread, config.loop_block_limit, config.loop_block_grace).begin()
        try:
            self._driver = driver = await Driver.start()
        except (BrowserLayerError, PlaywrightError, OSError) as error:
            raise DidNotStart(f"Playwright's driver (node) does not start: {error}") from error
        self._cell.driver, self._cell.loop = driver, self.loop_thread
        driver.gone.add_callback(lambda gone: tell_lost(self, gone.reason or "gone"))
        self._heart = self.spawn(
            beat(self, driver, config.browser.heartbeat_interval, config.browser.heartbeat_deadline)
        )

    def on_signal(self, signal: Signal) -> None:
        if isinstance(signal, Lost):
            raise DriverLost(signal.reason)

    async def tear_down(self, reason: ExitReason) -> None:
        if self._heart is not None:
            self._heart.cancel()
        if self._driver is not None:
            if reason.abnormal:
                self._driver.kill()
            await self._driver.stop()

    def release(self) -> None:
        """Killer's thread: with the driver process dead, every call that waits for it fails."""
        driver = self._driver
        if driver is not None:
            driver.kill()


async def beat(actor: AsyncActor, thing: Any, interval: float, deadline: float) -> None:
    """The heartbeat of a driver or browser, run beside its actor: a frozen one answers nothing and fires no event."""
    while True:
        await asyncio.sleep(interval)
        try:
            await thing.heartbeat(deadline)
        except Exception as error:  # noqa: BLE001 - a heart that stops for an unforeseen reason must be noticed too
            tell_lost(actor, str(error))
            return


def tell_lost(actor: AsyncActor, reason: str) -> None:
    """Have the actor crash with this reason."""
    actor.signal(Lost(reason))
