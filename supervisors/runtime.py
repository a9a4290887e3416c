"""What all actors of one system share: names, events, the timer, the list of zombies, and the end of it all."""

import atexit
import contextlib
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable

import pykka
from loguru import logger

from supervisors.actor import Actor
from supervisors.clock import SYSTEM_CLOCK, Clock
from supervisors.events import Event
from supervisors.exits import SHUTDOWN, ExitKind, ExitReason
from supervisors.future import ReplyFuture
from supervisors.ladder import LadderRun
from supervisors.ref import Ref
from supervisors.signals import Down, Ready, Signal
from supervisors.spec import Ladder

_EXIT_DEADLINE = 10.0
"""Seconds that a tree still running at interpreter exit is given to stop."""

_SHARE = 3
"""One child may take at most this part of the time left at exit, so that a stuck one leaves time to those after it."""

Subscriber = Callable[[Event], None]


class Runtime:
    """One tree of actors. All methods may be called from any thread.

    Independent of other runtimes in the process: names, events and the end are this runtime's own. ``clock`` is for
    tests, see ``supervisors.testing.FakeClock``.
    """

    def __init__(self, name: str = "system", clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = name
        self.clock = clock
        self.timer = clock.timers(f"{name} timer")
        self.dead_letters: Counter[str] = Counter()
        """Messages that nobody handled, by target path."""
        self._refs: weakref.WeakValueDictionary[str, Ref] = weakref.WeakValueDictionary()
        self._subscribers: tuple[tuple[Subscriber, frozenset[str] | None], ...] = ()
        self._zombies: dict[int, Actor] = {}
        self._lock = threading.RLock()  # reentrant: a signal handler may tell
        self._deadline: float | None = None
        self._root: Actor | None = None
        self._root_down = ReplyFuture()
        _open_runtimes.add(self)

    # ----------------------------------------------------------------------------------------------- the tree

    def start(self, root: Actor, timeout: float = 60.0) -> Ref:
        """Start the root of the tree and wait until it is ready.

        Raises ``RuntimeError`` with the reason if it refuses or if this runtime has had its tree, ``pykka.Timeout``
        after ``timeout`` seconds.
        """
        if self._root is not None:
            raise RuntimeError(f"the runtime {self.name!r} was started already: make a new one for a new tree")
        ready = ReplyFuture()

        def hear(signal: Signal) -> None:
            if isinstance(signal, Ready):
                ready.offer(value=True)
            elif isinstance(signal, Down):
                ref.point_to(None)
                ready.offer(error=RuntimeError(f"{root.path} did not start: {signal.reason}"))
                self._root_down.offer(signal.reason)

        ref = self.ref(self.name)
        root.monitor(hear)
        self._root = root
        self.launch(root, self.name)
        self._wait(ready, timeout)
        return ref

    @property
    def ended(self) -> ReplyFuture:
        """Answered with the root's ``ExitReason`` once the tree has ended."""
        return self._root_down

    def stop(self, timeout: float = 60.0, reason: ExitReason = SHUTDOWN) -> bool:
        """Stop the tree in order and wait at most ``timeout`` seconds. True if everything ended; then the timer ends
        too. False leaves the ladders climbing. Without a tree, or with one that ended before, only the timer ends.
        """
        root = self._root
        if root is not None:
            root.request_stop(reason)
            with contextlib.suppress(pykka.Timeout):
                self._wait(self._root_down, timeout)
            if not self._root_down.done():
                return False
        self.close()
        return True

    def _wait(self, future: ReplyFuture, timeout: float) -> None:
        """Where the caller of ``start`` and ``stop`` waits; a runtime for tests turns its clock meanwhile."""
        future.get(timeout=timeout)

    def close(self) -> None:
        """End the timer, once the tree has ended."""
        _open_runtimes.discard(self)
        self.timer.close()

    def launch(self, actor: Actor, path: str) -> None:
        """Give the actor its path and start it. What goes wrong becomes its exit reason."""
        actor.bind(self, path)
        self.ref(path).point_to(actor)
        if self.registers(actor):
            pykka.ActorRegistry.register(actor.actor_ref)
        try:
            actor._start_actor_loop()
        except Exception as error:  # noqa: BLE001 - no thread to be had, loop gone: a refused start
            actor._finish(ExitReason.of(ExitKind.START_FAILED, error))

    def registers(self, actor: Actor) -> bool:
        """True for the root, the only one that Pykka's registry knows: ``stop_all`` ends the tree through it, in order.
        With all actors in it each end would search a list of all, and supervisors would restart what it stops.
        """
        return actor is self._root

    def kill(self, actor: Actor, ladder: Ladder, reason: ExitReason) -> None:
        """Run the kill ladder on an actor; returns at once."""
        if self._deadline is not None:
            ladder = ladder.within(max(0.0, self._deadline - self.clock.monotonic()) / _SHARE)
        LadderRun(self, actor, ladder, reason).begin()

    # -------------------------------------------------------------------------------------------------- names

    def ref(self, path: str) -> Ref:
        """The stable reference to a path, also before and after somebody lives there. The same one for as long as an
        actor lives there or anybody keeps it: names of children that never come back are not kept for ever.
        """
        with self._lock:
            ref = self._refs.get(path)
            if ref is None:
                ref = self._refs[path] = Ref(self, path)
            return ref

    def refs(self) -> tuple[Ref, ...]:
        """The names of all living actors, and those that anybody keeps, in the order in which they came up."""
        with self._lock:
            return tuple(self._refs.values())

    # ------------------------------------------------------------------------------------------------- events

    def subscribe(self, subscriber: Subscriber, kinds: Iterable[str] | None = None) -> Callable[[], None]:
        """Call ``subscriber`` with each event (of these ``kinds``), in the thread where it happens: it must only pass
        the event on. Returns the function that ends the subscription.
        """
        entry = (subscriber, frozenset(kinds) if kinds is not None else None)
        with self._lock:
            self._subscribers = (*self._subscribers, entry)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(other for other in self._subscribers if other is not entry)

        return unsubscribe

    def emit(self, event: Event) -> None:
        """Tell the subscribers. One that raises is logged and harms nobody."""
        if event.kind == "dead_letter":
            with self._lock:
                self.dead_letters[event.path] += 1
        for subscriber, kinds in self._subscribers:
            if kinds is None or event.kind in kinds:
                try:
                    subscriber(event)
                except Exception as error:  # noqa: BLE001
                    logger.opt(exception=error).error("subscriber failed on {}: {!r}", event.kind, error)

    # ------------------------------------------------------------------------------------------------ zombies

    def add_zombie(self, actor: Actor) -> None:
        """List an abandoned actor until its thread ends."""
        with self._lock:
            self._zombies[actor.incarnation] = actor

    def forget_zombie(self, actor: Actor) -> None:
        """The abandoned actor's thread has ended."""
        with self._lock:
            self._zombies.pop(actor.incarnation, None)

    def zombies(self) -> dict[str, str]:
        """Path of each abandoned actor whose thread is still stuck -> its present stack."""
        with self._lock:
            zombies = tuple(self._zombies.values())
        return {f"{actor.path}#{actor.incarnation}": actor.stack() for actor in zombies}


_open_runtimes: "weakref.WeakSet[Runtime]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Actors run in daemon threads: without this their stop hooks would not run when the interpreter exits."""
    for runtime in list(_open_runtimes):
        runtime._deadline = runtime.clock.monotonic() + _EXIT_DEADLINE
        runtime.stop(_EXIT_DEADLINE)


def _mark_dead() -> None:
    """In a forked child: the threads of all actors stayed behind, so every reference is down. Takes no lock, the fork
    may have copied any of them held.
    """
    for runtime in list(_open_runtimes):
        for ref in list(runtime._refs.values()):
            ref.point_to(None)
    _open_runtimes.clear()


os.register_at_fork(after_in_child=_mark_dead)
