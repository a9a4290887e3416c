"""The analysis of a job's failures: from the ledger's record to plain figures."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from scorewise_actors.failure_events import FailureEvent
from scorewise_actors.resilience_memory import FailureRecord

RECENT = 10
"""Latest failures that the analysis shows in full."""


def analysed(record: FailureRecord, begin: dt.datetime | None) -> dict[str, Any]:
    """What is known of a job's failures, as plain values.

    Keys: ``total_failures``, ``successes``, ``failure_rate`` (of all that ended; None if nothing did), ``by_category``,
    ``by_severity``, ``by_error_type``, ``by_host`` (word → count), ``signatures`` (most frequent first: ``signature``,
    ``count``, ``first_seen``, ``last_seen``, ``example``), ``timeline`` (minute in ISO 8601 → count), ``streak`` and
    ``longest_streak`` (failures in a row), ``restarts``, ``breaches``, ``actions`` (name → count), ``first_failure``,
    ``last_failure`` (ISO 8601 or None), ``recent`` (the latest failures in full), ``events_kept`` (how many there are).

    With ``begin`` (UTC, aware) all counts of failures are of the kept events since then; successes, streaks, restarts,
    breaches and actions are of the whole job.
    """
    kept = [event for event in record.events if begin is None or event.timestamp >= begin]
    figures = _of_all(record) if begin is None else _of_events(kept)
    total = figures["total_failures"]
    ended = total + record.successes
    return figures | {
        "successes": record.successes,
        "failure_rate": total / ended if begin is None and ended else None,
        "streak": record.streak,
        "longest_streak": record.longest_streak,
        "restarts": dict(record.by.get("restart", {})),
        "breaches": dict(record.by.get("breach", {})),
        "actions": dict(record.by.get("action", {})),
        "recent": [event.as_map() for event in kept[-RECENT:]],
        "events_kept": len(kept),
    }


def summed(jobs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The analyses of several jobs and their sums: ``total_failures``, ``successes``, ``by_category``, ``by_severity``,
    ``by_error_type``, ``by_host``, ``jobs``.
    """
    sums: dict[str, Any] = {
        name: sum(figures[name] for figures in jobs.values()) for name in ("total_failures", "successes")
    }
    for name in ("by_category", "by_severity", "by_error_type", "by_host"):
        counts: Counter[str] = Counter()
        for figures in jobs.values():
            counts.update(figures[name])
        sums[name] = dict(counts)
    return sums | {"jobs": dict(jobs)}


def _of_all(record: FailureRecord) -> dict[str, Any]:
    rows = [(name, seen.count, seen.first, seen.last) for name, seen in record.signatures.items()]
    firsts = [seen.first.timestamp for seen in record.signatures.values()]
    return {
        "total_failures": record.total,
        "by_category": dict(record.by.get("category", {})),
        "by_severity": dict(record.by.get("severity", {})),
        "by_error_type": dict(record.by.get("error_type", {})),
        "by_host": dict(record.by.get("host", {})),
        "signatures": _signatures(rows),
        "timeline": {_minute(minute): count for minute, count in sorted(record.timeline.items())},
        "first_failure": min(firsts).isoformat() if firsts else None,
        "last_failure": record.events[-1].timestamp.isoformat() if record.events else None,
    }


def _of_events(events: list[FailureEvent]) -> dict[str, Any]:
    groups: dict[str, list[FailureEvent]] = {}
    for event in events:
        groups.setdefault(event.signature, []).append(event)
    rows = [(name, len(group), group[0], group[-1]) for name, group in groups.items()]
    minutes = Counter(int(event.timestamp.timestamp() // 60) for event in events)
    return {
        "total_failures": len(events),
        "by_category": dict(Counter(event.category.value for event in events)),
        "by_severity": dict(Counter(event.severity.value for event in events)),
        "by_error_type": dict(Counter(event.error_type for event in events)),
        "by_host": dict(Counter(event.host for event in events if event.host is not None)),
        "signatures": _signatures(rows),
        "timeline": {_minute(minute): count for minute, count in sorted(minutes.items())},
        "first_failure": events[0].timestamp.isoformat() if events else None,
        "last_failure": events[-1].timestamp.isoformat() if events else None,
    }


def _signatures(rows: Iterable[tuple[str, int, FailureEvent, FailureEvent]]) -> list[dict[str, Any]]:
    return [
        {
            "signature": name,
            "count": count,
            "first_seen": first.timestamp.isoformat(),
            "last_seen": last.timestamp.isoformat(),
            "example": first.message,
        }
        for name, count, first, last in sorted(rows, key=lambda row: -row[1])
    ]


def _minute(number: int) -> str:
    return dt.datetime.fromtimestamp(number * 60, dt.UTC).isoformat(timespec="minutes")
