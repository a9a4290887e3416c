"""The files that a driver and its browsers leave on disk, and their removal when the one who had to do it is dead.

Playwright removes a browser's profile itself, unless its driver is killed; a killed browser does not remove its
temporary files either. So each driver gets a folder of ours for its temporary directory, with a room in it for each of
its browsers, and a file that says who owns it and which processes live in it. Whoever comes later can clean up after
the dead.
"""

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import attrs
import psutil
from loguru import logger

from scorewise_actors.browser.processes import ProcessIdentity, group_members, reap_group

PREFIX = "scorewise-home-"
_OWNER_FILE = "owner.json"
_LOOK_EVERY = 0.01
_DYING = 10.0
"""Seconds that processes which were killed are waited for; the kernel needs a moment to end big ones."""


class Home:
    """One driver's folder. Methods may be called from any thread; they do a little file I/O and block for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._driver: ProcessIdentity | None = None
        self._rooms: dict[Path, Room] = {}
        self._burial: threading.Thread | None = None

    @classmethod
    def create(cls) -> "Home":
        """A new folder (mode 0700) in the temporary directory, owned by this process. Its name says so as well: a
        program may be killed before the owner file is written, or after it was removed.
        """
        home = cls(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")))
        home._write()
        return home

    def record(self, driver: ProcessIdentity) -> None:
        """Write down which process the driver is; it leads its process group."""
        with self._lock:
            self._driver = driver
            self._write()

    def room(self) -> "Room":
        """A place for a browser that is to be launched. Rooms of browsers that died and were not cleared are cleared
        now: in a program that runs for days nobody else would, while the driver lives.
        """
        for room in tuple(self._rooms.values()):
            if room.browser is not None and not group_members(room.browser.pid):
                room.clear()
        room = Room(self, Path(tempfile.mkdtemp(dir=self.path, prefix="")))
        with self._lock:
            self._rooms[room.path] = room
        return room

    def bury(self) -> threading.Thread:
        """Once the driver has been killed: kill what it left, and remove the folder when nothing lives in it.

        Never blocks: a thread of its own does it, whatever becomes of the caller, and is returned to be joined. A
        second call returns the same one.
        """
        with self._lock:
            if self._burial is None:
                self._burial = threading.Thread(target=self._remove, name=f"bury {self.path.name}", daemon=True)
                _burials.add(self._burial)
                with contextlib.suppress(RuntimeError):  # the interpreter exits: the next program sweeps
                    self._burial.start()
            return self._burial

    def _remove(self) -> None:
        try:
            with self._lock:
                browsers = [room.browser for room in self._rooms.values() if room.browser is not None]
            _end(browsers if self._driver is None else [*browsers, self._driver])
            for browser in browsers:  # the driver has somebody who waits for it
                reap_group(browser.pid)
            _remove_folder(self.path)
        except OSError as error:
            logger.warning("{} could not be removed: {}", self.path, error)
        finally:
            _burials.discard(threading.current_thread())

    def _forget(self, room: "Room") -> None:
        with self._lock:
            self._rooms.pop(room.path, None)
            self._write()

    def _write(self) -> None:
        if self._burial is not None:
            return
        browsers = [attrs.astuple(room.browser) for room in self._rooms.values() if room.browser is not None]
        facts = {
            "owner": attrs.astuple(ProcessIdentity.of(os.getpid())),
            "driver": None if self._driver is None else attrs.astuple(self._driver),
            "browsers": browsers,
        }
        new = self.path / f"{_OWNER_FILE}.new"
        new.write_text(json.dumps(facts), encoding="utf-8")
        new.replace(self.path / _OWNER_FILE)  # a program killed meanwhile must not leave half a file


@attrs.define(eq=False)
class Room:
    """The place of one browser in its driver's home. Methods block for a little file I/O; any thread."""

    home: Home
    path: Path
    """The browser's temporary directory."""
    browser: ProcessIdentity | None = None
    profile: Path | None = None

    def record(self, browser: ProcessIdentity, profile: Path | None) -> None:
        """Write down which process the browser is, which leads its process group, and where its profile lies."""
        self.browser = browser
        if profile is not None and profile.parent == self.home.path:  # nothing else is ours to remove
            self.profile = profile
        with self.home._lock:
            self.home._write()

    def clear(self) -> None:
        """Kill what is left of the browser, wait until it is dead (bounded) and remove its files."""
        if self.browser is not None:
            _end([self.browser])
            reap_group(self.browser.pid)
        for path in (self.profile, self.path):
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)
        if not self.path.exists():  # otherwise it is cleared with the home
            with contextlib.suppress(OSError):  # the home is gone already
                self.home._forget(self)


