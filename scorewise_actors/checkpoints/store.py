"""The checkpoints of many jobs in one directory of the file system."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors.checkpoints.disk import DISK, Disk
from scorewise_actors.checkpoints.errors import CheckpointNotFound, CheckpointStorageError, CheckpointTooNew
from scorewise_actors.checkpoints.frames import MAX_HEADER, BadFile, parse_header
from scorewise_actors.checkpoints.generation import Growth, file_name, generations
from scorewise_actors.checkpoints.journal import Journal
from scorewise_actors.checkpoints.keys import KeyRing
from scorewise_actors.checkpoints.lock import JobLock, lock_owner
from scorewise_actors.checkpoints.recovery import (
    CheckpointEntry,
    CheckpointId,
    Recovery,
    read_generations,
    recover,
    replay,
    survey,
)
from scorewise_actors.checkpoints.validation import Validation, validate_files

MAX_JOB_ID = 512
"""Bytes of a job id in UTF-8; it must fit the header line."""

_JOB_DIRECTORY = re.compile(r"[A-Za-z0-9_.-]*-[0-9a-f]{12}")
_PURGED = ".purged-"


@attrs.frozen
class JobInfo:
    """One job of a store, as its directory shows it."""

    job_id: str
    """The directory's name when no header can be read."""
    directory: Path
    generations: tuple[int, ...]
    """Newest first."""
    size: int
    """Bytes on disk."""
    modified: float
    """Unix time in seconds of the last write; 0.0 before the first."""
    locked: bool
    owner_pid: int | None
    """Process that holds the lock, when it is locked and has signed."""


