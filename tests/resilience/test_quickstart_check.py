"""A quickstart of somebody else, run as it stands: the script that ``SCOREWISE_QUICKSTART_CHECK`` names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = os.environ.get("SCOREWISE_QUICKSTART_CHECK")


@pytest.mark.skipif(not SCRIPT, reason="SCOREWISE_QUICKSTART_CHECK names no script")
@pytest.mark.timeout(400)
def test_the_quickstart_runs_as_written(tmp_path):
    """Every check of the script holds, in a folder of its own."""
    script = Path(SCRIPT).resolve()
    assert script.is_file(), f"SCOREWISE_QUICKSTART_CHECK names {SCRIPT}, which is no file"
    environ = os.environ | {"SCOREWISE_CHECKPOINT_KEY_FILE": str(tmp_path / "key"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert done.returncode == 0, "\n".join([*failed, done.stderr])
    assert failed == []
