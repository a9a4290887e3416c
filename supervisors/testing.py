"""Tools for tests of programs built on ``supervisors``: wait for what happens in a tree, never for time to pass.

A test waits for signals (``ready_of``, ``down_of``), for events (``EventLog``), for what actors did (``Journal``) or
for the look of a tree (``await_children``); all of them fail with what was there instead. ``Probe`` and ``AsyncProbe``
are actors that do what a test tells them: ``ref.ask(Do(lambda actor: 1 / 0))`` is a crash.
"""

import inspect
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from supervisors.actor import Actor
from supervisors.async_actor import AsyncActor
from supervisors.events import Event
from supervisors.exits import ExitReason
from supervisors.future import ReplyFuture
from supervisors.loop_thread import LoopThread
from supervisors.ref import Ref
from supervisors.runtime import Runtime
from supervisors.signals import Down, Ready, Signal
from supervisors.supervisor import which_children
from supervisors.thread_actor import ThreadActor

DEADLINE = 30.0
"""Seconds after which a wait fails. Generous: it only matters when something is wrong."""

E = TypeVar("E", bound=Event)
T = TypeVar("T")
Hook = Callable[[Any], Any]


def await_true(condition: Callable[[], T], what: str, timeout: float = DEADLINE) -> T:
    """Look again and again until ``condition()`` is true; returns its value. For what announces itself to nobody."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.002)
    return value


def ready_of(actor: Actor) -> ReplyFuture:
    """Answered with the ``Ready`` of an actor that is not started yet, or with its ``Down`` if that comes first."""
    return _first(actor, (Ready, Down))


def down_of(actor: Actor) -> ReplyFuture:
    """Answered with the ``Down`` of an actor; at once if it has ended."""
    return _first(actor, (Down,))


def _first(actor: Actor, kinds: tuple[type[Signal], ...]) -> ReplyFuture:
    future = ReplyFuture()

    def hear(signal: Signal) -> None:
        if isinstance(signal, kinds):
            future.offer(signal)

    actor.monitor(hear)
    return future


def await_children(supervisor: Ref, look: str, timeout: float = DEADLINE) -> None:
    """Wait until the children look like this, in start order: ``"a=up b=restarting"``."""
    seen = ""
    deadline = time.monotonic() + timeout
    while seen != look:
        assert time.monotonic() < deadline, f"{supervisor.path} looks like {seen!r}, not like {look!r}"
        seen = " ".join(f"{row.id}={row.status}" for row in which_children(supervisor).get(timeout=timeout))
        time.sleep(0.002)


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


@attrs.frozen
class Do:
    """Message to a probe: call this with the actor. What it returns is the answer, what it raises crashes the actor."""

    function: Hook


class Probe(ThreadActor):
    """Writes ``+name`` into its journal when it starts, ``-name`` when it stops, ``!name`` when it fails and ``~name``
    when it is released, ``name`` being the last part of its path. Calls the hooks it was given after writing. Answers
    ``Do`` with what its function returns and every other message with the message.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        start: Hook | None = None,
        stop: Hook | None = None,
        fail: Hook | None = None,
        release: Hook | None = None,
    ) -> None:
        super().__init__()
        self.journal = journal or Journal()
        self._hooks = {"+": start, "-": stop, "!": fail, "~": release}
        self.signals: list[Signal] = []
        """What ``on_signal`` got."""

    def on_start(self) -> None:
        _note(self, "+", self._hooks)

    def on_stop(self) -> None:
        _note(self, "-", self._hooks)

    def on_failure(self, *_exc_info: Any) -> None:
        _note(self, "!", self._hooks)

    def release(self) -> None:
        _note(self, "~", self._hooks)

    def on_signal(self, signal: Signal) -> None:
        self.signals.append(signal)

    def on_receive(self, message: Any) -> Any:
        return message.function(self) if isinstance(message, Do) else message


class AsyncProbe(AsyncActor):
    """The same on an event loop; hooks and the functions of ``Do`` may be coroutine functions."""

    def __init__(
        self,
        loop: LoopThread,
        journal: Journal | None = None,
        *,
        start: Hook | None = None,
        stop: Hook | None = None,
        fail: Hook | None = None,
        release: Hook | None = None,
    ) -> None:
        super().__init__(loop)
        self.journal = journal or Journal()
        self._hooks = {"+": start, "-": stop, "!": fail, "~": release}
        self.signals: list[Signal] = []
        """What ``on_signal`` got."""

    async def set_up(self) -> None:
        await _settled(_note(self, "+", self._hooks))

    async def tear_down(self, reason: ExitReason) -> None:
        await _settled(_note(self, "!" if reason.abnormal else "-", self._hooks))

    def release(self) -> None:
        _note(self, "~", self._hooks)

    def on_signal(self, signal: Signal) -> None:
        self.signals.append(signal)

    async def on_receive(self, message: Any) -> Any:
        return await _settled(message.function(self)) if isinstance(message, Do) else message


def _note(actor: Probe | AsyncProbe, mark: str, hooks: dict[str, Hook | None]) -> Any:
    actor.journal.add(mark + actor.path.rpartition("/")[2])
    hook = hooks[mark]
    return hook(actor) if hook is not None else None


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
