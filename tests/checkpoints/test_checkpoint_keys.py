"""Keys come from the first source that has one, are kept from others, and a bad source fails at once."""

import base64
import os
import subprocess
import sys

import pytest

from scorewise_actors.checkpoints import CheckpointKeyInvalid, CheckpointStorageError, Disk, Key, KeyRing, load_keys

ONE, TWO = Key(b"1" * 32), Key(b"2" * 32)


@pytest.fixture
def places(tmp_path):
    """Storage path and environment of a user with an empty home."""
    storage = tmp_path / "storage"
    storage.mkdir()
    return storage, {"HOME": str(tmp_path / "home")}


def test_the_argument_comes_first(places):
    """Bytes or text given by the caller win over the environment."""
    storage, environ = places
    environ["SCOREWISE_CHECKPOINT_KEY"] = TWO.text()
    assert load_keys(ONE.secret, storage, environ) == KeyRing((ONE,))
    assert load_keys(ONE.text(), storage, environ) == KeyRing((ONE,))


def test_the_environment_may_hold_a_list(places):
    """The first key writes and all read, so that a key can be rotated."""
    storage, environ = places
    environ["SCOREWISE_CHECKPOINT_KEY"] = f"{TWO.text()}, {ONE.text()}"
    ring = load_keys(None, storage, environ)
    assert ring.primary == TWO
    assert ring.find(ONE.id) == ONE
    assert ring.find("0" * 16) is None


def test_url_safe_base64_is_taken(places):
    """Both alphabets of base64 are understood."""
    secret = bytes(range(224, 256))
    assert load_keys(base64.urlsafe_b64encode(secret).decode(), places[0], {}) == KeyRing((Key(secret),))


def test_a_key_file_is_created_once_for_its_owner_only(places):
    """The first use creates it with mode 0600 outside the storage path; the next use reads the same key."""
    storage, environ = places
    ring = load_keys(None, storage, environ)
    file = storage.parent / "home/.local/share/scorewise/checkpoint.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["checkpoint.key"]
    assert load_keys(None, storage, environ) == ring


@pytest.mark.parametrize(
    ("variable", "value", "file"),
    [("XDG_DATA_HOME", "data", "data/scorewise/checkpoint.key"), ("SCOREWISE_CHECKPOINT_KEY_FILE", "my.key", "my.key")],
)
def test_the_place_of_the_key_file_can_be_chosen(places, tmp_path, variable, value, file):
    """By the usual variable for user data, and by one of our own."""
    storage, environ = places
    environ[variable] = str(tmp_path / value)
    load_keys(None, storage, environ)
    assert (tmp_path / file).is_file()


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (ONE.text(), 0o640, "mode 0640 lets other users in; run: chmod 600"),
        (ONE.text(), 0o604, "mode 0604"),
        ("", 0o600, "it is empty"),
        ("not base64 !", 0o600, "key 1 is not base64"),
        (f"{ONE.text()}\nc2hvcnQ=", 0o600, "key 2 has 5 bytes, expected 32"),
    ],
)
def test_a_key_file_that_cannot_be_trusted_is_refused(places, tmp_path, content, mode, words):
    """The error names the file and the remedy; no key is made instead."""
    storage, environ = places
    file = tmp_path / "my.key"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(CheckpointKeyInvalid, match=words) as caught:
        load_keys(None, storage, environ | {"SCOREWISE_CHECKPOINT_KEY_FILE": str(file)})
    assert str(file) in str(caught.value)


def test_a_key_beside_its_checkpoints_is_refused(places):
    """A copy of the storage path must not be a copy of the key."""
    storage, environ = places
    environ["SCOREWISE_CHECKPOINT_KEY_FILE"] = str(storage / "checkpoint.key")
    with pytest.raises(CheckpointKeyInvalid, match="inside the storage path"):
        load_keys(None, storage, environ)


def test_bad_arguments_are_refused():
    """A secret has 32 bytes, a ring at least one key."""
    with pytest.raises(CheckpointKeyInvalid, match="expected 32 bytes, got 5"):
        load_keys(b"short", "/nowhere", {})
    with pytest.raises(CheckpointKeyInvalid, match="SCOREWISE_CHECKPOINT_KEY: key 1 has 3 bytes"):
        load_keys(None, "/nowhere", {"SCOREWISE_CHECKPOINT_KEY": "abcd"})
    with pytest.raises(ValueError, match="keys"):
        KeyRing(())


def test_a_key_does_not_show_itself():
    """Neither repr nor id tells the secret."""
    assert "1111" not in repr(KeyRing((ONE,)))
    assert ONE.id != TWO.id


def test_a_key_file_that_cannot_be_created_is_a_storage_error(places):
    """A file where the folder should be is named."""
    storage, environ = places
    (storage.parent / "home").write_text("in the way")
    with pytest.raises(CheckpointStorageError, match="key file"):
        load_keys(None, storage, environ)


def test_a_creator_that_fails_half_way_leaves_no_half_key(places):
    """The next start makes a whole key."""

    class Failing(Disk):
        def fsync(self, fd):
            raise OSError(5, "I/O error")

    storage, environ = places
    environ["SCOREWISE_CHECKPOINT_KEY_FILE"] = str(storage.parent / "my.key")
    with pytest.raises(CheckpointStorageError):
        load_keys(None, storage, environ, disk=Failing())
    assert sorted(path.name for path in storage.parent.iterdir()) == ["storage"]
    assert load_keys(None, storage, environ) == load_keys(None, storage, environ)


def test_a_creator_that_comes_second_takes_the_key_of_the_first(places):
    """Between looking and linking another process has made the key: that one is used."""
    storage, environ = places
    file = storage.parent / "my.key"
    environ["SCOREWISE_CHECKPOINT_KEY_FILE"] = str(file)
    fd = os.open(storage.parent / "first", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, ONE.text().encode())
    os.close(fd)

    class Slow(Disk):
        def link(self, source, target):
            (storage.parent / "first").rename(file)
            super().link(source, target)

    assert load_keys(None, storage, environ, disk=Slow()) == KeyRing((ONE,))


def test_processes_that_start_together_share_one_key(places):
    """Four creators at once end with the same key."""
    storage, environ = places
    script = (
        "import sys; from scorewise_actors.checkpoints import load_keys; print('ready', flush=True); "
        "sys.stdin.readline(); print(load_keys(None, sys.argv[1]).primary.id)"
    )
    command = [sys.executable, "-c", script, str(storage)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, env=os.environ | environ | {"XDG_DATA_HOME": ""}, **pipes) for _ in range(4)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1
