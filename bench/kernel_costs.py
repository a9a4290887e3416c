"""What a restart costs in CPU, with few and with many children, with few and with many restarts in the window.

Each situation has a process of its own, ``python -m bench.kernel_costs CHILDREN RESTARTS KIND``: what many actors cost
the whole process, in a registry or in the garbage collector, must not fall on those who are few. The processes wait for
their turn: each line on stdin is a number of crashes, each answer the CPU seconds of one restart.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import attrs

from bench.kernel_actors import AsyncSubject, Stopwatch, ThreadSubject, loop_thread, specs, tree
from bench.kernel_restarts import Patient
from bench.rows import Row
from bench.spec import CannotMeasureError
from supervisors import ChildSpec

FEW = 10
"""Children of a supervisor that has few."""


@attrs.frozen
class Situation:
    """A supervisor and the one of its children that crashes again and again."""

    children: int
    restarts: int = 0
    """So many crashes come before the first that is measured."""
    kind: str = "async"
    """What the child is, ``async`` or ``thread``; all others are async actors."""


def costs(rounds: int, crashes: int, children: int, restarts: int) -> Iterator[Row]:
    """The cost of a restart in each situation, in turns."""
    with contextlib.ExitStack() as stack:
        few, many, veteran, thread = (
            stack.enter_context(_process(situation))
            for situation in (
                Situation(FEW),
                Situation(children),
                Situation(FEW, restarts=restarts),
                Situation(FEW, kind="thread"),
            )
        )
        turns = [[_cost(process, crashes) for process in (few, many, veteran, thread)] for _ in range(rounds + 1)][
            1:
        ]  # the first one warms up
    ratio = median(many / few for few, many, _, _ in turns)
    yield Row.at_most(f"CPU per restart, ratio: with {children:,} children / with {FEW}", ratio, "x", 1.5)
    ratio = median(veteran / few for few, _, veteran, _ in turns)
    yield Row.at_most(f"CPU per restart, ratio: after {restarts:,} in the window / after few", ratio, "x", 1.5)
    yield Row("CPU per restart: async actor", median(few for few, _, _, _ in turns) * 1e6, "µs")
    yield Row("CPU per restart: thread actor", median(thread for _, _, _, thread in turns) * 1e6, "µs")


@contextlib.contextmanager
def _process(situation: Situation) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "bench.kernel_costs", *map(str, attrs.astuple(situation))]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()  # the process ends with its orders


def _cost(process: "subprocess.Popen[str]", crashes: int) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{crashes}\n")
        process.stdin.flush()
        return float(process.stdout.readline())
    except (OSError, ValueError) as error:
        raise CannotMeasureError("a process that crashes actors has failed; its error stands above") from error


def main(situation: Situation) -> None:
    """Crash as often as told until stdin ends."""
    watch = Stopwatch()
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(loop_thread("costs"))
        make = ThreadSubject if situation.kind == "thread" else lambda: AsyncSubject(loop)
        crashing = ChildSpec("crashing", lambda: watch.watched(make()))
        others = specs(lambda: AsyncSubject(loop), situation.children - 1)
        patient = Patient(*stack.enter_context(tree([crashing, *others])), "crashing", watch)
        patient.cost(situation.restarts)
        for line in sys.stdin:
            print(patient.cost(int(line)), flush=True)


if __name__ == "__main__":
    main(Situation(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
