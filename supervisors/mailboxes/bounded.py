"""Mailboxes with a ``MailboxPolicy``: bounded, measured, and announced when they fill up.

They are types of their own, so that a mailbox without a policy pays nothing for it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pykka._envelope import Envelope

from supervisors.mailboxes.mailbox import LoopMailbox, Mailbox, is_stop_request
from supervisors.mailboxes.policy import MailboxPolicy, OnFull
from supervisors.signals import Signal, Stop

FullHook = Callable[[Envelope[Any], str], None]
"""Gets the message that found no room, and ``full`` or ``dropped``."""
HighHook = Callable[[int], None]
"""Gets the number of messages that wait."""


class MessageLane:
    """The messages that wait, with the time at which they came. All methods may be called from any thread, and from
    signal handlers; the hooks are called without a lock.
    """

    __slots__ = ("_announced", "_clock", "_entries", "_lock", "on_full", "on_high", "peak", "policy")

    def __init__(self, policy: MailboxPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = policy
        self.peak = 0
        """The most messages that ever waited."""
        self.on_full: FullHook | None = None
        self.on_high: HighHook | None = None
        self._clock = clock
        self._entries: deque[tuple[float, Envelope[Any]]] = deque()
        self._lock = threading.RLock()
        self._announced = False

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, envelope: Envelope[Any]) -> bool:
        """Append within the bound. False if this one found no room; the hook has it then."""
        out: Envelope[Any] | None = None
        with self._lock:
            if self._full() and not is_stop_request(envelope.message):
                out = envelope if self.policy.on_full is OnFull.REJECT else self._take_oldest(envelope)
            if out is not envelope:
                self._entries.append((self._clock(), envelope))
            high = self._measure()
        if out is not None and self.on_full is not None:
            self.on_full(out, "full" if out is envelope else "dropped")
        if high and self.on_high is not None:
            self.on_high(high)
        return out is not envelope

    def append(self, envelope: Envelope[Any]) -> None:
        """Append whatever the bound."""
        with self._lock:
            self._entries.append((self._clock(), envelope))
            self.peak = max(self.peak, len(self._entries))

    def put_back(self, envelopes: Sequence[Envelope[Any]]) -> None:
        """Put before the others, in their order, whatever the bound."""
        with self._lock:
            now = self._clock()
            self._entries.extendleft((now, envelope) for envelope in reversed(envelopes))
            self.peak = max(self.peak, len(self._entries))

    def take(self) -> Envelope[Any] | None:
        """The oldest, None if there is none."""
        with self._lock:
            if not self._entries:
                return None
            envelope = self._entries.popleft()[1]
            if len(self._entries) <= self.policy.low:
                self._announced = False
            return envelope

    def take_all(self) -> list[Envelope[Any]]:
        """All of them, oldest first."""
        with self._lock:
            envelopes = [envelope for _, envelope in self._entries]
            self._entries.clear()
            self._announced = False
            return envelopes

    def age(self) -> float:
        """Seconds that the oldest message has waited; 0 if none waits."""
        with self._lock:
            return self._clock() - self._entries[0][0] if self._entries else 0.0

    def _full(self) -> bool:
        return self.policy.limit is not None and len(self._entries) >= self.policy.limit

    def _take_oldest(self, incoming: Envelope[Any]) -> Envelope[Any]:
        """The one that makes room: a request to stop never does."""
        for index, (_, envelope) in enumerate(self._entries):
            if not is_stop_request(envelope.message):
                del self._entries[index]
                return envelope
        return incoming

    def _measure(self) -> int:
        """Keep the high water; the size if it has to be announced, else 0."""
        size = len(self._entries)
        self.peak = max(self.peak, size)
        if self.policy.high is None or self._announced or size < self.policy.high:
            return 0
        self._announced = True
        return size


class _WithLane:
    """What the two mailboxes with a policy have in common: their messages are in a ``MessageLane``."""

    __slots__ = ()

    lane: MessageLane
    closed: bool
    _signals: deque[Envelope[Any]]

    def put(self, envelope: Envelope[Any], /) -> None:
        """Enqueue and wake the actor; a message that finds no room goes to the lane's hook. Any thread."""
        if isinstance(envelope.message, Signal):
            self._add_signal(envelope)
        elif not self.lane.add(envelope):
            return
        self._come_in()

    def poll(self) -> Envelope[Any] | None:
        """The next envelope, None if there is none. Only the actor itself calls this."""
        return self._signals.popleft() if self._signals else self.lane.take()

    def put_back(self, envelopes: Sequence[Envelope[Any]]) -> None:
        self.lane.put_back(envelopes)
        self._come_in()

    def put_last(self, envelope: Envelope[Any]) -> None:
        self.lane.append(envelope)
        self._come_in()

    def empty(self) -> bool:
        return not (self._signals or self.lane)

    def has_messages(self) -> bool:
        return bool(self.lane)

    def qsize(self) -> int:
        return len(self._signals) + len(self.lane)

    def _come_in(self) -> None:
        """Something was put in: wake the actor, and drain the mailbox if it is closed."""
        raise NotImplementedError

    def _add_signal(self, envelope: Envelope[Any]) -> None:
        self._signals.append(envelope)

    def _pop_all(self) -> list[Envelope[Any]]:
        return [*super()._pop_all(), *self.lane.take_all()]  # type: ignore[misc]


class BoundedMailbox(_WithLane, Mailbox):
    """The mailbox of a thread actor with a policy."""

    __slots__ = ("_asleep", "lane")

    def __init__(self, policy: MailboxPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.lane = MessageLane(policy, clock)
        self._asleep = False

    def get(self) -> Envelope[Any]:
        """The next envelope; blocks. Only the actor's own thread calls this."""
        return self._wait_for(self.poll)

    def get_signal(self) -> Envelope[Any]:
        """The next signal; blocks, and leaves the messages where they are. Only the actor's own thread calls this."""
        return self._wait_for(lambda: self._signals.popleft() if self._signals else None)

    def _wait_for(self, look: Callable[[], Envelope[Any] | None]) -> Envelope[Any]:
        """What is there to see, once there is something. The reader first says that it sleeps and looks once more then;
        whoever puts enqueues first and looks then whether somebody sleeps: no wake-up is lost, and few are for nothing.
        """
        while True:
            found = look()
            if found is not None:
                return found
            if self.closed:
                return Envelope(Stop())
            self._asleep = True
            late = look()
            if late is None:
                self._queue.get()
            self._asleep = False
            if late is not None:
                return late

    def _come_in(self) -> None:
        if self._asleep:
            self.nudge()
        if self.closed:
            self._drain()


class BoundedLoopMailbox(_WithLane, LoopMailbox):
    """The mailbox of an async actor with a policy."""

    __slots__ = ("lane",)

    def __init__(self, policy: MailboxPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.lane = MessageLane(policy, clock)

    def get(self) -> Envelope[Any]:
        """The next envelope. Raises IndexError when empty."""
        envelope = self.poll()
        if envelope is None:
            raise IndexError("no message waits")
        return envelope

    def _add_signal(self, envelope: Envelope[Any]) -> None:
        self._lane("_signals").append(envelope)

    def _come_in(self) -> None:
        if self.closed:
            self._drain()
            return
        self.wake()
