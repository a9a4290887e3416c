"""Snapshots on files that rot, disks that refuse, power that fails and processes that are killed.

Nothing is listed before it is durable, nothing that was acknowledged is lost, damage to one costs that one only.
"""

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys

import attrs
import pytest

from scorewise_actors.checkpoints import (
    CheckpointCorrupted,
    CheckpointError,
    CheckpointStorageError,
    CheckpointTooNew,
    Disk,
    Key,
    KeyRing,
    SnapshotStatus,
    SnapshotStore,
    draft,
    frames,
    snapshot_file,
)
from tests.checkpoints.power_cuts import Place, RecordingDisk, disks_after

JOB = "job"


def content(number):
    return draft({"n": number, "text": f"é{number} " * 9}, {"completed_items": number})


def write(store, count):
    return [store.create(JOB, content(number), now_ms=number).id for number in range(1, count + 1)]


def files_of(store):
    return sorted(store.path.rglob("*.snap"))


def flip(file, place):
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << place % 8
    file.write_bytes(data)


# ------------------------------------------------------------------------------------------------------------ damage


def test_a_corrupted_newest_leaves_the_last_known_good_one(tmp_path, any_keys):
    """The list skips it and says so; loading it is an error that names job, file, place and remedy."""
    store = SnapshotStore(tmp_path, any_keys)
    ids = write(store, 3)
    newest = files_of(store)[-1]
    flip(newest, newest.stat().st_size // 2)
    found = list(store.entries(JOB, 1))
    assert [(info.id, info.status.value) for info in found] == [(ids[2], "CORRUPTED"), (ids[1], "ACTIVE")]
    assert found[0].problem.startswith("at byte ")
    with pytest.raises(
        CheckpointCorrupted, match=r"job 'job': .*00000003\.\w{8}\.snap at byte .*; load an older checkpoint"
    ):
        store.load(ids[2])
    assert [store.validate(one) for one in ids] == [True, True, False]
    assert store.load(ids[1]).data["n"] == 2
    assert write(store, 1)
    assert store.delete(ids[2]) is True
    assert [info.sequence_number for info in store.entries(JOB)] == [4, 2, 1]


def outcome_of_damage(store, ids, newest):
    """What is wrong about the answers when only the newest of three files is damaged; None when nothing is."""
    found = list(store.entries(JOB))
    if [info.id for info in found[1:]] != [ids[1], ids[0]] or found[0].status is not SnapshotStatus.CORRUPTED:
        return f"listed: {found}"
    try:
        loaded = store.load(ids[2])
    except CheckpointCorrupted:
        return None
    return f"loaded {loaded} from {newest}"


def test_a_bit_may_flip_anywhere(tmp_path, any_keys):
    """Every flip is found, none costs another snapshot, and the damaged one is never given out."""
    store = SnapshotStore(tmp_path, any_keys)
    ids = write(store, 3)
    newest = files_of(store)[-1]
    for place in range(newest.stat().st_size):
        flip(newest, place)
        assert outcome_of_damage(store, ids, newest) is None, place
        flip(newest, place)


def test_a_file_may_be_cut_anywhere(tmp_path, any_keys):
    """Nor is one that is cut, or longer than it was."""
    store = SnapshotStore(tmp_path, any_keys)
    ids = write(store, 3)
    newest = files_of(store)[-1]
    data = newest.read_bytes()
    for changed in [*(data[:length] for length in range(0, len(data), 3)), data + b"\0", data + data]:
        newest.write_bytes(changed)
        assert outcome_of_damage(store, ids, newest) is None, len(changed)


@pytest.mark.parametrize("planted", ["digest", "tail"])
def test_unseen_damage_is_found(tmp_path, monkeypatch, planted):
    """The tests above can fail: without the digests, or without a look at the end, some damage is not seen."""
    if planted == "digest":
        monkeypatch.setattr(frames, "_digest", lambda chain, head, body: bytes(32))
    else:
        survey = snapshot_file.survey
        monkeypatch.setattr(
            snapshot_file,
            "survey",
            lambda job, number, data, suffix: attrs.evolve(survey(job, number, data), end=len(data)),
        )
    store = SnapshotStore(tmp_path, None, compress=False)
    ids = write(store, 3)
    newest = files_of(store)[-1]
    missed = 0
    for place in range(newest.stat().st_size):
        flip(newest, place)
        with contextlib.suppress(CheckpointError):
            missed += outcome_of_damage(store, ids, newest) is not None
        flip(newest, place)
    newest.write_bytes(newest.read_bytes() + b"\0")
    missed += outcome_of_damage(store, ids, newest) is not None
    assert missed


def test_a_file_of_another_job_or_number_is_not_believed(tmp_path, any_keys):
    """Whole files that were put in the place of another."""
    store = SnapshotStore(tmp_path, any_keys)
    ids = write(store, 2)
    other = store.create("other", content(9), now_ms=9).id
    first, newest = [file for file in files_of(store) if file.parent.name.startswith("job")]
    (foreign,) = [file for file in files_of(store) if file.parent.name.startswith("other")]
    for impostor in (first, foreign):
        shutil.copy(impostor, newest)
        found = list(store.entries(JOB))
        assert [info.status.value for info in found] == ["CORRUPTED", "ACTIVE"]
        assert store.load(found[1].id).data["n"] == 1
        with pytest.raises(CheckpointCorrupted, match=r"belongs to job 'other'|is checkpoint 1 under another name"):
            store.load(ids[1])
    assert store.load(other).data["n"] == 9


def test_a_newer_format_or_content_is_never_skipped(tmp_path, any_keys, monkeypatch):
    """An old library says that it is old instead of going on from what it can read."""
    store = SnapshotStore(tmp_path, any_keys)
    for module, name, value in ((frames, "FORMAT", 2), (snapshot_file, "SCHEMA", "2.0.0")):
        write(store, 1)
        with monkeypatch.context() as later:
            later.setattr(module, name, value)
            (newest,) = write(store, 1)
        for attempt in (lambda: list(store.entries(JOB, 1)), lambda newest=newest: store.load(newest)):
            with pytest.raises(CheckpointTooNew, match="2, this library reads up to 1; upgrade"):
                attempt()
        assert store.delete(newest) is True


def test_altered_data_with_right_digests_is_not_believed(tmp_path):
    """In a plain file anybody can repair the digests; the checksum of the data still tells what was exchanged."""
    store = SnapshotStore(tmp_path, None, compress=False)
    (mine,) = write(store, 1)
    (file,) = files_of(store)
    data = file.read_bytes()
    line = data[: data.index(b"\n") + 1]
    (frame,) = frames.scan(data, len(line), frames.first_digest(line))
    body = bytes(frame.body).replace(b'"n":1', b'"n":7')
    file.write_bytes(line + frame.head + body + frames._digest(frames.first_digest(line), frame.head, body))
    with pytest.raises(CheckpointCorrupted, match="does not have the checksum"):
        store.load(mine)


# ------------------------------------------------------------------------------------------------------------- disks


class Refusing(Disk):
    """The k-th call of one kind fails; calls in ``always`` fail every time."""

    def __init__(self, kind=None, at=0, always=(), number=errno.EIO):
        self.kind, self.at, self.always, self.number = kind, at, set(always), number
        self.failed = False

    def _may(self, kind):
        if kind == self.kind:
            self.at -= 1
        if kind in self.always or (kind == self.kind and self.at == 0):
            self.failed = True
            raise OSError(self.number, os.strerror(self.number))

    def open(self, path, flags, mode=0o600):
        self._may("open")
        return super().open(path, flags, mode)

    def write(self, fd, data):
        self._may("write")
        return super().write(fd, data)

    def fsync(self, fd):
        self._may("fsync")
        super().fsync(fd)

    def rename(self, source, target):
        self._may("rename")
        super().rename(source, target)

    def unlink(self, path):
        self._may("unlink")
        super().unlink(path)

    def read(self, path):
        self._may("read")
        return super().read(path)


@pytest.mark.parametrize("kind", ["open", "write", "fsync", "rename", "read", "unlink"])
def test_a_call_that_fails_costs_nothing_that_was_there(tmp_path, kind):
    """Whichever call of its kind fails: the ones before are there, the next one is taken."""
    disk = Refusing()
    store = SnapshotStore(tmp_path, None, retention=3, disk=disk)
    ids, at = write(store, 3), 0
    while True:
        at += 1
        disk.kind, disk.at, disk.failed = kind, at, False
        kept = ids[-3:]
        try:
            new = write(store, 1)
        except CheckpointStorageError:
            new = []
        disk.kind = None
        assert [info.id for info in store.entries(JOB, 3)][::-1] == (kept + new)[-3:]
        assert not list(tmp_path.rglob("*.tmp"))
        if not disk.failed:
            break
        ids = kept + new + write(store, 1)
    assert at > 1 or kind == "read"


def test_what_is_not_durable_is_not_listed(tmp_path):
    """The rename was done, the folder could not be synced: nobody has been told of it, so nobody finds it."""
    disk = Refusing()
    store = SnapshotStore(tmp_path, None, disk=disk)
    ids = write(store, 1)
    disk.kind, disk.at = "fsync", 2  # the file's is the first
    with pytest.raises(CheckpointStorageError):
        write(store, 1)
    assert [info.id for info in store.entries(JOB)] == ids


def test_without_discarding_what_is_not_durable_would_be_listed(tmp_path, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr(SnapshotStore, "_discard", lambda self, path: None)
    with pytest.raises(AssertionError):
        test_what_is_not_durable_is_not_listed(tmp_path)


def test_what_is_read_back_wrong_is_refused(tmp_path, monkeypatch):
    """A disk that keeps other bytes than it was given; without verification it is found by whoever loads it."""

    class Liar(Disk):
        def read(self, path):
            return super().read(path)[:-1] + b"\0"

    store = SnapshotStore(tmp_path, None, disk=Liar())
    with pytest.raises(CheckpointCorrupted, match="read back, it is not what was written"):
        write(store, 1)
    assert not files_of(store)
    trusting = SnapshotStore(tmp_path, None, verify=False, disk=Liar())
    (one,) = write(trusting, 1)
    assert trusting.validate(one) is False


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_an_error_and_keeps_the_earlier_ones(small_disk):
    """ENOSPC is said and passes: when there is room again the next one is taken."""
    store = SnapshotStore(small_disk, None)
    ids = write(store, 2)
    noise = random.Random(1).randbytes(250_000)
    with pytest.raises(CheckpointStorageError, match="free space") as caught:
        store.create(JOB, draft({"noise": noise}), now_ms=1)
    assert (caught.value.errno, caught.value.transient) == (errno.ENOSPC, True)
    assert [store.load(one).data["n"] for one in ids] == [1, 2]
    assert store.load(store.create(JOB, draft({"noise": noise[:50_000]}), now_ms=1).id).data["noise"] == noise[:50_000]


# --------------------------------------------------------------------------------------------------- power and kills


def cut_power(tmp_path, forgets=()):
    """Writes, deletes and retention under recording; how many states of the disk lose or invent something."""
    rnd = random.Random(3)
    disk = RecordingDisk(forgets)
    store = SnapshotStore(tmp_path / "store", None, retention=3, compress=False, disk=disk)
    acknowledged, begun = [], {}  # (calls so far, sequence numbers that must load); id → number
    for number in range(1, 8):
        info = store.create(JOB, content(number), now_ms=number)
        begun[info.sequence_number] = number
        kept = [entry.sequence_number for entry in store.entries(JOB)]
        acknowledged.append((len(disk.log), kept))
        if number == 5:
            store.delete(info.id)
            kept = kept[1:]
            acknowledged.append((len(disk.log), kept))
    (folder,) = store.path.iterdir()
    root, job = Place("", store.path.stat().st_ino), Place(folder.name, folder.stat().st_ino)
    target = SnapshotStore(tmp_path / "after", None)
    place, seen, states, wrong, lost = target.path / folder.name, set(), 0, 0, 0
    for length in range(len(disk.log) + 1):
        before = [kept for at, kept in acknowledged if at <= length]
        after = next((kept for at, kept in acknowledged if at > length), before[-1] if before else [])
        due = set(before[-1] if before else []) & set(
            after
        )  # what the write in progress is about to remove may be gone
        for contents in disks_after(disk.log[:length], root, job, rnd):
            mark = (tuple(due), None if contents is None else tuple(sorted(contents.items())))
            if mark in seen:
                continue
            seen.add(mark)
            states += 1
            shutil.rmtree(place, ignore_errors=True)
            if contents is not None:
                place.mkdir()
            for name, data in (contents or {}).items():
                (place / name).write_bytes(data)
            found = {i.sequence_number: i.id for i in target.entries(JOB) if i.status is not SnapshotStatus.CORRUPTED}
            wrong += any(target.load(one).data["n"] != begun[number] for number, one in found.items())
            lost += not due <= set(found)
    return states, wrong, lost


def test_a_power_cut_loses_no_snapshot_that_was_acknowledged(tmp_path):
    """From every state of the disk that a cut may leave, the acknowledged ones load, and nothing else is believed."""
    states, wrong, lost = cut_power(tmp_path)
    assert states > 100
    assert (wrong, lost) == (0, 0)


@pytest.mark.parametrize("forgotten", ["file", "directory"])
def test_a_forgotten_sync_is_found(tmp_path, forgotten):
    """The test above can fail: without fsync of the file or of the folder some cut loses a snapshot."""
    assert cut_power(tmp_path, (forgotten,))[2] > 0


KILLED = """
import os, sys
from scorewise_actors.checkpoints import Key, KeyRing, SnapshotStore, draft
store = SnapshotStore(sys.argv[1], KeyRing((Key(b"k" * 32),)), retention=1000)
number = 0
while True:
    number += 1
    os.write(1, store.create("job", draft({"n": number, "noise": "x" * 50_000}), now_ms=1).id.encode() + b"\\n")
"""


def test_killed_writers_leave_what_they_acknowledged(tmp_path):
    """SIGKILL at random moments between and within two writes: every acknowledged id loads, numbers are unique."""
    rnd, told = random.Random(5), []
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
        try:
            for _ in range(rnd.randrange(1, 12)):
                told.append(writer.stdout.readline())
        finally:
            writer.send_signal(signal.SIGKILL)
            told.extend(writer.communicate(timeout=60)[0].splitlines(keepends=True))
    ids = [line.decode().strip() for line in told if line.endswith(b"\n")]
    assert len(set(ids)) == len(ids) > 30
    store = SnapshotStore(tmp_path, KeyRing((Key(b"k" * 32),)), retention=1000)
    numbers = [store.load(one).info.sequence_number for one in ids]
    assert numbers == sorted(set(numbers)), "in the order of writing"
    write(store, 1)
    assert not list(tmp_path.rglob("*.tmp")), "what a killed writer left in the making is swept by the next"


def test_a_header_alone_tells_the_id(tmp_path, keys):
    """So that a damaged file keeps its name, and deleting needs no key."""
    store = SnapshotStore(tmp_path, keys)
    (one,) = write(store, 1)
    (file,) = files_of(store)
    file.write_bytes(file.read_bytes().split(b"\n", 1)[0] + b"\n")
    assert [(info.id, info.status.value) for info in store.entries(JOB)] == [(one, "CORRUPTED")]
    assert SnapshotStore(tmp_path, None).delete(one) is True
    assert list(store.entries(JOB)) == []
