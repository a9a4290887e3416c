"""CheckpointManager: what the quickstart does with it, what it refuses and how, and what faults do not cost."""

import asyncio
import datetime as dt
import decimal
import json
import os
import random
import stat
import subprocess
import sys
import threading
import uuid

import pytest

from scorewise_actors import ActorSystem
from scorewise_actors.checkpoints import SnapshotStore, snapshots
from scorewise_actors.checkpoints.keys import key_file
from scorewise_actors.resilience import (
    CheckpointConfiguration,
    CheckpointCorruptionError,
    CheckpointCreationError,
    CheckpointManager,
    CheckpointNotFoundError,
    CheckpointValidationError,
    TreeUnavailableError,
)
from scorewise_actors.resilience import checkpoint as module
from scorewise_actors.resilience.connection import PrivateTree

KEY = b"0123456789abcdef0123456789abcdef"
STATE = {
    "items": ["a", "b"],
    "completed_count": 1,
    "at": dt.datetime(2025, 1, 27),  # noqa: DTZ001 - as users write it
    "raw": b"\x00\xff",
    "price": decimal.Decimal("9.90"),
    "seen": {1, 2},
    "pair": (1, "two"),
}


@pytest.fixture
def config(tmp_path):
    return CheckpointConfiguration(storage_path=tmp_path / "checkpoints")


@pytest.fixture
async def manager(config):
    async with CheckpointManager(config, key=KEY, connection=PrivateTree()) as manager:
        yield manager


def files_of(manager):
    return sorted(manager.config.storage_path.rglob("*.snap"))


