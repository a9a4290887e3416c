"""The form of a generation file: a header line, then frames chained by digest. Specified in docs/checkpoint-format.md.

The decoder is the mirror of the encoder; neither knows what the payload means. No I/O.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs
import lz4.block
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from scorewise_actors.checkpoints.errors import CheckpointKeyMismatch, CheckpointTooNew
from scorewise_actors.checkpoints.keys import KeyRing

FORMAT = 1
MAGIC = "scorewise-checkpoint"
CIPHER = "AES-256-GCM"
MAX_HEADER = 4096
MAX_PAYLOAD = 1 << 20
"""Bytes of payload in one frame, before compression; a longer checkpoint takes more frames."""

MARK = b"CKF1"
MORE, LZ4, SEALED, SNAPSHOT = 1, 2, 4, 8

_HEAD = struct.Struct("<4sB3xQQI")  # mark, flags, reserved, sequence, time in ms, body length; a CRC32 of these follows
_CRC = struct.Struct("<I")
HEAD_SIZE = _HEAD.size + _CRC.size
DIGEST_SIZE = 32
_NONCE_SIZE = 12
_MAX_BODY = MAX_PAYLOAD + _NONCE_SIZE + 16  # a payload that did not shrink, its nonce and its tag

try:
    LIBRARY_VERSION = version("scorewise-actors")
except PackageNotFoundError:  # run from a source tree that was never installed
    LIBRARY_VERSION = "unknown"


class BadFile(Exception):  # noqa: N818 - a signal to the recovery, which adds job and file and decides
    """What stands at `offset` cannot be believed."""

    def __init__(self, offset: int, reason: str) -> None:
        self.offset = offset
        self.reason = reason
        super().__init__(reason)


@attrs.frozen
class Header:
    """The first line of a generation file; readable with `head -1` and without the key."""

    job: str
    generation: int
    base: int
    """Sequence number of the snapshot."""
    prev: str
    """Last digest of the generation before, in hex; empty for the first."""
    created: int
    """Unix time in milliseconds."""
    cipher: str | None = None
    key: str | None = None
    """Id of the key, never the key."""
    salt: str = attrs.field(factory=lambda: os.urandom(16).hex())
    """In hex; the file's own key is derived from it."""
    version: str = LIBRARY_VERSION
    """Of the library that wrote the file; for people."""

    def line(self) -> bytes:
        """The header as it stands in the file: JSON, a space, the start of its own SHA-256, a newline."""
        content = {"magic": MAGIC, "format": FORMAT, **attrs.asdict(self)}
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        return text + b" " + _short_digest(text) + b"\n"


def parse_header(data: bytes, file: str) -> tuple[Header, bytes]:
    """Header and its line at the start of `data`.

    Raises BadFile for damage, CheckpointTooNew for an intact header of a later format; `file` is for that message.
    """
    line = data[: data.find(b"\n", 0, MAX_HEADER) + 1]
    text, _, digest = line[:-1].rpartition(b" ")
    if not line or _short_digest(text) != digest:
        raise BadFile(0, "not a checkpoint file, or its header is damaged")
    try:
        content: dict[str, Any] = json.loads(text)
        if content["magic"] != MAGIC:
            raise BadFile(0, "not a checkpoint file")
        if content["format"] > FORMAT:
            raise CheckpointTooNew(file, content["format"], FORMAT)
        return Header(**{field.name: content[field.name] for field in attrs.fields(Header)}), line
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(0, f"the header is not one of ours: {error!r}") from None


@attrs.frozen
class Frame:
    """One intact frame: its digest fits its bytes and the digest before it."""

    flags: int
    sequence: int
    time_ms: int
    head: bytes
    body: memoryview
    before: bytes
    """Digest of the frame before, or of the header line."""
    digest: bytes
    start: int
    end: int

    @property
    def more(self) -> bool:
        """Whether the checkpoint goes on in the next frame."""
        return bool(self.flags & MORE)


class FrameEncoder:
    """Turns payload into frames; holds the chain of one file. One thread."""

    def __init__(self, header: Header, line: bytes, keys: KeyRing | None, *, compress: bool) -> None:
        self.chain = hashlib.sha256(line).digest()
        self._job = header.job.encode()
        self._cipher = _file_cipher(header, keys, "the new file")
        self._compress = compress

    def checkpoint(self, parts: Iterable[bytes], sequence: int, time_ms: int, flags: int = 0) -> Iterator[bytes]:
        """The frames of one checkpoint whose payload is the concatenation of `parts`; only the last is without MORE."""
        payload = bytearray()
        for part in parts:
            payload += part
            while len(payload) > MAX_PAYLOAD:
                yield self._frame(bytes(payload[:MAX_PAYLOAD]), sequence, time_ms, flags | MORE)
                del payload[:MAX_PAYLOAD]
        yield self._frame(bytes(payload), sequence, time_ms, flags)

    def _frame(self, body: bytes, sequence: int, time_ms: int, flags: int) -> bytes:
        if self._compress:
            packed = lz4.block.compress(body)
            if len(packed) < len(body):
                body, flags = packed, flags | LZ4
        length = len(body)
        if self._cipher is not None:
            flags |= SEALED
            length += _NONCE_SIZE + 16
        head = _HEAD.pack(MARK, flags, sequence, time_ms, length)
        head += _CRC.pack(zlib.crc32(head))
        if self._cipher is not None:
            # Random and not counted: after a torn write a counter would seal other bytes under the same nonce.
            nonce = os.urandom(_NONCE_SIZE)
            body = nonce + self._cipher.encrypt(nonce, body, self._job + head + self.chain)
        self.chain = _digest(self.chain, head, body)
        return head + body + self.chain


