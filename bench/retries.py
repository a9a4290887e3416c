"""What ``execute_with_retry`` costs an operation that succeeds at once, beside tenacity and stamina.

The operation returns at once; each contender calls it in the form that its documentation shows for a coroutine
function, with the same limits. CPU time of the whole process; the contenders take turns in each round, the figures are
medians over the rounds, and the bare call is taken off all of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median

from bench.rows import Row
from bench.spec import Bench, CannotMeasureError, Say
from scorewise_actors.resilience import RetryManager

Call = Callable[[], Awaitable[int]]
BAR = 0.3
"""Of the overhead of either of the others."""


async def operation() -> int:
    """Succeeds."""
    return 1


def contenders(manager: RetryManager) -> dict[str, Call]:
    """Name → one call of the operation. Raises CannotMeasureError if one is not installed."""
    try:
        import stamina
        import tenacity
    except ImportError as error:
        raise CannotMeasureError(f"{error.name} is not installed: pip install --group bench") from error
    with_tenacity = tenacity.retry(
        stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_exponential_jitter(initial=1, max=300)
    )(operation)
    with_stamina = stamina.retry(on=Exception, attempts=5, wait_initial=1, wait_max=300)(operation)

    async def with_ours() -> int:
        return int(await manager.execute_with_retry(operation, "exponential_backoff"))

    return {"bare": operation, "execute_with_retry": with_ours, "tenacity": with_tenacity, "stamina": with_stamina}


def run(rounds: int, items: int, say: Say) -> Iterator[Row]:
    """The rows: microseconds of CPU per call, and the ratios."""
    costs = asyncio.run(_measured(rounds, items, say))
    bare = costs.pop("bare")
    overhead = {name: cost - bare for name, cost in costs.items()}
    for name, seconds in overhead.items():
        yield Row(f"overhead of a call that succeeds: {name}", seconds * 1e6, "us")
    for other in ("tenacity", "stamina"):
        ratio = overhead["execute_with_retry"] / overhead[other]
        yield Row.at_most(f"execute_with_retry, overhead on success against {other}", ratio, "x", BAR)


async def _measured(rounds: int, items: int, say: Say) -> dict[str, float]:
    async with RetryManager() as manager:
        calls = contenders(manager)
        seen: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(rounds):
            say(f"retries: round {number + 1} of {rounds}")
            for name, call in calls.items():
                seen[name].append(await _cost(call, items))
    return {name: median(costs) for name, costs in seen.items()}


async def _cost(call: Call, items: int) -> float:
    for _ in range(items // 10):
        await call()
    began = time.process_time()
    for _ in range(items):
        await call()
    return (time.process_time() - began) / items


BENCH = Bench(
    name="retries",
    summary="execute_with_retry on an operation that succeeds, against tenacity and stamina",
    rounds=7,
    items=5000,
    quick_items=500,
    run=run,
)
