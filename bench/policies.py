"""What the abort rules do to healthy and to broken jobs: the production preset beside the literal rule.

Exact chains where there are some, otherwise simulated jobs with fixed seeds through the policy itself. ``items`` are
the jobs of a round; the figures are over all rounds.
"""

from collections.abc import Iterator
from statistics import fmean, quantiles

from bench.policy_chains import chance_of_suspicion, chance_of_window
from bench.policy_jobs import BASE_RATES, Stream, detection, false_aborts, in_runs, independent, survives_outage
from bench.rows import Row
from bench.spec import Bench, Say
from policies import AbortPolicy, named

ITEMS = 10_000
"""Items of a job."""
ROUNDING = 1e-12
"""A chance below this is what floats make of none."""
OUTAGES = (2, 10, 20, 30, 60)
"""Seconds."""
_JUMPS = {0.8: 70.0, 1.0: 55.0}


def run(rounds: int, items: int, say: Say) -> Iterator[Row]:
    """The rows, part by part."""
    policies = {"production": named.get("abort", "production"), "literal rule": named.get("abort", "literal")}
    jobs = rounds * items
    worst = 0.0
    for name, policy in policies.items():
        ours = name == "production"
        for rate in BASE_RATES:
            say(f"policies: {name}, independent failures, base {rate:.0%}")
            exact = chance_of_suspicion(policy, rate, ITEMS) if ours else chance_of_window(rate, ITEMS)
            exact = exact if exact > ROUNDING else 0.0
            what = "suspicions" if ours else "false aborts"
            yield Row(f"{what} per healthy job, exact: {name}, independent {rate:.0%}", 100 * exact, "%")
            share = _share(policy, independent, rate, jobs)
            worst = max(worst, share) if ours else worst
            yield _held(f"{name}, independent {rate:.0%}", share, 0.1 if ours else None)
        for rate in (0.1, 0.2, 0.3):
            say(f"policies: {name}, failures in runs of 3, base {rate:.0%}")
            share = _share(policy, in_runs, rate, jobs)
            worst = max(worst, share) if ours else worst
            yield _held(f"{name}, runs of 3 at {rate:.0%}", share, 0.5 if ours else None)
    yield Row.at_most("SC-005, false aborts per healthy job, worst stream of all: production", worst, "%", 1.0)
    say("policies: detection")
    for name, policy in policies.items():
        for rate, bar in _JUMPS.items():
            found = (detection(policy, rate, seed) for seed in range(max(10, jobs // 10)))
            delays = [delay for delay in found if delay is not None]
            title = f"abort after a jump to {rate:.0%} failing, 2 operations/s: {name}"
            mean = fmean(delays)
            yield Row.at_most(title, mean, "s", bar) if name == "production" else Row(title, mean, "s")
            yield Row(f"the same, 95th percentile: {name}, {rate:.0%}", quantiles(delays, n=20)[-1], "s")
    say("policies: outages")
    for name, policy in policies.items():
        for seconds in OUTAGES:
            lived = [survives_outage(policy, seconds, seed) for seed in range(max(10, jobs // 10))]
            share = 100 * (1 - fmean(lived))
            yield Row(f"jobs aborted by an outage of {seconds} s, pages failing at once: {name}", share, "%")


def _share(policy: AbortPolicy, stream: Stream, rate: float, jobs: int) -> float:
    return 100 * fmean(false_aborts(policy, stream, rate, range(jobs), ITEMS))


def _held(what: str, share: float, bar: float | None) -> Row:
    title = f"false aborts per healthy job, simulated: {what}"
    return Row(title, share, "%") if bar is None else Row.at_most(title, share, "%", bar)


BENCH = Bench(
    name="policies",
    summary="false aborts and detection of the production preset, beside the literal rule",
    rounds=5,
    items=400,
    quick_items=20,
    run=run,
)
