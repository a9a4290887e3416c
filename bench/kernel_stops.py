"""How fast actors end: a thousand siblings at once, and one with a thousand messages before the stop signal."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import attrs
import pykka

from bench.kernel_actors import PATIENCE, AsyncSubject, StockSubject, ThreadSubject, loop_thread, specs, tree
from bench.rows import Row
from supervisors import (
    Actor,
    AsyncActor,
    AsyncSupervisor,
    ChildSpec,
    ExitReason,
    LoopThread,
    Ref,
    RestartType,
    Runtime,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
)
from supervisors.supervisor import STOPS_PER_TURN

MESSAGE_SECONDS = 0.001
"""How long a message of a backlog takes."""


@attrs.frozen
class Spent:
    """Seconds by the clock, and of CPU."""

    wall: float
    cpu: float


def siblings(rounds: int, count: int) -> Iterator[Row]:
    """Stop pools of thread actors and of async actors, as many stock Pykka actors with ``ActorRegistry.stop_all``, and
    as many bare threads that do nothing but say that they end, in turns.
    """
    stops = {
        "Pykka's stop_all": _stop_stock,
        "pool of thread actors": lambda count: _stop_pool(Supervisor, ThreadSubject, count),
        "pool of async actors": _stop_loop_pool,
        "bare threads": _stop_bare,
    }
    taken = [[stop(count) for stop in stops.values()] for _ in range(rounds)]
    names = list(stops)
    for at, name in enumerate(names[1:], 1):
        against = f"{name} / Pykka's stop_all, {count:,} of them"
        time_row = f"stop of all, time, ratio: {against}"
        ratio = median(turn[at].wall / turn[0].wall for turn in taken)
        yield Row(time_row, ratio, "x") if name == "bare threads" else Row.at_most(time_row, ratio, "x", 0.5)
        yield Row(f"stop of all, CPU, ratio: {against}", median(turn[at].cpu / turn[0].cpu for turn in taken), "x")
    for at, name in enumerate(names):
        yield Row(f"stop of all, time: {name}", median(turn[at].wall for turn in taken) * 1e3, "ms")


def _stop_stock(count: int) -> Spent:
    for _ in range(count):
        StockSubject.start()
    with _spent() as spent:
        pykka.ActorRegistry.stop_all()
    return spent[0]


def _stop_pool(supervisor: Callable[[SupervisorSpec], Actor], make: Callable[[], Actor], count: int) -> Spent:
    runtime = Runtime("siblings")
    runtime.start(supervisor(SupervisorSpec(specs(make, count), pool=True)), PATIENCE)
    with _spent() as spent:
        ended = runtime.stop(PATIENCE)
    assert ended
    return spent[0]


def _stop_loop_pool(count: int) -> Spent:
    with loop_thread("siblings") as loop:
        return _stop_pool(lambda spec: AsyncSupervisor(loop, spec), lambda: AsyncSubject(loop), count)


def _stop_bare(count: int) -> Spent:
    """What is left when there is nothing but threads: each is woken, in the pace of a supervisor, and says so."""
    words: list[queue.SimpleQueue[None]] = [queue.SimpleQueue() for _ in range(count)]
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def live(word: "queue.SimpleQueue[None]") -> None:
        word.get()
        ended.put(None)

    for word in words:
        threading.Thread(target=live, args=(word,), daemon=True).start()
    with _spent() as spent:
        for number, word in enumerate(words, 1):
            word.put(None)
            if number % STOPS_PER_TURN == 0:
                time.sleep(0)
        for _ in words:
            ended.get(timeout=PATIENCE)
    return spent[0]


@contextlib.contextmanager
def _spent() -> Iterator[list[Spent]]:
    spent: list[Spent] = []
    cpu, wall = time.process_time(), time.perf_counter()
    yield spent
    spent.append(Spent(time.perf_counter() - wall, time.process_time() - cpu))


@attrs.frozen
class Moments:
    """When messages were in hand, and when the loop of the actor had ended: ``time.perf_counter()``."""

    begun: list[float] = attrs.field(factory=list)
    """One entry for each message that was taken in hand."""
    busy: threading.Event = attrs.field(factory=threading.Event)
    """Set from the first message on."""
    ended: "queue.SimpleQueue[float]" = attrs.field(factory=queue.SimpleQueue)

    def message(self) -> None:
        """A message is in hand."""
        self.begun.append(time.perf_counter())
        self.busy.set()

    def end(self) -> None:
        """The loop has ended."""
        self.ended.put(time.perf_counter())


class StockClerk(pykka.ThreadingActor):
    """Takes a while for each message, in a thread of stock Pykka's."""

    use_daemon_thread = True

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self._moments = moments

    def on_receive(self, _message: Any) -> None:
        self._moments.message()
        time.sleep(MESSAGE_SECONDS)

    def on_stop(self) -> None:
        self._moments.end()


