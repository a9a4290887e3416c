"""Pure decisions: retry, classification, abort, hosts, thresholds, restart.

No thread, clock, I/O, sleep or global random inside. Times (``now``) are monotonic seconds and randomness (``rng``) is
a `random.Random`; both are arguments. States are frozen values: every decision takes one and gives the next, and every
state has a plain form (``to_json``, ``from_json``) for a checkpoint.
"""

from policies import named
from policies.abort import AbortPolicy, AbortState
from policies.abort_decision import AbortAction, AbortDecision, AbortStep, Measure
from policies.backoff import Backoff
from policies.classify import FailureClassifier
from policies.evidence import EvidenceScore
from policies.failures import Category, Failure, Persistence, Remedy, Stream
from policies.hosts import HostEvent, HostPolicy, HostState
from policies.named import PolicyBook, UnknownPolicyError
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
from policies.retry import ClassRetry, RetryAction, RetryBudget, RetryDecision, RetryPolicy, RetryState
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
from policies.window import WindowRule

__all__ = [
    "AbortAction",
    "AbortDecision",
    "AbortPolicy",
    "AbortState",
    "AbortStep",
    "Backoff",
    "Category",
    "ClassRetry",
    "CleanupLevel",
    "EvidenceScore",
    "Failure",
    "FailureClassifier",
    "HostEvent",
    "HostPolicy",
    "HostState",
    "Intensity",
    "Measure",
    "Persistence",
    "PolicyBook",
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
