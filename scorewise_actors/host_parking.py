"""Which hosts of a job are left alone, and which of their items may begin all the same.

Two things shut a host: its own `Retry-After`, and the evidence score of `policies.hosts`. Its items are held back here,
in order, while those of other hosts go on. When its time is over, one at a time goes out as a probe: a page that comes
opens the host, a failure shuts it for longer. A server that asked for a pause is never asked before it is over.

Parked hosts never keep a job from ending: when every host with work left is shut, those that did not ask for a pause
are probed in turn before their time, one item of each, so that the job is judged by what it still has. No actor, thread
or clock in here.
"""

import random
from collections import Counter, deque
from collections.abc import Mapping, Set
from typing import Any

import attrs

from policies.failures import Stream
from policies.hosts import HostEvent, HostPolicy, HostState
from scorewise_actors import ledger
from scorewise_actors.checkpoints.ops import Op

LONGEST_PAUSE = 3600.0
"""Seconds that a host is left alone at most, whatever its Retry-After says; then it is asked again."""


@attrs.frozen
class HostNews:
    """A host was parked or is used again; ``str()`` says it in a sentence."""

    host: str
    event: HostEvent
    pause: float = 0.0
    """Seconds until it is probed, if it was parked."""

    def __str__(self) -> str:
        if self.event is HostEvent.PARKED:
            return f"{self.host} is left alone for {self.pause:.0f} s: its pages do not come"
        return f"{self.host} is used again: a page came"


class HostParking:
    """What is remembered of the hosts of one job. Only hosts in trouble take memory, but for a number each."""

    def __init__(
        self, policy: HostPolicy, *, rng: random.Random, epoch: float, now: float, kept: Mapping[str, Any]
    ) -> None:
        """``epoch`` is now in epoch seconds minus now in monotonic seconds; ``kept`` is ``hosts`` of the journal."""
        self._policy = policy
        self._rng = rng
        self._epoch = epoch
        self._states: dict[str, HostState] = {}
        """Those that differ from ``HostState()``."""
        self._asked: dict[str, float] = {}
        """Host -> until when it asked to be left alone."""
        self._recorded = set(kept)
        self._left: Counter[str] = Counter()
        """Host -> its items without an outcome."""
        self._held: dict[str, deque[int]] = {}
        """Host -> its items that wait for it, first come first served."""
        self._news: list[HostNews] = []
        latest = now + max(LONGEST_PAUSE, policy.pauses.max_delay)  # a clock that was set back lengthens no pause
        for host, record in kept.items():
            state = HostState.from_json(record["state"]).shifted(-epoch)
            if state.parked_until is not None:
                state = attrs.evolve(state, parked_until=min(state.parked_until, latest))
            self._states[host] = state
            if record["asked"] is not None and record["asked"] - epoch > now:
                self._asked[host] = min(record["asked"] - epoch, latest)

    # ------------------------------------------------------------------------------------------------- what happens

    def enqueued(self, host: str) -> None:
        """One more item of the host has no outcome."""
        self._left[host] += 1

    def closed(self, host: str) -> None:
        """An item of the host has its outcome."""
        self._left[host] -= 1
        if self._left[host] <= 0:
            del self._left[host]

    def asked(self, host: str, pause: float, now: float) -> tuple[Op, ...]:
        """The host asked to be left alone for ``pause`` seconds."""
        self._asked[host] = now + pause
        return self._record(host)

    def outcome(self, host: str, failed: bool, stream: Stream, now: float) -> tuple[Op, ...]:
        """After the final outcome of an item, or a probe; the operations keep in the journal what has changed."""
        before = self._states.get(host)
        if before is None and not failed:
            return ()
        before = before or HostState()
        state, event = self._policy.step(before, failed, now, self._rng, stream, last=self._all_shut(now, but=host))
        if state == before:
            return ()
        self._states[host] = state
        if state == HostState():
            del self._states[host]
        if event is not HostEvent.NOTHING:
            self._news.append(HostNews(host, event, 0.0 if state.parked_until is None else state.parked_until - now))
        return self._record(host)

    def probed(self, host: str) -> bool:
        """Whether each try of the host counts as an outcome, because it is parked."""
        state = self._states.get(host)
        return state is not None and state.parked_until is not None

    def news(self) -> tuple[HostNews, ...]:
        """What became of hosts since this was asked the last time."""
        news, self._news = tuple(self._news), []
        return news

    # ------------------------------------------------------------------------------------------------- handing out

    @property
    def calm(self) -> bool:
        """No host is in trouble, and nothing is held back: every item may begin."""
        return not (self._states or self._asked or self._held)

    def waiting(self) -> int:
        """How many items are held back."""
        return sum(map(len, self._held.values()))

    def admits(self, host: str, now: float, busy: Set[str]) -> bool:
        """Whether an item of the host may begin. ``busy`` are the hosts with an item under way."""
        if host in self._held or self._asked.get(host, now) > now:
            return False
        room = self._policy.room(self._states.get(host, HostState()), now)
        return room is None or (room > 0 and host not in busy)

    def hold(self, host: str, item: int) -> None:
        """Keep an item that may not begin yet; ``due`` or ``probe`` gives it back."""
        self._held.setdefault(host, deque()).append(item)

    def due(self, now: float, busy: Set[str]) -> int | None:
        """A held item that may begin now."""
        self._asked = {host: until for host, until in self._asked.items() if until > now}
        for host in self._held:
            if host in self._asked:
                continue
            room = self._policy.room(self._states.get(host, HostState()), now)
            if room is None or (room > 0 and host not in busy):
                return self._take(host)
        return None

    def probe(self, now: float, busy: Set[str]) -> int | None:
        """A held item that has to go out before its host's time, because no host with work left is open."""
        if self._held and self._all_shut(now):
            for host in self._held:
                if host not in self._asked and host not in busy:
                    return self._take(host)
        return None

    def next_due(self, busy: Set[str]) -> float | None:
        """When the next held item may begin, unless an outcome changes it before; ask after ``due``."""
        times = [
            self._asked[host] if host in self._asked else self._states[host].parked_until
            for host in self._held
            if host in self._asked or (host in self._states and host not in busy)
        ]
        return min((time for time in times if time is not None), default=None)

    def _take(self, host: str) -> int:
        queue = self._held.pop(host)
        item = queue.popleft()
        if queue:
            self._held[host] = queue  # at the end: hosts take turns
        return item

    def _all_shut(self, now: float, but: str | None = None) -> bool:
        """Whether every host with work left is left alone, ``but`` one."""
        shut = {host for host, until in self._asked.items() if until > now}
        shut |= {host for host, state in self._states.items() if state.parked_until is not None}
        if but is not None:
            shut.add(but)
        return sum(host in self._left for host in shut) == len(self._left)

    def _record(self, host: str) -> tuple[Op, ...]:
        state, asked = self._states.get(host), self._asked.get(host)
        if state is None and asked is None:
            if host not in self._recorded:
                return ()
            self._recorded.discard(host)
            return (ledger.forget_host(host),)
        self._recorded.add(host)
        kept = (state or HostState()).shifted(self._epoch).to_json()
        return (ledger.host(host, kept, None if asked is None else asked + self._epoch),)
