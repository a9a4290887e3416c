"""kill -9: real processes, real signals, nothing acknowledged is lost, nothing stands twice, and the lock is free."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scorewise_actors.checkpoints import CheckpointLocked, CheckpointStore

WRITER = Path(__file__).with_name("killed_writer.py")

HOLDER = """
import sys
from scorewise_actors.checkpoints import CheckpointStore, Set
with CheckpointStore(sys.argv[1], None).open("job") as journal:
    journal.append([Set(("n",), 1)], now_ms=1)
    print("held", flush=True)
    sys.stdin.readline()
"""


def run_writers(directory, rounds, mode):
    command = [sys.executable, str(WRITER), str(directory), str(rounds), mode]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=150, check=True)
    return json.loads(done.stdout)


def test_killed_writers_lose_nothing(tmp_path):
    """Thirty kills at random moments: every acknowledged item is there once, and no rubbish piles up."""
    found = run_writers(tmp_path, 30, "honest")
    assert found["acknowledged"] > 100
    assert (found["lost"], found["wrong"]) == (0, 0)
    assert found["files"] <= 5, "two generations, a third in the making or to be removed, a temporary file, the lock"


def test_acknowledging_too_early_is_found(tmp_path):
    """The test above can fail: a writer that acknowledges before it appends loses items."""
    assert run_writers(tmp_path, 30, "early")["lost"] > 0


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    """The error names the owner; the kernel frees the lock with the process, and the take-over needs no repair."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "held\n"
        store = CheckpointStore(tmp_path, None)
        with pytest.raises(CheckpointLocked, match=f"process {owner.pid} on host"):
            store.open("job")
        assert [info.owner_pid for info in store.jobs()] == [owner.pid]
        assert store.read("job")[0] == {"n": 1}
        owner.kill()
        owner.wait(timeout=60)
        with store.open("job") as journal:
            assert journal.state == {"n": 1}
    finally:
        owner.kill()
        owner.communicate(timeout=60)
