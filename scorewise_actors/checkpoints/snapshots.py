"""Snapshots of user data: several per job, each a file of its own, so that damage to one costs only that one.

A file is a generation file of one checkpoint (docs/checkpoint-format.md): the same header, frames, seal and digests as
a journal. Plain blocking code; a store holds no open file and no lock between calls, so many may share a folder, also
from several processes: whoever writes takes the job's lock for the length of the write.

    snapshots = SnapshotStore("data/checkpoints", load_keys(None, "data/checkpoints"))
    info = snapshots.create("league-2026", draft({"completed_count": 40}), now_ms=1_700_000_000_000)
    data = snapshots.load(info.id).data
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from scorewise_actors.checkpoints.disk import DISK, Disk
from scorewise_actors.checkpoints.errors import (
    CheckpointCorrupted,
    CheckpointLocked,
    CheckpointStorageError,
)
from scorewise_actors.checkpoints.frames import CIPHER, BadFile, Header
from scorewise_actors.checkpoints.generation import TEMPORARY, GenerationFile, Growth, file_name, generations
from scorewise_actors.checkpoints.keys import KeyRing
from scorewise_actors.checkpoints.lock import JobLock
from scorewise_actors.checkpoints.snapshot_file import (
    Draft,
    Snapshot,
    SnapshotFile,
    SnapshotInfo,
    SnapshotStatus,
    damaged,
)
from scorewise_actors.checkpoints.snapshot_id import SnapshotId, folder_tail
from scorewise_actors.checkpoints.store import CheckpointStore
from scorewise_actors.checkpoints.values import decode, dumps

FOLDER = "snapshots"
"""Below the storage path, beside the folders of the journals."""
GONE = ".gone"
"""An empty file in the place of a deleted newest snapshot, so that its number is not given out again."""

_LOCK_PAUSE = 0.02
_OLDER = "load an older checkpoint of the job, or restore the file from a backup"


class SnapshotStore:
    """Snapshots by job below ``path``. Any thread, any number of stores and processes on one folder.

    ``keys`` as for a CheckpointStore. ``retention`` is how many snapshots of a job are kept, ``verify`` has each one
    read back before it counts, ``patience`` is how many seconds a write waits for another writer of the same job.

    Raises CheckpointStorageError when ``path`` cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        keys: KeyRing | None,
        *,
        compress: bool = True,
        retention: int = 10,
        verify: bool = True,
        patience: float = 10.0,
        disk: Disk = DISK,
    ) -> None:
        if retention < 1:
            raise ValueError(f"retention: expected at least 1 snapshot to keep, got {retention!r}")
        self._folders = CheckpointStore(Path(path) / FOLDER, keys, disk=disk)
        self._keys = keys
        self._compress = compress
        self._retention = retention
        self._verify = verify
        self._patience = patience
        self._disk = disk

    @property
    def path(self) -> Path:
        """The folder with one folder per job."""
        return self._folders.path

    def create(self, job_id: str, content: Draft, *, now_ms: int, token: bytes | None = None) -> SnapshotInfo:
        """Writes a snapshot, durable on return, and removes the oldest beyond the number to keep.

        ``token`` is 16 random bytes that name this very write: when the newest snapshot has been written with it,
        nothing is written again. For callers that did not hear the answer.

        When it raises, what was there before is as it was: CheckpointStorageError (the disk refused),
        CheckpointLocked (another process wrote the job for too long), CheckpointCorrupted (what was read back is not
        what was written), ValueError (no job id).
        """
        if not 0 <= now_ms < 1 << 63:
            raise ValueError(f"now_ms: expected milliseconds since 1970, got {now_ms}")
        with self._writing(job_id, "write a checkpoint in") as directory:
            number = max(_numbers(directory), default=0) + 1
            if number == 1:
                self._disk.sync_directory(directory.parent)
            salt = token or os.urandom(16)
            again = SnapshotId.of(folder_tail(directory), salt.hex(), max(1, number - 1))
            if (directory / again.file).exists():
                self._disk.sync_directory(directory)  # whoever wrote it may have ended before
                written = next(self.entries(job_id, 1))
                if written.status is SnapshotStatus.ACTIVE:
                    return written
            for leftover in directory.glob(f"*{TEMPORARY}"):
                self._disk.unlink(leftover)
            header = Header(
                job=job_id,
                generation=number,
                base=number,
                prev="",
                created=now_ms,
                cipher=CIPHER if self._keys is not None else None,
                key=self._keys.primary.id if self._keys is not None else None,
                salt=salt.hex(),
            )
            info = self._write(directory, header, content)
            self._prune(directory)
        return info

    def load(self, snapshot_id: str) -> Snapshot | None:
        """The snapshot with this id; None when there is none, or no more.

        Raises CheckpointCorrupted when it is there and damaged, CheckpointKeyMismatch, CheckpointTooNew,
        CheckpointUndecodable, CheckpointStorageError.
        """
        path, wanted = self._place_of(snapshot_id)
        data = self._read(path) if path is not None else None
        if path is None or wanted is None or data is None:
            return None
        try:
            return SnapshotFile.of(path, wanted, data, self._folders.directory).snapshot(self._keys)
        except BadFile as bad:
            job = damaged(path.parent.name, wanted, data, bad.reason).job_id
            raise CheckpointCorrupted(job, str(path), bad.offset, bad.reason, remedy=_OLDER) from bad

    def entries(self, job_id: str, limit: int | None = None) -> Iterator[SnapshotInfo]:
        """What there is of a job, newest first, until ``limit`` intact ones are found; corrupted ones come along.

        Every file is checked against its digests as it is reached. Raises as ``load`` does, but for damage.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit: expected at least 0 or None, got {limit}")
        directory = self._folders.directory(job_id)
        intact = 0
        for wanted in self._listed(directory):
            if limit is not None and intact >= limit:
                return
            path = directory / wanted.file
            data = self._read(path)
            if data is None:  # removed meanwhile
                continue
            try:
                info = SnapshotFile.of(path, wanted, data, self._folders.directory).info(self._keys)
            except BadFile as bad:
                found = damaged(job_id, wanted, data, f"at byte {bad.offset}: {bad.reason}")
                yield attrs.evolve(found, job_id=job_id)
                continue
            if intact >= self._retention:
                status = SnapshotStatus.EXPIRED
            else:
                status = SnapshotStatus.COMPLETED if intact else SnapshotStatus.ACTIVE
            intact += 1
            yield attrs.evolve(info, status=status)

    def validate(self, snapshot_id: str) -> bool:
        """Whether the snapshot is there and can be loaded. Raises as ``load`` does, but for damage."""
        try:
            return self.load(snapshot_id) is not None
        except CheckpointCorrupted:
            return False

    def delete(self, snapshot_id: str) -> bool:
        """Removes a snapshot, durably; False when there was none. Needs no key.

        Raises CheckpointLocked, CheckpointStorageError.
        """
        path, wanted = self._place_of(snapshot_id)
        if path is None or wanted is None:
            return False
        directory = path.parent
        with self._writing(directory.name, "delete a checkpoint in", directory):
            if not path.exists():
                return False
            if wanted.sequence == max(_numbers(directory)):
                marker = directory / file_name(wanted.sequence, GONE)
                self._disk.close(self._disk.open(marker, os.O_WRONLY | os.O_CREAT))
                self._disk.sync_directory(directory)
            self._disk.unlink(path)
            self._disk.sync_directory(directory)
        return True

    def purge(self, job_id: str) -> bool:
        """Forgets all snapshots of a job; False when it had none. As CheckpointStore.purge."""
        return self._folders.purge(job_id)

    def _write(self, directory: Path, header: Header, content: Draft) -> SnapshotInfo:
        number, now_ms = header.generation, header.created
        mine = SnapshotId.of(folder_tail(directory), header.salt, number)
        path = directory / mine.file
        checksum, lines = SnapshotFile.lines(content)
        file = GenerationFile(directory, header, self._keys, self._disk, compress=self._compress, suffix=mine.suffix)
        try:
            file.prepare(lines, number, now_ms, Growth())
            file.publish()
            if self._verify:
                SnapshotFile.of(path, mine, self._disk.read(path), self._folders.directory)
        except BadFile as bad:
            self._discard(path)
            reason = f"read back, it is not what was written: {bad.reason}"
            raise CheckpointCorrupted(
                header.job, str(path), bad.offset, reason, remedy="check the disk, then try again"
            ) from bad
        except BaseException:
            self._discard(path)
            raise
        finally:
            file.close()
        return SnapshotInfo(
            id=str(mine),
            job_id=header.job,
            sequence_number=number,
            time_ms=now_ms,
            status=SnapshotStatus.ACTIVE,
            size=path.stat().st_size,
            metadata=decode(dumps(content.metadata)),
            checksum=checksum,
        )

    def _discard(self, path: Path) -> None:
        """What may have its name and is not known to be durable must not be listed."""
        for leftover in (path.with_suffix(TEMPORARY), path):
            with contextlib.suppress(OSError):
                self._disk.unlink(leftover)

    def _prune(self, directory: Path) -> None:
        with contextlib.suppress(OSError):  # what stays is removed the next time
            for old in _snapshots(directory)[self._retention :]:
                self._disk.unlink(directory / old.file)
            for number in generations(directory, GONE):  # a newer number is there now
                self._disk.unlink(directory / file_name(number, GONE))

    @contextlib.contextmanager
    def _writing(self, job_id: str, doing: str, directory: Path | None = None) -> Iterator[Path]:
        directory = directory or self._folders.directory(job_id)
        try:
            lock = self._lock(job_id, directory)
            try:
                yield directory
            finally:
                lock.release()
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory), doing) from error

    def _lock(self, job_id: str, directory: Path) -> JobLock:
        end = time.monotonic() + self._patience
        while True:
            try:
                return JobLock.acquire(job_id, directory, self._disk)
            except CheckpointLocked:
                if time.monotonic() >= end:
                    raise
            time.sleep(_LOCK_PAUSE)

    def _place_of(self, snapshot_id: str) -> tuple[Path | None, SnapshotId | None]:
        """Where the file of an id is, if it is there; no path for an id that cannot be one of this store's."""
        wanted = SnapshotId.parse(snapshot_id)
        if wanted is None:
            return None, None
        try:
            directory = next((path for path in self.path.iterdir() if folder_tail(path) == wanted.job), None)
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(self.path), "list") from error
        return (directory / wanted.file if directory is not None else None), wanted

    def _listed(self, directory: Path) -> list[SnapshotId]:
        try:
            return _snapshots(directory)
        except FileNotFoundError as error:
            if self.path.is_dir():
                return []
            # the whole storage has gone: that is no job without snapshots
            raise CheckpointStorageError(error.errno or 0, str(self.path), "list") from error
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory), "list") from error

    def _read(self, path: Path) -> bytes | None:
        try:
            return self._disk.read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(path), "read") from error


def _snapshots(directory: Path) -> list[SnapshotId]:
    """What there is in a folder, newest first; raises OSError."""
    found = (SnapshotId.of_file(path) for path in directory.iterdir())
    return sorted(filter(None, found), key=lambda one: one.sequence, reverse=True)


def _numbers(directory: Path) -> list[int]:
    """All numbers that were given out, as far as the folder tells."""
    return [one.sequence for one in _snapshots(directory)] + generations(directory, GONE)
