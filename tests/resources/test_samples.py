"""Samples: what is cheap is always there, what is expensive comes when it is due or when it matters."""

import math
import os
import socket
import time

import attrs
import psutil
import pytest

from policies.thresholds import Threshold, ThresholdPolicy
from scorewise_actors.resources import machine, samples
from scorewise_actors.resources.machine import CpuMeter, connections, disk, memory_pressure
from scorewise_actors.resources.processes import BrowserProcess
from scorewise_actors.resources.samples import Sampler
from supervisors.testing import await_true

MB = 1024 * 1024


class Clock:
    """Two clocks: the wall's and the thread's processor time, moved by hand."""

    def __init__(self):
        self.now = 1000.0
        self.cpu = 0.0


class Tree:
    """A tree of processes whose memory is set by hand; an exact look costs what it is told to."""

    def __init__(self, clock, cost=0.02):
        self._clock, self._cost = clock, cost
        self.real, self.shown, self.rss, self.count = 100.0, 0.0, 0.0, 3
        self.cpu_percent = 10.0
        self.refresh_cost = 0.0
        self.log = []

    def refresh(self):
        self.log.append("refresh")
        self._clock.cpu += self.refresh_cost

    def look(self):
        self.rss = 3 * self.real

    def look_exactly(self):
        self.log.append("exact")
        self.shown = self.real
        self._clock.cpu += self._cost

    @property
    def memory(self):
        return self.shown

    def browsers(self):
        return (BrowserProcess(7, time.time() - 60.0, 50.0),)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_sampler(clock, tmp_path):
    """A sampler of a tree of which only the machine is real."""

    def make(tree, root=tmp_path):
        return Sampler(tmp_path, root=root, tree=tree, clock=lambda: clock.now, cpu_clock=lambda: clock.cpu)

    return make


def exact_looks(sampler, clock, seconds, limit=math.inf, every=1.0):
    """How many exact looks are taken in so many seconds, after the first."""
    before = sampler.exact_looks
    end = clock.now + seconds
    while clock.now < end:
        clock.now += every
        sampler.sample(limit)
    return sampler.exact_looks - before


def test_far_from_the_limit_exact_looks_are_rare(make_sampler, clock):
    """One in 30 s, whatever the interval; between two of them memory follows the growth of RSS."""
    tree = Tree(clock)
    sampler = make_sampler(tree)
    assert sampler.sample(1000).exact
    assert exact_looks(sampler, clock, 300, 1000) == 10
    tree.real = 130.0
    clock.now += 1
    found = sampler.sample(1000)
    assert (found.exact, found.memory) == (False, pytest.approx(130.0))


def test_expensive_looks_are_rarer_still(make_sampler, clock):
    """A tree of hundreds of processes is looked at so seldom that it costs 0.2 % of a processor."""
    sampler = make_sampler(Tree(clock, cost=0.2))
    sampler.sample(1000)
    assert exact_looks(sampler, clock, 1000, 1000) == 10


def refreshes(sampler, tree, clock, seconds, every=1.0, **how):
    """How often it is looked who belongs to the tree in so many seconds, after the first."""
    sampler.sample(**how)
    tree.log.clear()
    end = clock.now + seconds
    while clock.now < end:
        clock.now += every
        sampler.sample(**how)
    return tree.log.count("refresh")


def test_who_belongs_to_the_tree_is_looked_at_every_five_seconds(make_sampler, clock):
    """And not twice in a sample that is exact as well."""
    tree = Tree(clock)
    assert refreshes(make_sampler(tree), tree, clock, 300) == 60
    assert tree.log.count("exact") == 10


def test_a_large_tree_is_looked_at_more_seldom(make_sampler, clock):
    """So that it costs a thousandth of a processor: 20 ms in 20 s."""
    tree = Tree(clock, cost=0.0)
    tree.refresh_cost = 0.02
    assert refreshes(make_sampler(tree), tree, clock, 300) == pytest.approx(300 / 20, abs=300 / 30)


def test_whoever_asks_gets_a_tree_that_is_a_second_old_at_most(make_sampler, clock):
    """Where that is not too expensive: asked ten times a second it costs a fiftieth of a processor."""
    tree = Tree(clock)
    assert refreshes(make_sampler(tree), tree, clock, 100, asked=True) == 100
    assert refreshes(make_sampler(tree), tree, clock, 100, every=0.125, asked=True) == 100
    tree.refresh_cost = 0.2
    assert refreshes(make_sampler(tree), tree, clock, 100, every=0.5, asked=True) <= 13


def test_near_the_limit_every_sample_is_exact(make_sampler, clock):
    """From nine tenths of the limit on, also when the memory has grown since the last exact look."""
    tree = Tree(clock)
    sampler = make_sampler(tree)
    sampler.sample(105)
    assert exact_looks(sampler, clock, 20, 105) == 20
    assert exact_looks(sampler, clock, 29, 1000) <= 1
    tree.real = 950.0
    clock.now += 1
    assert sampler.sample(1000).exact, "RSS tells that it has grown"


def test_near_the_limit_looks_cost_a_fiftieth_at_most(make_sampler, clock):
    """Also where a look is expensive: memory that stays near its limit must not eat the processor."""
    sampler = make_sampler(Tree(clock, cost=0.2))
    sampler.sample(105)
    assert exact_looks(sampler, clock, 100, 105) == 10


