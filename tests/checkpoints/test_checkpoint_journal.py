"""A journal gives back what was appended, in as few bytes as the changes need."""

import copy
import time

import pytest

from scorewise_actors.checkpoints import (
    CheckpointError,
    CheckpointId,
    CheckpointLocked,
    CheckpointNotSerializable,
    CheckpointOpInvalid,
    CheckpointStore,
    Delete,
    Disk,
    Extend,
    Growth,
    Set,
    Update,
)


def test_a_new_job_is_empty(make_store):
    """Nothing is written before the first append."""
    store = make_store()
    with store.open("job") as journal:
        assert (journal.state, journal.sequence, journal.recovery.generation) == ({}, 0, 0)
    assert not store.exists("job")


def test_the_state_comes_back(make_store, any_keys, history):
    """Whatever was appended is there when the job is opened again, sealed or not."""
    store = make_store(any_keys)
    states = history(store)
    with store.open("job") as journal:
        assert journal.state == states[12]
        recovery = journal.recovery
    assert (recovery.sequence, recovery.torn, recovery.damaged, recovery.fallback) == (12, False, (), False)
    assert recovery.checkpoints[-1].id.sequence == 12
    assert recovery.checkpoints[-1].time_ms == 1011


def test_numbers_go_on_over_openings(make_store):
    """An id is never given out twice."""
    store = make_store(growth=Growth())
    ids = []
    for _ in range(3):
        with store.open("job") as journal:
            ids += [journal.append([Set(("n",), len(ids))], now_ms=5) for _ in range(3)]
    assert [name.sequence for name in ids] == list(range(1, 10))
    assert len({name.digest for name in ids}) == 9


def test_an_id_is_readable_text():
    """An id survives being printed, whatever the job is called."""
    name = CheckpointId("league:2026", 7, "0123456789ab")
    assert CheckpointId.parse(str(name)) == name
    for wrong in ("league", "a:b", "job:x:0123", ":1:a", ""):
        with pytest.raises(ValueError, match="expected job:sequence:digest"):
            CheckpointId.parse(wrong)


def test_appends_go_to_one_file_until_they_outgrow_the_snapshot(make_store, files_of):
    """A new generation begins after an opening and by the growth rule; the one before it is kept, older ones go."""
    store = make_store(growth=Growth(floor=1000, ratio=0.0))
    with store.open("job") as journal:
        journal.append([Set(("text",), "")], now_ms=1)
        journal.append([Set(("text",), "x")], now_ms=1)
        assert [file.name for file in files_of(store)] == ["00000001.ckpt"]
        while len(files_of(store)) < 2:
            journal.append([Set(("text",), "x")], now_ms=1)
        count = journal.sequence
        assert 10 < count < 30
        for _ in range(3 * count):
            journal.append([Set(("text",), "x")], now_ms=1)
        assert len(files_of(store)) == 2
        assert files_of(store)[0].name > "00000002.ckpt"


def test_growth_bounds_what_a_job_writes(make_store, files_of):
    """Bytes written over a job stay below 2.5 times its final state, although every item is a checkpoint."""
    written = 0

    class Counting(Disk):
        def write(self, fd, data):
            nonlocal written
            written += len(data)
            return super().write(fd, data)

    store = make_store(growth=Growth(floor=20_000, ratio=2.0), disk=Counting(), compress=False)
    with store.open("job") as journal:
        journal.append([Set(("items",), [])], now_ms=1)
        for number in range(1000):
            journal.append([Extend(("items",), [{"n": number, "text": "x" * 500}])], now_ms=1)
    assert written < 2.5 * 1000 * 520


def test_the_cost_of_an_append_does_not_follow_the_state(make_store):
    """Appends to a state of 20,000 items write and copy what is new, nothing else; CPU time, not the clock, says so."""
    store = make_store(growth=Growth())
    item = {"home": "a", "away": "b", "text": "x" * 300, "events": [1, 2, 3]}

    def cost(journal):
        times = []
        for _ in range(15):
            before = time.thread_time()
            journal.append([Extend(("items",), [item] * 10)], now_ms=1)
            times.append(time.thread_time() - before)
        return min(times)

    with store.open("small") as small, store.open("large") as large:
        small.append([Set(("items",), [])], now_ms=1)
        large.append([Set(("items",), [item] * 20_000)], now_ms=1)
        assert cost(large) < 3 * cost(small) + 0.001


