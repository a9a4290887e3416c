"""``Driver``: Playwright's own process (node), started, watched and ended under our control.

A killed driver fires no event at all: pending calls fail, but everything it served still claims to be connected. A
stopped one answers nothing, and the timeouts of calls do not fire since they live in it. So its pid is found and
watched from outside.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Playwright, async_playwright

from scorewise_actors.browser.errors import BrowserLayerError, DriverGone
from scorewise_actors.browser.gone import Gone, PidWatch, watch_pid
from scorewise_actors.browser.guard import guard
from scorewise_actors.browser.homes import Home
from scorewise_actors.browser.processes import ProcessIdentity, children, command_line

_TRANSPORTS = (("_client", "_transport"), ("_connection", "_transport"))
"""Where Playwright keeps its pipe to the driver: since 1.6x, and before. There is no public way to the pid."""


class Driver:
    """One Playwright driver on the running event loop. Everything but :meth:`kill` and :attr:`gone` is for that loop
    only.
    """

    def __init__(self, manager: Any, playwright: Playwright, identity: ProcessIdentity, gone: Gone, home: Home) -> None:
        self._manager = manager
        self._watch: PidWatch = watch_pid(identity, gone, "the driver process ended")
        self.playwright = playwright
        """Playwright's entry object. Await what it returns under a guard with :attr:`gone`."""
        self.identity = identity
        self.home = home
        """Its files and those of its browsers; removed once it is dead."""
        self.gone = gone
        """Given the moment the driver process ends, however it does."""
        self.launching = asyncio.Lock()
        """Held while a browser is launched: what a failed launch left behind is told apart by its time."""

    @classmethod
    async def start(cls, *, deadline: float = 30.0) -> "Driver":
        """Start a driver within ``deadline`` seconds (0.4 s of CPU, 80 MB). Nothing is left when it fails or is
        cancelled.
        """
        home = await asyncio.to_thread(Home.create)
        before = children(os.getpid())
        manager = async_playwright()
        try:
            with _own_surroundings(asyncio.get_running_loop(), home):
                playwright = await guard(manager.start(), deadline=deadline, what="Driver.start")
            identity = _identity_of(manager, before)
            home.record(identity)
        except BaseException:
            _kill_driver_started_since(before)
            home.bury()
            raise
        return cls(manager, playwright, identity, Gone(DriverGone), home)

    @property
    def pid(self) -> int:
        """The pid of the driver process."""
        return self.identity.pid

    async def heartbeat(self, deadline: float = 5.0) -> float:
        """Ask the driver process something small (some 2 ms); returns the seconds it took.

        Raises GuardTimeout when it does not answer in time, DriverGone when it is dead.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        try:
            await guard(self._ask(), deadline=deadline, gone=(self.gone,), what="Driver.heartbeat")
        except PlaywrightError as error:  # its connection is closed: nobody else would tell
            self.gone.set(f"it answers with an error: {error.message}")
            raise DriverGone("Driver.heartbeat", self.gone.reason or "") from error
        return loop.time() - asked

    async def _ask(self) -> None:
        context = await self.playwright.request.new_context()
        await context.dispose()

    def kill(self, reason: str = "killed by its owner") -> None:
        """SIGKILL the driver process. Never blocks, from any thread. Its browsers follow, and then its files: a thread
        sees to it, whatever becomes of the caller.
        """
        self.gone.set(reason)
        self.identity.kill()
        self.home.bury()

    async def stop(self, deadline: float = 2.0) -> None:
        """End the driver: ask for up to ``deadline`` seconds, then kill. Afterwards its process, its browsers and
        their files are gone; may be called twice.
        """
        if not self.gone.is_set:
            with contextlib.suppress(BrowserLayerError, PlaywrightError):
                await guard(self.playwright.stop(), deadline=deadline, gone=(self.gone,), what="Driver.stop")
        self.kill("stopped by its owner")
        await self._reaped(deadline)
        self._watch.cancel()
        with contextlib.suppress(RuntimeError):  # never started: the interpreter exits
            await asyncio.to_thread(self.home.bury().join)

    async def _reaped(self, deadline: float) -> None:
        """Wait until Playwright has read the end of the pipe and reaped the process, so that nothing of it is left."""
        transport = _transport_of(self._manager)
        ended = getattr(transport, "_stopped_future", None)
        if isinstance(ended, asyncio.Future):
            await asyncio.wait({ended}, timeout=deadline)
        failed = getattr(transport, "on_error_future", None)
        if isinstance(failed, asyncio.Future) and failed.done() and not failed.cancelled():
            failed.exception()  # seen: a driver that was killed is no news to whoever killed it


@contextlib.contextmanager
def _own_surroundings(loop: asyncio.AbstractEventLoop, home: Home) -> Iterator[None]:
    """Processes that this loop starts meanwhile get a session of their own, out of reach of a terminal's Ctrl-C, which
    would otherwise kill the driver under the pages that are to be finished; and a temporary directory of their own,
    where Playwright puts the profiles of browsers. It has no option for either.
    """
    exec_ = loop.subprocess_exec

    async def start(*args: Any, env: Mapping[str, str] | None = None, **options: Any) -> Any:
        env = {**(os.environ if env is None else env), "TMPDIR": str(home.path)}
        return await exec_(*args, env=env, start_new_session=True, **options)

    loop.subprocess_exec = start  # type: ignore[method-assign]
    try:
        yield
    finally:
        del loop.subprocess_exec


def _transport_of(manager: Any) -> Any:
    for path in _TRANSPORTS:
        found = manager
        for name in path:
            found = getattr(found, name, None)
        if found is not None:
            return found
    return None


def _identity_of(manager: Any, before: tuple[int, ...]) -> ProcessIdentity:
    process = getattr(_transport_of(manager), "_proc", None)
    pid = getattr(process, "pid", None)
    if not isinstance(pid, int):
        started = _drivers_started_since(before)
        if len(started) != 1:
            raise BrowserLayerError(
                f"cannot tell which process is the Playwright driver: candidates {list(started)}; "
                "this Playwright version keeps its transport elsewhere, use one that is listed as tested"
            )
        pid = started[0]
    return ProcessIdentity.of(pid)


def _drivers_started_since(before: tuple[int, ...]) -> tuple[int, ...]:
    new = (pid for pid in children(os.getpid()) if pid not in before)
    return tuple(pid for pid in new if command_line(pid)[-1:] == ("run-driver",))


def _kill_driver_started_since(before: tuple[int, ...]) -> None:
    """After a failed start. With several candidates another thread is starting its own: an orphan ends by its closed
    pipe.
    """
    started = _drivers_started_since(before)
    if len(started) == 1:
        with contextlib.suppress(ProcessLookupError):
            ProcessIdentity.of(started[0]).kill()
