"""From a failure's facts to a verdict: whose fault, worth another try, what to do about it."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

import attrs

from policies.classification_table import CLASSIFICATION_TABLE, UNKNOWN_VERDICT
from policies.failures import RETRYING, Failure, Persistence, Remedy
from policies.rules import Reading, Rule, Verdict
from policies.values import JsonValue

PATTERN_LIMIT: Final = 500
"""Characters that a user's pattern may have."""


def _compiled(patterns: str | Iterable[str]) -> tuple[re.Pattern[str], ...]:
    if isinstance(patterns, str):
        message = (
            f"FailureClassifier takes a list of patterns, got the single string {patterns!r}: write [{patterns!r}]"
        )
        raise ValueError(message)  # noqa: TRY004 - a configuration error like the others
    return tuple(_compile(pattern) for pattern in patterns)


def _compile(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern):
        pattern = pattern.pattern
    if not isinstance(pattern, str) or not 0 < len(pattern) <= PATTERN_LIMIT:
        raise ValueError(
            f"a FailureClassifier pattern must be a string of 1 to {PATTERN_LIMIT} characters, got {pattern!r}"
        )
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"FailureClassifier pattern {pattern!r} is not a regular expression: {error}") from error


def _statuses(statuses: Iterable[int]) -> frozenset[int]:
    found = frozenset(statuses)
    for status in found:
        if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 999:
            raise ValueError(f"a FailureClassifier status must be a whole number from 100 to 999, got {status!r}")
    return found


def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    found = tuple(rules)
    for rule in found:
        if not isinstance(rule, Rule):
            raise ValueError(f"FailureClassifier.rules must be a list of Rule, got {rule!r} in it")  # noqa: TRY004 - a configuration error like the others
    return found


def _rules_from_json(data: Iterable[Any]) -> tuple[Rule, ...]:
    return tuple(Rule.from_json(rule) for rule in data)


@attrs.frozen
class FailureClassifier(JsonValue):
    """The classification table, with a user's own words on top.

    A user's patterns and statuses decide only *whether trying again can help*; category and stream stay the table's.
    Nothing overrules control flow and dead machinery: a pattern like ``timeout`` must not keep a frozen browser alive.
    """

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"rules": _rules_from_json}

    transient: tuple[re.Pattern[str], ...] = attrs.field(default=(), converter=_compiled)
    """Regular expressions (any case) for failures worth another try. They are searched in ``Type: first line status N``
    with URLs masked, so that the name of a page cannot match."""
    permanent: tuple[re.Pattern[str], ...] = attrs.field(default=(), converter=_compiled)
    """The same for failures that are final. They win over `transient`."""
    retryable_status: frozenset[int] = attrs.field(default=frozenset(), converter=_statuses)
    """HTTP statuses worth another try, whatever the table says."""
    non_retryable_status: frozenset[int] = attrs.field(default=frozenset(), converter=_statuses)
    """HTTP statuses that are final, whatever the table says."""
    rules: tuple[Rule, ...] = attrs.field(default=CLASSIFICATION_TABLE, converter=_rules)
    """The table; the first match decides."""

    def __attrs_post_init__(self) -> None:
        both = sorted(self.retryable_status & self.non_retryable_status)
        if both:
            raise ValueError(
                f"FailureClassifier has {both} in both retryable_status and non_retryable_status: keep one"
            )

    def to_json(self) -> dict[str, Any]:
        """The plain form. The table is left out where it is the one that everybody has."""
        plain = super().to_json()
        if self.rules == CLASSIFICATION_TABLE:
            del plain["rules"]
        return plain

    def classify(self, failure: Failure) -> Verdict:
        """The verdict on `failure`. Total: there is one for everything, and it does not depend on any URL."""
        reading = Reading.of(failure)
        rule = next((rule for rule in self.rules if rule.matches(reading)), None)
        verdict = UNKNOWN_VERDICT if rule is None else rule.verdict
        return verdict if rule is not None and rule.firm else self._with_user_words(verdict, reading)

    def _with_user_words(self, verdict: Verdict, reading: Reading) -> Verdict:
        status = reading.failure.status
        text = f"{reading.failure.type}: {reading.line}" + ("" if status is None else f" status {status}")
        for pattern in self.permanent:
            if pattern.search(text):
                return _made_permanent(verdict, f"user:permanent:{pattern.pattern}")
        for pattern in self.transient:
            if pattern.search(text):
                return _made_transient(verdict, f"user:transient:{pattern.pattern}")
        if status in self.non_retryable_status:
            return _made_permanent(verdict, f"user:status:{status}")
        if status in self.retryable_status:
            return _made_transient(verdict, f"user:status:{status}")
        return verdict


def _made_permanent(verdict: Verdict, rule_id: str) -> Verdict:
    remedy = Remedy.SKIP if verdict.remedy in RETRYING else verdict.remedy
    return attrs.evolve(verdict, persistence=Persistence.PERMANENT, remedy=remedy, rule_id=rule_id, max_tries=None)


def _made_transient(verdict: Verdict, rule_id: str) -> Verdict:
    remedy = verdict.remedy if verdict.remedy in RETRYING else Remedy.RETRY_SAME
    return attrs.evolve(verdict, persistence=Persistence.TRANSIENT, remedy=remedy, rule_id=rule_id, max_tries=None)
