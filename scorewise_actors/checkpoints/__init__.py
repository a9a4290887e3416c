"""Checkpoints that survive a crash, a power cut, a full disk and a flipped bit.

One directory per job holds numbered generation files: a snapshot of the state, then one frame per checkpoint, each
durable before it is acknowledged. The format is specified in docs/checkpoint-format.md. Plain blocking code: a journal
is used from one thread.

    store = CheckpointStore("data/checkpoints", load_keys(None, "data/checkpoints"))
    with store.open("league-2026") as journal:
        done = journal.state.get("done", {})
        journal.append([Set(("done",), {**done, "match/1": True})], now_ms=1_700_000_000_000)
"""

from scorewise_actors.checkpoints.disk import DISK, Disk
from scorewise_actors.checkpoints.errors import (
    CheckpointCorrupted,
    CheckpointError,
    CheckpointKeyInvalid,
    CheckpointKeyMismatch,
    CheckpointLocked,
    CheckpointNotFound,
    CheckpointNotSerializable,
    CheckpointOpInvalid,
    CheckpointStorageError,
    CheckpointTooNew,
    CheckpointUndecodable,
)
from scorewise_actors.checkpoints.generation import Growth
from scorewise_actors.checkpoints.journal import Journal
from scorewise_actors.checkpoints.keys import Key, KeyRing, load_keys
from scorewise_actors.checkpoints.ops import Delete, Extend, Op, Set, Splice, Update
from scorewise_actors.checkpoints.recovery import CheckpointEntry, CheckpointId, Damage, Recovery
from scorewise_actors.checkpoints.snapshot_file import Draft, Snapshot, SnapshotInfo, SnapshotStatus, draft
from scorewise_actors.checkpoints.snapshots import SnapshotStore
from scorewise_actors.checkpoints.store import CheckpointStore, JobInfo
from scorewise_actors.checkpoints.validation import FileCheck, Validation
from scorewise_actors.checkpoints.values import decode, encode, register

__all__ = [
    "DISK",
    "CheckpointCorrupted",
    "CheckpointEntry",
    "CheckpointError",
    "CheckpointId",
    "CheckpointKeyInvalid",
    "CheckpointKeyMismatch",
    "CheckpointLocked",
    "CheckpointNotFound",
    "CheckpointNotSerializable",
    "CheckpointOpInvalid",
    "CheckpointStorageError",
    "CheckpointStore",
    "CheckpointTooNew",
    "CheckpointUndecodable",
    "Damage",
    "Delete",
    "Disk",
    "Draft",
    "Extend",
    "FileCheck",
    "Growth",
    "JobInfo",
    "Journal",
    "Key",
    "KeyRing",
    "Op",
    "Recovery",
    "Set",
    "Snapshot",
    "SnapshotInfo",
    "SnapshotStatus",
    "SnapshotStore",
    "Splice",
    "Update",
    "Validation",
    "decode",
    "draft",
    "encode",
    "load_keys",
    "register",
]
