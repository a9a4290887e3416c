"""What the supervisor kernel costs: restarts, messages, stops and memory, against bare threads and stock Pykka.

No browser, no scraping: only ``supervisors``. All that is compared happens in turns within one process. Where the load
of the machine falls on the clock, the CPU time of the process is counted instead. Rows that name a quiet machine in
their bar are figures of the clock alone: there the ratio next to them is what counts.
"""

from collections.abc import Iterator

from bench.kernel_costs import costs
from bench.kernel_memory import memory
from bench.kernel_messages import messages
from bench.kernel_restarts import latencies
from bench.kernel_stops import backlog, siblings
from bench.rows import Row
from bench.spec import Bench, Say


def run(rounds: int, items: int, say: Say) -> Iterator[Row]:
    """Measure one part after the other. ``items`` are the crashes of a round; what else there is goes with them."""
    for what, rows in (
        ("crash to ready", latencies(rounds, items)),
        ("restarts among many", costs(rounds, items, children=50 * items, restarts=50 * items)),
        ("messages", messages(rounds, tells=250 * items, asks=25 * items)),
        ("stop of siblings", siblings(rounds, 5 * items)),
        ("stop behind a backlog", backlog(rounds, 5 * items)),
        ("memory", memory(min(rounds, 3), max(10 * items, 400))),
    ):
        say(f"kernel: {what}")
        yield from rows


BENCH = Bench(
    name="kernel",
    summary="restarts, messages, stops and memory of supervisors, against bare threads and stock Pykka",
    rounds=7,
    items=200,
    quick_items=4,
    run=run,
)
