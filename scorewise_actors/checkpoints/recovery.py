"""From the files of a job back to its state: the newest generation whose snapshot is intact, then its deltas.

Only damage leads to an older generation. A wrong key, a newer format, an unknown class or a disk that cannot be read
raise instead, so that nobody goes on from an older state without knowing.
"""

from collections.abc import Iterator
from pathlib import Path

import attrs

from scorewise_actors.checkpoints.disk import Disk
from scorewise_actors.checkpoints.errors import CheckpointCorrupted, CheckpointOpInvalid
from scorewise_actors.checkpoints.frames import (
    BadFile,
    Frame,
    FrameDecoder,
    Header,
    first_digest,
    highest_sequence,
    parse_header,
    scan,
    scattered,
)
from scorewise_actors.checkpoints.generation import SUFFIX, file_name, generations
from scorewise_actors.checkpoints.keys import KeyRing
from scorewise_actors.checkpoints.ops import State

_READ_TRIES = 5


@attrs.frozen
class CheckpointId:
    """Names one checkpoint for ever: a number is given out once, and the digest tells a rolled back file."""

    job: str
    sequence: int
    digest: str
    """The first 12 hex digits of the digest of its last frame."""

    def __str__(self) -> str:
        return f"{self.job}:{self.sequence}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> "CheckpointId":
        """The id that `str` wrote; raises ValueError for anything else."""
        job, _, rest = text.rpartition(":")
        job, _, sequence = job.rpartition(":")
        if not job or not sequence.isdecimal() or not rest:
            raise ValueError(f"checkpoint id: expected job:sequence:digest, got {text!r}")
        return cls(job, int(sequence), rest)


@attrs.frozen
class CheckpointEntry:
    """One intact checkpoint in a file."""

    id: CheckpointId
    time_ms: int
    """Unix time in milliseconds, as the writer gave it."""
    size: int
    """Bytes in the file."""


@attrs.frozen
class Damage:
    """A place in a file that cannot be believed."""

    file: str
    offset: int
    reason: str
    lost: range
    """Sequence numbers of checkpoints that were written and cannot be loaded; empty when not known."""


@attrs.frozen
class Recovery:
    """What was found in the files of a job."""

    generation: int
    """Number of the generation that was loaded; 0 for a job without checkpoints."""
    sequence: int
    """Number of the last checkpoint that was loaded."""
    torn: bool
    """The file ends in a checkpoint that was cut off while it was written and never acknowledged: no loss."""
    damaged: tuple[Damage, ...]
    """Damage to what had been acknowledged; report it."""
    fallback: bool
    """An older generation had to be taken, because the newest is damaged at its start."""
    checkpoints: tuple[CheckpointEntry, ...]
    """The checkpoints in that generation up to the loaded one, oldest first."""


@attrs.frozen
class Recovered:
    """State and report, and what the writer needs to go on."""

    state: State
    recovery: Recovery
    tip: str
    """Digest of the last loaded frame, in hex; empty without one."""
    newest: int
    """The highest generation number in the directory."""
    highest: int
    """The highest sequence number that was ever given out, as far as the files tell."""


@attrs.frozen
class Contents:
    """The intact part of one generation file."""

    header: Header
    checkpoints: tuple[CheckpointEntry, ...]
    tip: str
    end: int
    """Offset behind the last whole checkpoint."""
    lost: range
    """Numbers of whole checkpoints behind something that is not intact; empty for a torn end."""
    size: int

    @property
    def torn(self) -> bool:
        """Bytes at the end belong to no checkpoint, and no whole one follows them."""
        return self.end < self.size and not self.lost


def recover(job: str, directory: Path, keys: KeyRing | None, disk: Disk) -> Recovered:
    """The newest state in `directory`; an empty one when it holds no generation.

    Raises CheckpointCorrupted when there are generations and none can be used, CheckpointKeyMismatch,
    CheckpointTooNew, CheckpointUndecodable, OSError.
    """
    damaged: list[Damage] = []
    highest = newest = 0
    for number, data in read_generations(directory, disk):
        newest = max(newest, number)
        file = file_name(number)
        try:
            state, contents = replay(job, number, data, keys)
        except BadFile as bad:
            highest = max(highest, highest_sequence(data, 0))
            damaged.append(Damage(file, bad.offset, bad.reason, range(0)))
            continue
        sequence = contents.checkpoints[-1].id.sequence
        highest = max(highest, sequence, highest_sequence(data, contents.end))
        damaged = [attrs.evolve(damage, lost=range(sequence + 1, highest + 1)) for damage in damaged]
        if contents.lost:
            damaged.append(Damage(file, contents.end, "the frame is damaged", contents.lost))
        recovery = Recovery(number, sequence, contents.torn, tuple(damaged), number != newest, contents.checkpoints)
        return Recovered(state, recovery, contents.tip, newest, highest)
    if damaged:
        first = damaged[0]
        raise CheckpointCorrupted(job, str(directory / first.file), first.offset, first.reason, range(1, highest + 1))
    return Recovered(State(), Recovery(0, 0, False, (), False, ()), "", 0, 0)


