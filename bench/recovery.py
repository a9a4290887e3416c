"""How long it takes until work goes on: after transient failures, an interruption, and the death of the program.

The first part is a job in this program over the demo league, of whose pages a tenth is broken for good and a tenth
fails at first; the browser is killed in its course. A transient failure is over with the first page that is begun after
a kill, or with the page that failed at first; what never comes counts as not recovered. Then a checkpoint of 1,000
items is written, and loaded through another tree of actors. Last, the command line is killed with SIGKILL in the middle
of a job and started again: the time is that until the next result is on disk, Python's start included. ``items`` are
the pages of a job.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import psutil

from bench.rows import Row
from bench.spec import Bench, CannotMeasureError, Say
from policies.abort import AbortPolicy
from scorewise_actors import ActorSystem, BrowserNotFound, HttpStatusError, ScrapeContext
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.demo.league import Fault, League
from scorewise_actors.demo.site import SiteProcess
from scorewise_actors.resilience import CheckpointConfiguration, CheckpointManager
from scorewise_actors.resilience.connection import PrivateTree
from scorewise_actors.resources.processes import ProcessTree

KILLS = 3
"""Of the browser in each round."""
SOON = 30.0
"""Seconds in which a transient failure has to be over."""
UPTIME_BAR, RECOVERED_BAR, CHECKPOINT_BAR, RESUME_BAR = 95.0, 90.0, 10.0, 120.0
"""Percent, percent, seconds, seconds."""
FAULTS = {Fault.BROKEN_500: 0.1, Fault.FLAKY: 0.1}
LONG = 300.0
"""Seconds after which a run that does not move has failed."""
STATE_ITEMS = 1000
_KEY = b"k" * 32

_HANDLER = """
async def scrape(context):
    await context.page.goto(context.request.url)
    return {"url": context.request.url}
