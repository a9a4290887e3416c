"""FailureLedger: what failed in every job, counted for ever and kept for a while."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from scorewise_actors.actors.tracked import TrackedActor
from scorewise_actors.events import EventHub, EventType, Severity, utc_now
from scorewise_actors.failure_analysis import analysed, summed
from scorewise_actors.failure_events import FailureEvent
from scorewise_actors.messages.resilience import Analyse, RecordFailures, RecordNote, RecordSuccess
from scorewise_actors.resilience_memory import FailureMemory, FailureRecord, SignatureCount, remembered
from scorewise_actors.roles import job_id, role_of
from supervisors.events import Event, Restarting
from supervisors.signals import Signal

WORDS_KEPT = 200
"""Hosts, signatures and the like that are told apart in one job; further ones count as ``(other)``."""
MINUTES_KEPT = 1440
OTHER = "(other)"
_PATTERN_AT = frozenset((10, 100, 1000, 10_000, 100_000))
"""Counts of one signature that are told as an event."""


class FailureLedger(TrackedActor):
    """Permanent. Hears of restarts by itself, of everything else by message."""

    component = "failure"

    def __init__(self, events: EventHub, memory: FailureMemory) -> None:
        super().__init__(events)
        self._memory = memory
        self._unsubscribe: Callable[[], None] | None = None

    def on_start(self) -> None:
        inbox = self.ref

        def hear(event: Event) -> None:
            job = job_id(event.path)
            if job is not None and isinstance(event, Restarting):
                inbox.tell(RecordNote(job, "restart", role_of(event.path)))

        self._unsubscribe = self.runtime.subscribe(hear, (Restarting.kind,))

    def on_stop(self) -> None:
        self.release()

    def release(self) -> None:
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    def on_signal(self, signal: Signal) -> None:
        del signal

    def handle(self, message: Any) -> Any:
        match message:
            case RecordFailures(job_id, events):
                record = self._record(job_id)
                for event in events:
                    self._add(job_id, record, event)
                return None
            case RecordSuccess(job_id, count, given):
                record = self._record(job_id)
                if given is None or _is_new(record, given):
                    record.successes += count
                    record.streak = 0
                return None
            case RecordNote(job_id, kind, name):
                _count(self._record(job_id).by.setdefault(kind, {}), name)
                return None
            case Analyse(job_id, since):
                return self._analyse(job_id, since)
        return super().handle(message)

    def _record(self, job_id: str) -> FailureRecord:
        record: FailureRecord = remembered(self._memory.jobs, job_id, FailureRecord)
        return record

    def _add(self, job_id: str, record: FailureRecord, event: FailureEvent) -> None:
        if not _is_new(record, event.id):
            return
        record.events.append(event)
        record.total += 1
        record.streak += 1
        record.longest_streak = max(record.longest_streak, record.streak)
        for what, word in _words(event):
            _count(record.by.setdefault(what, {}), word)
        known = record.signatures.get(event.signature)
        if known is not None:
            known.count += 1
            known.last = event
        elif len(record.signatures) < WORDS_KEPT:
            known = record.signatures[event.signature] = SignatureCount(1, event, event)
        minute = int(event.timestamp.timestamp() // 60)
        record.timeline[minute] = record.timeline.get(minute, 0) + 1
        while len(record.timeline) > MINUTES_KEPT:
            record.timeline.popitem(last=False)
        if known is not None and known.count in _PATTERN_AT:
            self.emit(
                EventType.FAILURE_PATTERN_DETECTED,
                job_id,
                Severity.HIGH,
                signature=event.signature,
                count=known.count,
                category=event.category.value,
            )

    def _analyse(self, job_id: str | None, since: float | None) -> dict[str, Any]:
        begin = None if since is None else utc_now() - dt.timedelta(seconds=since)
        if job_id is not None:
            return {"job_id": job_id} | analysed(self._memory.jobs.get(job_id, FailureRecord()), begin)
        jobs = {name: analysed(record, begin) for name, record in self._memory.jobs.items()}
        return {"job_id": None} | summed(jobs)


def _words(event: FailureEvent) -> Iterable[tuple[str, str]]:
    yield "category", event.category.value
    yield "severity", event.severity.value
    yield "error_type", event.error_type
    if event.host is not None:
        yield "host", event.host
    if event.recovery_action is not None:
        yield "action", event.recovery_action.value


def _count(counts: dict[str, int], word: str) -> None:
    word = word if word in counts or len(counts) < WORDS_KEPT else OTHER
    counts[word] = counts.get(word, 0) + 1


def _is_new(record: FailureRecord, given: str) -> bool:
    if given in record.ids:
        return False
    record.ids.append(given)
    return True
