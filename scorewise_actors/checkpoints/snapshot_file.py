"""One snapshot file: what stands in it, and what it can tell. No I/O.

Its payload is lines of JSON: first the facts (schema, checksum of the data, metadata), then the operations that build
the data from nothing, as in a journal's snapshot. The facts stand in the first frame, so listing opens no more.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors.checkpoints.errors import CheckpointNotSerializable, CheckpointOpInvalid, CheckpointTooNew
from scorewise_actors.checkpoints.frames import BadFile, Frame, FrameDecoder, Header, parse_header
from scorewise_actors.checkpoints.keys import KeyRing
from scorewise_actors.checkpoints.ops import State, lowered_snapshot
from scorewise_actors.checkpoints.recovery import payload_lines, survey, whole_checkpoints
from scorewise_actors.checkpoints.snapshot_id import SnapshotId, folder_tail
from scorewise_actors.checkpoints.values import decode, dumps, lower

SCHEMA = "1.0.0"
"""Version of what stands in a snapshot. A higher first number is an error for an older library."""
MAX_METADATA = 64 * 1024
"""Bytes of encoded metadata; listing reads it, so large things belong into the data."""


class SnapshotStatus(StrEnum):
    """What a snapshot is to its job."""

    ACTIVE = "ACTIVE"
    """The newest intact one: a resuming job goes on from it."""
    COMPLETED = "COMPLETED"
    """Intact, with a newer one after it."""
    CORRUPTED = "CORRUPTED"
    """Not as it was written; loading it is an error."""
    EXPIRED = "EXPIRED"
    """More of them than are to be kept: removed by the next write."""


@attrs.frozen
class SnapshotInfo:
    """What is known of a snapshot without its data."""

    id: str
    """UUID."""
    job_id: str
    sequence_number: int
    """From 1 on, in the order of writing; never given out twice."""
    time_ms: int
    """Unix time in milliseconds, as the writer gave it."""
    status: SnapshotStatus
    size: int
    """Bytes of the file."""
    metadata: dict[str, Any] = attrs.field(factory=dict, hash=False)
    checksum: str = ""
    """SHA-256 of the encoded data, in hex."""
    schema_version: str = SCHEMA
    problem: str | None = None
    """What is wrong with a corrupted one. Then metadata and checksum are not known."""


@attrs.frozen
class Snapshot:
    """A loaded snapshot."""

    info: SnapshotInfo
    data: dict[Any, Any] = attrs.field(repr=False, hash=False)


@attrs.frozen
class Draft:
    """Data and metadata, copied and found to have a form: nothing that the caller does from now on changes it."""

    data: dict[str, Any] = attrs.field(repr=False, hash=False)
    metadata: dict[str, Any] = attrs.field(repr=False, hash=False)


def draft(data: object, metadata: object = None) -> Draft:
    """A consistent copy, about 3 ms for a state of 1 MB; the slow rest of the work is left to ``create``.

    Both are dicts. Raises CheckpointNotSerializable naming the path of the first value without a form.
    """
    for name, value in (("$", data), ("metadata", {} if metadata is None else metadata)):
        if type(value) is not dict:
            raise CheckpointNotSerializable(name, type(value), "a dict is expected; wrap it in one")
    lowered = lower({} if metadata is None else metadata, at="metadata")
    if len(dumps(lowered)) > MAX_METADATA:
        reason = f"it takes more than {MAX_METADATA} bytes; put large values into the data"
        raise CheckpointNotSerializable("metadata", dict, reason)
    return Draft(lower(data), lowered)


@attrs.frozen
class SnapshotFile:
    """One file whose digests are right. Everything that reads on raises BadFile for what only the key can tell."""

    id: SnapshotId
    header: Header
    frames: list[Frame]
    path: Path
    size: int

    @classmethod
    def of(cls, path: Path, wanted: SnapshotId, data: bytes, folder_of: Callable[[str], Path]) -> "SnapshotFile":
        """What stands in the file of ``wanted``; ``folder_of`` tells where a job belongs.

        Raises BadFile for damage, CheckpointTooNew.
        """
        header, line = parse_header(data, path.name)
        if folder_of(header.job) != path.parent:
            raise BadFile(0, f"the file belongs to job {header.job!r}")
        if SnapshotId.of(folder_tail(path.parent), header.salt, header.generation) != wanted:
            raise BadFile(0, f"the file is checkpoint {header.generation} under another name")
        contents = survey(header.job, header.generation, data, wanted.suffix)
        if len(contents.checkpoints) != 1 or contents.end != len(data):
            raise BadFile(contents.end, "there is more in the file than one checkpoint")
        return cls(wanted, header, next(whole_checkpoints(data, line)), path, len(data))

    @staticmethod
    def lines(content: Draft) -> tuple[str, list[bytes]]:
        """The checksum of the data, and the lines that stand in a file: first its facts, then the data."""
        lines = list(lowered_snapshot(content.data))
        checksum = checksum_of(lines)
        first = dumps({"schema": SCHEMA, "checksum": checksum, "metadata": content.metadata}) + b"\n"
        return checksum, [first, *lines]

    def info(self, keys: KeyRing | None) -> SnapshotInfo:
        """What is known without the data; opens the first frame only. Raises CheckpointKeyMismatch."""
        return self._info(self._decoder(keys).payload(self.frames[0]).partition(b"\n")[0])

    def snapshot(self, keys: KeyRing | None) -> Snapshot:
        """All of it. Raises CheckpointKeyMismatch, CheckpointUndecodable."""
        decoder = self._decoder(keys)
        start = self.frames[0].start
        first, *lines = payload_lines([decoder.payload(frame) for frame in self.frames], start)
        info = self._info(first)
        if checksum_of(line + b"\n" for line in lines) != info.checksum:
            raise BadFile(start, "the data does not have the checksum that was written with it")
        state = State()
        for line in lines:
            try:
                state.replay(line)
            except (CheckpointOpInvalid, ValueError) as error:
                raise BadFile(start, f"an operation does not fit: {error}") from error
        return Snapshot(info, state.root)

    def _decoder(self, keys: KeyRing | None) -> FrameDecoder:
        return FrameDecoder(self.header, str(self.path), keys)

    def _info(self, line: bytes) -> SnapshotInfo:
        try:
            content = decode(line)
            schema, checksum, metadata = content["schema"], content["checksum"], content["metadata"]
            newest = int(schema.partition(".")[0])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadFile(self.frames[0].start, f"it does not begin as a snapshot does: {error!r}") from error
        if newest > int(SCHEMA.partition(".")[0]):
            raise CheckpointTooNew(self.path.name, newest, 1)
        return SnapshotInfo(
            id=str(self.id),
            job_id=self.header.job,
            sequence_number=self.header.generation,
            time_ms=self.frames[0].time_ms,
            status=SnapshotStatus.COMPLETED,
            size=self.size,
            metadata=metadata,
            checksum=checksum,
            schema_version=schema,
        )


def damaged(job_id: str, wanted: SnapshotId, data: bytes, problem: str) -> SnapshotInfo:
    """What can be said of a corrupted file; its job is ``job_id`` unless the header tells."""
    time_ms = 0
    with contextlib.suppress(BadFile, CheckpointTooNew):  # the header is intact, most of the time
        header, _ = parse_header(data, wanted.file)
        time_ms, job_id = header.created, header.job
    return SnapshotInfo(
        id=str(wanted),
        job_id=job_id,
        sequence_number=wanted.sequence,
        time_ms=time_ms,
        status=SnapshotStatus.CORRUPTED,
        size=len(data),
        problem=problem,
    )


def checksum_of(lines: Iterable[bytes]) -> str:
    """SHA-256 of the encoded data, in hex."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    return digest.hexdigest()
