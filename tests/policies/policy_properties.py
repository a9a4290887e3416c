"""The laws of the policies, each as a function of the package that must obey it.

The package is an argument because two tests need them: one asks whether the laws hold, the other plants a bug in a copy
of the package and asks whether they notice. Times lie on a grid of 1/8 s, where floats add exactly.
"""

import itertools
import json
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Property = Callable[[ModuleType], None]
PROPERTIES: dict[str, Property] = {}

PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
"""What hypothesis does; a test that expects a failure needs no smallest one."""


def examples(check):
    return settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        database=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )(check)


seeds = st.integers(0, 2**32)


def law(function: Property) -> Property:
    PROPERTIES[function.__name__] = function
    return function


def eighths(low: float, high: float):
    return st.integers(int(low * 8), int(high * 8)).map(lambda n: n / 8)


# --- backoff ---


KINDS = ("proportional", "full", "decorrelated", "none")


def backoffs(p):
    return st.builds(
        lambda base, multiplier, most, jitter, kind: p.Backoff(base, multiplier, max(base, most), jitter, kind),
        st.floats(0.1, 60),
        st.floats(1, 10),
        st.floats(0.1, 3600),
        st.floats(0, 1),
        st.sampled_from(KINDS),
    )


class Extreme(random.Random):
    """Draws the ends of the range."""

    def uniform(self, a, b):
        return b if self.random() < 0.5 else a


@law
def waits_stay_between_zero_and_the_cap(p):
    @examples
    @given(
        backoffs(p),
        st.integers(1, 400),
        st.sampled_from([random.Random, Extreme]),
        seeds,
        st.none() | st.floats(0, 3600),
    )
    def check(made, n, rng, seed, previous):
        for kind in KINDS:
            check_one(
                p.Backoff(made.base_delay, made.multiplier, made.max_delay, made.jitter, kind), n, rng, seed, previous
            )

    def check_one(backoff, n, rng, seed, previous):
        delay = backoff.delay(n, rng(seed), previous)
        assert 0 <= delay <= backoff.max_delay
        assert delay == backoff.delay(n, rng(seed), previous)
        if backoff.kind == "proportional":
            assert abs(delay - backoff.nominal(n)) <= (backoff.jitter + 1e-9) * backoff.nominal(n)
        if backoff.kind == "full":
            assert delay <= backoff.nominal(n)
        if backoff.kind == "decorrelated":
            assert delay >= backoff.base_delay
        if backoff.kind == "none":
            assert delay == backoff.nominal(n)

    check()


@law
def nominal_waits_never_fall(p):
    @examples
    @given(backoffs(p), st.integers(1, 2000))
    def check(backoff, n):
        waits = [backoff.nominal(later) for later in range(n, n + 8)]
        assert waits == sorted(waits)
        assert 0 < waits[0] <= waits[-1] <= backoff.max_delay

    check()


@law
def saturated_waits_stay_spread(p):
    backoff = p.Backoff(max_delay=60.0)
    delays = [backoff.delay(50, random.Random(seed)) for seed in range(100)]
    assert len(set(delays)) == 100
    assert min(delays) < 40
    assert 55 < max(delays) <= 60


# --- retry ---


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


@law
def tries_never_exceed_the_limits(p):
    @examples
    @given(st.integers(1, 20), st.none() | st.integers(1, 20), st.none() | st.integers(1, 20), st.booleans())
    def check(most, kind_most, category_most, deferred):
        special = {p.Category.NETWORK: p.CategoryRetry(max_attempts=category_most)}
        policy = p.RetryPolicy(most, per_category=special, retry_after_cap=1.0)
        tries, decision = run_item(
            p, policy, [verdict(p, max_tries=kind_most)] * 50, retry_after=2.0 if deferred else None
        )
        granted = most if category_most is None else category_most
        assert tries == (granted if kind_most is None else min(granted, kind_most))
        assert decision.action is p.RetryAction.GIVE_UP
        assert decision.reason == "attempts"

    check()


@law
def permanent_failures_are_not_tried_again(p):
    for remedy in p.Remedy:
        tries, decision = run_item(p, p.RetryPolicy(), [verdict(p, transient=False, remedy=remedy)] * 5)
        assert (tries, decision.action, decision.delay) == (1, p.RetryAction.GIVE_UP, 0.0)


@law
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


