"""``scorewise jobs`` and ``scorewise doctor``: they look, tell, and change nothing."""

import json
import os
import sys

import pytest

from scorewise_actors import ledger
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.checkpoints import CheckpointStore, Key, KeyRing
from scorewise_actors.cli import main
from scorewise_actors.cli.doctor import inspect_key, inspect_storage, install
from scorewise_actors.cli.memo import Memo
from scorewise_actors.errors import ExitCode
from scorewise_actors.job import DeadLetter, Request, Verdict

KEY = Key.generate()
LETTER = DeadLetter("http://x/1", "http://x/1", 2, "E", "external", "m")


def make_job(folder, job_id, key=None, *, ended=True):
    """Three items: one done, one dead, one pending."""
    with CheckpointStore(folder / "storage", KeyRing((key,)) if key else None).open(job_id) as journal:
        journal.append(ledger.opening({}, 1.0), now_ms=1)
        ops = [
            ledger.enqueued([Request(f"http://x/{n}") for n in range(3)]),
            ledger.done(0, 1, []),
            ledger.dead(1, LETTER),
        ]
        journal.append(ops, now_ms=2)
        if ended:
            journal.append(ledger.closing(1, 2.0, Verdict("interrupted")), now_ms=3)


def test_jobs_are_counted_from_their_journals(here, monkeypatch, capsys):
    """Sealed or plain, ended or killed; a job that runs is told with its process."""
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY", KEY.text())
    make_job(here, "plain")
    make_job(here, "sealed", KEY, ended=False)
    with CheckpointStore(here / "storage", None).open("new"):
        assert main(["jobs", "--json"]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    rows = {row["job_id"].removesuffix("-11507a0e2f5e"): row for row in told["jobs"]}
    for name in ("plain", "sealed"):
        counts = [rows[name][field] for field in ("enqueued", "done", "dead_lettered", "pending", "locked", "error")]
        assert counts == [3, 1, 1, 1, False, None]
    assert (rows["plain"]["last_run"], rows["sealed"]["last_run"]) == ("interrupted", "killed")
    assert (rows["new"]["locked"], rows["new"]["owner_pid"]) == (True, os.getpid())
    assert main(["jobs"]) == ExitCode.DONE
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["JOB", "DONE", "DEAD", "PENDING", "LAST", "RUN", "SIZE", "WRITTEN", "LOCKED", "BY"]
    assert any(line.split()[:5] == ["plain", "1", "1", "1", "interrupted"] for line in lines)


def test_a_job_that_cannot_be_read_does_not_hide_the_others(here, monkeypatch, capsys):
    """With the wrong key: the row says so, the exit code too, and the plain job is counted."""
    make_job(here, "plain")
    make_job(here, "sealed", KEY)
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY", Key.generate().text())
    assert main(["jobs"]) == ExitCode.STORAGE
    told = capsys.readouterr().out
    assert "plain" in told
    assert "sealed: " in told
    assert f"is encrypted with key {KEY.id}" in told


def test_looking_at_sealed_jobs_makes_no_key(here, capsys):
    """Without the key what can be told without it is told, and the wanted key is named."""
    make_job(here, "plain")
    make_job(here, "sealed", KEY)
    assert main(["jobs", "--json"]) == ExitCode.STORAGE
    rows = {row["job_id"]: row for row in json.loads(capsys.readouterr().out)["jobs"]}
    assert (rows["plain"]["done"], rows["plain"]["error"]) == (1, None)
    assert (rows["sealed"]["done"], rows["sealed"]["locked"]) == (None, False)
    assert rows["sealed"]["bytes"] > 0
    assert f"is encrypted with key {KEY.id} and no key was given" in rows["sealed"]["error"]
    assert not (here / "keys").exists()


@pytest.mark.parametrize("command", [("run", "shop:scrape", "--urls", "urls.txt"), ("resume", "shop.scrape-urls")])
def test_going_on_with_a_sealed_job_makes_no_key(here, capsys, command):
    """A new key could not open it, and would be in the way of the right one."""
    make_job(here, "shop.scrape-urls", KEY)
    store = CheckpointStore(here / "storage", None)
    Memo("shop:scrape", str(here), str(here / "r.jsonl"), None, fed=True).write(store.directory("shop.scrape-urls"))
    assert main(command) == ExitCode.STORAGE
    assert f"is encrypted with key {KEY.id} and no key was given" in capsys.readouterr().err
    assert not (here / "keys").exists()


def test_looking_at_plain_jobs_makes_no_key(here, capsys):
    """Only a sealed job needs one."""
    make_job(here, "plain")
    assert main(["jobs"]) == ExitCode.DONE
    assert not (here / "keys").exists()
    assert capsys.readouterr().err == ""


def test_an_empty_storage_has_no_jobs(here, capsys):
    """Told as such."""
    (here / "storage").mkdir()
    assert main(["jobs"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"no jobs in {here / 'storage'}\n"


def test_the_doctor_finds_nothing_wrong_here(here, capsys):
    """This machine runs the suite; nothing is created by looking."""
    assert main(["doctor", "--json"]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert {"browser", "playwright", "storage", "key"} <= {finding["name"] for finding in told["findings"]}
    assert {path.name for path in here.iterdir()} == {"shop.py", "urls.txt"}


def test_the_doctor_names_what_is_missing_and_the_remedy(here, monkeypatch, capsys):
    """A browser, a storage and a key that cannot be used are three findings."""
    (here / "storage").write_text("a file")
    monkeypatch.setenv("SCOREWISE_BROWSER", "/nowhere/chrome")
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY", "short")
    assert main(["doctor"]) == ExitCode.ENVIRONMENT
    told = capsys.readouterr().out
    for name, remedy in (("browser", "scorewise doctor --install"), ("storage", "--storage"), ("key", "base64 of 32")):
        missing = next(line for line in told.split("MISSING") if line.split()[:1] == [name])
        assert remedy in missing.partition("mend it with:")[2]


def test_a_key_that_could_not_be_created_is_missing(here, monkeypatch):
    """The doctor tries the folder that it would be created in, and leaves nothing."""
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY_FILE", "/proc/nowhere/key")
    found = inspect_key(here / "storage")
    assert not found.ok
    assert found.detail.startswith("/proc/nowhere/key cannot be created: /proc: ")
    assert "SCOREWISE_CHECKPOINT_KEY" in found.remedy


def test_an_existing_storage_and_key_are_tried(here, monkeypatch):
    """Nothing of the try is left."""
    (here / "storage").mkdir()
    assert inspect_storage(here / "storage").ok
    assert list((here / "storage").iterdir()) == []
    assert inspect_storage(here / "not" / "yet").detail.endswith("(will be created)")
    assert inspect_key(here / "storage").detail.endswith("(will be created on first use)")
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY", KEY.text())
    assert inspect_key(here / "storage").detail == f"SCOREWISE_CHECKPOINT_KEY, key id {KEY.id}"


def test_installing_stops_at_the_first_command_that_brings_a_browser(tmp_path, monkeypatch, capfd):
    """Commands that fail, or do not exist, are passed over; their output is seen."""
    browser = tmp_path / "chrome"
    real = find_executable().path
    monkeypatch.setenv("SCOREWISE_BROWSER", str(browser))
    commands = (
        ("/nowhere/apt-get", "install"),
        (sys.executable, "-c", "print('no network'); raise SystemExit(1)"),
        ("ln", "-s", real, str(browser)),
        (sys.executable, "-c", "print('too far')"),
    )
    assert install(commands)
    told = capfd.readouterr()
    assert "/nowhere/apt-get: No such file or directory" in told.err
    assert "no network" in told.err
    assert "too far" not in told.err
    assert told.out == ""
    assert install([("false",)])
    browser.unlink()
    assert not install([("true",)])


def test_a_folder_without_a_storage_has_no_jobs(capsys, monkeypatch, tmp_path):
    """Before the first run there is no storage yet, which is no error, and looking does not make one."""
    monkeypatch.chdir(tmp_path)
    assert main(["jobs", "--storage", "new"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"no jobs in {tmp_path / 'new'}\n"
    assert not (tmp_path / "new").exists()
