"""Whatever happens to the files, what is loaded is a state that was really acknowledged, and no loss is silent."""

import contextlib
import itertools
import json
import shutil

import pytest

from scorewise_actors.checkpoints import (
    CheckpointCorrupted,
    CheckpointKeyMismatch,
    CheckpointStore,
    CheckpointTooNew,
    CheckpointUndecodable,
    Extend,
    Growth,
    Key,
    KeyRing,
    Set,
    frames,
    register,
    values,
)


def frames_of(file):
    """The header line and the frames of a file, as bytes."""
    data = file.read_bytes()
    line = data[: data.index(b"\n") + 1]
    return [line, *(data[f.start : f.end] for f in frames.scan(data, len(line), frames.first_digest(line)))]


class Odd:
    """Has a form in this process, and in another one not."""


register(Odd, "test-odd", dump=lambda _: 1, load=lambda _: Odd())


def load(store, states, *, may_be_silent=False):
    """Number of the state that is loaded; it must be the one that was written under this number."""
    state, recovery = store.read("job")
    assert state == states[recovery.sequence]
    assert recovery.sequence == max(states) or recovery.torn or recovery.damaged or may_be_silent
    return recovery.sequence


def test_a_file_may_be_cut_anywhere(make_store, any_keys, history, files_of):
    """Every length of either file loads a real checkpoint; cuts in the older file cost nothing.

    Only a cut that is exactly the end of a frame cannot be told from a job that had come no further.
    """
    store = make_store(any_keys)
    states = history(store, count=10)
    old, new = files_of(store)
    data = old.read_bytes()
    for length in range(0, len(data), 7):
        old.write_bytes(data[:length])
        assert load(store, states) == max(states)
    old.write_bytes(data)
    ends = set(itertools.accumulate(map(len, frames_of(new))))
    data = new.read_bytes()
    reached = set()
    for length in range(len(data)):
        new.write_bytes(data[:length])
        reached.add(load(store, states, may_be_silent=length in ends))
    assert len(reached) > 2


def test_a_bit_may_flip_anywhere(make_store, any_keys, history, files_of):
    """A sample of single flips, one in every few bytes: never wrong data, never nothing, never silent loss."""
    store = make_store(any_keys)
    states = history(store)
    for file in files_of(store):
        data = bytearray(file.read_bytes())
        for place in range(0, len(data), 3):
            bit = 1 << place % 8
            data[place] ^= bit
            file.write_bytes(data)
            load(store, states)
            data[place] ^= bit
        file.write_bytes(data)


def test_without_digests_flips_would_give_wrong_data(make_store, history, files_of, monkeypatch):
    """The test above can fail: with the digest check planted away some flip is not seen."""
    monkeypatch.setattr(frames, "_digest", lambda chain, head, body: bytes(32))
    store = make_store(compress=False)
    states = history(store)
    new = files_of(store)[-1]
    data = bytearray(new.read_bytes())
    wrong = 0
    for place in range(0, len(data), 3):
        data[place] ^= 1
        new.write_bytes(data)
        with contextlib.suppress(CheckpointUndecodable):
            state, recovery = store.read("job")
            wrong += state != states[recovery.sequence]
        data[place] ^= 1
    assert wrong


def test_damage_in_the_middle_is_told_from_a_torn_end(make_store, any_keys, files_of):
    """A damaged last frame was torn; one with intact frames behind it is damage, and what it cost is named."""
    store = make_store(any_keys, growth=Growth())
    with store.open("job") as journal:
        for number in range(10):
            journal.append([Set(("n",), number)], now_ms=1)
    (file,) = files_of(store)
    parts = frames_of(file)
    for victim, sequence, torn, lost in ((10, 9, True, None), (5, 4, False, range(5, 11))):
        broken = [*parts[:victim], parts[victim][:-1] + bytes([parts[victim][-1] ^ 1]), *parts[victim + 1 :]]
        file.write_bytes(b"".join(broken))
        recovery = store.read("job")[1]
        assert (recovery.sequence, recovery.torn) == (sequence, torn)
        assert [damage.lost for damage in recovery.damaged] == ([lost] if lost else [])
    with store.open("job") as journal:
        journal.append([Set(("n",), "next")], now_ms=1)
        assert journal.sequence == 11, "numbers that were given out before the damage are not given out again"


