"""From ``sys.argv`` to a command and its exit code: one module per command, besides what they share."""

import argparse
import importlib.metadata
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from scorewise_actors.cli import demo, doctor, jobs, logs, resume, run
from scorewise_actors.cli.exits import guarded, settled, table
from scorewise_actors.cli.progress import PlainDisplay
from scorewise_actors.errors import ConfigurationError, ExitCode


def carry_out(argv: Sequence[str] | None) -> int:
    """Run a command line and return its exit code, an ``ExitCode``. The main thread only."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as end:  # argparse has said why
        return settled(int(end.code or 0))
    return settled(guarded(_execute, arguments))


def _execute(arguments: argparse.Namespace) -> ExitCode:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise ConfigurationError("the current folder has been deleted; go to another one") from None
    logs.configure(arguments, PlainDisplay())
    code: ExitCode = arguments.execute(arguments)
    return code


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="scorewise",
        description="Browser scraping that survives crashed browsers, killed drivers, full disks and kill -9.",
        epilog=f"exit codes:\n{table()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "--version", action="version", version=f"scorewise {importlib.metadata.version('scorewise-actors')}"
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in (run, resume, jobs, demo, doctor):
        command.add_to(commands)
    return top
