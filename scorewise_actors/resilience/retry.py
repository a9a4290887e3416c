"""``RetryManager``: operations that are tried again."""

import asyncio
import contextvars
import inspect
import itertools
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn

import attrs

from policies.failures import Failure, Persistence, Remedy
from policies.named import UnknownPolicyError
from policies.retry import RetryAction, RetryDecision, RetryState
from policies.rules import Verdict
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.events import EventType, Severity
from scorewise_actors.messages.resilience import DefinePolicy, FreeSlots, Slot, TakeSlot, Withdraw
from scorewise_actors.redaction import redact_text
from scorewise_actors.resilience.configuration import RetryConfiguration, part_for
from scorewise_actors.resilience.connection import Connection, TreeClient
from scorewise_actors.resilience.definitions import retry_policy
from scorewise_actors.resilience.errors import (
    MaxRetriesExceededError,
    PermanentFailureError,
    ResilienceException,
    RetryConfigurationError,
    RetryExecutionError,
    RetryPolicyNotFoundError,
    TreeUnavailableError,
)
from scorewise_actors.resilience.facts import asked_pause, failure_of
from scorewise_actors.resilience.logs import stack_of
from scorewise_actors.resilience_memory import NamedRetry

_in_later_try: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar(
    "scorewise_in_later_try", default=frozenset()
)
"""Accounts of which a slot is held around this code: a retry inside of it needs no other one."""


@attrs.frozen
class _Failed:
    """A try that failed, and what follows from it."""

    error: Exception
    failure: Failure
    verdict: Verdict
    decision: RetryDecision

    @property
    def line(self) -> str:
        """The first line of what the failure says, of limited length: an error's own text may be huge, or raise."""
        return self.failure.message.partition("\n")[0]


