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
from supervisors import ChildSpec, LoopThread, Ref, Runtime, SupervisorError, delete_child


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


BARE, THREAD, NEAR, FAR = "bare thread", "thread actor", "async actor", "async actor, supervisor in a thread"


def latencies(rounds: int, crashes: int) -> Iterator[Row]:
    """Crash to ready: a thread actor, and async actors under supervisors of both kinds, in turns with the start of a
    bare thread.
    """
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(loop_thread("latencies"))
        takes = {
            BARE: _bare_start,
            THREAD: stack.enter_context(_patient("thread", loop, on_loop=False)).crash,
            NEAR: stack.enter_context(_patient("async", loop, on_loop=True)).crash,
            FAR: stack.enter_context(_patient("async", loop, on_loop=False)).crash,
        }
        taken = [[{name: take() for name, take in takes.items()} for _ in range(crashes)] for _ in range(rounds + 1)][
            1:
        ]  # the first one warms up
    medians = [{name: median(turn[name] for turn in turns) for name in takes} for turns in taken]
    yield _ratio(medians, THREAD, BARE, "thread actor / a bare thread made and started", 2.5)
    yield _ratio(medians, NEAR, THREAD, "async actor / thread actor", 0.5)
    yield _ratio(medians, FAR, THREAD, "async actor whose supervisor is in a thread / thread actor")
    for name, bar in ((THREAD, 100.0), (NEAR, 40.0)):
        micros = median(row[name] for row in medians) * 1e6
        yield Row.at_most(f"crash to ready, median: {name} (bar: a quiet machine)", micros, "µs", bar)
    for name, what in ((FAR, "crash to ready"), (BARE, "made and started")):
        yield Row(f"{what}, median: {name}", median(row[name] for row in medians) * 1e6, "µs")
    for name in takes:
        every = sorted(turn[name] for turns in taken for turn in turns)
        tenth = every[len(every) // 10]  # what the load of other programs touches least
        yield Row(f"the same, fastest tenth: {name}", tenth * 1e6, "µs")


def _ratio(medians: list[dict[str, float]], of: str, to: str, name: str, bar: float | None = None) -> Row:
    ratio = median(row[of] / row[to] for row in medians)
    name = f"crash to ready, ratio: {name}"
    return Row(name, ratio, "x") if bar is None else Row.at_most(name, ratio, "x", bar)


@contextlib.contextmanager
def _patient(kind: str, loop: LoopThread, *, on_loop: bool) -> Iterator[Patient]:
    """An actor of this kind, under a supervisor of its own that lives on the loop or in a thread."""
    watch = Stopwatch()
    make = ThreadSubject if kind == "thread" else lambda: AsyncSubject(loop)
    with tree([ChildSpec(kind, lambda: watch.watched(make()))], loop if on_loop else None) as (runtime, supervisor):
        yield Patient(runtime, supervisor, kind, watch)


def _bare_start() -> float:
    """Seconds from nothing to the first line of a new thread."""
    began = time.perf_counter()
    runs: queue.SimpleQueue[float] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: runs.put(time.perf_counter()), daemon=True)
    thread.start()
    seconds = runs.get(timeout=PATIENCE) - began
    thread.join()
    return seconds
