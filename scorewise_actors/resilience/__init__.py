"""The resilience API: asyncio managers for checkpoints, retries, resources, aborts and failures.

They are clients of the same actors and policies as everything else here: bound to a running ``ActorSystem``
(``system.retries``, ...) or, constructed alone, to a small tree of their own that starts on first use.
"""

from policies.abort_decision import AbortStep, Measure
from scorewise_actors.correlation import correlation, correlation_id
from scorewise_actors.events import EventHub, EventType, ResilienceEvent, Severity
from scorewise_actors.failure_events import FailureEvent, RecoveryAction
from scorewise_actors.resilience import presets, sources
from scorewise_actors.resilience.abort import AbortManager
from scorewise_actors.resilience.browser_session import (
    BrowserSession,
    capture_browser_state,
    restore_browser_state,
)
from scorewise_actors.resilience.checkpoint import CheckpointManager
from scorewise_actors.resilience.configuration import (
    AbortConfiguration,
    CheckpointConfiguration,
    LoggingConfiguration,
    ResilienceConfiguration,
    ResourceConfiguration,
    RetryConfiguration,
)
from scorewise_actors.resilience.errors import (
    AbortConfigurationError,
    AbortExecutionError,
    AbortPolicyNotFoundError,
    CheckpointCorruptionError,
    CheckpointCreationError,
    CheckpointNotFoundError,
    CheckpointValidationError,
    FailureHandlingError,
    MaxRetriesExceededError,
    PermanentFailureError,
    ResilienceException,
    ResourceCleanupError,
    ResourceMonitoringError,
    ResourceThresholdExceededError,
    ResourceThresholdNotFoundError,
    RetryConfigurationError,
    RetryExecutionError,
    RetryPolicyNotFoundError,
    TreeUnavailableError,
)
from scorewise_actors.resilience.failure import FailureHandler
from scorewise_actors.resilience.resource import ResourceMonitor
from scorewise_actors.resilience.retry import RetryManager

__all__ = [
    "AbortConfiguration",
    "AbortConfigurationError",
    "AbortExecutionError",
    "AbortManager",
    "AbortPolicyNotFoundError",
    "AbortStep",
    "BrowserSession",
    "CheckpointConfiguration",
    "CheckpointCorruptionError",
    "CheckpointCreationError",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "CheckpointValidationError",
    "EventHub",
    "EventType",
    "FailureEvent",
    "FailureHandler",
    "FailureHandlingError",
    "LoggingConfiguration",
    "MaxRetriesExceededError",
    "Measure",
    "PermanentFailureError",
    "RecoveryAction",
    "ResilienceConfiguration",
    "ResilienceEvent",
    "ResilienceException",
    "ResourceCleanupError",
    "ResourceConfiguration",
    "ResourceMonitor",
    "ResourceMonitoringError",
    "ResourceThresholdExceededError",
    "ResourceThresholdNotFoundError",
    "RetryConfiguration",
    "RetryConfigurationError",
    "RetryExecutionError",
    "RetryManager",
    "RetryPolicyNotFoundError",
    "Severity",
    "TreeUnavailableError",
    "capture_browser_state",
    "correlation",
    "correlation_id",
    "presets",
    "restore_browser_state",
    "sources",
]
