"""``ResilienceConfiguration`` and its parts, checked when they are written down and when they are changed.

Every field has a default that works at once. Errors are ``ConfigurationError`` and name field, value and range.
"""

from pathlib import Path
from typing import Any, TypeVar

import attrs

from policies import validation
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.resilience import logs

_Part = TypeVar("_Part")
_flag = validation.instance_of(bool, error=ConfigurationError)


def _within(low: float, high: float, unit: str, *, whole: bool = False) -> validation.Validator:
    def check(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        fits = validation.is_number(value, low, high) and (isinstance(value, int) or not whole)
        if not fits:
            kind = "whole number" if whole else "number"
            raise ConfigurationError(
                f"{type(instance).__name__}.{attribute.name} must be a {kind} of {unit} from {low:g} to {high:g}, "
                f"got {value!r}"
            )

    return check


def _name(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} must be the name of a policy, got {value!r}"
        )


def _path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value else value


def _folder(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, Path) or "\0" in str(value):
        raise ConfigurationError(f"{type(instance).__name__}.{attribute.name} must be a folder's path, got {value!r}")


def _a(kind: type) -> validation.Validator:
    return validation.instance_of(kind, error=ConfigurationError)


def part_for(manager: object, given: _Part | None, kind: type[_Part]) -> _Part:
    """`given`, the part of a configuration that `manager` takes, or a new one with the defaults for None. Raises
    ``ConfigurationError`` for anything else.
    """
    if not isinstance(given, kind | None):
        raise ConfigurationError(
            f"{type(manager).__name__} takes a {kind.__name__} (of a ResilienceConfiguration its part), got a "
            f"{type(given).__name__}"
        )
    return given if given is not None else kind()


@attrs.define(kw_only=True)
class CheckpointConfiguration:
    """How jobs' states are kept. See ``CheckpointManager``."""

    enabled: bool = attrs.field(default=True, validator=_flag)
    interval: float = attrs.field(default=300, validator=_within(0.1, 86_400, "seconds"))
    """Seconds between two checkpoints that the manager takes by itself."""
    retention_count: int = attrs.field(default=10, validator=_within(1, 1000, "checkpoints", whole=True))
    """Checkpoints kept for each job; older ones are deleted."""
    compression_enabled: bool = attrs.field(default=True, validator=_flag)
    encryption_enabled: bool = attrs.field(default=True, validator=_flag)
    """With ``SCOREWISE_CHECKPOINT_KEY``, or a key file that is made on first use outside of the storage path."""
    storage_path: Path = attrs.field(default=Path("data/checkpoints"), converter=_path, validator=_folder)
    validation_enabled: bool = attrs.field(default=True, validator=_flag)
    """Read back and compare what was written before it counts."""


@attrs.define(kw_only=True)
class RetryConfiguration:
    """How failed operations are tried again. See ``RetryManager``."""

    enabled: bool = attrs.field(default=True, validator=_flag)
    """Off: an operation is called once and its error is raised as it is."""
    default_policy: str = attrs.field(default="exponential_backoff", validator=_name)
    """For calls that name none."""
    max_concurrent_retries: int = attrs.field(default=10, validator=_within(1, 1000, "retries", whole=True))
    """Later tries that run at the same time; first tries are not limited."""
    jitter_enabled: bool = attrs.field(default=True, validator=_flag)
    failure_classification_enabled: bool = attrs.field(default=True, validator=_flag)
    """Off: every failure counts as transient."""


@attrs.define(kw_only=True)
class ResourceConfiguration:
    """What is watched, and what is done when it runs short. See ``ResourceMonitor``."""

    enabled: bool = attrs.field(default=True, validator=_flag)
    monitoring_interval: float = attrs.field(default=30, validator=_within(0.1, 86_400, "seconds"))
    default_threshold: str = attrs.field(default="production", validator=_name)
    auto_cleanup_enabled: bool = attrs.field(default=True, validator=_flag)
    browser_restart_enabled: bool = attrs.field(default=True, validator=_flag)
    memory_limit_mb: float = attrs.field(default=2048, validator=_within(16, 1e9, "MB"))
    """Memory of the whole tree: Python, drivers, browsers."""
    cpu_limit_percent: float = attrs.field(default=80.0, validator=_within(1, 100, "percent"))


@attrs.define(kw_only=True)
class AbortConfiguration:
    """When a job is given up. See ``AbortManager``."""

    enabled: bool = attrs.field(default=True, validator=_flag)
    """Off: failures are recorded and analysed, nothing is aborted."""
    default_policy: str = attrs.field(default="conservative", validator=_name)
    """For calls that name none."""
    evaluation_interval: float = attrs.field(default=60, validator=_within(0.1, 86_400, "seconds"))
    """Between two judgements of a job that nobody asks about."""
    min_operations_before_eval: int = attrs.field(default=10, validator=_within(1, 1e9, "operations", whole=True))
    """No job with fewer outcomes than this is aborted, whatever its policy says."""
    abort_notification_enabled: bool = attrs.field(default=True, validator=_flag)


def _told(instance: "LoggingConfiguration", attribute: "attrs.Attribute[Any]", value: Any) -> Any:
    _flag(instance, attribute, value)
    logs.switch(attribute.name, on=value)
    return value


@attrs.define(kw_only=True)
class LoggingConfiguration:
    """What the log of the resilience parts shows. Setting a field takes effect at once, for the whole process."""

    debug_enabled: bool = attrs.field(default=False, validator=_flag, on_setattr=_told)
    """Records of all levels from the logger ``scorewise_actors.resilience`` of Python's ``logging``."""
    include_stack_traces: bool = attrs.field(default=False, validator=_flag, on_setattr=_told)
    """Records of failures carry the traceback."""

    def __attrs_post_init__(self) -> None:
        for name in ("debug_enabled", "include_stack_traces"):
            if getattr(self, name):
                logs.switch(name, on=True)


@attrs.define
class ResilienceConfiguration:
    """All parts together: ``ResilienceConfiguration()`` works at once.

    ``sources.load`` reads a TOML file and the environment, ``presets`` has two to begin with.
    """

    checkpoint: CheckpointConfiguration = attrs.field(
        factory=CheckpointConfiguration, validator=_a(CheckpointConfiguration)
    )
    retry: RetryConfiguration = attrs.field(factory=RetryConfiguration, validator=_a(RetryConfiguration))
    resource: ResourceConfiguration = attrs.field(factory=ResourceConfiguration, validator=_a(ResourceConfiguration))
    abort: AbortConfiguration = attrs.field(factory=AbortConfiguration, validator=_a(AbortConfiguration))
    logging: LoggingConfiguration = attrs.field(factory=LoggingConfiguration, validator=_a(LoggingConfiguration))
