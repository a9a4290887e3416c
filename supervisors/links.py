"""Links: two actors that share their fate (OTP ``link``).

A link is symmetric and belongs to two incarnations. When one of them ends abnormally the other is ended as well, unless
it traps exits; then it is told, of normal ends too. Links are for peers. A supervisor stops its children when it ends,
and restarts those that crash; linked to one it would end with the whole tree instead, so that is refused.
"""

import os
import threading
from typing import TYPE_CHECKING

from supervisors.exits import ExitKind, ExitReason
from supervisors.signals import LinkDown

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.ref import Ref

_lock = threading.RLock()
"""Both ends of a link are written together."""
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def link(actor: "Actor", ref: "Ref") -> None:
    """Link ``actor`` to the present incarnation behind ``ref``; if that is down, it is told or ended at once.

    Raises ``ValueError`` if one of the two is above the other in the tree.
    """
    peer = ref.actor
    if peer is actor:
        return
    if actor.bound and actor.runtime is ref.runtime:
        _check_apart(actor.path, ref.path)
    with _lock:
        if peer is not None and peer.exit_reason is None:
            actor.linked_peers[peer.incarnation] = peer
            peer.linked_peers[actor.incarnation] = actor
            if actor.exit_reason is None:
                return
            sever(actor, actor.exit_reason)  # it was abandoned, and its links were severed, a moment ago
            return
        reason = peer.exit_reason if peer is not None else None
    noproc = ExitReason(ExitKind.NOPROC, f"{ref.path} is down")
    _tell(actor, LinkDown(ref.path, peer.incarnation if peer is not None else 0, reason or noproc))


def unlink(actor: "Actor", ref: "Ref") -> None:
    """Undo the links of ``actor`` with whoever lives or lived at ``ref``. No news of them come after it."""
    with _lock:
        for incarnation, peer in tuple(actor.linked_peers.items()):
            if peer.path == ref.path:
                del actor.linked_peers[incarnation]
                peer.linked_peers.pop(actor.incarnation, None)
    actor.mailbox.drop_signals(lambda signal: isinstance(signal, LinkDown) and signal.path == ref.path)


def sever(actor: "Actor", reason: ExitReason) -> None:
    """The actor has ended: tell its peers, each once."""
    if not actor.linked_peers:
        return
    with _lock:
        peers = tuple(actor.linked_peers.values())
        actor.linked_peers.clear()
        for peer in peers:
            peer.linked_peers.pop(actor.incarnation, None)
    for peer in peers:
        _tell(peer, LinkDown(actor.path, actor.incarnation, reason))


def _check_apart(mine: str, other: str) -> None:
    below, above = (mine, other) if mine.startswith(f"{other}/") else (other, mine)
    if below.startswith(f"{above}/"):
        raise ValueError(
            f"{mine} cannot be linked to {other}: a crash of {below} would end {above} with all below it, instead of "
            "being restarted. watch() tells of an end; a significant child ends its supervisor in order"
        )


def _tell(peer: "Actor", news: LinkDown) -> None:
    if peer.traps_exits:
        peer.signal(news)
    elif news.reason.abnormal:
        peer.end_with_peer(
            ExitReason(ExitKind.LINKED, f"linked to {news.path} (incarnation {news.incarnation})", cause=news.reason)
        )
