"""Errors that users of the library meet, and the exit codes of the command line."""

import enum
from collections.abc import Mapping
from typing import Any


class ScorewiseError(Exception):
    """Base of this library's own errors."""


class ConfigurationError(ScorewiseError, ValueError):
    """A value given by the user cannot be used. The text names field, value and remedy."""


class JobFailedError(ScorewiseError):
    """The job's tree could not be started, or gave up. The text carries the reason at the bottom of the tree."""


class CannotStartError(JobFailedError):
    """The browser, or Playwright's driver, is there and does not start: something on this machine has to be mended."""


class HttpStatusError(ScorewiseError):
    """The page answered with a status that makes it useless. Classified by the status; a ``Retry-After`` among the
    headers is respected.
    """

    def __init__(self, status: int, url: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.url = url
        self.headers = dict(headers or {})

    @classmethod
    def check(cls, response: Any) -> None:
        """Raise it for a Playwright ``Response`` with a status of 400 or more; None, as ``page.goto`` may return, is
        fine. For operations that load a page: Playwright itself takes an error page for a success.
        """
        if response is not None and response.status >= 400:
            raise cls(response.status, response.url, response.headers)


class HandlerTimeout(ScorewiseError):  # noqa: N818 - the classification table knows it by this name
    """The handler ran longer than ``request_handler_timeout``."""


class HandlerBlockedLoop(ScorewiseError):  # noqa: N818
    """The handler kept the event loop busy without awaiting, so that nothing else could run."""


class HandlerRaisedBaseException(ScorewiseError):  # noqa: N818
    """The handler raised ``SystemExit``, ``KeyboardInterrupt`` or the like; only its item fails."""


class HandlerCancelledOthers(ScorewiseError):  # noqa: N818
    """The handler cancelled tasks of its event loop that it had not begun, as a loop over ``asyncio.all_tasks()`` does.
    They were not cancelled; only its item fails.
    """


class HandlerClosedBrowser(ScorewiseError):  # noqa: N818
    """The handler closed the browser, which serves other items too. It was not closed; only its item fails."""


class HandlerClosedPage(ScorewiseError):  # noqa: N818
    """The handler closed its page or the context of it, and went on to use the page."""


class ExitCode(enum.IntEnum):
    """Exit codes of ``scorewise`` and ``JobReport.exit_code``."""

    DONE = 0
    """Every item is done."""
    ERROR = 1
    """Something failed that has no code of its own; a bug report is welcome."""
    USAGE = 2
    """An argument or input file cannot be used."""
    DEAD_LETTERS = 3
    """The job is complete, some items could not be done and are listed as dead letters."""
    ABORTED = 4
    """The judge halted the job; its verdict is in the report."""
    ENVIRONMENT = 5
    """Something the job needs is missing on this machine or does not start there, for example a browser;
    ``scorewise doctor`` tells."""
    STORAGE = 6
    """Storage, results file or stdout cannot be written or read, or the key is wrong or missing."""
    LOCKED = 7
    """Another process is working on the job."""
    FAILED = 8
    """The supervision tree used up its restarts and gave up."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; the same command resumes."""
