"""What all actors of one system share: names, events, the timer, the list of zombies, and the end of it all."""

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pykka

from policies import validation
from supervisors.actor import Actor
from supervisors.clock import SYSTEM_CLOCK, Clock
from supervisors.current import current_actor
from supervisors.events import DeadLetter, Event, Launched, ManyZombies
from supervisors.exits import SHUTDOWN, ExitKind, ExitReason
from supervisors.future import ReplyFuture
from supervisors.idle_threads import IdleThreads
from supervisors.incarnation import Incarnation
from supervisors.ladder import LadderRun
from supervisors.names import Names
from supervisors.ref import Ref
from supervisors.signals import Down, Ready, Signal
from supervisors.spec import Ladder
from supervisors.subscribers import Subscribers

if TYPE_CHECKING:
    from supervisors.errand import Errand

_EXIT_DEADLINE = 10.0
"""Seconds that a tree still running at interpreter exit is given to stop."""

_SHARE = 3
"""One child may take at most this part of the time left at exit, so that a stuck one leaves time to those after it."""

Subscriber = Callable[[Event], None]

_telling = threading.local()
"""Whether this thread is about to tell subscribers of a dead letter."""


class Runtime:
    """One tree of actors. All methods may be called from any thread.

    Independent of other runtimes in the process: names, events and the end are this runtime's own. ``clock`` is for
    tests, see ``supervisors.testing.FakeClock``. What is wrongly given is a ``ValueError``, and changes nothing.
    """

    def __init__(self, name: str = "system", clock: Clock = SYSTEM_CLOCK, *, max_zombies: int = 8) -> None:
        if not isinstance(name, str) or not all(name.split("/")):
            raise validation.wrong("Runtime.name", "a non-empty string, the first part of every path", name)
        if not callable(getattr(clock, "timers", None)) or not callable(getattr(clock, "monotonic", None)):
            raise validation.wrong("Runtime.clock", "a Clock, such as supervisors.testing.FakeClock()", clock)
        validation.require_integer("Runtime.max_zombies", max_zombies, 0)
        self.name = name
        self.max_zombies = max_zombies
        """More abandoned actors than this, and ``ManyZombies`` is announced."""
        self.names = Names()
        """Short names for places in this tree."""
        self.clock = clock
        self.timer = clock.timers(f"{name} timer")
        self.idle_threads = IdleThreads(name)
        """Threads that wait a moment for their next actor."""
        self.dead_letters: Counter[str] = Counter()
        """Messages that nobody handled, by target path."""
        self.late_messages: Counter[str] = Counter()
        """Messages that abandoned actors still sent, and that were dropped, by the path of the sender."""
        self._refs: weakref.WeakValueDictionary[str, Ref] = weakref.WeakValueDictionary()
        self._subscribers: Subscribers[Event] = Subscribers()
        self._zombies: dict[int, Actor] = {}
        self.lock = threading.RLock()  # reentrant: a signal handler may tell
        """Guards what the actors of this runtime share; held for a moment only."""
        self._many_zombies = False
        self.errands: set[Errand] = set()
        """Requests that wait for somebody to take them up."""
        self.closed = False
        """True once this runtime serves nobody any more."""
        self._left_behind = False
        """True in a forked child: the threads of this runtime are those of the parent."""
        self._deadline: float | None = None
        self._root: Actor | None = None
        self._root_down = ReplyFuture()
        _open_runtimes.add(self)

    # ----------------------------------------------------------------------------------------------- the tree

    def start(self, root: Actor, timeout: float = 60.0) -> Ref:
        """Start the root of the tree and wait until it is ready.

        Raises ``RuntimeError`` with the reason if it refuses or if this runtime has had its tree or its end,
        ``ValueError`` for what is no new actor, ``pykka.Timeout`` after ``timeout`` seconds.
        """
        validation.require_duration("Runtime.start: timeout", timeout, endless=True)
        if self._root is not None:
            raise RuntimeError(f"the runtime {self.name!r} was started already: make a new one for a new tree")
        if self.closed:
            what = "stayed behind when the process was forked" if self._left_behind else "has ended"
            raise RuntimeError(f"the runtime {self.name!r} {what}: make a new one for a new tree")
        _check_new("the root of a tree", root)
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

        An actor of this tree would wait in its own thread for its own end: it is answered False at once.
        In a forked child there is nothing to end: True at once.
        """
        validation.require_duration("Runtime.stop: timeout", timeout, endless=True)
        validation.require_instance("Runtime.stop: reason", reason, ExitReason)
        if self._left_behind:
            return True
        root = self._root
        if root is not None:
            root.request_stop(reason)
            if self._is_held_up_by_caller():
                return False
            with contextlib.suppress(pykka.Timeout):
                self._wait(self._root_down, timeout)
            if not self._root_down.done():
                return False
        self.close()
        return True

    def _is_held_up_by_caller(self) -> bool:
        """True if an actor of this tree cannot go on before the caller does."""
        actor = current_actor()
        alive = actor is not None and actor.bound and actor.runtime is self and actor.exit_reason is None
        return alive and actor is not None and actor.wait_cell() is not None

    def _wait(self, future: ReplyFuture, timeout: float) -> None:
        """Where the caller of ``start`` and ``stop`` waits; a runtime for tests turns its clock meanwhile."""
        future.get(timeout=timeout)

    def close(self) -> None:
        """End the timer and the threads that are idle, and forget the names, once the tree has ended."""
        if self._left_behind:
            return
        _open_runtimes.discard(self)
        self.closed = True
        for errand in tuple(self.errands):
            errand.give_up()
        self.names.close()
        self.idle_threads.close()
        self.timer.close()

    def launch(self, actor: Actor, path: str) -> None:
        """Give the actor its path and start it. What goes wrong becomes its exit reason. Anything but a new actor and a
        path of this tree is a ``ValueError``.
        """
        _check_new("what Runtime.launch starts", actor)
        actor.bind(self, path)
        actor.ref.point_to(actor)
        if self.registers(actor):
            pykka.ActorRegistry.register(actor.actor_ref)
        if self._deadline is not None:
            actor._finish(ExitReason(ExitKind.START_FAILED, "the interpreter exits: nothing is started any more"))
            return
        self.emit(Launched(path, actor.incarnation))
        if actor.exit_reason is not None:  # a subscriber took so long that it was given up before it began
            actor._finish(actor.exit_reason)
            return
        try:
            actor._start_actor_loop()
        except Exception as error:  # noqa: BLE001 - no thread to be had, loop gone: a refused start
            actor._finish(ExitReason.of(ExitKind.START_FAILED, error))

    def registers(self, actor: Incarnation) -> bool:
        """True for the root, the only one that Pykka's registry knows: ``stop_all`` ends the tree through it, in order.
        With all actors in it each end would search a list of all, and supervisors would restart what it stops.
        """
        return actor is self._root

    def kill(self, actor: Actor, ladder: Ladder, reason: ExitReason) -> None:
        """Run the kill ladder on an actor; returns at once."""
        validation.require_instance("Runtime.kill: actor", actor, Actor)
        validation.require_instance("Runtime.kill: ladder", ladder, Ladder)
        validation.require_instance("Runtime.kill: reason", reason, ExitReason)
        if self._deadline is not None:
            ladder = ladder.within(max(0.0, self._deadline - self.clock.monotonic()) / _SHARE)
        LadderRun(self, actor, ladder, reason).begin()

    # -------------------------------------------------------------------------------------------------- names

    def ref(self, path: str) -> Ref:
        """The stable reference to a path, also before and after somebody lives there. The same one for as long as an
        actor lives there or anybody keeps it: names of children that never come back are not kept for ever.
        ``ValueError`` for what can be no place in this tree: all paths begin with the name of the runtime.
        """
        with self.lock:
            ref = self._refs.get(path) if isinstance(path, str) else None
            if ref is None:
                self._check_place(path)
                ref = self._refs[path] = Ref(self, path)
            return ref

    def _check_place(self, path: object) -> None:
        if not isinstance(path, str) or not f"{path}/".startswith(f"{self.name}/") or "//" in f"{path}/":
            allowed = f"{self.name!r} or begin with '{self.name}/', such as '{self.name}/child'"
            raise validation.wrong("Runtime.ref: path", allowed, path)

    def refs(self) -> tuple[Ref, ...]:
        """The names of all living actors, and those that anybody keeps, in the order in which they came up."""
        with self.lock:
            found = [known() for known in self._refs.valuerefs()]  # a copy: a signal handler may make names meanwhile
        return tuple(ref for ref in found if ref is not None)

    def register(self, name: str, ref: Ref) -> None:
        """Give a place in this tree a short name, see ``Names.register``."""
        if not isinstance(ref, Ref) or ref.runtime is not self:
            raise ValueError(f"a name stands for a place in the tree of {self.name!r}, a Ref of it; got {ref!r}")
        self.names.register(name, ref)

    def whereis(self, name: str) -> Ref | None:
        """Who has this name; None if nobody."""
        return self.names.whereis(name)

    # ------------------------------------------------------------------------------------------------- events

    def subscribe(self, subscriber: Subscriber, kinds: Iterable[str] | None = None) -> Callable[[], None]:
        """Call ``subscriber`` with each event (of these ``kinds``), in the thread where it happens: it must only pass
        the event on. Returns the function that ends the subscription. Raises ``ValueError`` for what cannot be called,
        and for kinds that are no strings in a container: a single string would be taken for its letters.
        """
        return self._subscribers.add(subscriber, kinds)

    def emit(self, event: Event) -> None:
        """Tell the subscribers, in this thread. One that raises is logged and harms nobody. What is no ``Event`` is a
        ``ValueError``.

        A dead letter that comes of telling a dead letter, as by a subscriber that tells an actor which is down, is
        counted and not told again.
        """
        validation.require_instance("Runtime.emit: event", event, Event)
        if event.kind != "dead_letter":
            self._subscribers.tell(event.kind, event)
            return
        with self.lock:
            self.dead_letters[event.path] += 1
        if self._subscribers and not getattr(_telling, "dead_letter", False):
            _telling.dead_letter = True
            try:
                self._subscribers.tell(event.kind, event)
            finally:
                _telling.dead_letter = False

    def drop_late(self, path: str, message: object, sender: Actor) -> None:
        """An abandoned actor still sends: count it."""
        with self.lock:
            self.late_messages[sender.path] += 1
        self.emit(DeadLetter(path, type(message).__name__, "fenced", sender.path))

    # ------------------------------------------------------------------------------------------------ zombies

    def add_zombie(self, actor: Actor) -> None:
        """List an abandoned actor until its thread ends."""
        with self.lock:
            self._zombies[actor.incarnation] = actor
            count = len(self._zombies)
            crossed = count > self.max_zombies and not self._many_zombies
            self._many_zombies = self._many_zombies or crossed
        if crossed:
            self.emit(ManyZombies(self.name, count, self.max_zombies))

    def forget_zombie(self, actor: Incarnation) -> None:
        """The abandoned actor's thread has ended."""
        with self.lock:
            self._zombies.pop(actor.incarnation, None)
            if len(self._zombies) <= self.max_zombies:
                self._many_zombies = False

    @property
    def zombie_count(self) -> int:
        """How many abandoned actors still have a thread or task that is stuck."""
        return len(self._zombies)

    def zombies(self) -> dict[str, str]:
        """``path#incarnation`` of each abandoned actor whose thread is still stuck -> its present stack."""
        with self.lock:
            zombies = tuple(self._zombies.values())
        return {f"{actor.path}#{actor.incarnation}": actor.stack() for actor in zombies}


