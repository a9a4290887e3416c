"""How long a crashed child is away: a thread actor and an async actor, against the start of a bare thread."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from statistics import median

from bench.kernel_actors import (
    PATIENCE,
    AsyncSubject,
    Crash,
    Stopwatch,
    ThreadSubject,
    loop_thread,
    tree,
)
from bench.rows import Row
from supervisors import ChildSpec, Ref, Runtime, SupervisorError, delete_child


class Patient:
    """One child of a supervisor that is crashed again and again."""

    def __init__(self, runtime: Runtime, supervisor: Ref, child: str, watch: Stopwatch) -> None:
        self._supervisor = supervisor
        self._ref = runtime.ref(f"{supervisor.path}/{child}")
        self._watch = watch
        self._watch.await_ready()

    def crash(self) -> float:
        """Crash it; seconds until its next incarnation is ready. Blocks, and returns when all has come to rest."""
        seconds = self._crash()
        self._settle()
        return seconds

    def cost(self, crashes: int) -> float:
        """CPU seconds of the process for one restart, the mean of some that follow one upon the other."""
        began = time.process_time()
        for _ in range(crashes):
            self._crash()
        self._settle()
        return (time.process_time() - began) / max(crashes, 1)

    def _crash(self) -> float:
        self._ref.tell(Crash(self._watch))
        return self._watch.await_ready()

    def _settle(self) -> None:
        """The child has told its supervisor all before it answers, and the supervisor has heard it before it does."""
        self._ref.ask("settled?", timeout=PATIENCE)
        with contextlib.suppress(SupervisorError):  # an answer that costs the same with any number of children
            delete_child(self._supervisor, "nobody").get(timeout=PATIENCE)


def latencies(rounds: int, crashes: int) -> Iterator[Row]:
    """Crash to ready: a thread actor and an async actor, in turns with the start of a bare thread."""
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(loop_thread("latencies"))
        thread_watch, async_watch = Stopwatch(), Stopwatch()
        runtime, supervisor = stack.enter_context(
            tree(
                [
                    ChildSpec("thread", lambda: thread_watch.watched(ThreadSubject())),
                    ChildSpec("async", lambda: async_watch.watched(AsyncSubject(loop))),
                ]
            )
        )
        in_thread = Patient(runtime, supervisor, "thread", thread_watch)
        on_loop = Patient(runtime, supervisor, "async", async_watch)
        taken = [
            [(_bare_start(), in_thread.crash(), on_loop.crash()) for _ in range(crashes)] for _ in range(rounds + 1)
        ]
    taken = taken[1:]  # the first one warms up
    medians = [[median(column) for column in zip(*turns, strict=True)] for turns in taken]
    bare, thread, on_a_loop = (median(column) for column in zip(*medians, strict=True))
    ratio = median(thread / bare for bare, thread, _ in medians)
    yield Row.at_most("crash to ready, ratio: thread actor / a bare thread made and started", ratio, "x", 2.5)
    ratio = median(on_a_loop / thread for _, thread, on_a_loop in medians)
    yield Row.at_most("crash to ready, ratio: async actor / thread actor", ratio, "x", 0.5)
    yield Row.at_most("crash to ready, median: thread actor (bar: a quiet machine)", thread * 1e6, "µs", 100.0)
    yield Row.at_most("crash to ready, median: async actor (bar: a quiet machine)", on_a_loop * 1e6, "µs", 40.0)
    yield Row("made and started, median: bare thread", bare * 1e6, "µs")
    every = zip(*(turn for turns in taken for turn in turns), strict=True)
    for name, column in zip(("bare thread", "thread actor", "async actor"), every, strict=True):
        tenth = sorted(column)[len(column) // 10]  # what the load of other programs touches least
        yield Row(f"the same, fastest tenth: {name}", tenth * 1e6, "µs")


def _bare_start() -> float:
    """Seconds from nothing to the first line of a new thread."""
    began = time.perf_counter()
    runs: queue.SimpleQueue[float] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: runs.put(time.perf_counter()), daemon=True)
    thread.start()
    seconds = runs.get(timeout=PATIENCE) - began
    thread.join()
    return seconds
