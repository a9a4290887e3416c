"""When a resource is short, when it is well again, and how hard to clean up meanwhile.

A reading that hovers about its limit would raise dozens of alarms an hour. So a breach must last
(`Threshold.for_seconds`), a recovery must reach a lower mark (`Threshold.clear`) and last as well: enter fast, leave
slowly.

Resources are named by the caller. The presets know ``memory_percent`` (%), ``memory_absolute`` (MB),
``memory_pressure`` (PSI some avg10, %), ``cpu_percent`` (%), ``browser_lifetime`` (s), ``disk_space`` (MB free, the one
that is short when it is low) and ``network_connections``.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Self

import attrs

from policies.validation import CLOCK_LIMIT, instance_of, is_number, member, number, require_number, text
from policies.values import JsonValue, optional

BROWSER_LIFETIME = "browser_lifetime"
"""The resource that is the age of a browser, in seconds; see `Threshold.for_subject` for the limit of each."""
_AMOUNT = 1e12


class CleanupLevel(IntEnum):
    """How hard to clean up; each level includes those before it."""

    GENTLE = 1
    """Drop what is idle: contexts, caches."""
    MODERATE = 2
    """Open no new pages, replace browsers once their items are done."""
    AGGRESSIVE = 3
    """Restart the largest browser and put its items back."""
    FORCE = 4
    """Save the state and kill the largest browser's process group."""


