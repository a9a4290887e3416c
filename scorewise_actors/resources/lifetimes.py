"""Which browsers are beyond their lifetime, and what a sample says of it: the one reading of ``browser_lifetime``."""

from collections.abc import Iterable

from policies.thresholds import Threshold, ThresholdPolicy
from scorewise_actors.resources.processes import BrowserProcess

BROWSER_LIFETIME = "browser_lifetime"
"""The resource."""


def lifetimes(
    policy: ThresholdPolicy, browsers: Iterable[BrowserProcess], now: float
) -> tuple[float | None, tuple[BrowserProcess, ...]]:
    """The reading ``browser_lifetime`` at Unix time ``now``, and the browsers beyond their own limit, the most overdue
    first.

    Each browser has a limit of its own, within the threshold's jitter, and always the same. The reading is the age of
    the one nearest to its limit, in terms of the policy's: it passes the limit when that browser passes its own.
    """
    threshold = policy.for_resource(BROWSER_LIFETIME)
    if threshold is None or not threshold.limit:
        return max((browser.age(now) for browser in browsers), default=None), ()
    parts = {browser: browser.age(now) / _own_limit(threshold, browser) for browser in browsers}
    overdue = sorted((browser for browser, part in parts.items() if part >= 1), key=lambda one: -parts[one])
    return max((part * threshold.limit for part in parts.values()), default=None), tuple(overdue)


def _own_limit(threshold: Threshold, browser: BrowserProcess) -> float:
    # its start time tells it from the browser that had the same pid before it
    return threshold.for_subject(f"{browser.pid} {browser.started}").limit
