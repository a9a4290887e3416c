"""The one-shot notice of a death, and the pid watch that gives it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scorewise_actors.browser import gone as gone_module
from scorewise_actors.browser.errors import BrowserGone, DriverGone
from scorewise_actors.browser.gone import Gone, watch_pid


@pytest.fixture
def sleeper():
    """A process that lives until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


async def test_the_first_reason_wins_and_stays():
    """A second notice changes nothing."""
    gone = Gone(BrowserGone)
    assert not gone.is_set
    assert gone.reason is None
    assert gone.set("first")
    assert not gone.set("second")
    assert (gone.is_set, gone.reason, await gone.wait()) == (True, "first", "first")
    assert "first" in repr(gone)


async def test_waiters_and_callbacks_hear_of_it_from_another_thread():
    """A notice given in a thread wakes the loop, and callbacks run on the loop's own thread."""
    gone = Gone(BrowserGone)
    heard = []
    gone.add_callback(lambda notice: heard.append((notice.reason, threading.current_thread())))
    waiting = asyncio.ensure_future(gone.wait())
    await asyncio.sleep(0)
    thread = threading.Thread(target=gone.set, args=("from a thread",))
    thread.start()
    assert await asyncio.wait_for(waiting, 30) == "from a thread"
    thread.join()
    assert heard == [("from a thread", threading.current_thread())]


async def test_a_late_callback_is_called_and_a_removed_one_is_not():
    """Whoever asks after the death is told too; whoever left is not."""
    gone = Gone(BrowserGone)
    heard = []
    removed = heard.append
    gone.add_callback(removed)
    gone.remove_callback(removed)
    gone.remove_callback(removed)
    gone.set("over")
    told = asyncio.Event()
    gone.add_callback(lambda _: told.set())
    await asyncio.wait_for(told.wait(), 30)
    assert heard == []


async def test_a_cancelled_waiter_leaves_nothing_behind():
    """wait() takes its callback with it when it is cancelled."""
    gone = Gone(BrowserGone)
    waiting = asyncio.ensure_future(gone.wait())
    await asyncio.sleep(0)
    assert gone._callbacks
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not gone._callbacks


def test_a_notice_after_the_end_of_the_loop_is_harmless():
    """kill() in a shutting down program may come after the loop is closed."""

    async def make():
        gone = Gone(DriverGone)
        gone.add_callback(print)
        return gone

    gone = asyncio.run(make())
    assert gone.set("late")
    assert gone.reason == "late"


@pytest.mark.parametrize("with_pidfd", [True, False])
async def test_a_watched_process_gives_notice_when_it_dies(sleeper, monkeypatch, with_pidfd):
    """By pidfd, and by polling where the kernel refuses pidfd_open."""
    if not with_pidfd:

        def refuse(pid):
            raise PermissionError("seccomp")

        monkeypatch.setattr(gone_module.os, "pidfd_open", refuse)
    gone = Gone(BrowserGone)
    watch = watch_pid(sleeper.pid, gone, "it ended")
    os.kill(sleeper.pid, signal.SIGSTOP)  # stopped is not dead
    await asyncio.sleep(0)
    assert not gone.is_set
    os.kill(sleeper.pid, signal.SIGKILL)
    assert await asyncio.wait_for(gone.wait(), 30) == "it ended"
    watch.cancel()


async def test_a_process_that_is_dead_already_gives_notice_at_once():
    """Whether it was never there or only its pid's number lives on in another process."""
    process = subprocess.Popen(["true"])
    process.wait()
    gone = Gone(BrowserGone)
    watch_pid(process.pid, gone, "it had ended")
    assert gone.reason == "it had ended"
    other = Gone(BrowserGone)
    identity = gone_module.ProcessIdentity.of(os.getpid())
    watch_pid(gone_module.ProcessIdentity(identity.pid, identity.started - 1), other, "another process")
    assert other.reason == "another process"


async def test_a_cancelled_watch_gives_no_notice_and_holds_no_descriptor(sleeper):
    """After cancel() the process may die unnoticed, and the pidfd is closed."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    gone = Gone(BrowserGone)
    watch = watch_pid(sleeper.pid, gone, "it ended")
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    watch.cancel()
    watch.cancel()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    sleeper.kill()
    sleeper.wait()
    await asyncio.sleep(0)
    assert not gone.is_set