def _level_or_none(instance: "Threshold", attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None:
        member(CleanupLevel)(instance, attribute, value)


@attrs.frozen
class Threshold(JsonValue):
    """Limits of one resource. Without hold times and marks of its own it acts at once, in both directions."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"max_cleanup": optional(CleanupLevel)}

    resource: str = attrs.field(validator=text(1, 200))
    """Name of the reading."""
    limit: float = attrs.field(validator=number(0, _AMOUNT))
    """A reading at or beyond this is too much (with `below`: too little)."""
    clear: float = attrs.field(validator=number(0, _AMOUNT))
    """Only readings on the good side of this count as recovered; `limit` by default."""
    for_seconds: float = attrs.field(default=0.0, validator=number(0, 86400), kw_only=True)
    """How long the limit must be passed before it is a breach."""
    clear_for: float = attrs.field(default=0.0, validator=number(0, 86400), kw_only=True)
    """How long readings must be clear before it is a recovery."""
    hard: float | None = attrs.field(default=None, validator=number(0, _AMOUNT, optional=True), kw_only=True)
    """At or beyond this it is a breach at once, and cleanup begins at `CleanupLevel.AGGRESSIVE`."""
    below: bool = attrs.field(default=False, validator=instance_of(bool), kw_only=True)
    """Whether low readings are the bad ones (free disk space)."""
    max_cleanup: CleanupLevel | None = attrs.field(
        default=CleanupLevel.FORCE,
        validator=_level_or_none,
        kw_only=True,
    )
    """The hardest cleanup this breach asks for; None only reports: killing browsers does not cool a busy processor."""
    jitter: float = attrs.field(default=0.0, validator=number(0, 0.9), kw_only=True)
    """Fraction within ± which the marks differ from one subject to the next, see `for_subject`."""

    @clear.default
    def _at_limit(self) -> float:
        return self.limit

    def __attrs_post_init__(self) -> None:
        side = "at least" if self.below else "at most"
        if self.limit != self.clear and self.beyond(self.clear, self.limit):
            raise ValueError(
                f"Threshold.clear of {self.resource} must be {side} limit ({self.limit:g}), got {self.clear!r}"
            )
        if self.hard is not None and not self.beyond(self.hard, self.limit):
            side = "at most" if self.below else "at least"
            raise ValueError(
                f"Threshold.hard of {self.resource} must be {side} limit ({self.limit:g}), got {self.hard!r}"
            )

    def beyond(self, value: float, mark: float) -> bool:
        """Whether `value` is at `mark` or on its bad side."""
        return value <= mark if self.below else value >= mark

    def for_subject(self, seed: str) -> Self:
        """The same threshold with all marks moved by a factor within ± `jitter` that depends on `seed` alone: the name
        of a browser, say. It is the same in every process, and it has no jitter left. For lifetimes: browsers that were
        started together must not all be replaced together.
        """
        drawn = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
        factor = 1 + self.jitter * (2 * drawn - 1)
        hard = None if self.hard is None else self.hard * factor
        return attrs.evolve(self, limit=self.limit * factor, clear=self.clear * factor, hard=hard, jitter=0.0)


class ThresholdEventKind(StrEnum):
    """The two things that happen to a threshold, always in turn."""

    BREACHED = "threshold_breached"
    RECOVERED = "threshold_recovered"


@attrs.frozen
class ThresholdEvent(JsonValue):
    """A breach or a recovery."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"kind": ThresholdEventKind}

    kind: ThresholdEventKind
    """Which of the two."""
    resource: str
    """Of what."""
    value: float
    """The reading that decided it."""
    limit: float
    """The threshold's limit."""
    at: float
    """When, monotonic seconds."""


@attrs.frozen
class Watch(JsonValue):
    """What is remembered of one resource. Times are monotonic seconds."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"level": optional(CleanupLevel)}

    breached: bool = attrs.field(default=False, validator=instance_of(bool))
    """Whether it is short."""
    over_since: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """Since when readings have been beyond the limit without a break."""
    clear_since: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """Since when readings have been clear without a break."""
    level: CleanupLevel | None = None
    """The cleanup last asked for in this breach."""
    level_at: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """When that was."""

    def shifted(self, seconds: float) -> Self:
        """The same watch on a clock that reads `seconds` more."""

        def moved(at: float | None) -> float | None:
            return None if at is None else at + seconds

        return attrs.evolve(
            self,
            over_since=moved(self.over_since),
            clear_since=moved(self.clear_since),
            level_at=moved(self.level_at),
        )


def _watches_from_json(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Watch]:
    return {resource: Watch.from_json(watch) for resource, watch in data.items()}


@attrs.frozen
class ThresholdState(JsonValue):
    """What is remembered between samples."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"watches": _watches_from_json}

    watches: dict[str, Watch] = attrs.field(factory=dict, hash=False)
    """Resource → its watch. Treat it as read-only."""

    @property
    def breached(self) -> frozenset[str]:
        """The resources that are short now."""
        return frozenset(resource for resource, watch in self.watches.items() if watch.breached)

    def shifted(self, seconds: float) -> Self:
        """The same state on a clock that reads `seconds` more: for a state restored in another process."""
        return type(self)({resource: watch.shifted(seconds) for resource, watch in self.watches.items()})


def _events_from_json(data: Iterable[Any]) -> tuple[ThresholdEvent, ...]:
    return tuple(ThresholdEvent.from_json(event) for event in data)


@attrs.frozen
class ThresholdDecision(JsonValue):
    """What one sample changed."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "events": _events_from_json,
        "cleanup": optional(CleanupLevel),
    }

    events: tuple[ThresholdEvent, ...] = ()
    """Breaches and recoveries, in the order of the policy's thresholds."""
    cleanup: CleanupLevel | None = None
    """The cleanup to carry out now: given once when it is called for, and once more each `escalate_after` that it did
    not help."""


def _unique(instance: "ThresholdPolicy", _attribute: "attrs.Attribute[Any]", value: tuple[Threshold, ...]) -> None:
    for threshold in value:
        instance_of(Threshold)(instance, _attribute, threshold)
    names = [threshold.resource for threshold in value]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{type(instance).__name__}.thresholds must name each resource once, got {', '.join(twice)} more than once"
        )


def _as_tuple(thresholds: Iterable[Threshold]) -> tuple[Threshold, ...]:
    return tuple(thresholds)


def _thresholds_from_json(data: Iterable[Any]) -> tuple[Threshold, ...]:
    return tuple(Threshold.from_json(threshold) for threshold in data)


