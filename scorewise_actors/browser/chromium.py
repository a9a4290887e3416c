"""``Browser``: one Chromium process group, launched through a driver, watched by its pid and killed before it is
closed.

Playwright's ``close()`` takes 30 seconds on a stopped browser and leaves a stopped renderer alive. Killing the
process group first and closing after takes some 25 ms, whatever state the browser was in.
"""

import asyncio
import contextlib
import inspect
import os
from pathlib import Path
from typing import Any

from playwright.async_api import Browser as PlaywrightBrowser
from playwright.async_api import BrowserContext, BrowserType, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.errors import BrowserGone, BrowserLayerError, DriverGone
from scorewise_actors.browser.executables import Executable, find_executable
from scorewise_actors.browser.gone import Gone, watch_pid
from scorewise_actors.browser.guard import guard
from scorewise_actors.browser.homes import Room
from scorewise_actors.browser.options import BrowserOptions
from scorewise_actors.browser.pages import PageSlot
from scorewise_actors.browser.processes import ProcessIdentity, children, command_line

_MARGIN = 2.0  # Playwright's own launch timeout comes first: its error says more than ours
_CONNECT_SECONDS = 5.0
_LONGEST_TEMPORARY_PATH = 60
"""Chromium makes a socket 45 characters further down, and a socket's path ends at 107. The headless shell has none."""
_FOLDERS = [
    name
    for name in ("artifacts_dir", "downloads_path", "traces_dir")  # the first is newer than Playwright 1.49
    if name in inspect.signature(BrowserType.launch).parameters
]


class Browser:
    """A running Chromium. Everything but :meth:`kill`, :attr:`gone` and :attr:`pid` is for the driver's loop only."""

    def __init__(
        self,
        *,
        driver: Driver,
        options: BrowserOptions,
        executable: Executable,
        room: Room,
        raw: PlaywrightBrowser,
        session: CDPSession,
        identity: ProcessIdentity,
    ) -> None:
        self.driver = driver
        self.options = options
        self.executable = executable
        self.raw = raw
        """Playwright's browser. Await what it returns under a guard with :attr:`mortal`."""
        self.identity = identity
        self.gone = Gone(BrowserGone)
        """Given the moment the browser process ends or Playwright loses it."""
        self.mortal: tuple[Gone, ...] = (driver.gone, self.gone)
        """What a call to this browser depends on, the widest first."""
        self._claimed: set[BrowserContext] = set()
        self._room = room
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._answered = self._loop.time()
        self._watch = watch_pid(identity, self.gone, "the browser process ended")
        raw.on("disconnected", self._disconnected)

    @classmethod
    async def launch(cls, driver: Driver, options: BrowserOptions | None = None) -> "Browser":
        """Launch a browser (some 200 ms on a quiet machine) and find its process.

        Raises BrowserNotFound, Playwright's errors when the browser does not start, GuardTimeout and DriverGone. When
        it fails or is cancelled, no process and no file of it is left.
        """
        options = options or BrowserOptions()
        executable = await asyncio.to_thread(find_executable, options.executable)
        room = await _room(driver)
        async with driver.launching:
            before = children(driver.pid)
            try:
                raw = await _start(driver, options, executable, room)
                session = await guard(
                    raw.new_browser_cdp_session(), deadline=_CONNECT_SECONDS, gone=(driver.gone,), what="Browser.launch"
                )
                identity = await _main_process(driver, session)
                await asyncio.to_thread(room.record, identity, _profile_of(identity.pid))
            except BaseException:
                _kill_children_since(driver.pid, before, room)
                # in a thread of its own, since this may be the task's cancellation
                await asyncio.shield(asyncio.to_thread(room.clear))
                raise
        return cls(
            driver=driver,
            options=options,
            executable=executable,
            room=room,
            raw=raw,
            session=session,
            identity=identity,
        )

    @property
    def pid(self) -> int:
        """The pid of the browser's main process, which leads its process group."""
        return self.identity.pid

    @property
    def is_connected(self) -> bool:
        """Whether the browser can still be used: Playwright has not lost it, and browser and driver live."""
        return self.raw.is_connected() and not self.gone.is_set and not self.driver.gone.is_set

    @property
    def responsive(self) -> bool:
        """Whether it is connected and has answered a heartbeat within the last interval plus deadline (options).

        Only as good as the heartbeats that somebody runs.
        """
        silence = self._loop.time() - self._answered
        return self.is_connected and silence <= self.options.heartbeat_interval + self.options.heartbeat_deadline

    async def heartbeat(self, deadline: float | None = None) -> float:
        """Ask the browser's main process for its version (1 ms idle, 150 ms at most under load); returns the seconds
        it took.

        ``deadline`` defaults to the option ``heartbeat_deadline``. Raises GuardTimeout when it does not answer in time,
        BrowserGone and DriverGone when it is dead.
        """
        asked = self._loop.time()
        deadline = self.options.heartbeat_deadline if deadline is None else deadline
        what = "Browser.heartbeat"
        try:
            await guard(self._session.send("Browser.getVersion"), deadline=deadline, gone=self.mortal, what=what)
        except PlaywrightError as error:  # its session is closed: nobody else would tell
            self.gone.set(f"it answers with an error: {error.message}")
            raise BrowserGone(what, self.gone.reason or "") from error
        self._answered = self._loop.time()
        return self._answered - asked

    async def pids(self) -> dict[int, str]:
        """All processes of this browser as it knows them (1-2 ms): pid to type (``browser``, ``renderer``, ``GPU``,
        ...).
        """
        told = await guard(
            self._session.send("SystemInfo.getProcessInfo"),
            deadline=self.options.heartbeat_deadline,
            gone=self.mortal,
            what="Browser.pids",
        )
        return {int(process["id"]): str(process["type"]) for process in told["processInfo"]}

    async def collect_garbage(self) -> None:
        """Have every page drop what its script no longer reaches (25 ms of a renderer each). A page that is gone, or
        does not answer within ``close_timeout``, is passed over.
        """
        for context in tuple(self.raw.contexts):
            for page in tuple(context.pages):
                with contextlib.suppress(BrowserLayerError, PlaywrightError):
                    await guard(
                        _collect_garbage(page),
                        deadline=self.options.close_timeout,
                        gone=self.mortal,
                        what="Browser.collect_garbage",
                    )

    async def new_page_slot(self, session: dict[str, Any] | None = None) -> PageSlot:
        """A slot that serves one item at a time; its page is opened by its first ``fresh()``.

        ``session`` is what a slot before it told (see ``PageSlot.session``).
        """
        slot = PageSlot(self, session)
        await slot.open()
        return slot

    def claim(self, context: BrowserContext) -> None:
        """A page slot serves items in this context from now on. A handler is shown no claimed context but its own."""
        self._claimed.add(context)

    def release(self, context: BrowserContext) -> None:
        """The slot has done with the context."""
        self._claimed.discard(context)

    def is_claimed(self, context: BrowserContext) -> bool:
        """Whether a page slot serves items in this context."""
        return context in self._claimed

    def kill(self, reason: str = "killed by its owner") -> None:
        """SIGKILL the whole process group. Never blocks, from any thread. Calls in flight end with BrowserGone."""
        self.gone.set(reason)
        self.identity.kill_group()

    async def close(self) -> None:
        """End the browser: kill, then let Playwright close, then remove its files. Bounded; may be called twice.

        Afterwards no process of its group runs and its profile is gone.
        """
        self.kill("closed by its owner")
        clearing = asyncio.ensure_future(asyncio.to_thread(self._room.clear))  # goes on if this task is cancelled
        if not self.driver.gone.is_set:
            with contextlib.suppress(BrowserLayerError, PlaywrightError):
                await guard(
                    self.raw.close(),
                    deadline=self.options.close_timeout,
                    gone=(self.driver.gone,),
                    what="Browser.close",
                )
        self._watch.cancel()
        await asyncio.shield(clearing)

    def _disconnected(self, _: PlaywrightBrowser) -> None:
        self.gone.set("Playwright lost the browser")


