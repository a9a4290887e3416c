import random

import pytest

from policies import (
    Backoff,
    Category,
    ClassRetry,
    Persistence,
    Remedy,
    RetryAction,
    RetryBudget,
    RetryPolicy,
    RetryState,
    Stream,
    Verdict,
    parse_retry_after,
    retry_after_of,
)


def verdict(persistence=Persistence.TRANSIENT, remedy=Remedy.RETRY_SAME, category=Category.NETWORK, max_tries=None):
    return Verdict(category, persistence, remedy, Stream.INFRA, "test", max_tries)


def decide(policy, attempts=1, given=None, **options):
    options = {"now": 0.0, "rng": random.Random(1)} | options
    return policy.decide(RetryState(attempts, started=0.0), given or verdict(), **options)


def test_the_default_waits_are_one_two_four_eight_sixteen():
    """Without jitter the nominal waits double from one second."""
    assert [Backoff(jitter=0.0).nominal(n) for n in range(1, 6)] == [1, 2, 4, 8, 16]
    assert [Backoff(kind="none", max_delay=5.0).delay(n, random.Random()) for n in range(1, 5)] == [1, 2, 4, 5]


def test_five_tries_have_four_waits_between_them():
    """The default policy gives up after the fifth try."""
    policy, state, waits = RetryPolicy(backoff=Backoff(jitter=0.0)), RetryState(), []
    for _ in range(10):
        state = state.tried(0.0)
        decision = policy.decide(state, verdict(), now=0.0, rng=random.Random())
        state = state.after(decision)
        if decision.action is RetryAction.GIVE_UP:
            break
        waits.append(decision.delay)
    assert waits == [1, 2, 4, 8]
    assert (state.attempts, state.last_delay, decision.reason) == (5, 8, "attempts")


def test_decorrelated_waits_build_on_the_previous_one():
    """The wait lies between the base and three times the previous wait, and never beyond the cap."""
    backoff = Backoff(kind="decorrelated", max_delay=20.0)
    highest = type("Highest", (random.Random,), {"uniform": lambda self, a, b: b})()
    assert [backoff.delay(1, highest, previous) for previous in (None, 2.0, 7.0)] == [3.0, 6.0, 20.0]


def test_no_backoff_counts_tries_from_zero():
    """The number of the try starts at one, and the error says so."""
    with pytest.raises(ValueError, match="from 1, got 0"):
        Backoff().nominal(0)


def test_a_cap_below_the_base_is_refused():
    """An error names both waits."""
    with pytest.raises(ValueError, match=r"Backoff\.max_delay must be at least base_delay \(10 s\), got 5"):
        Backoff(base_delay=10.0, max_delay=5)
    with pytest.raises(ValueError, match="must be one of proportional, full, equal, decorrelated, none, got 'half'"):
        Backoff(kind="half")


def test_a_decision_needs_a_counted_try():
    """A state without a try is a mistake of the caller, and the error says what to call."""
    with pytest.raises(ValueError, match=r"state\.tried\(now\)"):
        RetryPolicy().decide(RetryState(), verdict(), now=0.0, rng=random.Random())


def test_control_flow_is_never_retried():
    """A verdict to propagate ends the item at once, whatever its persistence."""
    assert decide(RetryPolicy(), given=verdict(remedy=Remedy.PROPAGATE)).reason == "control_flow"


def test_a_block_is_tried_once_more_with_another_identity():
    """With two sessions a block is tried once more, with one it is final, and never a third time."""
    block = verdict(Persistence.PERMANENT, Remedy.ROTATE_IDENTITY)
    assert decide(RetryPolicy(identities=3), given=block).action is RetryAction.RETRY
    assert decide(RetryPolicy(identities=3), given=block).reason == "other_identity"
    assert decide(RetryPolicy(identities=3), 2, block).reason == "permanent"
    assert decide(RetryPolicy(identities=1), given=block).reason == "permanent"
    assert decide(RetryPolicy(identities=3), given=block, retry_after=900.0).reason == "retry_after"


def test_a_category_may_have_tries_and_waits_of_its_own():
    """What a category does not say, the policy says."""
    slow = ClassRetry(backoff=Backoff(base_delay=60.0, kind="none"))
    policy = RetryPolicy(2, per_category={Category.EXTERNAL: slow, Category.BROWSER: ClassRetry(max_attempts=9)})
    assert decide(policy, given=verdict(category=Category.EXTERNAL)).delay == 60.0
    assert decide(policy, 2, verdict(category=Category.EXTERNAL)).reason == "attempts"
    assert decide(policy, 8, verdict(category=Category.BROWSER)).action is RetryAction.RETRY
    assert decide(policy, 8, verdict(category=Category.BROWSER, max_tries=3)).reason == "attempts"


