"""The words of classification: a `Reading` of a failure, a `Rule` that matches readings, the `Verdict` it gives."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs

from policies.failures import Category, Failure, Persistence, Remedy, Stream
from policies.validation import instance_of, integer, member
from policies.values import JsonValue

TEXT_LIMIT = 2000
"""Characters of a message that are looked at."""

SCRIPT_APIS = frozenset({"evaluate", "evaluate_handle", "evaluate_all", "eval_on_selector", "eval_on_selector_all"})
"""Calls that run JavaScript in the page: the text of their errors is the page's to choose."""

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]{1,30}://|data:|blob:)[^\s\"'<>]*", re.IGNORECASE)
_API_PREFIX = re.compile(r"([A-Z][A-Za-z]{1,40})\.([a-z][A-Za-z_]{1,60}): ")
_NET_ERROR = re.compile(r"(?:net::)?(ERR_[A-Z0-9_]{2,60})\b")
_SYSTEM_ERROR = re.compile(r"(?:connect|read|write|getaddrinfo|socket|spawn) (E[A-Z_]{3,30})\b")


@attrs.frozen
class Verdict(JsonValue):
    """What kind of failure it is and what to do about it."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "category": Category,
        "persistence": Persistence,
        "remedy": Remedy,
        "stream": Stream,
    }

    category: Category = attrs.field(validator=member(Category))
    """Where the cause lies."""
    persistence: Persistence = attrs.field(validator=member(Persistence))
    """Whether trying again can help."""
    remedy: Remedy = attrs.field(validator=member(Remedy))
    """What to do besides waiting."""
    stream: Stream = attrs.field(validator=member(Stream))
    """Which abort score it counts against once it is final."""
    rule_id: str = attrs.field(validator=instance_of(str))
    """The rule that said so, for logs and tests (``"dns"``, ``"status:429"``)."""
    max_tries: int | None = attrs.field(default=None, validator=integer(1, 100, optional=True))
    """Total tries this kind of failure is worth, where that is fewer than the retry policy would grant."""

    @property
    def transient(self) -> bool:
        """Whether trying again can help."""
        return self.persistence is Persistence.TRANSIENT


@attrs.frozen
class Reading:
    """A failure made ready for matching, without what a page could have put into its text."""

    failure: Failure
    """The facts."""
    line: str
    """First line of the message, URLs masked as ``<url>``, the API prefix (``Page.goto: ``) stripped."""
    api: str
    """The failed call without its class (``"goto"``), empty when unknown."""
    code: str
    """The code without ``net::``: the fact, or else what the line begins with (unless the page chose it); empty when
    there is none."""

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The reading of `failure`. Time is linear in `TEXT_LIMIT`, whatever the message."""
        first = _URL.sub("<url>", failure.message[:TEXT_LIMIT].lstrip()).partition("\n")[0]
        prefix = _API_PREFIX.match(first)
        line = first[prefix.end() :] if prefix else first
        api = failure.api or (prefix[2] if prefix else "")
        api = api.rpartition(".")[2]
        named = None if api in SCRIPT_APIS else _NET_ERROR.match(line) or _SYSTEM_ERROR.match(line)
        code = failure.code or (named[1] if named else "")
        return cls(failure, line, api, code.removeprefix("net::"))

    @property
    def number(self) -> int | None:
        """The code as a positive number where it is one (``"-105"`` → 105)."""
        digits = self.code.removeprefix("-")
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else None


PATTERN_LIMIT = 2000
"""Characters that a rule's pattern may have."""


def _compiled(pattern: str | re.Pattern[str] | None) -> re.Pattern[str] | None:
    if pattern is None or isinstance(pattern, re.Pattern):
        return pattern
    if not isinstance(pattern, str) or not 0 < len(pattern) <= PATTERN_LIMIT:
        raise ValueError(f"the pattern of a Rule must be a string of 1 to {PATTERN_LIMIT} characters, got {pattern!r}")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} of a Rule is not a regular expression: {error}") from error


def _range(numbers: range | Sequence[int] | None) -> range | None:
    return numbers if numbers is None or isinstance(numbers, range) else range(*numbers)


@attrs.frozen
class Rule(JsonValue):
    """One row of a classification table: it matches when every condition that it states holds.

    Patterns are anchored at the start: the text of a page may quote any error message, but it cannot come first.
    """

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"verdict": Verdict.from_json}

    verdict: Verdict = attrs.field(validator=instance_of(Verdict))
    """What a match means."""
    types: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    """The exception's class is one of these."""
    families: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    """The exception's class is one of these, or extends one."""
    codes: re.Pattern[str] | None = attrs.field(default=None, converter=_compiled)
    """The whole code matches."""
    numbers: range | None = attrs.field(default=None, converter=_range)
    """The code is a number in this range (sign ignored)."""
    statuses: frozenset[int] = attrs.field(default=frozenset(), converter=frozenset)
    """The HTTP status is one of these."""
    header: str | None = None
    """The response has this header (lower case)."""
    apis: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    """The failed call is one of these."""
    text: re.Pattern[str] | None = attrs.field(default=None, converter=_compiled)
    """The line begins with a match."""
    page_crashed: bool = attrs.field(default=False, validator=instance_of(bool))
    """The page's crash event fired."""
    disconnected: bool = attrs.field(default=False, validator=instance_of(bool))
    """The browser is known to be gone."""
    deadline: bool = attrs.field(default=False, validator=instance_of(bool))
    """Our own deadline ended the call."""
    oom: bool = attrs.field(default=False, validator=instance_of(bool))
    """The kernel killed something for memory meanwhile."""
    firm: bool = attrs.field(default=False, validator=instance_of(bool))
    """Whether it is beyond a user's patterns: a dead browser stays dead, whatever the message looks like."""

    def matches(self, reading: Reading) -> bool:
        """Whether every stated condition holds for `reading`."""
        failure = reading.failure
        return (
            (not self.types or failure.type in self.types)
            and (not self.families or failure.type in self.families or not self.families.isdisjoint(failure.lineage))
            and (not self.statuses or failure.status in self.statuses)
            and (not self.apis or reading.api in self.apis)
            and (not self.page_crashed or failure.page_crashed)
            and (not self.disconnected or failure.browser_connected is False)
            and (not self.deadline or failure.deadline_exceeded)
            and (not self.oom or failure.oom_delta > 0)
            and (self.header is None or self.header in failure.headers)
            and (self.codes is None or self.codes.fullmatch(reading.code) is not None)
            and (self.numbers is None or reading.number in self.numbers)
            and (self.text is None or self.text.match(reading.line) is not None)
        )