@law
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


@law
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


@law
def every_retry_after_is_read_or_refused(p):
    @examples
    @given(st.text(max_size=80) | st.none() | st.binary() | st.integers(), st.integers(-(2**40), 2**40))
    def check(text, now):
        seconds = p.parse_retry_after(text, now_epoch=float(now))
        assert seconds is None or (math.isfinite(seconds) and seconds >= 0)

    check()


@law
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


# --- classify ---

MESSAGES = (
    "Page.goto: net::ERR_CONNECTION_REFUSED at {url}",
    "Page.goto: net::ERR_CERT_DATE_INVALID at {url}",
    'Page.goto: Timeout 30000ms exceeded.\nCall log:\n  - navigating to "{url}"',
    'Page.goto: Navigation to "{url}" is interrupted by another navigation to "{url}"',
    "Page.goto: Page crashed",
    "something odd at {url}",
    "{url}",
)
POISON = (
    "",
    "timeout",
    "404",
    "net::ERR_ABORTED",
    "Page%20crashed",
    "Target page has been closed",
    "x" * 3000,
    "y" * 100_000,
)


@law
def no_url_changes_a_verdict(p):
    classifier = p.FailureClassifier(transient=["timeout", "crash"], permanent=["404", "abort"])

    @examples
    @given(
        st.sampled_from(["http://h/", "https://h:81/", "data:text/html,", "blob:http://h/"]),
        st.from_regex(r"\A[a-zA-Z0-9_%/?=&.:-]{0,60}\Z"),
        st.sampled_from(POISON),
        st.sampled_from(["Error", "TimeoutError", "ValueError"]),
    )
    def check(scheme, path, poison, kind):
        for message in MESSAGES:
            said = message.format(url=scheme + path + poison.replace(" ", "%20"))
            plain = message.format(url="http://h/")
            assert classifier.classify(p.Failure(kind, said)) == classifier.classify(p.Failure(kind, plain))

    check()


@law
def everything_has_a_verdict(p):
    classifier = p.FailureClassifier(transient=["timeout"], permanent=["404"])

    @examples
    @given(
        st.text(max_size=20),
        st.text(max_size=300),
        st.none() | st.text(max_size=20),
        st.none() | st.integers(100, 999),
        st.none() | st.booleans(),
    )
    def check(kind, message, code, status, connected):
        failure = p.Failure(kind, message, code, status, browser_connected=connected)
        verdict = classifier.classify(failure)
        assert isinstance(verdict, p.Verdict)
        assert p.Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
        assert p.Failure.from_json(json.loads(json.dumps(failure.to_json()))) == failure

    check()


@law
def page_text_cannot_pass_for_a_dead_machine(p):
    @examples
    @given(
        st.sampled_from(["", "Error: ", "TypeError: ", "Uncaught ", "x "]),
        st.sampled_from(
            ["Target crashed", "net::ERR_OUT_OF_MEMORY", "Connection closed while reading from the driver"]
        ),
    )
    def check(start, text):
        if (start, text) == ("", "Target crashed"):
            return  # not to be told from Playwright's own; it costs a page and one more try
        verdict = p.FailureClassifier().classify(p.Failure("Error", f"Page.evaluate: {start}{text}"))
        assert (verdict.category, verdict.rule_id) == (p.Category.APPLICATION, "page_script")

    check()


# --- abort ---

outcomes = st.sampled_from(["ok", "infra", "infra", "infra", "content", "content", "content", "none", "tick", "crash"])
histories = st.lists(st.tuples(outcomes, eighths(0, 3)), min_size=20, max_size=60)
blips = st.lists(st.tuples(outcomes, eighths(0, 3)), max_size=8)


def outages(left, event, count, gap, right):
    return [*left, *[(event, gap)] * count, *right]


failing_histories = histories | st.builds(
    outages, blips, st.sampled_from(["infra", "content"]), st.integers(5, 50), eighths(0, 3), histories
)
"""Random events seldom reach an abort: a run of failures in the middle makes sure that many do."""


