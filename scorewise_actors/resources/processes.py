"""The processes of this program: itself, drivers, browsers and all that these started, with what they use.

A browser's crash handler has process 1 as its parent, so descendants are not all: the process groups that descendants
have begun count with everybody in them. RSS counts shared pages once per process and overstates a browser three- to
fourfold; PSS counts them once, and costs the kernel a walk through the tables of each process (1 ms).
"""

import os
import time

import attrs
import psutil

_MB = 1024 * 1024
_VANISHED = (psutil.NoSuchProcess, ProcessLookupError)
"""A process may end at any time between two looks: it simply no longer counts."""


@attrs.frozen
class BrowserProcess:
    """The main process of a Chromium, which leads its process group."""

    pid: int
    started: float
    """Unix time in seconds."""
    memory: float | None
    """MB of the whole group at the last exact look; None before."""

    def age(self, now: float) -> float:
        """Seconds at Unix time ``now``."""
        return max(0.0, now - self.started)


@attrs.define
class _Member:
    process: psutil.Process
    group: int
    started: float
    browser: bool
    rss: float = 0.0
    pss: float | None = None
    cpu: float | None = None


class ProcessTree:
    """Keeps what is known of each process between two looks. One thread."""

    def __init__(self, root: int | None = None) -> None:
        """``root`` is the pid of the program; by default this process."""
        self._root = os.getpid() if root is None else root
        self._members: dict[int, _Member] = {}
        self._cpu_at: float | None = None
        self.cpu_percent: float | None = None
        """Processor time between the last two looks, in percent of one processor."""

    @property
    def count(self) -> int:
        """Processes at the last look."""
        return len(self._members)

    def refresh(self) -> None:
        """Find out who belongs to the tree (some 4 ms with 150 processes on the machine).

        Raises ProcessLookupError when the program itself has ended.
        """
        found: dict[int, _Member] = {}
        groups: set[int] = set()
        own_group = os.getpgid(self._root)
        for process in self._descendants():
            member = self._member(process)
            if member is not None:
                found[process.pid] = member
                groups.add(member.group)
        groups.discard(own_group)  # a shell's pipeline, or a test runner, is not ours
        if groups:
            for pid in psutil.pids():
                if pid not in found and _group_of(pid) in groups:
                    stray = self._member_of(pid)
                    if stray is not None:
                        found[pid] = stray
        self._members = found

    def look(self) -> None:
        """RSS and processor time of the processes that are known (10 µs each)."""
        now = time.monotonic()
        spent = 0.0
        for pid, member in tuple(self._members.items()):
            try:
                with member.process.oneshot():
                    member.rss = member.process.memory_info().rss / _MB
                    times = member.process.cpu_times()
            except _VANISHED:
                del self._members[pid]
                continue
            except psutil.Error:
                continue
            used = times.user + times.system
            if member.cpu is not None:
                spent += max(0.0, used - member.cpu)
            member.cpu = used
        if self._cpu_at is not None and now > self._cpu_at:
            self.cpu_percent = 100 * spent / (now - self._cpu_at)
        self._cpu_at = now

    def look_exactly(self) -> None:
        """PSS of each process (1 ms each); where it is not told, its RSS."""
        for pid, member in tuple(self._members.items()):
            try:
                pss = getattr(member.process.memory_full_info(), "pss", 0) / _MB
            except _VANISHED:
                del self._members[pid]
                continue
            except (psutil.Error, OSError):
                pss = 0.0
            member.pss = pss or member.rss

    @property
    def rss(self) -> float:
        """Sum of RSS, MB: good for telling whether something has changed, never as an amount."""
        return sum(member.rss for member in self._members.values())

    @property
    def memory(self) -> float:
        """MB at the last exact look; processes that came since with their RSS."""
        return sum(member.rss if member.pss is None else member.pss for member in self._members.values())

    def browsers(self) -> tuple[BrowserProcess, ...]:
        """The browsers of the tree, oldest first."""
        found = []
        for pid, member in self._members.items():
            if member.browser:
                group = [other.pss for other in self._members.values() if other.group == member.group]
                exact = [pss for pss in group if pss is not None]
                found.append(BrowserProcess(pid, member.started, sum(exact) if exact else None))
        return tuple(sorted(found, key=lambda browser: (browser.started, browser.pid)))

    def _descendants(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._root)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []

    def _member_of(self, pid: int) -> _Member | None:
        try:
            return self._member(psutil.Process(pid))
        except psutil.Error:
            return None

    def _member(self, process: psutil.Process) -> _Member | None:
        """What is known of a process, kept as long as it is the same one; None for zombies and the vanished."""
        try:
            known = self._members.get(process.pid)
            if known is not None and known.process == process:
                return known
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                group = os.getpgid(process.pid)
                return _Member(process, group, process.create_time(), _is_browser(process, group))
        except (*_VANISHED, psutil.AccessDenied):
            return None


def _is_browser(process: psutil.Process, group: int) -> bool:
    """A Chromium's main process leads a group and, unlike its helpers, has no type."""
    if group != process.pid or not any(word in process.name().lower() for word in ("chrom", "headless")):
        return False
    return not any(argument.startswith("--type=") for argument in process.cmdline())


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None