def test_a_small_control_group_counts_as_the_limit(make_sampler, clock, tmp_path):
    """Memory is short when the group's is, however much the machine has left."""
    files = {
        "proc/self/cgroup": "0::/app\n",
        "proc/self/mountinfo": "31 23 0:28 / /cg rw - cgroup2 cgroup2 rw\n",
        "cg/app/memory.max": 128 * MB,
        "cg/app/memory.current": 64 * MB,
        "cg/app/cpu.max": "50000 100000",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(str(content))
    found = make_sampler(Tree(clock)).sample()
    assert found.memory_limit == 128
    assert found.group_percent == 50
    assert found.memory_percent == pytest.approx(max(100 * 100 / 128, found.host_percent))
    assert found.cpu == pytest.approx(max(20.0, found.cpu)), (
        "ten percent of a processor are a fifth of the half allowed"
    )


def test_the_readings_have_the_names_of_the_policies(make_sampler, clock):
    """One figure each; what a machine does not tell is None, and no reading at all."""
    readings = make_sampler(Tree(clock)).sample().readings(ThresholdPolicy())
    assert readings["memory_absolute"] == 100.0
    assert readings["browser_lifetime"] == pytest.approx(60, abs=30)
    assert (readings["memory_pressure"], readings["network_connections"]) == (None, None)
    assert readings["disk_space"] > 0
    assert set(readings) == {
        "memory_percent",
        "memory_absolute",
        "memory_pressure",
        "cpu_percent",
        "disk_space",
        "network_connections",
        "browser_lifetime",
    }


def test_a_reading_of_the_lifetime_is_beyond_its_limit_just_when_a_browser_is_overdue(make_sampler, clock):
    """For whoever reads the sample: a browser's own limit is within the jitter of the policy's."""
    policy = ThresholdPolicy((Threshold("browser_lifetime", 1000.0, jitter=0.1),))
    found = make_sampler(Tree(clock)).sample()
    overdue = set()
    for pid in range(100, 140):
        sample = attrs.evolve(found, browsers=(BrowserProcess(pid, found.time - 1000.0, None),))
        assert (sample.readings(policy)["browser_lifetime"] >= 1000) is bool(sample.overdue(policy))
        overdue.add(bool(sample.overdue(policy)))
    assert overdue == {False, True}


def test_this_very_program_is_sampled(tmp_path):
    """The real thing: exact memory of this process within what the kernel says of it."""
    sampler = Sampler(tmp_path)
    found = sampler.sample()
    assert found.exact
    assert found.processes >= 1
    assert psutil.Process().memory_full_info().uss / MB / 2 < found.memory < found.memory_limit
    assert 0 < found.memory_percent <= 100
    assert not sampler.sample().exact


def test_connections_are_counted_by_the_kernel(tmp_path):
    """IPv4 and IPv6 together; a socket of ours is among them."""
    before = connections()
    assert before is not None
    with socket.create_server(("127.0.0.1", 0)) as server:
        sockets = [socket.create_connection(server.getsockname()) for _ in range(40)]
        try:
            assert connections() >= 40
        finally:
            for one in sockets:
                one.close()
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/sockstat").write_text(
        "sockets: used 292\nTCP: inuse 7 orphan 0 tw 4 alloc 9 mem 2\nUDP: inuse 2\n"
    )
    (tmp_path / "proc/net/sockstat6").write_text("TCP6: inuse 3\nUDP6: inuse 1\n")
    assert connections(tmp_path) == 10


def test_pressure_is_read_where_there_is_any(tmp_path):
    """The average of ten seconds in which some task waited."""
    assert memory_pressure(tmp_path) is None
    (tmp_path / "proc/pressure").mkdir(parents=True)
    (tmp_path / "proc/pressure/memory").write_text("some avg10=12.50 avg60=1.00 avg300=0.1 total=1\nfull avg10=3.00\n")
    assert memory_pressure(tmp_path) == 12.5


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    """The nearest folder above it tells."""
    used, free = disk(tmp_path / "not" / "yet")
    usage = os.statvfs(tmp_path)
    assert free == pytest.approx(usage.f_bavail * usage.f_frsize / MB, rel=0.2)
    assert used >= 0


def test_processors_are_measured_without_waiting(monkeypatch):
    """None before there is a stretch to look back on; too early it is what it was, never a false 0."""
    meter = CpuMeter()
    assert meter.percent() is None
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        pass
    busy = await_true(meter.percent, "a stretch has passed")
    assert 0 < busy <= 100
    assert meter.percent() == busy
    monkeypatch.setattr(machine, "_SHORTEST", 0.0)
    assert meter.percent() is not None


@pytest.mark.parametrize(
    ("name", "planted"), [("NEAR", 9.0), ("EXACT_SHARE", 1.0), ("NEAR_SHARE", 1.0), ("EXACT_EVERY", 1.0)]
)
def test_planted_numbers_are_found(tmp_path, monkeypatch, name, planted):
    """Without the tiers, or with one that is never taken, one of the tests above fails."""
    monkeypatch.setattr(samples, name, planted)
    failed = 0
    for check in (
        test_far_from_the_limit_exact_looks_are_rare,
        test_expensive_looks_are_rarer_still,
        test_near_the_limit_every_sample_is_exact,
        test_near_the_limit_looks_cost_a_fiftieth_at_most,
    ):
        clock = Clock()

        def make(tree, clock=clock):
            return Sampler(tmp_path, root=tmp_path, tree=tree, clock=lambda: clock.now, cpu_clock=lambda: clock.cpu)

        try:
            check(make, clock)
        except AssertionError:
            failed += 1
    assert failed
