"""Whether and when a failed item is tried again."""

import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

import attrs

from policies.backoff import Backoff
from policies.failures import RETRYING, Category, Remedy
from policies.rules import Verdict
from policies.validation import CLOCK_LIMIT, instance_of, integer, member, number, require_number
from policies.values import JsonValue, optional


class RetryAction(StrEnum):
    """What becomes of a failed item."""

    RETRY = "retry"
    """Try it again after the delay; the page is free meanwhile."""
    DEFER = "defer"
    """Put it back, at the earliest after the delay, and decide again then: its host asked for a long pause (leave the
    whole host alone meanwhile), or the budget has no token (once nothing else is left to do, it may go without)."""
    GIVE_UP = "give_up"
    """It is final."""


@attrs.frozen
class RetryDecision(JsonValue):
    """The answer of a retry policy."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"action": RetryAction, "remedy": Remedy}

    action: RetryAction = attrs.field(validator=member(RetryAction))
    """What becomes of the item."""
    delay: float = attrs.field(default=0.0, validator=number(0, CLOCK_LIMIT))
    """Seconds until it may be tried again; 0 when given up."""
    reason: str = ""
    """Why: ``transient``, ``other_identity`` (retry); ``retry_after``, ``budget`` (defer); ``control_flow``,
    ``permanent``, ``attempts``, ``deadline`` (give up)."""
    remedy: Remedy = attrs.field(default=Remedy.RETRY_SAME, validator=member(Remedy))
    """What to do now besides waiting: what the next try needs, or what follows from having given up."""


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
class ClassRetry(JsonValue):
    """What a policy does differently for one class of failures; None keeps what the policy says."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"backoff": optional(Backoff.from_json)}

    max_attempts: int | None = attrs.field(default=None, validator=integer(1, 100, optional=True))
    """Total tries."""
    backoff: Backoff | None = attrs.field(default=None, validator=instance_of(Backoff, optional=True))
    """Waits."""


