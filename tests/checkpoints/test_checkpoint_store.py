"""A store lists, reads, checks and purges jobs, and says at once when its place cannot be used."""

import errno
import os
import subprocess

import pytest

from scorewise_actors.checkpoints import (
    CheckpointLocked,
    CheckpointNotFound,
    CheckpointStorageError,
    CheckpointStore,
    Disk,
    Extend,
    Growth,
    Set,
)


def test_the_storage_path_is_created_for_its_owner_only(tmp_path):
    """With what is missing above it; files in it get mode 0600."""
    store = CheckpointStore(tmp_path / "a" / "b", None)
    with store.open("job") as journal:
        journal.append([], now_ms=1)
    folders = [tmp_path / "a", tmp_path / "a/b", store.directory("job")]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
    assert {file.stat().st_mode & 0o777 for file in store.directory("job").iterdir()} == {0o600}


def test_a_place_that_cannot_be_used_fails_at_construction(tmp_path):
    """A file in the way, a file above it, and for a store that only looks: nothing there."""
    (tmp_path / "file").write_text("")
    for path, number, options in (
        ("file", errno.ENOTDIR, {}),
        ("file/below", errno.ENOTDIR, {}),
        ("missing", errno.ENOENT, {"writable": False}),
        ("file", errno.ENOTDIR, {"writable": False}),
    ):
        with pytest.raises(CheckpointStorageError, match="use the checkpoint directory") as caught:
            CheckpointStore(tmp_path / path, None, **options)
        assert caught.value.errno == number
    assert not (tmp_path / "missing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_read_only_file_system_fails_at_construction(tmp_path, history):
    """It can still be looked at."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=False).returncode:
        pytest.skip("no right to mount a tmpfs here")
    try:
        states = history(CheckpointStore(tmp_path, None))
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        with pytest.raises(CheckpointStorageError, match=r"EROFS.*check the disk"):
            CheckpointStore(tmp_path, None)
        assert CheckpointStore(tmp_path, None, writable=False).read("job")[0] == states[12]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("job", ["league:2026/ü", "..", "a" * 200, ".hidden", "new\nline", "x" * 512])
def test_any_text_names_a_job(make_store, job):
    """Job ids never leave the storage path, and jobs() tells them exactly."""
    store = make_store()
    with store.open(job) as journal:
        journal.append([Set(("me",), job)], now_ms=1)
    assert store.directory(job).parent == store.path
    assert [info.job_id for info in store.jobs()] == [job]
    assert store.read(job)[0] == {"me": job}


@pytest.mark.parametrize("job", ["", "x" * 513, "\ud800", 5])
def test_what_cannot_name_a_job_is_refused(make_store, job):
    """With a ValueError, before anything is touched."""
    with pytest.raises(ValueError):
        make_store().open(job)


def test_jobs_are_listed_without_a_key(make_store, keys, history):
    """Ids, generations, sizes, and who writes, also while a writer lives."""
    store = make_store(keys)
    history(store, "one")
    with store.open("two"):
        one, two = CheckpointStore(store.path, None).jobs()
    assert (one.job_id, one.locked, one.owner_pid, len(one.generations)) == ("one", False, None, 2)
    assert one.size == sum(file.stat().st_size for file in one.directory.iterdir())
    assert one.modified > 0
    assert (two.generations, two.locked, two.owner_pid, two.modified) == ((), True, os.getpid(), 0.0)


def test_a_job_can_be_read_while_it_is_written(make_store, any_keys):
    """A reader takes no lock and sees every acknowledged checkpoint, over generations that come and go."""
    store = make_store(any_keys)
    with store.open("job") as journal:
        journal.append([Set(("items",), [])], now_ms=1)
        for number in range(30):
            journal.append([Extend(("items",), [number])], now_ms=1)
            assert store.read("job")[0] == journal.state


def test_a_file_that_is_pruned_under_a_reader_is_no_error(tmp_path, history):
    """Between listing and reading a newer generation may come: the reader looks again."""

    class Slow(Disk):
        once = None

        def read(self, path):
            if self.once:
                action, self.once = self.once, None
                action()
            return super().read(path)

    disk = Slow()
    reader = CheckpointStore(tmp_path / "store", None, disk=disk)
    writer = CheckpointStore(tmp_path / "store", None, growth=Growth(0, 0))
    history(writer)

    def overtake():
        with writer.open("job") as journal:
            for number in range(5):
                journal.append([Set(("late",), number)], now_ms=1)

    disk.once = overtake
    assert reader.read("job")[0]["late"] == 4


def test_an_older_checkpoint_can_be_read_by_its_id(make_store, any_keys, history):
    """As long as its generation is kept; every id that is listed gives the state it had, no other id does."""
    store = make_store(any_keys)
    states = history(store)
    entries = store.checkpoints("job")
    assert len(entries) > 3
    assert entries[-1].id.sequence == 12
    for entry in entries:
        state, recovery = store.read("job", at=entry.id)
        assert state == states[entry.id.sequence]
        assert recovery.sequence == entry.id.sequence
    forged = type(entries[-1].id)("job", 12, "0" * 12)
    with pytest.raises(CheckpointNotFound, match="job:12:000000000000"):
        store.read("job", at=forged)


def test_a_missing_job_is_an_error_for_whoever_reads_it(make_store):
    """Reading and validating name the job; asking whether it exists and purging do not fail."""
    store = make_store()
    with pytest.raises(CheckpointNotFound, match="'nobody'"):
        store.read("nobody")
    with pytest.raises(CheckpointNotFound):
        store.validate("nobody")
    store.open("empty").close()
    with pytest.raises(CheckpointNotFound):
        store.read("empty")
    with pytest.raises(CheckpointNotFound):
        store.validate("empty")
    assert not store.exists("nobody")
    assert not store.purge("nobody")
    assert store.checkpoints("nobody") == ()


def test_an_intact_job_validates_without_the_key(make_store, keys, history):
    """Backups can be checked where the key is not."""
    store = make_store(keys)
    history(store)
    found = CheckpointStore(store.path, None).validate("job")
    assert found.ok
    assert [check.problem for check in found.files] == [None, None]
    assert sum(check.checkpoints for check in found.files) == len(store.checkpoints("job"))


def test_damage_is_found_by_validation(make_store, history, files_of):
    """In the middle of a file, at its start, and a torn end, which is no problem."""
    store = make_store()
    history(store)
    old, new = files_of(store)
    data = bytearray(old.read_bytes())
    data[len(data) // 2] ^= 1
    old.write_bytes(data)
    new.write_bytes(new.read_bytes()[:-3])
    first, second = store.validate("job").files
    assert (first.problem, first.torn) == (None, True)
    assert second.problem.startswith("damaged at byte")
    assert second.lost
    new.write_bytes(b"x" + new.read_bytes()[1:])
    assert store.validate("job").files[0].problem == "not a checkpoint file, or its header is damaged"


def test_an_exchanged_generation_is_found_by_validation(make_store, history, files_of):
    """An older file that was put back, cut at a checkpoint, does not lead to the newer one."""
    store = make_store()
    history(store)
    old, _ = files_of(store)
    size = next(entry for entry in store.checkpoints("job")).size
    data = old.read_bytes()
    old.write_bytes(data[: data.index(b"\n") + 1 + size])
    found = store.validate("job")
    assert not found.ok
    assert "exchanged or cut" in found.files[0].problem


def test_purging_forgets_a_job(make_store, history):
    """Nothing of it is left; the others stay; the id can be used anew."""
    store = make_store()
    history(store, "one")
    history(store, "two")
    assert store.purge("one")
    assert not store.exists("one")
    assert [path.name for path in store.path.iterdir()] == [store.directory("two").name]
    with store.open("one") as journal:
        assert journal.state == {}


def test_a_job_with_a_writer_is_not_purged(make_store):
    """The writer keeps its files."""
    store = make_store()
    with store.open("job") as journal:
        journal.append([Set(("n",), 1)], now_ms=1)
        with pytest.raises(CheckpointLocked):
            store.purge("job")
        assert store.exists("job")


def test_a_purge_that_crashed_is_finished_at_the_next_start(make_store, history):
    """The job was gone with the rename; what is left of it takes no space for ever."""
    store = make_store()
    history(store)
    store.directory("job").rename(store.path / ".purged-0123456789abcdef")
    assert store.jobs() == ()
    assert list(make_store().path.iterdir()) == []


def test_a_purge_between_opening_and_locking_is_noticed(tmp_path, history):
    """Whoever has opened the lock file of a purged job does not lock a file that nobody else sees."""

    class Purging(Disk):
        armed = True

        def open(self, path, flags, mode=0o600):
            fd = super().open(path, flags, mode)
            if path.name == "lock" and self.armed:
                self.armed = False
                CheckpointStore(tmp_path / "store", None).purge("job")
            return fd

    history(CheckpointStore(tmp_path / "store", None))
    store = CheckpointStore(tmp_path / "store", None, disk=Purging())
    with store.open("job") as journal:
        assert journal.state == {}
        with pytest.raises(CheckpointLocked):
            CheckpointStore(tmp_path / "store", None).open("job")
