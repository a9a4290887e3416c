"""Power cuts: a journal is recovered from every disk state that its system calls allow. Planted bugs are found."""

import copy
import random
import shutil

import attrs
import pytest

from scorewise_actors.checkpoints import CheckpointError, CheckpointStore, Extend, Growth, Set, frames
from tests.checkpoints.power_cuts import Place, RecordingDisk, disks_after

GROWTH = Growth(floor=700, ratio=0.0)


@attrs.define
class Outcome:
    """What the power cuts of one run did."""

    states: int = 0
    wrong: int = 0
    lost: int = 0


def cut_power(tmp_path, keys, forgets=(), *, enough=None):
    """A job of two openings under recording; recovers from every state of the disk and counts what went wrong.

    Ends early when `enough` has gone wrong.
    """
    rnd = random.Random(5)
    disk = RecordingDisk(forgets)
    store = CheckpointStore(tmp_path / "store", keys, growth=GROWTH, disk=disk, compress=False)
    states, acknowledged = {0: {}}, []
    for opening in range(2):
        with store.open("job") as journal:
            for number in range(10):
                before = copy.deepcopy(journal.state)
                item = rnd.randbytes(rnd.choice((20, 20, 300))).hex()
                new = not (opening or number)
                ops = [Set(("items",), [item]) if new else Extend(("items",), [item]), Set(("n",), (opening, number))]
                states[journal.sequence + 1] = {"items": [*before.get("items", []), item], "n": (opening, number)}
                journal.append(ops, now_ms=1)
                acknowledged.append((len(disk.log), journal.sequence))
    folder = store.directory("job")
    root, job = Place("", store.path.stat().st_ino), Place(folder.name, folder.stat().st_ino)
    target = CheckpointStore(tmp_path / "after", keys, growth=GROWTH)
    place, seen, outcome = target.directory("job"), set(), Outcome()
    for length in range(len(disk.log) + 1):
        durable = max((sequence for at, sequence in acknowledged if at <= length), default=0)
        for contents in disks_after(disk.log[:length], root, job, rnd):
            mark = (durable, None if contents is None else tuple(sorted(contents.items())))
            if mark in seen:
                continue
            seen.add(mark)
            outcome.states += 1
            shutil.rmtree(place, ignore_errors=True)
            if contents is not None:
                place.mkdir()
            for name, data in (contents or {}).items():
                (place / name).write_bytes(data)
            try_recovery(target, states, durable, outcome)
            if enough is not None and outcome.wrong + outcome.lost >= enough:
                return outcome
    return outcome


def try_recovery(store, states, durable, outcome):
    """Opens the job, checks what is there, and now and then goes on from it."""
    try:
        with store.open("job") as journal:
            sequence = journal.sequence
            outcome.wrong += journal.state != states.get(sequence)
            outcome.lost += sequence < durable
            if outcome.states % 5 == 0:
                journal.append([Set(("after",), outcome.states)], now_ms=1)
                assert store.read("job")[0] == journal.state
    except CheckpointError:
        outcome.lost += 1


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path, any_keys):
    """After any cut the newest acknowledged checkpoint, or one that was just being written, is loaded and goes on."""
    outcome = cut_power(tmp_path, any_keys)
    assert outcome.states > 300
    assert (outcome.wrong, outcome.lost) == (0, 0)


@pytest.mark.parametrize("forgotten", ["file", "directory", "data"])
def test_a_forgotten_sync_is_found(tmp_path, forgotten):
    """Without fsync of the new file, of the directory, or fdatasync of the delta, some cut loses acknowledged work."""
    outcome = cut_power(tmp_path, None, (forgotten,), enough=1)
    assert outcome.lost > 0


def test_forgotten_digests_are_found(tmp_path, monkeypatch):
    """Without the digest some cut gives a state that never was."""
    monkeypatch.setattr(frames, "_digest", lambda chain, head, body: bytes(32))
    outcome = cut_power(tmp_path, None, enough=1)
    assert outcome.wrong + outcome.lost > 0
