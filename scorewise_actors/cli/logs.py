"""Where the library's log goes while the command line runs: to stderr above the progress display, and to ``--log``.

Secrets are taken out of whole lines here, of tracebacks as well: no call that writes a URL can forget it.
"""

import logging
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from scorewise_actors.cli.progress import Display
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.redaction import redact_text
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
    logger.add(
        lambda text: display.say(redact_text(text.rstrip("\n"))),
        level=level,
        format=shown,
        backtrace=False,
        diagnose=False,
    )
    if arguments.log is not None:
        try:
            file = _RedactedFile(arguments.log)
        except OSError as error:
            raise ConfigurationError(f"--log {arguments.log} cannot be opened: {error.strerror}") from error
        logger.add(file, level="DEBUG", format=_FILE_FORMAT, backtrace=False, diagnose=False)


class _RedactedFile:
    """A sink for loguru: a file that is added to, line by line."""

    def __init__(self, path: str) -> None:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        # page text may hold halves of characters, which no file takes
        self._stream = file.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def write(self, text: str) -> None:
        self._stream.write(redact_text(text))

    def stop(self) -> None:
        """Called by loguru when the sink is removed."""
        self._stream.close()


def log_restarts(runtime: Runtime) -> Callable[[], None]:
    """Have restarts, and whoever gave up or is stuck, logged as warnings. Returns the function that ends it."""
    return runtime.subscribe(_log_event, ("restarting", "gave_up", "abandoned"))


def _log_event(event: Event) -> None:
    logger.warning("{}", event)


def _without_traceback(_record: "Record") -> str:
    return "{time:HH:mm:ss} {level} {message}\n"


def _with_traceback(_record: "Record") -> str:
    return "{time:HH:mm:ss} {level} {message}\n{exception}"
