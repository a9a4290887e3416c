"""Which process is meant: identity, death and killing of processes that are not our children.

A pid alone is not an identity, since numbers are used again. Here a process is its pid *and* its start time, and
nothing is signalled before both agree. Every function may be called from any thread; only ``reap_group`` blocks.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import psutil

_PROC = Path("/proc")


@attrs.frozen
class ProcessIdentity:
    """One process, for all time: JSON-able as ``[pid, started]``."""

    pid: int
    started: float
    """Linux: clock ticks from boot to its start (immune to clock changes). Elsewhere: epoch seconds."""

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """The process that has this pid now; ProcessLookupError when there is none."""
        status = _status(pid)
        if status is None:
            raise ProcessLookupError(f"no process has the pid {pid}")
        return cls(pid, status[1])

    def is_alive(self) -> bool:
        """Whether it still runs. A zombie does not; a stopped process does."""
        status = _status(self.pid)
        return status is not None and status[1] == self.started and status[0] not in "ZX"

    def kill(self) -> bool:
        """SIGKILL this process; False when it was gone already."""
        return self.is_alive() and _deliver(os.kill, self.pid)

    def kill_group(self) -> bool:
        """SIGKILL its whole process group, which must bear its pid (the process leads it); False when nothing was left.

        The group is killed even when its leader is dead: the kernel does not give a pid away while a group bears it.
        When the number has meanwhile gone to another process, that one's group is left alone.
        """
        status = _status(self.pid)
        if status is not None and status[1] != self.started:
            return False
        return _deliver(os.killpg, self.pid)


def group_members(pgid: int) -> tuple[int, ...]:
    """The pids of a process group that still run, zombies left out (about 2 ms per 150 processes on the machine)."""
    members = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == pgid and (status := _status(pid)) is not None and status[0] not in "ZX":
                members.append(pid)
        except (ProcessLookupError, PermissionError):
            continue
    return tuple(members)


def reap_group(pgid: int, seconds: float = 1.0) -> None:
    """Take leave of a killed group's processes whose parents died before them and which come to this process for it.

    They come here where this process is the first one of a container. Nobody else would reap them, and zombies that
    pile up use up the process table. Waits at most ``seconds`` for those that are about to come. Never for a process
    that somebody in here waits for: its group must not be named.
    """
    until = time.monotonic() + seconds
    me = os.getpid()
    while time.monotonic() < until:
        parents = _parents(pgid)
        mine = [pid for pid, parent in parents.items() if parent == me]
        if not mine and not any(parent in parents for parent in parents.values()):
            return
        for pid in mine:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def _parents(pgid: int) -> dict[int, int]:
    """The processes of a group, zombies too, with their parents."""
    parents = {}
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(pid) == pgid:
                parents[pid] = psutil.Process(pid).ppid()
    return parents


def children(pid: int) -> tuple[int, ...]:
    """The direct children of a process, zombies left out."""
    try:
        found = psutil.Process(pid).children()
    except psutil.Error:
        return ()
    return tuple(child.pid for child in found if (status := _status(child.pid)) is not None and status[0] not in "ZX")


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments a process was started with; empty when it is gone or not ours to read."""
    try:
        return tuple(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ()


def _status(pid: int) -> tuple[str, float] | None:
    """State letter and start mark of a pid; None when no process has it."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return _status_without_proc(pid) if not _PROC.is_dir() else None
    fields = stat.rpartition(b")")[2].split()  # the name before it may hold anything, even a ")"
    return chr(fields[0][0]), float(fields[19])


def _status_without_proc(pid: int) -> tuple[str, float] | None:
    try:
        process = psutil.Process(pid)
        return ("Z" if process.status() == psutil.STATUS_ZOMBIE else "R"), process.create_time()
    except psutil.Error:
        return None


def _deliver(send: Callable[[int, int], None], pid: int) -> bool:
    try:
        send(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