def _limits_of(kind: type) -> Callable[[Any, "attrs.Attribute[Any]", Any], None]:
    """A validator: a mapping from `kind` to `ClassRetry`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        field = f"{type(instance).__name__}.{attribute.name}"
        fine = isinstance(value, Mapping) and all(isinstance(key, kind) for key in value)
        if not fine or not all(isinstance(limits, ClassRetry) for limits in value.values()):
            raise ValueError(f"{field} must map {kind.__name__} to ClassRetry, got {value!r}")

    return check


def _by_category(data: Mapping[str, Any]) -> dict[Category, ClassRetry]:
    return {Category(name): ClassRetry.from_json(limits) for name, limits in data.items()}


def _by_rule(data: Mapping[str, Any]) -> dict[str, ClassRetry]:
    return {name: ClassRetry.from_json(limits) for name, limits in data.items()}


@attrs.frozen
class RetryPolicy(JsonValue):
    """Total tries, waits and time limits for one item."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "backoff": Backoff.from_json,
        "per_category": _by_category,
        "per_rule": _by_rule,
    }

    max_attempts: int = attrs.field(default=5, validator=integer(1, 100))
    """Total tries, the first included: 5 tries have 4 waits between them."""
    backoff: Backoff = attrs.field(factory=Backoff, validator=instance_of(Backoff))
    """Waits between tries."""
    retry_after_cap: float = attrs.field(default=300.0, validator=number(0, 86400))
    """A server that asks for a longer pause (seconds) gets it, for its whole host: the item is deferred."""
    total_timeout: float | None = attrs.field(default=None, validator=number(0, CLOCK_LIMIT, optional=True))
    """Seconds from the start of the first try after which no further try may begin; None for no limit."""
    per_category: Mapping[Category, ClassRetry] = attrs.field(factory=dict, validator=_limits_of(Category), hash=False)
    """Exceptions by category of the failure. Treat it as read-only."""
    identities: int = attrs.field(default=1, validator=integer(1, 1_000_000))
    """Sessions or proxies there are. With more than one, a block (401, 403, 407) is tried once more with another."""
    per_rule: Mapping[str, ClassRetry] = attrs.field(factory=dict, validator=_limits_of(str), hash=False)
    """Exceptions by `Verdict.rule_id` (``"dns"``, ``"status:429"``). They go before `per_category`, and their
    `max_attempts` before the `Verdict.max_tries` of the table too. Treat it as read-only."""
    jitter_enabled: bool = attrs.field(default=True, validator=instance_of(bool))
    """False makes every wait the nominal one: for tests and demonstrations, where no crowd comes back together."""

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

        `now` is in monotonic seconds, the time of the failure. `retry_after` is how long the server asked to be left
        alone (seconds): a floor for the delay, with jitter only upward. `budget` is only looked at; withdrawing when
        the answer is RETRY is the caller's. Raises `ValueError` for a state in which no try was counted.
        """
        if state.attempts < 1:
            raise ValueError(
                "RetryState.attempts is 0: count the try with state.tried(now) before deciding about its failure"
            )
        if verdict.remedy is Remedy.PROPAGATE:
            return _given_up("control_flow", verdict)
        other_identity = verdict.remedy is Remedy.ROTATE_IDENTITY and state.attempts < min(2, self.identities)
        if not (verdict.transient or other_identity):
            return _given_up("permanent", verdict)
        if state.attempts >= self.tries(verdict):
            return _given_up("attempts", verdict)
        decision = self._wait(state, verdict, rng, retry_after)
        started = now if state.started is None else state.started
        if self.total_timeout is not None and now + decision.delay > started + self.total_timeout:
            return _given_up("deadline", verdict)
        if decision.action is RetryAction.DEFER:
            return decision
        if budget is not None and not budget.withdraw()[0]:
            return attrs.evolve(decision, action=RetryAction.DEFER, reason="budget")
        return decision if verdict.transient else attrs.evolve(decision, reason="other_identity")

    def tries(self, verdict: Verdict) -> int:
        """Total tries that a failure with `verdict` is worth, whether or not another one can help."""
        exact = self.per_rule.get(verdict.rule_id, _NOTHING).max_attempts
        if exact is not None:
            return exact
        special = self.per_category.get(verdict.category, _NOTHING).max_attempts
        granted = self.max_attempts if special is None else special
        return granted if verdict.max_tries is None else min(granted, verdict.max_tries)

    def waits(self, verdict: Verdict | None = None) -> Backoff:
        """The waits after failures with `verdict`, or those of the policy itself."""
        backoff = self.backoff
        if verdict is not None:
            backoff = self.per_category.get(verdict.category, _NOTHING).backoff or backoff
            backoff = self.per_rule.get(verdict.rule_id, _NOTHING).backoff or backoff
        return backoff if self.jitter_enabled else attrs.evolve(backoff, kind="none")

    def _wait(
        self, state: RetryState, verdict: Verdict, rng: random.Random, retry_after: float | None
    ) -> RetryDecision:
        backoff = self.waits(verdict)
        delay = backoff.delay(state.attempts, rng, state.last_delay)
        remedy = verdict.remedy if verdict.remedy in RETRYING else Remedy.RETRY_SAME
        if retry_after is None:
            return RetryDecision(RetryAction.RETRY, delay, "transient", remedy)
        require_number("retry_after", retry_after, 0, CLOCK_LIMIT)
        if retry_after > self.retry_after_cap:
            return RetryDecision(RetryAction.DEFER, retry_after, "retry_after", Remedy.PARK_HOST)
        upward = 0.0 if backoff.kind == "none" else rng.uniform(0.0, backoff.jitter) * backoff.nominal(state.attempts)
        return RetryDecision(RetryAction.RETRY, max(delay, retry_after + upward), "transient", remedy)


_NOTHING = ClassRetry()


def _given_up(reason: str, verdict: Verdict) -> RetryDecision:
    final = verdict.remedy if verdict.remedy not in RETRYING else Remedy.SKIP
    return RetryDecision(RetryAction.GIVE_UP, reason=reason, remedy=final)
