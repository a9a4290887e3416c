"""Options that several commands share, and the configuration they make."""

import os
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from policies import named
from policies.abort import AbortPolicy
from policies.retry import RetryPolicy
from scorewise_actors.browser.options import BrowserOptions
from scorewise_actors.config import SystemConfig
from scorewise_actors.errors import ConfigurationError

STORAGE_VARIABLE = "SCOREWISE_STORAGE"
_STORAGE = "storage"
_NO_ABORT = "off"
_JOB_OPTIONS = (
    *("no_encryption", "max_concurrency", "drivers", "browsers_per_driver", "max_retries"),
    *("handler_timeout", "drain_timeout", "abort", "browser"),
)


def add_storage_option(parser: ArgumentParser) -> None:
    """Where the jobs are: ``--storage``."""
    parser.add_argument(
        "--storage",
        metavar="DIR",
        default=os.environ.get(STORAGE_VARIABLE) or _STORAGE,
        help=f"folder of the jobs' journals (default: ${STORAGE_VARIABLE}, or ./{_STORAGE})",
    )


def add_output_options(parser: ArgumentParser, *, progress: bool = True) -> None:
    """``--json`` and ``--verbose``, and for commands that work for a while ``--quiet`` and ``--log``."""
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout's last line")
    parser.add_argument("--verbose", action="store_true", help="log more, and show full tracebacks of errors")
    if progress:
        parser.add_argument("--quiet", action="store_true", help="no progress, and only errors from the log")
        parser.add_argument("--log", metavar="FILE", help="append the full log to FILE")
    else:
        parser.set_defaults(quiet=False, log=None)


def add_job_options(parser: ArgumentParser) -> None:
    """The options that make a ``SystemConfig``; none has a default here, so that ``resume`` can tell what was given."""
    group = parser.add_argument_group("the job (resume remembers these)")
    defaults = SystemConfig()
    group.add_argument(
        "--max-concurrency", type=int, metavar="N", help=f"pages at the same time (default {defaults.max_concurrency})"
    )
    group.add_argument("--drivers", type=int, metavar="N", help=f"Playwright drivers (default {defaults.drivers})")
    group.add_argument(
        "--browsers-per-driver", type=int, metavar="N", help="browsers of each driver (default: one for two cores)"
    )
    group.add_argument(
        "--max-retries",
        type=int,
        metavar="N",
        help=f"tries of a page after the first (default {defaults.retry.max_attempts - 1})",
    )
    group.add_argument(
        "--handler-timeout",
        type=float,
        metavar="SECONDS",
        help=f"for one page (default {defaults.request_handler_timeout:g})",
    )
    group.add_argument(
        "--drain-timeout",
        type=float,
        metavar="SECONDS",
        help=f"for pages in hand after Ctrl-C (default {defaults.drain_timeout:g})",
    )
    group.add_argument(
        "--abort",
        choices=(*named.names("abort"), _NO_ABORT),
        help="when to halt a job that fails (default production)",
    )
    group.add_argument("--browser", metavar="PATH", help="the browser to use (default: the best one found)")
    group.add_argument("--no-encryption", action="store_true", default=None, help="keep the journal as plain text")


def given_job_options(arguments: Namespace) -> dict[str, Any]:
    """The job options that stand on the command line, by argument name."""
    return {name: value for name in _JOB_OPTIONS if (value := getattr(arguments, name)) is not None}


def system_config(storage: str, options: Mapping[str, Any]) -> SystemConfig:
    """The configuration that job options make. Raises ``ConfigurationError``."""
    options = dict(options)
    settings: dict[str, Any] = {"storage_path": Path(storage)}
    try:
        settings["encrypt"] = not options.pop("no_encryption", False)
        settings["browser"] = BrowserOptions(executable=options.pop("browser", None))
        if "abort" in options:
            settings["abort"] = _abort(options.pop("abort"))
        if "max_retries" in options:
            settings["retry"] = _retry(options.pop("max_retries"))
        if "handler_timeout" in options:
            settings["request_handler_timeout"] = options.pop("handler_timeout")
        return SystemConfig(**settings, **options)
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error


def resume_command(job_id: str, storage: str) -> str:
    """The command that goes on with a job, as one types it."""
    place = [] if storage == (os.environ.get(STORAGE_VARIABLE) or _STORAGE) else ["--storage", storage]
    name = ["--", job_id] if job_id.startswith("-") else [job_id]
    return shlex.join(["scorewise", "resume", *place, *name])


def _abort(name: str) -> AbortPolicy:
    return AbortPolicy(evidence=None, crashes=None) if name == _NO_ABORT else named.get("abort", name)


def _retry(retries: int) -> RetryPolicy:
    if not 0 <= retries <= 99:
        raise ConfigurationError(f"--max-retries must be a whole number from 0 to 99, got {retries}")
    return attrs.evolve(RetryPolicy(), max_attempts=retries + 1)