def read_generations(directory: Path, disk: Disk) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each generation, newest first, read when asked for.

    A live writer may prune a file between listing and reading: then a newer one has come, and the list is made anew.
    """
    for attempt in range(_READ_TRIES):
        try:
            numbers = generations(directory)
            for number in numbers:
                yield number, disk.read(directory / file_name(number))
            return
        except FileNotFoundError:
            if attempt == _READ_TRIES - 1:
                raise


def replay(job: str, number: int, data: bytes, keys: KeyRing | None, upto: int | None = None) -> tuple[State, Contents]:
    """The state in one generation file after its last whole checkpoint, or after number `upto`.

    Raises BadFile when not even the snapshot is intact, and what `recover` raises.
    """
    file = file_name(number)
    header, line = _own_header(job, number, data)
    decoder = FrameDecoder(header, file, keys)
    state = State()
    done: list[CheckpointEntry] = []
    tip, end, forged = "", len(line), False
    for frames in whole_checkpoints(data, line):
        if upto is not None and frames[-1].sequence > upto:
            break
        try:
            payload = [decoder.payload(frame) for frame in frames]
        except BadFile:
            if not done:
                raise
            forged = True
            break
        for text in payload_lines(payload, frames[0].start):
            try:
                state.replay(text)
            except (CheckpointOpInvalid, ValueError) as error:
                raise BadFile(frames[0].start, f"an operation does not fit: {error}") from error
        done.append(_entry(job, frames))
        tip, end = frames[-1].digest.hex(), frames[-1].end
    if not done:
        raise BadFile(len(line), "the snapshot is damaged")
    lost = _lost(data, end, done[-1].id.sequence, forged) if upto is None else range(0)
    return state, Contents(header, tuple(done), tip, end, lost, len(data))


def survey(job: str, number: int, data: bytes, suffix: str = SUFFIX) -> Contents:
    """What `replay` would find, by the digests alone: without the key, and without building the state."""
    header, line = _own_header(job, number, data, suffix)
    done: list[CheckpointEntry] = []
    tip, end = "", len(line)
    for frames in whole_checkpoints(data, line):
        done.append(_entry(job, frames))
        tip, end = frames[-1].digest.hex(), frames[-1].end
    if not done:
        raise BadFile(len(line), "the snapshot is damaged")
    lost = _lost(data, end, done[-1].id.sequence, forged=False)
    return Contents(header, tuple(done), tip, end, lost, len(data))


def whole_checkpoints(data: bytes, line: bytes) -> Iterator[list[Frame]]:
    """The frames of each checkpoint that is intact and complete, in order."""
    frames: list[Frame] = []
    for frame in scan(data, len(line), first_digest(line)):
        frames.append(frame)
        if not frame.more:
            yield frames
            frames = []


def payload_lines(payload: list[bytes], start: int) -> Iterator[bytes]:
    """The lines in the payloads of a checkpoint whose first frame is at `start`; raises BadFile for half a line."""
    rest = b""
    for part in payload:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    if rest:
        raise BadFile(start, "the payload ends within a line")


def _own_header(job: str, number: int, data: bytes, suffix: str = SUFFIX) -> tuple[Header, bytes]:
    header, line = parse_header(data, file_name(number, suffix))
    if header.job != job:
        raise BadFile(0, f"the file belongs to job {header.job!r}")
    if header.generation != number:
        raise BadFile(0, f"the file is generation {header.generation} under another name")
    return header, line


def _entry(job: str, frames: list[Frame]) -> CheckpointEntry:
    last = frames[-1]
    name = CheckpointId(job, last.sequence, last.digest.hex()[:12])
    return CheckpointEntry(name, last.time_ms, last.end - frames[0].start)


def _lost(data: bytes, end: int, sequence: int, forged: bool) -> range:
    """Damage is told from a torn end by position: behind a torn checkpoint there is never a later one."""
    beyond = max((frame.sequence for frame in scattered(data, end)), default=0)
    if beyond > sequence + 1 or (forged and beyond > sequence):
        return range(sequence + 1, beyond + 1)
    return range(0)
