"""Hosts that fail are left alone, probed, and never keep a job from ending; each rule with bugs that it must notice."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import frontier_journal
import pytest
from frontier_journal import DOWN, EPOCH, HOSTS, RETRY, Journal
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.backoff import Backoff
from policies.failures import Failure
from policies.hosts import HostPolicy
from policies.retry import RetryPolicy
from scorewise_actors import frontier, host_parking, ledger
from scorewise_actors.host_parking import LONGEST_PAUSE
from scorewise_actors.messages.jobs import Failed, Returned, Scraped

ONCE = RetryPolicy(max_attempts=1)
BUSY = Failure("HttpStatusError", "HTTP status 429", status=429, headers={"Retry-After": "900"})
MISSING = Failure("HttpStatusError", "HTTP status 404", status=404)


def pages(counts, **options):
    """A journal with pages of hosts, in turn: ``{"a": 2, "b": 1}`` is a, b, a."""
    journal = Journal(options.pop("retry", ONCE), **options)
    queues = [[f"http://{host}.test/{n}" for n in range(count)] for host, count in counts.items()]
    journal.add(queue.pop(0) for _ in range(max(counts.values())) for queue in queues if queue)
    return journal


def host_of(lease):
    return lease.request.url.split("/")[2].removesuffix(".test")


def work(journal, down, *, want=1, now=0.0, failure=DOWN, limit=1000):
    """Scrape until there is nothing to lease at this time; returns the hosts in the order in which they were asked."""
    asked = []
    while leases := journal.swap(want=want, now=now).leases:
        for lease in leases:
            asked.append(host_of(lease))
            bad = host_of(lease) in down
            outcome = Failed(lease.item, lease.token, failure) if bad else Scraped(lease.item, lease.token, (), ())
            journal.swap("a", outcome, want=0, now=now)
        assert len(asked) < limit
    return asked


def parked(evidence=15, open_pages=100):
    """A journal with an open host ``b``, whose one page is under way, and a host ``a`` that was parked at time 0."""
    journal = pages({"a": 40, "b": open_pages}, hosts=HostPolicy(evidence=evidence, pauses=HOSTS.pauses))
    leases = journal.swap("b", want=2).leases
    (mine,) = [lease for lease in leases if host_of(lease) == "b"]
    (first,) = [lease for lease in leases if host_of(lease) == "a"]
    journal.swap("b", Failed(first.item, first.token, DOWN), want=0)
    work(journal, {"a"})
    return journal, mine


def test_a_host_whose_pages_do_not_come_is_parked_and_the_others_go_on():
    """After 15 of its items were lost to it nothing of it is begun; all of the other host is done."""
    journal, _ = parked()
    assert (len(journal.audit().dead), journal.audit().done) == (15, 99)
    progress = journal.frontier.progress()
    assert (progress.delayed, progress.waiting) == (25, 0)
    assert not journal.frontier.idle()
    assert journal.frontier.next_due() == 60.0
    assert journal.swap(now=59.9).leases == ()


def test_parking_is_told_once_with_its_pause():
    """For the log: when it is parked, when it is used again, and nothing between."""
    journal = pages({"a": 20, "b": 20}, hosts=HostPolicy(evidence=2, pauses=HOSTS.pauses))
    told = []
    for n in range(6):
        now = 60.0 if n == 5 else 0.0
        (lease,) = journal.swap(now=now).leases
        bad = host_of(lease) == "a" and n < 5
        outcome = Failed(lease.item, lease.token, DOWN) if bad else Scraped(lease.item, lease.token, (), ())
        told += [str(news) for news in journal.swap("a", outcome, want=0, now=now).hosts]
    assert told == [
        "a.test is left alone for 60 s: its pages do not come",
        "a.test is used again: a page came",
    ]


def test_after_its_pause_one_item_at_a_time_probes_a_host():
    """A page that comes opens it for all that waited, in their order."""
    journal, _ = parked()
    probe, *others = journal.swap(want=5, now=60.0).leases
    assert others == []
    assert host_of(probe) == "a"
    assert journal.frontier.next_due() is None, "what becomes of the probe comes first"
    assert journal.swap("c", want=5, now=61.0).leases == ()
    journal.swap("a", Scraped(probe.item, probe.token, (), ()), want=0, now=62.0)
    items = [lease.item for lease in journal.swap(want=50, now=62.0).leases]
    assert len(items) == 24
    assert items == sorted(items)


def test_a_probe_that_fails_parks_its_host_for_longer_though_it_will_be_tried_again():
    """One try is enough to see that the pages still do not come; other items are spared theirs."""
    journal, _ = parked()
    journal.frontier._retry = RETRY
    for now, pause in ((60.0, 120.0), (180.0, 240.0), (420.0, 480.0)):
        (probe,) = journal.swap(now=now).leases
        journal.swap("a", Failed(probe.item, probe.token, DOWN), want=0, now=now)
        assert len(journal.audit().dead) == (15 if now < 420.0 else 16) or probe.attempt < 3
        assert journal.swap(now=now + pause - 0.1).leases == ()
        assert journal.frontier.next_due() == now + pause
        journal.swap("a", want=0, now=now + pause)


def test_machinery_that_fails_under_a_probe_says_nothing_about_its_host():
    """The browser died: the next probe goes out at once."""
    journal, _ = parked()
    (probe,) = journal.swap(now=60.0).leases
    journal.swap("a", Returned(probe.item, probe.token, "crash", alone=False), want=0, now=60.0)
    assert len(journal.swap(now=60.0).leases) == 1


def test_pages_that_come_and_give_nothing_park_no_host():
    """A host that answers 404 is up."""
    journal = pages({"a": 40, "b": 40})
    assert Counter(work(journal, {"a"}, failure=MISSING)) == {"a": 40, "b": 40}
    assert journal.state.root["hosts"] == {}


def test_the_only_host_is_never_parked():
    """A job whose network is down has to be judged, not to wait: every failure is told to the judge."""
    journal = pages({"a": 60})
    assert len(work(journal, {"a"})) == 60
    assert len(journal.audit().dead) == 60


def test_the_last_open_host_is_never_parked():
    """The other one is parked already, and it fails as well: it goes on."""
    journal, mine = parked()
    journal.add(f"http://b.test/more/{n}" for n in range(40))
    assert Counter(work(journal, {"a", "b"})) == {"b": 40}
    journal.swap("b", Failed(mine.item, mine.token, DOWN), want=0)
    assert journal.state.root["hosts"]["b.test"]["state"]["parked_until"] is None


def test_when_only_parked_hosts_have_work_left_they_are_probed_in_turn_before_their_time():
    """One item of each at a time, so that the job ends, or is judged, without waiting for an hour."""
    journal = pages({"a": 8, "b": 8, "c": 9}, hosts=HostPolicy(evidence=2))
    (c,) = [lease for lease in journal.swap("c", want=3).leases if host_of(lease) == "c"]
    journal.frontier.release("c", "ended", None, None, 0.0)
    c = journal.lease("other")
    while host_of(c) != "c":
        journal.swap("other", Failed(c.item, c.token, DOWN), want=0)
        c = journal.lease("other")
    asked = work(journal, {"a", "b"})
    assert asked.count("c") == 8
    assert asked[-1] == "c", "as long as there is work elsewhere"
    assert journal.swap(want=2).leases == (), "nor while an open host has an item under way"
    journal.swap("other", Scraped(c.item, c.token, (), ()), want=0)
    assert sorted(map(host_of, journal.swap("x", want=9).leases)) == ["a", "b"]
    journal.record(journal.frontier.release("x", "ended", None, None, 0.0))
    left = work(journal, {"a", "b"})
    assert journal.frontier.idle()
    assert set(left[0::2]) != set(left[1::2]), "in turn"
    assert journal.audit().pending == frozenset()


def test_a_host_that_asked_for_a_pause_is_not_probed_before_it_is_over():
    """Not even when nothing else is left."""
    journal = pages({"a": 2, "b": 1}, retry=RETRY)
    lease = journal.lease()
    journal.swap("a", Failed(lease.item, lease.token, BUSY), want=0)
    assert work(journal, set()) == ["b"]
    assert not journal.frontier.idle()
    assert journal.swap(now=899.0).leases == ()
    assert journal.frontier.next_due() == 900.0
    assert work(journal, set(), now=900.0, want=2) == ["a", "a"]
    assert journal.frontier.idle()


def test_what_is_known_of_hosts_survives_a_restart_on_another_clock():
    """The pause goes on where it was, in real time; a host that is out of trouble is forgotten."""
    journal, mine = parked()
    (probe,) = journal.swap(now=60.0).leases
    journal.swap("a", Failed(probe.item, probe.token, DOWN), want=0, now=60.0)
    assert journal.state.root["hosts"]["a.test"]["state"]["parked_until"] == EPOCH + 180.0
    journal.open(now=5.0, epoch=EPOCH + 95.0)
    again, *others = journal.swap("b", want=5, now=5.0).leases
    assert others == []
    assert again.item == mine.item
    assert journal.frontier.next_due() == 85.0
    (probe,) = journal.swap(now=85.0).leases
    journal.swap("a", Scraped(probe.item, probe.token, (), ()), want=0, now=85.0)
    work(journal, set(), now=85.0)
    assert journal.state.root["hosts"] == {}


def test_a_pause_that_was_asked_for_survives_a_restart():
    """The server's word holds for the next process too."""
    journal = pages({"a": 2, "b": 1}, retry=RETRY)
    lease = journal.lease()
    journal.swap("a", Failed(lease.item, lease.token, BUSY), want=0)
    journal.open(now=10.0)
    assert work(journal, set(), now=10.0) == ["b"]
    assert not journal.frontier.idle()
    assert journal.frontier.next_due() == 900.0
    journal.open(now=901.0)
    assert work(journal, set(), now=901.0) == ["a", "a"]


