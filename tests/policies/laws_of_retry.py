"""The laws of retries: how many, how late, at whose cost."""

import itertools
import math
import random
from datetime import UTC, datetime
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st
from laws import Bug, eighths, examples, law, seeds


def verdict(p, *, transient=True, remedy=None, max_tries=None):
    return p.Verdict(
        p.Category.NETWORK,
        p.Persistence.TRANSIENT if transient else p.Persistence.PERMANENT,
        remedy or p.Remedy.RETRY_SAME,
        p.Stream.INFRA,
        "test",
        max_tries,
    )


def run_item(p, policy, verdicts, seed=0, *, retry_after=None):
    """Tries an item against a row of verdicts; gives the number of tries and the last decision."""
    state, now, rng, decision = p.RetryState(), 0.0, random.Random(seed), None
    for given_verdict in verdicts:
        state = state.tried(now)
        decision = policy.decide(state, given_verdict, now=now, rng=rng, retry_after=retry_after)
        state = state.after(decision)
        now += decision.delay
        if decision.action is p.RetryAction.GIVE_UP:
            break
    return state.attempts, decision


@law(
    Bug("retry", "self.max_attempts if special is None else special", "self.max_attempts"),
    Bug("retry", "state.attempts >= self.tries", "state.attempts > self.tries"),
    Bug("retry", "else min(granted, verdict.max_tries)", "else granted"),
)
def tries_never_exceed_the_limits(p):
    @examples
    @given(st.integers(1, 20), st.none() | st.integers(1, 20), st.none() | st.integers(1, 20), st.booleans())
    def check(most, kind_most, category_most, deferred):
        special = {p.Category.NETWORK: p.ClassRetry(max_attempts=category_most)}
        policy = p.RetryPolicy(most, per_category=special, retry_after_cap=1.0)
        tries, decision = run_item(
            p, policy, [verdict(p, max_tries=kind_most)] * 50, retry_after=2.0 if deferred else None
        )
        granted = most if category_most is None else category_most
        assert tries == (granted if kind_most is None else min(granted, kind_most))
        assert decision.action is p.RetryAction.GIVE_UP
        assert decision.reason == "attempts"

    check()


@law(
    Bug("retry", "if not (verdict.transient or other_identity):", "if verdict.remedy is Remedy.SKIP:"),
    Bug("retry", "min(2, self.identities)", "2"),
)
def permanent_failures_are_not_tried_again(p):
    for remedy in p.Remedy:
        tries, decision = run_item(p, p.RetryPolicy(), [verdict(p, transient=False, remedy=remedy)] * 5)
        assert (tries, decision.action, decision.delay) == (1, p.RetryAction.GIVE_UP, 0.0)


@law(
    Bug("retry", "max(delay, retry_after + upward)", "delay"),
    Bug("retry", "rng.uniform(0.0, backoff.jitter)", "rng.uniform(-1.0, 1.0)"),
)
def a_server_that_asks_for_a_pause_gets_it(p):
    @examples
    @given(st.integers(1, 4), st.floats(0, 1000), seeds, st.floats(0, 1))
    def check(attempts, asked, seed, jitter):
        policy = p.RetryPolicy(backoff=p.Backoff(jitter=jitter))
        state = p.RetryState(attempts, started=0.0)
        decision = policy.decide(state, verdict(p), now=0.0, rng=random.Random(seed), retry_after=asked)
        assert decision.delay >= asked
        assert decision.action is (p.RetryAction.RETRY if asked <= 300 else p.RetryAction.DEFER)
        if asked > 300:
            assert decision.delay == asked

    check()


@law(
    Bug("retry", "now + decision.delay > started", "now > started"),
)
def no_try_begins_after_the_deadline(p):
    @examples
    @given(st.integers(1, 4), eighths(0, 60), eighths(0, 60), seeds, st.none() | eighths(0, 400))
    def check(attempts, elapsed, total, seed, asked):
        policy = p.RetryPolicy(total_timeout=total)
        state = p.RetryState(attempts, started=100.0)
        now = 100.0 + elapsed
        decision = policy.decide(state, verdict(p), now=now, rng=random.Random(seed), retry_after=asked)
        if decision.action is not p.RetryAction.GIVE_UP:
            assert now + decision.delay <= 100.0 + total
        else:
            assert decision.reason == "deadline"

    check()


@law(
    Bug("retry", "if self.tokens >= 1 else", "if self.tokens > 0 else"),
    Bug("retry", "min(self.capacity, self.tokens + self.ratio)", "self.capacity"),
)
def the_budget_bounds_retries(p):
    @examples
    @given(st.lists(st.booleans(), max_size=300), st.floats(1, 30), st.floats(0, 1))
    def check(events, capacity, ratio):
        budget, first, retries = p.RetryBudget(capacity, ratio), 0, 0
        for retry in [True] * 40 + events:
            if retry:
                allowed = budget
                decision = p.RetryPolicy().decide(
                    p.RetryState(1), verdict(p), now=0.0, rng=random.Random(0), budget=budget
                )
                paid, budget = budget.withdraw()
                assert decision.action is (p.RetryAction.RETRY if paid else p.RetryAction.DEFER)
                assert paid or budget == allowed
                retries += paid
            else:
                budget, first = budget.deposit(), first + 1
            assert 0 <= budget.tokens <= capacity
        assert retries <= capacity + ratio * first + 1e-6

    check()


