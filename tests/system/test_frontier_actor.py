"""FrontierActor and CheckpointActor on a real tree without browsers: crashes and full disks at the worst moments."""

import errno
import shutil

import pytest
from harness import QUICK_RETRY, wait_until

from policies.backoff import Backoff
from policies.failures import Failure
from policies.hosts import HostPolicy
from policies.restart import RestartType, Strategy
from scorewise_actors import ledger
from scorewise_actors.actors.checkpoint import CheckpointActor
from scorewise_actors.actors.frontier import FrontierActor
from scorewise_actors.board import JobBoard
from scorewise_actors.checkpoints import CheckpointStore
from scorewise_actors.checkpoints.disk import Disk
from scorewise_actors.config import SystemConfig
from scorewise_actors.job import Request
from scorewise_actors.messages.jobs import AddRequests, Failed, Lease, Returned, Scraped, StorageFailed, Swap, Throttle
from scorewise_actors.plan import JobPlan
from supervisors import (
    ChildKind,
    ChildSpec,
    ExitKind,
    ExitReason,
    Runtime,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
    resume,
    suspend,
)
from supervisors.testing import down_of

SCRAPER = "system/job:x/scrape-1"
TOUCHY = HostPolicy(evidence=1, pauses=Backoff(0.5, 2.0, 0.5, 0.0))
LOST = Failure("HttpStatusError", "HTTP status 501", status=501)


class Sink(ThreadActor):
    """Stands where a scraper stands, and keeps what it is told."""

    def __init__(self, got):
        super().__init__()
        self.got = got

    def on_receive(self, message):
        self.got.append(message)


class FillingDisk(Disk):
    """A disk that can be full."""

    full = False

    def write(self, fd, data):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data)


class Rig:
    def __init__(self, folder):
        self.disk = FillingDisk()
        self.store = CheckpointStore(folder, None, disk=self.disk)
        config = SystemConfig(storage_path=folder, retry=QUICK_RETRY, hosts=TOUCHY)
        self.plan = JobPlan("x", None, config, self.store)
        self.board = JobBoard()
        self.board.first_journal = self.store.open("x")
        self.got, self.told = [], []
        job = SupervisorSpec(
            (
                ChildSpec("checkpoint", lambda: CheckpointActor(self.plan, self.board)),
                ChildSpec("frontier", lambda: FrontierActor(self.plan, self.board), restart=RestartType.TRANSIENT),
                ChildSpec("judge", lambda: Sink(self.told)),
                ChildSpec("scrape-1", lambda: Sink(self.got)),
            ),
            strategy=Strategy.REST_FOR_ONE,
        )
        self.runtime = Runtime("system")
        child = ChildSpec("job:x", lambda: Supervisor(job), kind=ChildKind.SUPERVISOR)
        self.runtime.start(Supervisor(SupervisorSpec((child,))))

    @property
    def frontier(self):
        return self.runtime.ref(self.plan.frontier)

    @property
    def leases(self):
        return [message for message in self.got if isinstance(message, Lease)]

    def add(self, count):
        requests = tuple(Request(f"http://site.test/{n}") for n in range(count))
        return self.frontier.request(AddRequests(requests))

    def swap(self, *completed, want=1, incarnation=None):
        incarnation = incarnation or self.runtime.ref(SCRAPER).incarnation
        self.frontier.tell(Swap(SCRAPER, incarnation, completed, want))

    def crash_frontier(self):
        actor, scraper = self.frontier.actor, self.runtime.ref(SCRAPER).actor
        assert actor.inject(ExitReason(ExitKind.KILLED, "by the test"))
        successor = self.runtime.ref(SCRAPER)
        wait_until(lambda: successor.actor not in (None, scraper) and successor.actor.ready, "all that follows it")


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path / "storage")
    yield rig
    rig.disk.full = False
    assert rig.runtime.stop(30)


