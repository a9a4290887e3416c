"""The frontier's contract, without actors, threads or a clock: leases, tokens, tries, poison, parking."""

import random

import pytest
from frontier_journal import DOWN, Journal
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.backoff import Backoff
from policies.failures import Failure
from policies.retry import RetryPolicy
from scorewise_actors.frontier import LEASE_SECONDS, POISON_CRASHES, POISON_SHARED
from scorewise_actors.job import Request
from scorewise_actors.messages.jobs import Failed, Returned, Scraped

URLS = [f"http://site{n % 2}.test/page/{n}" for n in range(6)]


@pytest.fixture
def journal():
    journal = Journal()
    journal.add(URLS)
    return journal


def test_each_item_is_leased_to_one_holder_at_a_time(journal):
    """Six items, six leases, and no seventh."""
    leases = journal.swap(want=10).leases
    assert sorted(lease.item for lease in leases) == list(range(6))
    assert journal.swap("b").leases == ()


def test_results_done_mark_and_found_requests_travel_in_one_commit(journal):
    """All of it is durable, or none."""
    lease = journal.lease()
    swapped = journal.swap("a", Scraped(lease.item, lease.token, ("{}",), (Request("http://site0.test/new"),)), want=0)
    (commit,) = swapped.commits
    assert len(commit.ops) == 2
    assert commit.items == (lease.item,)
    assert journal.audit().enqueued == 7


def test_a_completion_with_an_old_token_does_not_count(journal):
    """A scraper that was given up for dead cannot complete what somebody else has by now."""
    old = journal.lease("zombie")
    journal.record(journal.frontier.release("zombie", "gone", None, None, 0.0))
    new = journal.lease("b")
    assert new.item == old.item
    assert new.token > old.token
    assert journal.swap("zombie", Scraped(old.item, old.token, ("late",), ()), want=0).commits == ()
    journal.swap("b", Scraped(new.item, new.token, ("right",), ()), want=0)
    assert journal.state.root["outcomes"] == [[old.item, "done", 1, ["right"]]]


def test_a_failed_item_waits_and_is_given_up_after_its_tries(journal):
    """Three tries with 1 and 2 seconds between them, then a dead letter with class, attempts and message."""
    now = 0.0
    journal.swap("others", want=5)
    for wait in (1.0, 2.0, None):
        lease = journal.lease(now=now)
        journal.swap("a", Failed(lease.item, lease.token, DOWN), want=0, now=now)
        if wait is not None:
            assert journal.frontier.next_due() == now + wait
            assert journal.swap("a", now=now + wait - 0.1).leases == ()
            now += wait
    (letter,) = journal.audit().dead
    assert (letter.attempts, letter.error_type, letter.category) == (3, "Error", "network")
    assert "ERR_CONNECTION_REFUSED" in letter.message


@pytest.mark.parametrize("end", ["failed for good", "poison"])
def test_a_dead_letter_shows_no_credentials(end):
    """Errors quote the URL they were about; its password goes into no report, also not by way of a crash."""
    secret = "net::ERR_ABORTED at http://user:hunter2@site0.test/page"
    journal = Journal()
    journal.add(URLS[:1])
    for _ in range(1 if end == "failed for good" else POISON_CRASHES):
        lease = journal.lease()
        failed = Failed(lease.item, lease.token, Failure("HttpStatusError", secret, status=404))
        crashed = Returned(lease.item, lease.token, secret, True)
        journal.swap("a", failed if end == "failed for good" else crashed, want=0)
    (letter,) = journal.audit().dead
    assert "http://***@site0.test/page" in letter.message
    assert "hunter2" not in letter.message


def test_the_tries_of_an_item_survive_a_restart(journal):
    """A frontier that reloads from the journal goes on counting where the last one was."""
    lease = journal.lease()
    journal.swap("a", Failed(lease.item, lease.token, DOWN), want=0)
    journal.open()
    again = journal.lease()
    assert (again.item, again.attempt) == (lease.item, 2)


def test_machinery_that_fails_costs_no_attempt_until_the_item_is_poison(journal):
    """Its own crashes weigh more than those it shares with others; ending on purpose weighs nothing."""
    for alone, limit in ((True, POISON_CRASHES), (False, POISON_SHARED)):
        item = None
        for _ in range(limit):
            leases = journal.swap(want=6).leases
            item = leases[0].item if item is None else item
            for lease in leases:
                mine = lease.item == item
                back = Returned(lease.item, lease.token, "crash", alone=alone if mine else None)
                journal.swap("a", back, want=0)
                assert lease.attempt == 1
        assert [letter.error_type for letter in journal.audit().dead][-1:] == ["PoisonItem"]
    assert len(journal.audit().dead) == 2


