"""Playwright browsers that cannot hang their callers: guarded calls, watched processes, pages that are reused and
wiped.

Knows nothing of actors. All of it runs on one asyncio loop per driver, except what is documented for any thread
(``kill``, ``Gone.set``, ``processes``).
"""

from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.errors import (
    BrowserGone,
    BrowserLayerError,
    BrowserNotFound,
    DriverGone,
    GoneError,
    GuardTimeout,
    PageGone,
)
from scorewise_actors.browser.executables import (
    Executable,
    Finding,
    find_executable,
    inspect_environment,
    install_commands,
)
from scorewise_actors.browser.failures import diagnose, failure_facts, is_infrastructure
from scorewise_actors.browser.gone import Gone, PidWatch, watch_pid
from scorewise_actors.browser.guard import guard
from scorewise_actors.browser.homes import sweep_homes
from scorewise_actors.browser.options import BrowserOptions, Isolation
from scorewise_actors.browser.pages import PageSlot

__all__ = [
    "Browser",
    "BrowserGone",
    "BrowserLayerError",
    "BrowserNotFound",
    "BrowserOptions",
    "Driver",
    "DriverGone",
    "Executable",
    "Finding",
    "Gone",
    "GoneError",
    "GuardTimeout",
    "Isolation",
    "PageGone",
    "PageSlot",
    "PidWatch",
    "diagnose",
    "failure_facts",
    "find_executable",
    "guard",
    "inspect_environment",
    "install_commands",
    "is_infrastructure",
    "sweep_homes",
    "watch_pid",
]
