"""One generation file in the making: a snapshot, then a frame per checkpoint, until something in it is in doubt."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import attrs

from scorewise_actors.checkpoints.disk import Disk
from scorewise_actors.checkpoints.frames import SNAPSHOT, FrameEncoder, Header
from scorewise_actors.checkpoints.keys import KeyRing

SUFFIX = ".ckpt"
TEMPORARY = ".tmp"


@attrs.frozen
class Growth:
    """When deltas have outgrown their snapshot: above `floor` bytes and above `ratio` times the snapshot.

    The defaults write about 1.4 times the final state over a job (20,000 items: 28 MB in 2 snapshots).
    """

    floor: int = attrs.field(default=8 << 20, validator=attrs.validators.ge(0))
    ratio: float = attrs.field(default=2.0, validator=attrs.validators.ge(0))

    def limit(self, snapshot: int) -> int:
        """Bytes of deltas that a snapshot of this many bytes may carry."""
        return max(self.floor, int(self.ratio * snapshot))


def file_name(generation: int, suffix: str = SUFFIX) -> str:
    """Generation 12 is `00000012.ckpt`."""
    return f"{generation:08d}{suffix}"


def generations(directory: Path, suffix: str = SUFFIX) -> list[int]:
    """The numbers of the generation files in `directory`, newest first; raises OSError."""
    stems = (path.stem for path in directory.iterdir() if path.suffix == suffix)
    return sorted((int(stem) for stem in stems if stem.isascii() and stem.isdigit()), reverse=True)


class GenerationFile:
    """The open newest generation of a job. One thread; every method may raise OSError.

    A file in which a sync failed or a write was left half done is never written again: after a failed sync the kernel
    may have dropped the data and report success the next time. `clean` says whether it may be appended to.
    """

    def __init__(
        self,
        directory: Path,
        header: Header,
        keys: KeyRing | None,
        disk: Disk,
        *,
        compress: bool,
        suffix: str = SUFFIX,
    ) -> None:
        self.number = header.generation
        self.clean = False
        self._disk = disk
        self._directory = directory
        self._path = directory / file_name(header.generation, suffix)
        self._temporary = self._path.with_suffix(TEMPORARY)
        self._line = header.line()
        self._encoder = FrameEncoder(header, self._line, keys, compress=compress)
        self._fd: int | None = None
        self._size = 0
        self._due = 0

    @property
    def tip(self) -> bytes:
        """Digest of the last frame."""
        return self._encoder.chain

    @property
    def outgrown(self) -> bool:
        """Whether the next checkpoint should start a new generation."""
        return self._size > self._due

    def prepare(self, lines: Iterable[bytes], sequence: int, time_ms: int, growth: Growth) -> None:
        """Writes and syncs the snapshot under a temporary name; a failure leaves nothing behind that counts."""
        self._fd = self._disk.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        try:
            self._write(self._line)
            for frame in self._encoder.checkpoint(lines, sequence, time_ms, SNAPSHOT):
                self._write(frame)
            self._disk.fsync(self._fd)
        except BaseException:
            self.close()
            with contextlib.suppress(OSError):
                self._disk.unlink(self._temporary)
            raise
        self._due = self._size + growth.limit(self._size)

    def publish(self) -> None:
        """Gives the file its name, durably. After a failure nobody knows which name it has: a newer one must follow."""
        self._disk.rename(self._temporary, self._path)
        self._disk.sync_directory(self._directory)
        self.clean = True

    def append(self, lines: Iterable[bytes], sequence: int, time_ms: int) -> None:
        """Adds one checkpoint, durable on return; after a failure the file is as before, or not `clean`."""
        if self._fd is None or not self.clean:
            raise RuntimeError(f"{self._path} is closed or in doubt; the journal must start a new generation")
        chain, size, self.clean = self._encoder.chain, self._size, False
        try:
            for frame in self._encoder.checkpoint(lines, sequence, time_ms):
                self._write(frame)
        except OSError:
            self._disk.ftruncate(self._fd, size)
            self._encoder.chain, self._size, self.clean = chain, size, True
            raise
        self._disk.fdatasync(self._fd)
        self.clean = True

    def postpone(self, growth: Growth) -> None:
        """Takes deltas for a while longer: the new generation could not be written."""
        self._due = self._size + max(growth.floor, 1)

    def close(self) -> None:
        """Closes the file; nothing depends on it, every append was synced."""
        self.clean = False
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self._disk.close(fd)

    def _write(self, data: bytes) -> None:
        if self._fd is not None:
            self._disk.write_all(self._fd, data)
            self._size += len(data)
