"""The actors of the ``kernel`` bench: they do nothing but what is measured, the same in a thread, in a coroutine and in
stock Pykka.
"""

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pykka

from policies.restart import RestartPolicy
from supervisors import (
    Actor,
    AsyncActor,
    AsyncSupervisor,
    ChildSpec,
    LoopThread,
    Ref,
    Runtime,
    Signal,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
)
from supervisors.signals import Ready

PATIENCE = 120.0
"""Seconds that a bench waits for what takes a moment. It only matters when something is wrong."""

UNLIMITED = RestartPolicy.otp(1_000_000, 1_000_000.0)
"""Restarts at once, as many as are measured, all of them in the window."""


@attrs.frozen
class Crash:
    """Message: note the time on the watch and raise."""

    watch: "Stopwatch"


@attrs.frozen
class Last:
    """Message: all before this one are handled."""

    done: "queue.SimpleQueue[None]" = attrs.field(factory=queue.SimpleQueue)


class Subject:
    """What the subjects of all kinds do with a message: as ``Crash`` and ``Last`` say, or answer with itself."""

    def on_receive(self, message: Any) -> Any:
        if type(message) is Crash:
            message.watch.crashed = time.perf_counter()
            raise RuntimeError("a crash to be measured")
        if type(message) is Last:
            message.done.put(None)
        return message


class StockSubject(Subject, pykka.ThreadingActor):
    """In a thread of stock Pykka's."""

    use_daemon_thread = True


class ThreadSubject(Subject, ThreadActor):
    """In a thread."""


class AsyncSubject(Subject, AsyncActor):
    """On an event loop."""


class Stopwatch:
    """Takes the time from a crash, noted in the handler that raises, to the ``Ready`` of the next incarnation."""

    def __init__(self) -> None:
        self.crashed = 0.0
        self._up: queue.SimpleQueue[float] = queue.SimpleQueue()

    def watched(self, subject: ThreadSubject | AsyncSubject) -> ThreadSubject | AsyncSubject:
        """The same subject, which will tell this watch when it is ready."""
        subject.monitor(self._hear)
        return subject

    def await_ready(self) -> float:
        """Seconds from the last crash until the subject was ready again; blocks until it is."""
        return self._up.get(timeout=PATIENCE) - self.crashed

    def _hear(self, signal: Signal) -> None:
        if isinstance(signal, Ready):
            self._up.put(time.perf_counter())


@contextmanager
def loop_thread(name: str) -> Iterator[LoopThread]:
    """An event loop that outlives the actors on it, for as long as the block lasts."""
    loop = LoopThread(name)
    keeper = AsyncActor(loop)
    loop.attach(keeper)
    try:
        yield loop
    finally:
        loop.detach(keeper)
        loop.join(PATIENCE)


@contextmanager
def tree(
    children: list[ChildSpec], loop: LoopThread | None = None, *, pool: bool = False
) -> Iterator[tuple[Runtime, Ref]]:
    """A running supervisor with these children, in a runtime of its own that ends with the block. It lives in a thread,
    or on the loop that is named.
    """
    runtime = Runtime("kernel")
    spec = SupervisorSpec(children, restarts=UNLIMITED, pool=pool)
    try:
        yield runtime, runtime.start(Supervisor(spec) if loop is None else AsyncSupervisor(loop, spec), PATIENCE)
    finally:
        runtime.stop(PATIENCE)


def specs(make: Callable[[], Actor], count: int) -> list[ChildSpec]:
    """Specifications of ``count`` equal children, ``0`` and up."""
    return [ChildSpec(str(number), make) for number in range(count)]
