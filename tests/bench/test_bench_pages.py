"""The benches measure and report: ``python -m bench`` on real browsers, and the CPU account that it relies on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHES
from bench.cpu import tree_cpu
from bench.meter import Meter
from bench.rows import Row, table

ROOT = Path(__file__).parents[2]
DEADLINE = 170.0

BURN = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
"""A program that uses half a second of CPU."""

WAIT = "import sys; print('burnt', flush=True); sys.stdin.read()"


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def test_pages_prints_one_json_row_per_line_and_the_tree_is_held_to_its_bar():
    """``--json`` prints rows of five keys, all figures positive; the ratio of CPU per page carries the bar of 1.15."""
    told = bench("pages", "--json", "--items", "12", "--rounds", "1")
    assert told.returncode == 0, told.stderr
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert all(list(row) == ["row", "value", "unit", "bar", "holds"] for row in rows)
    assert all(row["value"] >= 0 and row["unit"] in {"ms", "s", "1/s", "x"} for row in rows)
    names = {row["row"]: row for row in rows}
    assert len(names) == len(rows)
    ratio = names["CPU per page, ratio: tree, isolation none / bare loop"]
    assert ratio["bar"] == 1.15
    assert ratio["holds"] is (ratio["value"] <= 1.15)
    for contender in ("bare loop, pages reused", "tree, isolation none", "tree, isolation reset"):
        whole = names[f"CPU per page: {contender}"]["value"]
        parts = [names[f"of it {part}: {contender}"]["value"] for part in ("Python", "driver", "browser")]
        assert sum(parts) == pytest.approx(whole, rel=0.01)
        assert names[f"pages per second: {contender}"]["value"] > 0


def test_an_unknown_bench_is_refused_and_the_known_ones_are_named():
    """A wrong name ends with exit code 2 and the list of benches."""
    told = bench("speed")
    assert told.returncode == 2
    assert f"there is no bench 'speed'; the benches are {', '.join(known.name for known in BENCHES)}" in told.stderr


def test_a_browser_that_is_not_there_is_said_in_one_line(monkeypatch):
    """What cannot be measured ends with exit code 1 and a message, not with a traceback."""
    monkeypatch.setenv("SCOREWISE_BROWSER", "/no/such/browser")
    told = bench("pages", "--items", "1", "--rounds", "1")
    assert told.returncode == 1
    assert "/no/such/browser" in told.stderr
    assert "Traceback" not in told.stderr


def test_the_cpu_of_a_tree_keeps_what_its_ended_processes_used():
    """Half a second used by a grandchild counts after it has ended, and again after its parent has."""
    before = tree_cpu()
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], check=True)\n{WAIT}"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"burnt\n"
        meanwhile = tree_cpu() - before
    after = tree_cpu() - before
    assert meanwhile.children >= 0.45
    assert after.own >= 0.45
    assert after.children == pytest.approx(0.0, abs=0.05)


def test_the_meter_tells_only_when_all_items_have_ended():
    """Figures of a run in which items are missing are refused."""
    meter = Meter(warm_up=1, items=2)
    for _ in range(2):
        meter.tick()
    with pytest.raises(RuntimeError, match="2 items have ended, not 3"):
        meter.steady()
    meter.tick()
    assert meter.steady().items_per_second > 0


def test_a_bar_is_shown_with_whether_it_holds():
    """A ratio above its upper bar does not hold, one at its lower bar does; a figure without a bar says nothing."""
    rows = [Row.at_most("cost", 1.2, "x", 1.15), Row.at_least("pace", 2.0, "x", 2.0), Row("time", 12.345678, "ms")]
    assert [row.holds for row in rows] == [False, True, None]
    assert json.loads(rows[2].json_line()) == {
        "row": "time",
        "value": 12.35,
        "unit": "ms",
        "bar": None,
        "holds": None,
    }
    assert table(rows).splitlines() == [
        "row   value unit   bar  holds",
        "cost    1.2 x     1.15  NO",
        "pace      2 x        2  yes",
        "time  12.35 ms",
    ]


def test_a_row_with_half_a_bar_is_refused():
    """A bar without a verdict, or a figure that is no number, is an error that names the row or the field."""
    with pytest.raises(ValueError, match="'cost' must have both of bar and holds or none"):
        Row("cost", 1.0, "x", 1.15)
    with pytest.raises(ValueError, match=r"Row\.value must be a finite number"):
        Row("cost", float("nan"), "x")
