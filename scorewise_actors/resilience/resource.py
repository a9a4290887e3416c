"""``ResourceMonitor``: figures of the whole tree of processes, limits on them, and what is done beyond them."""

import asyncio
import contextlib
import datetime as dt
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from policies import named
from policies.named import UnknownPolicyError
from policies.thresholds import CleanupLevel, Threshold, ThresholdEventKind, ThresholdPolicy
from scorewise_actors.actors.monitor import MonitorActor
from scorewise_actors.events import EventType, Severity
from scorewise_actors.messages.monitor import (
    MonitorMemory,
    RenewBrowsers,
    Report,
    StartWatch,
    StopWatch,
    TakeSample,
)
from scorewise_actors.resilience.callbacks import CallbackFailed, bounded
from scorewise_actors.resilience.configuration import ResourceConfiguration, part_for
from scorewise_actors.resilience.connection import Connection, SystemTree, TreeClient
from scorewise_actors.resilience.definitions import threshold_policy
from scorewise_actors.resilience.errors import (
    ResilienceException,
    ResourceCleanupError,
    ResourceMonitoringError,
    ResourceThresholdExceededError,
    ResourceThresholdNotFoundError,
)
from scorewise_actors.resilience.logs import log, stack_of
from scorewise_actors.resources import Sample
from scorewise_actors.roles import MONITOR_PATH
from supervisors.spec import ChildSpec

CALLBACK_TIMEOUT = 30.0
"""Seconds that a callback, or a restart of a browser, may take; it is given up then, and nobody waits for it."""
REPORTS_KEPT = 16
"""Breaches that wait for a callback which is still busy with the one before; of more the oldest are left out."""
_CPU_SOON = 0.12
"""Seconds after which a monitor that has just begun can tell how busy the processors are."""
_MB_DIGITS = 2

Callback = Callable[[dict[str, Any]], Any]
Restart = Callable[[str], Any]


@attrs.define(eq=False)
class _Session:
    """One ``start_monitoring``."""

    id: str
    threshold_id: str
    callback: Callback | None
    loop: asyncio.AbstractEventLoop
    watched: bool = False
    """Whether the monitor was told of it: the configuration may have been changed since then."""
    reports: "deque[Report]" = attrs.field(factory=lambda: deque(maxlen=REPORTS_KEPT))
    task: "asyncio.Task[None] | None" = None


