"""``scorewise jobs``: what is in the storage."""

import datetime as dt
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors import ledger
from scorewise_actors.checkpoints import (
    CheckpointError,
    CheckpointKeyMismatch,
    CheckpointNotFound,
    CheckpointStore,
    JobInfo,
    load_keys,
)
from scorewise_actors.cli.arguments import add_output_options, add_storage_option
from scorewise_actors.cli.key_source import key_exists
from scorewise_actors.cli.report import put
from scorewise_actors.errors import ExitCode

_UNFINISHED = "running"
_KILLED = "killed"


@attrs.frozen
class JobRow:
    """One job. Counts are None where the journal cannot be read; ``error`` says why."""

    job_id: str
    bytes: int
    """On disk."""
    modified: float
    """Unix time of the last write; 0.0 before the first."""
    locked: bool
    owner_pid: int | None
    """Process that works on it, as far as it is known."""
    enqueued: int | None = None
    done: int | None = None
    dead_lettered: int | None = None
    pending: int | None = None
    last_run: str = "?"
    """Outcome of the last run; ``running``, or ``killed`` if it never came to its end."""
    error: str | None = None


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "jobs", help="list the jobs in the storage", description="List the jobs in the storage."
    )
    add_storage_option(parser)
    add_output_options(parser, progress=False)
    parser.set_defaults(execute=execute)


def execute(arguments: Namespace) -> ExitCode:
    """Print the jobs; exit code STORAGE if one cannot be read."""
    storage = Path(arguments.storage).resolve()
    rows: list[JobRow] = []
    if storage.exists():  # before the first run there is none
        plain = CheckpointStore(storage, None, writable=False)
        rows = [_row(plain, info) for info in plain.jobs()]
    if arguments.json:
        put(json.dumps({"storage": str(storage), "jobs": [attrs.asdict(row) for row in rows]}))
    else:
        put(_table(rows) if rows else f"no jobs in {storage}")
    return ExitCode.STORAGE if any(row.error for row in rows) else ExitCode.DONE


def _row(plain: CheckpointStore, info: JobInfo) -> JobRow:
    row = JobRow(info.job_id, info.size, info.modified, info.locked, info.owner_pid)
    try:
        state = _state(plain, info.job_id)
    except CheckpointNotFound:
        state = {}
    except CheckpointError as error:
        return attrs.evolve(row, error=str(error))
    counted = ledger.audit(state)
    return attrs.evolve(
        row,
        enqueued=counted.enqueued,
        done=counted.done,
        dead_lettered=len(counted.dead),
        pending=len(counted.pending),
        last_run=_last_run(state, locked=info.locked),
    )


def _state(plain: CheckpointStore, job_id: str) -> dict[str, Any]:
    """The journal's state; keys are looked for only if it is sealed, and only where there are some: looking at a job
    never makes a key.
    """
    try:
        return plain.read(job_id)[0]
    except CheckpointKeyMismatch:
        if not key_exists():
            raise
        return CheckpointStore(plain.path, load_keys(None, plain.path), writable=False).read(job_id)[0]


def _last_run(state: dict[str, Any], *, locked: bool) -> str:
    runs = state.get("runs") or [{}]
    outcome = runs[-1].get("outcome")
    return str(outcome) if outcome is not None else _UNFINISHED if locked else _KILLED


def _table(rows: list[JobRow]) -> str:
    header = ("JOB", "DONE", "DEAD", "PENDING", "LAST RUN", "SIZE", "WRITTEN", "LOCKED BY")
    cells = [header] + [
        (
            row.job_id.replace("\n", "\\n"),
            _count(row.done),
            _count(row.dead_lettered),
            _count(row.pending),
            row.last_run,
            f"{row.bytes / 1024:.0f} kB",
            f"{dt.datetime.fromtimestamp(row.modified).astimezone():%Y-%m-%d %H:%M:%S}" if row.modified else "-",
            (f"process {row.owner_pid}" if row.owner_pid else "somebody") if row.locked else "-",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join(lines + [f"{row.job_id}: {row.error}" for row in rows if row.error])


def _count(value: int | None) -> str:
    return "?" if value is None else str(value)
