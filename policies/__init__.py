"""Pure decisions: retry, classification, abort, thresholds, restart.

No thread, clock, I/O, sleep or global random inside. Times (``now``) are monotonic seconds and randomness (``rng``) is
a `random.Random`; both are arguments. States are frozen values: every decision takes one and gives the next, and every
state has a plain form (``to_json``, ``from_json``) for a checkpoint.
"""

from policies import named
from policies.abort import AbortAction, AbortDecision, AbortPolicy, AbortState, WindowRule
from policies.backoff import Backoff
from policies.classify import FailureClassifier
from policies.evidence import EvidenceScore
from policies.failures import Category, Failure, Persistence, Remedy, Stream
from policies.named import UnknownPolicyError
from policies.restart import (
    Intensity,
    RestartAction,
    RestartDecision,
    RestartPolicy,
    RestartState,
    RestartType,
    Strategy,
)
from policies.restart_window import RestartWindow
from policies.retry import CategoryRetry, RetryAction, RetryBudget, RetryDecision, RetryPolicy, RetryState
from policies.retry_after import parse_retry_after, retry_after_of
from policies.rules import Rule, Verdict
from policies.thresholds import (
    CleanupLevel,
    Threshold,
    ThresholdDecision,
    ThresholdEvent,
    ThresholdEventKind,
    ThresholdPolicy,
    ThresholdState,
)

__all__ = [
    "AbortAction",
    "AbortDecision",
    "AbortPolicy",
    "AbortState",
    "Backoff",
    "Category",
    "CategoryRetry",
    "CleanupLevel",
    "EvidenceScore",
    "Failure",
    "FailureClassifier",
    "Intensity",
    "Persistence",
    "Remedy",
    "RestartAction",
    "RestartDecision",
    "RestartPolicy",
    "RestartState",
    "RestartType",
    "RestartWindow",
    "RetryAction",
    "RetryBudget",
    "RetryDecision",
    "RetryPolicy",
    "RetryState",
    "Rule",
    "Strategy",
    "Stream",
    "Threshold",
    "ThresholdDecision",
    "ThresholdEvent",
    "ThresholdEventKind",
    "ThresholdPolicy",
    "ThresholdState",
    "UnknownPolicyError",
    "Verdict",
    "WindowRule",
    "named",
    "parse_retry_after",
    "retry_after_of",
]