def test_an_append_is_all_or_nothing(make_store, any_keys):
    """When one operation cannot be done none is, in memory and on disk, and the next append works."""
    store = make_store(any_keys)
    with store.open("job") as journal:
        journal.append([Set(("a",), [1]), Set(("b",), {"x": 1})], now_ms=1)
        before = copy.deepcopy(journal.state)
        good = [Extend(("a",), [2]), Update(("b",), {"x": 2, "y": 3}), Delete(("b", "y"))]
        with pytest.raises(CheckpointNotSerializable):
            journal.append([*good, Set(("c",), object())], now_ms=1)
        with pytest.raises(CheckpointOpInvalid):
            journal.append([*good, Delete(("nothing",))], now_ms=1)
        assert journal.state == before
        assert journal.sequence == 1
        journal.append(good, now_ms=1)
    assert store.read("job")[0] == {"a": [1, 2], "b": {"x": 2}}


def test_an_empty_append_is_a_checkpoint(make_store):
    """It marks a time, and a new job by it exists."""
    store = make_store()
    with store.open("job") as journal:
        journal.append([], now_ms=1)
        journal.append([], now_ms=2)
    state, recovery = store.read("job")
    assert (state, recovery.sequence) == ({}, 2)


def test_a_value_larger_than_a_frame_comes_back(make_store, any_keys):
    """There is no limit on the size of a checkpoint: it takes as many frames as it needs."""
    store = make_store(any_keys, compress=False)
    with store.open("job") as journal:
        journal.append([Set(("n",), 1)], now_ms=1)
        journal.append([Set(("text",), "é" * 1_700_000), Set(("n",), 2)], now_ms=1)
        journal.append([Set(("n",), 3)], now_ms=1)
    assert store.read("job")[0] == {"n": 3, "text": "é" * 1_700_000}


def test_order_is_by_number_not_by_time(make_store):
    """A clock that runs backwards changes nothing."""
    store = make_store()
    with store.open("job") as journal:
        for number in range(8):
            journal.append([Set(("n",), number)], now_ms=10**12 - number * 10**9)
    assert store.read("job")[0] == {"n": 7}


@pytest.mark.parametrize("moment", [-1, 1 << 63])
def test_a_time_that_is_none_is_refused(make_store, moment):
    """Before anything is changed."""
    with make_store().open("job") as journal, pytest.raises(ValueError, match="now_ms"):
        journal.append([Set(("n",), 1)], now_ms=moment)


def test_a_closed_journal_says_so(make_store):
    """Closing twice is harmless; appending afterwards is an error."""
    journal = make_store().open("job")
    journal.close()
    journal.close()
    with pytest.raises(CheckpointError, match="closed; open it again"):
        journal.append([], now_ms=1)


def test_a_second_writer_in_the_process_is_refused(make_store):
    """The error names the process and host of the first; after it closed the job is free."""
    store = make_store()
    with store.open("job"), pytest.raises(CheckpointLocked, match=r"process \d+ on host"):
        store.open("job")
    store.open("job").close()


def test_an_interrupted_append_closes_the_journal(tmp_path, history):
    """KeyboardInterrupt or the kill of its actor may strike anywhere: only the files know whether it was written."""

    class Interrupting(Disk):
        armed = False

        def fdatasync(self, fd):
            super().fdatasync(fd)
            if self.armed:
                raise KeyboardInterrupt

    disk = Interrupting()
    store = CheckpointStore(tmp_path / "store", None, disk=disk)
    history(store)
    journal = store.open("job")
    journal.append([Set(("n",), "before")], now_ms=1)
    disk.armed = True
    with pytest.raises(KeyboardInterrupt):
        journal.append([Set(("n",), "interrupted")], now_ms=1)
    with pytest.raises(CheckpointError, match="closed"):
        journal.append([], now_ms=1)
    with store.open("job") as again:
        assert again.state["n"] == "interrupted"


def test_leftovers_of_an_interrupted_snapshot_are_cleared(make_store, history):
    """A temporary file of a killed writer goes at the next opening, and only then."""
    store = make_store()
    states = history(store)
    leftover = store.directory("job") / "00000099.tmp"
    leftover.write_bytes(b"half a snapshot")
    assert store.read("job")[0] == states[12]
    assert leftover.exists()
    store.open("job").close()
    assert not leftover.exists()
