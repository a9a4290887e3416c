"""A supervisor on the event loop of its children: no thread of its own, and a restart without a change of threads."""

import asyncio
import contextlib
import time

from supervisors.async_actor import AsyncActor
from supervisors.exits import ExitReason
from supervisors.loop_thread import LoopThread
from supervisors.spec import SupervisorSpec
from supervisors.supervision import FAILURE_DEADLINE, Supervision


class AsyncSupervisor(Supervision, AsyncActor):
    """The same as ``Supervisor``, as one more actor of an event loop.

    Its children may be actors of any kind, wherever they live; to restart those on its own loop wakes, as a rule, no
    other thread. What the loop suffers it suffers too: while a handler blocks the loop nothing is restarted, and if the
    loop is given up, so is it. So have it supervised from elsewhere, and watch the loop with a ``LoopWatchdog``.
    """

    def __init__(self, loop: LoopThread, spec: SupervisorSpec) -> None:
        super().__init__(loop)
        self._prepare(spec)

    async def set_up(self) -> None:
        self._begin()

    async def tear_down(self, reason: ExitReason) -> None:
        """If there are children left, as after a crash, wait for them; the loop turns meanwhile. No cancellation ends
        that: its parent would start another subtree beside this one, and nobody would tell. One that waits too long is
        abandoned, which is told.
        """
        del reason
        left = {down.as_asyncio() for down in self._take_all_along("crashed")}
        deadline = time.monotonic() + FAILURE_DEADLINE
        while left and not self.fenced and time.monotonic() < deadline:
            with contextlib.suppress(asyncio.CancelledError):
                _, left = await asyncio.wait(left, timeout=deadline - time.monotonic())