class ThreadClerk(ThreadActor):
    """The same in a thread."""

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self._moments = moments

    def on_receive(self, _message: Any) -> None:
        self._moments.message()
        time.sleep(MESSAGE_SECONDS)

    def on_stop(self) -> None:
        self._moments.end()


class AsyncClerk(AsyncActor):
    """The same on an event loop."""

    def __init__(self, loop: LoopThread, moments: Moments) -> None:
        super().__init__(loop)
        self._moments = moments

    async def on_receive(self, _message: Any) -> None:
        self._moments.message()
        await asyncio.sleep(MESSAGE_SECONDS)

    async def tear_down(self, reason: ExitReason) -> None:
        del reason
        self._moments.end()


@attrs.frozen
class Stopped:
    """What came between the stop signal and the end of the loop."""

    seconds: float
    messages: int
    """So many were begun."""


def backlog(rounds: int, count: int) -> Iterator[Row]:
    """From the stop signal to the end of the actor's loop, with messages waiting that nobody will handle any more."""
    taken = [_stop_clerks(count) for _ in range(rounds)]
    behind = f"behind {count:,} messages of {MESSAGE_SECONDS * 1e3:g} ms"
    for name in ("thread actor", "async actor"):
        seconds = median(turn[name].seconds for turn in taken)
        yield Row.at_most(f"stop signal to the end of the loop, {behind}: {name}", seconds * 1e3, "ms", 5.0)
    seconds = median(turn["stock Pykka"].seconds for turn in taken)
    yield Row(f"stop request to the end of the loop, {behind}: stock Pykka", seconds * 1e3, "ms")
    for name in ("thread actor", "async actor"):
        begun = median(turn[name].messages for turn in taken)
        yield Row.at_most(f"messages begun after the stop signal, {behind}: {name}", begun, "messages", 1.0)


def _stop_clerks(count: int) -> dict[str, Stopped]:
    stock, in_thread, on_loop = Moments(), Moments(), Moments()
    clerk = StockClerk.start(stock)
    with (
        loop_thread("backlog") as loop,
        tree(
            [
                ChildSpec("thread", lambda: ThreadClerk(in_thread), RestartType.TRANSIENT),
                ChildSpec("async", lambda: AsyncClerk(loop, on_loop), RestartType.TRANSIENT),
            ]
        ) as (runtime, supervisor),
    ):
        thread, coroutine = (runtime.ref(f"{supervisor.path}/{child}") for child in ("thread", "async"))
        return {
            "stock Pykka": _stop(stock, clerk.tell, clerk.stop, count),
            "thread actor": _stop(in_thread, thread.tell, _actor(thread).request_stop, count),
            "async actor": _stop(on_loop, coroutine.tell, _actor(coroutine).request_stop, count),
        }


def _actor(ref: Ref) -> Actor:
    assert ref.actor is not None
    return ref.actor


def _stop(moments: Moments, tell: Callable[[Any], None], stop: Callable[[], Any], count: int) -> Stopped:
    """Stop an actor once the first of its messages is in hand."""
    for number in range(count):
        tell(number)
    assert moments.busy.wait(PATIENCE)
    stopped = time.perf_counter()
    stop()
    seconds = moments.ended.get(timeout=PATIENCE) - stopped
    return Stopped(seconds, sum(begun > stopped for begun in moments.begun))
