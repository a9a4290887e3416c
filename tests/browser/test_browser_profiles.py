"""What dead programs left behind is removed, and nothing else."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scorewise_actors.browser.errors import BrowserGone
from scorewise_actors.browser.gone import Gone, watch_pid
from scorewise_actors.browser.processes import ProcessIdentity
from scorewise_actors.browser.profiles import BrowserHome, sweep_profiles

PROGRAM = """
import asyncio, json, os
from scorewise_actors.browser import Browser, Driver

async def main():
    driver = await Driver.start()
    browser = await Browser.launch(driver)
    print(json.dumps([driver.pid, browser.pid, str(browser._home.path), str(browser._home.profile)]), flush=True)
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


async def test_a_frozen_browser_of_a_dead_program_is_killed_and_its_files_removed(tmp_path, monkeypatch):
    """Program and driver SIGKILLed, browser stopped: the sweep ends it. While the program lives nothing is touched."""
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=environ)
    try:
        line = await asyncio.to_thread(program.stdout.readline)
        driver, browser, home, profile = json.loads(line)
        identity = ProcessIdentity.of(browser)
        assert sweep_profiles(tmp_path) == ()
        assert Path(home).is_dir()
        assert Path(profile).is_dir()
        os.kill(browser, signal.SIGSTOP)
        os.kill(driver, signal.SIGKILL)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert identity.is_alive()
    gone = Gone(BrowserGone)
    watch_pid(identity, gone, "ended")
    assert sweep_profiles(tmp_path) == (Path(home),)
    await asyncio.wait_for(gone.wait(), 30)
    assert not Path(profile).exists()
    assert list(tmp_path.glob("scorewise-*")) == []
    sweep_profiles(tmp_path)


def test_a_home_is_recorded_and_removed(tmp_path, monkeypatch):
    """The owner file names owner, browser and profile; removal takes folder and profile."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = BrowserHome.create()
    assert home.path.stat().st_mode & 0o777 == 0o700
    profile = tmp_path / "playwright_chromiumdev_profile-x"
    profile.mkdir()
    me = ProcessIdentity.of(os.getpid())
    home.record(me, profile)
    facts = json.loads((home.path / "owner.json").read_text())
    assert facts == {"owner": [me.pid, me.started], "browser": [me.pid, me.started], "profile": str(profile)}
    assert sweep_profiles() == ()
    home.remove()
    home.remove()
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_surely_ours_is_swept(tmp_path):
    """Living owners, unreadable files, links, foreign names and other people's profiles stay."""
    me = ProcessIdentity.of(os.getpid())
    stays = [
        write(tmp_path / "scorewise-browser-living", owner=[me.pid, me.started]),
        write(tmp_path / "scorewise-browser-nothing"),
        write(tmp_path / "other-name", owner=dead()),
    ]
    broken = tmp_path / "scorewise-browser-broken"
    broken.mkdir()
    (broken / "owner.json").write_text("{")
    link = tmp_path / "scorewise-browser-link"
    link.symlink_to(write(tmp_path / "target", owner=dead()))
    precious = tmp_path / "precious"
    precious.mkdir()
    linked = tmp_path / "playwright_chromiumdev_profile-link"
    linked.symlink_to(precious)
    swept = [
        write(tmp_path / "scorewise-browser-a", owner=dead(), browser=dead(), profile=str(precious)),
        write(tmp_path / "scorewise-browser-b", owner=dead(), browser=None, profile=str(linked)),
        write(tmp_path / "scorewise-browser-c", owner=dead(), browser=["x"], profile=None),
    ]
    assert sorted(sweep_profiles(tmp_path)) == swept
    for path in (*stays, broken, link, precious, linked, tmp_path / "target"):
        assert path.exists(), path


def test_folders_of_other_users_are_not_trusted(tmp_path, monkeypatch):
    """The temporary directory is open to all: a planted owner file must not make us delete or kill."""
    planted = write(tmp_path / "scorewise-browser-planted", owner=dead())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert sweep_profiles(tmp_path) == ()
    assert planted.exists()


@pytest.mark.parametrize("name", ["Default", "playwright_chromiumdev_profile-real"])
def test_a_profile_is_removed_only_under_playwrights_name(tmp_path, name):
    """A user's own profile folder is never removed."""
    profile = tmp_path / name
    profile.mkdir()
    folder = write(tmp_path / "scorewise-browser-x", owner=dead(), profile=str(profile))
    assert sweep_profiles(tmp_path) == (folder,)
    assert profile.exists() == (name == "Default")
