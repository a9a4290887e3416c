"""The bench of monitoring and checkpoints measures and reports: ``python -m bench monitor``."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_monitor_prints_one_json_row_per_line_with_its_bars():
    """Processor share, memory and checkpoint times carry the bars; four browsers mean many processes."""
    command = [sys.executable, "-m", "bench", "monitor", "--json", "--quick"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert told.returncode == 0, told.stderr
    rows = {row["row"]: row for row in map(json.loads, told.stdout.splitlines())}
    assert {name: row["bar"] for name, row in rows.items() if row["bar"] is not None} == {
        "monitoring, 4 browsers": 0.5,
        "memory of all managers over bare Python": 50,
        "checkpoint of 1 MB, sealed and durable: write": 100,
        "checkpoint of 1 MB: read": 50,
        "checkpoint of 1 MB: checksum": 10,
    }
    assert all(row["value"] > 0 for row in rows.values())
    assert rows["processes that were watched"]["value"] > 4 * 3
    assert 0.9 < rows["checkpoint: encoded size of the state"]["value"] < 1.1
