"""``scorewise doctor``: what this machine lacks, and the command that mends it."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors.browser.errors import BrowserNotFound
from scorewise_actors.browser.executables import Finding, find_executable, inspect_environment, install_commands
from scorewise_actors.checkpoints import CheckpointError, load_keys
from scorewise_actors.checkpoints.keys import KEY_VARIABLE, key_file
from scorewise_actors.cli.arguments import add_output_options, add_storage_option
from scorewise_actors.cli.key_source import key_exists, key_source
from scorewise_actors.cli.report import put
from scorewise_actors.errors import ExitCode


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser(
        "doctor",
        help="say what is missing on this machine, and what mends it",
        description="Look at all that a job needs here, and say what mends what is missing.",
    )
    parser.add_argument("--install", action="store_true", help="install a browser if there is none")
    add_storage_option(parser)
    add_output_options(parser, progress=False)
    parser.set_defaults(execute=execute)


def execute(arguments: Namespace) -> ExitCode:
    """Print the findings; exit code ENVIRONMENT if something is missing."""
    if arguments.install:
        install(install_commands())
    storage = Path(arguments.storage).absolute()
    findings = (*inspect_environment(), inspect_storage(storage), inspect_key(storage))
    ok = all(finding.ok for finding in findings)
    code = ExitCode.DONE if ok else ExitCode.ENVIRONMENT
    if arguments.json:
        put(json.dumps({"ok": ok, "findings": [attrs.asdict(finding) for finding in findings], "exit_code": code}))
    else:
        for finding in findings:
            put(f"{'ok     ' if finding.ok else 'MISSING'}  {finding.name:<14}  {finding.detail}")
            if finding.remedy:
                put(f"         mend it with:  {finding.remedy}")
    return code


def install(commands: Sequence[Sequence[str]]) -> bool:
    """Try the commands in order until a browser is there; their output goes to stderr. True if there is one."""
    for command in ((), *commands):
        if command:
            print(f"$ {shlex.join(command)}", file=sys.stderr, flush=True)
            try:
                subprocess.run(command, check=False, stdout=sys.stderr.fileno(), stdin=subprocess.DEVNULL)
            except OSError as error:
                print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        try:
            found = find_executable()
        except BrowserNotFound:
            continue
        print(f"there is a browser: {found.path}", file=sys.stderr)
        return True
    return False


def inspect_storage(storage: Path) -> Finding:
    """Whether journals can be written in ``storage``, or it can be created. Nothing of the try is left."""
    place = _existing(storage)
    try:
        _write_in(place)
    except OSError as error:
        remedy = "choose another folder with --storage or SCOREWISE_STORAGE, or make this one writable"
        return Finding("storage", False, f"{place}: {error.strerror}", remedy)
    return Finding("storage", True, str(storage) if place == storage else f"{storage} (will be created)")


def inspect_key(storage: Path) -> Finding:
    """Whether there is a key, or one can be created. None is created here."""
    source = key_source()
    remedy = f"set {KEY_VARIABLE} to base64 of 32 bytes, or mend {key_file()}"
    if not key_exists():
        place = _existing(key_file().absolute().parent)
        try:
            _write_in(place)
        except OSError as error:
            return Finding("key", False, f"{source} cannot be created: {place}: {error.strerror}", remedy)
        return Finding("key", True, f"{source} (will be created on first use)")
    try:
        keys = load_keys(None, storage)
    except CheckpointError as error:
        return Finding("key", False, str(error), remedy)
    return Finding("key", True, f"{source}, key id {keys.primary.id}")


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _write_in(place: Path) -> None:
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