@law(
    Bug("retry_after", "if not isinstance(text, str):", "if text is None:"),
    Bug("retry_after", "if not 6 < len(text) < 64:", "if not float(text.encode('ascii')[:1].isdigit()):"),
    Bug("retry_after", "min(float(text), CLOCK_LIMIT)", "float(text)"),
    Bug("retry_after", "[0-9]+", "[0-9]{1,9}"),
)
def every_retry_after_is_read_or_refused(p):
    @examples
    @given(st.text(max_size=80) | st.none() | st.binary() | st.integers(), st.integers(-(2**40), 2**40))
    def check(text, now):
        seconds = p.parse_retry_after(text, now_epoch=float(now))
        assert seconds is None or (math.isfinite(seconds) and seconds >= 0)

    check()
    waits = [p.parse_retry_after("9" * digits, now_epoch=0.0) for digits in range(1, 400)]
    assert waits == sorted(waits)
    for wait in waits:
        p.RetryPolicy().decide(p.RetryState(1), verdict(p), now=0.0, rng=random.Random(0), retry_after=wait)


@law(
    Bug("retry_after", "max(0.0, at - now_epoch)", "at - now_epoch"),
    Bug("retry_after", "now_epoch if sent_at is None else sent_at", "now_epoch"),
)
def all_three_date_forms_are_exact(p):
    @examples
    @given(st.integers(31_536_000, 3_092_601_600), st.integers(0, 3_000_000_000))
    def check(at, now):
        moment = datetime.fromtimestamp(at, UTC)
        forms = [formatdate(at, usegmt=True), moment.strftime("%a %b %d %H:%M:%S %Y")]
        forms.append(moment.strftime("%A, %d-%b-%y %H:%M:%S GMT"))
        for form in forms:
            assert p.parse_retry_after(form, now_epoch=float(now)) == max(0, at - now)
        headers = {"retry-after": forms[0], "date": formatdate(at - 7, usegmt=True)}
        assert p.retry_after_of(headers, now_epoch=float(now)) == 7

    check()


@law(
    Bug("retry", "if exact is not None:", "if exact is not None and exact > self.max_attempts:"),
    Bug("retry", "self.per_rule.get(verdict.rule_id, _NOTHING).backoff or backoff", "backoff"),
)
def a_rule_named_by_the_user_has_its_own_limits(p):
    @examples
    @given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
    def check(most, table, exact):
        slow = p.Backoff(base_delay=50.0, kind="none")
        policy = p.RetryPolicy(
            most, per_rule={"test": p.ClassRetry(exact, slow)}, per_category={p.Category.NETWORK: p.ClassRetry(1)}
        )
        tries, _ = run_item(p, policy, [verdict(p, max_tries=table)] * 30)
        assert tries == exact
        assert policy.waits(verdict(p)) == slow
        other = p.RetryPolicy(most, per_rule={"other": p.ClassRetry(exact, slow)})
        assert run_item(p, other, [verdict(p, max_tries=table)] * 30)[0] == min(most, table)
        assert other.waits(verdict(p)) == other.waits()

    check()


@law(
    Bug("retry", "return backoff if self.jitter_enabled else", "return backoff if True else"),
    Bug("retry", 'upward = 0.0 if backoff.kind == "none" else', "upward ="),
)
def without_jitter_every_wait_is_the_nominal_one(p):
    policy = p.RetryPolicy(backoff=p.Backoff(1.0, 2.0), jitter_enabled=False)
    for attempts, seed in itertools.product(range(1, 5), range(20)):
        options = {"now": 0.0, "rng": random.Random(seed)}
        assert policy.decide(p.RetryState(attempts), verdict(p), **options).delay == 2 ** (attempts - 1)
        assert policy.decide(p.RetryState(attempts), verdict(p), retry_after=70.0, **options).delay == 70.0


@law(
    Bug("retry", "verdict.remedy if verdict.remedy in RETRYING else Remedy.RETRY_SAME", "verdict.remedy"),
    Bug("retry", "verdict.remedy if verdict.remedy not in RETRYING else Remedy.SKIP", "verdict.remedy"),
    Bug("retry", '"retry_after", Remedy.PARK_HOST)', '"retry_after")'),
)
def a_decision_says_what_to_do_now(p):
    preparing = {remedy.value for remedy in p.Remedy} - {"skip", "skip_host", "abort_job", "propagate"}
    for remedy, attempts, asked in itertools.product(p.Remedy, range(1, 7), (None, 400.0)):
        decision = p.RetryPolicy().decide(
            p.RetryState(attempts), verdict(p, remedy=remedy), now=0.0, rng=random.Random(0), retry_after=asked
        )
        if decision.action is p.RetryAction.GIVE_UP:
            assert decision.remedy == ("skip" if remedy in preparing else remedy)
        elif asked is None:
            assert decision.remedy == (remedy if remedy in preparing else "retry_same")
        else:
            assert (decision.action, decision.remedy) == (p.RetryAction.DEFER, p.Remedy.PARK_HOST)
