"""The bench of recovery measures, reports, and sees what does not recover: ``python -m bench recovery``."""

import json
import math
import subprocess
import sys
from pathlib import Path

from bench.recovery import Story

ROOT = Path(__file__).parents[2]


def test_recovery_prints_each_success_criterion_with_its_bar():
    """Real pages, kills of the browser and of the whole program; all figures are there, and nothing was lost."""
    command = [sys.executable, "-m", "bench", "recovery", "--json", "--quick"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert told.returncode == 0, told.stderr
    rows = {row["row"]: row for row in map(json.loads, told.stdout.splitlines())}
    assert {name[:6]: row["bar"] for name, row in rows.items() if "work kept" not in name and row["bar"]} == {
        "SC-001": 95,
        "SC-002": 90,
        "SC-003": 10,
        "SC-006": 120,
    }
    assert rows["SC-003, completed work kept over a kill"]["value"] == 100
    assert rows["transient failures that were measured"]["value"] > 3


def test_what_never_comes_back_is_not_recovered():
    """A page that failed at first counts when it came; a kill, when a page came that was begun after it."""
    story = Story(
        failed={"a": 1.0, "b": 2.0, "broken": 3.0},
        pages=[("a", 4.0, 5.0), ("c", 9.0, 12.0), ("d", 11.0, 13.0)],
        kills=[10.0, 12.5],
    )
    assert story.recoveries({"broken"}) == [4.0, math.inf, 3.0, math.inf]