def test_a_clock_that_was_set_back_lengthens_no_pause():
    """A record from the future is held to the longest pause there is."""
    journal = pages({"a": 2, "b": 1}, retry=RETRY)
    lease = journal.lease()
    journal.swap("a", Failed(lease.item, lease.token, BUSY), want=0, now=1e7)
    record = journal.state.root["hosts"]["a.test"]
    assert record["asked"] == EPOCH + 1e7 + 900
    journal.open(now=0.0)
    assert work(journal, set()) == ["b"]
    assert journal.frontier.next_due() == LONGEST_PAUSE


def test_a_journal_of_a_release_without_hosts_goes_on():
    """Its next run adds what is missing."""
    journal = pages({"a": 3, "b": 1})
    del journal.state.root["hosts"]
    journal.open()
    for op in ledger.opening(journal.state.root, 1.0):
        journal.state.change(op)
    assert len(work(journal, {"a"})) == 4
    assert journal.audit().pending == frozenset()


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_hosts_do_every_item_has_one_outcome_in_the_end(data):
    """Random failures, pauses, deaths and restarts over three hosts: nothing lost or twice, no wait without end."""
    hosts = HostPolicy(evidence=data.draw(st.integers(1, 2)), pauses=Backoff(4.0, 2.0, 16.0))
    retry = RetryPolicy(max_attempts=2, backoff=Backoff(base_delay=1.0, jitter=0.0))
    journal = pages({"a": 4, "b": 4, "c": 4}, hosts=hosts, retry=retry)
    kinds = st.sampled_from(["done", "down", "down", "down", "busy", "missing", "crash", "restart"])
    now = 0.0
    for turn in range(2000):
        if journal.frontier.idle():
            break
        leases = journal.swap(want=data.draw(st.integers(1, 3)) if turn < 40 else 3, now=now).leases
        if not leases:
            due = journal.frontier.next_due()
            assert due is not None, "work is left, nothing is under way, and nobody will be woken"
            assert due > now
            now = due
        for lease in leases:
            kind = data.draw(kinds) if turn < 40 else "down"
            if kind == "restart":
                journal.open(now=now)
                break
            outcome = {
                "done": Scraped(lease.item, lease.token, (), ()),
                "crash": Returned(lease.item, lease.token, "crash", alone=True),
            }.get(kind) or Failed(lease.item, lease.token, {"busy": BUSY, "missing": MISSING}.get(kind, DOWN))
            journal.swap("a", outcome, want=0, now=now)
    counted = journal.audit()
    assert (counted.recorded_twice, counted.unknown, counted.pending) == (0, 0, frozenset())
    assert journal.frontier.progress().finished == 12


