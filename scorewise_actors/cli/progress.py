"""Progress of a running job: the figures, and the plain lines that show them where there is no terminal."""

import contextlib
import datetime as dt
import re
import sys
from collections import deque
from collections.abc import Mapping
from typing import Protocol, TextIO

import attrs

from scorewise_actors.cli.tree_state import Member, down
from scorewise_actors.job import Progress

_LINE_EVERY = 5.0
"""Seconds between two plain lines."""
_PACE_OVER = 60.0
"""The pace is that of the last so many seconds."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@attrs.frozen
class Snapshot:
    """A job at one moment."""

    job_id: str
    progress: Progress
    seconds: float
    """Since the run began."""
    per_minute: float | None
    """Items finished per minute, lately; None when it is too early to tell."""
    restarts: Mapping[str, int]
    """By role."""
    tree: tuple[Member, ...] = ()
    stopping: bool = False


class Pace:
    """Items per minute over the last minute. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_minute(self, finished: int, now: float) -> float | None:
        """The pace, after ``finished`` items at ``now``; None within a second of the first call."""
        self._seen.append((now, finished))
        while now - self._seen[0][0] > _PACE_OVER:
            self._seen.popleft()
        then, before = self._seen[0]
        return (finished - before) * 60 / (now - then) if now - then >= 1 else None


class Display(Protocol):
    """Where progress is shown; a context manager. ``say`` may be called from any thread."""

    def due(self, now: float) -> bool:
        """Whether it is time for a new snapshot (monotonic seconds)."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show it."""
        ...

    def say(self, text: str) -> None:
        """Print a line that stays."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; again is harmless."""
        ...


class PlainDisplay:
    """A line every few seconds on a stream (default: stderr). A reader that has gone away stops nothing."""

    def __init__(self, stream: TextIO | None = None, every: float = _LINE_EVERY) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._every = every
        self._next = 0.0

    def due(self, now: float) -> bool:
        """See ``Display``."""
        if now < self._next:
            return False
        self._next = now + self._every
        return True

    def show(self, snapshot: Snapshot) -> None:
        """See ``Display``."""
        self.say(f"{dt.datetime.now().astimezone():%H:%M:%S} {line(snapshot)}")

    def say(self, text: str) -> None:
        """See ``Display``."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{visible(text)}\n")
            self._stream.flush()

    def close(self) -> None:
        """See ``Display``."""


class QuietDisplay(PlainDisplay):
    """No progress, only what is said."""

    def due(self, now: float) -> bool:
        """Never."""
        del now
        return False


def line(snapshot: Snapshot) -> str:
    """A snapshot in one line."""
    progress = snapshot.progress
    parts = [f"{progress.done}/{progress.enqueued} done"]
    counts = (("dead", progress.dead), ("in flight", progress.in_flight), ("waiting to retry", progress.delayed))
    parts += [f"{count} {what}" for what, count in counts if count]
    if snapshot.per_minute is not None:
        parts.append(f"{snapshot.per_minute:.0f}/min")
    eta = progress.eta(snapshot.seconds)
    if eta is not None and progress.pending:
        parts.append(f"ETA {duration(eta)}")
    if snapshot.restarts:
        parts.append(f"restarts {counted(snapshot.restarts)}")
    if progress.failures:
        parts.append(f"failed tries {counted(progress.failures)}")
    if missing := down(snapshot.tree):
        parts.append(f"down: {', '.join(map(str, missing))}")
    if snapshot.stopping:
        parts.append("stopping")
    return f"{snapshot.job_id}: {', '.join(parts)}"


def visible(text: str) -> str:
    """The text with control characters escaped, but for tabs and ends of lines: what a page or a handler says must not
    write to the terminal's title or clipboard, or over other lines.
    """
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def counted(counts: Mapping[str, int]) -> str:
    """Counts by name, the largest first: ``3 (browser 2, driver 1)``."""
    named = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return f"{sum(counts.values())} ({', '.join(f'{name} {count}' for name, count in named)})"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: ``0:01:35``."""
    return str(dt.timedelta(seconds=round(seconds)))