def test_an_outcome_that_was_not_durable_when_the_frontier_died_is_not_recorded_twice(rig):
    """Disk full, outcome waiting, frontier crashes: the new one leases the item again, and one outcome is recorded."""
    assert rig.add(1).get(timeout=60) == 1
    rig.swap()
    wait_until(lambda: rig.leases)
    rig.disk.full = True
    rig.swap(Scraped(0, rig.leases[0].token, ("1",), ()), want=0)
    wait_until(lambda: rig.frontier.actor._storage_down, "the news of the full disk")
    rig.crash_frontier()
    assert rig.frontier.actor._storage_down, "a new frontier hears of the trouble"
    rig.disk.full = False
    rig.swap()
    wait_until(lambda: len(rig.leases) == 2, "the item again")
    rig.swap(Scraped(0, rig.leases[1].token, ("2",), ()), want=0)
    wait_until(lambda: rig.board.progress.done == 1)
    counted = ledger.audit(rig.store.read("x")[0])
    assert (counted.done, counted.recorded_twice) == (1, 0)


def test_a_parked_host_is_probed_when_its_pause_is_over_also_after_a_crash_of_the_frontier(rig):
    """Nothing else happens meanwhile: an open host has an item under way, and a timer wakes the frontier."""
    urls = ["http://open.test/", *(f"http://down.test/{n}" for n in range(4))]
    assert rig.frontier.request(AddRequests(tuple(map(Request, urls)))).get(timeout=60) == 5
    rig.swap(want=2)
    wait_until(lambda: len(rig.leases) == 2)
    rig.swap(Failed(1, rig.leases[1].token, LOST), want=3)
    wait_until(lambda: len(rig.leases) == 3, "the probe")
    assert ledger.audit(rig.store.read("x")[0]).dead[0].url == urls[1]
    assert rig.board.progress.delayed == 2
    rig.crash_frontier()
    wait_until(lambda: rig.board.progress.waiting == 4, "all is in hand again")
    rig.swap(want=4)
    wait_until(lambda: len(rig.leases) == 5, "the item of the open host, and one probe of the other")
    assert {lease.request.url for lease in rig.leases[3:]} == {urls[0], rig.leases[4].request.url}
    assert rig.board.progress.delayed == 2


def test_the_last_message_of_a_dead_scraper_gets_no_lease(rig):
    """The news of a death overtakes what the dead had sent: the item goes to the living."""
    assert rig.add(1).get(timeout=60) == 1
    old = rig.runtime.ref(SCRAPER).actor
    old.inject(ExitReason(ExitKind.KILLED, "by the test"))
    wait_until(lambda: rig.runtime.ref(SCRAPER).actor not in (None, old))
    rig.swap(incarnation=old.incarnation)
    rig.swap()
    wait_until(lambda: rig.leases, "the lease")
    assert len(rig.leases) == 1


@pytest.mark.parametrize("last", ["scraped", "crashed its browser"])
def test_the_last_outcome_of_a_scraper_that_was_stopped_counts(rig, last):
    """The news of its end overtakes the outcome, and would return the lease as if nothing had come of it: work done
    twice, and no strike for an item that takes browsers down.
    """
    assert rig.add(1).get(timeout=60) == 1
    rig.swap()
    wait_until(lambda: rig.leases)
    (lease,) = rig.leases
    scraper = rig.runtime.ref(SCRAPER).actor
    suspend(rig.frontier).get(timeout=60)
    if last == "scraped":
        rig.swap(Scraped(lease.item, lease.token, ("1",), ()))
    else:
        rig.swap(Returned(lease.item, lease.token, "the browser is gone", alone=False), want=0)
    down = down_of(scraper)
    scraper.request_stop()
    assert not down.get(timeout=60).reason.abnormal
    resume(rig.frontier)
    if last == "scraped":
        wait_until(lambda: rig.board.progress.done == 1)
        assert rig.leases == [lease]
    else:
        strike = ledger.Tries(shared=1)
        wait_until(lambda: ledger.tries_of(rig.store.read("x")[0]).get(lease.item) == strike, "the strike")


