"""Identity of processes: nothing but what was meant is killed."""

import contextlib
import os
import select
import signal
import subprocess
import sys

import pytest

from scorewise_actors.browser.processes import ProcessIdentity, children, command_line, group_members

FAMILY = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])
print(child.pid, flush=True)
if sys.argv[1] == 'leave': os._exit(0)
signal.pause()
"""


@pytest.fixture
def family():
    """Starts a process group with a child; whatever is left is killed."""
    started = []

    def start(what):
        leader = subprocess.Popen(
            [sys.executable, "-c", FAMILY, what], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(leader)
        return leader, int(leader.stdout.readline())

    yield start
    for leader in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()
        leader.stdout.close()


def gone(pid):
    """Whether no running process has this pid."""
    try:
        return not ProcessIdentity.of(pid).is_alive()
    except ProcessLookupError:
        return True


def test_kill_group_takes_all_even_the_stopped(family):
    """A stopped child does not survive, and the group is empty afterwards."""
    leader, child = family("stay")
    identity = ProcessIdentity.of(leader.pid)
    assert set(group_members(leader.pid)) == {leader.pid, child}
    assert children(leader.pid) == (child,)
    os.kill(child, signal.SIGSTOP)
    assert identity.is_alive()
    assert identity.kill_group()
    leader.wait()
    assert wait_gone(child)
    assert group_members(leader.pid) == ()
    assert not identity.is_alive()
    assert not identity.kill()


def test_kill_group_reaches_children_of_a_dead_leader(family):
    """The group keeps its number while a member lives, also when the leader was reaped."""
    leader, child = family("leave")
    identity_of_leader = ProcessIdentity(leader.pid, 1.0)
    leader.wait()
    assert not gone(child)
    assert identity_of_leader.kill_group()
    assert wait_gone(child)


def test_a_process_with_the_same_pid_is_not_the_same_process(family):
    """With another start time nothing is killed."""
    leader, child = family("stay")
    identity = ProcessIdentity.of(leader.pid)
    stranger = ProcessIdentity(leader.pid, identity.started - 1)
    assert not stranger.is_alive()
    assert not stranger.kill()
    assert not stranger.kill_group()
    assert identity.is_alive()
    assert not gone(child)


def test_a_zombie_is_not_alive(family):
    """Dead but not yet reaped counts as dead."""
    leader, _ = family("stay")
    identity = ProcessIdentity.of(leader.pid)
    assert identity.kill()
    os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
    assert not identity.is_alive()
    assert leader.pid not in group_members(leader.pid)


def test_nobody_has_this_pid():
    """A pid without a process is an error at once, and has no relatives."""
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(ProcessLookupError, match=str(process.pid)):
        ProcessIdentity.of(process.pid)
    assert children(process.pid) == ()
    assert command_line(process.pid) == ()


def wait_gone(pid):
    """Wait for a process that is not our child."""
    descriptor = None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        select.select([descriptor], [], [], 30)
        return gone(pid)
    finally:
        os.close(descriptor)
