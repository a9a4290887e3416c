"""Healthy and broken jobs as rows of outcomes, and what an abort policy makes of them. Seeds are fixed.

A healthy job of ten thousand items takes a policy a fifth of a second, so most of them are *screened* first: the bare
recursion of a rule (a score, a sum over a window) never reaching its limit means that the rule cannot have spoken. The
policy itself judges all the others, and every hundredth of those that the screen would spare.
"""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator

from policies import AbortAction, AbortPolicy, AbortState

GAP = 0.5
"""Seconds between two outcomes: two operations a second."""
BASE_RATES = (0.05, 0.1, 0.2, 0.3, 0.4)
"""Fractions of items that fail in a healthy job."""
_SPOT_CHECK = 100

Stream = Callable[[random.Random, float, int], list[bool]]
"""``stream(rng, rate, items)``: for each item whether it failed."""


class ScreenError(RuntimeError):
    """The screen spared a job that the policy aborts: its figures would be wrong."""


def independent(rng: random.Random, rate: float, items: int) -> list[bool]:
    """Each item fails by itself."""
    return [rng.random() < rate for _ in range(items)]


def in_runs(rng: random.Random, rate: float, items: int) -> list[bool]:
    """Failures come three at a time, at the same mean rate."""
    return [failed for _ in range(items // 3 + 1) for failed in [rng.random() < rate] * 3][:items]


def false_aborts(policy: AbortPolicy, stream: Stream, rate: float, jobs: Iterable[int], items: int) -> list[bool]:
    """For each of the healthy ``jobs`` (numbers that become seeds) whether the policy aborts it. Raises ScreenError."""
    aborted = []
    for job in jobs:
        failed = stream(random.Random(f"{stream.__name__} {rate} {job}"), rate, items)
        suspect = _may_speak(policy, failed)
        judged = (suspect or job % _SPOT_CHECK == 0) and aborted_after(policy, failed) is not None
        if judged and not suspect:
            raise ScreenError(f"job {job} of {stream.__name__} at {rate} was spared by the screen and aborted")
        aborted.append(judged)
    return aborted


def aborted_after(policy: AbortPolicy, failed: Iterable[bool], start: float = 0.0) -> float | None:
    """Seconds from ``start`` until the policy aborts a job with these outcomes, one every ``GAP``; None if never."""
    state = AbortState()
    for count, one in enumerate(failed, 1):
        state, decision = policy.step(state, one, count * GAP)
        if decision.action is AbortAction.ABORT:
            return count * GAP - start
    return None


def detection(policy: AbortPolicy, rate: float, seed: int) -> float | None:
    """Seconds until a job that was healthy (10 %) is aborted after ``rate`` of its items begin to fail; None if it was
    aborted while it was healthy. Raises RuntimeError if it never is.
    """
    rng = random.Random(f"jump to {rate} {seed}")
    healthy = independent(rng, 0.1, 400)
    delay = aborted_after(policy, healthy + independent(rng, rate, 20_000), len(healthy) * GAP)
    if delay is None:
        raise RuntimeError(f"job {seed} was not aborted although {rate:.0%} of its items failed")
    return delay if delay > 0 else None


def survives_outage(policy: AbortPolicy, seconds: float, seed: int) -> bool:
    """Whether a job of 8 workers lives through an outage in which each page fails after 0.2 s instead of coming after
    4 s. Under suspicion only as many operations go on as the policy says.
    """
    rng = random.Random(f"outage {seconds} {seed}")
    begin, end = 120.0, 120.0 + seconds
    state, probes = AbortState(), None
    under_way = [(rng.uniform(0.0, 4.0), False) for _ in range(8)]
    heapq.heapify(under_way)
    idle = 0
    while under_way[0][0] < end + 60.0:
        now, failed = heapq.heappop(under_way)
        state, decision = policy.step(state, failed, now)
        if decision.action is AbortAction.ABORT:
            return False
        probes = decision.probes
        idle += 1
        while idle and (probes is None or len(under_way) < probes):
            idle -= 1
            down = begin <= now < end
            heapq.heappush(under_way, (now + (0.2 if down else rng.uniform(3.0, 5.0)), down))
    return True


def _may_speak(policy: AbortPolicy, failed: list[bool]) -> bool:
    rules: list[Iterator[bool]] = []
    if policy.evidence is not None:
        rules.append(_scores(failed, policy.failure_rate, policy.evidence))
    if policy.window is not None:
        rules.append(_windows(failed, policy.window.window, policy.window.failure_rate))
    return any(any(rule) for rule in rules)


def _scores(failed: list[bool], rate: float, limit: float) -> Iterator[bool]:
    score, down = 0.0, rate / (1 - rate)
    for one in failed:
        score = score + 1 if one else max(0.0, score - down)
        if score >= limit:
            yield True


def _windows(failed: list[bool], window: int, rate: float) -> Iterator[bool]:
    failures = 0
    for n, one in enumerate(failed):
        failures += one - (failed[n - window] if n >= window else 0)
        if n >= window - 1 and failures > rate * window:
            yield True