"""


@attrs.define
class Story:
    """What a job went through; monotonic seconds."""

    failed: dict[str, float] = attrs.field(factory=dict)
    """URL -> when it failed first."""
    pages: list[tuple[str, float, float]] = attrs.field(factory=list)
    """URL, begin and end of each page that came."""
    kills: list[float] = attrs.field(factory=list)

    def recoveries(self, broken: set[str]) -> list[float]:
        """Seconds from each transient failure to its end; infinite for none."""
        came = {url: end for url, _, end in self.pages}
        after = [came.get(url, float("inf")) - at for url, at in self.failed.items() if url not in broken]
        for kill in self.kills:
            came_later = (end - kill for _, begin, end in self.pages if begin > kill)
            after += [min(came_later, default=float("inf"))]
        return after


def run(rounds: int, items: int, say: Say) -> Iterator[Row]:
    """The rows, part by part."""
    try:
        find_executable()
    except BrowserNotFound as error:
        raise CannotMeasureError(str(error)) from error
    done, recovered, checkpoints, resumed, kept = [], [], [], [], []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            share, after = _job(Path(folder), number, items)
        done.append(share)
        recovered += after
        with tempfile.TemporaryDirectory() as folder:
            checkpoints.append(asyncio.run(_checkpoint(Path(folder))))
        with tempfile.TemporaryDirectory() as folder:
            seconds, share = _killed_program(Path(folder), number, items)
        resumed.append(seconds)
        kept.append(share)
        say(f"round {number}/{rounds}: {len(after)} transient failures, the program went on after {seconds:.1f} s")
    over = [seconds for seconds in recovered if seconds < LONG]
    share = 100 * sum(seconds <= SOON for seconds in recovered) / len(recovered)
    yield Row.at_least("SC-001, pages done of those that are not broken, a tenth is", min(done), "%", UPTIME_BAR)
    yield Row.at_least(f"SC-002, transient failures over within {SOON:.0f} s", share, "%", RECOVERED_BAR)
    yield Row("transient failures: median until they are over", statistics.median(over), "s")
    yield Row("transient failures that were measured", len(recovered), "failures")
    yield Row.at_most("SC-003, checkpoint of 1,000 items and resume, slowest", max(checkpoints), "s", CHECKPOINT_BAR)
    yield Row.at_least("SC-003, completed work kept over a kill", min(kept), "%", 100.0)
    yield Row.at_most("SC-006, SIGKILL of the program to its next result, slowest", max(resumed), "s", RESUME_BAR)
    yield Row("SIGKILL of the program to its next result, median", statistics.median(resumed), "s")


def _job(folder: Path, seed: int, items: int) -> tuple[float, list[float]]:
    """Percent of the pages that are not broken, and how long each transient failure took."""
    league = League(seed=seed, matches=items, faults=FAULTS)
    story = Story()

    async def scrape(context: ScrapeContext) -> dict[str, str]:
        url, began = context.request.url, time.monotonic()
        try:
            HttpStatusError.check(await context.page.goto(url))
        except Exception:
            story.failed.setdefault(url, time.monotonic())
            raise
        story.pages.append((url, began, time.monotonic()))
        return {"url": url}

    with SiteProcess(league) as site, ActorSystem(storage_path=folder, key=_KEY) as system:
        urls = [f"{site.url}/matches/{number}" for number in range(1, items + 1)]
        broken = {f"{site.url}/matches/{match}" for match in league.broken}
        ended = threading.Event()
        killer = threading.Thread(target=_kill_browsers, args=(story, items, ended))
        killer.start()
        try:
            report = system.run_blocking("recovery", urls, scrape, abort=AbortPolicy())
        finally:
            ended.set()
            killer.join()
    if report.lost or report.recorded_twice:
        raise CannotMeasureError(f"{report.lost} items were lost, {report.recorded_twice} recorded twice")
    return 100 * report.done / (items - len(broken)), story.recoveries(broken)


def _kill_browsers(story: Story, items: int, ended: threading.Event) -> None:
    tree = ProcessTree()
    for number in range(1, KILLS + 1):
        while len(story.pages) < number * items // (2 * KILLS):
            if ended.wait(0.01):
                return
        tree.refresh()
        for browser in tree.browsers()[:1]:
            story.kills.append(time.monotonic())
            os.kill(browser.pid, signal.SIGKILL)


async def _checkpoint(folder: Path) -> float:
    """Seconds for a state to be written by one tree, and read by another one."""
    urls = [f"http://shop.example/{n}" for n in range(STATE_ITEMS)]
    state = {"urls": urls, "results": [{"url": url, "price": n / 7} for n, url in enumerate(urls)]}
    config = CheckpointConfiguration(storage_path=folder)
    began = time.monotonic()
    async with CheckpointManager(config, key=_KEY, connection=PrivateTree()) as manager:
        await manager.create_checkpoint("job", state)
    async with CheckpointManager(config, key=_KEY, connection=PrivateTree()) as manager:
        found = await manager.load_latest("job")
    if found != state:
        raise CannotMeasureError("the checkpoint is not what was written")
    return time.monotonic() - began


def _killed_program(folder: Path, seed: int, items: int) -> tuple[float, float]:
    """Seconds from SIGKILL to the next result of the same command, and percent of the results that were kept."""
    (folder / "shop.py").write_text(_HANDLER)
    results = folder / "results.jsonl"
    with SiteProcess(League(seed=seed, matches=items, faults={})) as site:
        (folder / "urls.txt").write_text("\n".join(f"{site.url}/matches/{n}" for n in range(1, items + 1)))
        program = _start(folder)
        _until(lambda: _lines(results) >= items // 3, program)
        family = psutil.Process(program.pid).children(recursive=True)
        program.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        program.communicate()
        before = _lines(results)
        program = _start(folder)
        _until(lambda: _lines(results) > before, program)
        seconds = time.monotonic() - killed
        told, _ = program.communicate(timeout=LONG)
        psutil.wait_procs(family, timeout=30)
    if program.returncode:
        raise CannotMeasureError(f"the command ended with {program.returncode}")
    report = json.loads(told.splitlines()[-1])
    urls = [json.loads(line)["url"] for line in results.read_text().splitlines()]
    if report["done"] != items or sorted(urls) != sorted(set(urls)):
        raise CannotMeasureError(f"{report['done']} of {items} items are done, {len(urls)} results for them")
    return seconds, 100 * min(1.0, report["resumed"] / before)


def _start(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "scorewise_actors", "run", "shop.py:scrape", "--urls", "urls.txt"]
    return subprocess.Popen(
        [*command, "--job-id", "killed", "--out", "results.jsonl", "--no-encryption", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _until(condition: Callable[[], bool], program: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + LONG
    while not condition():
        if program.poll() is not None or time.monotonic() > end:
            program.kill()
            raise CannotMeasureError("the command ended, or did not move, before it could be killed")
        time.sleep(0.005)


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


BENCH = Bench(
    name="recovery",
    summary="how long until work goes on after failures, kills and an interruption",
    rounds=5,
    items=200,
    quick_items=24,
    run=run,
)
