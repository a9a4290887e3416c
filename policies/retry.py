"""Whether and when a failed item is tried again."""

import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

import attrs

from policies.backoff import Backoff
from policies.failures import Category, Remedy
from policies.retry_after import parse_retry_after, retry_after_of
from policies.rules import Verdict
from policies.validation import CLOCK_LIMIT, integer, number, require_number
from policies.values import JsonValue

__all__ = [
    "CategoryRetry",
    "RetryAction",
    "RetryBudget",
    "RetryDecision",
    "RetryPolicy",
    "RetryState",
    "parse_retry_after",
    "retry_after_of",
]


class RetryAction(StrEnum):
    """What becomes of a failed item."""

    RETRY = "retry"
    """Try it again after the delay; the page is free meanwhile."""
    DEFER = "defer"
    """Put it back, at the earliest after the delay: its host asked for a long pause (leave the whole host alone
    meanwhile), or the budget has no token (try to withdraw one again then; once nothing else is left to do, it may go
    without)."""
    GIVE_UP = "give_up"
    """It is final."""


@attrs.frozen
class RetryDecision(JsonValue):
    """The answer of a retry policy."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"action": RetryAction}

    action: RetryAction
    """What becomes of the item."""
    delay: float = 0.0
    """Seconds until it may be tried again; 0 when given up."""
    reason: str = ""
    """Why: ``transient``, ``other_identity`` (retry); ``retry_after``, ``budget`` (defer); ``control_flow``,
    ``permanent``, ``attempts``, ``deadline`` (give up)."""


@attrs.frozen
class RetryState(JsonValue):
    """What is remembered of one item between its tries. Times are monotonic seconds."""

    attempts: int = attrs.field(default=0, validator=integer(0, 1_000_000))
    """Tries made so far, the failed one included."""
    started: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """When the first try began; only a policy with `total_timeout` needs it."""
    last_delay: float | None = attrs.field(default=None, validator=number(0, CLOCK_LIMIT, optional=True))
    """The latest delay, seconds; only decorrelated jitter needs it."""

    def tried(self, now: float) -> Self:
        """The state after one more try that began at `now`."""
        return attrs.evolve(self, attempts=self.attempts + 1, started=now if self.started is None else self.started)

    def after(self, decision: RetryDecision) -> Self:
        """The state after `decision` was taken: a retry is remembered by its delay."""
        return attrs.evolve(self, last_delay=decision.delay) if decision.action is RetryAction.RETRY else self

    def shifted(self, seconds: float) -> Self:
        """The same state on a clock that reads `seconds` more: for a state restored in another process."""
        return attrs.evolve(self, started=None if self.started is None else self.started + seconds)


@attrs.frozen
class RetryBudget(JsonValue):
    """A token bucket that stops retry storms: every first try deposits `ratio` tokens, every retry costs one.

    With everything failing, five tries each would be five times the load; with a budget of 20 % it is 1.2 times, for
    good.
    """

    capacity: float = attrs.field(default=50.0, validator=number(1, 1_000_000))
    """Tokens it holds at most: the burst of retries that is always fine."""
    ratio: float = attrs.field(default=0.2, validator=number(0, 1))
    """Retries per first try in the long run."""
    tokens: float = attrs.field(validator=number(0, 1_000_000))
    """Tokens now; full by default."""

    @tokens.default
    def _full(self) -> float:
        return self.capacity

    def __attrs_post_init__(self) -> None:
        if self.tokens > self.capacity:
            raise ValueError(f"RetryBudget.tokens must be at most capacity ({self.capacity:g}), got {self.tokens!r}")

    def deposit(self) -> Self:
        """The budget after a first try."""
        return attrs.evolve(self, tokens=min(self.capacity, self.tokens + self.ratio))

    def withdraw(self) -> tuple[bool, Self]:
        """Whether a retry is paid for, and the budget after it; unchanged when it is not."""
        return (True, attrs.evolve(self, tokens=self.tokens - 1)) if self.tokens >= 1 else (False, self)


@attrs.frozen
class CategoryRetry:
    """What a policy does differently for one category; None keeps what the policy says."""

    max_attempts: int | None = attrs.field(default=None, validator=integer(1, 100, optional=True))
    """Total tries."""
    backoff: Backoff | None = None
    """Waits."""


@attrs.frozen
class RetryPolicy:
    """Total tries, waits and time limits for one item."""

    max_attempts: int = attrs.field(default=5, validator=integer(1, 100))
    """Total tries, the first included: 5 tries have 4 waits between them."""
    backoff: Backoff = attrs.field(factory=Backoff, validator=attrs.validators.instance_of(Backoff))
    """Waits between tries."""
    retry_after_cap: float = attrs.field(default=300.0, validator=number(0, 86400))
    """A server that asks for a longer pause (seconds) gets it, for its whole host: the item is deferred."""
    total_timeout: float | None = attrs.field(default=None, validator=number(0, CLOCK_LIMIT, optional=True))
    """Seconds from the start of the first try after which no further try may begin; None for no limit."""
    per_category: Mapping[Category, CategoryRetry] = attrs.field(factory=dict, hash=False)
    """Exceptions by category of the failure."""
    identities: int = attrs.field(default=1, validator=integer(1, 1_000_000))
    """Sessions or proxies there are. With more than one, a block (401, 403, 407) is tried once more with another."""

    def decide(
        self,
        state: RetryState,
        verdict: Verdict,
        *,
        now: float,
        rng: random.Random,
        retry_after: float | None = None,
        budget: RetryBudget | None = None,
    ) -> RetryDecision:
        """What becomes of an item whose try number ``state.attempts`` failed with `verdict`.

        `now` is in monotonic seconds, the time of the failure.         `retry_after` is how long the server asked to be
        left alone (seconds): a floor for the delay, with jitter only upward. `budget` is only looked at; withdrawing
        when the answer is RETRY is the caller's. Raises `ValueError` for a state in which no try was counted.
        """
        if state.attempts < 1:
            raise ValueError(
                "RetryState.attempts is 0: count the try with state.tried(now) before deciding about its failure"
            )
        if verdict.remedy is Remedy.PROPAGATE:
            return RetryDecision(RetryAction.GIVE_UP, reason="control_flow")
        other_identity = verdict.remedy is Remedy.ROTATE_IDENTITY and state.attempts < min(2, self.identities)
        if not (verdict.transient or other_identity):
            return RetryDecision(RetryAction.GIVE_UP, reason="permanent")
        if state.attempts >= self._tries(verdict):
            return RetryDecision(RetryAction.GIVE_UP, reason="attempts")
        decision = self._wait(state, verdict, rng, retry_after)
        started = now if state.started is None else state.started
        if self.total_timeout is not None and now + decision.delay > started + self.total_timeout:
            return RetryDecision(RetryAction.GIVE_UP, reason="deadline")
        if decision.action is RetryAction.RETRY and budget is not None and not budget.withdraw()[0]:
            return attrs.evolve(decision, action=RetryAction.DEFER, reason="budget")
        if decision.action is RetryAction.RETRY and not verdict.transient:
            return attrs.evolve(decision, reason="other_identity")
        return decision

    def _tries(self, verdict: Verdict) -> int:
        special = self.per_category.get(verdict.category, CategoryRetry()).max_attempts
        granted = self.max_attempts if special is None else special
        return granted if verdict.max_tries is None else min(granted, verdict.max_tries)

    def _wait(
        self, state: RetryState, verdict: Verdict, rng: random.Random, retry_after: float | None
    ) -> RetryDecision:
        backoff = self.per_category.get(verdict.category, CategoryRetry()).backoff or self.backoff
        delay = backoff.delay(state.attempts, rng, state.last_delay)
        if retry_after is None:
            return RetryDecision(RetryAction.RETRY, delay, "transient")
        require_number("retry_after", retry_after, 0, CLOCK_LIMIT)
        if retry_after > self.retry_after_cap:
            return RetryDecision(RetryAction.DEFER, retry_after, "retry_after")
        later = retry_after + rng.uniform(0.0, backoff.jitter) * backoff.nominal(state.attempts)
        return RetryDecision(RetryAction.RETRY, max(delay, later), "transient")
