"""The laws of halting a job: never a healthy one, always a broken one, and in time."""

import itertools
import json
import math

import attrs
from hypothesis import given
from hypothesis import strategies as st
from laws import Bug, eighths, examples, law

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


@law(
    Bug("abort", "if state.verdict is not None:\n            return state, state.verdict\n", ""),
    Bug("abort", "return attrs.evolve(state, verdict=decision), decision", "return state, decision"),
)
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


@law(
    Bug("evidence", " and now - self.since >= hold", ""),
    Bug("abort", " and running >= self.grace", ""),
    Bug("abort", "state.operations >= self.min_operations and ", ""),
)
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


@law(
    Bug("abort", "running >= self.grace", "running >= self.grace and state.failures % 2 == 0"),
)
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


@law(
    Bug("abort", "running >= self.grace", "running >= self.grace and state.operations < 70"),
    Bug("abort", "score.held(now", "not score.held(now"),
)
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


@law(
    Bug(
        "abort",
        "suspicion = AbortDecision(AbortAction.CONTINUE, evidence=self._figures(state, now))",
        "suspicion = AbortDecision(AbortAction.CONTINUE)\n"
        "        if state.failures == 0 and state.operations > 25:\n"
        "            return state, AbortDecision(AbortAction.SUSPECT, probes=self.probes)",
    ),
    Bug("abort", "came = not failed or", "came = failed or"),
)
def success_alone_is_never_suspected(p):
    @examples
    @given(abort_policies(p), st.lists(eighths(0, 3), min_size=30, max_size=60))
    def check(policy, gaps):
        decisions = fold(p, policy, [("ok", gap) for gap in gaps])[0]
        assert {decision.action for decision in decisions} <= {p.AbortAction.CONTINUE}

    check()


@law(
    Bug("evidence", "min(limit, self.score + 1)", "self.score + 1"),
    Bug("evidence", "None if score < limit / 2 else since", "since"),
)
def a_long_outage_is_forgiven_as_fast_as_a_short_one(p):
    policy = p.AbortPolicy(evidence=10, hold=10_000.0, grace=0.0, min_operations=1)
    for length in (10, 500):
        decisions = fold(p, policy, [("infra", 1.0)] * length + [("ok", 1.0)] * 6)[0]
        assert [decision.action for decision in decisions[-2:]] == [p.AbortAction.SUSPECT, p.AbortAction.CONTINUE]


@law(
    Bug("evidence", " and self.score >= limit", " and self.score >= min(limit, 8)"),
    Bug("evidence", " and self.score >= limit", ""),
)
def a_recovered_site_is_not_aborted_for_the_past(p):
    policy = p.AbortPolicy(evidence=10, hold=20.0, grace=0.0, min_operations=1)
    events = [("infra", 0.125)] * 10 + [("ok", 4.0)] * 2 + [("tick", 20.0)]
    assert first_abort(p, fold(p, policy, events)[0]) is None


@law(
    Bug("evidence", "self.score - rate / (1 - rate)", "self.score - 1.0"),
)
def evidence_grows_only_above_the_given_rate(p):
    policy = p.AbortPolicy(failure_rate=0.75, evidence=10, hold=0.0, grace=0.0, min_operations=1, crashes=None)
    two_of_three = [("infra", 1.0), ("infra", 1.0), ("ok", 1.0)] * 200
    five_of_six = ([("infra", 1.0)] * 5 + [("ok", 1.0)]) * 20
    assert first_abort(p, fold(p, policy, two_of_three)[0]) is None
    assert first_abort(p, fold(p, policy, five_of_six)[0]) is not None


@law(
    Bug(
        "abort",
        "infra=self._add(state.infra, not came, now)",
        "infra=state.infra if came and failed else self._add(state.infra, not came, now)",
    ),
    Bug("abort", "self._add(state.infra, not came, now)", "self._add(state.infra, failed, now)"),
    Bug("abort", "self._add(state.content, failed, now) if came", "self._add(state.content, failed, now) if True"),
)
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


@law(
    Bug("evidence", "self.since + seconds", "self.since"),
    Bug("values", "return [_plain(item) for item in value]", "return [_plain(item) for item in value[1:]]"),
)
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


@law(
    Bug("window", "now - entry.at <= self.duration", "True"),
)
def the_window_forgets_what_is_too_old(p):
    rule = p.WindowRule(window=4, failure_rate=0.5, min_operations=2, duration=5.0)
    policy = p.AbortPolicy(evidence=None, window=rule)
    assert first_abort(p, fold(p, policy, [("ok", 1.0), ("ok", 1.0), ("infra", 6.0), ("content", 1.0)])[0]) == 3
    assert first_abort(p, fold(p, policy, [("ok", 1.0), ("ok", 1.0), ("infra", 1.0), ("content", 1.0)])[0]) is None
    assert first_abort(p, fold(p, policy, [("infra", 6.0)] * 20)[0]) is None


@law(
    Bug("abort", "crashes=() if proven else state.crashes", "crashes=state.crashes"),
    Bug("abort", "if now - at <= self.crash_window", ""),
)
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


@law(
    Bug("abort", "math.log(items * hazard / false_abort)", "math.log(hazard / false_abort)"),
)
def for_job_keeps_its_promise(p):
    for items, base_rate in ((1_000, 0.05), (10_000, 0.1), (1_000, 0.4), (100_000, 0.3)):
        policy = p.AbortPolicy.for_job(items, base_rate)
        assert false_abort_probability(policy.evidence, base_rate, items) <= 0.0101
        assert false_abort_probability(policy.evidence - 1, base_rate, items) > 0.0095


@law(
    Bug("window", "(*entries, entry)[-self.window :]", "(*entries, entry)[-self.window - 1 :]"),
    Bug("window", "> self.failure_rate * len(seen)", ">= self.failure_rate * len(seen)"),
    Bug("window", "operations < self.min_operations or ", ""),
)
def the_literal_rule_is_literal(p):
    @examples
    @given(st.integers(1, 12), st.sampled_from([0.25, 0.5]), st.integers(1, 20), st.lists(st.booleans(), max_size=60))
    def check(window, rate, least, failed):
        rule = p.WindowRule(window, rate, least)
        policy = p.AbortPolicy(evidence=None, crashes=None, window=rule)
        decisions = fold(p, policy, [("infra" if one else "ok", 1.0) for one in failed])[0]
        expected = None
        for n in range(1, len(failed) + 1):
            last = failed[max(0, n - window) : n]
            if n >= least and sum(last) > rate * len(last):
                expected = n - 1
                break
        assert first_abort(p, decisions) == expected

    check()


@law(
    Bug("abort", "reason, probes=self.probes)", "reason)"),
    Bug("abort", "reason, self.on_abort, probes=0)", "reason, probes=0)"),
    Bug(
        "abort_decision",
        "tuple(AbortStep.of(step) for step in given)",
        "tuple(AbortStep.of(step) for step in {*given})",
    ),
)
def every_decision_names_its_steps_in_order(p):
    @examples
    @given(evidence_policies(p), failing_histories, st.integers(1, 5), st.permutations(list(p.Measure)))
    def check(policy, events, probes, order):
        policy = attrs.evolve(policy, probes=probes, on_abort=order)
        expected = {"continue": ([], None), "suspect": ([], probes), "abort": (order, 0)}
        for decision in fold(p, policy, events)[0]:
            measures = [step.measure for step in decision.actions]
            assert (measures, decision.probes) == expected[decision.action]

    check()
    names = [step.measure for step in p.AbortPolicy().on_abort]
    assert names == ["save_state", "cleanup", "notify", "shutdown"]
