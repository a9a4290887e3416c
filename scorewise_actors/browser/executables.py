"""Which browser to start: the cheapest good one on this machine, named by the path of its real binary.

The headless shell comes first: it costs half the CPU of Chromium's new headless mode per page, and a fifth per
context. It must be started by its own path: Debian's wrapper script does not ``exec``, so the pid would be a shell's.

:func:`inspect_environment` and :func:`install_commands` are for a doctor: what is missing, and what mends it.
"""

import functools
import importlib.metadata
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import attrs

from scorewise_actors.browser.errors import BrowserNotFound

Kind = Literal["headless-shell", "chromium", "chrome"]

VARIABLE = "SCOREWISE_BROWSER"

_SHELL_PATHS = ("/usr/lib/chromium/chromium-headless-shell", "/usr/lib/chromium-browser/headless_shell")
_SHELL_NAMES = ("chromium-headless-shell", "chrome-headless-shell", "headless_shell")
_BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_BROWSER_PATHS = (
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
    "/snap/bin/chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_REMEDIES = (
    "scorewise doctor --install",
    "playwright install chromium-headless-shell",
    "apt-get install chromium-headless-shell   (Debian)",
)
_VERSION_SECONDS = 20.0
_COMMAND_SECONDS = 30.0
_PLAYWRIGHT_INSTALL = (sys.executable, "-m", "playwright", "install")
_SHM = Path("/dev/shm")  # noqa: S108 - inspected, never written
_MIN_SHM_MIB = 64
_MIN_FILES = 1024


@attrs.frozen
class Executable:
    """A browser that can be started."""

    path: str
    """Absolute path of the real binary."""
    kind: Kind
    source: str
    """Where it was found, for people: ``"SCOREWISE_BROWSER"``, ``"system"``, ``"PATH"``, ``"Playwright"``."""
    version: str
    """What it says of itself: ``"Chromium 141.0.7390.122"``."""