def abort_policies(p):
    return st.builds(
        lambda rate, evidence, hold, grace, least, window, crashes: p.AbortPolicy(
            rate, evidence, hold, grace, least, crashes=crashes, window=window
        ),
        st.sampled_from([0.25, 0.5, 0.75]),
        st.none() | st.integers(1, 25),
        eighths(0, 20),
        eighths(0, 20),
        st.integers(1, 40),
        st.none()
        | st.builds(
            p.WindowRule,
            st.integers(1, 12),
            st.sampled_from([0.25, 0.5]),
            st.integers(1, 20),
            st.none() | eighths(1, 9),
        ),
        st.none() | st.integers(1, 5),
    )


def evidence_policies(p):
    return st.builds(
        lambda rate, evidence, hold, grace, least: p.AbortPolicy(rate, evidence, hold, grace, least, crashes=None),
        st.sampled_from([0.25, 0.5]),
        st.integers(1, 8),
        eighths(0, 10),
        eighths(0, 30),
        st.integers(1, 20),
    )


def apply(p, policy, state, event, now):
    if event == "tick":
        return policy.tick(state, now)
    if event == "crash":
        return policy.crash(state, now, 1)
    stream = {"infra": p.Stream.INFRA, "content": p.Stream.CONTENT, "none": p.Stream.UNCOUNTED}.get(event)
    if stream is None:
        return policy.step(state, failed=False, now=now)
    return policy.step(state, failed=True, now=now, stream=stream)


def fold(p, policy, events, state=None, now=0.0):
    state = p.AbortState() if state is None else state
    decisions = []
    for event, gap in events:
        now += gap
        state, decision = apply(p, policy, state, event, now)
        decisions.append(decision)
    return decisions, state, now


def first_abort(p, decisions):
    return next((n for n, decision in enumerate(decisions) if decision.action is p.AbortAction.ABORT), None)


@law
def an_abort_is_final(p):
    @examples
    @given(abort_policies(p), failing_histories, histories)
    def check(policy, events, after):
        decisions, state, now = fold(p, policy, events)
        at = first_abort(p, decisions)
        if at is not None:
            later = fold(p, policy, after, state, now)[0]
            assert {id(decision) for decision in decisions[at:] + later} == {id(decisions[at])}

    check()


@law
def evidence_never_aborts_before_grace_hold_and_enough_operations(p):
    @examples
    @given(evidence_policies(p), failing_histories)
    def check(policy, events):
        decisions, state, _ = fold(p, policy, events)
        at = first_abort(p, decisions)
        if at is None:
            return
        stream = decisions[at].rule.removesuffix("_evidence")
        score = getattr(state, stream)
        assert score.score == policy.evidence
        so_far = events[: at + 1]
        times = list(itertools.accumulate(gap for _, gap in so_far))
        first = next(n for n, (event, _) in enumerate(so_far) if event != "none" or n == 0)
        counted = [event for event, _ in so_far if event in {"ok", "infra", "content"}]
        assert times[-1] - times[first] >= policy.grace
        assert len(counted) >= policy.min_operations
        assert counted.count(stream) >= policy.evidence
        assert times[-1] - score.since >= policy.hold

    check()


@law
def more_failures_never_abort_later(p):
    @examples
    @given(
        abort_policies(p) | evidence_policies(p),
        st.lists(
            st.tuples(st.sampled_from(["ok", "infra", "infra", "infra", "tick"]), eighths(0, 3)),
            min_size=40,
            max_size=60,
        ),
        st.data(),
    )
    def check(policy, events, data):
        successes = [n for n, (event, _) in enumerate(events) if event == "ok"]
        if not successes:
            return
        n = data.draw(st.sampled_from(successes[:10]))
        worse = [*events[:n], ("infra", events[n][1]), *events[n + 1 :]]
        before, after = (first_abort(p, fold(p, policy, row)[0]) for row in (events, worse))
        assert before is None or (after is not None and after <= before)

    check()


@law
def total_failure_always_aborts_in_time(p):
    @examples
    @given(abort_policies(p), eighths(0.125, 3), st.sampled_from(["infra", "content"]))
    def check(policy, gap, event):
        if policy.evidence is None:
            return
        enough = max(policy.evidence + policy.hold / gap, policy.grace / gap, policy.min_operations)
        decisions = fold(p, policy, [(event, gap)] * (math.ceil(enough) + 2))[0]
        assert decisions[-1].action is p.AbortAction.ABORT

    check()


@law
def success_alone_is_never_suspected(p):
    @examples
    @given(abort_policies(p), st.lists(eighths(0, 3), max_size=60))
    def check(policy, gaps):
        decisions = fold(p, policy, [("ok", gap) for gap in gaps])[0]
        assert {decision.action for decision in decisions} <= {p.AbortAction.CONTINUE}

    check()


