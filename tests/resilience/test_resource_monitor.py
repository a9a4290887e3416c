"""ResourceMonitor: figures, thresholds, sessions and their callbacks, and what broken callbacks do not break."""

import asyncio
import datetime as dt
import subprocess
import sys
import threading
import time

import pytest

from scorewise_actors import ActorSystem
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.resilience import (
    ResourceCleanupError,
    ResourceConfiguration,
    ResourceMonitor,
    ResourceMonitoringError,
    ResourceThresholdExceededError,
    ResourceThresholdNotFoundError,
    TreeUnavailableError,
)
from scorewise_actors.resilience import resource as module
from scorewise_actors.resilience.connection import PrivateTree
from scorewise_actors.resources import Sampler
from scorewise_actors.resources.samples import ASKED_EVERY

KEY = b"0123456789abcdef0123456789abcdef"
TIGHT = {"name": "tight", "memory_absolute": 1, "cpu_percent": 100, "browser_lifetime": 60}
LOOSE = {"name": "loose", "memory_absolute": 1_000_000}
WAIT = 60


@pytest.fixture
def config():
    return ResourceConfiguration(monitoring_interval=0.1)


@pytest.fixture
async def monitor(config):
    async with ResourceMonitor(config, connection=PrivateTree()) as monitor:
        yield monitor


async def breach(monitor, **changes):
    """A queue of what a callback gets, and the session."""
    got = asyncio.Queue()

    async def callback(data):
        await got.put(data)

    name = await monitor.create_resource_threshold(TIGHT | changes)
    return got, await monitor.start_monitoring(name, callback)


async def next_of(got):
    return await asyncio.wait_for(got.get(), WAIT)


# ----------------------------------------------------------------------------------------------------------- figures


async def test_the_figures_of_now(monitor):
    """Numbers in MB and percent, of this program and all that it started."""
    metrics = await monitor.get_current_metrics()
    for name in ("memory_usage", "memory_limit", "memory_percent", "cpu_usage", "disk_usage", "network_connections"):
        assert isinstance(metrics[name], int | float), name
    assert 5 < metrics["memory_usage"] < metrics["memory_limit"]
    assert 0 <= metrics["cpu_usage"] <= 100
    assert metrics["process_count"] >= 1
    assert abs(metrics["timestamp"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=10)


async def test_a_program_that_was_started_counts(monitor):
    """Its memory and its process."""
    before = await monitor.get_current_metrics()
    eater = "x = b'x' * (60 << 20); print('up', flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", eater], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        sampler = monitor._connection.running().ref("resilience/resources").actor._sampler
        sampler._clock = lambda: time.monotonic() + ASKED_EVERY  # a second later, when no exact look is due
        soon = await monitor.get_current_metrics()
        async with ResourceMonitor(monitor.config, connection=PrivateTree()) as fresh:
            after = await fresh.get_current_metrics()
    finally:
        child.communicate(b"\n", timeout=60)
    assert after["process_count"] == soon["process_count"] > before["process_count"]
    assert after["memory_usage"] > before["memory_usage"] + 40


async def test_thresholds_are_checked_at_this_moment(monitor):
    """A boolean for each limit, whatever its hold time; unknown ids are listed."""
    name = await monitor.create_resource_threshold(TIGHT | {"hold": 3600})
    status = await monitor.check_thresholds(name)
    assert isinstance(status.pop("cpu_percent"), bool)
    assert status == {"memory_absolute": True, "browser_lifetime": False}
    production = await monitor.check_thresholds("production")
    assert {"memory_percent", "memory_absolute", "cpu_percent", "disk_space", "browser_lifetime"} <= set(production)
    assert all(isinstance(breached, bool) for breached in production.values())
    with pytest.raises(ResourceThresholdExceededError, match="limits are passed: memory_absolute"):
        await monitor.require_resources(name)
    await monitor.require_resources(await monitor.create_resource_threshold(LOOSE))
    with pytest.raises(
        ResourceThresholdNotFoundError, match=r"no thresholds policy 'nope'; known are development, .*, production"
    ):
        await monitor.check_thresholds("nope")
    for unknown in ("nope", 5, ["production"]):
        with pytest.raises(ResourceThresholdNotFoundError):
            await monitor.start_monitoring(unknown, None)


