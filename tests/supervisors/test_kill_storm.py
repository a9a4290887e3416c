"""Ten thousand kills in a tree at work; and that the storm would notice a lost ask, a ghost, a leak, an unheard end."""

import json
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
@pytest.mark.usefixtures("kills_in_callbacks_are_no_news")
def test_ten_thousand_kills_lose_no_ask_and_leave_nothing_behind():
    """Of every kind, in 50 thread and async actors under 13 supervisors, while others talk to them: every ask is
    answered, every tell handled or counted, no ghost, name, thread or file descriptor is left.
    """
    account = run(KILLS, SEED, DEADLINE).account
    assert sum(account.kills.values()) == KILLS
    assert set(BLOWS) <= set(account.kills)
    assert account.asked > 1000
    assert account.told > 10_000


@pytest.fixture(scope="module")
def answers(request):
    """Exit code and complaint of a short storm with each of the bugs that are wanted: all are tried at once."""
    ours = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    names = [item.callspec.params["bug"].__name__ for item in ours]
    command = [sys.executable, "-m", "tests.supervisors.planted_storm", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(names, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("bug", [*BUGS, no_bug], ids=lambda bug: bug.__name__)
def test_a_bug_planted_in_the_kernel_is_found_by_the_storm(answers, bug):
    """A short one is enough, and the check that is meant for it complains. Without a bug the same storm passes."""
    code, complaint = answers[bug.__name__]
    assert code == (0 if bug is no_bug else 1), complaint
    assert BUGS.get(bug, "") in complaint
