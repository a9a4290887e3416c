"""From an error to one sentence and an exit code; the only place that decides either."""

import ast
import inspect
import json
import os
import textwrap
import traceback
from argparse import Namespace
from collections.abc import Callable

from scorewise_actors.browser.errors import BrowserNotFound
from scorewise_actors.checkpoints import CheckpointError, CheckpointLocked
from scorewise_actors.cli.interrupt import Interrupted
from scorewise_actors.cli.progress import PlainDisplay
from scorewise_actors.cli.report import StdoutError, flush, put
from scorewise_actors.errors import CannotStartError, ConfigurationError, ExitCode, JobFailedError
from scorewise_actors.export import ResultsFileError, ResultsFileLocked

_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (ConfigurationError, ExitCode.USAGE),
    (BrowserNotFound, ExitCode.ENVIRONMENT),
    (CannotStartError, ExitCode.ENVIRONMENT),
    (CheckpointLocked, ExitCode.LOCKED),
    (ResultsFileLocked, ExitCode.LOCKED),
    (CheckpointError, ExitCode.STORAGE),
    (ResultsFileError, ExitCode.STORAGE),
    (StdoutError, ExitCode.STORAGE),
    (JobFailedError, ExitCode.FAILED),
)
"""The first that fits counts."""


def exit_code(error: BaseException) -> ExitCode:
    """The exit code that an error leads to."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.ERROR)


def sentence(error: BaseException) -> str:
    """What is told to people: one line that names what was wrong and what to do."""
    if isinstance(error, BrowserNotFound):
        return (
            f"no browser was found (looked at: {'; '.join(error.looked_at)}); mend it with: scorewise doctor --install"
        )
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted"
    text = " ".join(str(error).split()) or type(error).__name__
    if exit_code(error) is ExitCode.ERROR:
        return f"{type(error).__name__}: {text}; run it again with --verbose for the full traceback"
    return text


def guarded(execute: Callable[[Namespace], ExitCode], arguments: Namespace) -> int:
    """Run a command; whatever it raises becomes a sentence on stderr and an exit code.

    With ``--json`` stdout gets one line, ``{"error": ..., "exit_code": ...}``, as well. With ``--verbose`` the
    traceback comes first.
    """
    try:
        code = execute(arguments)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost frame
        code = exit_code(error)
        if arguments.verbose and not isinstance(error, KeyboardInterrupt):
            traceback.print_exc()
        PlainDisplay().say(f"scorewise: {sentence(error)}")
        if arguments.json and not isinstance(error, StdoutError):
            put(json.dumps({"error": sentence(error), "exit_code": int(code)}))
        if isinstance(error, Interrupted) and error.stuck:
            os._exit(code)  # some thread does not end, and waiting for it is what the user has forbidden
    return int(code)


def settled(code: int) -> int:
    """The exit code of a command that has ended with ``code``, once all that it printed has been taken."""
    try:
        flush()
    except StdoutError as error:
        PlainDisplay().say(f"scorewise: {sentence(error)}")
        return int(exit_code(error))
    return code


def table() -> str:
    """The exit codes with their meaning, one per line, as ``ExitCode`` documents them."""
    return "\n".join(
        textwrap.fill(f"{int(code):>5}  {meaning}", 100, subsequent_indent=" " * 7) for code, meaning in _meanings()
    )


def _meanings() -> list[tuple[ExitCode, str]]:
    """Python keeps no docstrings of enum members, but the source has them below each."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(ExitCode))).body
    assert isinstance(definition, ast.ClassDef)
    meanings = []
    for member, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            (target,) = member.targets
            assert isinstance(target, ast.Name)
            meanings.append((ExitCode[target.id], " ".join(str(text.value.value).split())))
    return meanings
