"""SnapshotKeeper: the one that writes the snapshots of a folder, for all CheckpointManagers on it."""

import time
from typing import Any

from scorewise_actors.actors.tracked import TrackedActor
from scorewise_actors.checkpoints import (
    CheckpointCorrupted,
    CheckpointError,
    Snapshot,
    SnapshotInfo,
    SnapshotStatus,
    SnapshotStore,
)
from scorewise_actors.events import EventHub, EventType, Severity
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

_REPORTED = 1000
"""Corrupted snapshots that are remembered, so that each is told once and not at every listing."""


class SnapshotKeeper(TrackedActor):
    """Permanent, one per folder and settings; started by the first manager that needs it. It keeps nothing but what is
    on disk, so a restart loses nothing. Errors of checkpoints are answers, not crashes.
    """

    component = "checkpoint"
    drains = True

    def __init__(self, events: EventHub, store: SnapshotStore) -> None:
        super().__init__(events)
        self._store = store
        self._reported: dict[str, None] = {}

    def handle(self, message: Any) -> Any:
        try:
            match message:
                case CreateSnapshot():
                    return self._create(message)
                case LoadSnapshot(id):
                    return self._load(id)
                case LoadLatest(job_id):
                    return self._load_latest(job_id)
                case ListSnapshots(job_id, limit):
                    return self._list(job_id, limit)
                case ValidateSnapshot(id):
                    return self._store.validate(id)
                case DeleteSnapshot(id):
                    return self._delete(id)
                case PurgeSnapshots(job_id):
                    return self._store.purge(job_id)
        except (CheckpointError, ValueError) as error:
            return Refused(error)
        return super().handle(message)

    def _create(self, message: CreateSnapshot) -> SnapshotInfo:
        began = time.perf_counter()
        info = self._store.create(
            message.job_id, message.content, now_ms=time.time_ns() // 1_000_000, token=message.token
        )
        self.emit(
            EventType.CHECKPOINT_CREATED,
            info.job_id,
            id=info.id,
            sequence_number=info.sequence_number,
            size=info.size,
            seconds=round(time.perf_counter() - began, 4),
        )
        return info

    def _load(self, snapshot_id: str) -> Snapshot | None:
        try:
            found = self._store.load(snapshot_id)
        except CheckpointCorrupted as damage:
            self._report(snapshot_id, damage.job, str(damage))
            raise
        if found is not None:
            self.emit(EventType.CHECKPOINT_LOADED, found.info.job_id, id=found.info.id)
        return found

    def _load_latest(self, job_id: str) -> Snapshot | None:
        for info in self._store.entries(job_id):
            if info.status is SnapshotStatus.CORRUPTED:
                self._report(info.id, job_id, info.problem or "")
                continue
            try:
                found = self._load(info.id)
            except CheckpointCorrupted:  # told; what is good is older
                continue
            if found is not None:
                return found
        return None

    def _list(self, job_id: str, limit: int | None) -> tuple[SnapshotInfo, ...]:
        found = tuple(self._store.entries(job_id, limit))
        for info in found:
            if info.status is SnapshotStatus.CORRUPTED:
                self._report(info.id, job_id, info.problem or "")
        return found

    def _delete(self, snapshot_id: str) -> bool:
        deleted = self._store.delete(snapshot_id)
        if deleted:
            self.emit(EventType.CHECKPOINT_DELETED, id=snapshot_id)
        return deleted

    def _report(self, snapshot_id: str, job_id: str, problem: str) -> None:
        if snapshot_id in self._reported:
            return
        self._reported[snapshot_id] = None
        while len(self._reported) > _REPORTED:
            del self._reported[next(iter(self._reported))]
        self.emit(EventType.CHECKPOINT_CORRUPTED, job_id, Severity.HIGH, id=snapshot_id, problem=problem)