def test_a_pause_beyond_the_cap_parks_the_host():
    """Up to the cap the item waits as asked; above it is deferred for as long as asked."""
    assert decide(RetryPolicy(), retry_after=300.0).action is RetryAction.RETRY
    deferred = decide(RetryPolicy(), retry_after=301.0)
    assert (deferred.action, deferred.delay, deferred.reason) == (RetryAction.DEFER, 301.0, "retry_after")
    with pytest.raises(ValueError, match="retry_after must be a finite number from 0"):
        decide(RetryPolicy(), retry_after=-1.0)


def test_a_deadline_counts_from_the_first_try():
    """A try that would begin after the deadline is not waited for."""
    policy = RetryPolicy(backoff=Backoff(kind="none"), total_timeout=10.0)
    assert decide(policy, now=9.0).action is RetryAction.RETRY
    assert decide(policy, now=9.5).reason == "deadline"
    fresh = policy.decide(RetryState(1), verdict(), now=500.0, rng=random.Random())
    assert fresh.action is RetryAction.RETRY


def test_an_empty_budget_defers_instead_of_losing_the_item():
    """Without a token the item is put back; a permanent failure asks for none."""
    empty = RetryBudget(tokens=0.5)
    assert decide(RetryPolicy(), budget=empty).action is RetryAction.DEFER
    assert decide(RetryPolicy(), budget=empty).reason == "budget"
    assert decide(RetryPolicy(), budget=empty, given=verdict(Persistence.PERMANENT)).reason == "permanent"
    assert decide(RetryPolicy(), budget=RetryBudget(tokens=1.0)).action is RetryAction.RETRY


def test_a_budget_is_full_at_first_and_never_overfull():
    """Tokens start at the capacity and may not exceed it."""
    assert RetryBudget(capacity=7).tokens == 7
    assert RetryBudget(capacity=7).deposit().tokens == 7
    with pytest.raises(ValueError, match=r"RetryBudget\.tokens must be at most capacity \(7\), got 8"):
        RetryBudget(capacity=7, tokens=8)


def test_the_memory_of_an_item_survives_a_checkpoint_and_another_clock():
    """A state comes back from JSON as it was, and its start moves with the clock."""
    state = RetryState().tried(100.0).tried(110.0)
    assert RetryState.from_json(state.to_json()) == state
    assert state.shifted(-90.0) == RetryState(2, started=10.0)
    assert RetryState().shifted(5.0) == RetryState()
    given_up = RetryPolicy(1).decide(state, verdict(), now=0.0, rng=random.Random())
    assert state.after(given_up) == state
    assert type(given_up).from_json(given_up.to_json()) == given_up


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 100.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 100.0),
        ("Sun Nov  6 08:49:37 1994", 100.0),
        ("Sun, 06 Nov 1993 08:49:37 GMT", 0.0),
        ("-5", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Fri, 31 Dec 99999999999999 23:59:59 GMT", None),
        ("1234567890", 1234567890.0),
        ("9" * 400, 1e15),
        (None, None),
    ],
)
def test_a_retry_after_header_is_read(text, seconds):
    """Seconds and the three date forms are understood, a past date is no wait, and garbage is no answer."""
    assert parse_retry_after(text, now_epoch=784111677.0) == seconds


def test_a_date_is_measured_by_the_servers_own_clock():
    """The response's date header stands for now; without one (or a broken one) the caller's clock does."""
    asked = {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert retry_after_of(asked | {"date": "Sun, 06 Nov 1994 08:49:30 GMT"}, now_epoch=0.0) == 7.0
    assert retry_after_of(asked | {"date": "today"}, now_epoch=784111776.0) == 1.0
    assert retry_after_of(asked, now_epoch=784111776.0) == 1.0
    assert retry_after_of({}, now_epoch=0.0) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"per_category": []}, r"RetryPolicy\.per_category must map Category to ClassRetry, got \[\]"),
        ({"per_category": {"moon": ClassRetry()}}, "must map Category to ClassRetry"),
        ({"per_rule": {"dns": 3}}, r"RetryPolicy\.per_rule must map str to ClassRetry, got \{'dns': 3\}"),
        ({"backoff": 1.0}, r"RetryPolicy\.backoff must be a Backoff, got 1\.0"),
        ({"jitter_enabled": 1}, r"RetryPolicy\.jitter_enabled must be a bool, got 1"),
    ],
)
def test_a_wrong_retry_policy_says_what_is_wrong(options, said):
    """An error names the field, the value and what is allowed."""
    with pytest.raises(ValueError, match=said):
        RetryPolicy(**options)
