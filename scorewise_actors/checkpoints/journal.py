"""The journal of one job: its state in memory, and on disk every change that made it."""

import contextlib
import errno
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from scorewise_actors.checkpoints.errors import CheckpointError, CheckpointStorageError
from scorewise_actors.checkpoints.frames import CIPHER, Header
from scorewise_actors.checkpoints.generation import TEMPORARY, GenerationFile, file_name, generations
from scorewise_actors.checkpoints.lock import JobLock
from scorewise_actors.checkpoints.ops import Op, Undo, snapshot
from scorewise_actors.checkpoints.recovery import CheckpointId, Recovered, Recovery, recover

if TYPE_CHECKING:
    from scorewise_actors.checkpoints.store import CheckpointStore


class Journal:
    """The only writer of one job. Blocking; all calls from one thread.

    A new generation is written by the first append after opening, when the deltas have outgrown the snapshot, and
    after a sync that failed. When an append raises an Exception the state is as before it; when it is interrupted by
    another BaseException (KeyboardInterrupt, the kill of its actor) the journal is closed and must be opened again.
    """

    def __init__(self, store: "CheckpointStore", job: str, directory: Path, lock: JobLock, found: Recovered) -> None:
        self._store = store
        self._disk = store.disk
        self._job = job
        self._directory = directory
        self._lock = lock
        self._state = found.state
        self._recovery = found.recovery
        self._tip = found.tip
        self._sequence = found.recovery.sequence
        self._next = found.highest + 1
        self._newest = found.newest  # number of the last generation that may be in the directory
        self._sound = found.recovery.generation  # number of the generation that holds the current state
        self._file: GenerationFile | None = None
        self._open = True

    @classmethod
    def open(cls, store: "CheckpointStore", job_id: str) -> "Journal":
        """Locks the job, recovers its state and clears what an interrupted write left behind; writes nothing else.

        Raises CheckpointLocked, CheckpointKeyMismatch, CheckpointTooNew, CheckpointCorrupted, CheckpointUndecodable,
        CheckpointStorageError.
        """
        directory = store.directory(job_id)
        disk = store.disk
        try:
            lock = JobLock.acquire(job_id, directory, disk)
            try:
                found = recover(job_id, directory, store.keys, disk)
                if found.newest == 0:
                    disk.sync_directory(directory.parent)
                for leftover in directory.glob(f"*{TEMPORARY}"):
                    disk.unlink(leftover)
                return cls(store, job_id, directory, lock, found)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory), "open the journal in") from error

    @property
    def job_id(self) -> str:
        """The job."""
        return self._job

    @property
    def state(self) -> dict[Any, Any]:
        """The state after the last append, not a copy: read it, never change it."""
        return self._state.root

    @property
    def recovery(self) -> Recovery:
        """What was found on opening."""
        return self._recovery

    @property
    def sequence(self) -> int:
        """Number of the last durable checkpoint; 0 before the first."""
        return self._sequence

    def append(self, ops: Sequence[Op], *, now_ms: int) -> CheckpointId:
        """Carries out `ops` as one: all are durable on return, or none happened.

        `now_ms` is the Unix time in milliseconds that the checkpoint is stamped with. The state takes copies of the
        values. Raises CheckpointNotSerializable and CheckpointOpInvalid for what cannot be done, and
        CheckpointStorageError when the disk refuses; the next append may succeed.
        """
        if not self._open:
            raise CheckpointError(f"the journal of job {self._job!r} is closed; open it again")
        if not 0 <= now_ms < 1 << 63:
            raise ValueError(f"now_ms: expected milliseconds since 1970, got {now_ms}")
        lines: list[bytes] = []
        undos: list[Undo] = []
        try:
            for op in ops:
                line, undo = self._state.change(op)
                lines.append(line)
                undos.append(undo)
            self._tip = self._write(lines, now_ms)
            self._sequence = self._next
            self._next += 1
        except Exception as failure:
            for undo in reversed(undos):
                undo()
            if isinstance(failure, OSError):
                raise CheckpointStorageError(
                    failure.errno or 0, str(self._directory), "write a checkpoint in"
                ) from failure
            raise
        except BaseException:  # interrupted at any point: only the files know what happened, so open them again
            self.close()
            raise
        return CheckpointId(self._job, self._sequence, self._tip[:12])

    def close(self) -> None:
        """Gives the job free; again is harmless. Nothing is written: every append was durable."""
        self._open = False
        self._forget_file()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, lines: list[bytes], now_ms: int) -> str:
        """Makes the changed state durable; returns the digest of its last frame in hex."""
        if self._file is not None and not self._file.clean:
            self._forget_file()
        file = self._file
        if file is None:
            return self._begin(now_ms)
        if file.outgrown:
            try:
                return self._begin(now_ms)
            except OSError:
                if self._file is not file:  # the new file may have its name already: the old one no longer counts
                    raise
                file.postpone(self._store.growth)
        try:
            file.append(lines, self._next, now_ms)
        except Exception:
            if not file.clean:
                self._next += 1  # the frame may have reached the disk: its number is used up
            raise
        return file.tip.hex()

    def _begin(self, now_ms: int) -> str:
        """Writes the state as a new generation and goes on in it."""
        try:
            file = self._prepare(now_ms)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._prune(keep_newest=0):
                raise
            file = self._prepare(now_ms)
        self._forget_file()
        self._newest = file.number
        try:
            file.publish()
        except BaseException:
            file.close()
            self._next += 1
            raise
        self._file = file
        self._prune(keep_newest=2)
        self._sound = file.number
        return file.tip.hex()

    def _prepare(self, now_ms: int) -> GenerationFile:
        keys = self._store.keys
        header = Header(
            job=self._job,
            generation=self._newest + 1,
            base=self._next,
            prev=self._tip,
            created=now_ms,
            cipher=CIPHER if keys is not None else None,
            key=keys.primary.id if keys is not None else None,
        )
        file = GenerationFile(self._directory, header, keys, self._disk, compress=self._store.compress)
        file.prepare(snapshot(self._state.root), self._next, now_ms, self._store.growth)
        return file

    def _prune(self, *, keep_newest: int) -> bool:
        """Removes generations that are neither among the newest nor the one that the state came from; True if any."""
        removed = False
        with contextlib.suppress(OSError):  # what stays is removed the next time
            for number in generations(self._directory)[keep_newest:]:
                if number != self._sound:
                    self._disk.unlink(self._directory / file_name(number))
                    removed = True
        return removed

    def _forget_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
