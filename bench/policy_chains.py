"""The exact chance that a rule speaks in a healthy job whose failures are independent: Markov chains, no simulation."""

import math
from collections.abc import Callable

from policies import AbortPolicy

Row = list[float]


def chance_of_suspicion(policy: AbortPolicy, rate: float, items: int) -> float:
    """That the evidence reaches its limit: an upper bound for an abort, which needs hold and grace as well.

    For a policy that counts half of the items failing as its limit: the score goes up and down by one.
    """
    limit = policy.evidence
    if limit is None or policy.failure_rate != 0.5:
        raise ValueError("the chain is made for evidence at a failure rate of one half")

    def step(row: Row) -> Row:
        after = [0.0] * limit
        for score, chance in enumerate(row):
            after[max(0, score - 1)] += chance * (1 - rate)
            if score + 1 < limit:
                after[score + 1] += chance * rate
        return after

    return _absorbed([1.0] + [0.0] * (limit - 1), step, items)


def chance_of_window(rate: float, items: int, window: int = 10, most: int = 5) -> float:
    """That more than ``most`` of ``window`` outcomes in a row fail, once so many have been seen."""
    full = 1 << window
    states = [state for state in range(full) if state.bit_count() <= most]
    number = {state: n for n, state in enumerate(states)}
    moves = []
    for state in states:
        older = (state << 1) & (full - 1)
        moves.append((number[older], number.get(older | 1)))

    def step(row: Row) -> Row:
        after = [0.0] * len(states)
        for chance, (good, bad) in zip(row, moves, strict=True):
            after[good] += chance * (1 - rate)
            if bad is not None:
                after[bad] += chance * rate
        return after

    # the window speaks only when it is full: what came before its tenth outcome are successes that were never seen
    return _absorbed([1.0] + [0.0] * (len(states) - 1), step, items)


def _absorbed(row: Row, step: Callable[[Row], Row], steps: int) -> float:
    """The chance to have left the chain after so many steps. Once a constant share leaves it is extrapolated."""
    stays = 1.0
    for done in range(1, steps + 1):
        row = step(row)
        left, before = sum(row), stays
        stays = left
        if left == 0.0:
            return 1.0
        if done % 500 == 0:
            following = sum(step(row)) / left
            if math.isclose(following, left / before, rel_tol=1e-14):
                return max(0.0, -math.expm1(math.log(left) + (steps - done) * math.log(following)))
    return max(0.0, 1.0 - stays)
