"""The laws of plain forms: every policy and every state comes back from JSON as it was."""

import json

import attrs
import pytest
from laws import Bug, law


def values(p):
    """One of each kind that travels, with every field set to something that is not its default."""
    backoff = p.Backoff(2.0, 3.0, 50.0, 0.5, "equal")
    verdict = p.Verdict(p.Category.NETWORK, p.Persistence.TRANSIENT, p.Remedy.NEW_PAGE, p.Stream.INFRA, "mine", 3)
    limits = p.ClassRetry(3, backoff)
    score = p.EvidenceScore(3.5, 12.0)
    step = p.AbortStep(p.Measure.NOTIFY, "pager", {"to": ["a", 1, None]}, 5.0)
    decision = p.AbortDecision(p.AbortAction.ABORT, "window", {"window": 10.0}, "because", (step,), 0)
    rule = p.Rule(
        verdict,
        types={"A"},
        families={"B", "C"},
        codes="E.*",
        numbers=range(5, 9),
        statuses={500, 404},
        header="retry-after",
        apis={"goto"},
        text="no",
        page_crashed=True,
        disconnected=True,
        deadline=True,
        oom=True,
        firm=True,
    )
    threshold = p.Threshold(
        "disk", 100.0, 120.0, for_seconds=3.0, clear_for=4.0, hard=50.0, below=True, max_cleanup=None, jitter=0.2
    )
    return [
        backoff,
        verdict,
        limits,
        score,
        step,
        decision,
        rule,
        threshold,
        p.RetryPolicy(3, backoff, 60.0, 100.0, {p.Category.SYSTEM: limits}, 4, {"dns": p.ClassRetry()}, False),
        p.RetryState(3, 5.0, 2.0),
        p.RetryBudget(10.0, 0.5, 3.0),
        p.RetryDecision(p.RetryAction.DEFER, 5.0, "budget", p.Remedy.NEW_PAGE),
        p.WindowRule(5, 0.25, 3, 60.0),
        p.AbortPolicy(0.25, 9, 1.0, 2.0, 3, 4, 5.0, p.WindowRule(), 2, (step, "shutdown")),
        p.AbortPolicy(evidence=None, crashes=None),
        p.AbortState(score, score, 5, 3, 1.0, (), (1.0, 2.0), decision, 2),
        p.HostPolicy(0.25, 3, backoff),
        p.HostState(2.0, 5.0, 1),
        attrs.evolve(threshold, max_cleanup=p.CleanupLevel.MODERATE),
        p.ThresholdPolicy((threshold,), 30.0),
        p.Failure("E", "m", "c", 500, {"a": "b"}, "goto", "http://h", False, True, 2, True, ("OSError",)),
        p.FailureClassifier(["a"], ["b"], [404], [500], (rule,)),
        p.FailureClassifier(),
        *(p.named.get(kind, name) for kind in ("retry", "abort", "thresholds") for name in p.named.names(kind)),
    ]


@law(
    Bug("values", "return sorted(_plain(item) for item in value)", "return []"),
    Bug("values", "return [value.start, value.stop]", "return [value.start, value.stop - 1]"),
    Bug("retry", '"per_rule": _by_rule,', ""),
    Bug("abort", '"on_abort": steps_from_json,', ""),
    Bug("classify", "if self.rules == CLASSIFICATION_TABLE:", "if True:"),
    Bug("thresholds", '"max_cleanup": optional(CleanupLevel)', ""),
)
def everything_comes_back_from_json(p):
    for value in values(p):
        text = json.dumps(value.to_json(), allow_nan=False)
        back = type(value).from_json(json.loads(text))
        assert back == value
        assert json.dumps(back.to_json()) == text
        assert type(value).from_json(
            {} if attrs.fields(type(value))[0].default is not attrs.NOTHING else json.loads(text)
        )
    assert "rules" not in p.FailureClassifier().to_json()


@law(Bug("values", "if unknown:", "if False:"))
def a_field_that_is_not_known_is_refused(p):
    for value in values(p):
        with pytest.raises(ValueError, match=f"{type(value).__name__} has no field colour"):
            type(value).from_json({**value.to_json(), "colour": 1})
