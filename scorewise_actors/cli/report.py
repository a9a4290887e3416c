"""The end of a run, told to people and to machines."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from scorewise_actors.cli.progress import counted, duration, visible
from scorewise_actors.errors import ExitCode, ScorewiseError
from scorewise_actors.job import JobReport

_LISTED = 20
"""Dead letters that are told to people; ``--json`` has them all."""


class StdoutError(ScorewiseError):
    """What was to be printed could not be: the device is full."""

    def __init__(self, number: int) -> None:
        name = errno.errorcode.get(number, str(number))
        super().__init__(
            f"stdout cannot be written: {os.strerror(number)} ({name}); only what was to be printed is lost, "
            "'scorewise jobs' tells how each job stands"
        )


def put(text: str) -> None:
    """Print to stdout, at once. A reader that has gone away (``| head``) changes nothing, not even the exit code.

    Raises ``StdoutError``.
    """
    _printed(lambda: print(visible(text), flush=True))


def flush() -> None:
    """What others have printed is on its way as well. Raises ``StdoutError``."""
    if sys.stdout is not None:
        _printed(sys.stdout.flush)


def _printed(work: Callable[[], object]) -> None:
    try:
        work()
    except OSError as error:
        _drop_the_rest()
        if not isinstance(error, BrokenPipeError):
            raise StdoutError(error.errno or 0) from error


def _drop_the_rest() -> None:
    """Python flushes once more at its end, and would say on stderr that it cannot."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError):  # a stream without a descriptor
        os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def report_text(report: JobReport, out: str | None, resume: str | None = None) -> str:
    """The report as a block of text. ``out`` is the results file, ``resume`` the command that goes on, if any."""
    rule = f" ({report.verdict.rule})" if report.verdict.rule else ""
    reason = f": {report.verdict.reason}" if report.verdict.reason else ""
    restarts = counted(report.restarts_by_actor) if report.restarts else "0"
    dead = counted(report.dead_by_reason) if report.dead_lettered else "0"
    rows: list[tuple[str, Any]] = [
        ("enqueued", report.enqueued),
        ("done", report.done),
        ("dead letters", dead),
        ("pending", report.pending),
        ("lost", report.lost),
        ("recorded twice", report.recorded_twice),
        ("retries", report.retries),
        ("restarts", restarts),
        ("time", f"{duration(report.seconds)}, {report.pages_per_second:.1f} pages/s"),
        ("results", f"{report.results} in {out}" if out else report.results),
    ]
    if report.storage:
        rows.append(("journal", report.storage))
    if report.resumed:
        rows.insert(2, ("of earlier runs", report.resumed))
    if resume:
        rows.append(("go on with", resume))
    lines = [f"job {report.job_id}: {report.verdict.outcome}{rule}{reason}"]
    lines += [f"  {name:<16}{value}" for name, value in rows]
    if report.dead_letters:
        lines.append("dead letters:")
    for letter in report.dead_letters[:_LISTED]:
        tries = f"{letter.attempts} {'try' if letter.attempts == 1 else 'tries'}"
        lines.append(f"  {letter.url}  {letter.error_type}: {letter.message} ({tries})")
    if len(report.dead_letters) > _LISTED:
        lines.append(f"  and {len(report.dead_letters) - _LISTED} more; --json lists them all")
    return "\n".join(lines)


def report_json(report: JobReport, code: ExitCode, **more: Any) -> str:
    """The report as one line of JSON: ``JobReport.to_json`` with ``exit_code`` and what else is given."""
    return json.dumps({**report.to_json(), "exit_code": int(code), **more}, default=str)
