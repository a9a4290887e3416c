"""What watching over a job and keeping its state cost: processor time of monitoring with four browsers, memory of all
managers together, and milliseconds for a checkpoint of 1 MB.

Monitoring is measured as processor time of this program over a stretch in which nothing else is done, kernel time
included, after its first sample: with the interval, the tiers and the policy of a system. The browsers are real, with a
page each. Milliseconds of a checkpoint are those of the quickest of twenty, since what else the machine does is not
its doing; the median stands beside it.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from playwright.async_api import async_playwright

from bench.rows import Row
from bench.spec import Bench, CannotMeasureError, Say
from policies import named
from policies.thresholds import CleanupLevel
from scorewise_actors import BrowserNotFound, BrowserOptions
from scorewise_actors.actors.monitor import MonitorActor
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.checkpoints import draft
from scorewise_actors.checkpoints.snapshot_file import SnapshotFile, checksum_of
from scorewise_actors.config import SystemConfig
from scorewise_actors.events import EventHub
from scorewise_actors.messages.monitor import MonitorMemory, StartWatch, TakeSample
from scorewise_actors.resilience import CheckpointConfiguration, CheckpointManager
from scorewise_actors.resilience.connection import PrivateTree
from supervisors import ChildSpec, Runtime, Supervisor, SupervisorSpec

BROWSERS = 4
CPU_BAR = 0.5
"""Percent of a processor."""
MEMORY_BAR = 50.0
"""MB over bare Python."""
WRITE_BAR, READ_BAR, CHECKSUM_BAR = 100.0, 50.0, 10.0
"""Milliseconds, for a state of 1 MB."""
CHECKPOINTS = 20
_MB = 1024 * 1024
_KEY = b"k" * 32

_BARE = "import sys; print('up', flush=True); sys.stdin.readline()"
_ALL = """
import asyncio, sys, tempfile
from scorewise_actors.resilience import (
    AbortManager, CheckpointConfiguration, CheckpointManager, FailureHandler, ResourceMonitor, RetryManager
)

