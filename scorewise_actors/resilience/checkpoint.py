"""``CheckpointManager``: jobs' states, several of each, that outlive crashes, power cuts, full disks and bit rot."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import math
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from policies.validation import is_number
from scorewise_actors.actors.snapshot_keeper import SnapshotKeeper
from scorewise_actors.checkpoints import (
    CheckpointCorrupted,
    CheckpointError,
    CheckpointKeyInvalid,
    CheckpointKeyMismatch,
    CheckpointNotSerializable,
    CheckpointStorageError,
    CheckpointTooNew,
    CheckpointUndecodable,
    KeyRing,
    SnapshotInfo,
    SnapshotStatus,
    SnapshotStore,
    draft,
    load_keys,
)
from scorewise_actors.checkpoints.keys import KEY_VARIABLE, key_file
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.messages.snapshots import (
    CreateSnapshot,
    DeleteSnapshot,
    ListSnapshots,
    LoadLatest,
    LoadSnapshot,
    PurgeSnapshots,
    Refused,
    ValidateSnapshot,
)
from scorewise_actors.resilience.callbacks import text_of
from scorewise_actors.resilience.configuration import CheckpointConfiguration, part_for
from scorewise_actors.resilience.connection import Connection, TreeClient
from scorewise_actors.resilience.errors import (
    CheckpointCorruptionError,
    CheckpointCreationError,
    CheckpointNotFoundError,
    CheckpointValidationError,
    ResilienceException,
)
from scorewise_actors.resilience.logs import log, stack_of
from supervisors.spec import ChildSpec

if TYPE_CHECKING:
    from scorewise_actors.checkpoints import Snapshot

DEADLINE = 60.0
"""Seconds that a call may take: a disk under load, or a network file system, answers late."""
NOTHING = str(uuid.UUID(int=0))
"""What ``create_checkpoint`` returns while checkpoints are switched off."""
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (CheckpointNotSerializable, "CHECKPOINT_NOT_SERIALIZABLE"),
    (CheckpointStorageError, "CHECKPOINT_STORAGE_FAILED"),
    (CheckpointKeyMismatch, "CHECKPOINT_KEY_MISMATCH"),
    (CheckpointKeyInvalid, "CHECKPOINT_KEY_INVALID"),
    (CheckpointTooNew, "CHECKPOINT_TOO_NEW"),
    (CheckpointUndecodable, "CHECKPOINT_UNDECODABLE"),
)


class CheckpointManager(TreeClient):
    """Snapshots of jobs' states, newest first, each loadable by its id.

    An asyncio client of the actor that writes the folder; managers on one folder share it, other processes may use the
    same folder. With ``enabled=False`` nothing is written or read: ``create_checkpoint`` returns the nil UUID, loading
    gives None, lists are empty.

    Every method raises ``TreeUnavailableError`` after ``close`` or without an event loop, and, if the actor is stuck,
    after a minute what it raises for an unreadable store.
    """

    component = "checkpoint"
    unavailable = CheckpointValidationError

    def __init__(
        self,
        config: CheckpointConfiguration | None = None,
        *,
        connection: Connection | None = None,
        key: bytes | str | None = None,
    ) -> None:
        """``connection`` is the tree of a running system. ``key`` as for ``load_keys``: 32 bytes or their base64; None
        takes ``SCOREWISE_CHECKPOINT_KEY``, or the key file, which is made on first use. Raises ``ConfigurationError``
        for an argument of another type.
        """
        self.config = part_for(self, config, CheckpointConfiguration)
        if not isinstance(key, bytes | str | None):
            raise ConfigurationError(
                f"CheckpointManager's key must be 32 bytes, their base64 or None, got a {type(key).__name__}"
            )
        super().__init__(connection)
        self._key = key
        self._child: ChildSpec | None = None
        self._last: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        """Opens the store, so that a bad folder or key is an error here."""
        await super().__aenter__()
        if self.config.enabled:
            await self._spec(CheckpointValidationError)
        return self

    # ---------------------------------------------------------------------------------------------------- the API

    async def create_checkpoint(self, job_id: str, data: dict[Any, Any], metadata: dict[Any, Any] | None = None) -> str:
        """Writes ``data``, a dict of values that have a form (see docs/checkpoint-format.md), and returns the id.

        The copy is made before anything is awaited: what the caller changes later is not in it. Durable on return.
        ``metadata`` is a small dict that lists show. The oldest checkpoints beyond ``retention_count`` are removed.
        Cancelled, the checkpoint may still be written. Raises ``CheckpointCreationError`` with the cause; earlier
        checkpoints are as they were.
        """
        self._require_open()
        if not self.config.enabled:
            return NOTHING
        try:
            content = draft(data, metadata)
        except CheckpointError as error:
            raise _translated(error, CheckpointCreationError) from error
        message = CreateSnapshot(job_id, content, os.urandom(16))
        info: SnapshotInfo = await self._ask(message, CheckpointCreationError)
        self._last[job_id] = time.monotonic()
        return info.id

    async def load_checkpoint(self, checkpoint_id: str) -> dict[Any, Any] | None:
        """The data behind an id, as it was given, types included; None when there is no such checkpoint.

        Raises ``CheckpointCorruptionError`` naming what is damaged, ``CheckpointValidationError`` for the wrong key, a
        newer format, a class that is not registered, or a disk that cannot be read.
        """
        found: Snapshot | None = await self._ask(LoadSnapshot(checkpoint_id))
        return None if found is None else found.data

    async def load_latest(self, job_id: str) -> dict[Any, Any] | None:
        """The newest data of a job that is intact; None without any. What is damaged is skipped, and told by an event
        and in the log. Raises ``CheckpointValidationError`` as ``load_checkpoint`` does.
        """
        found: Snapshot | None = await self._ask(LoadLatest(job_id))
        return None if found is None else found.data

    async def list_checkpoints(
        self, job_id: str, limit: int | None = None, *, include_corrupted: bool = False
    ) -> list[dict[str, Any]]:
        """The checkpoints of a job that can be loaded, newest first, at most ``limit``.

        Each a dict: ``id``, ``job_id``, ``timestamp`` (aware, UTC), ``sequence_number`` (from 1 on), ``status``
        (``ACTIVE``: the newest; ``COMPLETED``; with ``include_corrupted`` also ``CORRUPTED``, with ``problem``),
        ``metadata``, ``checksum`` (SHA-256 of the encoded data), ``schema_version``, ``size`` (bytes of the file).
        Raises ``CheckpointValidationError``, also for a ``limit`` that is no whole number of at least 0.
        """
        if limit is not None and (not isinstance(limit, int) or not is_number(limit, 0, math.inf)):
            raise CheckpointValidationError.because(
                f"limit must be a whole number of at least 0 or None, got {limit!r}", field="limit"
            )
        shown = {SnapshotStatus.ACTIVE, SnapshotStatus.COMPLETED}
        if include_corrupted:
            shown.add(SnapshotStatus.CORRUPTED)
        found: tuple[SnapshotInfo, ...] = await self._ask(ListSnapshots(job_id, limit))
        return [_as_dict(info) for info in found or () if info.status in shown]

    async def get_checkpoint(self, checkpoint_id: str) -> dict[str, Any]:
        """What ``list_checkpoints`` says of one. Raises ``CheckpointNotFoundError``, else as ``load_checkpoint``."""
        found: Snapshot | None = await self._ask(LoadSnapshot(checkpoint_id))
        if found is None:
            raise CheckpointNotFoundError.because(
                f"there is no checkpoint {checkpoint_id!r} in {self.config.storage_path}; list_checkpoints(job_id) "
                "shows those there are",
                id=checkpoint_id,
            )
        return _as_dict(found.info)

    async def validate_checkpoint(self, checkpoint_id: str) -> bool:
        """Whether it is there and as it was written: every digest, the seal, the checksum of the data.

        Raises ``CheckpointValidationError`` when that cannot be told: wrong key, newer format, unreadable disk.
        """
        return bool(await self._ask(ValidateSnapshot(checkpoint_id)))

    async def delete_checkpoint(self, checkpoint_id: str) -> bool:
        """Removes a checkpoint, durably; False when there was none. Its number is never given out again."""
        return bool(await self._ask(DeleteSnapshot(checkpoint_id)))

    async def delete_job(self, job_id: str) -> bool:
        """Removes all checkpoints of a job; False when it had none."""
        return bool(await self._ask(PurgeSnapshots(job_id)))

    def is_due(self, job_id: str) -> bool:
        """Whether ``interval`` seconds have passed since this manager's last checkpoint of the job."""
        last = self._last.get(job_id)
        return self.config.enabled and (last is None or time.monotonic() - last >= self.config.interval)

    @contextlib.asynccontextmanager
    async def periodic(
        self,
        job_id: str,
        state: Callable[[], dict[Any, Any]],
        metadata: Callable[[], dict[Any, Any]] | None = None,
    ) -> AsyncIterator[None]:
        """Takes a checkpoint of ``state()`` every ``interval`` seconds while the block runs, and one at its end.

        A periodic one that fails, or whose ``state`` raises, is told in the log and the next one is tried; the last one
        raises, unless the block itself has failed.
        """

        async def take() -> None:
            await self.create_checkpoint(job_id, state(), metadata() if metadata is not None else None)

        async def repeat() -> None:
            while True:
                await asyncio.sleep(self.config.interval)
                with self._told(job_id, "a periodic checkpoint"):
                    await take()

        task = asyncio.create_task(repeat())

        async def end() -> None:  # before the last one is taken, or an older state might come after it
            task.cancel()
            await asyncio.wait({task})

        try:
            yield
        except BaseException:
            await end()
            with self._told(job_id, "the last checkpoint"):
                await take()
            raise
        else:
            await end()
            await take()
        finally:
            task.cancel()

    @contextlib.contextmanager
    def _told(self, job_id: str, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the state is told by a user's function
            log(
                "WARNING",
                f"{what} of job {job_id} was not written: {text_of(error)}",
                stack=stack_of(error),
                job_id=job_id,
            )

    # ------------------------------------------------------------------------------------------------- the store

    async def _ask(self, message: Any, failed: type[ResilienceException] = CheckpointValidationError) -> Any:
        self._require_open()
        if not self.config.enabled:
            return None
        spec = await self._spec(failed)
        answer = await self._connection.call(spec.id, message, error=failed, deadline=DEADLINE, spec=spec)
        if isinstance(answer, Refused):
            raise _translated(answer.error, failed) from answer.error
        return answer

    async def _spec(self, failed: type[ResilienceException]) -> ChildSpec:
        """The keeper of this folder; opened in a thread, since it creates folders and the key file."""
        if self._child is None:
            try:
                self._child = await asyncio.to_thread(self._open)
            except (CheckpointError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
                raise _translated(error, failed) from error
        return self._child

    def _open(self) -> ChildSpec:
        config, events = self.config, self.events
        keys = self._keys() if config.encryption_enabled else None
        store = SnapshotStore(
            config.storage_path,
            keys,
            compress=config.compression_enabled,
            retention=config.retention_count,
            verify=config.validation_enabled,
        )
        settings = (
            str(store.path.resolve()),
            keys.ids if keys is not None else (),
            config.compression_enabled,
            config.retention_count,
            config.validation_enabled,
        )
        mark = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
        return ChildSpec(f"checkpoints-{mark}", lambda: SnapshotKeeper(events, store))

    def _keys(self) -> KeyRing:
        fresh = self._key is None and not os.environ.get(KEY_VARIABLE) and not key_file().exists()
        keys = load_keys(self._key, self.config.storage_path)
        if fresh:
            log(
                "INFO",
                f"made the key of the checkpoints in {key_file()}: without it they cannot be read, so keep a copy; "
                f"to use a key of your own set {KEY_VARIABLE} to 32 random bytes in base64, or give key=",
            )
        return keys


def _translated(error: Exception, failed: type[ResilienceException]) -> ResilienceException:
    """The API's error for one of the checkpoints', with the same text."""
    if isinstance(error, CheckpointCorrupted) and failed is not CheckpointCreationError:
        return CheckpointCorruptionError.because(str(error), job_id=error.job, file=error.file, offset=error.offset)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    facts = {name: getattr(error, name) for name in ("errno", "transient", "path") if hasattr(error, name)}
    return failed.because(str(error), code, **facts)


def _as_dict(info: SnapshotInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "job_id": info.job_id,
        "timestamp": dt.datetime.fromtimestamp(info.time_ms / 1000, dt.UTC),
        "sequence_number": info.sequence_number,
        "status": info.status.value,
        "metadata": info.metadata,
        "checksum": info.checksum,
        "schema_version": info.schema_version,
        "size": info.size,
    } | ({"problem": info.problem} if info.problem is not None else {})
