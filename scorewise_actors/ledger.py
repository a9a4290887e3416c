"""What the journal of a job says, and how it is said: the operations that change it, and the audit that counts it.

The journal's state is a dict of

``requests``  list of ``Request.to_json()``; an item's number is its index here
``outcomes``  list of ``[item, "done", attempts, [encoded results]]`` and ``[item, "dead", attempts, {dead letter}]``
``tries``     dict item -> ``[tries, page crashes, crashes shared with others]`` of items without an outcome
``policies``  dict name -> state of a policy, for example ``abort``
``hosts``     dict host -> ``{"state": HostState, "asked": epoch seconds or None}`` of hosts in trouble, with times in
              epoch seconds; ``asked`` is until when the host asked to be left alone
``runs``      list of ``{"began": epoch seconds}``, completed by ``ended``, ``outcome``, ``rule`` and ``reason``

An item's results, its done mark and the requests it found travel in one record, so that after any crash an item is
either wholly recorded or done again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from scorewise_actors.checkpoints.ops import Delete, Extend, Op, Set, Update
from scorewise_actors.job import DeadLetter, Request, Verdict

DONE = "done"
DEAD = "dead"


@attrs.frozen
class Tries:
    """What is remembered of an item that has no outcome yet."""

    attempts: int = 0
    """Tries that counted."""
    crashes: int = 0
    """How often its own page crashed, or its scraper died under it."""
    shared: int = 0
    """How often its browser or driver died while it was in flight, possibly with others."""


# ------------------------------------------------------------------------------------------------- operations


def opening(state: Mapping[str, Any], began: float) -> tuple[Op, ...]:
    """Operations that begin a run (``began`` in epoch seconds), on a new journal or a known one."""
    ops: list[Op] = []
    if not state:
        ops += [Set((name,), []) for name in ("requests", "outcomes", "runs")]
        ops += [Set((name,), {}) for name in ("tries", "policies")]
    if "hosts" not in state:
        ops.append(Set(("hosts",), {}))
    return (*ops, Extend(("runs",), [{"began": began}]))


def closing(runs: int, ended: float, verdict: Verdict) -> tuple[Op, ...]:
    """The operation that ends the last of ``runs`` runs."""
    entries = {"ended": ended, "outcome": verdict.outcome, "rule": verdict.rule, "reason": verdict.reason}
    return (Update(("runs", runs - 1), entries),)


def enqueued(requests: Iterable[Request]) -> Op:
    """New items."""
    return Extend(("requests",), [request.to_json() for request in requests])


def done(item: int, attempts: int, results: Iterable[str]) -> Op:
    """The item's handler returned."""
    return Extend(("outcomes",), [[item, DONE, attempts, list(results)]])


def dead(item: int, letter: DeadLetter) -> Op:
    """The item is given up."""
    return Extend(("outcomes",), [[item, DEAD, letter.attempts, attrs.asdict(letter)]])


def tried(item: int, tries: Tries) -> Op:
    """Remember the item's tries over a restart."""
    return Update(("tries",), {item: [tries.attempts, tries.crashes, tries.shared]})


def forget_tries(item: int) -> Op:
    """The item has its outcome."""
    return Delete(("tries", item))


def policy_state(name: str, state: Mapping[str, Any]) -> Op:
    """Keep a policy's state."""
    return Update(("policies",), {name: dict(state)})


def host(name: str, state: Mapping[str, Any], asked: float | None) -> Op:
    """Keep what is remembered of a host."""
    return Update(("hosts",), {name: {"state": dict(state), "asked": asked}})


def forget_host(name: str) -> Op:
    """The host is in no trouble any more."""
    return Delete(("hosts", name))


# ---------------------------------------------------------------------------------------------------- reading


@attrs.frozen
class Ledger:
    """The count of a journal."""

    enqueued: int
    done: int
    dead: tuple[DeadLetter, ...]
    pending: frozenset[int]
    """Items without an outcome."""
    recorded_twice: int
    """Items with more than one outcome."""
    unknown: int
    """Outcomes of items that were never enqueued."""
    results: int


def audit(state: Mapping[str, Any]) -> Ledger:
    """Count the journal from its records alone, trusting nobody's memory."""
    total = len(state.get("requests", ()))
    seen: set[int] = set()
    twice: set[int] = set()
    letters: list[DeadLetter] = []
    finished = results = unknown = 0
    for item, status, _, content in state.get("outcomes", ()):
        if item in seen:
            twice.add(item)
            continue
        seen.add(item)
        if not 0 <= item < total:
            unknown += 1
        elif status == DONE:
            finished += 1
            results += len(content)
        else:
            letters.append(DeadLetter(**content))
    pending = frozenset(item for item in range(total) if item not in seen)
    return Ledger(total, finished, tuple(letters), pending, len(twice), unknown, results)


def requests_of(state: Mapping[str, Any]) -> list[Request]:
    """All items, in order."""
    return [Request.recorded(fields) for fields in state.get("requests", ())]


def tries_of(state: Mapping[str, Any]) -> dict[int, Tries]:
    """What is remembered of items without an outcome."""
    return {int(item): Tries(*counts) for item, counts in state.get("tries", {}).items()}
