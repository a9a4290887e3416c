"""``Sampler``: what is left of the machine and what the program uses, in tiers by what they cost.

Every sample has what is cheap: 0.3 ms and 10 µs for each process. Who belongs to the tree is looked at every 5 s, more
seldom where that would cost more than 0.1 % of a processor, and after a second if somebody asks for the figures. The
exact memory is looked at every 30 s, more seldom where that would cost more than 0.2 %; and at every sample while the
memory, estimated from the growth of RSS since, comes near a limit, so that what decides is always exact.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import psutil

from policies.thresholds import BROWSER_LIFETIME, ThresholdPolicy
from scorewise_actors.resources.cgroups import MemoryGroup, cpu_quota, memory_group
from scorewise_actors.resources.lifetimes import lifetime_reading, overdue_browsers
from scorewise_actors.resources.machine import CpuMeter, connections, disk, memory_pressure
from scorewise_actors.resources.processes import BrowserProcess, ProcessTree

TREE_EVERY = 5.0
"""Seconds between two looks at who belongs to the tree."""
TREE_SHARE = 0.001
"""Part of a processor that these looks may take."""
ASKED_EVERY = 1.0
"""Seconds between two of them if somebody asks: a browser launched before that is among the figures."""
EXACT_EVERY = 30.0
"""Seconds between two exact looks while memory is far from its limit."""
EXACT_SHARE = 0.002
"""Part of a processor that exact looks may take then."""
NEAR = 0.9
"""Part of a limit from which on memory is looked at exactly in every sample."""
NEAR_SHARE = 0.02
"""Part of a processor that they may take near a limit, and looks at the tree if somebody asks."""
_MB = 1024 * 1024


@attrs.frozen
class Sample:
    """Figures of one moment. MB, percent, seconds."""

    at: float
    """Monotonic seconds."""
    time: float
    """Unix time in seconds."""
    memory: float
    """Of the tree: Python, drivers and browsers, PSS."""
    memory_limit: float
    """The lesser of the machine's memory and what the control groups allow."""
    host_percent: float
    """Memory of the machine that is not available."""
    group_percent: float | None
    """Memory of the control group that is in use, of its limit; None without a limit."""
    pressure: float | None
    """PSI, some avg10."""
    cpu: float | None
    """All processors, or the quota of the control group if more of that is used."""
    tree_cpu: float | None
    """Of the tree, in percent of one processor."""
    disk_used: float | None
    disk_free: float | None
    connections: int | None
    processes: int
    browsers: tuple[BrowserProcess, ...]
    exact: bool
    """Whether ``memory`` was looked at, or estimated."""

    @property
    def memory_percent(self) -> float:
        """How near memory is to its end: the worst of machine, control group, and tree against the lesser of both."""
        tree = 100 * self.memory / self.memory_limit if self.memory_limit else 0.0
        return max(tree, self.host_percent, self.group_percent or 0.0)

    def overdue(self, policy: ThresholdPolicy) -> tuple[BrowserProcess, ...]:
        """The browsers beyond their lifetime, the most overdue first."""
        return overdue_browsers(policy, self.browsers, self.time)

    def readings(self, policy: ThresholdPolicy) -> dict[str, float | None]:
        """The sample in the terms of ``policy``; None for what is not known."""
        return {
            "memory_percent": self.memory_percent,
            "memory_absolute": self.memory,
            "memory_pressure": self.pressure,
            "cpu_percent": self.cpu,
            "disk_space": self.disk_free,
            "network_connections": self.connections,
            BROWSER_LIFETIME: lifetime_reading(policy, self.browsers, self.time),
        }


class Sampler:
    """Takes samples in one thread, and never blocks for more than the kernel's own answers."""

    def __init__(
        self,
        storage: Path,
        *,
        root: Path = Path("/"),
        tree: ProcessTree | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """``storage`` is the folder whose disk is watched; below ``root`` are ``proc`` and the control groups."""
        self._storage = storage
        self._root = root
        self._tree = tree or ProcessTree()
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._cpu = CpuMeter()
        self._tree_at = -math.inf
        self._tree_cost = 0.0
        self._exact_at = -math.inf
        self._exact_cost = 0.0
        self._ratio = 1.0
        self._quota: float | None = None
        self.exact_looks = 0
        """How often the expensive tier was taken."""

    def sample(self, limit: float = math.inf, *, asked: bool = False) -> Sample:
        """The figures now. ``limit`` is how much memory, in MB, the tree must not pass: near it every look is exact.
        ``asked``: somebody wants them at this moment, it is no sample of a watch.
        """
        now = self._clock()
        rare = max(EXACT_EVERY, self._exact_cost / EXACT_SHARE)
        if now >= self._exact_at + rare or now >= self._tree_at + self._tree_pause(asked=asked):
            self._refresh(now)
        self._tree.look()
        group = memory_group(self._root)
        machine = psutil.virtual_memory()
        most = min(machine.total / _MB, group.limit if group is not None else math.inf)
        near = self._tree.rss * self._ratio >= NEAR * min(limit, most)
        pause = self._exact_cost / NEAR_SHARE if near else rare
        exact = now >= self._exact_at + pause
        if exact:
            self._look_exactly(now)
        used, free = disk(self._storage)
        return Sample(
            at=now,
            time=time.time(),
            memory=self._tree.memory if exact else self._tree.rss * self._ratio,
            memory_limit=most,
            host_percent=machine.percent,
            group_percent=_group_percent(group),
            pressure=memory_pressure(self._root),
            cpu=self._cpu_percent(),
            tree_cpu=self._tree.cpu_percent,
            disk_used=used,
            disk_free=free,
            connections=connections(self._root),
            processes=self._tree.count,
            browsers=self._tree.browsers(),
            exact=exact,
        )

    def _tree_pause(self, *, asked: bool) -> float:
        if asked:
            return max(ASKED_EVERY, self._tree_cost / NEAR_SHARE)
        return max(TREE_EVERY, self._tree_cost / TREE_SHARE)

    def _refresh(self, now: float) -> None:
        began = self._cpu_clock()
        self._tree.refresh()
        self._tree_at, self._tree_cost = now, self._cpu_clock() - began

    def _look_exactly(self, now: float) -> None:
        began = self._cpu_clock()
        if self._tree_at < now:
            self._refresh(now)
            self._tree.look()
        self._tree.look_exactly()
        self._quota = cpu_quota(self._root)
        self._exact_at, self._exact_cost = now, self._cpu_clock() - began
        self.exact_looks += 1
        self._ratio = self._tree.memory / self._tree.rss if self._tree.rss else 1.0

    def _cpu_percent(self) -> float | None:
        machine = self._cpu.percent()
        if self._quota is None or self._tree.cpu_percent is None:
            return machine
        return max(machine or 0.0, min(100.0, self._tree.cpu_percent / self._quota))


def _group_percent(group: MemoryGroup | None) -> float | None:
    return None if group is None or group.used is None else 100 * group.used / group.limit
