"""The files a running browser leaves on disk, and their removal when the one who had to do it is dead.

Playwright removes a browser's profile itself, unless its driver is killed. So each browser gets a folder of ours that
says who owns it, which process the browser is and where its profile lies; whoever comes later can clean up after the
dead.
"""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors.browser.processes import ProcessIdentity

PREFIX = "scorewise-browser-"
_OWNER_FILE = "owner.json"
_PROFILE_PREFIX = "playwright_chromiumdev_profile-"  # only such folders are removed on the word of an owner file


@attrs.define
class BrowserHome:
    """One browser's folder. Its methods do a little file I/O and block for it."""

    path: Path
    profile: Path | None = None

    @classmethod
    def create(cls) -> "BrowserHome":
        """A new folder (mode 0700) in the temporary directory, owned by this process."""
        home = cls(Path(tempfile.mkdtemp(prefix=PREFIX)))
        home._write(None)
        return home

    def record(self, browser: ProcessIdentity, profile: Path | None) -> None:
        """Write down which process the browser is and where its profile lies."""
        self.profile = profile
        self._write(browser)

    def remove(self) -> None:
        """Remove the folder and the profile. What cannot be removed now is left for a later :func:`sweep_profiles`."""
        if self.profile is not None and self.profile.name.startswith(_PROFILE_PREFIX):
            shutil.rmtree(self.profile, ignore_errors=True)
            if self.profile.exists():
                return  # the folder is what tells the next one about it
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, browser: ProcessIdentity | None) -> None:
        facts = {
            "owner": attrs.astuple(ProcessIdentity.of(os.getpid())),
            "browser": None if browser is None else attrs.astuple(browser),
            "profile": None if self.profile is None else str(self.profile),
        }
        (self.path / _OWNER_FILE).write_text(json.dumps(facts), encoding="utf-8")


def sweep_profiles(directory: Path | None = None) -> tuple[Path, ...]:
    """Remove what dead programs left: kill browsers whose owner is gone, then remove their folders and profiles.

    Looks only at folders of this user, made by this layer, and returns those removed. Those of living owners stay, as
    do folders that cannot be read. Blocks on file I/O.
    """
    removed = []
    for path in (directory or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
        facts = _facts(path)
        if facts is None or _living(facts.get("owner")) is not None:
            continue
        browser = _living(facts.get("browser"))
        if browser is not None:
            browser.kill_group()
        profile = facts.get("profile")
        home = BrowserHome(path, Path(profile) if isinstance(profile, str) and _is_ours(Path(profile)) else None)
        home.remove()
        if not path.exists():
            removed.append(path)
    return tuple(removed)


def _facts(path: Path) -> dict[str, Any] | None:
    """What the owner file says; None when it cannot be trusted or read."""
    if not _is_ours(path):
        return None
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((path / _OWNER_FILE).read_text(encoding="utf-8"))
        if isinstance(facts, dict) and facts.get("owner"):
            return facts
    return None


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
