"""The bench of retries runs, and reports ratios with their bars."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_bench_of_retries_reports_ratios_against_both_libraries():
    """A quick run gives all rows; the bar is far enough away to hold even then."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "retries", "--json", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = {row["row"]: row for row in map(json.loads, done.stdout.splitlines())}
    ratios = [row for name, row in rows.items() if "against" in name]
    assert [row["bar"] for row in ratios] == [0.3, 0.3]
    assert all(row["holds"] for row in ratios)
    assert len(rows) == 5
