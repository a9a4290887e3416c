"""Whether the files of a job are as they were written; told from the digests alone, without the key."""

from pathlib import Path

import attrs

from scorewise_actors.checkpoints.disk import Disk
from scorewise_actors.checkpoints.frames import BadFile
from scorewise_actors.checkpoints.generation import file_name
from scorewise_actors.checkpoints.recovery import Contents, read_generations, survey


@attrs.frozen
class FileCheck:
    """What was found in one generation file."""

    file: str
    generation: int
    checkpoints: int
    """Intact ones, from the start of the file."""
    torn: bool
    """The end was cut off while it was written: no loss, and no problem."""
    problem: str | None
    """None for an intact file."""
    lost: range
    """Sequence numbers that stand in the file and cannot be read; empty when not known."""


@attrs.frozen
class Validation:
    """The check of all files of a job, newest first."""

    job_id: str
    files: tuple[FileCheck, ...]

    @property
    def ok(self) -> bool:
        """No file has a problem."""
        return all(check.problem is None for check in self.files)


def validate_files(job: str, directory: Path, disk: Disk) -> Validation:
    """Checks every digest, and that each generation goes on from one before it. Raises CheckpointTooNew, OSError."""
    found: list[Contents | BadFile] = []
    numbers: list[int] = []
    for number, data in read_generations(directory, disk):
        numbers.append(number)
        try:
            found.append(survey(job, number, data))
        except BadFile as bad:
            found.append(bad)
    checks = (
        _check(number, contents, found[index + 1 :])
        for index, (number, contents) in enumerate(zip(numbers, found, strict=True))
    )
    return Validation(job, tuple(checks))


def _check(number: int, contents: Contents | BadFile, older: list[Contents | BadFile]) -> FileCheck:
    file = file_name(number)
    if isinstance(contents, BadFile):
        return FileCheck(file, number, 0, torn=False, problem=str(contents), lost=range(0))
    problem = None
    if contents.lost:
        problem = f"damaged at byte {contents.end}"
    elif not _goes_on(contents, older):
        problem = "no older generation ends where this one begins: one of them was exchanged or cut"
    return FileCheck(file, number, len(contents.checkpoints), contents.torn, problem, contents.lost)


def _goes_on(contents: Contents, older: list[Contents | BadFile]) -> bool:
    known = [other for other in older if isinstance(other, Contents) and not other.lost]
    if not contents.header.prev or not known or len(known) < len(older):
        return True  # nothing to compare with, or the end it went on from may lie in what is damaged
    return any(entry.id.digest == contents.header.prev[:12] for other in known for entry in other.checkpoints)
