"""Messages that outlive an incarnation: what waits when it ends goes to the next one, in its order."""

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pykka._envelope import Envelope

from supervisors.actor_timers import OwnEnvelope
from supervisors.core.state import Status
from supervisors.mailboxes.mailbox import is_stop_request
from supervisors.mailboxes.policy import MailboxPolicy, OnFull
from supervisors.signals import Signal

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.core.state import SupervisorState
    from supervisors.incarnation import ActorMailbox
    from supervisors.ref import Ref


class KeptMail:
    """The messages of one place while nobody lives there. All methods may be called from any thread.

    Between the end of one incarnation and the start of the next there are three ways in, and each comes through here
    under one lock: what the closed mailbox still held (``collect``), what was put into it by somebody who had not heard
    of its end (``collect`` as well), and what is sent to the place itself (``park``). So a message is never left where
    nobody looks, and those of one sender stay in their order.
    """

    def __init__(self, ref: "Ref", policy: MailboxPolicy) -> None:
        self._ref = ref
        self._policy = policy
        self._lock = threading.RLock()
        self._waiting: deque[Envelope[Any]] = deque()
        self._arrived = 0
        self._heir: Actor | None = None
        self._open = False

    def __len__(self) -> int:
        return len(self._waiting)

    def collect(self, mailbox: "ActorMailbox", take_all: Callable[[], list[Envelope[Any]]]) -> list[Envelope[Any]]:
        """Take over what a closed mailbox held. Returns what is not kept: what was meant for that incarnation only, and
        everything once nobody will come any more.
        """
        with self._lock:
            if self._heir is not None and self._heir.mailbox is mailbox:
                self._heir = None
            left: list[Envelope[Any]] = []
            for envelope in take_all():
                if not self._open or _is_personal(envelope):
                    left.append(envelope)
                elif self._heir is not None:
                    self._heir.mailbox.put_last(envelope)
                else:
                    self._waiting.append(envelope)
            return left

    def park(self, envelope: Envelope[Any]) -> bool:
        """Keep a message that came while nobody lives there. False if nobody will come any more."""
        full: Envelope[Any] | None = None
        with self._lock:
            if not self._open:
                return False
            heir = self._heir
            if heir is None:
                if self._arrived < self._policy.park:
                    self._arrived += 1
                elif self._policy.on_full is OnFull.REJECT:
                    full = envelope
                else:
                    full = self._waiting.popleft()
                if full is not envelope:
                    self._waiting.append(envelope)
        if heir is not None:
            heir.mailbox.put(envelope)
        elif full is not None:
            self._ref.refuse(full, "full" if full is envelope else "dropped")
        return True

    def deliver_to(self, actor: "Actor") -> None:
        """Hand everything over to the next incarnation, which is not started yet."""
        with self._lock:
            actor.mailbox.keeper = self
            while self._waiting:
                actor.mailbox.put_last(self._waiting.popleft())
            self._arrived = 0
            self._heir = actor
            self._open = True

    def give_up(self) -> None:
        """Nobody will come any more: dead letters and answered asks, now and from now on."""
        with self._lock:
            self._open = False
            left = list(self._waiting)
            self._waiting.clear()
        for envelope in left:
            self._ref.refuse(envelope, "down")


def _is_personal(envelope: Envelope[Any]) -> bool:
    """True for what speaks to one incarnation: signals, requests to stop, and what it sent to itself."""
    if isinstance(envelope, OwnEnvelope) or isinstance(envelope.message, Signal):
        return True
    return is_stop_request(envelope.message)


class KeptMails:
    """The kept mail of one supervisor's children. Used by the supervisor only, where its messages are handled."""

    def __init__(self) -> None:
        self._mails: dict[str, KeptMail] = {}

    def deliver(self, child: str, policy: MailboxPolicy, ref: "Ref", actor: "Actor") -> None:
        """Give a new incarnation its mailbox, with what waits for it."""
        actor.use_mailbox(policy, ref.runtime.clock.monotonic)
        if policy.keep:
            mail = self._mails.get(child)
            if mail is None:
                mail = self._mails[child] = ref.kept = KeptMail(ref, policy)
            mail.deliver_to(actor)

    def settle(self, state: "SupervisorState", child: str | None = None) -> None:
        """Give up the mail of a child that does not come back, or of all such children."""
        if not self._mails:
            return
        for name in (child,) if child is not None else tuple(self._mails):
            mail = self._mails.get(name)
            if mail is not None and not _comes_back(state, name):
                mail.give_up()
                if state.children.get(name) is None:
                    del self._mails[name]

    def give_up(self) -> None:
        """The supervisor itself has ended."""
        for mail in self._mails.values():
            mail.give_up()
        self._mails.clear()


def _comes_back(state: "SupervisorState", name: str) -> bool:
    row = state.children.get(name)
    return row is not None and row.status is not Status.UNDEFINED