@law
def a_long_outage_is_forgiven_as_fast_as_a_short_one(p):
    policy = p.AbortPolicy(evidence=10, hold=10_000.0, grace=0.0, min_operations=1)
    for length in (10, 500):
        decisions = fold(p, policy, [("infra", 1.0)] * length + [("ok", 1.0)] * 6)[0]
        assert [decision.action for decision in decisions[-2:]] == [p.AbortAction.SUSPECT, p.AbortAction.CONTINUE]


@law
def a_recovered_site_is_not_aborted_for_the_past(p):
    policy = p.AbortPolicy(evidence=10, hold=20.0, grace=0.0, min_operations=1)
    events = [("infra", 0.125)] * 10 + [("ok", 4.0)] * 2 + [("tick", 20.0)]
    assert first_abort(p, fold(p, policy, events)[0]) is None


@law
def evidence_grows_only_above_the_given_rate(p):
    policy = p.AbortPolicy(failure_rate=0.75, evidence=10, hold=0.0, grace=0.0, min_operations=1, crashes=None)
    two_of_three = [("infra", 1.0), ("infra", 1.0), ("ok", 1.0)] * 200
    five_of_six = ([("infra", 1.0)] * 5 + [("ok", 1.0)]) * 20
    assert first_abort(p, fold(p, policy, two_of_three)[0]) is None
    assert first_abort(p, fold(p, policy, five_of_six)[0]) is not None


@law
def streams_are_judged_apart(p):
    policy = p.AbortPolicy(evidence=10, hold=0.0, grace=0.0, min_operations=1)
    missing, state, _ = fold(p, policy, [("content", 1.0)] * 10)
    assert state.infra.score == 0
    assert missing[-1].rule == "content_evidence"
    down, state, _ = fold(p, policy, [("infra", 1.0)] * 10)
    assert state.content.score == 0
    assert down[-1].rule == "infra_evidence"
    alternating = fold(p, policy, [("infra", 1.0), ("content", 1.0)] * 100)[1]
    assert alternating.infra.score <= 1


@law
def a_checkpoint_changes_no_judgement(p):
    @examples
    @given(abort_policies(p) | evidence_policies(p), failing_histories, st.floats(0, 1), st.integers(-1000, 1000))
    def check(policy, events, part, shift):
        cut = int(part * len(events))
        whole = fold(p, policy, events)[0]
        before, state, now = fold(p, policy, events[:cut])
        restored = p.AbortState.from_json(json.loads(json.dumps(state.to_json())))
        assert restored == state
        after = fold(p, policy, events[cut:], restored.shifted(shift), now + shift)[0]
        assert before + after == whole

    check()
    policy = p.AbortPolicy(evidence=10, hold=20.0, grace=0.0, min_operations=1, crashes=None)
    state = fold(p, policy, [("infra", 1.0)] * 10)[1].shifted(1000.0)
    assert policy.tick(state, 1029.0)[1].action is p.AbortAction.SUSPECT
    assert policy.tick(state, 1030.0)[1].action is p.AbortAction.ABORT


@law
def the_window_forgets_what_is_too_old(p):
    rule = p.WindowRule(window=4, failure_rate=0.5, min_operations=2, duration=5.0)
    policy = p.AbortPolicy(evidence=None, window=rule)
    assert first_abort(p, fold(p, policy, [("ok", 1.0), ("ok", 1.0), ("infra", 6.0), ("content", 1.0)])[0]) == 3
    assert first_abort(p, fold(p, policy, [("ok", 1.0), ("ok", 1.0), ("infra", 1.0), ("content", 1.0)])[0]) is None
    assert first_abort(p, fold(p, policy, [("infra", 6.0)] * 20)[0]) is None


@law
def crashes_count_only_while_no_browser_works(p):
    policy = p.AbortPolicy(evidence=None, crashes=3)
    assert first_abort(p, fold(p, policy, [("crash", 1.0)] * 3)[0]) == 2
    assert first_abort(p, fold(p, policy, [("crash", 1.0), ("crash", 1.0), ("ok", 1.0)] * 20)[0]) is None
    assert first_abort(p, fold(p, policy, [("crash", 101.0)] * 3)[0]) == 2
    assert first_abort(p, fold(p, policy, [("crash", 151.0)] * 20)[0]) is None