class ResourceMonitor(TreeClient):
    """Watches memory, processors, disk, connections and the age of browsers, of this program and all that it started.

    An asyncio client of the monitor of its tree; several sessions share its samples. With ``enabled=False`` sessions
    hear nothing and nothing is cleaned up; figures can be asked for all the same.

    Every method raises ``TreeUnavailableError`` after ``close`` or without an event loop, and
    ``ResourceMonitoringError`` if the monitor is stuck.
    """

    component = "resource"
    unavailable = ResourceMonitoringError

    def __init__(self, config: ResourceConfiguration | None = None, *, connection: Connection | None = None) -> None:
        """``connection`` is the tree of a running system, whose own monitor is used then. Raises
        ``ConfigurationError`` for an argument of another type.
        """
        self.config = part_for(self, config, ResourceConfiguration)
        super().__init__(connection)
        self._book = named.PRESETS
        self._sessions: dict[str, _Session] = {}
        self._restart: Restart | None = None
        self._restarting: asyncio.Task[None] | None = None
        events, memory = self.events, MonitorMemory()
        bound = isinstance(self._connection, SystemTree)
        self._role = MONITOR_PATH if bound else "resources"
        self._spec = None if bound else ChildSpec("resources", lambda: MonitorActor(events, memory, Path()))

    # -------------------------------------------------------------------------------------------------- sessions

    async def start_monitoring(self, threshold_id: str | None = None, callback: Callback | None = None) -> str:
        """Judges samples every ``monitoring_interval`` seconds, the first at once; returns the session's id.

        ``threshold_id`` is ``production``, ``development`` or what ``create_resource_threshold`` returned; by default
        ``default_threshold``. ``callback`` gets a dict for each breach, and again each time that a harder cleanup is
        called for: for every limit ``<name>_breached`` (bool) and ``<name>`` (the figure), and ``session_id``,
        ``threshold_id``, ``timestamp``, ``limits``, ``cleanup`` (a level or None), ``metrics`` (as
        ``get_current_metrics``). An async one runs on this loop, any other in a thread of its own; one that raises, or
        takes more than 30 s, is logged and harms nobody. Recoveries are events: ``monitor.events``.

        Raises ``ResourceThresholdNotFoundError``, ``ResourceMonitoringError``.
        """
        self._require_open()
        name = threshold_id if threshold_id is not None else self.config.default_threshold
        policy = self._policy(name)
        if callback is not None and not callable(callback):
            raise ResourceMonitoringError.because(f"callback must be a function or None, got {callback!r}")
        session = _Session(str(uuid.uuid4()), name, callback, asyncio.get_running_loop())
        self._sessions[session.id] = session
        if self.config.enabled:
            message = StartWatch(
                session.id, policy, self.config.monitoring_interval, self._hardest(), self._sink(session)
            )
            session.watched = True
            try:
                await self._monitor(message)
            except BaseException:
                del self._sessions[session.id]
                raise
        return session.id

    async def stop_monitoring(self, session_id: str) -> bool:
        """Ends a session, also from within its callback, which may finish; False when there is none of that id."""
        self._require_open()
        session = self._sessions.pop(session_id, None)
        if session is None:
            return False
        session.reports.clear()
        if session.watched:
            await self._monitor(StopWatch(session_id))
        return True

    async def close(self) -> None:
        """Ends all sessions and gives the manager up."""
        if self._seat.alive and self._connection.running() is not None:
            for session_id in tuple(self._sessions):
                with contextlib.suppress(ResilienceException):
                    await self.stop_monitoring(session_id)
        await super().close()

    # --------------------------------------------------------------------------------------------------- figures

    async def get_current_metrics(self) -> dict[str, Any]:
        """The figures of now: ``memory_usage`` (MB, PSS of Python, drivers and browsers), ``memory_limit`` (MB: of the
        machine or the control group), ``memory_percent`` (how near memory is to its end), ``cpu_usage`` (%),
        ``disk_usage`` and ``disk_free`` (MB), ``network_connections``, ``process_count``, ``browser_count``,
        ``memory_pressure`` (% or None), ``timestamp`` (aware, UTC). Raises ``ResourceMonitoringError``.
        """
        return _metrics(await self._sample())

    async def check_thresholds(self, threshold_id: str | None = None) -> dict[str, bool]:
        """For each limit of a threshold whether it is passed at this moment, whatever its hold time says.

        Raises ``ResourceThresholdNotFoundError``, ``ResourceMonitoringError``.
        """
        policy = self._policy(threshold_id if threshold_id is not None else self.config.default_threshold)
        readings = (await self._sample()).readings(policy)
        return {threshold.resource: _is_passed(threshold, readings) for threshold in policy.thresholds}

    async def require_resources(self, threshold_id: str | None = None) -> None:
        """Raises ``ResourceThresholdExceededError``, naming them, when limits are passed: before heavy work."""
        passed = [name for name, breached in (await self.check_thresholds(threshold_id)).items() if breached]
        if passed:
            raise ResourceThresholdExceededError.because(
                f"limits are passed: {', '.join(passed)}; wait, or give the program less to do at a time", passed=passed
            )

    async def create_resource_threshold(self, threshold: Mapping[str, Any]) -> str:
        """Keeps a threshold given as a dict (see ``definitions.threshold_policy``) and returns its id: its name, or
        ``name-2`` and so on while another one has that. It acts at once unless it gives a ``hold``. Raises
        ``ConfigurationError`` naming field, range and value.
        """
        self._require_open()
        name, policy = threshold_policy(threshold)
        chosen, self._book = self._book.with_new("thresholds", name, policy)
        return chosen

    # -------------------------------------------------------------------------------------------------- browsers

    def on_browser_restart(self, restart: Restart | None) -> None:
        """Have ``restart(reason)`` called, sync or async, when a browser of yours is to be restarted: because memory
        stays short, or it is beyond its lifetime. One at a time. Browsers of a system's jobs are renewed without it.
        """
        if restart is not None and not callable(restart):
            raise ResourceMonitoringError.because(f"restart must be a function or None, got {restart!r}")
        self._restart = restart

    async def request_browser_restart(self, reason: str) -> bool:
        """Has the browsers of a system's jobs renewed in turn, or calls what ``on_browser_restart`` was given and waits
        for it; False when there is no browser or nothing to call. Raises ``ResourceCleanupError`` when it fails.
        """
        self._require_open()
        if isinstance(self._connection, SystemTree):
            return bool(await self._monitor(RenewBrowsers(reason)))
        if self._restart is None:
            return False
        await self._restart_now(reason)
        return True

    async def _restart_now(self, reason: str) -> None:
        assert self._restart is not None
        try:
            await bounded(self._restart, reason, timeout=CALLBACK_TIMEOUT, what="the restart of a browser")
        except CallbackFailed as failed:
            raise ResourceCleanupError.because(f"{failed}; the browser is as it was", reason=reason) from failed
        self._emit(EventType.BROWSER_RESTARTED, severity=Severity.MEDIUM, reason=reason)

    async def _restart_quietly(self, reason: str) -> None:
        try:
            await self._restart_now(reason)
        except ResourceCleanupError as error:
            log("ERROR", str(error), stack=stack_of(error), reason=reason)

    # --------------------------------------------------------------------------------------------------- inside

    def _policy(self, threshold_id: str) -> ThresholdPolicy:
        try:
            policy = self._book.get("thresholds", threshold_id)
        except UnknownPolicyError as unknown:
            raise ResourceThresholdNotFoundError.because(str(unknown), id=str(threshold_id)) from None
        return _limited(policy, self.config) if threshold_id in named.names("thresholds") else policy

    def _hardest(self) -> CleanupLevel | None:
        if not self.config.auto_cleanup_enabled:
            return None
        return CleanupLevel.FORCE if self.config.browser_restart_enabled else CleanupLevel.GENTLE

    async def _monitor(self, message: Any) -> Any:
        return await self._call(self._role, message, spec=self._spec)

    async def _sample(self) -> Sample:
        sample: Sample = await self._monitor(TakeSample())
        if sample.cpu is None:
            await asyncio.sleep(_CPU_SOON)
            sample = await self._monitor(TakeSample())
        return sample

    def _sink(self, session: _Session) -> Callable[[Report], None]:
        """Runs in the monitor's thread: passes reports on to the session's loop, while there is one."""

        def pass_on(report: Report) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                session.loop.call_soon_threadsafe(self._hear, session, report)

        return pass_on

    def _hear(self, session: _Session, report: Report) -> None:
        if session.id not in self._sessions:
            return
        if self._restart is not None and _wants_restart(report, self.config):
            reason = "browser lifetime" if report.overdue else "memory is short"
            if self._restarting is None or self._restarting.done():
                self._restarting = session.loop.create_task(self._restart_quietly(reason))
        bad = any(event.kind is ThresholdEventKind.BREACHED for event in report.events)
        if session.callback is None or not (bad or report.cleanup is not None):
            return
        if len(session.reports) == REPORTS_KEPT:
            log("WARNING", "a callback does not keep up with breaches, the oldest is left out", session=session.id)
        session.reports.append(report)
        if session.task is None or session.task.done():
            session.task = session.loop.create_task(self._deliver(session))

    async def _deliver(self, session: _Session) -> None:
        """Calls the callback for one report after the other."""
        while session.reports and session.callback is not None:
            data = _data(session, session.reports.popleft())
            what = f"the callback {getattr(session.callback, '__qualname__', 'of a monitoring session')}"
            try:
                await bounded(session.callback, data, timeout=CALLBACK_TIMEOUT, what=what)
            except CallbackFailed as failed:
                log("ERROR", str(failed), stack=stack_of(failed), session=session.id)


