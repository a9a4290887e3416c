"""From dicts, as users and configuration files write them, to policies. Unknown keys and bad values are refused.

The ranges are those of the resilience API; what a policy can do beyond them is said to `policies` directly.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.abort import AbortPolicy
from policies.abort_decision import AbortStep, Measure
from policies.backoff import Backoff
from policies.classify import FailureClassifier
from policies.thresholds import BROWSER_LIFETIME, CleanupLevel, Threshold, ThresholdPolicy
from policies.validation import is_number
from policies.window import WindowRule
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.resilience.errors import (
    AbortConfigurationError,
    ResilienceException,
    ResourceMonitoringError,
    RetryConfigurationError,
)
from scorewise_actors.resilience_memory import NamedRetry

_RETRY_KEYS = (
    "name",
    "max_attempts",
    "base_delay",
    "multiplier",
    "max_delay",
    "jitter_factor",
    "jitter",
    "retry_after_cap",
    "total_timeout",
    "failure_classifier",
)
_CLASSIFIER_KEYS = ("transient_patterns", "permanent_patterns", "retryable_status_codes", "non_retryable_status_codes")
_ABORT_KEYS = (
    "name",
    "failure_rate_threshold",
    "window_size",
    "window_duration",
    "consecutive_crashes",
    "min_operations",
    "abort_actions",
)
_ACTION_KEYS = ("type", "target", "parameters", "timeout")
_THRESHOLD_RANGES = {
    "memory_percent": (1, 100),
    "memory_absolute": (1, 1e9),
    "memory_pressure": (1, 100),
    "cpu_percent": (1, 100),
    BROWSER_LIFETIME: (60, 86_400),
    "disk_space": (0, 1e9),
    "network_connections": (1, 1e6),
}
_THRESHOLD_KEYS = ("name", *_THRESHOLD_RANGES, "hold", "escalate_after", "max_cleanup")
ACTION_TIMEOUT = 30.0
"""Seconds that an abort action has unless it says otherwise."""


def retry_policy(given: Any) -> tuple[str, NamedRetry]:
    """Name and policy of ``{"name", "max_attempts" (1-100), "base_delay" (0.1-60 s), "multiplier" (1-10), "max_delay"
    (s, at least base_delay), "jitter_factor" (0-1), "failure_classifier": {"transient_patterns", "permanent_patterns",
    "retryable_status_codes", "non_retryable_status_codes"}}``; also ``jitter`` (its kind), ``retry_after_cap`` and
    ``total_timeout`` (s). Only the name is needed. Raises ``RetryConfigurationError``.
    """
    fields = _Fields("retry policy", given, _RETRY_KEYS, RetryConfigurationError)
    base = fields.number("base_delay", 1.0, 0.1, 60)
    top = fields.number("max_delay", max(300.0, base), 0.1, 86_400)
    if top < base:
        raise fields.error("max_delay", f"at least base_delay ({base:g} s)", top)
    timeout = fields.given.get("total_timeout")
    with fields.refusals():
        policy = NamedRetry(
            max_attempts=fields.whole("max_attempts", 5, 1, 100),
            backoff=Backoff(
                base_delay=base,
                multiplier=fields.number("multiplier", 2.0, 1, 10),
                max_delay=top,
                jitter=fields.number("jitter_factor", 0.25, 0, 1),
                kind=fields.given.get("jitter", "proportional"),
            ),
            retry_after_cap=fields.number("retry_after_cap", 300.0, 0, 86_400),
            total_timeout=None if timeout is None else fields.number("total_timeout", 0, 0.001, 1e9),
            classifier=_classifier(fields.given.get("failure_classifier")),
        )
    return fields.name(), policy


def _classifier(given: Any) -> FailureClassifier:
    if given is None:
        return FailureClassifier()
    fields = _Fields("failure_classifier", given, _CLASSIFIER_KEYS, RetryConfigurationError)
    return FailureClassifier(
        transient=fields.many("transient_patterns"),
        permanent=fields.many("permanent_patterns"),
        retryable_status=frozenset(fields.many("retryable_status_codes")),
        non_retryable_status=frozenset(fields.many("non_retryable_status_codes")),
    )


def abort_policy(given: Any) -> tuple[str, AbortPolicy]:
    """Name and policy of ``{"name", "failure_rate_threshold" (a fraction; above 1 it is percent), "window_size"
    (operations), "window_duration" (s), "consecutive_crashes", "min_operations", "abort_actions": [...]}``: the literal
    rule. It aborts when more than that fraction of the last ``window_size`` operations, none older than
    ``window_duration``, failed, or when so many browsers crashed in a row within ``window_duration`` (300 s). No
    rate is more than 1 (or 100 percent): a policy with that threshold aborts for crashes only.

    An action is one of the words SHUTDOWN, NOTIFY, CLEANUP, SAVE_STATE, LOG_EVENT, or ``{"type", "target",
    "parameters", "timeout" (s)}``; they run in the given order. Only the name is needed. Raises
    ``AbortConfigurationError``.
    """
    fields = _Fields("abort policy", given, _ABORT_KEYS, AbortConfigurationError)
    rate = fields.number("failure_rate_threshold", 0.5, 0, 100)
    floor = fields.whole("min_operations", 10, 1, 1_000_000)
    duration = fields.given.get("window_duration")
    seconds = None if duration is None else fields.number("window_duration", 0, 0.001, 1_000_000)
    crashes = fields.given.get("consecutive_crashes", 3)
    with fields.refusals():
        policy = AbortPolicy(
            evidence=None,
            hold=0.0,
            grace=0.0,
            min_operations=floor,
            crashes=None if crashes is None else fields.whole("consecutive_crashes", 3, 1, 1_000_000),
            crash_window=seconds or 300.0,
            window=WindowRule(
                window=fields.whole("window_size", 10, 1, 10_000),
                failure_rate=rate / 100 if rate > 1 else rate,
                min_operations=floor,
                duration=seconds,
            ),
            **_actions(fields.given.get("abort_actions")),
        )
    return fields.name(), policy


def _actions(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise AbortConfigurationError.because(f"abort policy: abort_actions must be a list of actions, got {given!r}")
    return {"on_abort": tuple(_action(action) for action in given)}


def _action(given: Any) -> AbortStep:
    if isinstance(given, AbortStep):
        return given
    if isinstance(given, str):
        given = {"type": given}
    fields = _Fields("abort action", given, _ACTION_KEYS, AbortConfigurationError)
    kind = fields.given.get("type")
    if not isinstance(kind, str) or kind.upper() not in Measure.__members__:
        raise fields.error("type", f"one of {', '.join(Measure.__members__)}", kind)
    target, parameters = fields.given.get("target"), fields.given.get("parameters") or {}
    if not isinstance(target, str | None):
        raise fields.error("target", "a text or None", target)
    if not isinstance(parameters, Mapping):
        raise fields.error("parameters", "a dict", parameters)
    timeout = fields.number("timeout", ACTION_TIMEOUT, 0.01, 3600)
    return AbortStep(Measure[kind.upper()], target, dict(parameters), timeout)


def threshold_policy(given: Any) -> tuple[str, ThresholdPolicy]:
    """Name and policy of ``{"name", "memory_percent" (1-100), "memory_absolute" (MB), "memory_pressure" (1-100),
    "cpu_percent" (1-100), "browser_lifetime" (60-86,400 s), "disk_space" (MB free), "network_connections"}``; also
    ``hold`` (s, 0: how long a limit must be passed before it counts, and be kept before that is over),
    ``escalate_after`` (s, 60) and ``max_cleanup`` (``gentle``, ``moderate``, ``aggressive``, ``force`` or None), which
    is for memory: nothing else is had by cleaning up. The name and one limit are needed. Raises ``ConfigurationError``.
    """
    with _as_configuration_error():
        fields = _Fields("resource threshold", given, _THRESHOLD_KEYS, ResourceMonitoringError)
        name, hold = fields.name(), fields.number("hold", 0.0, 0, 86_400)
        cleanup = _cleanup(fields)
        thresholds = [
            Threshold(
                resource,
                fields.number(resource, 0.0, low, high),
                for_seconds=0.0 if resource == BROWSER_LIFETIME else hold,
                clear_for=0.0 if resource == BROWSER_LIFETIME else hold,
                below=resource == "disk_space",
                max_cleanup=cleanup if resource.startswith("memory_") else None,
            )
            for resource, (low, high) in _THRESHOLD_RANGES.items()
            if fields.given.get(resource) is not None
        ]
        if not thresholds:
            raise fields.error("it", f"given at least one of {', '.join(_THRESHOLD_RANGES)}", dict(fields.given))
        return name, ThresholdPolicy(thresholds, escalate_after=fields.number("escalate_after", 60.0, 0.001, 86_400))


def _cleanup(fields: "_Fields") -> CleanupLevel | None:
    word = fields.given.get("max_cleanup", "force")
    if word is None:
        return None
    words = {level.name.lower(): level for level in CleanupLevel}
    if not isinstance(word, str) or word.lower() not in words:
        raise fields.error("max_cleanup", f"one of {', '.join(words)}, or None", word)
    return words[word.lower()]


@contextlib.contextmanager
def _as_configuration_error() -> Iterator[None]:
    try:
        yield
    except ResourceMonitoringError as error:
        raise ConfigurationError(error.message) from None


class _Fields:
    """A dict under examination."""

    def __init__(self, what: str, given: Any, keys: tuple[str, ...], error: type[ResilienceException]) -> None:
        self._what = what
        self._error = error
        if not isinstance(given, Mapping):
            raise error.because(f"{what}: expected a dict with the keys {', '.join(keys)}, got {given!r}")
        for key in given:
            if key not in keys:
                raise error.because(f"{what}: unknown key {key!r}; the keys are {', '.join(keys)}")
        self.given = given

    def error(self, key: str, expected: str, value: Any) -> ResilienceException:
        return self._error.because(f"{self._what}: {key} must be {expected}, got {value!r}", field=key)

    def name(self) -> str:
        name = self.given.get("name")
        if not isinstance(name, str) or not 0 < len(name.strip()) <= 100:
            raise self.error("name", "a text of 1 to 100 characters", name)
        return name.strip()

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self.given.get(key, default)
        if not is_number(value, low, high):
            raise self.error(key, f"a number from {low:g} to {high:g}", value)
        return float(value)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        value = self.given.get(key, default)
        if not isinstance(value, int) or not is_number(value, low, high):
            raise self.error(key, f"a whole number from {low} to {high}", value)
        return value

    def many(self, key: str) -> tuple[Any, ...]:
        value = self.given.get(key, ())
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise self.error(key, "a list", value)
        return tuple(value)

    def refusals(self) -> "_Refusals":
        return _Refusals(self._what, self._error)


class _Refusals:
    """What a policy refuses is said in the words of the API."""

    def __init__(self, what: str, error: type[ResilienceException]) -> None:
        self._what = what
        self._error = error

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        del kind, trace
        if isinstance(error, ValueError | TypeError) and not isinstance(error, ResilienceException):
            raise self._error.because(f"{self._what}: {error}") from error