def test_a_host_that_asks_for_a_long_pause_is_left_alone_and_others_go_on(journal):
    """Retry-After above the cap parks the host and gives the try back."""
    lease = journal.lease()
    busy = Failure("HttpStatusError", "HTTP status 429", status=429, headers={"Retry-After": "900"})
    journal.swap("a", Failed(lease.item, lease.token, busy), want=0)
    hosts = {lease.request.url.split("/")[2] for lease in journal.swap(want=6).leases}
    assert hosts == {"site1.test"}
    later = journal.swap(want=6, now=901.0).leases
    assert {lease.attempt for lease in later} == {1}
    assert len(later) == 3


def test_a_lease_that_is_not_renewed_runs_out(journal):
    """Renewing keeps it; silence for the lease time does not."""
    journal.lease("alive")
    journal.lease("silent")
    journal.frontier.renew("alive", LEASE_SECONDS)
    assert journal.frontier.expired(LEASE_SECONDS + 1) == {"silent"}
    assert journal.frontier.expired(LEASE_SECONDS - 1) == set()


def test_an_item_has_only_so_long_for_all_of_its_tries():
    """A try that would begin later than the total timeout after the first one began is not waited for."""
    journal = Journal(RetryPolicy(100, Backoff(base_delay=10.0, multiplier=1.0, jitter=0.0), total_timeout=25.0))
    journal.add(URLS[:1])
    for now in (100.0, 112.0, 123.0):
        lease = journal.lease(now=now)
        journal.swap("a", Failed(lease.item, lease.token, DOWN), want=0, now=now + 1)
    assert [(dead.attempts, dead.rule) for dead in journal.audit().dead] == [(3, "connection: deadline")]
    assert journal.frontier._between == {}


def test_decorrelated_waits_build_on_the_wait_before():
    """Each wait lies between the base and three times the one before it, which the frontier remembers."""
    journal = Journal(RetryPolicy(100, Backoff(base_delay=1.0, max_delay=1e4, kind="decorrelated")))
    journal.frontier._rng = type("Highest", (random.Random,), {"uniform": lambda self, low, high: high})()
    journal.add(URLS[:1])
    now, waits = 0.0, []
    for _ in range(4):
        lease = journal.lease(now=now)
        journal.swap("a", Failed(lease.item, lease.token, DOWN), want=0, now=now)
        waits.append(journal.frontier.next_due() - now)
        now = journal.frontier.next_due()
    assert waits == [3.0, 9.0, 27.0, 81.0]


def test_a_used_up_retry_budget_is_evidence_and_no_livelock():
    """With everything failing the judge hears of it before the waits are over, and every item ends all the same."""
    journal = Journal()
    journal.add([f"http://site.test/{n}" for n in range(200)])
    now, heard, spoken_at = 0.0, 0, None
    while not journal.frontier.idle():
        now += 0.1
        for lease in journal.swap(want=4, now=now).leases:
            swapped = journal.swap("a", Failed(lease.item, lease.token, DOWN), want=0, now=now)
            heard += sum(seen.failed for seen in swapped.seen)
            spoken_at = spoken_at or (now if heard >= 40 else None)
        assert now < 1000
    assert len(journal.audit().dead) == 200
    assert spoken_at is not None
    assert spoken_at < 10


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_happens_every_item_has_one_outcome_in_the_end(data):
    """Random outcomes, deaths and reloads: nothing lost, nothing twice, and the frontier's counts are the journal's."""
    journal = Journal()
    journal.add(URLS)
    held = {}
    now = 0.0
    for _ in range(data.draw(st.integers(0, 40))):
        now += data.draw(st.sampled_from([0.0, 0.5, 3.0]))
        step = data.draw(st.sampled_from(["lease", "done", "fail", "return", "die", "reload"]))
        if step == "lease":
            for lease in journal.swap("a", now=now).leases:
                held[lease.item] = lease
        elif step == "reload":
            journal.open()
            held.clear()
        elif step == "die":
            journal.record(journal.frontier.release("a", "died", None, data.draw(st.booleans()), now))
            held.clear()
        elif held:
            lease = held.pop(data.draw(st.sampled_from(sorted(held))))
            outcome = {
                "done": Scraped(lease.item, lease.token, ("1",), ()),
                "fail": Failed(lease.item, lease.token, DOWN),
                "return": Returned(lease.item, lease.token, "crash", alone=data.draw(st.booleans())),
            }[step]
            journal.swap("a", outcome, want=0, now=now)
    journal.open()
    while not journal.frontier.idle():
        now += 1.0
        for lease in journal.swap("b", want=6, now=now).leases:
            journal.swap("b", Scraped(lease.item, lease.token, ("1",), ()), want=0, now=now)
    counted = journal.audit()
    assert (counted.recorded_twice, counted.unknown, counted.pending) == (0, 0, frozenset())
    assert counted.done + len(counted.dead) == counted.enqueued == 6
    assert journal.frontier.progress().finished == 6
    assert journal.state.root["tries"] == {}