async def test_the_limits_of_the_configuration_hold_in_the_named_thresholds(config):
    """``memory_limit_mb`` and ``cpu_limit_percent``."""
    config.memory_limit_mb = 16
    async with ResourceMonitor(config, connection=PrivateTree()) as monitor:
        assert (await monitor.check_thresholds("production"))["memory_absolute"] is True
        policy = monitor._policy("development")
        limits = {threshold.resource: threshold.limit for threshold in policy.thresholds}
        assert (limits["memory_absolute"], limits["cpu_percent"]) == (16, 80)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"memory_percent": 0}, "memory_percent must be a number from 1 to 100, got 0"),
        ({"memory_percent": "80"}, "memory_percent must be a number from 1 to 100, got '80'"),
        ({"browser_lifetime": 59}, r"browser_lifetime must be a number from 60 to 86400, got 59"),
        ({"cpu_percent": float("nan")}, "cpu_percent must be a number from 1 to 100, got nan"),
        ({"hold": -1}, "hold must be a number from 0 to 86400, got -1"),
        (
            {"max_cleanup": "hard"},
            "max_cleanup must be one of gentle, moderate, aggressive, force, or None, got 'hard'",
        ),
        ({"memory": 1}, "unknown key 'memory'; the keys are name, memory_percent"),
        ({"name": ""}, "name must be a text of 1 to 100 characters, got ''"),
    ],
)
async def test_bad_thresholds_are_refused_with_field_range_and_value(monitor, changes, words):
    """As a ConfigurationError, which is a ValueError."""
    with pytest.raises(ConfigurationError, match=words):
        await monitor.create_resource_threshold(TIGHT | changes)
    with pytest.raises(ConfigurationError, match="at least one of memory_percent"):
        await monitor.create_resource_threshold({"name": "empty"})
    with pytest.raises(ConfigurationError, match="expected a dict"):
        await monitor.create_resource_threshold([])


async def test_names_of_thresholds_are_not_overwritten(monitor):
    """Another policy of the same name gets a number; the named ones stay as they are."""
    assert await monitor.create_resource_threshold(TIGHT) == "tight"
    assert await monitor.create_resource_threshold(TIGHT) == "tight"
    assert await monitor.create_resource_threshold(TIGHT | {"hold": 5}) == "tight-2"
    assert await monitor.create_resource_threshold(TIGHT | {"name": "production"}) == "production-2"


# ---------------------------------------------------------------------------------------------------------- sessions


async def test_a_breach_reaches_an_async_callback_with_its_figures(monitor):
    """Once, for the limits that are passed, with all that is known."""
    got, session = await breach(monitor, max_cleanup=None)
    data = await next_of(got)
    assert data["memory_absolute_breached"] is True
    assert data["browser_lifetime_breached"] is False
    assert data["memory_absolute"] == pytest.approx(data["metrics"]["memory_usage"], abs=0.01)
    assert data["limits"]["memory_absolute"] == 1
    assert (data["session_id"], data["threshold_id"], data["cleanup"]) == (session, "tight", None)
    assert await monitor.stop_monitoring(session) is True
    assert await monitor.stop_monitoring(session) is False
    assert got.empty()


async def test_a_breach_reaches_a_plain_callback_in_a_thread_of_its_own(monitor):
    """So one that blocks does not block the loop."""
    loop, got = asyncio.get_running_loop(), asyncio.Queue()

    def callback(data):
        loop.call_soon_threadsafe(got.put_nowait, threading.current_thread())

    await monitor.start_monitoring(await monitor.create_resource_threshold(TIGHT), callback)
    assert await next_of(got) is not threading.main_thread()


async def test_callbacks_that_raise_or_hang_harm_nobody(monitor, monkeypatch, caplog):
    """They are logged; other sessions hear their breaches, and the next breach of the same session is delivered."""
    monkeypatch.setattr(module, "CALLBACK_TIMEOUT", 0.2)
    name = await monitor.create_resource_threshold(TIGHT | {"escalate_after": 0.2})
    calls = {"raises": 0, "hangs": 0, "blocks": 0}
    free = threading.Event()
    all_twice = asyncio.Event()
    loop = asyncio.get_running_loop()

    def count(kind):
        calls[kind] += 1
        if min(calls.values()) >= 2:
            loop.call_soon_threadsafe(all_twice.set)

    async def raises(_):
        count("raises")
        raise ValueError("this callback is broken")

    async def hangs(_):
        count("hangs")
        await asyncio.Event().wait()

    def blocks(_):
        count("blocks")
        free.wait(WAIT)

    try:
        for callback in (raises, hangs, blocks):
            await monitor.start_monitoring(name, callback)
        got, _ = await breach(monitor)
        assert (await next_of(got))["memory_absolute_breached"]
        await asyncio.wait_for(all_twice.wait(), WAIT)
    finally:
        free.set()
    said = [record.getMessage() for record in caplog.records]
    assert any("raised ValueError: this callback is broken" in text for text in said)
    assert any("took longer than 0.2 s" in text for text in said)