def _check_new(what: str, actor: object) -> None:
    if not isinstance(actor, Actor) or actor.bound:
        raise validation.wrong(what, "an Actor, not yet started", actor)


_open_runtimes: "weakref.WeakSet[Runtime]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Actors run in daemon threads: without this their stop hooks would not run when the interpreter exits. All trees
    stop side by side, within one deadline.
    """
    runtimes, deadline = list(_open_runtimes), time.monotonic() + _EXIT_DEADLINE
    for runtime in runtimes:
        runtime._deadline = runtime.clock.monotonic() + _EXIT_DEADLINE
        if runtime._root is not None:
            runtime._root.request_stop(SHUTDOWN)
    for runtime in runtimes:
        runtime.stop(max(0.0, deadline - time.monotonic()))


def _mark_dead() -> None:
    """In a forked child: the threads of all actors stayed behind, so every reference is down. Takes no lock, the fork
    may have copied any of them held.
    """
    for runtime in list(_open_runtimes):
        runtime.closed = runtime._left_behind = True
        runtime._root_down = ReplyFuture()  # the callbacks of the old one are the parent's
        runtime._root_down.offer(ExitReason(ExitKind.NOPROC, "its threads stayed behind when the process was forked"))
        for ref in list(runtime._refs.values()):
            ref.point_to(None)
            ref.kept = None
    _open_runtimes.clear()


os.register_at_fork(after_in_child=_mark_dead)
