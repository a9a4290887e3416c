"""Mailboxes with two lanes: signals overtake user messages, and a closed mailbox leaves no ask hanging."""

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pykka import messages
from pykka._envelope import Envelope

from supervisors.current import runs_on
from supervisors.signals import Signal, Stop

if TYPE_CHECKING:
    import asyncio

    from supervisors.mailboxes.kept import KeptMail

RejectHook = Callable[[Envelope[Any]], None]

_NUDGE: Any = object()
"""Put into the blocking queue to wake a reader; the signal itself waits in its own lane."""


class Mailbox:
    """Pykka inbox of a thread actor. ``put`` may be called from any thread and from signal handlers.

    No message is lost between ``put`` and ``close`` without a lock on the fast path: ``put`` enqueues first and looks
    at ``closed`` then; ``close`` sets ``closed`` first and drains then. Whoever comes second rejects the envelope.
    """

    __slots__ = ("_held", "_queue", "_signals", "closed", "keeper", "on_reject")

    def __init__(self) -> None:
        # SimpleQueue is reentrant: a signal handler may tell(), with queue.Queue it would deadlock
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._signals: deque[Envelope[Any]] = deque()
        self._held: deque[Envelope[Any]] = deque()
        self.closed = False
        self.on_reject: RejectHook | None = None
        self.keeper: KeptMail | None = None
        """Takes what waits when this is closed, for the next incarnation."""

    def put(self, envelope: Envelope[Any], /) -> None:
        """Enqueue; signals go to the lane that is served first."""
        if isinstance(envelope.message, Signal):
            self._signals.append(envelope)
            self._queue.put(_NUDGE)
        else:
            self._queue.put(envelope)
        if self.closed:
            self._drain()

    def get(self) -> Envelope[Any]:
        """The next envelope; blocks. Only the actor's own thread calls this.

        Once closed there are only stop signals: an abandoned actor that comes back must not wait for ever.
        """
        while True:
            if self._signals:
                return self._signals.popleft()
            if self._held:
                return self._held.popleft()
            envelope = self._queue.get()
            if envelope is _NUDGE:
                if self.closed:
                    return Envelope(Stop())
                continue
            if self._signals:  # a signal overtook while this thread was blocked
                self._hold(envelope)
                continue
            return envelope  # type: ignore[no-any-return]

    def get_signal(self) -> Envelope[Any]:
        """The next signal; blocks, and leaves the messages where they are. Only the actor's own thread calls this."""
        while not self._signals:
            envelope = self._queue.get()
            if envelope is not _NUDGE:
                self._hold(envelope)
            elif self.closed:
                return Envelope(Stop())
        return self._signals.popleft()

    def poll(self) -> Envelope[Any] | None:
        """The next envelope, None if there is none. Only the actor's own thread calls this."""
        while not (self._signals or self._held):
            try:
                envelope = self._queue.get_nowait()
            except queue.Empty:
                return None
            if envelope is not _NUDGE:
                self._held.append(envelope)
        return self.get()

    def put_back(self, envelopes: Sequence[Envelope[Any]]) -> None:
        """Have these come next, in their order, before the messages that wait. Only the actor's own thread calls this,
        or the one that ends it.
        """
        self._held.extendleft(reversed(envelopes))
        if self.closed:
            self._drain()

    def put_last(self, envelope: Envelope[Any]) -> None:
        """Enqueue behind the messages that wait, also a signal, and whatever the bound. Any thread."""
        self._queue.put(envelope)
        if self.closed:
            self._drain()

    def drop_signals(self, unwanted: Callable[[Any], bool]) -> None:
        """Forget the signals that wait and are unwanted. Only the actor's own thread calls this."""
        _drop(self._signals, unwanted)

    def has_messages(self) -> bool:
        """True if more than signals waits; a nudge may make it True without need."""
        return bool(self._held) or not self._queue.empty()

    def empty(self) -> bool:
        """True if nothing waits; a nudge may make it False without need."""
        return not (self._signals or self._held) and self._queue.empty()

    def qsize(self) -> int:
        """How many envelopes wait, within a few nudges."""
        return self._queue.qsize() + len(self._held)

    def nudge(self) -> None:
        """Wake an idle reader, so that a pending asynchronous exception is delivered."""
        self._queue.put(_NUDGE)

    def close(self) -> None:
        """Reject what waits and all that will come."""
        self.closed = True
        self._drain()

    def _hold(self, envelope: Envelope[Any]) -> None:
        self._held.append(envelope)
        if self.closed:  # by another thread, which may have drained before this came in
            self._drain()

    def _drain(self) -> None:
        left = self.keeper.collect(self, self._pop_all) if self.keeper is not None else self._pop_all()
        self.nudge()  # whoever still reads finds it closed
        _reject(left, self.on_reject)

    def _pop_all(self) -> list[Envelope[Any]]:
        left = [*_emptied(self._signals), *_emptied(self._held)]
        while True:
            try:
                envelope = self._queue.get_nowait()
            except queue.Empty:
                return left
            if envelope is not _NUDGE:
                left.append(envelope)


