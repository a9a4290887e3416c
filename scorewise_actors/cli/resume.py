"""``scorewise resume``: go on with a job that ``run`` has started."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors.checkpoints import CheckpointStore
from scorewise_actors.cli.arguments import add_job_options, add_output_options, add_storage_option, given_job_options
from scorewise_actors.cli.handler_name import load_handler
from scorewise_actors.cli.memo import Memo
from scorewise_actors.cli.run import perform
from scorewise_actors.cli.urls import read_requests
from scorewise_actors.errors import ConfigurationError, ExitCode

_DESCRIPTION = """
Go on with a job. Handler, URLs, options and results file are those of its last run; options given here replace them.
On a job that is complete it only completes the results file, or writes it anew with --out.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser("resume", help="go on with a job", description=_DESCRIPTION)
    parser.add_argument("job", metavar="JOB", help="id of the job; 'scorewise jobs' lists them")
    parser.add_argument("--out", metavar="FILE", help="another results file (.jsonl, .csv or .json)")
    add_storage_option(parser)
    add_job_options(parser)
    add_output_options(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: Namespace) -> ExitCode:
    """Find out what was asked for, then run it."""
    memo = _memo(arguments.job, arguments.storage)
    if arguments.out is not None:
        memo = attrs.evolve(memo, out=str(Path(arguments.out).absolute()))
    memo = attrs.evolve(memo, options={**memo.options, **given_job_options(arguments)})
    handler = load_handler(memo.handler, Path(memo.folder))
    if memo.fed:
        requests = []
    elif memo.urls is not None:
        requests = read_requests(memo.urls)
    else:
        raise ConfigurationError(
            f"job {arguments.job!r} was interrupted before all of stdin was recorded; run it again with the same input"
        )
    return perform(arguments.job, memo, handler, requests, arguments)


def _memo(job_id: str, storage: str) -> Memo:
    if not Path(storage).exists():
        raise ConfigurationError(
            f"there is no job {job_id!r}: there is no folder {Path(storage).absolute()}; go to where the job was "
            "started, or name its storage with --storage"
        )
    store = CheckpointStore(storage, None, writable=False)
    if not store.exists(job_id):
        known = ", ".join(repr(info.job_id) for info in store.jobs()) or "none"
        raise ConfigurationError(f"there is no job {job_id!r} in {store.path}; known jobs: {known}")
    memo = Memo.read(store.directory(job_id))
    if memo is None:
        raise ConfigurationError(
            f"job {job_id!r} was not started by 'scorewise run', so its handler is not known; run it with its own "
            "program, or with 'scorewise run' and this --job-id"
        )
    return memo