def _wants_restart(report: Report, config: ResourceConfiguration) -> bool:
    if not (config.auto_cleanup_enabled and config.browser_restart_enabled):
        return False
    harder = report.cleanup is not None and report.cleanup >= CleanupLevel.MODERATE
    return harder or bool(report.overdue)


def _limited(policy: ThresholdPolicy, config: ResourceConfiguration) -> ThresholdPolicy:
    """A named policy with the limits of the configuration."""
    memory, cpu = config.memory_limit_mb, config.cpu_limit_percent
    own = (
        Threshold("memory_absolute", memory, 0.95 * memory, for_seconds=30.0, clear_for=60.0),
        Threshold("cpu_percent", cpu, max(0.0, cpu - 15), for_seconds=60.0, clear_for=60.0, max_cleanup=None),
    )
    names = {threshold.resource for threshold in own}
    kept = tuple(threshold for threshold in policy.thresholds if threshold.resource not in names)
    return attrs.evolve(policy, thresholds=(*kept, *own))


def _is_passed(threshold: Threshold, readings: Mapping[str, float | None]) -> bool:
    value = readings.get(threshold.resource)
    return value is not None and threshold.beyond(value, threshold.limit)


def _data(session: _Session, report: Report) -> dict[str, Any]:
    names = [threshold.resource for threshold in report.policy.thresholds]
    return {
        **{f"{name}_breached": name in report.breached for name in names},
        **{name: report.readings.get(name) for name in names},
        "session_id": session.id,
        "threshold_id": session.threshold_id,
        "timestamp": _moment(report.sample),
        "limits": {threshold.resource: threshold.limit for threshold in report.policy.thresholds},
        "cleanup": report.cleanup.name.lower() if report.cleanup is not None else None,
        "metrics": _metrics(report.sample),
    }


def _metrics(sample: Sample) -> dict[str, Any]:
    return {
        "memory_usage": round(sample.memory, _MB_DIGITS),
        "memory_limit": round(sample.memory_limit, _MB_DIGITS),
        "memory_percent": round(sample.memory_percent, 2),
        "memory_pressure": sample.pressure,
        "cpu_usage": round(sample.cpu or 0.0, 2),
        "disk_usage": round(sample.disk_used or 0.0, _MB_DIGITS),
        "disk_free": round(sample.disk_free or 0.0, _MB_DIGITS),
        "network_connections": sample.connections or 0,
        "process_count": sample.processes,
        "browser_count": len(sample.browsers),
        "timestamp": _moment(sample),
    }


def _moment(sample: Sample) -> dt.datetime:
    return dt.datetime.fromtimestamp(sample.time, dt.UTC)