# ---------------------------------------------------------------------------------------------------- planted bugs

BUGS = {
    "a success is not fed": (
        frontier,
        "ops += self._hosts.outcome(self._place(item), False, Stream.INFRA, now)",
        "pass",
        test_after_its_pause_one_item_at_a_time_probes_a_host,
    ),
    "a dead letter is not fed": (
        frontier,
        "*self._hosts.outcome(self._place(item), True, stream, now)",
        "",
        test_a_host_whose_pages_do_not_come_is_parked_and_the_others_go_on,
    ),
    "all failures count as infrastructure": (
        frontier,
        "True, stream, now)",
        "True, Stream.INFRA, now)",
        test_pages_that_come_and_give_nothing_park_no_host,
    ),
    "a probe that will be tried again is no outcome": (
        frontier,
        "stands_for_the_outcome = self._hosts.probed(host)",
        "stands_for_the_outcome = False",
        test_a_probe_that_fails_parks_its_host_for_longer_though_it_will_be_tried_again,
    ),
    "held items are forgotten at the end": (
        frontier,
        "waiting = self._fresh or self._again or self._delayed or self._hosts.waiting()",
        "waiting = self._fresh or self._again or self._delayed",
        test_a_pause_that_was_asked_for_survives_a_restart,
    ),
    "nobody wakes for a held item": (
        frontier,
        "held = self._hosts.next_due(self._busy()) if self._hosts.waiting() else None",
        "held = None",
        test_a_host_whose_pages_do_not_come_is_parked_and_the_others_go_on,
    ),
    "an item that is done still counts as work left": (
        frontier,
        "self._hosts.closed(self._place(item))",
        "pass",
        test_when_only_parked_hosts_have_work_left_they_are_probed_in_turn_before_their_time,
    ),
    "pages found count as no work left": (
        frontier,
        "            self._hosts.enqueued(place_of(request.url))",
        "            pass",
        test_a_host_whose_pages_do_not_come_is_parked_and_the_others_go_on,
    ),
    "all at once after the pause": (
        host_parking,
        "return room is None or (room > 0 and host not in busy)",
        "return room is None or room > 0",
        test_after_its_pause_one_item_at_a_time_probes_a_host,
        "if room is None or (room > 0 and host not in busy):",
        "if room is None or room > 0:",
    ),
    "the last host is parked": (
        host_parking,
        "last=self._all_shut(now, but=host)",
        "last=False",
        test_the_last_open_host_is_never_parked,
    ),
    "parked hosts are waited for": (
        host_parking,
        "if self._held and self._all_shut(now):",
        "if False:",
        test_when_only_parked_hosts_have_work_left_they_are_probed_in_turn_before_their_time,
    ),
    "parked hosts are probed while others work": (
        host_parking,
        "if self._held and self._all_shut(now):",
        "if self._held:",
        test_a_host_whose_pages_do_not_come_is_parked_and_the_others_go_on,
    ),
    "all parked hosts at full speed": (
        host_parking,
        "if host not in self._asked and host not in busy:",
        "if host not in self._asked:",
        test_when_only_parked_hosts_have_work_left_they_are_probed_in_turn_before_their_time,
    ),
    "a server that asked for a pause is probed": (
        host_parking,
        "if host not in self._asked and host not in busy:",
        "if host not in busy:",
        test_a_host_that_asked_for_a_pause_is_not_probed_before_it_is_over,
    ),
    "one host after the other": (
        host_parking,
        "self._held[host] = queue  # at the end: hosts take turns",
        "self._held = {host: queue} | self._held",
        test_when_only_parked_hosts_have_work_left_they_are_probed_in_turn_before_their_time,
    ),
    "states are not read from the journal": (
        host_parking,
        "for host, record in kept.items():",
        "for host, record in ():",
        test_what_is_known_of_hosts_survives_a_restart_on_another_clock,
    ),
    "pauses that were asked for are not kept": (
        host_parking,
        "None if asked is None else asked + self._epoch",
        "None",
        test_a_pause_that_was_asked_for_survives_a_restart,
    ),
    "states are kept by the clock of one process": (
        host_parking,
        "(state or HostState()).shifted(self._epoch)",
        "(state or HostState()).shifted(0.0)",
        test_what_is_known_of_hosts_survives_a_restart_on_another_clock,
    ),
    "hosts out of trouble are kept for ever": (
        host_parking,
        "return (ledger.forget_host(host),)",
        "return ()",
        test_what_is_known_of_hosts_survives_a_restart_on_another_clock,
    ),
    "a clock that was set back is believed": (
        host_parking,
        'self._asked[host] = min(record["asked"] - epoch, latest)',
        'self._asked[host] = record["asked"] - epoch',
        test_a_clock_that_was_set_back_lengthens_no_pause,
    ),
    "news are told again": (
        host_parking,
        "news, self._news = tuple(self._news), []",
        "news = tuple(self._news)",
        test_parking_is_told_once_with_its_pause,
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_the_planted_bug_of_hosts_is_found(name, tmp_path, monkeypatch):
    """The named test fails with the bug in place."""
    module, before, after, killer, *more = BUGS[name]
    source = Path(module.__file__).read_text()
    for old, new in zip((before, *more[::2]), (after, *more[1::2]), strict=True):
        assert source.count(old) == 1, "the bug no longer fits the source"
        source = source.replace(old, new)
    file = tmp_path / "mutant_hosts.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("mutant_hosts", file)
    mutant = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutant_hosts", mutant)
    spec.loader.exec_module(mutant)
    if module is frontier:
        monkeypatch.setattr(frontier_journal, "MemoryFrontier", mutant.MemoryFrontier)
    else:
        monkeypatch.setattr(frontier, "HostParking", mutant.HostParking)
    with pytest.raises(AssertionError):
        killer()
