import ast
import json
from pathlib import Path

import attrs
import pytest

import policies
from policies import (
    AbortDecision,
    AbortPolicy,
    AbortState,
    Category,
    Failure,
    Persistence,
    Remedy,
    RestartState,
    RetryBudget,
    RetryPolicy,
    Stream,
    ThresholdState,
    UnknownPolicyError,
    Verdict,
    named,
)

SOURCES = sorted(Path(policies.__file__).parent.glob("*.py"))
VERDICT = Verdict(Category.NETWORK, Persistence.TRANSIENT, Remedy.RETRY_SAME, Stream.INFRA, "dns", 2)


def test_values_are_frozen():
    """No field of a value can be set."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        VERDICT.rule_id = "x"


def test_a_state_reads_what_older_versions_left_out():
    """Absent fields take their defaults."""
    assert AbortState.from_json({}) == AbortState()
    assert RetryBudget.from_json({"capacity": 5}).tokens == 5


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: AbortState.from_json([]), r"AbortState must be read from a mapping of its fields, got \[\]"),
        (lambda: AbortState.from_json({"scores": 1}), "AbortState has no field scores; its fields are infra, content"),
        (
            lambda: AbortState.from_json({"infra": {"score": -1}}),
            r"AbortState\.infra cannot be read.*EvidenceScore\.score",
        ),
        (lambda: AbortState.from_json({"window": 5}), r"AbortState\.window cannot be read from 5"),
        (lambda: AbortState.from_json({"verdict": {"action": "stop"}}), r"AbortState\.verdict.*AbortDecision\.action"),
        (
            lambda: Verdict.from_json(VERDICT.to_json() | {"category": "moon"}),
            r"Verdict\.category cannot be read from 'moon'",
        ),
        (lambda: ThresholdState.from_json({"watches": []}), r"ThresholdState\.watches cannot be read from \[\]"),
        (lambda: RestartState.from_json({"started": "now"}), r"RestartState\.started must be a finite number"),
        (
            lambda: Verdict("network", Persistence.PERMANENT, Remedy.SKIP, Stream.INFRA, "x"),
            r"Verdict\.category must be one of",
        ),
    ],
)
def test_a_damaged_state_is_refused(read, said):
    """An error names the class, the field and the value."""
    with pytest.raises(ValueError, match=said):
        read()


def test_plain_forms_are_json():
    """The plain form holds nothing that JSON has not, and comes back equal."""
    failure = Failure("Error", "x", headers={"A": "b"})
    for value in (VERDICT, failure, AbortDecision(policies.AbortAction.SUSPECT, "window", {"window": 10})):
        assert type(value).from_json(json.loads(json.dumps(value.to_json()))) == value
        assert isinstance(hash(value), int)


def test_presets_go_by_name():
    """Each kind has its names, and each name its policy."""
    assert named.names("retry") == ("aggressive", "conservative", "exponential_backoff")
    assert named.names("abort") == ("conservative", "development", "literal", "production")
    assert named.names("thresholds") == ("development", "production")
    assert named.names("restart") == ("default", "otp")
    assert named.get("retry", "exponential_backoff") == RetryPolicy()
    assert named.get("abort", "production") == AbortPolicy()
    assert [named.get("retry", name).max_attempts for name in named.names("retry")] == [8, 3, 5]


def test_an_unknown_preset_lists_those_there_are():
    """The error of a wrong name or kind is its own cure."""
    with pytest.raises(
        UnknownPolicyError, match="no abort policy 'brave'; known are conservative, development, literal, production"
    ):
        named.get("abort", "brave")
    with pytest.raises(
        UnknownPolicyError, match="no kind of policy 'rety'; known are abort, restart, retry, thresholds"
    ):
        named.get("rety", "x")


def test_the_public_names_are_there():
    """All that is promised can be imported, and the promise is sorted."""
    assert all(hasattr(policies, name) for name in policies.__all__)
    assert list(policies.__all__) == sorted(policies.__all__)


PURE = {
    "attrs",
    "builtins",
    "collections.abc",
    "datetime",
    "email.utils",
    "enum",
    "errno",
    "hashlib",
    "math",
    "policies",
    "random",
    "re",
    "reprlib",
    "types",
    "typing",
}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_module_can_do_more_than_decide(source):
    """Nothing is imported that waits or touches the outside; no clock is read, no global random drawn."""
    tree = ast.parse(source.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {node.module if not node.module.startswith("policies") else "policies"}
        else:
            imported = set()
        assert imported <= PURE
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            assert node.attr == "Random"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"Random", "now", "utcnow", "today"}
