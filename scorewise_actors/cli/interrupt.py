"""Ctrl-C, SIGTERM and SIGHUP: the first one asks for an orderly end, the second one for an immediate one.

A signal handler runs in the middle of whatever the main thread does, possibly while it holds a lock of the tree. So the
first signal only leaves a note, which the command's loop reads several times a second; the second one raises, and what
has to be done is done where the exception is caught.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Stop at once. ``stuck`` is set if the tree did not end in time."""

    stuck = False


class Interrupts:
    """Counts the signals while it is entered; in the main thread only. A signal that is ignored (nohup) stays so."""

    def __init__(self) -> None:
        self.count = 0
        self.name = ""
        """Of the first signal, as people call it."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self.name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        elif self.count == 2:
            raise Interrupted("stopped at once; all that was acknowledged is recorded")


def in_background(work: Callable[[], object], name: str) -> threading.Thread:
    """Run ``work`` in a daemon thread."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