@attrs.frozen
class Finding:
    """One thing looked at. ``remedy`` is the command or setting that mends it; empty when ``ok``."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def find_executable(explicit: str | None = None, environ: Mapping[str, str] | None = None) -> Executable:
    """The browser to use. Blocks while it asks a browser for its version (20-100 ms, once per binary).

    Order: ``explicit``, the variable ``SCOREWISE_BROWSER``; a headless shell (Playwright's own, the system's, on
    ``PATH``); Chromium or Chrome on ``PATH`` or in the usual places; Playwright's own Chromium. Raises
    BrowserNotFound, which says what was looked at and what to do. A browser named by ``explicit`` or by the variable
    is never replaced by another.
    """
    environ = os.environ if environ is None else environ
    looked_at: list[str] = []
    for path, kind, source in _candidates(explicit, environ):
        real = real_binary(path) if path.is_file() and os.access(path, os.X_OK) else None
        version = None if real is None else version_of(real)
        if real is not None and version is not None:
            return Executable(str(real), kind or _kind_of(real), source, version)
        problem = "not there" if not path.exists() else "is not executable" if real is None else "does not start"
        looked_at.append(f"{path} ({source}): {problem}")
    looked_at.append(f"PATH for {', '.join((*_SHELL_NAMES, *_BROWSER_NAMES))}")
    raise BrowserNotFound(tuple(looked_at), _REMEDIES)


def inspect_environment(environ: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """Look at all that a browser needs here. Blocks for up to a second: it starts the driver and the browser to see
    that they do.
    """
    return (_python(), _driver(), _browser(environ), _shared_memory(), _open_files())


def install_commands() -> tuple[tuple[str, ...], ...]:
    """Commands that install a browser on this machine, in the order to try them until one succeeds. Nothing is run
    here.
    """
    from_playwright = (
        (*_PLAYWRIGHT_INSTALL, "--with-deps", "chromium-headless-shell"),
        (*_PLAYWRIGHT_INSTALL, "chromium-headless-shell"),
    )
    root = os.geteuid() == 0
    if root and shutil.which("apt-get") and _apt_offers("chromium-headless-shell"):
        return (("apt-get", "install", "--yes", "chromium-headless-shell"), *from_playwright)
    return from_playwright if root else from_playwright[1:]


def real_binary(path: Path) -> Path:
    """The binary behind a wrapper script (Debian's ``/usr/bin/chromium*``); the path itself where there is none."""
    resolved = path.resolve()
    with resolved.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(b"#!"):
        return resolved
    for name in re.findall(rb"(/[\w./-]*chrom[\w./-]*)", head):
        target = Path(os.fsdecode(name))
        if target != resolved and target.is_file() and os.access(target, os.X_OK):
            return real_binary(target)
    beside = Path("/usr/lib/chromium") / resolved.name
    return beside if beside.is_file() else resolved


def version_of(path: Path) -> str | None:
    """What the browser says to ``--version``; None when it does not start. Blocks; remembered per binary."""
    return _version(str(path), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _version(path: str, _changed: int) -> str | None:
    try:
        told = subprocess.run(
            [path, "--version"], capture_output=True, check=False, timeout=_VERSION_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = told.stdout.decode(errors="replace").strip()
    return text.splitlines()[-1].strip() if told.returncode == 0 and text else None


def _candidates(explicit: str | None, environ: Mapping[str, str]) -> Iterator[tuple[Path, Kind | None, str]]:
    named = [(explicit, "given explicitly")] if explicit else []
    named += [(environ[VARIABLE], VARIABLE)] if environ.get(VARIABLE) and not explicit else []
    if named:
        for path, source in named:
            yield Path(path).expanduser().absolute(), None, source
        return
    for shell in _of_playwright(environ, "chromium_headless_shell-*", ("headless_shell", "chrome-headless-shell")):
        yield shell, "headless-shell", "Playwright"
    for name in _SHELL_PATHS:
        yield Path(name), "headless-shell", "system"
    for shell in _on_path(_SHELL_NAMES, environ):
        yield shell, "headless-shell", "PATH"
    for browser in _on_path(_BROWSER_NAMES, environ):
        yield browser, None, "PATH"
    for name in _BROWSER_PATHS:
        yield Path(name), None, "system"
    for browser in _of_playwright(environ, "chromium-*", ("chrome", "Chromium")):
        yield browser, "chromium", "Playwright"


def _on_path(names: tuple[str, ...], environ: Mapping[str, str]) -> Iterator[Path]:
    for name in names:
        found = shutil.which(name, path=environ.get("PATH", os.defpath))
        if found:
            yield Path(found)


def _of_playwright(environ: Mapping[str, str], folder: str, names: tuple[str, ...]) -> Iterator[Path]:
    """Playwright's own downloads, the newest first."""
    named = environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if named and named != "0":
        root = Path(named).expanduser()
    else:
        home = Path(environ.get("HOME") or Path.home())
        root = home / ("Library/Caches/ms-playwright" if sys.platform == "darwin" else ".cache/ms-playwright")
    for build in sorted(root.glob(folder), key=_build_number, reverse=True):
        yield from (path for name in names for path in sorted(build.glob(f"*/{name}")) if path.is_file())


def _build_number(folder: Path) -> int:
    digits = folder.name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


def _kind_of(path: Path) -> Kind:
    if "headless" in path.name:
        return "headless-shell"
    return "chromium" if "chromium" in path.name.lower() else "chrome"


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, version, "" if ok else "install Python 3.11 or newer")


def _driver() -> Finding:
    installed = importlib.metadata.version("playwright")
    told = _run(sys.executable, "-m", "playwright", "--version")
    if told is None:
        remedy = "pip install --force-reinstall playwright"
        return Finding("playwright", False, f"{installed}: its driver (node) does not start", remedy)
    return Finding("playwright", True, f"{installed}, driver {told.removeprefix('Version ')}")


def _browser(environ: Mapping[str, str] | None) -> Finding:
    try:
        found = find_executable(environ=environ)
    except BrowserNotFound as error:
        return Finding("browser", False, "; ".join(error.looked_at), error.remedies[0])
    return Finding("browser", True, f"{found.version} at {found.path} ({found.kind}, {found.source})")


def _shared_memory() -> Finding:
    if not _SHM.is_dir():
        return Finding("shared memory", True, f"no {_SHM} here; the browser uses files instead")
    size = shutil.disk_usage(_SHM).total // 2**20
    # Playwright starts Chromium with --disable-dev-shm-usage, so this costs speed and never crashes pages
    ok = size >= _MIN_SHM_MIB
    return Finding(
        "shared memory", ok, f"{_SHM} has {size} MiB", "" if ok else "docker run --shm-size=1g (or --ipc=host)"
    )


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = soft == resource.RLIM_INFINITY or soft >= _MIN_FILES
    return Finding("open files", ok, f"limit {soft} (hard {hard})", "" if ok else f"ulimit -n {_MIN_FILES}")


def _apt_offers(package: str) -> bool:
    told = _run("apt-cache", "policy", package)
    return told is not None and "Candidate:" in told and "Candidate: (none)" not in told


def _run(*command: str) -> str | None:
    """What a command printed; None when it failed or took too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
