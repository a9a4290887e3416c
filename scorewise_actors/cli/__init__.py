"""The command line ``scorewise``. Light: what takes its time to import comes when Ctrl-C is in good hands."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from scorewise_actors.errors import ExitCode


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: ``sys.argv``) and return its exit code, an ``ExitCode``. The main thread only."""
    with _leaving_at_once():
        from scorewise_actors.cli import command_line  # noqa: PLC0415 - half a second of imports
    try:
        return command_line.carry_out(argv)
    except KeyboardInterrupt:  # before or after a command; what comes within is told by it
        return _interrupted()


@contextlib.contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Nothing has begun: a signal ends the process there and then, as an exception could come out of any import as
    another one, or be lost in it. A program's own handlers, and signals that are ignored (nohup), stay as they are.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, _leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(_interrupted())


def _interrupted() -> int:
    with contextlib.suppress(OSError):
        os.write(2, b"scorewise: interrupted\n")
    return ExitCode.INTERRUPTED
