"""Ctrl-C once, twice, on a terminal; SIGTERM; kill -9: what ends, what is left, and what the next run makes of it."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time

import pytest
from harness import DEADLINE, wait_until

from scorewise_actors.cli.interrupt import Interrupted, Interrupts
from scorewise_actors.errors import ExitCode
from scorewise_actors.system import ActorSystem

RUN = ("run", "shop:scrape", "--urls", "urls.txt")
PAGES = 24


def every_title_once(workplace):
    """All results are in the file, each once."""
    titles = workplace.titles()
    assert sorted(titles, key=int) == [str(number) for number in range(1, PAGES + 1)]


def test_ctrl_c_drains_and_the_printed_command_goes_on(workplace):
    """Pages in hand are finished and recorded, nothing is left behind, and each result comes once over both runs.

    The signal goes to the whole process group, as a terminal sends it.
    """
    workplace.pages(PAGES, seconds=0.2)
    process = workplace.start(*RUN, "--json")
    wait_until(lambda: len(workplace.titles()) >= 4, "four results")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(DEADLINE) == ExitCode.INTERRUPTED
    report = json.loads((workplace.folder / "out.txt").read_text().splitlines()[-1])
    assert report["verdict"] == "interrupted"
    assert report["lost"] == report["recorded_twice"] == report["dead_lettered"] == 0
    assert len(workplace.titles()) == report["done"] < PAGES
    assert report["resume"] in workplace.errors
    workplace.leaves_nothing()

    scorewise, *arguments = shlex.split(report["resume"])
    assert scorewise == "scorewise"
    done = workplace.run(*arguments, "--json")
    assert done.returncode == ExitCode.DONE
    assert workplace.report(done)["resumed"] == report["done"]
    every_title_once(workplace)
    workplace.leaves_nothing()


def test_ctrl_c_twice_ends_at_once_and_loses_nothing(workplace):
    """Handlers that would wait for ever are cut off in seconds; what had been acknowledged is not done again."""
    workplace.pages(PAGES, free=6)
    process = workplace.start(*RUN, "--drain-timeout", "600")
    wait_until(lambda: len(workplace.titles()) == 6, "six results")
    os.killpg(process.pid, signal.SIGINT)
    wait_until(lambda: "once more ends at once" in workplace.errors, "the answer to the first Ctrl-C")
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(DEADLINE) == ExitCode.INTERRUPTED  # the drain alone would take ten minutes
    last = workplace.errors.splitlines()[-1]
    assert last.startswith("scorewise: stopped at once; all that was acknowledged is recorded; go on later with: ")
    assert "Traceback" not in workplace.errors
    assert "did not end" not in workplace.errors  # the tree was stopped, not left behind
    assert len(workplace.titles()) == 6
    workplace.leaves_nothing()

    (workplace.folder / "gate").touch()
    done = workplace.run(*RUN, "--json")
    assert done.returncode == ExitCode.DONE
    assert workplace.report(done)["resumed"] == 6
    every_title_once(workplace)


def test_a_drain_is_bounded(workplace):
    """SIGTERM with handlers that never return: the job ends by itself, after the drain timeout and a few seconds."""
    workplace.pages(PAGES, free=2)
    process = workplace.start(*RUN, "--drain-timeout", "0.5", "--max-concurrency", "2")
    wait_until(lambda: len(workplace.titles()) == 2, "two results")
    process.terminate()
    assert process.wait(DEADLINE) == ExitCode.INTERRUPTED
    assert "SIGTERM: no new pages are begun" in workplace.errors
    workplace.leaves_nothing()


def test_kill_9_and_the_same_command_again(workplace):
    """Twice killed in mid-run, and then left alone: every result once in the file, and the dead leave no process."""
    workplace.pages(PAGES, seconds=0.1)
    for wanted in (4, 9):
        process = workplace.start(*RUN)
        wait_until(lambda wanted=wanted: len(workplace.titles()) >= wanted, f"{wanted} results")
        process.kill()
        process.wait()
    jobs = workplace.report(workplace.run("jobs", "--json"))["jobs"]
    assert [(job["last_run"], job["locked"]) for job in jobs] == [("killed", False)]
    done = workplace.run(*RUN, "--json")
    assert done.returncode == ExitCode.DONE
    report = workplace.report(done)
    assert (report["enqueued"], report["done"], report["lost"], report["recorded_twice"]) == (PAGES, PAGES, 0, 0)
    every_title_once(workplace)
    workplace.leaves_nothing()


def test_ctrl_c_on_a_terminal(workplace):
    """The key itself, on a real terminal: the live display is shown, told to stop, and leaves the terminal in order."""
    workplace.pages(PAGES, seconds=0.2)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *workplace.command(*RUN)],
        cwd=workplace.folder,
        env={**workplace.env, "TERM": "xterm", "COLUMNS": "160"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    pressed = False
    try:
        while piece := os.read(master, 65536):
            shown += piece
            if not pressed and len(workplace.titles()) >= 4:
                os.write(master, b"\x03")
                pressed = True
    except OSError:  # the last one on the terminal has gone
        pass
    finally:
        os.close(master)
        process.kill()
    assert process.wait(DEADLINE) == ExitCode.INTERRUPTED
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "running, Ctrl-C stops in good order" in text
    assert "● driver-1/browser-1 scrapers 4/4" in text
    assert "stopping, Ctrl-C again ends at once" in text
    assert "job shop.scrape-urls: interrupted: Ctrl-C" in text
    assert re.search(r"restarts +0\b", text), "the key reached the driver, and pages in hand were lost"
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") > 0  # the cursor is there again
    workplace.leaves_nothing()


# ------------------------------------------------------------------------------------------------- the parts


def test_the_first_signal_is_a_note_and_the_second_an_exception():
    """Later ones are left unheard: the immediate end is under way, and bounded."""
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
        assert (interrupts.count, interrupts.name) == (1, "SIGTERM")
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert (interrupts.count, interrupts.name) == (3, "SIGTERM")


def test_signal_handlers_are_put_back():
    """The program that called ``main`` has its own."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_an_ignored_signal_stays_ignored():
    """``nohup scorewise run ...`` outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_immediate_end_works_on_any_system(tmp_path):
    """On one that was never started, and on one without a job."""
    system = ActorSystem(storage_path=tmp_path / "storage", encrypt=False)
    assert system.kill()
    began = time.monotonic()
    assert system.start().kill()
    assert time.monotonic() - began < DEADLINE
    assert system.runtime is None
