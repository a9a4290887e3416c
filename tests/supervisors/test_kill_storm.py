"""Ten thousand kills in a tree at work; and that the storm would notice a lost ask, a ghost, a leak, an unheard end."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervisors.kill_storm import BLOWS, run
from tests.supervisors.planted_storm import BUGS, no_bug

KILLS = 10_000
SEED = 20_777
DEADLINE = 60.0
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_ten_thousand_kills_lose_no_ask_and_leave_nothing_behind():
    """Of every kind, in 50 thread and async actors under 13 supervisors, while others talk to them: every ask is
    answered, every tell handled or counted, no ghost, name, thread or file descriptor is left.
    """
    account = run(KILLS, SEED, DEADLINE).account
    assert sum(account.kills.values()) == KILLS
    assert set(BLOWS) <= set(account.kills)
    assert account.asked > 1000
    assert account.told > 10_000


def planted(bug):
    """A short storm in a process of its own, with this bug; returns the exit code and the complaint."""
    command = [sys.executable, "-m", "tests.supervisors.planted_storm", bug.__name__]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_planted_in_the_kernel_is_found_by_the_storm(bug):
    """A short one is enough, and the check that is meant for it complains."""
    code, complaint = planted(bug)
    assert code == 1
    assert BUGS[bug] in complaint


def test_a_short_storm_without_a_planted_bug_passes():
    """The same program, so it is the bugs that were found."""
    assert planted(no_bug) == (0, "")
