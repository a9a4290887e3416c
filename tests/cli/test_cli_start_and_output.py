"""The very beginning and the very end of a command: Ctrl-C while Python imports, and an stdout that takes nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import DEADLINE

import scorewise_actors
from scorewise_actors.cli import main
from scorewise_actors.errors import ExitCode

FULL = Path("/dev/full")
RUN = ("run", "shop:scrape", "--urls", "urls.txt")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["policies.validation", "playwright._impl._helper", "supervisors.runtime"])
def test_a_signal_while_python_imports_is_one_line(workplace, module, number):
    """Sent when Python says that it has just imported one of the modules that take their time."""
    command = [sys.executable, "-X", "importtime", "-m", "scorewise_actors", "jobs"]
    process = subprocess.Popen(
        command, cwd=workplace.folder, env=workplace.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said = []
    for line in process.stderr:
        if line.rstrip().endswith(f" {module}") and not said:
            process.send_signal(number)
        if not line.startswith("import time:"):
            said.append(line)
    process.stderr.close()
    assert process.stdout.read() == ""
    process.stdout.close()
    assert process.wait(DEADLINE) == ExitCode.INTERRUPTED
    assert said == ["scorewise: interrupted\n"]


def test_a_program_that_calls_main_keeps_its_signal_handlers(here, capsys):
    """Also those for the moment of importing are put back, and an ignored signal is left ignored."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        assert main(["jobs"]) == ExitCode.DONE
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == ""


def test_every_public_name_can_be_had():
    """They are imported when they are asked for, and the list of where they are is complete."""
    listed = [name for names in scorewise_actors._HOMES.values() for name in names.split()]
    assert sorted(listed) == sorted(scorewise_actors.__all__)
    for name in scorewise_actors.__all__:
        assert getattr(scorewise_actors, name).__name__ == name or name == "Handler"
    assert set(scorewise_actors.__all__) <= set(dir(scorewise_actors))
    with pytest.raises(AttributeError, match="'scorewise_actors' has no attribute 'Actor'"):
        scorewise_actors.Actor  # noqa: B018


def into(workplace, place, *arguments):
    """Run a command with stdout into ``place``."""
    with place.open("w") as stream:
        return subprocess.run(
            workplace.command(*arguments),
            cwd=workplace.folder,
            # without a buffer argparse meets the error itself, and keeps it to itself
            env={name: value for name, value in workplace.env.items() if name != "PYTHONUNBUFFERED"},
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
            check=False,
        )


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [("jobs",), ("jobs", "--json"), ("--help",), ("--version",), ("jobs", "--help")])
def test_an_stdout_that_is_full_is_one_line(workplace, arguments):
    """And an exit code: a program that waits for the output must not take nothing for an answer."""
    done = into(workplace, FULL, *arguments)
    assert done.returncode == ExitCode.STORAGE
    (said,) = done.stderr.splitlines()
    assert said.startswith("scorewise: stdout cannot be written: No space left on device (ENOSPC); only what was to be")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_a_job_is_done_though_its_report_cannot_be_printed(workplace):
    """Every result is in the file, and the job is complete."""
    workplace.pages(3)
    done = into(workplace, FULL, *RUN, "--json")
    assert done.returncode == ExitCode.STORAGE
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("scorewise: stdout cannot be written")
    assert sorted(workplace.titles()) == ["1", "2", "3"]
    (job,) = workplace.report(workplace.run("jobs", "--json"))["jobs"]
    assert (job["done"], job["pending"], job["last_run"]) == (3, 0, "completed")
    workplace.leaves_nothing()


@pytest.mark.parametrize("arguments", [("jobs",), ("--help",)])
def test_a_reader_that_has_gone_away_changes_nothing(workplace, arguments):
    """``scorewise --help | head -0``: no message, and the exit code is the command's own."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        done = subprocess.run(
            workplace.command(*arguments),
            cwd=workplace.folder,
            env=workplace.env,
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (ExitCode.DONE, "")


def test_no_stdout_at_all_is_no_trouble(workplace):
    """As a shell starts it with ``>&-``."""
    done = workplace.run("jobs", before=("sh", "-c", 'exec "$@" >&-', "sh"))
    assert (done.returncode, done.stderr) == (ExitCode.DONE, "")


def test_a_stdin_that_is_closed_gives_no_urls(workplace):
    """As a shell starts it with ``<&-``."""
    done = workplace.run("run", "shop:scrape", "--urls", "-", before=("sh", "-c", 'exec "$@" <&-', "sh"))
    said = "scorewise: --urls - is stdin, which is closed; give it the URLs, or name a file\n"
    assert (done.returncode, done.stderr) == (ExitCode.USAGE, said)


@pytest.mark.parametrize("arguments", [("jobs",), ("doctor",), ("run", "shop:scrape", "--urls", "-"), ("demo",)])
def test_a_current_folder_that_is_gone_is_one_line(workplace, arguments):
    """Whatever is to be done in it."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    done = workplace.run(*arguments, before=("sh", "-c", script, "sh"))
    said = "scorewise: the current folder has been deleted; go to another one\n"
    assert (done.returncode, done.stderr) == (ExitCode.USAGE, said)
