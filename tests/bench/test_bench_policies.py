"""The bench of the policies: its figures are those of the literature's chains, and its short cut can be caught."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench import policy_jobs
from bench.policy_chains import chance_of_suspicion, chance_of_window
from policies import AbortPolicy, named

ROOT = Path(__file__).parents[2]
PRODUCTION, LITERAL = named.get("abort", "production"), named.get("abort", "literal")


def test_the_rows_are_held_to_what_is_promised():
    """``policies --quick --json`` prints every stream for both rules; false aborts and detection have their bars."""
    told = subprocess.run(
        [sys.executable, "-m", "bench", "policies", "--quick", "--items", "10", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    rows = {row["row"]: row for row in map(json.loads, told.stdout.splitlines())}
    bars = {name: row["bar"] for name, row in rows.items() if row["bar"] is not None}
    assert bars == {
        **{
            f"false aborts per healthy job, simulated: production, independent {rate}%": 0.1
            for rate in (5, 10, 20, 30, 40)
        },
        **{f"false aborts per healthy job, simulated: production, runs of 3 at {rate}%": 0.5 for rate in (10, 20, 30)},
        "SC-005, false aborts per healthy job, worst stream of all: production": 1.0,
        "abort after a jump to 80% failing, 2 operations/s: production": 70.0,
        "abort after a jump to 100% failing, 2 operations/s: production": 55.0,
    }
    assert all(row["holds"] for row in rows.values() if row["bar"] is not None)
    for name in [name for name in rows if "production" in name and "suspicions" not in name]:
        assert name.replace("production", "literal rule") in rows or name.startswith("SC-005")


@pytest.mark.parametrize(
    ("rate", "items", "percent"),
    [(0.05, 1_000, 0.15), (0.05, 10_000, 1.5), (0.05, 100_000, 13.7), (0.1, 1_000, 6.6), (0.1, 10_000, 49.8)],
)
def test_the_literal_rule_has_its_exact_chances(rate, items, percent):
    """More than 5 of 10: known values for jobs of several sizes."""
    assert 100 * chance_of_window(rate, items) == pytest.approx(percent, rel=0.05)


def test_the_chain_of_a_short_window_can_be_counted_by_hand():
    """Two of two failing within three outcomes: FF*, SFF, of eight equally likely rows three."""
    assert chance_of_window(0.5, 3, window=2, most=1) == 3 / 8
    assert chance_of_suspicion(AbortPolicy(evidence=2), 0.5, 3) == 3 / 8
    with pytest.raises(ValueError, match="a failure rate of one half"):
        chance_of_suspicion(AbortPolicy(failure_rate=0.25), 0.1, 10)


def test_the_production_preset_is_not_even_suspicious_of_healthy_jobs():
    """At a base rate of 40 % one job of ten thousand items in 10,000 is suspected, with no hold at all."""
    assert chance_of_suspicion(PRODUCTION, 0.4, 10_000) < 1e-4
    assert chance_of_suspicion(PRODUCTION, 0.3, 100_000) < 1e-9


@pytest.mark.parametrize(
    "policy",
    [LITERAL, AbortPolicy(evidence=4, hold=0.0, grace=0.0, min_operations=1)],
    ids=["window", "evidence"],
)
def test_the_screen_spares_no_job_that_would_be_aborted(policy):
    """With and without the screen the same jobs are aborted, and some are not."""
    jobs = range(1, 60)
    screened = policy_jobs.false_aborts(policy, policy_jobs.independent, 0.15, jobs, 600)
    plain = [
        policy_jobs.aborted_after(policy, policy_jobs.independent(random.Random(f"independent 0.15 {job}"), 0.15, 600))
        is not None
        for job in jobs
    ]
    assert screened == plain
    assert 0 < sum(plain) < len(plain)


def test_a_screen_that_is_blind_is_caught(monkeypatch):
    """The planted bug: a screen that spares everything is noticed by the jobs that are judged all the same."""
    monkeypatch.setattr(policy_jobs, "_may_speak", lambda policy, failed: False)
    with pytest.raises(policy_jobs.ScreenError, match=r"job 0 of independent at 0\.4 was spared"):
        policy_jobs.false_aborts(LITERAL, policy_jobs.independent, 0.4, [0], 1_000)


def test_detection_says_when_there_is_none():
    """A policy that never aborts is an error of the bench, not a figure."""
    with pytest.raises(RuntimeError, match="job 3 was not aborted although 80% of its items failed"):
        policy_jobs.detection(AbortPolicy(evidence=None, crashes=None), 0.8, 3)
