"""The policies that go by a name, for configuration files and command lines."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, Self, overload

import attrs

from policies.abort import AbortPolicy
from policies.backoff import Backoff
from policies.restart import RestartPolicy
from policies.retry import RetryPolicy
from policies.thresholds import BROWSER_LIFETIME, Threshold, ThresholdPolicy
from policies.window import WindowRule

Kind = Literal["retry", "abort", "thresholds", "restart"]
_NAME_LIMIT = 200
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
            Threshold(BROWSER_LIFETIME, lifetime, max_cleanup=None, jitter=0.1),
        )
    )


_PRESETS: Mapping[Kind, Mapping[str, Policy]] = MappingProxyType(
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
_KINDS: Mapping[Kind, type] = MappingProxyType(
    {"retry": RetryPolicy, "abort": AbortPolicy, "thresholds": ThresholdPolicy, "restart": RestartPolicy}
)


def _presets() -> dict[Kind, dict[str, Policy]]:
    return {kind: dict(policies) for kind, policies in _PRESETS.items()}


@attrs.frozen
class PolicyBook:
    """Policies by kind and name: the presets, and those that a user has put beside them. A value like all others:
    `with_policy` gives another book.
    """

    policies: Mapping[Kind, Mapping[str, Policy]] = attrs.field(factory=_presets)
    """Kind → name → policy. Treat it as read-only."""

    @overload
    def get(self, kind: Literal["retry"], name: str) -> RetryPolicy: ...
    @overload
    def get(self, kind: Literal["abort"], name: str) -> AbortPolicy: ...
    @overload
    def get(self, kind: Literal["thresholds"], name: str) -> ThresholdPolicy: ...
    @overload
    def get(self, kind: Literal["restart"], name: str) -> RestartPolicy: ...
    def get(self, kind: Kind, name: str) -> Policy:
        """The policy of `kind` that is called `name`. Raises `UnknownPolicyError` listing what there is."""
        known = self._of_kind(kind)
        if not isinstance(name, str) or name not in known:
            raise UnknownPolicyError(f"there is no {kind} policy {name!r}; known are {', '.join(sorted(known))}")
        return known[name]

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names of `kind`, sorted. Raises `UnknownPolicyError` for an unknown kind."""
        return tuple(sorted(self._of_kind(kind)))

    def with_policy(self, kind: Kind, name: str, policy: Policy, *, replace: bool = False) -> Self:
        """The book with one policy more.

        Raises `UnknownPolicyError` for an unknown kind, and `ValueError` for a policy of another kind, for a name that
        is empty or longer than 200 characters, and for one that is taken unless `replace` says so.
        """
        known = self._of_kind(kind)
        if not isinstance(policy, _KINDS[kind]):
            raise ValueError(f"a {kind} policy must be a {_KINDS[kind].__name__}, got {policy!r}")  # noqa: TRY004 - one error type for all fields
        _require_name(name)
        if name in known and not replace:
            raise ValueError(f"there is a {kind} policy {name!r} already; choose another name, or say replace=True")
        return attrs.evolve(self, policies={**self.policies, kind: {**known, name: policy}})

    def with_new(self, kind: Kind, name: str, policy: Policy) -> tuple[str, Self]:
        """The name that `policy` got and the book with it: `name`, or ``name-2`` and so on while another policy has
        that. One that the book has already under such a name is not put in twice. Raises as `with_policy` does.
        """
        _require_name(name)
        known, number, chosen = self._of_kind(kind), 1, name
        while known.get(chosen, policy) != policy:
            number += 1
            chosen = f"{name}-{number}"
        return chosen, self.with_policy(kind, chosen, policy, replace=True)

    def _of_kind(self, kind: Kind) -> Mapping[str, Policy]:
        if kind not in self.policies:
            raise UnknownPolicyError(f"there is no kind of policy {kind!r}; known are {', '.join(sorted(_KINDS))}")
        return self.policies[kind]


def _require_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LIMIT:
        raise ValueError(f"the name of a policy must be a string of 1 to {_NAME_LIMIT} characters, got {name!r}")


PRESETS: Final = PolicyBook()
"""The policies that everybody has."""

get = PRESETS.get
"""`PolicyBook.get` of the presets: the policy of a kind that is called so."""
names = PRESETS.names
"""`PolicyBook.names` of the presets: the names of a kind, sorted."""
