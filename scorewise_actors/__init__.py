"""A browser scraper that survives anything that is not a bug in the target list.

Erlang/OTP-style supervision on Pykka actors runs Playwright browsers. Whatever dies - a page, a browser, the driver, an
actor, this process, the machine's power - run it again and no completed item is lost or recorded twice.

    async with ActorSystem() as system:
        report = await system.run("shop-2026-11", urls, handler)
"""

from loguru import logger

from scorewise_actors import shadowing

shadowing.check()
logger.disable("scorewise_actors")  # a library is silent until its user says logger.enable("scorewise_actors")

from scorewise_actors.browser.errors import BrowserNotFound
from scorewise_actors.browser.options import BrowserOptions
from scorewise_actors.checkpoints import CheckpointError, CheckpointLocked, CheckpointStorageError
from scorewise_actors.config import SystemConfig
from scorewise_actors.errors import ConfigurationError, ExitCode, HttpStatusError, JobFailedError, ScorewiseError
from scorewise_actors.handle import JobHandle
from scorewise_actors.job import DeadLetter, Handler, JobReport, Progress, Request, ScrapeContext, Verdict
from scorewise_actors.system import ActorSystem

__all__ = [
    "ActorSystem",
    "BrowserNotFound",
    "BrowserOptions",
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
