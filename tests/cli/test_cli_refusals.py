"""Bad input: one clear sentence on stderr, the right exit code, no traceback."""

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from scorewise_actors.checkpoints import CheckpointStore, Key, KeyRing, Set
from scorewise_actors.cli import main
from scorewise_actors.cli.exits import exit_code, sentence, table
from scorewise_actors.errors import ExitCode, JobFailedError
from scorewise_actors.export import open_results

KEY = Key.generate()
OTHER = Key.generate()


def store(folder, key=KEY):
    """The storage that the command line uses by default, from outside."""
    return CheckpointStore(folder / "storage", KeyRing((key,)) if key else None)


def make_job(folder, job_id="shop.scrape-urls", key=KEY, **state):
    """A job that an earlier run has left."""
    with store(folder, key).open(job_id) as journal:
        for name, value in ({"requests": [], "outcomes": [], "runs": [], "tries": {}, "policies": {}} | state).items():
            journal.append([Set((name,), value)], now_ms=1)


def no_urls(here):
    (here / "urls.txt").unlink()


def bad_line(here):
    (here / "urls.txt").write_text("https://example.org/\nexample.org\n")


def storage_is_a_file(here):
    (here / "storage").write_text("")


def key_inside_storage(here, monkeypatch):
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY_FILE", str(here / "storage" / "key"))


def wrong_key(here, monkeypatch):
    make_job(here)
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY", OTHER.text())


def no_browser(monkeypatch):
    monkeypatch.setenv("SCOREWISE_BROWSER", "/nowhere/chrome")


def foreign_file(here):
    (here / "out.jsonl").write_text("my own notes\n")


def memo_missing(here, monkeypatch):
    make_job(here)
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY", KEY.text())


RUN = ("run", "shop:scrape", "--urls", "urls.txt")
CASES = {
    "URL file": (no_urls, RUN, ExitCode.USAGE, "--urls urls.txt cannot be read: No such file or directory"),
    "URL file is a folder": (None, (*RUN[:3], "."), ExitCode.USAGE, "--urls . cannot be read: Is a directory"),
    "no URL": (bad_line, RUN, ExitCode.USAGE, "--urls urls.txt, line 2: "),
    "module": (None, ("run", "nope:x", "--urls", "urls.txt"), ExitCode.USAGE, "no module 'nope'"),
    "handler": (None, ("run", "shop:x", "--urls", "urls.txt"), ExitCode.USAGE, "shop has no 'x'"),
    "option": (None, (*RUN, "--max-concurrency", "0"), ExitCode.USAGE, "from 1 to 1000, got 0"),
    "job id": (None, (*RUN, "--job-id", " "), ExitCode.USAGE, "job_id must be a non-empty text"),
    "empty job id": (None, (*RUN, "--job-id", ""), ExitCode.USAGE, "job_id must be a non-empty text"),
    "long job id": (None, (*RUN, "--job-id", "ü" * 150), ExitCode.USAGE, "at most 200 bytes"),
    "out": (None, (*RUN, "--out", "r.xml"), ExitCode.USAGE, "must end in .jsonl, .csv or .json, got '.xml'"),
    "out name": (None, (*RUN, "--out", "x" * 255 + ".json"), ExitCode.STORAGE, "File name too long (ENAMETOOLONG)"),
    "foreign file": (foreign_file, (*RUN, "--out", "out.jsonl"), ExitCode.USAGE, "out.jsonl holds something else"),
    "log": (None, (*RUN, "--log", "urls.txt/log"), ExitCode.USAGE, "--log urls.txt/log cannot be opened"),
    "browser": (no_browser, RUN, ExitCode.ENVIRONMENT, "/nowhere/chrome (SCOREWISE_BROWSER): not there"),
    "browser option": (None, (*RUN, "--browser", "/no/b"), ExitCode.ENVIRONMENT, "/no/b (given explicitly): not there"),
    "storage": (storage_is_a_file, RUN, ExitCode.STORAGE, "storage: Not a directory (ENOTDIR)"),
    "key file": (key_inside_storage, RUN, ExitCode.STORAGE, "it lies inside the storage path"),
    "key": (wrong_key, RUN, ExitCode.STORAGE, f"encrypted with key {KEY.id}; given: {OTHER.id}"),
    "no key": (wrong_key, (*RUN, "--no-encryption"), ExitCode.STORAGE, "no key was given"),
    "no storage": (None, ("resume", "x"), ExitCode.USAGE, "there is no job 'x': there is no folder"),
    "unknown job": (memo_missing, ("resume", "x"), ExitCode.USAGE, "no job 'x' in"),
    "no memo": (memo_missing, ("resume", "shop.scrape-urls"), ExitCode.USAGE, "not started by 'scorewise run'"),
    "demo kill": (None, ("demo", "--kill", "cat"), ExitCode.USAGE, "'cat' is none of browser, driver"),
    "demo items": (None, ("demo", "--items", "0"), ExitCode.USAGE, "matches must be 1 to 100000, not 0"),
    "demo faults": (None, ("demo", "--faults", "1.5"), ExitCode.USAGE, "--faults must be a share from 0 to 1"),
    "demo fault": (None, ("demo", "--faults", "x=1"), ExitCode.USAGE, "cannot read 'x=1'"),
    "demo out": (None, ("demo", "--out", "r.csv"), ExitCode.USAGE, "must end in .jsonl for the demo"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input_is_one_sentence_and_an_exit_code(here, monkeypatch, capsys, case):
    """The sentence names what was wrong, stdout has one JSON object with the same, and there is no traceback."""
    spoil, arguments, code, words = case
    if spoil is not None:
        names = spoil.__code__.co_varnames[: spoil.__code__.co_argcount]
        spoil(**{name: value for name, value in {"here": here, "monkeypatch": monkeypatch}.items() if name in names})
    assert main([*arguments, "--json"]) == code
    told = capsys.readouterr()
    (said,) = told.err.splitlines()
    assert said.startswith("scorewise: ")
    assert words in said
    assert json.loads(told.out) == {"error": said.removeprefix("scorewise: "), "exit_code": code}


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("run",), ("run", "a:b"), (*RUN, "--abort", "never"), ("demo", "x")]
)
def test_a_command_line_that_cannot_be_parsed_is_usage(here, capsys, arguments):
    """As ``argparse`` says it."""
    assert main(arguments) == ExitCode.USAGE
    assert "usage: scorewise" in capsys.readouterr().err


