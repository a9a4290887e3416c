"""Snapshots of user data: what comes back is what was given, by id, newest first, no more than are to be kept."""

import contextlib
import datetime as dt
import decimal
import hashlib
import json
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise_actors.checkpoints import (
    CheckpointKeyMismatch,
    CheckpointLocked,
    CheckpointNotSerializable,
    CheckpointStorageError,
    Key,
    KeyRing,
    SnapshotStatus,
    SnapshotStore,
    draft,
    snapshots,
)
from scorewise_actors.checkpoints.lock import JobLock
from scorewise_actors.checkpoints.ops import State, lowered_snapshot
from scorewise_actors.checkpoints.snapshot_id import SnapshotId, folder_tail
from scorewise_actors.checkpoints.values import lower

NAIVE = dt.datetime(2025, 1, 27, 12, 30)  # noqa: DTZ001 - users give them
STATE = {
    "items": ["a", "b"],
    "at": NAIVE,
    "zone": dt.datetime(2025, 1, 27, tzinfo=dt.UTC),
    "raw": b"\x00\xff",
    "price": decimal.Decimal("1.10"),
    "seen": {"x", 3},
    "pair": (1, None),
    "by number": {1: "one", 2.5: "two and a half"},
    "odd": {"$": "a key of ours"},
    "deep": {"list": [{"n": n, "when": dt.date(2025, 1, 1)} for n in range(700)]},
}


@pytest.fixture
def make_snapshots(tmp_path):
    """A snapshot store in a folder of its own."""
    return lambda keys=None, name="store", **options: SnapshotStore(tmp_path / name, keys, **options)


def write(store, count, job="job"):
    """Ids of ``count`` new snapshots, oldest first."""
    return [store.create(job, draft({"n": n}, {"completed_items": n}), now_ms=1000 + n).id for n in range(1, count + 1)]


def numbers(store, job="job", limit=None):
    return [info.sequence_number for info in store.entries(job, limit)]


def test_data_comes_back_as_it_was_given_types_included(make_snapshots, any_keys):
    """Naive and aware datetimes, bytes, decimals, sets, tuples, keys that are no strings, and long lists."""
    store = make_snapshots(any_keys)
    info = store.create("job", draft(STATE, {"took": 1.5, "since": NAIVE}), now_ms=5)
    found = store.load(info.id)
    assert found.data == STATE
    assert [type(value) for value in found.data.values()] == [type(value) for value in STATE.values()]
    assert found.info.metadata == {"took": 1.5, "since": NAIVE}
    assert (found.info.job_id, found.info.sequence_number, found.info.time_ms) == ("job", 1, 5)
    assert len(bytes.fromhex(found.info.checksum)) == 32
    assert uuid.UUID(info.id).version == 8


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers() | st.just("$"), inner),
    max_leaves=30,
)


@given(st.dictionaries(st.text() | st.integers() | st.just("$"), values))
@settings(max_examples=60, deadline=None)
def test_any_state_is_rebuilt_from_its_lines(state):
    """Lists and dicts of every size, tagged values among them, are taken apart and put together the same."""
    some = next(iter(state.values()), None)
    state["many"] = [{"some": some, "n": n} for n in range(300)]
    state["keyed"] = {n: n for n in range(300)}
    state["named"] = {f"n{n}": [some] for n in range(300)}
    built = State()
    for line in lowered_snapshot(lower(state)):
        built.replay(line)
    assert built.root == state
    assert list(built.root) == list(state)


def test_each_snapshot_is_loaded_by_its_id_and_the_newest_is_listed_first(make_snapshots, any_keys):
    """Several of one job stand beside each other; the limit counts from the newest."""
    store = make_snapshots(any_keys)
    ids = write(store, 4)
    assert [store.load(found).data["n"] for found in ids] == [1, 2, 3, 4]
    assert [info.id for info in store.entries("job")] == ids[::-1]
    assert [info.metadata["completed_items"] for info in store.entries("job", 2)] == [4, 3]
    assert [info.status for info in store.entries("job")] == [SnapshotStatus.ACTIVE] + [SnapshotStatus.COMPLETED] * 3
    assert numbers(store, limit=0) == []


def test_what_is_not_there_is_none(make_snapshots):
    """Ids of no kind, of other jobs, of other writings of the same number, and jobs without snapshots."""
    store, other = make_snapshots(), make_snapshots(name="other")
    (mine,) = write(store, 1)
    (foreign,) = write(other, 1)
    assert mine[:13] == foreign[:13], "the same job and number"
    for unknown in ("no-such-checkpoint", "", str(uuid.uuid4()), foreign, mine[:-1] + "9", mine[:-12] + "0" * 12):
        assert store.load(unknown) is None
        assert store.validate(unknown) is False
        assert store.delete(unknown) is False
    assert numbers(store, "nobody") == []
    assert store.purge("nobody") is False
    assert store.load(mine.upper()).data == {"n": 1}