class RetryManager(TreeClient):
    """Tries operations again by named policies: ``exponential_backoff``, ``conservative``, ``aggressive``, and those of
    ``create_retry_policy``.

    May be used by any number of tasks and loops at once. An operation that succeeds at once costs about a microsecond
    and talks to nobody.
    """

    component: ClassVar[str] = "retry"
    unavailable: ClassVar[type[ResilienceException]] = RetryExecutionError

    def __init__(
        self,
        config: RetryConfiguration | None = None,
        *,
        connection: Connection | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """``connection`` is the tree of a running system, ``rng`` the source of jitter. Raises ``ConfigurationError``
        for an argument of another type.
        """
        self.config = part_for(self, config, RetryConfiguration)
        if not isinstance(rng, random.Random | None):
            raise ConfigurationError(f"RetryManager's rng must be a random.Random or None, got a {type(rng).__name__}")
        super().__init__(connection)
        self._rng = rng if rng is not None else random.Random()  # noqa: S311 - jitter
        self._account = uuid.uuid4().hex
        self._first_tries = 0
        self._resolved: dict[tuple[str, bool], NamedRetry] = {}

    # ------------------------------------------------------------------------------------------------ policies

    async def create_retry_policy(self, policy_config: Mapping[str, Any]) -> str:
        """Keep a policy (see ``definitions.retry_policy`` for the keys); returns its id: its name, or ``name-2`` and so
        on if another policy has that name. Raises ``RetryConfigurationError`` naming key, value and range.
        """
        name, policy = retry_policy(policy_config)
        chosen: str = await self._call("retries", DefinePolicy(name, policy))
        return chosen

    def _policy(self, policy_id: str | None) -> NamedRetry:
        wanted = self.config.default_policy if policy_id is None else policy_id
        key = (wanted, self.config.jitter_enabled)
        known = self._resolved.get(key) if isinstance(wanted, str) else None
        if known is None:
            known = self._resolved[key] = self._found(wanted)
        return known

    def _found(self, wanted: Any) -> NamedRetry:
        try:
            found = NamedRetry.of(self._connection.memory.retry.book.get("retry", wanted))
        except UnknownPolicyError as unknown:
            raise RetryPolicyNotFoundError.because(str(unknown), policy=str(wanted)) from None
        return found if self.config.jitter_enabled else attrs.evolve(found, jitter_enabled=False)

    # ---------------------------------------------------------------------------------------------- judgements

    async def classify_failure(self, error: BaseException, retry_policy_id: str | None = None) -> str:
        """``"transient"`` if another try can help, ``"permanent"`` if not, by the classification table and the words of
        the policy. Raises ``RetryPolicyNotFoundError``.
        """
        return str(self._verdict(error, self._policy(retry_policy_id)).persistence)

    async def calculate_backoff_delay(self, attempt: int, retry_policy_id: str | None = None) -> float:
        """Seconds to wait after the failed try number ``attempt`` (from 1), jitter included. Raises
        ``RetryConfigurationError`` for another number, ``RetryPolicyNotFoundError``.
        """
        if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt < 1:
            raise RetryConfigurationError.because(
                f"attempt counts failed tries from 1, got {attempt!r}", field="attempt"
            )
        return self._policy(retry_policy_id).waits().delay(attempt, self._rng)

    def _verdict(self, error: BaseException, policy: NamedRetry) -> Verdict:
        verdict = policy.classifier.classify(failure_of(error))
        if self.config.failure_classification_enabled or verdict.remedy is Remedy.PROPAGATE:
            return verdict
        return attrs.evolve(verdict, persistence=Persistence.TRANSIENT, max_tries=None)

    # ----------------------------------------------------------------------------------------------- execution

    async def execute_with_retry(
        self, operation: Callable[..., Any], retry_policy_id: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """What ``operation(*args, **kwargs)`` returns, tried again as the policy says.

        ``operation`` is a coroutine function, or any function that returns an awaitable or a value. Every try calls it
        anew. Between tries nothing is held; later tries of this manager run ``max_concurrent_retries`` at a time.

        Raises ``PermanentFailureError`` when another try cannot help and ``MaxRetriesExceededError`` when all are used
        (also: when the server asks for a pause longer than the policy's cap; ``context["retry_after"]`` says how long),
        both with the failure as ``__cause__``. Cancellation, interrupts and the kernel's own exits pass through, and so
        do these two errors from an ``execute_with_retry`` inside of the operation: retries do not multiply. With
        ``enabled=False`` the operation is called once and its error is raised as it is. Also raises
        ``RetryPolicyNotFoundError``, ``RetryConfigurationError``, and ``RetryExecutionError`` when the retry desk does
        not answer.
        """
        if not callable(operation):
            raise _no_operation(operation)
        self._require_open()
        policy = self._policy(retry_policy_id) if self.config.enabled else None
        self._first_tries += 1
        try:
            result = operation(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        except Exception as error:
            if policy is None:
                raise
            first = error
        return await _Retrying(self, policy, lambda: operation(*args, **kwargs)).go_on(first)


class _Retrying:
    """One operation after its first failed try."""

    def __init__(self, manager: RetryManager, policy: NamedRetry, operation: Callable[[], Any]) -> None:
        self._manager = manager
        self._policy = policy
        self._operation = operation
        self._state = RetryState().tried(time.monotonic())
        self._id = uuid.uuid4().hex

    async def go_on(self, error: Exception) -> Any:
        while True:
            failed = self._judged(error)
            if failed.decision.action is not RetryAction.RETRY:
                self._give_up(failed)
            self._tell(EventType.RETRY_ATTEMPTED, Severity.LOW, failed, delay=round(failed.decision.delay, 3))
            self._state = self._state.after(failed.decision)
            try:
                await self._wait(failed.decision.delay)
                result = await self._later_try()
            except (RetryExecutionError, TreeUnavailableError) as unavailable:
                raise unavailable from error
            except _OperationFailed as again:
                error = again.error
            else:
                attempts = self._state.attempts
                self._manager._emit(EventType.RETRY_SUCCEEDED, attempts=attempts)
                return result

    def _judged(self, error: Exception) -> _Failed:
        if isinstance(error, MaxRetriesExceededError | PermanentFailureError):
            raise error
        failure = failure_of(error)
        verdict = self._manager._verdict(error, self._policy)
        if verdict.remedy is Remedy.PROPAGATE:
            raise error
        decision = self._policy.decide(
            self._state,
            verdict,
            now=time.monotonic(),
            rng=self._manager._rng,
            retry_after=asked_pause(error, failure, time.time()),
        )
        return _Failed(error, failure, verdict, decision)

    def _give_up(self, failed: _Failed) -> NoReturn:
        attempts, reason = self._state.attempts, failed.decision.reason
        text = redact_text(f"{failed.failure.type}: {failed.line}")[:500]
        context: dict[str, Any] = {
            "attempts": attempts,
            "reason": reason,
            "category": failed.verdict.category.value,
            "rule": failed.verdict.rule_id,
            "error": text,
        }
        if reason == "permanent":
            self._tell(EventType.PERMANENT_FAILURE, Severity.HIGH, failed)
            raise PermanentFailureError.because(
                f"another try cannot help ({failed.verdict.rule_id}): {text}", **context
            ) from failed.error
        self._tell(EventType.RETRY_EXHAUSTED, Severity.HIGH, failed)
        if failed.decision.action is RetryAction.DEFER:
            raise MaxRetriesExceededError.because(
                f"the server asks for a pause of {failed.decision.delay:.0f} s, more than the "
                f"{self._policy.retry_after_cap:.0f} s that this policy waits: {text}",
                "RETRY_AFTER_TOO_LONG",
                **context,
                retry_after=failed.decision.delay,
            ) from failed.error
        tries = "try" if attempts == 1 else "tries"
        raise MaxRetriesExceededError.because(
            f"{attempts} {tries} failed ({reason}), the last one with {text}", **context
        ) from failed.error

    def _tell(self, kind: EventType, severity: Severity, failed: _Failed, **data: Any) -> None:
        self._manager._emit(
            kind,
            None,
            severity,
            attempt=self._state.attempts,
            error_type=failed.failure.type,
            error=failed.line[:300],
            category=failed.verdict.category.value,
            reason=failed.decision.reason,
            stack=stack_of(failed.error),
            **data,
        )

    async def _wait(self, delay: float) -> None:
        """The pause; longer if the budget has nothing for this retry while other operations begin."""
        refused_at: int | None = None
        for number in itertools.count(1):
            tries = self._manager._first_tries
            wish = Withdraw(self._manager._account, f"{self._id}-{self._state.attempts}-{number}", tries, refused_at)
            paid = await self._manager._call("retries", wish)
            await asyncio.sleep(delay)
            if paid or self._overdue():
                return
            refused_at = tries

    def _overdue(self) -> bool:
        started, limit = self._state.started, self._policy.total_timeout
        return limit is not None and started is not None and time.monotonic() - started >= limit

    async def _later_try(self) -> Any:
        account = self._manager._account
        holding = _in_later_try.get()
        slot = Slot()
        try:
            if account not in holding:
                self._manager._require_open()
                limit = self._manager.config.max_concurrent_retries
                await self._manager._connection.call_patiently(
                    "retries", TakeSlot(account, limit, slot), error=RetryExecutionError
                )
            self._state = self._state.tried(time.monotonic())
            token = _in_later_try.set(holding | {account})
            try:
                result = self._operation()
                return await result if inspect.isawaitable(result) else result
            except Exception as error:
                raise _OperationFailed(error) from error
            finally:
                _in_later_try.reset(token)
        finally:
            if account not in holding:
                slot.free()
                self._manager._connection.tell("retries", FreeSlots(account))


class _OperationFailed(Exception):  # noqa: N818 - carries the operation's own error past ours
    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


def _no_operation(operation: Any) -> RetryConfigurationError:
    if inspect.isawaitable(operation):
        if inspect.iscoroutine(operation):
            operation.close()
        return RetryConfigurationError.because(
            "execute_with_retry takes the function, not what it returned: a coroutine can be awaited once only. Pass "
            "the function and its arguments: execute_with_retry(fetch, policy, url)",
            field="operation",
        )
    return RetryConfigurationError.because(
        f"operation must be a function, got {type(operation).__name__}", field="operation"
    )
