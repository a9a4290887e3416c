"""A supervisor on the event loop of its children: no thread of its own, and a restart without a change of threads."""

import asyncio

from supervisors.async_actor import AsyncActor
from supervisors.exits import ExitReason
from supervisors.loop_thread import LoopThread
from supervisors.spec import SupervisorSpec
from supervisors.supervision import FAILURE_DEADLINE, Supervision


class AsyncSupervisor(Supervision, AsyncActor):
    """The same as ``Supervisor``, as one more actor of an event loop.

    Its children may be actors of any kind, wherever they live; to restart those on its own loop wakes, as a rule, no
    other thread. What the loop suffers it suffers too: while a handler blocks the loop nothing is
    restarted, and if the loop is given up, so is it. So have it supervised from elsewhere, and watch the loop with a
    ``LoopWatchdog``.
    """

    def __init__(self, loop: LoopThread, spec: SupervisorSpec) -> None:
        super().__init__(loop)
        self._prepare(spec)
        self._waits_for_children = False

    async def set_up(self) -> None:
        self._begin()

    async def tear_down(self, reason: ExitReason) -> None:
        """If it crashed, wait for the subtree; the loop turns meanwhile."""
        if not reason.abnormal:
            return
        downs = [down.as_asyncio() for down in self._take_all_along("crashed")]
        if downs:
            self._waits_for_children = True
            await asyncio.wait(downs, timeout=FAILURE_DEADLINE)

    def request_cancel(self, reason: ExitReason) -> bool:
        """Not while it waits for its subtree: its parent would start another one beside it, and nobody would tell. One
        that waits too long is abandoned, which is told.
        """
        return not self._waits_for_children and super().request_cancel(reason)
