"""Everything about a system that can be set, checked when it is written down."""

import os
from pathlib import Path
from typing import Any

import attrs

from policies import named, validation
from policies.abort import AbortPolicy
from policies.classify import FailureClassifier
from policies.hosts import HostPolicy
from policies.retry import RetryPolicy
from policies.thresholds import ThresholdPolicy
from scorewise_actors.browser.options import BrowserOptions
from scorewise_actors.errors import ConfigurationError

_seconds = validation.seconds(error=ConfigurationError)
_count = validation.integer(1, 1000, error=ConfigurationError)
_count_or_none = validation.integer(1, 1000, optional=True, error=ConfigurationError)


def _a(kind: type) -> validation.Validator:
    return validation.instance_of(kind, error=ConfigurationError)


def _path(value: Any) -> Path:
    try:
        return Path(value)
    except TypeError:
        raise ConfigurationError(f"SystemConfig.storage_path must be a path, got {value!r}") from None


def _check_key(_config: "SystemConfig", _attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None and not isinstance(value, (bytes, str)):  # told without its value, which may be secret
        kind = type(value).__name__
        raise ConfigurationError(f"SystemConfig.key must be 32 bytes, their base64 or None, got a {kind}")


def _default_browsers() -> int:
    return max(1, (os.cpu_count() or 2) // 2)


@attrs.frozen(kw_only=True)
class SystemConfig:
    """Settings of an ``ActorSystem`` and of the jobs in it. Times in seconds."""

    storage_path: Path = attrs.field(default=Path("storage"), converter=_path)
    """Folder with one folder per job."""
    key: bytes | str | None = attrs.field(default=None, repr=False, validator=_check_key)
    """Encryption key, 32 bytes or their base64; None: ``SCOREWISE_CHECKPOINT_KEY`` or the key file."""
    encrypt: bool = attrs.field(default=True, validator=_a(bool))
    browser: BrowserOptions = attrs.field(factory=BrowserOptions, validator=_a(BrowserOptions))
    max_concurrency: int = attrs.field(default=4, validator=_count)
    """Pages that are worked on at the same time, over all browsers."""
    drivers: int = attrs.field(default=1, validator=_count)
    """Playwright drivers. More cost about 100 MB each and buy isolation, not speed."""
    browsers_per_driver: int | None = attrs.field(default=None, validator=_count_or_none)
    """Browsers of each driver; None: one for every two cores. More buy isolation, not speed."""
    request_handler_timeout: float = attrs.field(default=60.0, validator=_seconds)
    """The handler of one page may take this long."""
    loop_block_limit: float = attrs.field(default=10.0, validator=_seconds)
    """A handler may keep the event loop busy without awaiting for this long; its item fails then."""
    loop_block_grace: float = attrs.field(default=3.0, validator=_seconds)
    """After which its whole event loop is given up, if an exception raised in it did not help."""
    drain_timeout: float = attrs.field(default=30.0, validator=_seconds)
    """After Ctrl-C, pages in hand may take this long."""
    storage_patience: float = attrs.field(default=60.0, validator=_seconds)
    """A full or broken disk is waited for this long, with nothing handed out meanwhile, before the job is halted."""
    monitor_interval: float = attrs.field(default=5.0, validator=_seconds)
    """Between two samples of memory, CPU and disk."""
    retry: RetryPolicy = attrs.field(factory=RetryPolicy, validator=_a(RetryPolicy))
    abort: AbortPolicy = attrs.field(factory=AbortPolicy, validator=_a(AbortPolicy))
    hosts: HostPolicy = attrs.field(factory=HostPolicy, validator=_a(HostPolicy))
    """When a host whose pages do not come is left alone, while the others go on."""
    thresholds: ThresholdPolicy = attrs.field(
        factory=lambda: named.get("thresholds", "production"), validator=_a(ThresholdPolicy)
    )
    classifier: FailureClassifier = attrs.field(factory=FailureClassifier, validator=_a(FailureClassifier))

    def slots(self) -> tuple[tuple[int, ...], ...]:
        """Page slots: for each driver, for each of its browsers, how many. They add up to ``max_concurrency``; a
        browser that would get none is left out.
        """
        browsers = self.browsers_per_driver or _default_browsers()
        total = min(self.drivers * browsers, self.max_concurrency)
        shares = [self.max_concurrency // total + (n < self.max_concurrency % total) for n in range(total)]
        rows = [tuple(shares[driver :: self.drivers]) for driver in range(self.drivers)]
        return tuple(row for row in rows if row)