class CheckpointStore:
    """Journals by job id below `path`. Holds no open file: any thread may use it.

    With `keys` everything is sealed and plain files are refused; without, sealed files are. A directory that is
    missing is created with mode 0700. `writable=False` is for looking only: the directory must exist.

    Raises CheckpointStorageError when `path` cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        keys: KeyRing | None,
        *,
        compress: bool = True,
        growth: Growth | None = None,
        writable: bool = True,
        disk: Disk = DISK,
    ) -> None:
        self.path = Path(path).absolute()
        self.keys = keys
        self.compress = compress
        self.growth = growth or Growth()
        self.disk = disk
        try:
            if writable:
                disk.make_directories(self.path)
                self._clear_purged()
            self._check_access(writable)
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(self.path), "use the checkpoint directory") from error

    def directory(self, job_id: str) -> Path:
        """Where the files of a job are; raises ValueError for what is no job id."""
        if not isinstance(job_id, str) or not job_id:
            raise ValueError(f"job_id: expected a non-empty string, got {job_id!r}")
        name = job_id.encode()  # a UnicodeEncodeError is a ValueError that says what and where
        if len(name) > MAX_JOB_ID:
            raise ValueError(f"job_id: expected at most {MAX_JOB_ID} bytes of UTF-8, got {len(name)}")
        readable = re.sub(r"[^A-Za-z0-9_.-]", "_", job_id)[:60].lstrip(".")
        return self.path / f"{readable}-{hashlib.sha256(name).hexdigest()[:12]}"

    def open(self, job_id: str) -> Journal:
        """The journal of a job, locked for this owner; a context manager. See Journal.open for what it raises."""
        return Journal.open(self, job_id)

    def exists(self, job_id: str) -> bool:
        """Whether the job has any checkpoint."""
        try:
            return bool(generations(self.directory(job_id)))
        except FileNotFoundError:
            return False

    def jobs(self) -> tuple[JobInfo, ...]:
        """All jobs, by directory name. Takes no lock and needs no key; raises CheckpointStorageError."""
        try:
            folders = sorted(path for path in self.path.iterdir() if _JOB_DIRECTORY.fullmatch(path.name))
            found = (self._info(folder) for folder in folders)
            return tuple(info for info in found if info is not None)
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(self.path), "list") from error

    def read(self, job_id: str, at: CheckpointId | None = None) -> tuple[dict[Any, Any], Recovery]:
        """The state of a job, newest or `at` one checkpoint, without a lock: a live writer goes on.

        `torn` may then mean that the writer was just writing. Raises CheckpointNotFound when the job has no
        checkpoint or not this one, and what Journal.open raises but for the lock.
        """
        directory = self.directory(job_id)
        try:
            if at is not None:
                return self._read_at(job_id, directory, at)
            found = recover(job_id, directory, self.keys, self.disk)
        except FileNotFoundError:
            raise CheckpointNotFound(job_id, str(self.path)) from None
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory), "read") from error
        if found.recovery.generation == 0:
            raise CheckpointNotFound(job_id, str(self.path))
        return found.state.root, found.recovery

    def checkpoints(self, job_id: str) -> tuple[CheckpointEntry, ...]:
        """Every intact checkpoint that can still be read, oldest first; needs no key. Empty for an unknown job."""
        directory = self.directory(job_id)
        entries: dict[int, CheckpointEntry] = {}
        try:
            for number, data in read_generations(directory, self.disk):
                with contextlib.suppress(BadFile):
                    for entry in survey(job_id, number, data).checkpoints:
                        entries.setdefault(entry.id.sequence, entry)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory), "read") from error
        return tuple(entries[sequence] for sequence in sorted(entries))

    def validate(self, job_id: str) -> Validation:
        """Checks every digest of every file, without the key.

        Raises CheckpointNotFound, CheckpointTooNew, CheckpointStorageError.
        """
        directory = self.directory(job_id)
        try:
            found = validate_files(job_id, directory, self.disk)
        except FileNotFoundError:
            raise CheckpointNotFound(job_id, str(self.path)) from None
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory), "read") from error
        if not found.files:
            raise CheckpointNotFound(job_id, str(self.path))
        return found

    def purge(self, job_id: str) -> bool:
        """Forgets a job for ever; False when there was none.

        The directory is first renamed away, so that a crash leaves the job either whole or gone. Raises
        CheckpointLocked while it has a writer, CheckpointStorageError.
        """
        directory = self.directory(job_id)
        try:
            if not directory.is_dir():
                return False
            lock = JobLock.acquire(job_id, directory, self.disk)
            try:
                grave = self.path / f"{_PURGED}{secrets.token_hex(8)}"
                self.disk.rename(directory, grave)
                self.disk.sync_directory(self.path)
            finally:
                lock.release()
            shutil.rmtree(grave)
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory), "purge") from error
        return True

    def _read_at(self, job_id: str, directory: Path, at: CheckpointId) -> tuple[dict[Any, Any], Recovery]:
        for number, data in read_generations(directory, self.disk):
            with contextlib.suppress(BadFile):
                state, contents = replay(job_id, number, data, self.keys, at.sequence)
                if contents.checkpoints[-1].id == at:
                    recovery = Recovery(number, at.sequence, False, (), False, contents.checkpoints)
                    return state.root, recovery
        raise CheckpointNotFound(str(at), str(self.path))

    def _info(self, folder: Path) -> JobInfo | None:
        try:
            numbers = generations(folder)
            files = [path.stat() for path in folder.iterdir()]
            owner = lock_owner(folder)
        except (FileNotFoundError, NotADirectoryError):  # purged meanwhile, or no directory of ours
            return None
        written = [(folder / file_name(number)).stat().st_mtime for number in numbers]
        return JobInfo(
            job_id=next(filter(None, (_job_in(folder / file_name(number)) for number in numbers)), folder.name),
            directory=folder,
            generations=tuple(numbers),
            size=sum(status.st_size for status in files),
            modified=max(written, default=0.0),
            locked=owner is not None,
            owner_pid=owner.pid if owner is not None else None,
        )

    def _check_access(self, writable: bool) -> None:
        if not self.path.is_dir():
            number = errno.ENOTDIR if self.path.exists() else errno.ENOENT
            raise OSError(number, os.strerror(number), str(self.path))
        if not os.access(self.path, os.R_OK | os.X_OK | (os.W_OK if writable else 0)):
            read_only = writable and os.statvfs(self.path).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            raise OSError(number, os.strerror(number), str(self.path))

    def _clear_purged(self) -> None:
        """Finishes purges that a crash interrupted."""
        for grave in self.path.glob(f"{_PURGED}*"):
            shutil.rmtree(grave, ignore_errors=True)


def _job_in(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return parse_header(stream.read(MAX_HEADER), file.name)[0].job
    except (BadFile, CheckpointTooNew, OSError):
        return None
