import random

import pytest

from policies import (
    AbortAction,
    AbortDecision,
    AbortPolicy,
    AbortState,
    AbortStep,
    EvidenceScore,
    Failure,
    FailureClassifier,
    Measure,
    Stream,
    WindowRule,
    named,
)


def run(policy, outcomes, *, every=0.5, stream=Stream.INFRA):
    """Plays `outcomes` (True: failed), one each `every` seconds; gives the last decision and how many were needed."""
    state, decision, now = AbortState(), None, 0.0
    for count, failed in enumerate(outcomes, 1):
        now += every
        state, decision = policy.step(state, failed=failed, now=now, stream=stream)
        if decision.action is AbortAction.ABORT:
            return decision, count
    return decision, len(outcomes)


def random_outcomes(rate, count, seed):
    rng = random.Random(seed)
    return [rng.random() < rate for _ in range(count)]


def in_runs(rate, count, seed):
    """Failures that come three at a time, at the same mean rate."""
    rng = random.Random(seed)
    return [failed for _ in range(count // 3) for failed in [rng.random() < rate] * 3]


def test_a_job_with_a_fifth_failing_is_never_aborted():
    """Twenty jobs of 2,000 items, 20 % failing independently or in runs, all come to their end."""
    for name in ("production", "conservative"):
        for seed in range(10):
            for outcomes in (random_outcomes(0.2, 2000, seed), in_runs(0.2, 2000, seed)):
                assert run(named.get("abort", name), outcomes)[0].action is not AbortAction.ABORT


def test_half_of_ten_pages_failing_is_no_reason_to_stop():
    """A small job whose five failures come first goes on to its five successes."""
    decision, count = run(AbortPolicy(), [True] * 5 + [False] * 5, every=60.0)
    assert (decision.action, count) == (AbortAction.CONTINUE, 10)


def test_a_hundred_short_outages_are_survived():
    """Twenty failures in a row, again and again, never abort as long as pages come in between."""
    assert run(AbortPolicy(), ([True] * 20 + [False] * 30) * 100)[0].action is AbortAction.CONTINUE


@pytest.mark.parametrize(("name", "most"), [("production", 125), ("development", 60), ("conservative", 700)])
@pytest.mark.parametrize("stream", [Stream.INFRA, Stream.CONTENT])
def test_a_site_where_everything_fails_is_aborted(name, most, stream):
    """Total failure ends the job within a bounded number of operations, whether pages or items fail to come."""
    decision, count = run(named.get("abort", name), [True] * 2000, stream=stream)
    assert decision.action is AbortAction.ABORT
    assert decision.rule == f"{stream}_evidence"
    assert count <= most


def test_an_outage_in_the_middle_of_a_job_is_noticed():
    """After a thousand good pages a site that goes down is judged no later than at the start: no credit is banked."""
    decision, count = run(AbortPolicy(), [False] * 1000 + [True] * 200)
    assert decision.action is AbortAction.ABORT
    assert count <= 1000 + 40 + 61


def test_four_of_five_failing_is_aborted():
    """A site that mostly fails is aborted as well, a little later."""
    for seed in range(5):
        assert run(AbortPolicy(), random_outcomes(0.8, 1000, seed))[0].action is AbortAction.ABORT


def test_instant_failures_do_not_abort_a_blip():
    """A thousand failures within ten seconds make a suspicion, and the pages that follow end it."""
    state, decision = AbortState(), None
    for n in range(1000):
        state, decision = AbortPolicy().step(state, failed=True, now=100 + n / 100)
    assert decision.action is AbortAction.SUSPECT
    for n in range(21):
        state, decision = AbortPolicy().step(state, failed=False, now=111.0 + n)
    assert decision.action is AbortAction.CONTINUE
    assert state.infra == EvidenceScore(19.0)


def test_suspicion_matures_without_any_further_outcome():
    """When all that is under way hangs, ticks alone bring the decision."""
    policy = AbortPolicy(grace=0.0)
    state, decision = AbortState(), None
    for _ in range(40):
        state, decision = policy.step(state, failed=True, now=10.0)
    assert (decision.action, decision.rule) == (AbortAction.SUSPECT, "infra_evidence")
    state, decision = policy.tick(state, 39.9)
    assert decision.action is AbortAction.SUSPECT
    state, decision = policy.tick(state, 40.0)
    assert decision.action is AbortAction.ABORT


def test_a_decision_says_its_figures_and_a_sentence():
    """An abort names its rule, every figure behind it and a sentence for people."""
    decision, count = run(AbortPolicy(), [True] * 200)
    assert count == 121
    assert decision.evidence == {
        "operations": 121,
        "failures": 121,
        "running_for": 60.0,
        "score": 40,
        "limit": 40,
        "failure_rate": 0.5,
        "suspect_for": 40.5,
        "hold": 30.0,
    }
    assert decision.reason == (
        "More than 50% of the pages fail to load: 40 of 40 points of evidence, suspected for 40 s; "
        "121 of 121 operations failed so far."
    )
    missing = run(AbortPolicy(), [True] * 200, stream=Stream.CONTENT)[0]
    assert missing.reason.startswith("More than 50% of the pages give no item")
    assert AbortDecision.from_json(decision.to_json()) == decision


def test_control_flow_is_evidence_of_nothing():
    """Cancelled items are not counted, neither as failures nor as successes."""
    state, decision = AbortPolicy().step(AbortState(), failed=True, now=1.0, stream=Stream.UNCOUNTED)
    assert (state.operations, state.failures, state.infra.score) == (0, 0, 0)
    assert decision.action is AbortAction.CONTINUE


def test_the_literal_rule_aborts_above_half_of_the_last_ten():
    """Six of the last ten abort at once, five do not, nine operations do not either."""
    literal = named.get("abort", "literal")
    assert run(literal, [True] * 9)[0].action is AbortAction.CONTINUE
    assert run(literal, [True, False] * 50)[0].action is AbortAction.CONTINUE
    decision, count = run(literal, [False] * 90 + [True] * 6)
    assert (decision.action, decision.rule, count) == (AbortAction.ABORT, "window", 96)
    assert decision.reason == "6 of the last 10 operations failed, more than 50% of them."
    assert (decision.evidence["window"], decision.evidence["window_failures"]) == (10, 6)


def test_the_literal_rule_aborts_healthy_jobs():
    """What the default avoids: at a base failure rate of 20 % most jobs of a thousand items are aborted."""
    literal = named.get("abort", "literal")
    aborted = sum(run(literal, random_outcomes(0.2, 1000, seed))[0].action is AbortAction.ABORT for seed in range(20))
    assert aborted >= 14


def test_a_window_may_stand_beside_the_evidence():
    """The rule that speaks first decides."""
    policy = AbortPolicy(window=WindowRule(window=100, failure_rate=0.9, min_operations=100))
    decision, count = run(policy, [True] * 200, every=0.1)
    assert (decision.rule, count) == ("window", 100)


def crashes(policy, times, browsers, *, works=None):
    """Crashes at `times`; `works` maps a crash's number to the start of the browser that brought a page next."""
    state, decision = AbortState(), None
    for count, at in enumerate(times, 1):
        state, decision = policy.crash(state, at, browsers)
        if decision.action is AbortAction.ABORT:
            return decision, count
        if works and count in works:
            state, decision = policy.step(state, failed=False, now=at, browser_started=works[count])
    return decision, len(times)


def test_three_crashes_in_a_row_abort_one_browser():
    """One browser that crashes three times within five minutes, with no page in between, ends the job."""
    decision, count = crashes(AbortPolicy(), [0.0, 100.0, 200.0], 1)
    assert (decision.action, decision.rule, count) == (AbortAction.ABORT, "crashes", 3)
    assert decision.evidence["crashes"] == 3
    assert decision.reason == (
        "3 browser crashes within 200 s, and no browser started since the first of them brought a page."
    )
    assert crashes(AbortPolicy(), [0.0, 200.0, 400.0], 1)[0].action is AbortAction.CONTINUE


def test_a_fleet_may_crash_twice_each():
    """With ten browsers it takes twenty crashes in a row."""
    assert crashes(AbortPolicy(), [float(n) for n in range(30)], 10)[1] == 20
    assert crashes(AbortPolicy(crashes=None), [float(n) for n in range(30)], 1)[0].action is AbortAction.CONTINUE


def test_only_a_browser_started_since_proves_that_browsers_work():
    """A page from a browser older than the first crash proves nothing; one from a newer or unknown browser does."""
    times = [10.0, 20.0, 30.0, 40.0]
    assert crashes(AbortPolicy(), times, 1, works={2: 5.0})[1] == 3
    assert crashes(AbortPolicy(), times, 1, works={2: 15.0})[0].action is AbortAction.CONTINUE
    assert crashes(AbortPolicy(), times, 1, works={2: None})[0].action is AbortAction.CONTINUE


def test_crashes_after_the_verdict_change_nothing():
    """A job that was aborted stays aborted for the first reason."""
    policy = AbortPolicy()
    state, decision = AbortState(), None
    for _ in range(3):
        state, decision = policy.crash(state, 1.0, 1)
    again = policy.crash(state, 2.0, 1)
    assert again == (state, decision)
    assert policy.step(state, failed=False, now=3.0) == (state, decision)


def test_what_was_counted_may_be_judged_later():
    """Crashes abort when the job is judged, unless a page came before that; so do they in a state from a checkpoint."""
    policy, state = AbortPolicy(), AbortState()
    for at in (1.0, 2.0, 3.0):
        state = policy.after_crash(state, at, 1)
    assert state.verdict is None
    assert policy.tick(AbortState.from_json(state.to_json()), 4.0)[1].rule == "crashes"
    assert policy.tick(policy.after_outcome(state, failed=False, now=4.0), 5.0)[1].action is AbortAction.CONTINUE


def test_a_policy_can_be_made_for_a_job():
    """The evidence needed grows with the job and its base failure rate, and the known values come out."""
    assert AbortPolicy.for_job(10_000, 0.3).evidence == 15
    assert AbortPolicy.for_job(100_000, 0.4).evidence == 34
    assert AbortPolicy.for_job(1, 0.01, false_abort=0.5).evidence == 1
    with pytest.raises(ValueError, match=r"base_rate must be a finite number from 0\.001 to 0\.49, got 0\.5"):
        AbortPolicy.for_job(1000, 0.5)


def test_a_state_can_be_shifted_before_anything_happened():
    """An empty state on another clock is an empty state."""
    assert AbortState().shifted(100.0) == AbortState()


def test_steps_may_be_given_by_name():
    """In any case, and mixed with steps that say more."""
    page = AbortStep(Measure.NOTIFY, "pager", timeout=5.0)
    policy = AbortPolicy(on_abort=["SAVE_STATE", page, Measure.SHUTDOWN])
    assert policy.on_abort == (AbortStep(Measure.SAVE_STATE), page, AbortStep(Measure.SHUTDOWN))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: AbortPolicy(on_abort="shutdown"), "must be a list of log_event, notify, .*, got 'shutdown'"),
        (lambda: AbortPolicy(on_abort=5), "must be a list of .*, got 5"),
        (lambda: AbortPolicy(on_abort=["explode"]), "must be one of log_event, notify, .*, got 'explode'"),
        (lambda: AbortPolicy(on_abort=[5]), "must be one of .*, got 5"),
        (lambda: AbortStep(Measure.NOTIFY, timeout=0), r"AbortStep\.timeout must be a finite number"),
        (lambda: AbortStep(Measure.NOTIFY, ""), r"AbortStep\.target must be a string of 1 to 2000 characters"),
        (lambda: AbortPolicy(window=10), r"AbortPolicy\.window must be a WindowRule or None, got 10"),
        (lambda: AbortState(crashes=[1.0]), r"AbortState\.crashes must be a tuple, got \[1\.0\]"),
        (lambda: AbortState(crashes=(float("nan"),)), r"AbortState\.crashes must be a finite number"),
        (lambda: AbortPolicy().tick(AbortState(), float("nan")), "now must be a finite number"),
        (lambda: AbortPolicy().crash(AbortState(), 0.0, -1), "browsers must be a finite number"),
    ],
)
def test_a_wrong_abort_policy_says_what_is_wrong(make, said):
    """An error names the field or argument, the value and what is allowed."""
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("policy", "ends"),
    [
        (AbortPolicy(), True),
        (AbortPolicy(evidence=None, crashes=None, window=WindowRule()), True),
        (AbortPolicy(evidence=None), True),
        (AbortPolicy(evidence=None, crashes=None), False),
    ],
    ids=["usual", "window only", "crashes only", "off"],
)
def test_a_misconfigured_job_is_ended_unless_all_rules_are_off(policy, ends):
    """By a verdict that says that no item can succeed, and by no other."""
    classify = FailureClassifier().classify
    proxy = classify(Failure("Error", "Page.goto: net::ERR_MANDATORY_PROXY_CONFIGURATION_FAILED at http://site.test/"))
    refused = classify(Failure("Error", "Page.goto: net::ERR_CONNECTION_REFUSED at http://site.test/"))
    assert policy.ends_misconfigured(proxy) is ends
    assert not policy.ends_misconfigured(refused)