def false_abort_probability(evidence, base_rate, operations):
    """Exact chance that a score reaches `evidence` within `operations` independent operations (rate 1/2, no hold)."""
    matrix = [[0.0] * evidence for _ in range(evidence)]
    for score in range(evidence):
        matrix[score][max(0, score - 1)] += 1 - base_rate
        if score + 1 < evidence:
            matrix[score][score + 1] += base_rate
    row = [1.0] + [0.0] * (evidence - 1)
    while operations:
        columns = list(zip(*matrix, strict=True))
        if operations % 2:
            row = [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns]
        operations //= 2
        if operations:
            matrix = [[sum(a * b for a, b in zip(line, column, strict=True)) for column in columns] for line in matrix]
    return 1 - sum(row)


@law
def for_job_keeps_its_promise(p):
    for items, base_rate in ((1_000, 0.05), (10_000, 0.1), (1_000, 0.4), (100_000, 0.3)):
        policy = p.AbortPolicy.for_job(items, base_rate)
        assert false_abort_probability(policy.evidence, base_rate, items) <= 0.0101
        assert false_abort_probability(policy.evidence - 1, base_rate, items) > 0.0095


# --- thresholds ---

runs = st.lists(
    st.tuples(st.sampled_from([None, math.nan, math.inf, 70.0, 77.0, 85.0, 85.0]), eighths(1, 12), st.integers(1, 6)),
    min_size=10,
    max_size=25,
)
readings = runs.map(lambda rows: [(value, gap) for value, gap, count in rows for _ in range(count)])


@law
def breaches_and_recoveries_alternate_and_are_earned(p):
    limits = p.Threshold("memory_percent", 80.0, 75.0, for_seconds=15.0, clear_for=30.0)
    policy = p.ThresholdPolicy((limits,))

    @examples
    @given(readings)
    def check(samples):
        state, now, kinds, history = p.ThresholdState(), 0.0, [], []
        for value, gap in samples:
            now += gap
            after, decision = policy.evaluate(state, {"memory_percent": value}, now)
            if value is None or not math.isfinite(value):
                assert after == state
                assert decision == p.ThresholdDecision()
                continue
            state = after
            history.append((now, value))
            for event in decision.events:
                kinds.append(event.kind)
                breach = event.kind is p.ThresholdEventKind.BREACHED
                held = limits.for_seconds if breach else limits.clear_for
                recent = [value for at, value in history if at >= now - held]
                assert all(value >= 80 if breach else value < 75 for value in recent)
                assert history[0][0] <= now - held
        both = [p.ThresholdEventKind.BREACHED, p.ThresholdEventKind.RECOVERED]
        assert kinds == (both * len(kinds))[: len(kinds)]
        assert state.breached == ({"memory_percent"} if len(kinds) % 2 else set())
        assert p.ThresholdState.from_json(json.loads(json.dumps(state.to_json()))) == state

    check()


@law
def cleanup_gets_harder_step_by_step(p):
    policy = p.ThresholdPolicy((p.Threshold("memory_percent", 80.0, 75.0, for_seconds=15.0),))
    state, asked = p.ThresholdState(), {}
    for now in range(0, 400, 5):
        state, decision = policy.evaluate(state, {"memory_percent": 90.0}, float(now))
        if decision.cleanup is not None:
            asked[now] = decision.cleanup
    levels = p.CleanupLevel
    assert asked == {
        15: levels.GENTLE,
        75: levels.MODERATE,
        135: levels.AGGRESSIVE,
        195: levels.FORCE,
        255: levels.FORCE,
        315: levels.FORCE,
        375: levels.FORCE,
    }


# --- restart ---


@law
def no_window_holds_more_restarts_than_allowed(p):
    @examples
    @given(
        st.integers(0, 6),
        st.sampled_from([1.0, 2.5, 5.0]),
        st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=10, max_size=40),
    )
    def check(most, period, gaps):
        intensity = p.Intensity(most, period)
        times, now, all_times = p.RestartWindow(), 0.0, []
        for gap in gaps:
            now += gap
            all_times.append(now)
            times, exceeded = intensity.record(times, now)
            assert exceeded is (sum(now - at <= period for at in all_times) > most)
            assert len(times) <= most + 1
            assert tuple(times) == tuple(all_times[len(all_times) - len(times) :])

    check()


