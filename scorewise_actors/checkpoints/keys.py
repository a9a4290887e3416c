"""Keys that seal checkpoints, and where they come from.

Sources in order: the argument, `SCOREWISE_CHECKPOINT_KEY`, a key file that is created on first use outside the storage
path, so that a copy of the checkpoints is not a copy of the key. A missing or wrong key fails here, before any work.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scorewise_actors.checkpoints.disk import DISK, Disk
from scorewise_actors.checkpoints.errors import CheckpointKeyInvalid, CheckpointStorageError

KEY_SIZE = 32
KEY_VARIABLE = "SCOREWISE_CHECKPOINT_KEY"
KEY_FILE_VARIABLE = "SCOREWISE_CHECKPOINT_KEY_FILE"
MAX_KEY_FILE = 65536


def _check_secret(_key: object, _field: object, secret: bytes) -> None:
    if type(secret) is not bytes or len(secret) != KEY_SIZE:
        raise CheckpointKeyInvalid(
            "an argument", f"expected {KEY_SIZE} bytes, got {len(secret)} in a {type(secret).__name__}"
        )


@attrs.frozen
class Key:
    """One secret of 32 random bytes."""

    secret: bytes = attrs.field(repr=False, validator=_check_secret)

    @property
    def id(self) -> str:
        """16 hex digits that name the key in file headers and messages; they do not reveal it."""
        return hashlib.sha256(b"scorewise checkpoint key id" + self.secret).hexdigest()[:16]

    def derive(self, salt: bytes) -> bytes:
        """The key of one file: with a key per file, random nonces never come near their limit (NIST SP 800-38D)."""
        return HKDF(hashes.SHA256(), KEY_SIZE, salt, b"scorewise checkpoint 1").derive(self.secret)

    def text(self) -> str:
        """The secret as base64, the form of the environment variable and of the key file."""
        return base64.b64encode(self.secret).decode("ascii")

    @classmethod
    def generate(cls) -> "Key":
        """A new random key."""
        return cls(secrets.token_bytes(KEY_SIZE))


@attrs.frozen
class KeyRing:
    """The first key writes, every key reads: put a new key in front to rotate."""

    keys: tuple[Key, ...] = attrs.field(validator=attrs.validators.min_len(1))

    @property
    def primary(self) -> Key:
        """The key that writes."""
        return self.keys[0]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the writing one first."""
        return tuple(key.id for key in self.keys)

    def find(self, key_id: str) -> Key | None:
        """The key with this id."""
        return next((key for key in self.keys if key.id == key_id), None)


def load_keys(
    explicit: bytes | str | None,
    storage_path: str | os.PathLike[str],
    environ: Mapping[str, str] = os.environ,
    *,
    disk: Disk = DISK,
) -> KeyRing:
    """The keys of a store in `storage_path`.

    `explicit` is a secret of 32 bytes or base64 text (a comma list: the first writes, all read). Without it
    `SCOREWISE_CHECKPOINT_KEY` is taken, then the key file at `SCOREWISE_CHECKPOINT_KEY_FILE`, by default
    `$XDG_DATA_HOME/scorewise/checkpoint.key` or `~/.local/share/scorewise/checkpoint.key`; it is created with mode 0600
    when it is missing, also when several processes do so at once.

    Raises CheckpointKeyInvalid for a source that cannot be trusted or read, CheckpointStorageError when the new key
    file cannot be written.
    """
    if isinstance(explicit, bytes):
        return KeyRing((Key(explicit),))
    if explicit is not None:
        return parse_keys(explicit, "the argument")
    if text := environ.get(KEY_VARIABLE):
        return parse_keys(text, KEY_VARIABLE)
    file = key_file(environ)
    if file.resolve().is_relative_to(Path(storage_path).resolve()):
        raise CheckpointKeyInvalid(
            str(file), f"it lies inside the storage path {storage_path}; set {KEY_FILE_VARIABLE} to a place outside"
        )
    try:
        if not file.exists():
            _create(file, disk)
        return _read(file)
    except OSError as error:
        raise CheckpointStorageError(error.errno or 0, str(file), "read or create the key file") from error


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the key file is, or would be created."""
    if named := environ.get(KEY_FILE_VARIABLE):
        return Path(named).expanduser()
    data = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return Path(data) / "scorewise" / "checkpoint.key"


def parse_keys(text: str, source: str) -> KeyRing:
    """Keys from base64 text, separated by commas or white space; raises CheckpointKeyInvalid naming `source`."""
    keys = []
    for number, part in enumerate(text.replace(",", " ").split(), 1):
        try:
            # Both alphabets of base64 are in use for keys.
            secret = base64.b64decode(part.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            raise CheckpointKeyInvalid(source, f"key {number} is not base64") from None
        if len(secret) != KEY_SIZE:
            raise CheckpointKeyInvalid(source, f"key {number} has {len(secret)} bytes, expected {KEY_SIZE}")
        keys.append(Key(secret))
    if not keys:
        raise CheckpointKeyInvalid(source, f"it is empty, expected base64 of {KEY_SIZE} bytes")
    return KeyRing(tuple(keys))


def _read(file: Path) -> KeyRing:
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())  # of what was opened, so that nobody can exchange it between check and use
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointKeyInvalid(str(file), "it is not a regular file")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise CheckpointKeyInvalid(str(file), f"mode {mode:04o} lets other users in; run: chmod 600 {file}")
        return parse_keys(stream.read(MAX_KEY_FILE).decode("ascii", "replace"), str(file))


def _create(file: Path, disk: Disk) -> None:
    """Writes a new key in full under another name and links it: of several creators exactly one wins."""
    disk.make_directories(file.parent)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    fd = disk.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            disk.write_all(fd, Key.generate().text().encode() + b"\n")
            disk.fsync(fd)
        finally:
            disk.close(fd)
        with contextlib.suppress(FileExistsError):
            disk.link(temporary, file)
        # The key, whoever made it, must outlive a power cut as surely as what it will seal.
        disk.sync_directory(file.parent)
    finally:
        disk.unlink(temporary)