def test_a_damaged_snapshot_falls_back_to_the_generation_before(make_store, any_keys, history, files_of):
    """The loss is reported, and the damaged generation is not overwritten by the next one."""
    store = make_store(any_keys)
    states = history(store)
    old, new = files_of(store)
    data = bytearray(new.read_bytes())
    data[len(frames_of(new)[0]) + 40] ^= 1
    new.write_bytes(data)
    with store.open("job") as journal:
        recovery = journal.recovery
        assert recovery.fallback
        assert journal.state == states[recovery.sequence]
        (damage,) = recovery.damaged
        assert (damage.file, damage.lost) == (new.name, range(recovery.sequence + 1, 13))
        journal.append([Set(("n",), "on")], now_ms=1)
        assert journal.sequence == 13
        assert old.exists(), "the only sound generation before the new one stays"
    assert store.read("job")[0]["n"] == "on"
    assert not store.read("job")[1].fallback


def test_when_nothing_is_left_the_job_does_not_start_anew(make_store, any_keys, history, files_of):
    """Damage to all generations is an error that names job, file, place and loss, not an empty state."""
    store = make_store(any_keys)
    history(store)
    for file in files_of(store):
        file.write_bytes(b"\0" * 10)
    with pytest.raises(CheckpointCorrupted, match=r"job 'job': .*\.ckpt at byte 0: .*purge the job") as caught:
        store.open("job")
    assert caught.value.offset == 0
    with pytest.raises(CheckpointCorrupted):
        store.read("job")


def test_frames_cannot_be_moved_about(make_store, any_keys, files_of):
    """Swapped, left out, repeated, or taken from another job: the chain breaks there and what is before it loads."""
    store = make_store(any_keys, growth=Growth())
    states = {}
    for job in ("job", "other"):
        with store.open(job) as journal:
            for number in range(8):
                journal.append([Set(("n",), f"{job} {number}")], now_ms=1)
                if job == "job":
                    states[journal.sequence] = dict(journal.state)
    (file,), (foreign,) = files_of(store), files_of(store, "other")
    mine, other = frames_of(file), frames_of(foreign)
    for moved, sequence in (
        ([*mine[:4], mine[5], mine[4], *mine[6:]], 3),
        ([*mine[:4], *mine[5:]], 3),
        ([*mine[:4], mine[3], *mine[4:]], 3),
        ([*mine, mine[-1]], 8),
        ([*mine[:-1], other[-1]], 7),
    ):
        file.write_bytes(b"".join(moved))
        state, recovery = store.read("job")
        assert (state, recovery.sequence) == (states[sequence], sequence)
        assert recovery.torn or recovery.damaged


def test_a_file_of_another_job_or_generation_is_refused(make_store, any_keys, history, files_of):
    """A whole file put in the place of another is not believed, although it is intact."""
    store = make_store(any_keys)
    history(store)
    history(store, "other")
    old, new = files_of(store)
    shutil.copy(files_of(store, "other")[-1], new)
    recovery = store.read("job")[1]
    assert recovery.fallback
    assert "belongs to job 'other'" in recovery.damaged[0].reason
    shutil.copy(old, new)
    assert "under another name" in store.read("job")[1].damaged[0].reason


def test_the_wrong_key_never_gives_an_older_state(make_store, keys, history):
    """No key, another key, or keys for a plain file: the error names the ids, opening and reading alike."""
    store = make_store(keys)
    history(store)
    stranger = KeyRing((Key(b"s" * 32),))
    for ring, words in ((None, "no key was given"), (stranger, f"given: {stranger.primary.id}")):
        wrong = CheckpointStore(store.path, ring)
        for attempt in (wrong.open, wrong.read):
            with pytest.raises(CheckpointKeyMismatch, match=words) as caught:
                attempt("job")
            assert caught.value.wanted == keys.primary.id
    plain = make_store(None, "plain")
    history(plain)
    with pytest.raises(CheckpointKeyMismatch, match="not encrypted but this store is") as caught:
        CheckpointStore(plain.path, keys).open("job")
    assert caught.value.wanted is None


def test_the_error_of_opening_leaves_the_job_free(make_store, keys, history):
    """Whoever has the right key can open at once."""
    store = make_store(keys)
    history(store)
    with pytest.raises(CheckpointKeyMismatch):
        CheckpointStore(store.path, None).open("job")
    store.open("job").close()


def test_keys_are_rotated_by_putting_a_new_one_in_front(make_store, keys, history):
    """The next generation is sealed with the new key; when the old generations have gone the old key may go."""
    store = make_store(keys, growth=Growth(0, 0))
    history(store)
    fresh = Key(b"f" * 32)
    both = CheckpointStore(store.path, KeyRing((fresh, *keys.keys)), growth=Growth(0, 0))
    with both.open("job") as journal:
        for number in range(4):
            journal.append([Set(("n",), f"rotated {number}")], now_ms=1)
    assert CheckpointStore(store.path, KeyRing((fresh,))).read("job")[0]["n"] == "rotated 3"


