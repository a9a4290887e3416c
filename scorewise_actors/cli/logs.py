"""Where the library's log goes while the command line runs: to stderr above the progress display, and to ``--log``."""

import logging
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger

from scorewise_actors.cli.progress import Display
from scorewise_actors.errors import ConfigurationError
from supervisors.events import Event
from supervisors.runtime import Runtime

if TYPE_CHECKING:
    from loguru import Record

_FILE_FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <8} {name}:{line} {message}"


def configure(arguments: Namespace, display: Display) -> None:
    """Warnings to the display (from INFO on if ``--verbose``, errors only if ``--quiet``), all to ``--log FILE``.

    Raises ``ConfigurationError`` for a log file that cannot be opened.
    """
    level = "INFO" if arguments.verbose else "ERROR" if arguments.quiet else "WARNING"
    # a driver that was killed leaves broken pipes, of which asyncio warns; it is in the log as a restart
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    logger.remove()
    for package in ("scorewise_actors", "supervisors", "policies"):
        logger.enable(package)
    shown = _with_traceback if arguments.verbose else _without_traceback
    logger.add(lambda text: display.say(text.rstrip("\n")), level=level, format=shown, backtrace=False, diagnose=False)
    if arguments.log is not None:
        try:
            logger.add(arguments.log, level="DEBUG", format=_FILE_FORMAT, backtrace=False, diagnose=False)
        except OSError as error:
            raise ConfigurationError(f"--log {arguments.log} cannot be opened: {error.strerror}") from error


def log_restarts(runtime: Runtime) -> Callable[[], None]:
    """Have restarts, and whoever gave up or is stuck, logged as warnings. Returns the function that ends it."""
    return runtime.subscribe(_log_event, ("restarting", "gave_up", "abandoned"))


def _log_event(event: Event) -> None:
    logger.warning("{}", event)


def _without_traceback(_record: "Record") -> str:
    return "{time:HH:mm:ss} {level} {message}\n"


def _with_traceback(_record: "Record") -> str:
    return "{time:HH:mm:ss} {level} {message}\n{exception}"
