"""The supervisor of a tree of threads and coroutines. It has a thread of its own, which only its own start functions,
hooks and subscribers can block.
"""

import contextlib
import time
from typing import Any

import pykka

from supervisors.exits import ExitReason
from supervisors.spec import SupervisorSpec
from supervisors.supervision import FAILURE_DEADLINE, Supervision
from supervisors.thread_actor import ThreadActor

STOPS_PER_TURN = 4
"""After each so many of them those that were told get their turn. Each thread that waits for the interpreter lock wakes
up every few milliseconds to ask for it: a thousand told at once spend more on that than on their ends.
"""


class Supervisor(Supervision, ThreadActor):
    """Starts, watches, restarts and stops children as its specification says (OTP ``supervisor``)."""

    def __init__(self, spec: SupervisorSpec) -> None:
        super().__init__()
        self._prepare(spec)
        self._stops = 0

    def on_start(self) -> None:
        self._begin()

    def on_stop(self) -> None:
        """There are no children left, unless a handler of a subclass ended it."""
        self._wait_for_children()

    def on_failure(self, *_exc_info: Any) -> None:
        """Wait for the subtree in its own thread: it serves nobody any more, and its parent goes on serving others."""
        self._wait_for_children()

    def _wait_for_children(self) -> None:
        downs = self._take_all_along("crashed")
        deadline = time.monotonic() + FAILURE_DEADLINE
        for down in downs:
            with contextlib.suppress(pykka.Timeout):
                down.get(timeout=max(0.0, deadline - time.monotonic()))

    def _stop_child(self, child: str, attempt: int, reason: ExitReason) -> None:
        super()._stop_child(child, attempt, reason)
        self._stops += 1
        if self._stops % STOPS_PER_TURN == 0:
            time.sleep(0)
