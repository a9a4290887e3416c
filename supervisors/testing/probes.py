"""Actors that do what a test tells them, and gates that hold actors up."""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable
from typing import Any

import attrs

from policies import validation
from supervisors.actor import Actor
from supervisors.async_actor import AsyncActor
from supervisors.exits import ExitReason
from supervisors.loop_thread import LoopThread
from supervisors.signals import Signal
from supervisors.testing.awaiting import DEADLINE, check_timeout
from supervisors.testing.records import Journal
from supervisors.thread_actor import ThreadActor

Hook = Callable[[Any], Any]
"""Called with the actor, by the actor; for an async actor possibly a coroutine function."""


@attrs.frozen
class Do:
    """Message to a probe: call this with the actor. What it returns is the answer, what it raises crashes the actor."""

    function: Hook = attrs.field(validator=validation.function())


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
        self._hooks = _hooks(journal, start, stop, fail, release)
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
        self._hooks = _hooks(journal, start, stop, fail, release)
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


def _hooks(
    journal: Journal | None, start: Hook | None, stop: Hook | None, fail: Hook | None, release: Hook | None
) -> dict[str, Hook | None]:
    """The hooks of a probe, by their marks in its journal."""
    validation.require_instance("the journal of a probe", journal, Journal, optional=True)
    for name, hook in (("start", start), ("stop", stop), ("fail", fail), ("release", release)):
        validation.require_function(f"the {name} hook of a probe", hook, optional=True)
    return {"+": start, "-": stop, "!": fail, "~": release}


def _note(actor: Probe | AsyncProbe, mark: str, hooks: dict[str, Hook | None]) -> Any:
    actor.journal.add(mark + actor.path.rpartition("/")[2])
    hook = hooks[mark]
    return hook(actor) if hook is not None else None


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


_held: dict[Actor, int] = {}
"""The actors that wait in a gate, and in how many: an async actor may have several tasks."""
_held_lock = threading.Lock()


def is_held(actor: Actor) -> bool:
    """True while the actor waits in a ``Gate`` that nobody has opened. Any thread."""
    validation.require_instance("is_held: actor (of a Ref: its .actor)", actor, Actor)
    with _held_lock:
        return actor in _held


class Gate:
    """Holds actors up until it is opened. ``hold`` is a hook: ``Probe(start=gate.hold)``, ``Do(gate.hold)``.

    For a thread actor it is a blocking call that no rung of the kill ladder reaches but the last; a coroutine that
    waits in it can be cancelled. May be opened from any thread, once; who comes later passes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._came = 0
        self._inside: list[tuple[Actor, Callable[[], object]]] = []
        self._open = False

    def hold(self, actor: Actor) -> Any:
        """Wait here until the gate is opened: blocks the actor's thread; for an async actor, returns the awaitable."""
        validation.require_instance("Gate.hold: actor", actor, Actor)
        if isinstance(actor, AsyncActor):
            return self._hold_task(actor)
        opened = threading.Event()
        if self._enter(actor, opened.set):
            opened.wait()
        return None

    def open(self) -> None:
        """Let all go on."""
        with self._changed:
            self._open = True
            inside, self._inside = self._inside, []
            for actor, _ in inside:  # before they go on: at no moment they look held while they run
                _let_go(actor)
        for _, let_pass in inside:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                let_pass()

    def await_held(self, count: int = 1, timeout: float = DEADLINE) -> None:
        """Wait until so many have come, all in all; ``AssertionError`` after ``timeout`` seconds."""
        validation.require_integer("Gate.await_held: count", count, 1)
        check_timeout("Gate.await_held", timeout)
        with self._changed:
            came = self._changed.wait_for(lambda: self._came >= count, timeout)
            assert came, f"{self._came} came to the gate within {timeout} s, not {count}"

    def _enter(self, actor: Actor, let_pass: Callable[[], object]) -> bool:
        with self._changed:
            self._came += 1
            self._changed.notify_all()
            if self._open:
                return False
            self._inside.append((actor, let_pass))
            with _held_lock:
                _held[actor] = _held.get(actor, 0) + 1
            return True

    async def _hold_task(self, actor: AsyncActor) -> None:
        loop = asyncio.get_running_loop()
        opened = asyncio.Event()
        mine = (actor, lambda: loop.call_soon_threadsafe(opened.set))
        if not self._enter(*mine):
            return
        try:
            await opened.wait()
        finally:
            with self._changed:
                if mine in self._inside:  # cancelled
                    self._inside.remove(mine)
                    _let_go(actor)


def _let_go(actor: Actor) -> None:
    with _held_lock:
        left = _held.pop(actor, 1) - 1
        if left:
            _held[actor] = left