async def _room(driver: Driver) -> Room:
    """A room in the driver's home, which is gone with its driver."""
    try:
        return await asyncio.to_thread(driver.home.room)
    except FileNotFoundError as error:
        raise DriverGone("Browser.launch", driver.gone.reason or "its temporary directory is gone") from error


async def _start(driver: Driver, options: BrowserOptions, executable: Executable, room: Room) -> PlaywrightBrowser:
    folders: dict[str, Any] = dict.fromkeys(_FOLDERS, room.path)
    # without its signal handlers a driver that gets SIGTERM ends; with them it only closes its browsers
    launch = driver.playwright.chromium.launch(
        executable_path=executable.path,
        args=options.launch_args(),
        headless=True,
        chromium_sandbox=options.use_sandbox(),
        timeout=options.launch_timeout * 1000,
        handle_sigint=False,
        handle_sigterm=False,
        handle_sighup=False,
        env=_environment(executable, room),
        **folders,
    )
    deadline = options.launch_timeout + _MARGIN
    return await guard(launch, deadline=deadline, gone=(driver.gone,), what="BrowserType.launch")


def _environment(executable: Executable, room: Room) -> dict[str, str | float | bool]:
    """The browser's own temporary files go to its room, since a killed browser does not remove them."""
    if executable.kind != "headless-shell" and len(str(room.path)) > _LONGEST_TEMPORARY_PATH:
        return {**os.environ}
    return {**os.environ, "TMPDIR": str(room.path)}


async def _collect_garbage(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    try:
        await session.send("HeapProfiler.collectGarbage")
    finally:
        await session.detach()


async def _main_process(driver: Driver, session: CDPSession) -> ProcessIdentity:
    told = await guard(
        session.send("SystemInfo.getProcessInfo"), deadline=_CONNECT_SECONDS, gone=(driver.gone,), what="Browser.launch"
    )
    return ProcessIdentity.of(next(int(info["id"]) for info in told["processInfo"] if info["type"] == "browser"))


def _profile_of(pid: int) -> Path | None:
    switch = "--user-data-dir="
    return next((Path(arg.removeprefix(switch)) for arg in command_line(pid) if arg.startswith(switch)), None)


def _kill_children_since(driver_pid: int, before: tuple[int, ...], room: Room) -> None:
    """After a failed launch: what the driver started meanwhile is the browser that nobody will ever own."""
    for pid in children(driver_pid):
        if pid not in before:
            with contextlib.suppress(ProcessLookupError):
                identity = ProcessIdentity.of(pid)
                room.record(identity, _profile_of(pid))
                identity.kill_group()