def test_no_more_than_the_number_to_keep_are_kept(make_snapshots):
    """The oldest go, numbers go on, and a lowered number shows first as a status, then at the next write."""
    store = make_snapshots(retention=3)
    ids = write(store, 5)
    assert numbers(store) == [5, 4, 3]
    assert [store.load(old) for old in ids[:2]] == [None, None]
    fewer = make_snapshots(retention=1)
    assert [info.status.value for info in fewer.entries("job")] == ["ACTIVE", "EXPIRED", "EXPIRED"]
    assert store.load(ids[2]).data == {"n": 3}, "an expired one is there until the next write"
    write(fewer, 1)
    assert numbers(fewer) == [6]
    with pytest.raises(ValueError, match="retention: expected at least 1"):
        make_snapshots(retention=0)


def test_a_deleted_number_is_never_given_out_again(make_snapshots, any_keys):
    """Also when it was the newest, or the only one, and another store goes on."""
    store = make_snapshots(any_keys)
    ids = write(store, 2)
    assert store.delete(ids[1]) is True
    assert store.delete(ids[1]) is False
    assert numbers(store) == [1]
    assert store.delete(ids[0]) is True
    assert numbers(make_snapshots(any_keys)) == []
    (third,) = write(make_snapshots(any_keys), 1)
    assert numbers(store) == [3]
    names = sorted(path.name for path in next(store.path.iterdir()).iterdir())
    assert names == [f"00000003.{third[14:18]}{third[19:23]}.snap", "lock"], "a file is named for its id"


def test_a_purged_job_is_gone_and_begins_anew(make_snapshots):
    """Other jobs stay; an id from before is not taken for one from after."""
    store = make_snapshots()
    (old,), (other,) = write(store, 1), write(store, 1, "other")
    assert store.purge("job") is True
    write(store, 1)
    assert store.load(old) is None
    assert store.load(other).data == {"n": 1}


def test_what_has_no_form_is_refused_with_its_path(make_snapshots):
    """Data and metadata; both are dicts, and metadata is small because lists read it."""
    for data, metadata, words in (
        ({"results": [{"page": object()}]}, None, r"^\$\.results\[0\]\.page is a object"),
        ({}, {"page": object()}, r"^metadata\.page is a object"),
        ([1], None, r"^\$ is a list; a dict is expected; wrap it"),
        ({}, [1], r"^metadata is a list; a dict is expected"),
        ({}, {"page": "x" * 70_000}, "more than 65536 bytes; put large values into the data"),
    ):
        with pytest.raises(CheckpointNotSerializable, match=words):
            draft(data, metadata)


def test_what_changes_after_the_draft_is_not_in_the_snapshot(make_snapshots):
    """The copy is taken by the draft: the writing may be left to somebody else."""
    store, state = make_snapshots(), {"results": [{"n": 1}], "count": 1}
    content = draft(state)
    state["results"][0]["n"] = state["count"] = 2
    assert store.load(store.create("job", content, now_ms=1).id).data == {"results": [{"n": 1}], "count": 1}


def test_bad_arguments_are_named(make_snapshots):
    """Job ids, times and limits."""
    store = make_snapshots()
    with pytest.raises(ValueError, match="job_id: expected a non-empty string"):
        store.create("", draft({}), now_ms=1)
    with pytest.raises(ValueError, match="now_ms: expected milliseconds since 1970, got -1"):
        store.create("job", draft({}), now_ms=-1)
    with pytest.raises(ValueError, match="limit: expected at least 0"):
        list(store.entries("job", -1))


def test_nothing_of_the_data_can_be_read_without_the_key(make_snapshots, keys):
    """Sealed at rest, metadata included; a plain store is readable, and compression can be off."""
    content = draft({"completed_count": 1, "text": "completed_count" * 500}, {"completed_items": 3})
    sizes = {}
    for name, ring, compress in (("sealed", keys, True), ("plain", None, False), ("packed", None, True)):
        store = make_snapshots(ring, name, compress=compress)
        store.create("job", content, now_ms=1)
        (file,) = store.path.rglob("*.snap")
        sizes[name] = file.stat().st_size
        assert (b"completed" in file.read_bytes()) is (ring is None)
        assert file.stat().st_mode & 0o777 == 0o600
    assert sizes["packed"] < sizes["plain"] / 5


def test_the_wrong_key_is_an_error_and_never_an_older_state(make_snapshots, keys):
    """No key, another key, keys for a plain file: listing and loading say so; rotating keys works."""
    ids = write(make_snapshots(keys), 2)
    stranger = KeyRing((Key(b"s" * 32),))
    for ring in (None, stranger):
        wrong = make_snapshots(ring)
        for attempt, wanted in (
            (lambda job, w=wrong: list(w.entries(job)), "job"),
            (wrong.load, ids[1]),
            (wrong.validate, ids[0]),
        ):
            with pytest.raises(CheckpointKeyMismatch, match=keys.primary.id):
                attempt(wanted)
    write(make_snapshots(None, "plain"), 1)
    with pytest.raises(CheckpointKeyMismatch, match="not encrypted but this store is"):
        list(make_snapshots(keys, "plain").entries("job"))
    both = make_snapshots(KeyRing((*stranger.keys, *keys.keys)))
    write(both, 1)
    assert numbers(both) == [3, 2, 1]
    assert make_snapshots(stranger).load(next(both.entries("job")).id).data == {"n": 1}
    assert make_snapshots(stranger).delete(ids[0]) is True, "deleting needs no key"