async def test_a_session_is_stopped_from_within_its_callback(monitor):
    """The callback goes on to its end, and no other one comes."""
    done, calls = asyncio.Event(), []

    async def callback(data):
        calls.append(await monitor.stop_monitoring(data["session_id"]))
        done.set()

    name = await monitor.create_resource_threshold(TIGHT | {"escalate_after": 0.05})
    await monitor.start_monitoring(name, callback)
    await asyncio.wait_for(done.wait(), WAIT)
    got, _ = await breach(monitor)
    await next_of(got)
    assert calls == [True]


async def test_breach_and_recovery_are_events(monitor):
    """With resource, figure, limit and session; a cleanup that is begun is one as well."""
    told = asyncio.Queue()
    loop = asyncio.get_running_loop()
    monitor.events.subscribe(lambda event: loop.call_soon_threadsafe(told.put_nowait, event))
    _, session = await breach(monitor)
    event = await next_of(told)
    assert (event.type.value, event.component, event.severity.value) == ("threshold_breached", "resource", "HIGH")
    assert event.data["resource"] == "memory_absolute"
    assert (event.data["limit"], event.data["watch"]) == (1, session)
    cleanup = await next_of(told)
    assert (cleanup.type.value, cleanup.data["level"]) == ("cleanup_initiated", "gentle")


async def test_without_auto_cleanup_nothing_is_cleaned_up(config):
    """Breaches are told all the same."""
    config.auto_cleanup_enabled = False
    async with ResourceMonitor(config, connection=PrivateTree()) as monitor:
        kinds = []
        monitor.events.subscribe(lambda event: kinds.append(event.type.value))
        got, _ = await breach(monitor, escalate_after=0.05)
        assert (await next_of(got))["cleanup"] is None
        other, _ = await breach(monitor, name="other")
        await next_of(other)
        assert set(kinds) == {"threshold_breached"}


async def test_switched_off_sessions_hear_nothing(config):
    """Figures can be asked for."""
    config.enabled = False
    async with ResourceMonitor(config, connection=PrivateTree()) as monitor:
        got, session = await breach(monitor)
        assert monitor._connection.running() is None, "nothing was started for it"
        assert await monitor.stop_monitoring(session) is True
        assert await monitor.stop_monitoring("unknown") is False
        assert (await monitor.get_current_metrics())["memory_usage"] > 1
        assert got.empty()


async def test_a_session_ends_that_was_begun_before_the_monitor_was_switched_off(monitor):
    """The actor hears of it, or it would go on to clean up for nobody."""
    got, session = await breach(monitor)
    await next_of(got)
    monitor.config.enabled = False
    assert await monitor.stop_monitoring(session)
    actor = monitor._connection.running().ref("resilience/resources").actor
    assert session not in actor._memory.watches


async def test_closing_ends_all_sessions(config):
    """Another manager of the tree goes on."""
    tree = PrivateTree()
    async with ResourceMonitor(config, connection=tree) as other:
        monitor = ResourceMonitor(config, connection=tree)
        await breach(monitor)
        mine, _ = await breach(other)
        await monitor.close()
        watches = tree.running().ref("resilience/resources").actor._memory.watches
        assert len(watches) == 1
        await next_of(mine)
        with pytest.raises(TreeUnavailableError, match="ResourceMonitor was closed"):
            await monitor.get_current_metrics()
    assert tree.running() is None


async def test_a_stuck_monitor_fails_the_call_and_not_the_loop(monitor, monkeypatch):
    """By its deadline, with the error of this manager."""
    await monitor.get_current_metrics()
    free = threading.Event()
    usual = Sampler.sample
    monkeypatch.setattr(Sampler, "sample", lambda self, *args, **how: (free.wait(WAIT), usual(self, *args, **how))[1])
    try:
        with pytest.raises(ResourceMonitoringError, match=r"gave no answer within 5 s"):
            await monitor.get_current_metrics()
    finally:
        free.set()
    assert (await monitor.get_current_metrics())["process_count"]