_burials: set[threading.Thread] = set()


def await_burials(timeout: float) -> None:
    """Wait at most ``timeout`` seconds for the removal of all homes of this process whose drivers were killed."""
    until = time.monotonic() + timeout
    for burial in tuple(_burials):
        with contextlib.suppress(RuntimeError):  # never started
            burial.join(max(0.0, until - time.monotonic()))


def sweep_homes(directory: Path | None = None) -> tuple[Path, ...]:
    """Remove what dead programs left: kill drivers and browsers whose owner is gone, then remove their folders.

    Looks only at folders of this user, made by this layer, and returns those removed. Those of living owners stay, as
    do folders that cannot be read. Blocks on file I/O, and for the moment that killed processes take to end.
    """
    removed = []
    for path in (directory or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
        if _is_bare(path):
            with contextlib.suppress(OSError):  # it is not empty: whatever is in there is not ours to judge
                (path / f"{_OWNER_FILE}.new").unlink(missing_ok=True)
                path.rmdir()
                removed.append(path)
            continue
        facts = _facts(path)
        if facts is None or _living(facts.get("owner")) is not None:
            continue
        named = [facts.get("driver"), *(facts["browsers"] if isinstance(facts.get("browsers"), list) else ())]
        processes = [process for process in map(_living, named) if process is not None]
        _end(processes)
        for process in processes:
            reap_group(process.pid)
        with contextlib.suppress(OSError):
            _remove_folder(path)
            removed.append(path)
    return tuple(removed)


def _end(leaders: list[ProcessIdentity]) -> None:
    """Kill process groups and wait until they are dead, for a bounded time."""
    for leader in leaders:
        leader.kill_group()
    until = time.monotonic() + _DYING
    while any(leader.is_alive() or group_members(leader.pid) for leader in leaders) and time.monotonic() < until:
        time.sleep(_LOOK_EVERY)


def _remove_folder(path: Path) -> None:
    """Remove a folder in which nothing lives. The owner file goes last: it is what tells the next one about it."""
    until = time.monotonic() + _DYING
    while True:
        for entry in [*path.iterdir()] if path.exists() else []:
            if entry.name != _OWNER_FILE:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
        left = [entry for entry in path.iterdir() if entry.name != _OWNER_FILE] if path.exists() else []
        if not left:
            shutil.rmtree(path, ignore_errors=True)
            return
        if time.monotonic() > until:
            raise OSError(f"{path} is still written to: {[entry.name for entry in left]}")
        time.sleep(_LOOK_EVERY)


def _facts(path: Path) -> dict[str, Any] | None:
    """What the owner file says; None when it cannot be trusted or read."""
    if not _is_ours(path):
        return None
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((path / _OWNER_FILE).read_text(encoding="utf-8"))
        if isinstance(facts, dict) and facts.get("owner"):
            return facts
    return None


def _is_bare(path: Path) -> bool:
    """A folder without an owner file, of a process that is gone: nothing has lived there yet, or nothing any more."""
    pid = path.name.removeprefix(PREFIX).partition("-")[0]
    gone = pid.isdecimal() and not psutil.pid_exists(int(pid))
    return gone and _is_ours(path) and not (path / _OWNER_FILE).exists()


def _is_ours(path: Path) -> bool:
    """A real folder of this user: the temporary directory is open to all, and a link could point anywhere."""
    try:
        return path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _living(value: Any) -> ProcessIdentity | None:
    """The process that an owner file names, if it still runs."""
    try:
        identity = ProcessIdentity(int(value[0]), float(value[1]))
    except (TypeError, ValueError, LookupError):
        return None
    return identity if identity.is_alive() else None
