"""What drivers and browsers leave on disk is removed, whoever died, and nothing else is."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.errors import BrowserGone, DriverGone
from scorewise_actors.browser.gone import Gone, watch_pid
from scorewise_actors.browser.homes import PREFIX, Home, await_burials, sweep_homes
from scorewise_actors.browser.processes import ProcessIdentity, children, group_members

PROGRAM = """
import asyncio, json, os
from scorewise_actors.browser import Browser, Driver

async def main():
    driver = await Driver.start()
    browser = await Browser.launch(driver)
    print(json.dumps([driver.pid, browser.pid, str(driver.home.path), str(browser._room.profile)]), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def write(folder, **facts):
    folder.mkdir(mode=0o700)
    (folder / "owner.json").write_text(json.dumps(facts))
    return folder


def dead():
    """An identity that no process has."""
    return [os.getpid(), 1.0]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary directory of the test's own, near the root: a socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as path:
        monkeypatch.setattr("tempfile.tempdir", path)
        yield Path(path)
        await_burials(30)


async def test_a_frozen_browser_of_a_dead_program_is_killed_and_its_files_removed(tmp_path):
    """Program and driver SIGKILLed, browser stopped: the sweep ends it. While the program lives nothing is touched."""
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=environ)
    try:
        line = await asyncio.to_thread(program.stdout.readline)
        driver, browser, home, profile = json.loads(line)
        identity = ProcessIdentity.of(browser)
        assert sweep_homes(tmp_path) == ()
        assert Path(profile).is_dir()
        assert Path(profile).parent == Path(home)
        os.kill(browser, signal.SIGSTOP)
        program.kill()  # before the driver's death can tell it to clear up itself
        os.kill(driver, signal.SIGKILL)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert identity.is_alive()
    gone = Gone(BrowserGone)
    watch_pid(identity, gone, "ended")
    assert sweep_homes(tmp_path) == (Path(home),)
    await asyncio.wait_for(gone.wait(), 30)
    assert list(tmp_path.iterdir()) == []


def test_a_home_says_who_lives_in_it(temporary):
    """The owner file names owner, driver and browsers, is whole at any time, and goes with the folder."""
    home = Home.create()
    assert home.path.stat().st_mode & 0o777 == 0o700
    me = ProcessIdentity.of(os.getpid())
    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    driver = ProcessIdentity.of(sleeper.pid)
    home.record(driver)
    room = home.room()
    profile = home.path / "playwright_chromiumdev_profile-x"
    profile.mkdir()
    room.record(driver, profile)
    facts = json.loads((home.path / "owner.json").read_text())
    process = [driver.pid, driver.started]
    assert facts == {"owner": [me.pid, me.started], "driver": process, "browsers": [process]}
    assert sweep_homes() == ()
    home.bury().join(30)
    assert home.bury() is home.bury()
    sleeper.wait(30)
    assert not driver.is_alive()
    assert list(temporary.iterdir()) == []


def test_only_what_is_surely_ours_is_swept(tmp_path):
    """Living owners, unreadable files, links and foreign names stay; odd entries in the owner file do no harm."""
    me = ProcessIdentity.of(os.getpid())
    stays = [
        write(tmp_path / "scorewise-home-living", owner=[me.pid, me.started]),
        write(tmp_path / "scorewise-home-nothing"),
        write(tmp_path / "other-name", owner=dead()),
    ]
    broken = tmp_path / "scorewise-home-broken"
    broken.mkdir()
    (broken / "owner.json").write_text("{")
    link = tmp_path / "scorewise-home-link"
    link.symlink_to(write(tmp_path / "target", owner=dead()))
    swept = [
        write(tmp_path / "scorewise-home-a", owner=dead(), driver=dead(), browsers=[dead()]),
        write(tmp_path / "scorewise-home-b", owner=dead(), driver=None, browsers="x"),
        write(tmp_path / "scorewise-home-c", owner=dead(), browsers=[["x"], None, 3]),
    ]
    (tmp_path / "scorewise-home-a" / "room").mkdir()
    (tmp_path / "scorewise-home-a" / "room" / "file").write_text("x")
    assert sorted(sweep_homes(tmp_path)) == swept
    for path in (*stays, broken, link, tmp_path / "target"):
        assert path.exists(), path


@pytest.mark.parametrize("when", ["before the owner file", "while it is written", "after it was removed"])
def test_a_home_whose_program_was_killed_without_an_owner_file_is_swept(temporary, when):
    """There is a moment without one at either end. The home of a living program stays, and so do others' files."""
    code = (
        "import os; from scorewise_actors.browser.homes import Home; print(Home.create().path, flush=True); os.abort()"
    )
    environ = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False)
    home, mine, full = Path(done.stdout.strip()), Home.create(), temporary / f"{PREFIX}{2**22 + 1}-full"
    full.mkdir()
    (full / "file").touch()
    for path in (home, mine.path):
        owner = path / "owner.json"
        owner.rename(path / "owner.json.new") if when == "while it is written" else owner.unlink()
    assert sweep_homes(temporary) == (home,)
    assert sorted(temporary.iterdir()) == sorted([mine.path, full])