async def test_a_monitor_that_dies_goes_on_with_its_sessions(monitor, monkeypatch):
    """Killed while it samples: its successor knows the sessions."""
    got, _ = await breach(monitor, escalate_after=0.3)
    await next_of(got)
    actor = monitor._connection.running().ref("resilience/resources").actor
    monkeypatch.setattr(actor._sampler, "sample", lambda *_: 1 / 0)
    while not got.empty():
        got.get_nowait()
    assert (await next_of(got))["memory_absolute_breached"] is True
    assert monitor._connection.running().ref("resilience/resources").actor is not actor


ENDS = """
import asyncio, sys
from scorewise_actors.resilience import ResourceConfiguration, ResourceMonitor

async def main():
    monitor = ResourceMonitor(ResourceConfiguration(monitoring_interval=0.1))
    heard = asyncio.Event()

    async def callback(data):
        heard.set()

    name = await monitor.create_resource_threshold({"name": "tight", "memory_absolute": 1})
    await monitor.start_monitoring(name, callback)
    await asyncio.wait_for(heard.wait(), 60)
    print("heard")

asyncio.run(main())
"""


def test_a_program_ends_while_it_is_monitored():
    """At interpreter exit the private tree ends; nothing is printed and the exit code is the program's own."""
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")


# ---------------------------------------------------------------------------------------------------------- browsers


async def test_a_restart_is_asked_of_whoever_offered_it(monitor):
    """With the reason; told as an event; what fails is an error and changes nothing."""
    kinds, reasons = [], []
    monitor.events.subscribe(lambda event: kinds.append((event.type.value, event.data.get("reason"))))
    assert await monitor.request_browser_restart("new proxies") is False
    monitor.on_browser_restart(reasons.append)
    assert await monitor.request_browser_restart("new proxies") is True
    assert reasons == ["new proxies"]
    assert kinds == [("browser_restarted", "new proxies")]

    async def fails(reason):
        raise OSError("no browser there")

    monitor.on_browser_restart(fails)
    with pytest.raises(ResourceCleanupError, match="raised OSError: no browser there; the browser is as it was"):
        await monitor.request_browser_restart("again")
    with pytest.raises(ResourceMonitoringError, match="must be a function or None, got 7"):
        monitor.on_browser_restart(7)


async def test_memory_that_stays_short_asks_for_a_restart_one_at_a_time(monitor):
    """From the moderate level on; a second one is not asked for while the first is under way."""
    running, most, asked = 0, 0, asyncio.Event()
    seen = []

    async def restart(reason):
        nonlocal running, most
        running += 1
        most = max(most, running)
        seen.append(reason)
        await asyncio.sleep(0.3)
        running -= 1
        if len(seen) >= 2:
            asked.set()

    monitor.on_browser_restart(restart)
    await breach(monitor, escalate_after=0.1)
    await asyncio.wait_for(asked.wait(), WAIT)
    assert (most, seen[0]) == (1, "memory is short")


async def test_restarts_can_be_switched_off(config):
    """``browser_restart_enabled``: then cleanup stays gentle, however long memory is short."""
    config.browser_restart_enabled = False
    async with ResourceMonitor(config, connection=PrivateTree()) as monitor:
        reasons = []
        monitor.on_browser_restart(reasons.append)
        got, _ = await breach(monitor, escalate_after=0.1)
        assert [(await next_of(got))["cleanup"] for _ in range(4)] == ["gentle"] * 4
        assert reasons == []


async def test_in_a_running_system_its_own_monitor_is_used(storage):
    """Its figures, its events, and its browsers: without a job there is none to renew."""
    async with (
        ActorSystem(storage_path=storage, key=KEY) as system,
        ResourceMonitor(ResourceConfiguration(monitoring_interval=0.1), connection=system.resilience) as monitor,
    ):
        assert (await monitor.get_current_metrics())["process_count"] >= 1
        got, session = await breach(monitor)
        assert (await next_of(got))["memory_absolute_breached"]
        watches = system.runtime.ref("system/monitor").actor._memory.watches
        assert set(watches) == {"system", session}
        assert await monitor.request_browser_restart("asked") is False
