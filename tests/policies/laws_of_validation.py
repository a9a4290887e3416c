"""The laws of validation: what is no number in its range is refused by name."""

import itertools
import math

import pytest
from laws import Bug, law


@law(
    Bug("validation", " and not isinstance(value, bool)", ""),
)
def fields_refuse_what_is_no_number_in_range(p):
    fields = {
        p.HostPolicy: ("failure_rate", "evidence"),
        p.HostState: ("score", "parks"),
        p.EvidenceScore: ("score",),
        p.ClassRetry: ("max_attempts",),
        p.Backoff: ("base_delay", "multiplier", "max_delay", "jitter"),
        p.RetryPolicy: ("max_attempts", "retry_after_cap", "total_timeout", "identities"),
        p.RetryBudget: ("capacity", "ratio", "tokens"),
        p.AbortPolicy: (
            "failure_rate",
            "evidence",
            "hold",
            "grace",
            "min_operations",
            "crashes",
            "crash_window",
            "probes",
        ),
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
