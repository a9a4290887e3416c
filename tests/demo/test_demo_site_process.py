"""The site in a process of its own lives as long as its owner wants, and no longer."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys

import pytest

from scorewise_actors.demo.league import Fault, League
from scorewise_actors.demo.site import SiteProcess

DEADLINE = 60
"""Seconds after which a test that waits for a process has failed."""

COMMAND = [sys.executable, "-m", "scorewise_actors.demo.site"]


@pytest.fixture
def by_hand(request):
    """The site as started from a command line, and its ready line."""
    with subprocess.Popen(
        [*COMMAND, "--matches", "4", "--faults", "none", *getattr(request, "param", ())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, json.loads(process.stdout.readline())
        process.kill()


def status(url, path):
    """Status of one GET."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=DEADLINE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def ends(pidfd):
    """Whether the process behind a pidfd, child or not, ends within the deadline."""
    return bool(select.select([pidfd], [], [], DEADLINE)[0])


def test_the_ready_line_gives_address_and_pid(by_hand):
    """When the one JSON line is there, the site serves."""
    process, ready = by_hand
    assert ready.keys() == {"url", "pid"}
    assert ready["pid"] == process.pid
    assert [status(ready["url"], path) for path in ("/", "/matches/4", "/matches/5")] == [200, 200, 404]


@pytest.mark.parametrize("by_hand", [("--until-eof",)], indirect=True)
def test_it_ends_when_its_stdin_closes(by_hand):
    """For a program that asks for it, the end of stdin is an order to end, obeyed in silence."""
    process, _ready = by_hand
    assert process.communicate(timeout=DEADLINE) == ("", "")
    assert process.returncode == 0


def test_it_serves_on_without_a_stdin(by_hand):
    """By hand, in the background of a shell or under a service manager, the end of stdin means nothing."""
    process, ready = by_hand
    process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)  # a second, as nothing is told of a process that goes on
    assert status(ready["url"], "/") == 200
    process.terminate()
    assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal(by_hand, number):
    """SIGTERM and Ctrl-C end it in order, without a traceback, also while a client is connected."""
    process, ready = by_hand
    connection = http.client.HTTPConnection(ready["url"].removeprefix("http://"), timeout=DEADLINE)
    connection.request("GET", "/")
    connection.getresponse().read()
    process.send_signal(number)
    assert process.wait(DEADLINE) == 0
    assert (process.stdout.read(), process.stderr.read()) == ("", "")
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--matches", "0"], "matches must be 1 to 100000, not 0"),
        (["--faults", "quick=1"], "cannot read 'quick=1'"),
        (["--faults", "slow=2"], "must be a share from 0 to 1, not 2.0"),
        (["--port", "70000"], "port must be 0-65535"),
    ],
)
def test_wrong_arguments_exit_with_2(arguments, text):
    """A wrong argument is named on stderr, without a traceback."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_the_process_serves_the_league_it_was_given():
    """Seed, size and faults reach the other process; its hits come back."""
    league = League(99, 6, faults={Fault.BROKEN_404: 1 / 3, Fault.RATE_LIMITED: 1 / 3})
    with SiteProcess(league) as site:
        pidfd = os.pidfd_open(site.pid)
        answers = {match.id: status(site.url, match.path) for match in league.matches}
        hits = site.hits
        address = site.url
    expected = {Fault.NONE: 200, Fault.BROKEN_404: 404, Fault.RATE_LIMITED: 429}
    assert answers == {match.id: expected[league.fault(match.id)] for match in league.matches}
    assert hits == {match.path: 1 for match in league.matches}
    assert ends(pidfd)
    os.close(pidfd)
    with pytest.raises(ConnectionRefusedError):
        status(address, "/")


def test_it_dies_with_an_owner_that_is_killed():
    """SIGKILL gives the owner no chance to tidy up; the site ends all the same."""
    owner = """
import sys
from scorewise_actors.demo.league import League
from scorewise_actors.demo.site import SiteProcess
site = SiteProcess(League(1, 1)).start()
print(site.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", owner], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        pidfd = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
        assert ends(pidfd)
        os.close(pidfd)


def test_a_process_that_cannot_serve_is_an_error(capfd):
    """With the port taken, start raises, and stderr names the reason."""
    with SiteProcess(League(1, 1)) as site:
        other = SiteProcess(League(1, 1), port=int(site.url.rpartition(":")[2]))
        with pytest.raises(RuntimeError, match="ended with exit code 2 before it served"):
            other.start()
        with pytest.raises(RuntimeError, match="close it first"):
            site.start()
    assert "cannot serve on 127.0.0.1" in capfd.readouterr().err
    with pytest.raises(RuntimeError, match="does not run; call start"):
        _ = site.pid
    site.close()
