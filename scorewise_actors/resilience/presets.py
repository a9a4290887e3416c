"""The two configurations to begin with."""

from pathlib import Path

from scorewise_actors.resilience.configuration import (
    AbortConfiguration,
    CheckpointConfiguration,
    ResilienceConfiguration,
    ResourceConfiguration,
    RetryConfiguration,
)


def production(storage_path: str | Path = "/data/checkpoints") -> ResilienceConfiguration:
    """For jobs that nobody watches: much is kept, sealed, and little is aborted. A new object at each call."""
    return ResilienceConfiguration(
        checkpoint=CheckpointConfiguration(interval=300, retention_count=20, storage_path=Path(storage_path)),
        retry=RetryConfiguration(default_policy="conservative", max_concurrent_retries=10),
        resource=ResourceConfiguration(
            monitoring_interval=30, default_threshold="production", memory_limit_mb=4096, cpu_limit_percent=75.0
        ),
        abort=AbortConfiguration(default_policy="production", evaluation_interval=60, min_operations_before_eval=20),
    )


def development(storage_path: str | Path = "checkpoints") -> ResilienceConfiguration:
    """For jobs under somebody's eyes: checkpoints that can be looked at, quick retries, nothing cleaned up or aborted
    by itself. A new object at each call.
    """
    return ResilienceConfiguration(
        checkpoint=CheckpointConfiguration(
            interval=60,
            retention_count=5,
            compression_enabled=False,
            encryption_enabled=False,
            storage_path=Path(storage_path),
        ),
        retry=RetryConfiguration(default_policy="aggressive", max_concurrent_retries=3, jitter_enabled=False),
        resource=ResourceConfiguration(
            monitoring_interval=60,
            default_threshold="development",
            auto_cleanup_enabled=False,
            browser_restart_enabled=False,
            memory_limit_mb=1024,
            cpu_limit_percent=90.0,
        ),
        abort=AbortConfiguration(
            enabled=False,
            default_policy="development",
            evaluation_interval=300,
            min_operations_before_eval=5,
            abort_notification_enabled=False,
        ),
    )