def test_giving_requests_again_waits_until_the_first_time_is_durable(rig):
    """An acknowledgement means durable, also for items that are known already but still on their way."""
    rig.disk.full = True
    first, second = rig.add(2), rig.add(2)
    wait_until(lambda: rig.frontier.actor._storage_down, "the news of the full disk")
    assert not first.done()
    assert not second.done()
    rig.disk.full = False
    assert (first.get(timeout=60), second.get(timeout=60)) == (2, 0)


def test_a_due_retry_under_a_throttle_keeps_nobody_busy(rig):
    """While probes only are allowed and a retry is due, the frontier sleeps until something happens."""
    assert rig.add(2).get(timeout=60) == 2
    rig.swap(want=2)
    wait_until(lambda: len(rig.leases) == 2)
    refused = Failure("Error", "Page.goto: net::ERR_CONNECTION_REFUSED")
    rig.frontier.tell(Throttle(1))
    rig.swap(Failed(rig.leases[0].item, rig.leases[0].token, refused))
    settled = []
    actor = rig.frontier.actor
    wait_until(lambda: actor.frontier.next_due() is not None)
    settle = actor._settle
    actor._settle = lambda: (settled.append(1), settle())
    rig.runtime.timer.at(actor.frontier.next_due() + 0.5, lambda: settled.append("later"))
    wait_until(lambda: "later" in settled)
    assert len(settled) < 20


def test_a_reader_that_raises_does_not_harm_the_writer(rig):
    """A listener of the results whose loop has ended is logged and left alone."""
    rig.board.results.listen(lambda: 1 / 0)
    assert rig.add(1).get(timeout=60) == 1
    rig.swap()
    wait_until(lambda: rig.leases)
    rig.swap(Scraped(0, rig.leases[0].token, ("1",), ()), want=0)
    wait_until(lambda: rig.board.progress.done == 1)
    assert rig.runtime.ref(rig.plan.checkpoint).is_up()


@pytest.mark.parametrize("accident", ["deleted", "emptied", "moved", "replaced"])
def test_a_journal_that_is_gone_is_noticed_at_the_next_write(rig, accident):
    """Nothing is acknowledged or counted as done after it, the judge is told at once, and the counts stay to be had."""
    assert rig.add(2).get(timeout=60) == 2
    rig.swap()
    wait_until(lambda: rig.leases)
    folder = rig.store.directory("x")
    if accident == "emptied":
        for file in folder.iterdir():
            file.unlink()
    elif accident == "moved":
        folder.rename(folder.with_name("elsewhere"))
    else:
        shutil.rmtree(folder)
    if accident == "replaced":
        with CheckpointStore(rig.store.path, None).open("x") as other:
            other.append(ledger.opening({}, 1.0), now_ms=1)
    rig.swap(Scraped(0, rig.leases[0].token, ("1",), ()), want=0)
    wait_until(lambda: any(isinstance(message, StorageFailed) for message in rig.told), "the judge is told", 30)
    (failed,) = (message for message in rig.told if isinstance(message, StorageFailed))
    assert f"the job's journal is gone: {folder} was deleted or moved away" in failed.error
    assert rig.board.progress.done == 0
    wait_until(lambda: rig.frontier.actor._storage_down, "the frontier hears of it")
    assert ledger.audit(rig.board.remains).enqueued == 2
    assert ledger.audit(rig.board.remains).done == 0


def test_a_journal_that_goes_after_the_last_write_is_noticed_at_the_end(rig):
    """The end of the run is not written into nothing."""
    assert rig.add(1).get(timeout=60) == 1
    shutil.rmtree(rig.store.path)
    assert rig.runtime.stop(30)
    assert ledger.audit(rig.board.remains).enqueued == 1
    assert not rig.store.path.exists()
