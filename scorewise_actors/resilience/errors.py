"""Errors of the resilience API. All derive from ``ResilienceException``; a bad configuration value is a
``ConfigurationError`` (a ``ValueError``) instead.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from scorewise_actors.correlation import correlation_id as current_correlation_id
from scorewise_actors.errors import ScorewiseError
from scorewise_actors.events import utc_now
from scorewise_actors.redaction import redact


class ResilienceException(ScorewiseError):  # noqa: N818 - the API prescribes the name
    """Base of all of them."""

    default_code: ClassVar[str] = "RESILIENCE_ERROR"

    def __init__(
        self,
        error_code: str,
        message: str,
        context: Mapping[str, Any] | None = None,
        timestamp: dt.datetime | None = None,
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.error_code = error_code
        """For machines, upper case."""
        self.message = message
        """For people: what was wrong, what was expected, what to do."""
        self.context: dict[str, Any] = dict(redact(context or {}))
        """The figures behind it, plain values without secrets."""
        self.timestamp = timestamp if timestamp is not None else utc_now()
        """UTC, aware."""
        self.correlation_id = correlation_id if correlation_id is not None else current_correlation_id()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.error_code, self.message, self.context, self.timestamp, self.correlation_id)

    @classmethod
    def because(cls, message: str, code: str | None = None, **context: Any) -> Self:
        """The error with its class's own code unless ``code`` is given, now, under the correlation id in force."""
        return cls(code or cls.default_code, message, context)


class TreeUnavailableError(ResilienceException):
    """The manager's tree cannot be used: closed, not running, or no event loop to wait on."""

    default_code = "TREE_UNAVAILABLE"


class CheckpointCreationError(ResilienceException):
    """The checkpoint was not written; earlier ones are as they were."""

    default_code = "CHECKPOINT_CREATION_FAILED"


class CheckpointCorruptionError(ResilienceException):
    """What is on disk is not what was written."""

    default_code = "CHECKPOINT_CORRUPTED"


class CheckpointNotFoundError(ResilienceException, LookupError):
    """There is no such checkpoint."""

    default_code = "CHECKPOINT_NOT_FOUND"


class CheckpointValidationError(ResilienceException):
    """The checkpoint or what was to be checkpointed does not hold what it must."""

    default_code = "CHECKPOINT_INVALID"


class MaxRetriesExceededError(ResilienceException):
    """All tries failed; ``__cause__`` is the last failure."""

    default_code = "MAX_RETRIES_EXCEEDED"


class PermanentFailureError(ResilienceException):
    """Another try cannot help; ``__cause__`` is the failure."""

    default_code = "PERMANENT_FAILURE"


class RetryPolicyNotFoundError(ResilienceException, LookupError):
    """No retry policy has that id; the message lists those there are."""

    default_code = "RETRY_POLICY_NOT_FOUND"


class RetryConfigurationError(ResilienceException, ValueError):
    """A retry policy or call cannot be used as given."""

    default_code = "RETRY_CONFIGURATION_INVALID"


class RetryExecutionError(ResilienceException):
    """The retry machinery itself did not answer; ``__cause__`` is the failure of the operation, if it had failed."""

    default_code = "RETRY_EXECUTION_FAILED"


class ResourceThresholdExceededError(ResilienceException):
    """A resource is short."""

    default_code = "RESOURCE_THRESHOLD_EXCEEDED"


class ResourceMonitoringError(ResilienceException):
    """Figures cannot be had, or the monitor does not answer."""

    default_code = "RESOURCE_MONITORING_FAILED"


class ResourceCleanupError(ResilienceException):
    """A cleanup could not be carried out."""

    default_code = "RESOURCE_CLEANUP_FAILED"


class ResourceThresholdNotFoundError(ResilienceException, LookupError):
    """No threshold has that id; the message lists those there are."""

    default_code = "RESOURCE_THRESHOLD_NOT_FOUND"


class AbortPolicyNotFoundError(ResilienceException, LookupError):
    """No abort policy has that id; the message lists those there are."""

    default_code = "ABORT_POLICY_NOT_FOUND"


class AbortExecutionError(ResilienceException):
    """The judgement or an action could not be carried out."""

    default_code = "ABORT_EXECUTION_FAILED"


class AbortConfigurationError(ResilienceException, ValueError):
    """An abort policy or call cannot be used as given."""

    default_code = "ABORT_CONFIGURATION_INVALID"


class FailureHandlingError(ResilienceException):
    """A failure could not be recorded or judged."""

    default_code = "FAILURE_HANDLING_FAILED"
