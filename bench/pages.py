"""What the supervision tree costs per page, against a bare Playwright loop that reuses its pages.

The site is the demo league without faults, in a process of its own whose CPU is not counted: light pages of some 5 KB
with one request for data each. Start-up is kept apart: the steady figures begin when the first pages are done. For
context the naive script, a new page for each URL, is measured too.
"""

from collections.abc import Callable, Iterator
from statistics import median

from bench.meter import Steady
from bench.page_runs import CONTENDERS, PageRun, measure
from bench.rows import Row
from bench.spec import Bench, CannotMeasureError, Say
from scorewise_actors import BrowserNotFound, BrowserOptions
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.demo.league import League
from scorewise_actors.demo.site import SiteProcess

CONCURRENCY = 4
"""Pages at a time: the default of the system."""
WARM_UP = 2 * CONCURRENCY
"""Pages before the steady stretch: two for each slot."""
BAR = 1.15
"""Times the CPU of the bare loop that a page may cost through the tree."""

_NAMES = {
    "bare_reuse": "bare loop, pages reused",
    "tree_none": "tree, isolation none",
    "tree_reset": "tree, isolation reset",
    "bare_new_page": "naive loop, new pages",
}

_METRICS: dict[str, tuple[Callable[[Steady], float], str]] = {
    "CPU per page": (lambda steady: steady.cpu_ms, "ms"),
    "of it Python": (lambda steady: steady.own_ms, "ms"),
    "of it driver": (lambda steady: steady.children_ms, "ms"),
    "of it browser": (lambda steady: steady.deeper_ms, "ms"),
    "pages per second": (lambda steady: steady.items_per_second, "1/s"),
    "start-up to the first page, CPU": (lambda steady: steady.start_cpu_ms, "ms"),
    "start-up to the first page, time": (lambda steady: steady.start_seconds, "s"),
}

Rounds = list[dict[str, Steady]]


def run(rounds: int, items: int, say: Say) -> Iterator[Row]:
    """Measure all contenders in each round, one after the other, and report medians over the rounds."""
    try:
        executable = find_executable()
    except BrowserNotFound as error:
        raise CannotMeasureError(str(error)) from error
    options = BrowserOptions(executable=executable.path)
    say(f"pages: {executable.version}, {executable.path}; {CONCURRENCY} pages at a time, {WARM_UP} + {items} per run")
    with SiteProcess(League(seed=7, matches=WARM_UP + items, faults={})) as site:
        done: Rounds = []
        for number in range(1, rounds + 1):
            done.append({})
            for contender in CONTENDERS:
                steady = done[-1][contender] = measure(
                    PageRun(
                        contender=contender,
                        urls=[f"{site.url}{match.path}" for match in site.league.matches],
                        warm_up=WARM_UP,
                        concurrency=CONCURRENCY,
                        executable=executable.path,
                        switches=list(options.launch_args()),
                        sandbox=options.use_sandbox(),
                        context=options.context_arguments(),
                    )
                )
                say(
                    f"round {number}/{rounds}, {_NAMES[contender]}: "
                    f"{steady.cpu_ms:.1f} ms CPU per page, {steady.items_per_second:.1f} pages/s"
                )
    yield from _ratios(done)
    for metric, (value, unit) in _METRICS.items():
        for contender, name in _NAMES.items():
            yield Row(f"{metric}: {name}", median(value(steady[contender]) for steady in done), unit)


def _ratios(rounds: Rounds) -> Iterator[Row]:
    def ratio(value: Callable[[Steady], float], one: str, other: str) -> float:
        return median(value(steady[one]) / value(steady[other]) for steady in rounds)

    for contender, name in (("tree_none", "tree, isolation none"), ("tree_reset", "tree, isolation reset")):
        against = "bare loop" if contender == "tree_none" else "bare loop (which does not reset)"
        cpu = ratio(lambda steady: steady.cpu_ms, contender, "bare_reuse")
        yield Row.at_most(f"CPU per page, ratio: {name} / {against}", cpu, "x", BAR)
        pace = ratio(lambda steady: steady.items_per_second, contender, "bare_reuse")
        yield Row(f"pages per second, ratio: {name} / {against}", pace, "x")
        naive = ratio(lambda steady: steady.items_per_second, contender, "bare_new_page")
        yield Row(f"pages per second, ratio: {name} / naive loop", naive, "x")


BENCH = Bench(
    name="pages",
    summary="CPU per page and pages per second of the tree, against a bare Playwright loop",
    rounds=5,
    items=200,
    quick_items=12,
    run=run,
)
