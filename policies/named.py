"""The policies that go by a name, for configuration files and command lines."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, overload

from policies.abort import AbortPolicy, WindowRule
from policies.backoff import Backoff
from policies.restart import RestartPolicy
from policies.retry import RetryPolicy
from policies.thresholds import Threshold, ThresholdPolicy

Kind = Literal["retry", "abort", "thresholds", "restart"]
Policy = RetryPolicy | AbortPolicy | ThresholdPolicy | RestartPolicy


class UnknownPolicyError(LookupError):
    """No policy of that kind and name; the message lists those there are."""


def _thresholds(*, memory: float, hard: float, cpu: float, disk: float, lifetime: float) -> ThresholdPolicy:
    # only memory asks for cleanup: renewing browsers neither cools a busy processor nor frees a full disk
    held: dict[str, Any] = {"for_seconds": 30.0, "clear_for": 60.0}
    return ThresholdPolicy(
        (
            Threshold("memory_percent", memory, memory - 5, hard=hard, **held),
            Threshold("memory_pressure", 20.0, 10.0, **held),
            Threshold("cpu_percent", cpu, cpu - 15, for_seconds=60.0, clear_for=60.0, max_cleanup=None),
            Threshold("disk_space", disk, disk * 1.25, hard=disk / 2, below=True, max_cleanup=None, **held),
            Threshold("network_connections", 500.0, 400.0, max_cleanup=None, **held),
            Threshold("browser_lifetime", lifetime, max_cleanup=None),
        )
    )


_POLICIES: Mapping[Kind, Mapping[str, Policy]] = MappingProxyType(
    {
        "retry": {
            "exponential_backoff": RetryPolicy(),
            # fewer and slower
            "conservative": RetryPolicy(3, Backoff(base_delay=5.0)),
            "aggressive": RetryPolicy(8, Backoff(base_delay=0.5, multiplier=1.5, max_delay=60.0, jitter=0.5)),
        },
        "abort": {
            "production": AbortPolicy(),
            # for jobs of up to a thousand items under somebody's eyes
            "development": AbortPolicy(evidence=15, hold=15.0, grace=10.0, min_operations=15),
            # slow to abort: protects the work
            "conservative": AbortPolicy(evidence=60, hold=120.0, grace=300.0, min_operations=60),
            "literal": AbortPolicy(evidence=None, hold=0.0, grace=0.0, min_operations=10, window=WindowRule()),
        },
        "thresholds": {
            "production": _thresholds(memory=85.0, hard=95.0, cpu=90.0, disk=1024.0, lifetime=3600.0),
            "development": _thresholds(memory=92.0, hard=97.0, cpu=95.0, disk=256.0, lifetime=7200.0),
        },
        "restart": {
            "default": RestartPolicy(),
            "otp": RestartPolicy.otp(),
        },
    }
)


@overload
def get(kind: Literal["retry"], name: str) -> RetryPolicy: ...
@overload
def get(kind: Literal["abort"], name: str) -> AbortPolicy: ...
@overload
def get(kind: Literal["thresholds"], name: str) -> ThresholdPolicy: ...
@overload
def get(kind: Literal["restart"], name: str) -> RestartPolicy: ...
def get(kind: Kind, name: str) -> Policy:
    """The policy of `kind` that is called `name`. Raises `UnknownPolicyError` listing what there is."""
    known = _of_kind(kind)
    if name not in known:
        raise UnknownPolicyError(f"there is no {kind} policy {name!r}; known are {', '.join(sorted(known))}")
    return known[name]


def names(kind: Kind) -> tuple[str, ...]:
    """The names of `kind`, sorted. Raises `UnknownPolicyError` for an unknown kind."""
    return tuple(sorted(_of_kind(kind)))


def _of_kind(kind: Kind) -> Mapping[str, Policy]:
    if kind not in _POLICIES:
        raise UnknownPolicyError(f"there is no kind of policy {kind!r}; known are {', '.join(sorted(_POLICIES))}")
    return _POLICIES[kind]