async def main():
    with tempfile.TemporaryDirectory() as folder:
        config = CheckpointConfiguration(storage_path=folder)
        async with (
            CheckpointManager(config, key=b"k" * 32) as checkpoints, RetryManager() as retries,
            AbortManager() as aborts, ResourceMonitor() as resources, FailureHandler() as failures,
        ):
            await checkpoints.load_checkpoint(await checkpoints.create_checkpoint("job", {"n": 1}))
            await retries.execute_with_retry(lambda: asyncio.sleep(0), "exponential_backoff")
            await aborts.record_success("job")
            await aborts.evaluate_abort_conditions("job", "conservative")
            await failures.handle_failure({"message": "timeout"}, {})
            session = await resources.start_monitoring("production", None)
            await resources.get_current_metrics()
            print("up", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            await resources.stop_monitoring(session)

asyncio.run(main())
"""


def run(rounds: int, items: int, say: Say) -> Iterator[Row]:
    """``items`` is the length of the monitored stretch in seconds; figures are medians over the rounds."""
    try:
        executable = find_executable()
    except BrowserNotFound as error:
        raise CannotMeasureError(str(error)) from error
    say(f"monitor: {BROWSERS} browsers, {executable.version}; {rounds} x {items} s of monitoring")
    shares, memories = [], []
    for number in range(1, rounds + 1):
        shares.append(asyncio.run(_monitoring(executable.path, items)))
        memories.append(_own_memory(_ALL) - _own_memory(_BARE))
        say(f"round {number}/{rounds}: {shares[-1][0]:.2f} % of a processor, {memories[-1]:.1f} MB for all managers")
    yield Row.at_most(f"monitoring, {BROWSERS} browsers", statistics.median(share for share, _ in shares), "%", CPU_BAR)
    yield Row("processes that were watched", statistics.median(count for _, count in shares), "processes")
    yield Row.at_most("memory of all managers over bare Python", statistics.median(memories), "MB", MEMORY_BAR)
    yield from asyncio.run(_checkpoints())


async def _monitoring(executable: str, seconds: int) -> tuple[float, int]:
    """Percent of a processor, and how many processes were watched."""
    options = BrowserOptions()
    with tempfile.TemporaryDirectory() as folder:
        async with async_playwright() as playwright:
            browsers = [
                await playwright.chromium.launch(
                    executable_path=executable, args=list(options.launch_args()), chromium_sandbox=options.use_sandbox()
                )
                for _ in range(BROWSERS)
            ]
            for browser in browsers:
                await (await browser.new_page()).set_content("<h1>watched</h1>")
            share, count = await asyncio.to_thread(_watch, Path(folder), seconds)
            for browser in browsers:
                await browser.close()
    if count < 1 + BROWSERS:
        raise CannotMeasureError(f"only {count} processes were found, with {BROWSERS} browsers up")
    return share, count


def _watch(folder: Path, seconds: int) -> tuple[float, int]:
    runtime = Runtime("bench")
    memory = MonitorMemory()
    spec = ChildSpec("monitor", lambda: MonitorActor(EventHub(), memory, folder))
    runtime.start(Supervisor(SupervisorSpec((spec,))))
    try:
        monitor = runtime.ref("bench/monitor")
        policy = named.get("thresholds", "production")
        interval = SystemConfig().monitor_interval
        monitor.ask(TakeSample(), timeout=60)
        began, used = time.monotonic(), time.process_time()
        monitor.ask(StartWatch("bench", policy, interval, CleanupLevel.FORCE, lambda _: None), timeout=60)
        time.sleep(seconds)
        share = 100 * (time.process_time() - used) / (time.monotonic() - began)
        return share, monitor.ask(TakeSample(), timeout=60).processes
    finally:
        runtime.stop()


def _own_memory(source: str) -> float:
    """MB that only this program would give back, once it says that it is up."""
    program = subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        if program.stdout.readline() != "up\n":
            raise CannotMeasureError(f"a program to be measured failed: {program.communicate()[1][-2000:]}")
        return float(psutil.Process(program.pid).memory_full_info().uss) / _MB
    finally:
        program.communicate("\n", timeout=60)


async def _checkpoints() -> Iterator[Row]:
    state = _state()
    writes, reads, checksums = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        config = CheckpointConfiguration(storage_path=Path(folder))
        async with CheckpointManager(config, key=_KEY, connection=PrivateTree()) as manager:
            used = time.process_time()
            for _ in range(CHECKPOINTS):
                began = time.perf_counter()
                made = await manager.create_checkpoint("job", state)
                writes.append(1000 * (time.perf_counter() - began))
                began = time.perf_counter()
                await manager.load_checkpoint(made)
                reads.append(1000 * (time.perf_counter() - began))
            cpu = 1000 * (time.process_time() - used) / CHECKPOINTS
    _, lines = SnapshotFile.lines(draft(state))
    for _ in range(CHECKPOINTS):
        began = time.perf_counter()
        checksum_of(lines)
        checksums.append(1000 * (time.perf_counter() - began))
    size = sum(map(len, lines)) / _MB
    return iter(
        (
            Row.at_most("checkpoint of 1 MB, sealed and durable: write", min(writes), "ms", WRITE_BAR),
            Row("checkpoint of 1 MB, sealed and durable: write, median", statistics.median(writes), "ms"),
            Row.at_most("checkpoint of 1 MB: read", min(reads), "ms", READ_BAR),
            Row("checkpoint of 1 MB: read, median", statistics.median(reads), "ms"),
            Row("checkpoint of 1 MB: write and read, CPU", cpu, "ms"),
            Row.at_most("checkpoint of 1 MB: checksum", min(checksums), "ms", CHECKSUM_BAR),
            Row("checkpoint: encoded size of the state", size, "MB"),
        )
    )


def _state() -> dict[str, object]:
    """A state of a megabyte as scrapers have it: items, results with texts and numbers, counters."""
    text = "The match was open until the last minute, and the crowd saw a late goal. "
    results = [
        {
            "url": f"https://league.example/matches/{n}",
            "score": [n % 5, n % 3],
            "rating": n / 7,
            "text": f"{n} {text * 20}",
        }
        for n in range(620)
    ]
    return {"items": [result["url"] for result in results], "results": results, "completed_count": len(results)}


BENCH = Bench(
    name="monitor",
    summary="monitoring, memory of the managers, and checkpoints of 1 MB; items are seconds",
    rounds=3,
    items=60,
    quick_items=3,
    run=run,
)
