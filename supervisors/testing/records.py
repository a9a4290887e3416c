"""What happened, in order: by actors themselves (``Journal``), and in a runtime (``EventLog``)."""

import threading
from typing import TypeVar

from policies import validation
from supervisors.events import Event
from supervisors.runtime import Runtime
from supervisors.testing.awaiting import DEADLINE, check_timeout

E = TypeVar("E", bound=Event)


class Journal:
    """What actors did, in order. Any thread."""

    def __init__(self) -> None:
        self._entries: list[str] = []
        self._written = threading.Condition()

    def add(self, entry: str) -> None:
        """Write a line."""
        validation.require_instance("Journal.add: entry", entry, str)
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
        """Wait until the line is there ``count`` times; ``AssertionError`` after ``timeout`` seconds."""
        validation.require_instance("Journal.await_entry: entry", entry, str)
        validation.require_integer("Journal.await_entry: count", count, 1)
        check_timeout("Journal.await_entry", timeout)
        with self._written:
            came = self._written.wait_for(lambda: self._entries.count(entry) >= count, timeout)
            assert came, f"{entry!r} did not come {count} times within {timeout} s: {self._entries}"


class EventLog:
    """All events of a runtime since this log was made. Any thread."""

    def __init__(self, runtime: Runtime) -> None:
        validation.require_instance("EventLog.runtime", runtime, Runtime)
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
        _check_wanted("EventLog.of", kind, path)
        with self._heard:
            return self._of(kind, path)

    def await_event(self, kind: type[E], path: str | None = None, count: int = 1, timeout: float = DEADLINE) -> E:
        """Wait for the ``count``-th event of this kind; returns it. ``AssertionError`` after ``timeout`` seconds."""
        _check_wanted("EventLog.await_event", kind, path)
        validation.require_integer("EventLog.await_event: count", count, 1)
        check_timeout("EventLog.await_event", timeout)
        with self._heard:
            came = self._heard.wait_for(lambda: len(self._of(kind, path)) >= count, timeout)
            assert came, f"no {count} {kind.__name__} of {path} within {timeout} s: {[str(e) for e in self._events]}"
            return self._of(kind, path)[count - 1]

    def _of(self, kind: type[E], path: str | None) -> list[E]:
        return [event for event in self._events if isinstance(event, kind) and path in (None, event.path)]


def _check_wanted(what: str, kind: object, path: object) -> None:
    """What can never come is not waited for."""
    if not isinstance(kind, type) or not (issubclass(kind, Event) or issubclass(Event, kind)):
        raise validation.wrong(f"{what}: kind", "a class of supervisors.events, such as Started", kind)
    validation.require_instance(f"{what}: path", path, str, optional=True)