def test_folders_of_other_users_are_not_trusted(tmp_path, monkeypatch):
    """The temporary directory is open to all: a planted owner file must not make us delete or kill."""
    planted = write(tmp_path / "scorewise-home-planted", owner=dead())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert sweep_homes(tmp_path) == ()
    assert planted.exists()


def test_a_profile_outside_of_the_home_is_never_removed(temporary, tmp_path):
    """A user's own profile folder stays, whatever the browser's command line says."""
    precious = tmp_path / "playwright_chromiumdev_profile-mine"
    precious.mkdir()
    home = Home.create()
    room = home.room()
    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    browser = ProcessIdentity.of(sleeper.pid)
    room.record(browser, precious)
    room.clear()
    sleeper.wait(30)
    assert not browser.is_alive()
    assert precious.is_dir()
    home.bury().join(30)
    assert precious.is_dir()
    assert list(temporary.iterdir()) == []


async def test_a_close_that_is_cancelled_still_removes_the_files(temporary):
    """An actor that runs out of time in mid-close leaves nothing: the removal does not depend on it."""
    driver = await Driver.start()
    browser = await Browser.launch(driver)
    closing = asyncio.ensure_future(browser.close())
    await asyncio.sleep(0)
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await closing
    async with asyncio.timeout(30):
        while browser._room.path.exists() or browser._room.profile.exists():
            await asyncio.sleep(0.01)
    assert driver.home.path.exists()
    await driver.stop()
    assert list(temporary.iterdir()) == []


async def test_a_browser_that_nobody_closed_is_cleared_by_the_next_launch(temporary):
    """A program may run for days on one driver: what crashed browsers leave must not pile up."""
    driver = await Driver.start()
    browser = await Browser.launch(driver)
    os.killpg(browser.pid, signal.SIGKILL)
    await asyncio.wait_for(browser.gone.wait(), 30)
    async with asyncio.timeout(30):
        while group_members(browser.pid):
            await asyncio.sleep(0.01)
    assert browser._room.path.exists()
    successor = await Browser.launch(driver)
    assert not browser._room.path.exists()
    assert not browser._room.profile.exists()
    assert successor.is_connected
    assert json.loads((driver.home.path / "owner.json").read_text())["browsers"] == [
        [successor.identity.pid, successor.identity.started]
    ]
    await successor.close()
    await driver.stop()
    assert list(temporary.iterdir()) == []


async def test_a_killed_driver_takes_frozen_browsers_and_all_files_along(temporary):
    """kill() alone is enough, with nobody left to call stop() or close()."""
    driver = await Driver.start()
    browser = await Browser.launch(driver)
    os.kill(browser.pid, signal.SIGSTOP)
    await asyncio.to_thread(driver.kill)
    await asyncio.to_thread(await_burials, 30)
    assert list(temporary.iterdir()) == []
    assert group_members(browser.pid) == ()
    with pytest.raises(DriverGone):
        await Browser.launch(driver)
    await browser.close()
    await driver.stop()


@pytest.mark.parametrize("how", ["kill", "SIGKILL"])
async def test_a_driver_that_dies_during_a_launch_leaves_no_profile(temporary, how):
    """The browser that was just coming up belongs to nobody, and its profile is in no record."""
    driver = await Driver.start()
    before = children(driver.pid)
    launching = asyncio.ensure_future(Browser.launch(driver))
    while children(driver.pid) == before:
        await asyncio.sleep(0.005)
    driver.kill() if how == "kill" else os.kill(driver.pid, signal.SIGKILL)
    with pytest.raises(DriverGone):
        await launching
    await driver.stop()
    assert list(temporary.iterdir()) == []


FIRST_PROCESS = """
import asyncio, ctypes, os, signal
import psutil
from scorewise_actors.browser import Browser, Driver

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

async def main():
    driver = await Driver.start()
    for how in ("browser", "browser", "driver"):
        browser = await Browser.launch(driver)
        slot = await browser.new_page_slot()
        page = await slot.fresh()
        await page.goto("about:blank")
        os.killpg(browser.pid, signal.SIGKILL) if how == "browser" else os.kill(driver.pid, signal.SIGKILL)
        await browser.gone.wait() if how == "browser" else await driver.gone.wait()
        await browser.close()
    await driver.stop()

asyncio.run(main())
print("zombies:", len([c for c in psutil.Process().children() if c.status() == psutil.STATUS_ZOMBIE]))
"""


def test_no_zombies_pile_up_where_this_is_the_first_process():
    """In a container without an init, orphans of a killed browser come to us, and nobody else would reap them."""
    command = [sys.executable, "-c", FIRST_PROCESS]
    program = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert program.stdout == "zombies: 0\n", program.stdout + program.stderr