def test_a_newer_format_is_never_skipped(make_store, any_keys, history, files_of):
    """An old library says that it is old instead of going on from what it can read."""
    store = make_store(any_keys)
    history(store)
    new = files_of(store)[-1]
    line, *rest = frames_of(new)
    header = json.loads(line.rpartition(b" ")[0]) | {"format": 2}
    text = json.dumps(header).encode()
    new.write_bytes(text + b" " + frames._short_digest(text) + b"\n" + b"".join(rest))
    for attempt in (store.open, store.read, store.validate):
        with pytest.raises(CheckpointTooNew, match="format 2, this library reads up to 1; upgrade"):
            attempt("job")


def test_an_unknown_class_never_gives_an_older_state(make_store, any_keys, monkeypatch):
    """The process that forgot to register a class is told its name."""

    store = make_store(any_keys)
    with store.open("job") as journal:
        journal.append([Set(("n",), 1)], now_ms=1)
        journal.append([Set(("odd",), Odd())], now_ms=1)
    monkeypatch.setattr(values, "_BY_NAME", {k: v for k, v in values._BY_NAME.items() if k != "@test-odd"})
    with pytest.raises(CheckpointUndecodable, match="@test-odd"):
        store.open("job")


def chained(line, parts):
    """Frames whose digests are computed anew, as anybody can who may write the file."""
    chain, data = frames.first_digest(line), [line]
    for part in parts:
        chain = frames._digest(chain, part[: frames.HEAD_SIZE], part[frames.HEAD_SIZE : -32])
        data.append(part[:-32] + chain)
    return b"".join(data)


@pytest.mark.parametrize("victim", [2, 3])
def test_an_altered_frame_with_right_digests_is_not_believed(make_store, keys, files_of, victim):
    """Somebody without the key can repair the digests; the seal still gives it away, and it is no torn end."""
    store = make_store(keys, growth=Growth())
    with store.open("job") as journal:
        for number in range(4):
            journal.append([Extend(("n",), [number]) if number else Set(("n",), [])], now_ms=1)
    (file,) = files_of(store)
    line, *parts = frames_of(file)
    parts[victim] = parts[victim][:50] + bytes([parts[victim][50] ^ 1]) + parts[victim][51:]
    file.write_bytes(chained(line, parts))
    state, recovery = store.read("job")
    assert (state, recovery.sequence) == ({"n": list(range(1, victim))}, victim)
    assert not recovery.torn
    assert recovery.damaged[0].lost == range(victim + 1, 5)


def test_a_plain_frame_in_a_sealed_file_is_not_believed(make_store, keys, files_of):
    """Somebody without the key can chain a frame of their own to the end; it is not taken for a checkpoint."""
    for name, ring in (("sealed", keys), ("plain", None)):
        with make_store(ring, name, Growth()).open("job") as journal:
            journal.append([Set(("n",), 1)], now_ms=1)
            journal.append([Set(("n",), 2)], now_ms=1)
            if ring is None:
                journal.append([Set(("n",), "forged")], now_ms=1)
    sealed = make_store(keys, "sealed")
    (file,), (plain,) = files_of(sealed), files_of(make_store(None, "plain"))
    line, *parts = frames_of(file)
    file.write_bytes(chained(line, [*parts, frames_of(plain)[-1]]))
    state, recovery = sealed.read("job")
    assert (state, recovery.sequence, recovery.torn) == ({"n": 2}, 2, False)
    assert recovery.damaged


def test_half_a_checkpoint_does_not_count(make_store, any_keys, files_of):
    """A checkpoint of several frames whose last is missing was never acknowledged: the one before is loaded."""
    store = make_store(any_keys, compress=False)
    with store.open("job") as journal:
        journal.append([Set(("n",), 1)], now_ms=1)
        journal.append([Set(("n",), 2), Set(("text",), "x" * 2_500_000)], now_ms=1)
    (file,) = files_of(store)
    parts = frames_of(file)
    assert len(parts) == 5
    for count in (2, 3, 4):
        file.write_bytes(b"".join(parts[:count]))
        state, recovery = store.read("job")
        assert (state, recovery.sequence, recovery.torn) == ({"n": 1}, 1, count > 2)
