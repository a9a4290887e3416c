"""MonitorActor: watches what the program uses and what is left, reports breaches, and has browsers renewed."""

import gc
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from policies.short_text import short_text
from policies.thresholds import CleanupLevel, ThresholdEvent, ThresholdEventKind
from scorewise_actors.actors.browser_upkeep import BrowserUpkeep
from scorewise_actors.actors.tracked import TrackedActor
from scorewise_actors.config import SystemConfig
from scorewise_actors.events import EventHub, EventType, Severity
from scorewise_actors.messages.jobs import Breach
from scorewise_actors.messages.monitor import (
    MonitorMemory,
    RenewBrowsers,
    Report,
    StartWatch,
    StopWatch,
    TakeSample,
    Watch,
)
from scorewise_actors.resources import Sample, Sampler
from scorewise_actors.roles import is_supervisor, role_of
from supervisors.ref import Ref
from supervisors.signals import Signal, Timeout

if TYPE_CHECKING:
    from supervisors.timer import Timer

SYSTEM_WATCH = "system"
"""Id of the watch that a system has of its own; its breaches go to the judges of all jobs."""
_TOGETHER = 0.1
"""Part of its interval by which a watch may be early, to share a sample with another one."""


def system_memory(config: SystemConfig) -> MonitorMemory:
    """What the monitor of a system begins with."""
    watch = Watch(SYSTEM_WATCH, config.thresholds, config.monitor_interval, CleanupLevel.FORCE)
    return MonitorMemory({SYSTEM_WATCH: watch})


class MonitorActor(TrackedActor):
    """One for all jobs of a system, and all ResourceMonitors; one for those that were constructed alone. Each watch has
    its policy and pace, the samples are shared.
    """

    component = "resource"

    def __init__(self, events: EventHub, memory: MonitorMemory, storage: Path) -> None:
        super().__init__(events)
        self._memory = memory
        self._storage = storage
        self._timer: Timer | None = None

    def on_start(self) -> None:
        self._sampler = Sampler(self._storage)
        self._upkeep = BrowserUpkeep(self.runtime, self._browser_restarted)
        self._wake()

    def handle(self, message: Any) -> Any:
        now = time.monotonic()
        match message:
            case StartWatch(id, policy, interval, cleanup, sink):
                self._memory.watches[id] = Watch(id, policy, interval, cleanup, sink, due=now)
                self._wake()
                return True
            case StopWatch(id):
                return self._memory.watches.pop(id, None) is not None
            case TakeSample():
                return self._sampler.sample(self._limit(), asked=True)
            case RenewBrowsers(reason):
                return self._upkeep.renew_all(reason, now)
        return super().handle(message)

    def on_signal(self, signal: Signal) -> None:
        if isinstance(signal, Timeout):
            self._look(time.monotonic())
            self._wake()

    # ------------------------------------------------------------------------------------------------- one sample

    def _look(self, now: float) -> None:
        due = [watch for watch in self._memory.watches.values() if watch.due <= now + _TOGETHER * watch.interval]
        if not due:
            return
        sample = self._sampler.sample(self._limit())
        self._upkeep.look(now)
        for watch in due:
            watch.due = now + watch.interval
            self._judge(watch, sample, now)

    def _judge(self, watch: Watch, sample: Sample, now: float) -> None:
        readings, overdue = sample.readings(watch.policy), sample.overdue(watch.policy)
        watch.state, decision = watch.policy.evaluate(watch.state, readings, now)
        for event in decision.events:
            self._tell(watch, event)
        hardest = watch.cleanup
        cleanup = None if decision.cleanup is None or hardest is None else min(decision.cleanup, hardest)
        if cleanup is not None:
            self._clean(cleanup, watch, sample, now)
        if overdue and hardest is not None and hardest >= CleanupLevel.MODERATE:
            self._upkeep.renew_overdue(overdue, now)
        if watch.sink is not None and (decision.events or cleanup is not None or overdue):
            report = Report(
                watch.id, watch.policy, sample, readings, decision.events, watch.state.breached, cleanup, overdue
            )
            try:
                watch.sink(report)
            except Exception as error:  # noqa: BLE001 - whoever listens must not harm the others
                text = short_text(error)
                logger.opt(exception=error).error("the watch {} failed on a report: {}", watch.id, text)

    def _clean(self, level: CleanupLevel, watch: Watch, sample: Sample, now: float) -> None:
        self.emit(
            EventType.CLEANUP_INITIATED,
            severity=Severity.HIGH if level >= CleanupLevel.AGGRESSIVE else Severity.MEDIUM,
            level=level.name.lower(),
            watch=watch.id,
            breached=sorted(watch.state.breached),
            memory=round(sample.memory, 1),
        )
        gc.collect()
        self._upkeep.clean(level, sample.browsers, now)

    def _tell(self, watch: Watch, event: ThresholdEvent) -> None:
        breached = event.kind is ThresholdEventKind.BREACHED
        self.emit(
            EventType.THRESHOLD_BREACHED if breached else EventType.THRESHOLD_RECOVERED,
            severity=Severity.HIGH if breached else Severity.LOW,
            resource=event.resource,
            value=round(event.value, 2),
            limit=event.limit,
            watch=watch.id,
        )
        logger.warning("{} {} at {:.1f}, limit {:.1f}", event.resource, event.kind, event.value, event.limit)
        if watch.id == SYSTEM_WATCH:
            level = watch.state.watches[event.resource].level
            word = level.name.lower() if level is not None else "report"
            for judge in self._all("judge"):
                judge.tell(Breach(event.resource, event.value, event.limit, word, breached))

    def _browser_restarted(self, path: str, reason: str) -> None:
        self.emit(EventType.BROWSER_RESTARTED, severity=Severity.MEDIUM, browser=path, reason=reason)

    # -------------------------------------------------------------------------------------------------- the rest

    def _limit(self) -> float:
        """MB that the tree must not pass, by the strictest watch."""
        limits = (watch.policy.for_resource("memory_absolute") for watch in self._memory.watches.values())
        return min((threshold.limit for threshold in limits if threshold is not None), default=math.inf)

    def _all(self, role: str) -> list[Ref]:
        return [
            ref
            for ref in self.runtime.refs()
            if role_of(ref.path) == role and not is_supervisor(ref.path) and ref.is_up()
        ]

    def _wake(self) -> None:
        """Have the next sample taken when the first watch is due."""
        if self._timer is not None:
            self._timer.cancel()
        when = min((watch.due for watch in self._memory.watches.values()), default=None)
        self._timer = None if when is None else self.signal_at(when, Timeout("sample"))
