"""The system calls on which durability rests, behind one small port.

Everything a checkpoint writes goes through a `Disk`, so that a test can record the calls and rebuild what a power cut
leaves, or make any of them fail.
"""

import errno
import os
from pathlib import Path


class Disk:
    """The real disk. Every method raises OSError as the system gives it; any thread may call it."""

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        """A file descriptor for `path`."""
        return os.open(path, flags, mode)

    def close(self, fd: int) -> None:
        """Gives the descriptor back; promises nothing about the data."""
        os.close(fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Writes a part of `data`, at least one byte; returns how many bytes."""
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Data and metadata of the file, or the entries of a directory, are durable on return."""
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        """Data of the file, and its length, are durable on return."""
        os.fdatasync(fd)

    def ftruncate(self, fd: int, size: int) -> None:
        """Cuts the file to `size` bytes."""
        os.ftruncate(fd, size)

    def rename(self, source: Path, target: Path) -> None:
        """Replaces `target` by `source` in one step; durable only after the directory is synced."""
        source.rename(target)

    def link(self, source: Path, target: Path) -> None:
        """A second name for `source`; fails when `target` exists."""
        target.hardlink_to(source)

    def unlink(self, path: Path) -> None:
        """Removes a name."""
        path.unlink()

    def mkdir(self, path: Path) -> None:
        """Creates a directory that only its owner may enter; it may exist."""
        path.mkdir(mode=0o700, exist_ok=True)

    def read(self, path: Path) -> bytes:
        """The whole file."""
        return path.read_bytes()

    def write_all(self, fd: int, data: bytes) -> None:
        """Writes all of `data`."""
        rest = memoryview(data)
        while rest:
            written = self.write(fd, rest)
            if written <= 0:
                raise OSError(errno.EIO, "write made no progress")
            rest = rest[written:]

    def sync_directory(self, path: Path) -> None:
        """Names created, renamed or removed in `path` are durable on return."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.fsync(fd)
        finally:
            self.close(fd)

    def make_directories(self, path: Path) -> None:
        """Creates `path` and what is missing above it; all are durable on return."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            self.mkdir(folder)
            self.sync_directory(folder.parent)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


DISK = Disk()
"""The disk that is used when no other is given."""
