"""MonitorActor: watches what is left of the machine's memory, processor and disk, and reports breaches."""

import time

from loguru import logger

from policies.thresholds import CleanupLevel, ThresholdEventKind, ThresholdPolicy, ThresholdState
from scorewise_actors.config import SystemConfig
from scorewise_actors.messages import Breach, Recycle
from scorewise_actors.resources.samples import Sampler
from supervisors.ref import Ref
from supervisors.signals import Signal, Timeout
from supervisors.thread_actor import ThreadActor


class MonitorActor(ThreadActor):
    """One for all jobs of a system. A breach goes to every judge; one that calls for cleanup renews a browser."""

    def __init__(self, config: SystemConfig) -> None:
        super().__init__()
        self._interval = config.monitor_interval
        self._policy: ThresholdPolicy = config.thresholds
        self._state = ThresholdState()
        self._sampler = Sampler(config.storage_path)
        self._turn = 0

    def on_start(self) -> None:
        self._again()

    def on_signal(self, signal: Signal) -> None:
        if isinstance(signal, Timeout):
            self._look()
            self._again()

    def _look(self) -> None:
        self._state, decision = self._policy.evaluate(self._state, self._sampler.sample().readings(), time.monotonic())
        level = decision.cleanup.name.lower() if decision.cleanup is not None else "report"
        for event in decision.events:
            breached = event.kind is ThresholdEventKind.BREACHED
            logger.warning("{} {} at {:.1f}, limit {:.1f}", event.resource, event.kind, event.value, event.limit)
            for judge in self._all("judge"):
                judge.tell(Breach(event.resource, event.value, event.limit, level, breached))
        if decision.cleanup is not None and decision.cleanup >= CleanupLevel.MODERATE:
            browsers = self._all("browser")
            if browsers:  # one at a time, in turn: all successors at once would need the memory that is short
                self._turn += 1
                browsers[self._turn % len(browsers)].tell(Recycle(f"cleanup {level}"))

    def _all(self, role: str) -> list[Ref]:
        return [ref for ref in self.runtime.refs() if ref.path.endswith(f"/{role}") and ref.is_up()]

    def _again(self) -> None:
        self.signal_at(time.monotonic() + self._interval, Timeout("sample"))
