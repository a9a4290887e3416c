"""The codec, checked against a reader that was written from docs/checkpoint-format.md alone."""

import hashlib
import hmac
import json
import struct
import zlib

import lz4.block
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise_actors.checkpoints import Delete, Extend, Key, KeyRing, Set, Splice, Update, frames


def documented_lines(data, secret=None):
    """The operations in a generation file by the document's tables, checkpoint by checkpoint."""
    line = data[: data.index(b"\n") + 1]
    text, check = line[:-1].rsplit(b" ", 1)
    assert hashlib.sha256(text).hexdigest()[:16].encode() == check
    header = json.loads(text)
    digest, place, payload = hashlib.sha256(line).digest(), len(line), b""
    while place < len(data):
        head = data[place : place + 32]
        mark, flags, reserved, sequence, time_ms, length, crc = struct.unpack("<4sB3sQQII", head)
        assert (mark, reserved, crc) == (b"CKF1", b"\0\0\0", zlib.crc32(head[:28]))
        body = data[place + 32 : place + 32 + length]
        before, digest = digest, hashlib.sha256(digest + head + body).digest()
        assert data[place + 32 + length : place + 64 + length] == digest
        if flags & 4:
            prk = hmac.digest(bytes.fromhex(header["salt"]), secret, "sha256")
            key = hmac.digest(prk, b"scorewise checkpoint 1\x01", "sha256")
            body = AESGCM(key).decrypt(body[:12], body[12:], header["job"].encode() + head + before)
        payload += lz4.block.decompress(body) if flags & 2 else body
        if not flags & 1:
            yield sequence, time_ms, bool(flags & 8), [json.loads(op) for op in payload.splitlines()]
            payload = b""
        place += 64 + length


def test_a_file_is_as_documented(make_store, any_keys, files_of):
    """Header, frames, chain, seal, payload, operations and values read by the document give what was appended."""
    store = make_store(any_keys)
    with store.open("league/2026") as journal:
        journal.append([Set(("list",), ["é" * 100, (1, 2)]), Set(("dict",), {})], now_ms=1_700_000_000_000)
        journal.append([Extend(("list",), [b"\0"]), Update(("dict",), {"a": None})], now_ms=1_700_000_000_001)
        journal.append([Splice(("list",), 1, []), Delete(("dict", "a")), Set(("n",), {1: 2})], now_ms=1_700_000_000_002)
    (file,) = files_of(store, "league/2026")
    header = json.loads(file.read_bytes().split(b"\n")[0].rsplit(b" ", 1)[0])
    assert header["magic"] == "scorewise-checkpoint"
    assert (header["format"], header["job"], header["generation"], header["base"]) == (1, "league/2026", 1, 1)
    assert (header["cipher"], header["key"]) == (("AES-256-GCM", any_keys.primary.id) if any_keys else (None, None))
    tuple_form = {"$": "tuple", "v": [1, 2]}
    secret = any_keys.primary.secret if any_keys else None
    assert list(documented_lines(file.read_bytes(), secret)) == [
        (1, 1_700_000_000_000, True, [["=", [], {}], ["|", [], {"list": ["é" * 100, tuple_form], "dict": {}}]]),
        (
            2,
            1_700_000_000_001,
            False,
            [["+", ["list"], [{"$": "bytes", "v": "AA=="}]], ["|", ["dict"], {"a": None}]],
        ),
        (
            3,
            1_700_000_000_002,
            False,
            [["~", ["list"], 1, []], ["-", ["dict", "a"]], ["=", ["n"], {"$": "dict", "v": [[1, 2]]}]],
        ),
    ]


def test_the_secret_is_nowhere_in_a_sealed_file(make_store, keys, files_of):
    """Neither the key nor a word of the state can be read."""
    store = make_store(keys, compress=False)
    with store.open("job") as journal:
        journal.append([Set(("cookie",), "session=very-secret")], now_ms=1)
    data = files_of(store)[0].read_bytes()
    for secret in (keys.primary.secret, keys.primary.secret.hex().encode(), b"very-secret", b"cookie"):
        assert secret not in data


def test_no_nonce_is_used_twice(make_store, keys, files_of):
    """Nor is the key of one file the key of another: AES-GCM breaks when a key meets a nonce again."""
    store = make_store(keys)
    for _ in range(2):
        with store.open("job") as journal:
            for number in range(3):
                journal.append([Set(("n",), number)], now_ms=1)
    nonces, salts = [], []
    for file in files_of(store):
        data = file.read_bytes()
        header, line = frames.parse_header(data, file.name)
        salts.append(header.salt)
        nonces += [bytes(frame.body[:12]) for frame in frames.scan(data, len(line), frames.first_digest(line))]
    assert len(set(nonces)) == len(nonces) >= 6
    assert len(set(salts)) == len(salts) == 2


@settings(deadline=None)
@given(
    parts=st.lists(st.binary(max_size=60), max_size=8),
    compress=st.booleans(),
    sealed=st.booleans(),
    rest=st.integers(-2, 2),
)
def test_any_payload_comes_back(parts, compress, sealed, rest):
    """What is put in frames comes out again, also when it is about as long as a frame."""
    ring = KeyRing((Key(b"k" * 32),)) if sealed else None
    header = frames.Header("job", 1, 1, "", 0, frames.CIPHER if sealed else None, ring.primary.id if ring else None)
    line = header.line()
    assert frames.parse_header(line + b"more", "file") == (header, line)
    encoder = frames.FrameEncoder(header, line, ring, compress=compress)
    long = [b"x" * (frames.MAX_PAYLOAD + rest)] if len(parts) == 8 else []
    data = line + b"".join(encoder.checkpoint([*parts, *long], 7, 8))
    found = list(frames.scan(data, len(line), frames.first_digest(line)))
    decoder = frames.FrameDecoder(header, "file", ring)
    assert b"".join(map(decoder.payload, found)) == b"".join([*parts, *long])
    assert [frame.more for frame in found] == [True] * (len(found) - 1) + [False]
    assert found[-1].end == len(data)
    assert encoder.chain == found[-1].digest


@pytest.mark.parametrize("cut", [0, 1, 31, 63, 64])
def test_half_a_frame_is_no_frame(cut):
    """Whatever is cut off, the scan ends before it."""
    header = frames.Header("job", 1, 1, "", 0)
    line = header.line()
    data = line + b"".join(frames.FrameEncoder(header, line, None, compress=True).checkpoint([], 1, 1))
    assert len(list(frames.scan(data[: len(line) + cut], len(line), frames.first_digest(line)))) == (cut == 64)


def test_a_frame_that_claims_too_much_is_refused():
    """A plain file from a stranger cannot make the reader allocate gigabytes."""
    header = frames.Header("job", 1, 1, "", 0)
    decoder = frames.FrameDecoder(header, "file", None)
    body = (0x7E000000).to_bytes(4, "little") + b"\0" * 20
    frame = frames.Frame(frames.LZ4, 1, 1, b"", memoryview(body), b"", b"", 0, 0)
    with pytest.raises(frames.BadFile, match="claims more payload"):
        decoder.payload(frame)
