"""When one host is left alone for a while, so that the rest of the job goes on without it.

A host that is down costs a job its tries and its time, and its failures would be taken for the job's. Each host has an
evidence score of its own (`policies.evidence`, a smaller limit than the job's); at the limit it is *parked*: nothing of
it is begun for a pause. Then one operation at a time is a probe: a page that comes frees the host, a failure parks it
for longer. Only the job's own score (`policies.abort`) ever ends a job.

The state of one host is a value of its own. Keep those that differ from ``HostState()``; a host that was never in
trouble needs none, so what is kept is bounded by the hosts that fail.
"""

import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

import attrs

from policies.backoff import Backoff
from policies.failures import Stream
from policies.validation import CLOCK_LIMIT, instance_of, integer, number, require_number
from policies.values import JsonValue


class HostEvent(StrEnum):
    """What became of a host."""

    NOTHING = "nothing"
    """It is as it was."""
    PARKED = "parked"
    """It is left alone from now on."""
    FREED = "freed"
    """A page came: it is used again."""


@attrs.frozen
class HostState(JsonValue):
    """What is remembered of one host. Times are monotonic seconds."""

    score: float = attrs.field(default=0.0, validator=number(0, CLOCK_LIMIT))
    """Evidence that its pages do not come: 0 to the policy's limit."""
    parked_until: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """When it may be probed; None while it is used freely."""
    parks: int = attrs.field(default=0, validator=integer(0, 1_000_000))
    """How often it was parked since its score was last 0."""

    def shifted(self, seconds: float) -> Self:
        """The same state on a clock that reads `seconds` more: for a state restored in another process."""
        if self.parked_until is None:
            return self
        return attrs.evolve(self, parked_until=self.parked_until + seconds)


@attrs.frozen
class HostPolicy(JsonValue):
    """When a host is parked, and for how long."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"pauses": Backoff.from_json}

    failure_rate: float = attrs.field(default=0.5, validator=number(0.01, 0.99))
    """Evidence grows while more than this fraction of its operations fails."""
    evidence: int = attrs.field(default=15, validator=integer(1, 1_000_000))
    """Points of evidence at which it is parked: so many failures in a row."""
    pauses: Backoff = attrs.field(
        factory=lambda: Backoff(base_delay=60.0, max_delay=3600.0), validator=instance_of(Backoff)
    )
    """How long it is parked the first time, the second time in a row, …"""

    def step(
        self,
        state: HostState,
        failed: bool,
        now: float,
        rng: random.Random,
        stream: Stream = Stream.INFRA,
        *,
        last: bool = False,
    ) -> tuple[HostState, HostEvent]:
        """After the final outcome of one item of the host.

        Only the infrastructure counts: a content failure shows that the page came, an uncounted one changes nothing.
        `last` says that no other host with work left is free: the last one is never parked, or a job whose network is
        down would wait for ever instead of being judged. Outcomes that come in while it is parked began before: a
        failure among them says nothing new, a page that comes frees the host.
        """
        require_number("now", now, -CLOCK_LIMIT, CLOCK_LIMIT)
        if failed and stream is Stream.UNCOUNTED:
            return state, HostEvent.NOTHING
        if failed and stream is not Stream.CONTENT:
            return self._failed(state, now, rng, last=last)
        if state.parked_until is not None:
            return HostState(self.evidence / 2, None, state.parks), HostEvent.FREED
        score = max(0.0, state.score - self.failure_rate / (1 - self.failure_rate))
        return HostState(score, None, state.parks if score else 0), HostEvent.NOTHING

    def room(self, state: HostState, now: float) -> int | None:
        """How many operations of the host may be under way: 0 while it is parked, 1 to probe it, None for any."""
        if state.parked_until is None:
            return None
        return 0 if now < state.parked_until else 1

    def _failed(self, state: HostState, now: float, rng: random.Random, *, last: bool) -> tuple[HostState, HostEvent]:
        if self.room(state, now) == 0:
            return state, HostEvent.NOTHING
        score = min(float(self.evidence), state.score + 1)
        if score < self.evidence or last:
            return HostState(score, None, state.parks), HostEvent.NOTHING
        parks = state.parks + 1
        return HostState(score, now + self.pauses.delay(parks, rng), parks), HostEvent.PARKED
