"""The ``kernel`` bench measures all that it is asked for and says what it cannot measure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.kernel_actors import Crash, Stopwatch, ThreadSubject, tree
from bench.kernel_memory import memory_per_actor
from bench.spec import CannotMeasureError
from supervisors import ChildSpec

ROOT = Path(__file__).parents[2]
DEADLINE = 170.0

BARS = {
    "crash to ready, ratio: thread actor / a bare thread made and started": ("x", 2.5),
    "crash to ready, ratio: async actor / thread actor": ("x", 0.5),
    "crash to ready, median: thread actor (bar: a quiet machine)": ("µs", 100.0),
    "crash to ready, median: async actor (bar: a quiet machine)": ("µs", 40.0),
    "CPU per restart, ratio: with 200 children / with 10": ("x", 1.5),
    "CPU per restart, ratio: after 200 in the window / after few": ("x", 1.5),
    "CPU per tell, ratio: thread actor / stock Pykka": ("x", 0.5),
    "CPU per ask, ratio: thread actor / stock Pykka": ("x", 0.9),
    "stop of all, time, ratio: pool of thread actors / Pykka's stop_all, 20 of them": ("x", 0.5),
    "stop of all, time, ratio: pool of async actors / Pykka's stop_all, 20 of them": ("x", 0.5),
    "stop signal to the end of the loop, behind 20 messages of 1 ms: thread actor": ("ms", 5.0),
    "stop signal to the end of the loop, behind 20 messages of 1 ms: async actor": ("ms", 5.0),
    "messages begun after the stop signal, behind 20 messages of 1 ms: thread actor": ("messages", 1.0),
    "messages begun after the stop signal, behind 20 messages of 1 ms: async actor": ("messages", 1.0),
    "memory (RSS) per actor: async actor in a pool": ("KiB", 4.0),
    "memory (RSS) per actor: thread actor in a pool": ("KiB", 26.0),
}
"""The rows that are held to a bar, with the sizes of a quick run."""


def test_kernel_prints_one_json_row_per_line_and_holds_each_figure_to_its_bar():
    """``kernel --quick --json`` prints rows of five keys with distinct names; the bars are those that are promised."""
    told = subprocess.run(
        [sys.executable, "-m", "bench", "kernel", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert all(list(row) == ["row", "value", "unit", "bar", "holds"] for row in rows)
    assert all(row["value"] >= 0 and row["unit"] in {"µs", "ms", "KiB", "messages", "x"} for row in rows)
    assert len({row["row"] for row in rows}) == len(rows)
    held = {row["row"]: row for row in rows if row["bar"] is not None}
    assert {name: (row["unit"], row["bar"]) for name, row in held.items()} == BARS
    assert all(row["holds"] is (row["value"] <= row["bar"]) for row in held.values())


def test_the_watch_runs_from_the_crash_to_the_next_incarnation():
    """It tells of the start, then of the restart, and that one began with the crash."""
    watch = Stopwatch()
    with tree([ChildSpec("a", lambda: watch.watched(ThreadSubject()))]) as (runtime, supervisor):
        ref = runtime.ref(f"{supervisor.path}/a")
        watch.await_ready()
        first = ref.incarnation
        ref.tell(Crash(watch))
        assert watch.await_ready() > 0
        assert ref.incarnation != first


def test_a_contender_that_fails_is_named_with_its_last_words():
    """The error of the process that should have measured stands in the error that ends the bench."""
    with pytest.raises(CannotMeasureError, match=r"nobody failed:[\s\S]*KeyError: 'nobody'"):
        memory_per_actor("nobody", 1)