def damage(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def heard(manager):
    """The types of all events from now on."""
    types = []
    manager.events.subscribe(lambda event: types.append(event.type.value))
    return types


def keeper(manager):
    """The present actor behind a manager."""
    return manager._connection.running().ref(f"{manager._connection.path}/{manager._child.id}").actor


# -------------------------------------------------------------------------------------------------------- as written


async def test_a_state_comes_back_types_included(manager):
    """Created, loaded, listed, validated, deleted; metadata may hold computed values."""
    types = heard(manager)
    first = await manager.create_checkpoint("job-1", STATE, metadata={"total_items": 2, "processing_time": 0.25})
    assert uuid.UUID(first)
    assert await manager.load_checkpoint(first) == STATE
    (listed,) = await manager.list_checkpoints("job-1")
    assert listed["id"] == first
    assert listed["metadata"] == {"total_items": 2, "processing_time": 0.25}
    assert (listed["status"], listed["sequence_number"], listed["job_id"]) == ("ACTIVE", 1, "job-1")
    assert abs(listed["timestamp"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=10)
    assert len(listed["checksum"]) == 64
    assert listed["schema_version"].count(".") == 2
    assert await manager.get_checkpoint(first) == listed | {"status": "COMPLETED"}
    assert await manager.validate_checkpoint(first) is True
    assert await manager.delete_checkpoint(first) is True
    assert await manager.delete_checkpoint(first) is False
    assert await manager.load_checkpoint(first) is None
    created, *rest = types
    assert (created, rest[-1]) == ("checkpoint_created", "checkpoint_deleted")


async def test_several_are_kept_newest_first_and_each_is_loadable(manager):
    """What the quickstart resumes from: ``list_checkpoints(job_id, limit=1)[0]["id"]``."""
    ids = [await manager.create_checkpoint("job", {"completed_count": n}) for n in range(12)]
    listed = await manager.list_checkpoints("job")
    assert [one["id"] for one in listed] == ids[:1:-1], "ten are kept"
    assert (await manager.list_checkpoints("job", limit=1))[0]["id"] == ids[-1]
    assert (await manager.load_checkpoint(ids[5]))["completed_count"] == 5
    assert (await manager.load_latest("job"))["completed_count"] == 11
    assert await manager.load_checkpoint(ids[0]) is None
    assert await manager.list_checkpoints("another job") == []
    assert await manager.load_latest("another job") is None
    assert await manager.delete_job("job") is True
    assert await manager.list_checkpoints("job") == []


async def test_unknown_ids(manager):
    """Loading is None, validating and deleting False; asking for its facts is an error that says where to look."""
    for unknown in ("no-such-checkpoint", str(uuid.uuid4()), ""):
        assert await manager.load_checkpoint(unknown) is None
        assert await manager.validate_checkpoint(unknown) is False
        assert await manager.delete_checkpoint(unknown) is False
    with pytest.raises(CheckpointNotFoundError, match=r"no checkpoint 'gone' in .*; list_checkpoints"):
        await manager.get_checkpoint("gone")


@pytest.mark.parametrize("limit", ["1", 1.0, True, -1, float("nan")])
async def test_a_limit_that_is_none_is_refused(manager, limit):
    """Here, and not by an actor that crashes on it."""
    with pytest.raises(CheckpointValidationError, match="limit must be a whole number of at least 0 or None"):
        await manager.list_checkpoints("job", limit=limit)


async def test_what_has_no_form_is_refused_with_its_path(manager):
    """Nothing is written; the cause is the checkpoint error."""
    with pytest.raises(CheckpointCreationError, match=r"\$\.items\[0\]\.page is a object") as caught:
        await manager.create_checkpoint("job", {"items": [{"page": object()}]})
    assert caught.value.error_code == "CHECKPOINT_NOT_SERIALIZABLE"
    assert caught.value.context == {"path": "$.items[0].page"}
    assert caught.value.__cause__ is not None
    with pytest.raises(CheckpointCreationError, match="job_id: expected a non-empty string"):
        await manager.create_checkpoint("", {})
    with pytest.raises(CheckpointValidationError, match="limit must be a whole number of at least 0"):
        await manager.list_checkpoints("job", limit=-1)
    assert files_of(manager) == []


async def test_the_copy_is_made_before_anything_is_awaited(manager):
    """A task that goes on with the state meanwhile does not tear it."""
    state = {"results": list(range(1000)), "completed_count": 1000}

    async def work():
        state["results"].append("later")
        state["completed_count"] += 1

    writing = asyncio.ensure_future(manager.create_checkpoint("job", state))
    await asyncio.sleep(0)
    await work()
    assert (await manager.load_checkpoint(await writing)) == {"results": list(range(1000)), "completed_count": 1000}


async def test_it_is_encrypted_and_compressed_unless_told_otherwise(tmp_path):
    """By default with a key file, made on first use outside of the storage path, readable by its owner only."""
    text = {"completed_count": 1, "text": "completed_count" * 500}
    sizes = {}
    for name, encrypted, compressed in (("both", True, True), ("plain", False, True), ("raw", False, False)):
        config = CheckpointConfiguration(
            storage_path=tmp_path / name, encryption_enabled=encrypted, compression_enabled=compressed
        )
        async with CheckpointManager(config, connection=PrivateTree()) as manager:
            assert await manager.load_checkpoint(await manager.create_checkpoint("job", text)) == text
            (file,) = files_of(manager)
            sizes[name] = file.stat().st_size
            assert (b"completed_count" in file.read_bytes()) is not encrypted
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600
    assert sizes["raw"] > 5 * sizes["plain"]


async def test_the_new_key_file_is_said_once(tmp_path, monkeypatch, caplog):
    """Where it is, that it is needed, and how to use a key of one's own."""
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY_FILE", str(tmp_path / "keys" / "checkpoint.key"))
    config = CheckpointConfiguration(storage_path=tmp_path / "store")
    with caplog.at_level("INFO", logger="scorewise_actors.resilience"):
        for _ in range(2):
            async with CheckpointManager(config, connection=PrivateTree()) as manager:
                await manager.create_checkpoint("job", {})
    (said,) = [record.getMessage() for record in caplog.records if "made the key" in record.getMessage()]
    assert str(tmp_path / "keys" / "checkpoint.key") in said
    assert "set SCOREWISE_CHECKPOINT_KEY" in said


async def test_the_wrong_key_is_an_error_and_never_an_older_state(manager, config):
    """Whatever is asked for; ids of keys are named, keys are not."""
    (one,) = [await manager.create_checkpoint("job", STATE)]
    async with CheckpointManager(config, key=b"s" * 32, connection=PrivateTree()) as stranger:
        for call in (
            stranger.load_checkpoint(one),
            stranger.list_checkpoints("job"),
            stranger.validate_checkpoint(one),
        ):
            with pytest.raises(CheckpointValidationError, match="is encrypted with key") as caught:
                await call
            assert caught.value.error_code == "CHECKPOINT_KEY_MISMATCH"


async def test_a_folder_or_key_that_cannot_be_used_is_an_error_on_entering(tmp_path):
    """Before any work, naming the place and the remedy."""
    (tmp_path / "file").write_text("")
    config = CheckpointConfiguration(storage_path=tmp_path / "file")
    with pytest.raises(CheckpointValidationError, match="use the checkpoint directory") as caught:
        await CheckpointManager(config, key=KEY, connection=PrivateTree()).__aenter__()
    assert caught.value.error_code == "CHECKPOINT_STORAGE_FAILED"
    with pytest.raises(CheckpointValidationError, match="expected 32"):
        await CheckpointManager(
            CheckpointConfiguration(storage_path=tmp_path), key="c2hvcnQ=", connection=PrivateTree()
        ).__aenter__()
    with pytest.raises(CheckpointCreationError, match="use the checkpoint directory"):
        await CheckpointManager(config, key=KEY, connection=PrivateTree()).create_checkpoint("job", {})
    (tmp_path / "loop").symlink_to("loop")
    config.storage_path = tmp_path / "loop"
    for key in (KEY, None):
        with pytest.raises(CheckpointCreationError, match="loop"):
            await CheckpointManager(config, key=key, connection=PrivateTree()).create_checkpoint("job", {})


async def test_switched_off_it_does_nothing(tmp_path):
    """No folder, no key, no actor; what it answers fits what a program does with it."""
    config = CheckpointConfiguration(enabled=False, storage_path=tmp_path / "store")
    async with CheckpointManager(config, connection=PrivateTree()) as manager:
        nothing = await manager.create_checkpoint("job", {"page": object()})
        assert uuid.UUID(nothing).int == 0
        assert await manager.load_checkpoint(nothing) is None
        assert await manager.load_latest("job") is None
        assert await manager.list_checkpoints("job", limit=1) == []
        assert await manager.validate_checkpoint(nothing) is False
        assert await manager.delete_checkpoint(nothing) is False
        assert manager.is_due("job") is False
        assert manager._connection.running() is None
    assert not (tmp_path / "store").exists()


# ------------------------------------------------------------------------------------------------------------ faults


async def test_a_corrupted_newest_leaves_the_last_known_good_one(manager):
    """It is told once, skipped by lists and by load_latest, and an error by its id."""
    types = heard(manager)
    ids = [await manager.create_checkpoint("job", {"n": n}) for n in range(3)]
    damage(files_of(manager)[-1])
    for _ in range(2):
        assert [one["id"] for one in await manager.list_checkpoints("job", limit=1)] == [ids[1]]
    assert await manager.load_latest("job") == {"n": 1}
    assert types.count("checkpoint_corrupted") == 1
    with pytest.raises(
        CheckpointCorruptionError, match=r"00000003\.\w{8}\.snap at byte \d+: .*; load an older checkpoint"
    ):
        await manager.load_checkpoint(ids[2])
    assert await manager.validate_checkpoint(ids[2]) is False
    shown = await manager.list_checkpoints("job", include_corrupted=True)
    assert [(one["id"], one["status"]) for one in shown[:2]] == [(ids[2], "CORRUPTED"), (ids[1], "ACTIVE")]
    assert shown[0]["problem"]
    assert await manager.create_checkpoint("job", {"n": 3})
    assert (await manager.list_checkpoints("job"))[0]["sequence_number"] == 4


async def test_two_managers_on_one_folder_share_its_actor(config):
    """Alone and in other trees: every number is given out once, and everybody sees everything."""
    shared = PrivateTree()
    async with (
        CheckpointManager(config, key=KEY, connection=shared) as one,
        CheckpointManager(config, key=KEY, connection=shared) as two,
        CheckpointManager(config, key=KEY, connection=PrivateTree()) as elsewhere,
    ):
        managers = [one, two, elsewhere] * 3
        ids = await asyncio.gather(*(m.create_checkpoint("job", {"n": n}) for n, m in enumerate(managers)))
        assert keeper(one) is keeper(two) is not keeper(elsewhere)
        assert len(set(ids)) == 9
        listed = await two.list_checkpoints("job")
        assert [found["sequence_number"] for found in listed] == list(range(9, 0, -1))
        assert sorted(found["id"] for found in listed) == sorted(ids)


async def test_a_full_disk_is_an_error_and_keeps_the_earlier_ones(tmp_path):
    """A real one of 300 kB; when the data fits again, it is taken."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        noise = random.Random(1).randbytes(400_000)
        async with CheckpointManager(
            CheckpointConfiguration(storage_path=folder), key=KEY, connection=PrivateTree()
        ) as manager:
            first = await manager.create_checkpoint("job", {"noise": noise[:50_000]})
            with pytest.raises(CheckpointCreationError, match="free space") as caught:
                await manager.create_checkpoint("job", {"noise": noise})
            assert caught.value.context["transient"] is True
            assert await manager.load_checkpoint(first) == {"noise": noise[:50_000]}
            second = await manager.create_checkpoint("job", {"noise": noise[:60_000]})
            assert [one["id"] for one in await manager.list_checkpoints("job")] == [second, first]
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_storage_that_has_gone_is_an_error_and_not_a_job_without_checkpoints(manager):
    """Whatever is asked for; when the folder is back, so is everything in it."""
    made = await manager.create_checkpoint("job", STATE)
    folder = manager.config.storage_path
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(CheckpointCreationError, match="No such file or directory"):
        await manager.create_checkpoint("job", {})
    for call in (manager.list_checkpoints("job"), manager.load_checkpoint(made), manager.load_latest("job")):
        with pytest.raises(CheckpointValidationError, match="No such file or directory") as caught:
            await call
        assert caught.value.error_code == "CHECKPOINT_STORAGE_FAILED"
    folder.with_name("elsewhere").rename(folder)
    assert await manager.load_latest("job") == STATE


async def test_an_actor_that_dies_in_mid_write_is_replaced_and_nothing_is_written_twice(manager, monkeypatch):
    """The checkpoint was on disk and its answer never came: the call is sent again and finds what was written."""
    await manager.create_checkpoint("job", {"n": 0})
    write, died = SnapshotStore._write, []

    def write_and_die(self, *args):
        info = write(self, *args)
        if not died:
            died.append(info)
            raise SystemExit("killed between the write and the answer")
        return info

    monkeypatch.setattr(SnapshotStore, "_write", write_and_die)
    before = keeper(manager)
    assert await manager.create_checkpoint("job", {"n": 1}) == died[0].id
    assert keeper(manager) is not before
    assert [one["sequence_number"] for one in await manager.list_checkpoints("job")] == [2, 1]


async def test_without_its_token_a_write_would_be_done_twice(manager, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr(snapshots.Path, "exists", lambda _: False)
    with pytest.raises(AssertionError):
        await test_an_actor_that_dies_in_mid_write_is_replaced_and_nothing_is_written_twice(manager, monkeypatch)


async def test_a_call_waits_for_an_actor_that_waits_for_its_restart(manager, monkeypatch):
    """Its second death in a row has a delay of a second: whoever calls meanwhile waits, and is answered after it."""
    await manager.create_checkpoint("job", {"n": 0})
    write, deaths = SnapshotStore._write, []

    def die_twice(self, *args):
        if len(deaths) < 2:
            deaths.append(args)
            raise SystemExit("planted")
        return write(self, *args)

    monkeypatch.setattr(SnapshotStore, "_write", die_twice)
    made, listed = await asyncio.gather(manager.create_checkpoint("job", {"n": 1}), manager.list_checkpoints("job"))
    assert len(deaths) == 2
    assert [one["sequence_number"] for one in listed] in ([1], [2, 1])
    assert await manager.load_checkpoint(made) == {"n": 1}


async def test_a_stuck_disk_fails_the_call_and_not_the_loop(manager, monkeypatch):
    """The event loop turns meanwhile; the error names the actor and the deadline."""
    monkeypatch.setattr(module, "DEADLINE", 0.3)
    await manager.create_checkpoint("job", {"n": 0})
    free = threading.Event()
    usual = SnapshotStore.entries
    monkeypatch.setattr(SnapshotStore, "entries", lambda self, *args: (free.wait(60), usual(self, *args))[1])
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    turning = asyncio.ensure_future(turn())
    try:
        with pytest.raises(CheckpointValidationError, match=r"gave no answer within 0\.3 s"):
            await manager.list_checkpoints("job")
        assert turns > 5
    finally:
        free.set()
        turning.cancel()
    monkeypatch.setattr(module, "DEADLINE", 60.0)
    assert len(await manager.list_checkpoints("job")) == 1


KILLED = """
import asyncio, sys
from scorewise_actors.resilience import CheckpointConfiguration, CheckpointManager

async def main():
    manager = CheckpointManager(CheckpointConfiguration(storage_path=sys.argv[1], retention_count=1000), key=b"k" * 32)
    number = 0
    while True:
        number += 1
        made = await manager.create_checkpoint("job", {"n": number, "noise": "x" * 20_000})
        print(number, made, flush=True)

asyncio.run(main())
"""


async def test_a_process_killed_between_two_checkpoints_loses_none(tmp_path):
    """SIGKILL: every acknowledged id loads in the next process, and the newest is listed first."""
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        told = [writer.stdout.readline() for _ in range(12)]
    finally:
        writer.kill()
        told += writer.communicate(timeout=60)[0].splitlines(keepends=True)
    acknowledged = dict(reversed(line.split()) for line in told if line.endswith("\n"))
    assert len(acknowledged) >= 12
    config = CheckpointConfiguration(storage_path=tmp_path, retention_count=1000)
    async with CheckpointManager(config, key=b"k" * 32, connection=PrivateTree()) as manager:
        for made, number in acknowledged.items():
            assert (await manager.load_checkpoint(made))["n"] == int(number)
        listed = [one["id"] for one in await manager.list_checkpoints("job")]
        assert [made for made in listed if made in acknowledged] == list(acknowledged)[::-1]


FORGOTTEN = """
import asyncio, sys
from scorewise_actors.resilience import CheckpointConfiguration, CheckpointManager

async def main():
    manager = CheckpointManager(CheckpointConfiguration(storage_path=sys.argv[1]), key=b"k" * 32)
    print(await manager.create_checkpoint("job", {"n": 1}))

asyncio.run(main())
"""


def test_a_program_that_never_closes_its_manager_ends(tmp_path):
    """At interpreter exit the private tree ends; the program's exit code is its own."""
    command = [sys.executable, "-c", FORGOTTEN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert uuid.UUID(done.stdout.strip())


async def test_a_closed_manager_says_so(manager):
    """Instead of opening another tree."""
    await manager.close()
    with pytest.raises(TreeUnavailableError, match="CheckpointManager was closed"):
        await manager.create_checkpoint("job", {})


# ------------------------------------------------------------------------------------------------- at regular times


async def test_periodic_checkpoints_are_taken_and_one_at_the_end(config):
    """Every interval while the block runs, and at its end, so that the last state is on disk."""
    config.interval = 0.1
    state = {"n": 0}
    async with CheckpointManager(config, key=KEY, connection=PrivateTree()) as manager:
        written = asyncio.Event()
        loop = asyncio.get_running_loop()
        manager.events.subscribe(lambda _: loop.call_soon_threadsafe(written.set), ["checkpoint_created"])
        async with manager.periodic("job", lambda: state, lambda: {"n": state["n"]}):
            await asyncio.wait_for(written.wait(), 60)
            state["n"] = 5
        assert await manager.load_latest("job") == {"n": 5}
        state["n"] = 6
        with pytest.raises(RuntimeError, match="the job's own"):
            async with manager.periodic("job", lambda: state):
                raise RuntimeError("the job's own")
        assert await manager.load_latest("job") == {"n": 6}
        with pytest.raises(CheckpointCreationError):
            async with manager.periodic("job", lambda: {"page": object()}):
                pass


async def test_a_state_that_raises_ends_no_periodic_checkpoints(config, caplog):
    """It is told, and the next one is taken; and it does not stand in for the error of the block."""
    config.interval = 0.1
    states = iter([RuntimeError("dictionary changed size"), {"n": 1}])

    def state():
        given = next(states, ValueError("no state any more"))
        if isinstance(given, Exception):
            raise given
        return given

    async with CheckpointManager(config, key=KEY, connection=PrivateTree()) as manager:
        written = asyncio.Event()
        loop = asyncio.get_running_loop()
        manager.events.subscribe(lambda _: loop.call_soon_threadsafe(written.set), ["checkpoint_created"])
        caplog.set_level("WARNING", "scorewise_actors.resilience")
        with pytest.raises(RuntimeError, match="the block"):  # noqa: PT012 - the block is what is tested
            async with manager.periodic("job", state):
                await asyncio.wait_for(written.wait(), 60)
                raise RuntimeError("the block")
        assert await manager.load_latest("job") == {"n": 1}
    messages = [record.getMessage() for record in caplog.records]
    assert any("a periodic checkpoint of job job was not written: RuntimeError" in message for message in messages)
    assert any("the last checkpoint of job job was not written: ValueError" in message for message in messages)


async def test_when_a_checkpoint_is_due(config):
    """Before the first one, and an interval after the last."""
    config.interval = 3600
    async with CheckpointManager(config, key=KEY, connection=PrivateTree()) as manager:
        assert manager.is_due("job")
        await manager.create_checkpoint("job", {})
        assert not manager.is_due("job")
        assert manager.is_due("another")


# --------------------------------------------------------------------------------------------------------- a system


async def test_in_a_running_system(storage):
    """The managers of a system use its tree; its jobs' journals are not touched by snapshots of the same job id."""
    async with ActorSystem(storage_path=storage, key=KEY) as system:
        config = CheckpointConfiguration(storage_path=storage)
        async with CheckpointManager(config, key=KEY, connection=system.resilience) as manager:
            journal = await asyncio.to_thread(system.store.open, "job")
            try:
                made = await manager.create_checkpoint("job", STATE)
                assert await manager.load_checkpoint(made) == STATE
            finally:
                journal.close()
            paths = [ref.path for ref in system.runtime.refs()]
            assert f"system/resilience/{manager._child.id}" in paths


async def test_the_head_of_a_file_can_be_read_by_people(manager):
    """`head -1`: job, number and key id, and nothing of the data."""
    await manager.create_checkpoint("job", STATE)
    (file,) = files_of(manager)
    head = json.loads(file.read_bytes().split(b"\n", 1)[0].rpartition(b" ")[0])
    assert (head["job"], head["generation"], head["cipher"]) == ("job", 1, "AES-256-GCM")
    assert os.path.commonpath([file, manager.config.storage_path]) == str(manager.config.storage_path)


async def test_a_system_has_one_beside_its_journals(storage):
    """``system.checkpoints``: in its storage, under its key; ``system.resources`` tells its figures."""
    async with ActorSystem(storage_path=storage, key=KEY) as system:
        made = await system.checkpoints.create_checkpoint("job", STATE)
        assert await system.checkpoints.load_checkpoint(made) == STATE
        folder = system.checkpoints.config.storage_path
        assert folder.is_relative_to(storage.parent)
        assert len(list((folder / "snapshots").rglob("*.snap"))) == 1
        assert (await system.resources.get_current_metrics())["memory_usage"] > 1
        assert system.store.jobs() == ()
