"""One writer per job, by a lock that the kernel frees when its owner dies."""

import contextlib
import fcntl
import json
import os
import socket
import time
import weakref
from pathlib import Path

import attrs

from scorewise_actors.checkpoints.disk import DISK, Disk
from scorewise_actors.checkpoints.errors import CheckpointLocked

LOCK_FILE = "lock"
_TRIES = 5
_PAUSE = 0.01  # seconds; outlasts somebody who only looks whether the job is locked


@attrs.frozen
class Owner:
    """Who holds a lock, as far as the lock file tells; for messages only, never for decisions."""

    pid: int | None
    host: str | None

    def __str__(self) -> str:
        return "an unknown process" if self.pid is None else f"process {self.pid} on host {self.host}"


_held: "weakref.WeakSet[JobLock]" = weakref.WeakSet()


def _let_go() -> None:
    """In a forked child: its copies of the descriptors would hold the locks after the owner has died."""
    for lock in list(_held):
        if lock._fd is not None:
            os.close(lock._fd)
            lock._fd = None


os.register_at_fork(after_in_child=_let_go)


class JobLock:
    """The held lock of one job. Freed by `release`, and by the kernel however the process ends."""

    def __init__(self, fd: int, disk: Disk) -> None:
        self._fd: int | None = fd
        self._disk = disk
        _held.add(self)

    @classmethod
    def acquire(cls, job: str, directory: Path, disk: Disk = DISK) -> "JobLock":
        """Locks `directory`, created when missing; raises CheckpointLocked when another owner lives, and OSError."""
        for attempt in range(_TRIES):
            disk.mkdir(directory)  # in the loop, because a purge may take it away at any time
            try:
                fd = disk.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_current(fd, directory):
                    _sign(fd)
                    return cls(fd, disk)
            except BlockingIOError:
                if attempt == _TRIES - 1:
                    owner = _read_owner(fd)
                    disk.close(fd)
                    raise CheckpointLocked(job, str(owner)) from None
            except BaseException:
                disk.close(fd)
                raise
            disk.close(fd)
            time.sleep(_PAUSE)
        raise CheckpointLocked(job, "somebody who is purging it")

    def release(self) -> None:
        """Gives the job free; again is harmless."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)
                fcntl.flock(fd, fcntl.LOCK_UN)  # a forked child may have a copy of the descriptor
            self._disk.close(fd)


def lock_owner(directory: Path) -> Owner | None:
    """Who holds the lock of `directory`; None when nobody does. Does not wait."""
    try:
        fd = os.open(directory / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_owner(fd)
    finally:
        os.close(fd)
    return None


def _is_current(fd: int, directory: Path) -> bool:
    """Whether the locked file is still the one in the directory: a purge may have taken it away in between."""
    try:
        return os.path.samestat(os.fstat(fd), (directory / LOCK_FILE).stat())
    except FileNotFoundError:
        return False


def _sign(fd: int) -> None:
    # A full disk must not keep a job from being locked: the signature is only for messages.
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)


def _read_owner(fd: int) -> Owner:
    try:
        content = json.loads(os.pread(fd, 4096, 0))
        return Owner(int(content["pid"]), str(content["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Owner(None, None)
