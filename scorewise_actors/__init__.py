"""A browser scraper that survives anything that is not a bug in the target list.

Erlang/OTP-style supervision on Pykka actors runs Playwright browsers. Whatever dies - a page, a browser, the driver, an
actor, this process, the machine's power - run it again and no completed item is lost or recorded twice.

    async with ActorSystem() as system:
        report = await system.run("shop-2026-11", urls, handler)
"""

import importlib
from typing import TYPE_CHECKING, Any

from loguru import logger

from scorewise_actors import shadowing

shadowing.check()
logger.disable("scorewise_actors")  # a library is silent until its user says logger.enable("scorewise_actors")

if TYPE_CHECKING:
    from scorewise_actors.browser.errors import BrowserNotFound
    from scorewise_actors.browser.options import BrowserOptions
    from scorewise_actors.checkpoints import CheckpointError, CheckpointLocked, CheckpointStorageError
    from scorewise_actors.config import SystemConfig
    from scorewise_actors.errors import (
        CannotStartError,
        ConfigurationError,
        ExitCode,
        HttpStatusError,
        JobFailedError,
        ScorewiseError,
    )
    from scorewise_actors.handle import JobHandle
    from scorewise_actors.job import DeadLetter, Handler, JobReport, Progress, Request, ScrapeContext, Verdict
    from scorewise_actors.system import ActorSystem

__all__ = [
    "ActorSystem",
    "BrowserNotFound",
    "BrowserOptions",
    "CannotStartError",
    "CheckpointError",
    "CheckpointLocked",
    "CheckpointStorageError",
    "ConfigurationError",
    "DeadLetter",
    "ExitCode",
    "Handler",
    "HttpStatusError",
    "JobFailedError",
    "JobHandle",
    "JobReport",
    "Progress",
    "Request",
    "ScorewiseError",
    "ScrapeContext",
    "SystemConfig",
    "Verdict",
]

_HOMES = {
    "browser.errors": "BrowserNotFound",
    "browser.options": "BrowserOptions",
    "checkpoints": "CheckpointError CheckpointLocked CheckpointStorageError",
    "config": "SystemConfig",
    "errors": "CannotStartError ConfigurationError ExitCode HttpStatusError JobFailedError ScorewiseError",
    "handle": "JobHandle",
    "job": "DeadLetter Handler JobReport Progress Request ScrapeContext Verdict",
    "system": "ActorSystem",
}
"""Module -> its public names, imported when they are asked for: whatever needs one part does not wait for all, and the
command line has its signal handlers before the half second that all of it takes.
"""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names.split():
            value = globals()[name] = getattr(importlib.import_module(f"scorewise_actors.{module}"), name)
            return value
    raise AttributeError(f"module 'scorewise_actors' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
