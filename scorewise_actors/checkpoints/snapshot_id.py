"""Ids of snapshots: UUIDs of version 8 (RFC 9562) that lead to their file without an index.

Bytes 0 to 5 are the start of the job's SHA-256, as in the name of its folder; 6 to 9 are the start of the file's salt,
but for the six bits of version and variant; 10 to 15 are the sequence number. The file is named for the last two. So a
number that was given out twice, in a folder that was rolled back, has two ids.
"""

import uuid
from pathlib import Path

import attrs

SUFFIX = ".snap"

_MAX_SEQUENCE = (1 << 48) - 1


@attrs.frozen
class SnapshotId:
    """One snapshot, for ever."""

    job: str
    """12 hex digits: the end of the name of the job's folder."""
    mark: str
    """8 hex digits from the file's salt."""
    sequence: int = attrs.field(validator=[attrs.validators.ge(1), attrs.validators.le(_MAX_SEQUENCE)])

    @classmethod
    def of(cls, job: str, salt: str, sequence: int) -> "SnapshotId":
        """The id of a file with this ``salt`` (hex) in the folder that ends with ``job``."""
        mark = bytearray.fromhex(salt[:8])
        mark[0] = mark[0] & 0x0F | 0x80
        mark[2] = mark[2] & 0x3F | 0x80
        return cls(job, mark.hex(), sequence)

    @classmethod
    def parse(cls, text: str) -> "SnapshotId | None":
        """The id that ``str`` wrote; None for everything else, such as a UUID of another kind."""
        try:
            value = uuid.UUID(text)
            digits = value.hex
            found = cls(digits[:12], digits[12:20], int(digits[20:], 16))
        except (ValueError, AttributeError, TypeError):
            return None
        return found if value.version == 8 and value.variant == uuid.RFC_4122 else None

    @classmethod
    def of_file(cls, path: Path) -> "SnapshotId | None":
        """The id that the name of a file tells; None for a file that is no snapshot."""
        number, _, mark = path.stem.partition(".")
        if path.suffix != SUFFIX or not (number.isascii() and number.isdigit()):
            return None
        return cls.parse(f"{folder_tail(path.parent)}{mark}{int(number):012x}")

    @property
    def suffix(self) -> str:
        """What follows the number in the file's name."""
        return f".{self.mark}{SUFFIX}"

    @property
    def file(self) -> str:
        """Name of the file: `00000012.8f3ab2c4.snap`."""
        return f"{self.sequence:08d}{self.suffix}"

    def __str__(self) -> str:
        return str(uuid.UUID(f"{self.job}{self.mark}{self.sequence:012x}"))


def folder_tail(directory: Path) -> str:
    """The 12 hex digits at the end of the name of a job's folder."""
    return directory.name[-12:]
