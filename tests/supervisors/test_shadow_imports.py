"""A user's own folder with one of our names must not end in a strange error."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_shadowed_policies_package_is_named_with_the_remedy(tmp_path):
    """The error names both folders and says what to do."""
    mine = tmp_path / "policies"
    mine.mkdir()
    (mine / "__init__.py").write_text("")
    path = os.pathsep.join([str(tmp_path), str(ROOT), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", "import supervisors"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: supervisors needs the package 'policies'")
    assert str(mine) in last
    assert str(ROOT / "policies") in last
    assert "rename" in last