class FrameDecoder:
    """Gets the payload out of intact frames of one file."""

    def __init__(self, header: Header, file: str, keys: KeyRing | None) -> None:
        self._job = header.job.encode()
        self._cipher = _file_cipher(header, keys, file)

    def payload(self, frame: Frame) -> bytes:
        """What the encoder was given; raises BadFile when the frame was forged or is not of this job."""
        body: bytes | memoryview = frame.body
        if self._cipher is not None:  # whatever the frame says of itself: a plain one must not slip in
            try:
                body = self._cipher.decrypt(
                    bytes(body[:_NONCE_SIZE]), bytes(body[_NONCE_SIZE:]), self._job + frame.head + frame.before
                )
            except InvalidTag:
                raise BadFile(
                    frame.start, "authentication failed: the frame was altered by someone without the key"
                ) from None
        if not frame.flags & LZ4:
            return bytes(body)
        if int.from_bytes(body[:4], "little") > MAX_PAYLOAD:
            raise BadFile(frame.start, "the frame claims more payload than any frame holds")
        try:
            payload: bytes = lz4.block.decompress(body)
        except lz4.block.LZ4BlockError as error:
            raise BadFile(frame.start, f"decompression failed: {error}") from None
        return payload


def first_digest(line: bytes) -> bytes:
    """What the first frame is chained to."""
    return hashlib.sha256(line).digest()


def scan(data: bytes, start: int, chain: bytes) -> Iterator[Frame]:
    """The frames from `start` on, each chained to the one before; ends at the first that is not intact."""
    while (frame := _frame_at(data, start, chain)) is not None:
        yield frame
        start, chain = frame.end, frame.digest


def scattered(data: bytes, start: int) -> Iterator[Frame]:
    """The frames from `start` on that are intact by themselves, wherever they stand: what lies behind damage.

    Each is checked against the 32 bytes before it, where the digest of its predecessor stands.
    """
    while (start := data.find(MARK, start)) >= 0:
        frame = _frame_at(data, start, data[start - DIGEST_SIZE : start])
        if frame is not None:
            yield frame
        start = frame.end if frame is not None else start + 1


def highest_sequence(data: bytes, start: int) -> int:
    """The highest sequence number in any frame head from `start` on whose CRC fits; 0 without one.

    The body may be damaged: a number that was given out once is never given out again.
    """
    highest = 0
    while (start := data.find(MARK, start)) >= 0:
        head = data[start : start + HEAD_SIZE]
        if len(head) == HEAD_SIZE and _CRC.unpack(head[_HEAD.size :])[0] == zlib.crc32(head[: _HEAD.size]):
            highest = max(highest, _HEAD.unpack_from(head)[2])
        start += 1
    return highest


def _frame_at(data: bytes, start: int, chain: bytes) -> Frame | None:
    head = data[start : start + HEAD_SIZE]
    if len(head) < HEAD_SIZE or _CRC.unpack(head[_HEAD.size :])[0] != zlib.crc32(head[: _HEAD.size]):
        return None
    mark, flags, sequence, time_ms, length = _HEAD.unpack_from(head)
    end = start + HEAD_SIZE + length + DIGEST_SIZE
    if mark != MARK or length > _MAX_BODY or end > len(data):
        return None
    body = memoryview(data)[start + HEAD_SIZE : end - DIGEST_SIZE]
    digest = data[end - DIGEST_SIZE : end]
    if _digest(chain, head, body) != digest:
        return None
    return Frame(flags, sequence, time_ms, head, body, chain, digest, start, end)


def _file_cipher(header: Header, keys: KeyRing | None, file: str) -> AESGCM | None:
    if header.cipher is None:
        if keys is not None:
            raise CheckpointKeyMismatch(file, None, keys.ids)
        return None
    key = keys.find(header.key) if keys is not None and header.key is not None else None
    if key is None:
        raise CheckpointKeyMismatch(file, header.key, keys.ids if keys is not None else ())
    return AESGCM(key.derive(bytes.fromhex(header.salt)))


def _digest(chain: bytes, head: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(chain + head)
    digest.update(body)
    return digest.digest()


def _short_digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