class LoopMailbox:
    """Pykka inbox of an async actor: two deques, pumped into its event loop by one coalesced wake-up."""

    __slots__ = ("__dict__", "_waking", "closed", "keeper", "loop", "on_reject", "on_wake")

    # each lane is made when something comes into it: empty, the two take a third of the memory of an idle actor
    _signals: ClassVar[deque[Envelope[Any]]] = deque(maxlen=0)
    _messages: ClassVar[deque[Envelope[Any]]] = deque(maxlen=0)

    def __init__(self) -> None:
        self.closed = False
        self.on_reject: RejectHook | None = None
        self.keeper: KeptMail | None = None
        """Takes what waits when this is closed, for the next incarnation."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.on_wake: Callable[[], None] | None = None
        self._waking = False

    def put(self, envelope: Envelope[Any], /) -> None:
        """Enqueue and wake the actor's loop. Any thread."""
        name = "_signals" if isinstance(envelope.message, Signal) else "_messages"
        lane = self.__dict__.get(name)
        if lane is None:
            lane = self._lane(name)
        lane.append(envelope)
        if self.closed:
            self._drain()
        elif not self._waking:
            self.wake()

    def _lane(self, name: str) -> deque[Envelope[Any]]:
        """A lane to put something into. ``setdefault`` is one step, which no thread or signal handler comes between."""
        lane: deque[Envelope[Any]] = self.__dict__.setdefault(name, deque())
        return lane

    def wake(self) -> None:
        """Have the actor look at its mailbox; many puts share one wake-up."""
        if self._waking or self.loop is None:
            return  # not started: the serving coroutine looks when it begins
        if runs_on(self.loop):  # without a detour over the selector
            self._woken()
            return
        try:
            self._waking = True
            self.loop.call_soon_threadsafe(self._woken)
        except RuntimeError:  # the loop is closed, so the actor is gone
            self.close()
        except BaseException:  # a signal handler's: the next one who puts something in wakes the actor
            self._waking = False
            raise

    def _woken(self) -> None:
        self._waking = False  # before the look, so that a put after the look wakes again
        if self.on_wake is not None:
            self.on_wake()

    def get(self) -> Envelope[Any]:
        """The next envelope. Raises IndexError when empty: an async actor waits on its loop, not in here."""
        return self._signals.popleft() if self._signals else self._messages.popleft()

    def poll(self) -> Envelope[Any] | None:
        """The next envelope, None if there is none. (An error would leave a frame with every idle actor.)."""
        if self._signals:
            return self._signals.popleft()
        return self._messages.popleft() if self._messages else None

    def get_signal(self) -> Envelope[Any] | None:
        """The next signal, None if there is none; leaves the messages where they are."""
        return self._signals.popleft() if self._signals else None

    def put_back(self, envelopes: Sequence[Envelope[Any]]) -> None:
        """Have these come next, in their order, before the messages that wait. Only the actor's own thread calls this,
        or the one that ends it.
        """
        self._lane("_messages").extendleft(reversed(envelopes))
        if self.closed:
            self._drain()

    def put_last(self, envelope: Envelope[Any]) -> None:
        """Enqueue behind the messages that wait, also a signal, and whatever the bound. Any thread."""
        self._lane("_messages").append(envelope)
        if self.closed:
            self._drain()
            return
        self.wake()

    def drop_signals(self, unwanted: Callable[[Any], bool]) -> None:
        """Forget the signals that wait and are unwanted. Only the actor's own thread calls this."""
        _drop(self._signals, unwanted)

    def has_messages(self) -> bool:
        """True if more than signals waits."""
        return bool(self._messages)

    def empty(self) -> bool:
        """True if nothing waits."""
        return not (self._signals or self._messages)

    def qsize(self) -> int:
        """How many envelopes wait."""
        return len(self._signals) + len(self._messages)

    def close(self) -> None:
        """Reject what waits and all that will come."""
        self.closed = True
        self._drain()

    def _drain(self) -> None:
        left = self.keeper.collect(self, self._pop_all) if self.keeper is not None else self._pop_all()
        _reject(left, self.on_reject)

    def _pop_all(self) -> list[Envelope[Any]]:
        return [*_emptied(self._signals), *_emptied(self._messages)]


def _emptied(lane: deque[Envelope[Any]]) -> Iterator[Envelope[Any]]:
    """What was in it; others may empty it as well."""
    while lane:
        try:
            yield lane.popleft()
        except IndexError:
            return


def _drop(signals: deque[Envelope[Any]], unwanted: Callable[[Any], bool]) -> None:
    for envelope in tuple(signals):
        if unwanted(envelope.message):
            with contextlib.suppress(ValueError):  # it was taken meanwhile, by whoever closed the mailbox
                signals.remove(envelope)


def _reject(envelopes: list[Envelope[Any]], hook: RejectHook | None) -> None:
    if hook is not None:
        for envelope in envelopes:
            hook(envelope)


def is_stop_request(message: Any) -> bool:
    """True for the message behind Pykka's ``ref.stop()``, which waits its turn behind the backlog."""
    return isinstance(message, messages._ActorStop)
