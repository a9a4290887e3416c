"""A disk that refuses costs the checkpoint that it refused, nothing else, and the job goes on when it recovers."""

import copy
import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scorewise_actors.checkpoints import CheckpointStorageError, CheckpointStore, Disk, Extend, Growth, Set
from scorewise_actors.checkpoints.generation import GenerationFile

GROWTH = Growth(floor=500, ratio=0.0)


class FaultyDisk(Disk):
    """Makes the k-th call of one kind fail; what a failing call leaves behind is the worst that Linux leaves."""

    def __init__(self, call=None, at=0, number=errno.EIO):
        self.call, self.at, self.number = call, at, number
        self.calls = 0
        self.failed = False
        self.broken = set()  # kinds of calls that always fail
        self.synced = {}  # bytes of each file that have reached the disk, by inode

    def _strikes(self, call):
        if call in self.broken:
            return True
        if call != self.call:
            return False
        self.calls += 1
        self.failed = self.failed or self.calls == self.at
        return self.calls == self.at

    def _fault(self):
        return OSError(self.number, os.strerror(self.number))

    def open(self, path, flags, mode=0o600):
        if self._strikes("open"):
            raise self._fault()
        return super().open(path, flags, mode)

    def write(self, fd, data):
        if self._strikes("write"):
            super().write(fd, data[: len(data) // 2])
            raise self._fault()
        return super().write(fd, data)

    def fsync(self, fd):
        if self._strikes("fsync"):
            self._drop(fd)
            raise self._fault()
        super().fsync(fd)
        self._note(fd)

    def fdatasync(self, fd):
        if self._strikes("fdatasync"):
            self._drop(fd)
            raise self._fault()
        super().fdatasync(fd)
        self._note(fd)

    def ftruncate(self, fd, size):
        if self._strikes("ftruncate"):
            raise self._fault()
        super().ftruncate(fd, size)

    def rename(self, source, target):
        if self._strikes("rename"):
            raise self._fault()
        super().rename(source, target)

    def unlink(self, path):
        if self._strikes("unlink"):
            raise self._fault()
        super().unlink(path)

    def mkdir(self, path):
        if self._strikes("mkdir"):
            raise self._fault()
        super().mkdir(path)

    def _note(self, fd):
        status = os.fstat(fd)
        self.synced[status.st_ino] = status.st_size

    def _drop(self, fd):
        """What was not synced before is marked clean, and never reaches the disk."""
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            first = self.synced.get(status.st_ino, 0)
            with Path(f"/proc/self/fd/{fd}").open("r+b") as file:
                file.seek(first)
                file.write(bytes(status.st_size - first))


def run_job(store):
    """Twelve items, each tried until it is accepted; returns the last acknowledged state and how many were refused."""
    refused = 0
    for _ in range(2):
        try:
            journal = store.open("job")
            break
        except CheckpointStorageError:
            refused += 1
    with journal:
        acknowledged = copy.deepcopy(journal.state)
        for number in range(12):
            item = {"n": number, "text": "x" * 30}
            ops = [Extend(("items",), [item]) if number else Set(("items",), [item]), Set(("n",), number)]
            while True:
                try:
                    journal.append(ops, now_ms=number)
                    break
                except CheckpointStorageError:
                    refused += 1
                    assert journal.state == acknowledged
                    assert refused < 5
            acknowledged = copy.deepcopy(journal.state)
            assert acknowledged["n"] == number
    return acknowledged, refused


def call_count(call, tmp_path):
    disk = FaultyDisk(call, at=0)
    run_job(CheckpointStore(tmp_path / "count", None, growth=GROWTH, disk=disk))
    return disk.calls


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "fdatasync", "rename", "unlink", "mkdir"])
def test_any_call_may_fail_once(tmp_path, keys, call, number):
    """For every k the k-th call fails: at most one checkpoint is refused, and every acknowledged one is there."""
    count = call_count(call, tmp_path)
    assert count
    for k in range(1, count + 1):
        disk = FaultyDisk()
        store = CheckpointStore(tmp_path / f"{call}-{k}", keys, growth=GROWTH, disk=disk)
        disk.call, disk.at, disk.number = call, k, number
        state, refused = run_job(store)
        assert refused <= 1
        assert CheckpointStore(store.path, keys).read("job")[0] == state