@law
def delays_follow_the_streak_and_end_with_a_stable_life(p):
    @examples
    @given(st.lists(eighths(0, 300), min_size=1, max_size=60), st.integers(0, 3), seeds)
    def check(lives, immediate, seed):
        policy = p.RestartPolicy(p.Intensity(5, 60.0), immediate=immediate)
        state, now, rng, streak = p.RestartState(), 0.0, random.Random(seed), 0
        for life in lives:
            state = policy.started(state, now)
            now += life
            streak = 1 if life >= policy.stable_after else streak + 1
            state, decision = policy.decide(state, now, rng)
            assert p.RestartState.from_json(json.loads(json.dumps(state.to_json()))) == state
            assert state.streak == streak
            if decision.action is p.RestartAction.GIVE_UP:
                assert decision.reason == "intensity" or streak > 8
                break
            assert streak <= 8
            assert (decision.delay == 0) is (streak <= immediate)
            waits = streak - immediate
            assert decision.delay <= 60
            assert streak <= immediate or 0.7 * min(48, 2 ** (waits - 1)) <= decision.delay <= 1.3 * 2 ** (waits - 1)
            now = math.ceil((now + decision.delay) * 8) / 8

    check()


@law
def every_crash_loop_is_escalated(p):
    policy = p.RestartPolicy(backoff=p.Backoff(1.0, max_delay=60.0, jitter=0.0))
    escalated = {}
    for life in (0, 1, 5, 20, 60, 100):
        state, now = p.RestartState(), 0.0
        for _ in range(20):
            state = policy.started(state, now)
            now += life
            state, decision = policy.decide(state, now, random.Random(0))
            if decision.action is p.RestartAction.GIVE_UP:
                escalated[life] = (now - life, decision.reason)
                break
            now += decision.delay
    assert escalated == {
        0: (15.0, "intensity"),
        1: (20.0, "intensity"),
        5: (40.0, "intensity"),
        20: (283.0, "streak"),
        60: (603.0, "streak"),
        100: (923.0, "streak"),
    }


@law
def strategies_take_along_whom_they_name(p):
    @examples
    @given(st.lists(st.integers(), min_size=1, max_size=8, unique=True), st.data())
    def check(ids, data):
        failed = data.draw(st.sampled_from(ids))
        position = ids.index(failed)
        assert p.Strategy.ONE_FOR_ONE.affected(ids, failed) == (failed,)
        assert p.Strategy.ONE_FOR_ALL.affected(ids, failed) == tuple(ids)
        assert p.Strategy.REST_FOR_ONE.affected(ids, failed) == tuple(ids[position:])

    check()


@law
def restart_types_decide_by_the_way_it_ended(p):
    wants = {
        (kind.value, abnormal): kind.wants_restart(abnormal) for kind in p.RestartType for abnormal in (False, True)
    }
    assert wants == {
        ("permanent", False): True,
        ("permanent", True): True,
        ("transient", False): False,
        ("transient", True): True,
        ("temporary", False): False,
        ("temporary", True): False,
    }


# --- validation ---


@law
def fields_refuse_what_is_no_number_in_range(p):
    fields = {
        p.Backoff: ("base_delay", "multiplier", "max_delay", "jitter"),
        p.RetryPolicy: ("max_attempts", "retry_after_cap", "total_timeout", "identities"),
        p.RetryBudget: ("capacity", "ratio", "tokens"),
        p.AbortPolicy: ("failure_rate", "evidence", "hold", "grace", "min_operations", "crashes", "crash_window"),
        p.WindowRule: ("window", "failure_rate", "min_operations", "duration"),
        p.Intensity: ("max_restarts", "period"),
        p.RestartPolicy: ("stable_after", "max_streak", "immediate", "min_uptime"),
        p.ThresholdPolicy: ("escalate_after",),
        p.RetryState: ("attempts", "last_delay"),
    }
    bad = (math.nan, math.inf, -math.inf, -1, True, "3", 10**400, [1], object())
    for kind, names in fields.items():
        for name, value in itertools.product(names, bad):
            with pytest.raises(ValueError, match=rf"^{kind.__name__}\.{name} must be") as raised:
                kind(**{name: value})
            assert repr(value) in str(raised.value)
