"""What happened, in order: by actors themselves (``Journal``), and in a runtime (``EventLog``)."""

import threading
from typing import TypeVar

from supervisors.events import Event
from supervisors.runtime import Runtime
from supervisors.testing.awaiting import DEADLINE

E = TypeVar("E", bound=Event)


class Journal:
    """What actors did, in order. Any thread."""

    def __init__(self) -> None:
        self._entries: list[str] = []
        self._written = threading.Condition()

    def add(self, entry: str) -> None:
        """Write a line."""
        with self._written:
            self._entries.append(entry)
            self._written.notify_all()

    def entries(self) -> list[str]:
        """All lines so far."""
        with self._written:
            return list(self._entries)

    def clear(self) -> None:
        """Begin anew."""
        with self._written:
            self._entries.clear()

    def await_entry(self, entry: str, count: int = 1, timeout: float = DEADLINE) -> None:
        """Wait until the line is there ``count`` times."""
        with self._written:
            came = self._written.wait_for(lambda: self._entries.count(entry) >= count, timeout)
            assert came, f"{entry!r} did not come {count} times within {timeout} s: {self._entries}"


class EventLog:
    """All events of a runtime since this log was made. Any thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._events: list[Event] = []
        self._heard = threading.Condition()
        self.close = runtime.subscribe(self._hear)
        """Ends the recording."""

    def _hear(self, event: Event) -> None:
        with self._heard:
            self._events.append(event)
            self._heard.notify_all()

    def of(self, kind: type[E], path: str | None = None) -> list[E]:
        """The events of this kind (about the actor at ``path``), in order."""
        with self._heard:
            return self._of(kind, path)

    def await_event(self, kind: type[E], path: str | None = None, count: int = 1, timeout: float = DEADLINE) -> E:
        """Wait for the ``count``-th event of this kind; returns it."""
        with self._heard:
            came = self._heard.wait_for(lambda: len(self._of(kind, path)) >= count, timeout)
            assert came, f"no {count} {kind.__name__} of {path} within {timeout} s: {[str(e) for e in self._events]}"
            return self._of(kind, path)[count - 1]

    def _of(self, kind: type[E], path: str | None) -> list[E]:
        return [event for event in self._events if isinstance(event, kind) and path in (None, event.path)]