def test_a_job_of_another_process_is_locked(here, monkeypatch, capsys):
    """The owner is named, and the results file, which the other one is writing, is not touched."""
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY", KEY.text())
    (here / "shop.scrape-urls.jsonl").write_text('{"half')
    with store(here).open("shop.scrape-urls") as journal:
        journal.append([Set(("requests",), []), Set(("outcomes",), [])], now_ms=1)
        assert main(RUN) == ExitCode.LOCKED
    assert f"is being written by process {os.getpid()}" in capsys.readouterr().err
    assert (here / "shop.scrape-urls.jsonl").read_text() == '{"half'


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.json"])
def test_a_results_file_that_another_job_writes_is_locked(here, capsys, name):
    """Told before the job begins; nothing of the other's file is touched."""
    with contextlib.closing(open_results(here / name)):
        assert main([*RUN, "--out", name]) == ExitCode.LOCKED
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"scorewise: {here / name} is being written by another process; wait for its end or ")
    assert not CheckpointStore(here / "storage", None).exists("shop.scrape-urls")


def test_storage_on_a_read_only_disk_is_refused(workplace):
    """A real read-only mount, in a mount namespace of the test's own."""
    unshare = shutil.which("unshare")
    script = 'mkdir ro && mount -t tmpfs -o ro none ro && exec "$@"'
    before = [unshare or "unshare", "--mount", "sh", "-c", script, "sh"]
    if unshare is None or subprocess.run([*before, "true"], cwd=workplace.temporary, check=False).returncode:
        pytest.skip("mounting takes privileges that this user lacks")
    workplace.pages(1)
    done = workplace.run(*RUN, "--storage", "ro/storage", before=before)
    assert done.returncode == ExitCode.STORAGE
    assert done.stderr.count("\n") == 1
    assert "Read-only file system (EROFS)" in done.stderr


def test_help_has_the_exit_codes(capsys):
    """Every code with the meaning that ``ExitCode`` documents."""
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert table() in told
    for code in ExitCode:
        assert f"\n{int(code):>5}  " in told
    assert "Another process is working on the job." in told


def test_the_verbose_option_shows_the_traceback(here, capsys):
    """Otherwise it is left out."""
    assert main(["run", "nope:x", "--urls", "urls.txt", "--verbose"]) == ExitCode.USAGE
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (JobFailedError("gave up"), ExitCode.FAILED, "gave up"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
        (RuntimeError("odd\nthing"), ExitCode.ERROR, "RuntimeError: odd thing; run it again with --verbose"),
        (RuntimeError(), ExitCode.ERROR, "RuntimeError: RuntimeError"),
    ],
)
def test_other_errors_have_a_code_and_a_line_of_their_own(error, code, words):
    """Unknown ones say how to see more."""
    assert exit_code(error) is code
    assert sentence(error).startswith(words)
    assert "\n" not in sentence(error)