@attrs.frozen
class ThresholdPolicy(JsonValue):
    """The thresholds of several resources and the pace of cleanup."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"thresholds": _thresholds_from_json}

    thresholds: tuple[Threshold, ...] = attrs.field(default=(), converter=_as_tuple, validator=_unique)
    """At most one per resource."""
    escalate_after: float = attrs.field(default=60.0, validator=number(0.001, 86400))
    """Seconds beyond the limit after which the next harder cleanup is asked for."""

    def for_resource(self, resource: str) -> Threshold | None:
        """The threshold of this resource, None if there is none."""
        return next((threshold for threshold in self.thresholds if threshold.resource == resource), None)

    def with_memory_of(self, megabytes: float) -> Self:
        """The same policy with limits on ``memory_absolute`` (MB) for a machine or group that has so many: a breach at
        80 % of them for 30 s, clear below 75 %, hard at 95 %. It replaces such a threshold.
        """
        require_number("megabytes", megabytes, 1, _AMOUNT)
        memory = Threshold(
            "memory_absolute",
            limit=0.8 * megabytes,
            clear=0.75 * megabytes,
            hard=0.95 * megabytes,
            for_seconds=30.0,
            clear_for=60.0,
        )
        others = [threshold for threshold in self.thresholds if threshold.resource != memory.resource]
        return attrs.evolve(self, thresholds=(*others, memory))

    def evaluate(
        self, state: ThresholdState, sample: Mapping[str, float | None], now: float
    ) -> tuple[ThresholdState, ThresholdDecision]:
        """After a sample at `now`: resource → reading.

        A reading that is missing, None, NaN or infinite is ignored: it is neither a breach nor a recovery. So are
        resources without a threshold.
        """
        require_number("now", now, -CLOCK_LIMIT, CLOCK_LIMIT)
        watches = dict(state.watches)
        events: list[ThresholdEvent] = []
        wanted: list[CleanupLevel] = []
        for threshold in self.thresholds:
            value = sample.get(threshold.resource)
            if not is_number(value, -math.inf, math.inf) or value is None or math.isinf(value):
                continue
            before = watches.get(threshold.resource, Watch())
            after = self._watched(threshold, before, value, now)
            if after.breached is not before.breached:
                kind = ThresholdEventKind.BREACHED if after.breached else ThresholdEventKind.RECOVERED
                events.append(ThresholdEvent(kind, threshold.resource, value, threshold.limit, now))
            if after.level is not None and after.level_at != before.level_at:
                wanted.append(after.level)
            watches[threshold.resource] = after
        return ThresholdState(watches), ThresholdDecision(tuple(events), max(wanted, default=None))

    def _watched(self, threshold: Threshold, watch: Watch, value: float, now: float) -> Watch:
        over = threshold.beyond(value, threshold.limit)
        clear = not threshold.beyond(value, threshold.clear)
        over_since = (now if watch.over_since is None else watch.over_since) if over else None
        clear_since = (now if watch.clear_since is None else watch.clear_since) if clear else None
        hard = threshold.hard is not None and threshold.beyond(value, threshold.hard)
        if watch.breached:
            if clear_since is not None and now - clear_since >= threshold.clear_for:
                return Watch(clear_since=clear_since)
            level, level_at = self._escalated(threshold, watch, now, over=over, hard=hard)
            return Watch(True, over_since, clear_since, level, level_at)
        if over_since is not None and (hard or now - over_since >= threshold.for_seconds):
            level = _capped(CleanupLevel.AGGRESSIVE if hard else CleanupLevel.GENTLE, threshold)
            return Watch(True, over_since, None, level, None if level is None else now)
        return Watch(False, over_since, clear_since)

    def _escalated(
        self, threshold: Threshold, watch: Watch, now: float, *, over: bool, hard: bool
    ) -> tuple[CleanupLevel | None, float | None]:
        if watch.level is None or watch.level_at is None:
            return None, None
        if hard and watch.level < CleanupLevel.AGGRESSIVE:
            level = _capped(CleanupLevel.AGGRESSIVE, threshold)
            if level != watch.level:
                return level, now
        if over and now - watch.level_at >= self.escalate_after:
            return _capped(CleanupLevel(min(watch.level + 1, CleanupLevel.FORCE)), threshold), now
        return watch.level, watch.level_at


def _capped(level: CleanupLevel, threshold: Threshold) -> CleanupLevel | None:
    return None if threshold.max_cleanup is None else min(level, threshold.max_cleanup)