WRITER = """
import sys
from scorewise_actors.checkpoints import SnapshotStore, draft
store = SnapshotStore(sys.argv[1], None, retention=1000)
print("up", flush=True)
sys.stdin.readline()
for n in range(40):
    print(store.create("job", draft({"who": sys.argv[2], "n": n}), now_ms=n).id, flush=True)
"""


def test_several_processes_and_threads_write_one_job(tmp_path):
    """Every number is given out once, and every acknowledged snapshot is there."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "up\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        store = SnapshotStore(tmp_path, None, retention=1000)
        ids = [[], []]

        def write_many(mine):
            mine.extend(store.create("job", draft({"n": n}), now_ms=n).id for n in range(20))

        threads = [threading.Thread(target=write_many, args=(mine,)) for mine in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        told = [line for writer in writers for line in writer.communicate(timeout=100)[0].split()]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait(timeout=60)
    acknowledged = [*told, *ids[0], *ids[1]]
    assert len(set(acknowledged)) == len(acknowledged) == 120
    assert sorted(numbers(store)) == list(range(1, 121))
    assert all(store.validate(one) for one in acknowledged)


def test_a_write_that_comes_twice_is_done_once(make_snapshots, any_keys):
    """Told by its token, while it is the newest and intact; what is damaged is written again."""
    store, token = make_snapshots(any_keys), b"t" * 16
    first = store.create("job", draft({"n": 1}), now_ms=1, token=token)
    assert store.create("job", draft({"n": 1}), now_ms=2, token=token) == first
    assert numbers(store) == [1]
    (file,) = store.path.rglob("*.snap")
    file.write_bytes(file.read_bytes()[:-1])
    second = store.create("job", draft({"n": 1}), now_ms=3, token=token)
    assert second.sequence_number == 2
    assert store.load(second.id).data == {"n": 1}


def test_without_the_lock_numbers_would_be_given_out_twice(make_snapshots, monkeypatch):
    """The test above can fail: two writers that look at the same time see the same highest number."""
    both, usual = threading.Barrier(2, timeout=60), snapshots._numbers

    class NoLock:
        def release(self):
            pass

    def look_together(directory):
        directory.mkdir(exist_ok=True)
        seen = usual(directory)
        both.wait()
        return seen

    monkeypatch.setattr(snapshots, "_numbers", look_together)
    monkeypatch.setattr(SnapshotStore, "_lock", lambda *_: NoLock())
    store = make_snapshots()

    def write_one():
        with contextlib.suppress(CheckpointStorageError):  # one may sweep the other's file away
            write(store, 1)

    writers = [threading.Thread(target=write_one) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert numbers(store) in ([1, 1], [1])


@given(st.integers(1, (1 << 48) - 1), st.binary(min_size=16, max_size=16), st.text("abc é", min_size=1, max_size=20))
def test_an_id_leads_to_its_file_and_back(sequence, salt, job):
    """It is a UUID of version 8, its text and its file name tell the same, and another salt makes another id."""
    folder = Path(f"x-{hashlib.sha256(job.encode()).hexdigest()[:12]}")
    one = SnapshotId.of(folder_tail(folder), salt.hex(), sequence)
    value = uuid.UUID(str(one))
    assert (value.version, value.variant) == (8, uuid.RFC_4122)
    assert SnapshotId.parse(str(one)) == SnapshotId.of_file(folder / one.file) == one
    other = bytes([salt[0] ^ 1, *salt[1:]])
    assert SnapshotId.of(folder_tail(folder), other.hex(), sequence) != one
    assert SnapshotId.of_file(folder / one.file.replace(".snap", ".tmp")) is None


def test_a_job_that_stays_locked_is_an_error_that_names_the_owner(make_snapshots):
    """A writer waits for another for a while, not for ever; what is there can be read meanwhile."""
    store = make_snapshots(patience=0.05)
    (first,) = write(store, 1)
    lock = JobLock.acquire("job", next(store.path.iterdir()))
    try:
        with pytest.raises(CheckpointLocked, match="job 'job' is being written by process"):
            write(store, 1)
        with pytest.raises(CheckpointLocked):
            store.delete(first)
        assert store.load(first).data == {"n": 1}
    finally:
        lock.release()
    assert len(write(store, 1)) == 1


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    """At construction, before any work."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointStorageError, match="use the checkpoint directory"):
        SnapshotStore(tmp_path / "file", None)


def test_the_head_of_a_file_can_be_read_by_people(make_snapshots, keys):
    """One line of JSON, without the key."""
    store = make_snapshots(keys)
    write(store, 1)
    (file,) = store.path.rglob("*.snap")
    head = json.loads(file.read_bytes().split(b"\n", 1)[0].rpartition(b" ")[0])
    assert (head["job"], head["generation"], head["cipher"]) == ("job", 1, "AES-256-GCM")