def test_a_failed_write_that_cannot_be_cut_off_ends_the_file(tmp_path, keys):
    """When even ftruncate fails the next append goes to a new generation."""
    for k in range(1, call_count("write", tmp_path) + 1):
        disk = FaultyDisk("write", k)
        disk.broken.add("ftruncate")
        store = CheckpointStore(tmp_path / f"job-{k}", keys, growth=GROWTH, disk=disk)
        state, refused = run_job(store)
        assert refused <= 1
        assert CheckpointStore(store.path, keys).read("job")[0] == state


def test_a_file_whose_sync_failed_is_never_written_again(tmp_path, files_of):
    """The kernel may report success the second time although the data is gone: a new generation takes over."""
    disk = FaultyDisk()
    store = CheckpointStore(tmp_path / "store", None, disk=disk)
    with store.open("job") as journal:
        journal.append([Set(("n",), 1)], now_ms=1)
        journal.append([Set(("n",), 2)], now_ms=1)
        disk.call, disk.at = "fdatasync", 1
        with pytest.raises(CheckpointStorageError) as caught:
            journal.append([Set(("n",), 3)], now_ms=1)
        assert (caught.value.errno, caught.value.transient) == (errno.EIO, False)
        before = files_of(store)[0].read_bytes()
        journal.append([Set(("n",), 4)], now_ms=1)
        assert files_of(store)[0].read_bytes() == before
        assert len(files_of(store)) == 2
        assert journal.sequence == 4, "number 3 may be on the disk and is used up"
    assert store.read("job")[0] == {"n": 4}


def test_appending_on_after_a_failed_sync_would_lose_work(tmp_path, monkeypatch):
    """The fault above has teeth: a journal that trusts the file again loses what it acknowledged."""
    trusting = property(lambda self: True, lambda self, value: None)
    monkeypatch.setattr(GenerationFile, "clean", trusting, raising=False)
    disk = FaultyDisk()
    store = CheckpointStore(tmp_path / "store", None, disk=disk)
    with store.open("job") as journal:
        journal.append([Set(("n",), 1)], now_ms=1)
        disk.call, disk.at = "fdatasync", 1
        with pytest.raises(CheckpointStorageError):
            journal.append([Set(("n",), 2)], now_ms=1)
        journal.append([Set(("n",), 3)], now_ms=1)
    assert store.read("job")[0] != {"n": 3}


def test_a_generation_that_cannot_be_written_does_not_stop_the_job(tmp_path, files_of):
    """While there is no room for a snapshot the deltas go on in the old file; it is not tried again every time."""

    class NoSnapshots(Disk):
        tried = 0

        def open(self, path, flags, mode=0o600):
            if path.suffix == ".tmp" and path.name != "00000001.tmp":
                self.tried += 1
                raise OSError(errno.ENOSPC, "no space")
            return super().open(path, flags, mode)

    disk = NoSnapshots()
    store = CheckpointStore(tmp_path / "store", None, growth=Growth(2000, 0), disk=disk)
    with store.open("job") as journal:
        for number in range(200):
            journal.append([Set(("n",), number)], now_ms=1)
    assert len(files_of(store)) == 1
    assert 3 < disk.tried < 20
    assert store.read("job")[0] == {"n": 199}


def test_a_name_in_doubt_is_overruled_by_a_newer_generation(tmp_path):
    """When a new generation has its name but the directory was not synced, nothing may be added to the old one."""
    disk = FaultyDisk()
    store = CheckpointStore(tmp_path / "store", None, growth=Growth(0, 0), disk=disk)
    with store.open("job") as journal:
        journal.append([Set(("n",), 1)], now_ms=1)
        journal.append([Set(("n",), 2)], now_ms=1)
        disk.call, disk.calls, disk.at = "fsync", 0, 2
        with pytest.raises(CheckpointStorageError):
            journal.append([Set(("n",), 3)], now_ms=1)
        assert journal.state == {"n": 2}
        journal.append([Set(("m",), 4)], now_ms=1)
    assert store.read("job")[0] == {"n": 2, "m": 4}


