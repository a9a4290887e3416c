"""``scorewise run``: a handler of the user's over a file of URLs."""

import contextlib
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors.browser.executables import find_executable
from scorewise_actors.checkpoints import CheckpointLocked, CheckpointStore
from scorewise_actors.checkpoints.lock import lock_owner
from scorewise_actors.cli import logs
from scorewise_actors.cli.arguments import (
    add_job_options,
    add_output_options,
    add_storage_option,
    given_job_options,
    resume_command,
    system_config,
)
from scorewise_actors.cli.handler_name import load_handler, short
from scorewise_actors.cli.interrupt import Interrupts
from scorewise_actors.cli.key_source import key_exists
from scorewise_actors.cli.live import open_display
from scorewise_actors.cli.memo import Memo
from scorewise_actors.cli.progress import PlainDisplay
from scorewise_actors.cli.report import put, report_json, report_text
from scorewise_actors.cli.session import Ended, Session, carry_out
from scorewise_actors.cli.urls import STDIN, read_requests
from scorewise_actors.errors import ConfigurationError, ExitCode
from scorewise_actors.export import ResultsFile, open_results, results_kind
from scorewise_actors.job import Handler, Request, check_job_id
from scorewise_actors.system import ActorSystem

_DESCRIPTION = """
Run an async function of yours on every URL of a file, in supervised browsers.

MODULE is found in the current folder or among the installed packages; path/to/file.py:HANDLER names a file. The URL
file has one URL per line, or one JSON object with the fields url, label, user_data, unique_key, max_retries; blank
lines and lines that begin with # are left out.

Running a job id that the storage knows goes on where the last run stopped; --purge starts over.
The journal is encrypted with the key in SCOREWISE_CHECKPOINT_KEY, or in the file that SCOREWISE_CHECKPOINT_KEY_FILE
names (default ~/.local/share/scorewise/checkpoint.key, created on first use).
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser("run", help="scrape a file of URLs with a handler of yours", description=_DESCRIPTION)
    parser.add_argument("handler", metavar="MODULE:HANDLER", help="the handler, for example shop.pages:scrape")
    parser.add_argument("--urls", required=True, metavar="FILE", help="the URLs; - for stdin")
    parser.add_argument(
        "--job-id", metavar="ID", help="name of the job (default: MODULE.HANDLER-FILE, without folders and suffixes)"
    )
    parser.add_argument(
        "--out", metavar="FILE", help="results as .jsonl (appended while running), .csv or .json (default: ID.jsonl)"
    )
    parser.add_argument("--purge", action="store_true", help="forget what earlier runs of the job did")
    add_storage_option(parser)
    add_job_options(parser)
    add_output_options(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: Namespace) -> ExitCode:
    """Check everything that can be checked, then run."""
    handler = load_handler(arguments.handler)
    requests = read_requests(arguments.urls)
    job_id = arguments.job_id if arguments.job_id is not None else default_job_id(arguments.handler, arguments.urls)
    check_job_id(job_id)
    memo = Memo(
        handler=arguments.handler,
        folder=str(Path.cwd()),
        out=str(Path(arguments.out or f"{_file_stem(job_id)}.jsonl").absolute()),
        urls=None if arguments.urls == STDIN else str(Path(arguments.urls).absolute()),
        options=given_job_options(arguments),
    )
    return perform(job_id, memo, handler, requests, arguments, purge=arguments.purge)


def default_job_id(handler: str, urls: str) -> str:
    """``shop.pages.scrape-urls`` for ``shop.pages:scrape`` and ``lists/urls.txt``."""
    return f"{short(handler)}-{'stdin' if urls == STDIN else Path(urls).stem}"


def perform(
    job_id: str, memo: Memo, handler: Handler, requests: list[Request], arguments: Namespace, *, purge: bool = False
) -> ExitCode:
    """Run a job as its memo says, print the report, and answer with the exit code."""
    _check_key(job_id, arguments.storage)
    system = ActorSystem(system_config(arguments.storage, memo.options))
    directory = system.store.directory(job_id)
    owner = lock_owner(directory)
    if owner is not None:
        raise CheckpointLocked(job_id, str(owner))
    if purge or not system.store.exists(job_id):  # otherwise it may be complete, and need none
        find_executable(system.config.browser.executable)
    command = resume_command(job_id, arguments.storage)

    def remember(*, fed: bool) -> None:
        attrs.evolve(memo, fed=fed).write(directory)

    with contextlib.closing(_open_results(memo, directory)) as results:
        results.begin(lambda: _outcomes_so_far(system.store, job_id), restart=purge)
        session = Session(
            job_id=job_id,
            handler=handler,
            requests=requests,
            results=results,
            resume=command,
            purge=purge,
            on_open=lambda _handle: remember(fed=memo.fed),
            on_fed=lambda _handle: remember(fed=True),
        )
        ended = watch(system, session, arguments)
    return tell(ended, memo.out, _next_command(ended, memo, command), arguments)


def watch(system: ActorSystem, session: Session, arguments: Namespace) -> Ended:
    """Start the system, run the session under a display and the signal handlers, and stop the system."""
    with Interrupts() as interrupts, contextlib.closing(open_display(quiet=arguments.quiet)) as display:
        logs.configure(arguments, display)
        try:
            with system:
                return carry_out(system, session, display, interrupts)
        finally:
            logs.configure(arguments, PlainDisplay())


def tell(ended: Ended, out: str, command: str | None, arguments: Namespace) -> ExitCode:
    """Print the report. A results file that could not be completed is a failure of its own."""
    code = ended.report.exit_code
    if ended.export_error is not None:
        code = ExitCode.STORAGE
    if arguments.json:
        error = {} if ended.export_error is None else {"error": str(ended.export_error)}
        put(report_json(ended.report, code, out=out, resume=command, **error))
    else:
        put(report_text(ended.report, out, command))
    if ended.export_error is not None:
        PlainDisplay().say(f"scorewise: {ended.export_error}")
    return code


def _check_key(job_id: str, storage: str) -> None:
    """A job that is there and sealed is not opened by a key that is about to be made. Raises
    ``CheckpointKeyMismatch``, which names the key that is wanted.
    """
    if not key_exists() and Path(storage).is_dir():
        plain = CheckpointStore(storage, None, writable=False)
        if plain.exists(job_id):
            plain.read(job_id)


def _next_command(ended: Ended, memo: Memo, command: str) -> str | None:
    if not ended.report.pending and ended.fed:
        return None
    if not ended.fed and memo.urls is None:
        return "the same command and the same input: not all of stdin was recorded"
    return command


def _open_results(memo: Memo, directory: Path) -> ResultsFile:
    """A whole file may only be replaced if this job has written it; a JSON lines file shows that by its content."""
    out = Path(memo.out)
    try:
        before = Memo.read(directory)
    except ConfigurationError:  # about to be replaced
        before = None
    ours = before is not None and before.out == memo.out
    return open_results(out, replace=ours and results_kind(out) != ".jsonl")


def _outcomes_so_far(store: CheckpointStore, job_id: str) -> list[list[Any]]:
    if not store.exists(job_id):
        return []
    state, _ = store.read(job_id)
    outcomes: list[list[Any]] = state.get("outcomes", [])
    return outcomes


def _file_stem(job_id: str) -> str:
    return re.sub(r"[^\w.-]", "_", job_id).lstrip(".") or "results"
