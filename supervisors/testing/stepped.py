"""A runtime for tests: real actors, virtual time, and never a doubt whether everybody has finished."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pykka
from pykka import messages
from pykka._envelope import Envelope

from policies import validation
from supervisors.actor import Actor
from supervisors.async_actor import AsyncActor
from supervisors.future import ReplyFuture
from supervisors.ref import Ref
from supervisors.runtime import Runtime
from supervisors.testing.awaiting import DEADLINE, check_timeout
from supervisors.testing.fake_clock import FakeClock
from supervisors.testing.probes import is_held
from supervisors.thread_actor import ThreadActor

_PING = messages.ProxyGetAttr(attr_path=("incarnation",))
"""Answered by every actor without its handler being called, once all that was sent before has been handled."""


class SteppedRuntime(Runtime):
    """A runtime whose time passes only when the test says so, and only while everybody is at rest.

    At rest is an actor that has handled all its messages, has ended, or waits in a ``Gate`` or ``FakeClock.sleeping``.
    So after ``advance`` a test sees the same on any machine, however loaded. An actor that is stuck on purpose
    elsewhere (a socket, an endless loop) is named with ``let_be``. The limits of ``start`` and ``stop`` are virtual.
    """

    def __init__(self, name: str = "system", clock: FakeClock | None = None) -> None:
        validation.require_instance("SteppedRuntime.clock", clock, FakeClock, optional=True)
        self.fake_clock = clock or FakeClock()
        super().__init__(name, self.fake_clock)
        self._stuck: frozenset[str] = frozenset()
        self._moves = 0
        self._moves_lock = threading.RLock()

    def now(self) -> float:
        """Virtual seconds since the clock began."""
        return self.fake_clock.monotonic()

    def advance(self, seconds: float) -> None:
        """Let virtual time pass. Each timer is called when everybody has come to rest after the one before."""
        self.fake_clock.advance(seconds, self.settle)

    def run_until(self, done: Callable[[], bool], limit: float = 3600.0) -> bool:
        """Let virtual time pass until ``done()`` and no further; True then. False if ``limit`` virtual seconds have
        passed without.
        """
        return self.fake_clock.run_until(done, limit, self.settle)

    def let_be(self, *paths: str) -> None:
        """From now on do not wait for whoever lives at these paths, but for all others: ``let_be()`` waits for all."""
        for path in paths:
            validation.require_instance("SteppedRuntime.let_be: path", path, str)
        self._stuck = frozenset(paths)

    def settle(self, timeout: float = DEADLINE) -> None:
        """Wait until everybody is at rest.

        Raises ``AssertionError`` after ``timeout`` seconds of the real clock, with the stack of who is busy.
        """
        check_timeout("SteppedRuntime.settle", timeout)
        deadline = time.monotonic() + timeout
        while True:
            before = self._moves
            for ref in self.refs():
                self._await_rest(ref, deadline)
            if before == self._moves:  # all were asked, and meanwhile nobody sent anything: nothing is under way
                return

    def launch(self, actor: Actor, path: str) -> None:
        """Start an actor, and count from now on what is put into its mailbox."""
        _count_puts(actor, self._moved)
        super().launch(actor, path)

    def _moved(self) -> None:
        with self._moves_lock:
            self._moves += 1

    def _wait(self, future: ReplyFuture, timeout: float) -> None:
        self.run_until(future.done, timeout)
        if not future.done():
            raise pykka.Timeout(f"{timeout} seconds of virtual time")
        future.get(timeout=0)

    def _await_rest(self, ref: Ref, deadline: float) -> None:
        actor = ref.actor
        if actor is None or ref.path in self._stuck:
            return
        pong: ReplyFuture | None = None
        while not (actor.fenced or is_held(actor) or _is_over(actor)):
            if pong is None:
                pong = ReplyFuture()
                actor.actor_inbox.put(Envelope(_PING, reply_to=pong))
            elif pong.done():
                if _went_well(pong):
                    return
                pong = None  # it ends: wait until it has, or its mailbox was full
            assert time.monotonic() < deadline, (
                f"{ref.path} does not come to rest; if it is stuck on purpose, name it with let_be(). It is here:\n"
                f"{actor.stack()}"
            )
            time.sleep(0.0002)


def _is_over(actor: Actor) -> bool:
    """True if nothing of an ended actor runs any more: the news of its end are with its watchers."""
    if actor.exit_reason is None:
        return False
    if isinstance(actor, ThreadActor):
        return actor._thread is None or not actor._thread.is_alive()
    return not isinstance(actor, AsyncActor) or actor._task is None or actor._task.done()


def _went_well(pong: ReplyFuture) -> bool:
    try:
        pong.get(timeout=0)
    except Exception:  # noqa: BLE001 - ActorDeadError, or whatever a full mailbox says
        return False
    return True


def _count_puts(actor: Actor, moved: Callable[[], None]) -> None:
    """Call ``moved`` for every message but pings that is put into the actor's mailbox."""
    mailbox: Any = actor.mailbox
    kind = type(mailbox)

    def put(self: Any, envelope: Envelope[Any], /) -> None:
        if envelope.message is not _PING:
            moved()
        kind.put(self, envelope)

    mailbox.__class__ = type(f"Counted{kind.__name__}", (kind,), {"__slots__": (), "put": put})