def test_old_generations_make_room_for_a_new_one(tmp_path, files_of):
    """On a full disk what is no longer needed goes first, and the snapshot is tried once more."""

    class Full(Disk):
        limit = 10**9

        def write(self, fd, data):
            if sum(file.stat().st_size for file in folder.glob("*")) + len(data) > self.limit:
                raise OSError(errno.ENOSPC, "no space")
            return super().write(fd, data)

    disk = Full()
    store = CheckpointStore(tmp_path / "store", None, growth=Growth(0, 0), disk=disk, compress=False)
    folder = store.directory("job")
    with store.open("job") as journal:
        for number in range(4):
            journal.append([Set(("n",), number)] if number else [Set(("text",), "x" * 5000)], now_ms=1)
        assert len(files_of(store)) == 2
        disk.limit = 12_500
    with store.open("job") as journal:
        journal.append([Set(("n",), 9)], now_ms=1)
    assert store.read("job")[0]["n"] == 9


def test_a_disk_that_cannot_be_read_never_gives_an_older_state(tmp_path, history):
    """EIO on reading the newest generation is an error: the next try may succeed, the older state would be a loss."""

    class Unreadable(Disk):
        def read(self, path):
            raise OSError(errno.EIO, "I/O error")

    history(CheckpointStore(tmp_path / "store", None, growth=GROWTH))
    store = CheckpointStore(tmp_path / "store", None, disk=Unreadable())
    for attempt in (store.open, store.read, store.validate, store.checkpoints):
        with pytest.raises(CheckpointStorageError, match="EIO"):
            attempt("job")


def fill(store, heal):
    """Appends until the disk is full and 20 more times, heals it and goes on; says what happened."""
    accepted, refused, good = 0, [], None
    with store.open("job") as journal:
        journal.append([Set(("items",), [])], now_ms=1)
        while len(refused) < 20:
            try:
                journal.append([Extend(("items",), [os.urandom(300)])], now_ms=1)
                accepted += 1
                good = copy.deepcopy(journal.state)
            except CheckpointStorageError as error:
                refused.append((error.errno, error.transient))
                assert journal.state == good
        assert store.read("job")[0] == good
        heal()
        journal.append([Set(("healed",), True)], now_ms=1)
        assert store.read("job")[0] == good | {"healed": True}
    assert store.read("job")[0] == good | {"healed": True}
    return accepted, set(refused)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_file_system(tmp_path, keys):
    """A real ENOSPC: what was acknowledged loads, and the job goes on when there is room again."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", tmp_path], check=False).returncode:
        pytest.skip("no right to mount a tmpfs here")
    try:
        store = CheckpointStore(tmp_path, keys, growth=Growth(20_000, 2.0))
        heal = ["mount", "-o", "remount,size=20m", tmp_path]
        accepted, refused = fill(store, lambda: subprocess.run(heal, check=True))
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert accepted > 100
    assert refused == {(errno.ENOSPC, True)}


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
from test_checkpoint_faults import CheckpointStore, Growth, fill
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
free = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, free))
store = CheckpointStore(sys.argv[2], None, growth=Growth(20_000, 2.0))
accepted, refused = fill(store, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (free, free)))
print(json.dumps([accepted, sorted(refused)]))
"""


def test_a_limit_on_the_size_of_files(tmp_path):
    """A real EFBIG, which everybody may cause: the same as a full disk."""
    command = [sys.executable, "-c", LIMITED, __file__, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    accepted, refused = json.loads(done.stdout)
    assert accepted > 50
    assert refused == [[errno.EFBIG, True]]
