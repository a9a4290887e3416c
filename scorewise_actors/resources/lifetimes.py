"""Which browsers are beyond their lifetime, and what a sample says of it: the one reading of ``browser_lifetime``.

Each browser has a limit of its own, within the threshold's jitter, and always the same.
"""

from collections.abc import Collection

from policies.thresholds import BROWSER_LIFETIME, Threshold, ThresholdPolicy
from scorewise_actors.resources.processes import BrowserProcess


def lifetime_reading(policy: ThresholdPolicy, browsers: Collection[BrowserProcess], now: float) -> float | None:
    """The reading ``browser_lifetime`` at Unix time ``now``, None without browsers: the age of the browser that is
    nearest to its limit, in terms of the policy's. It passes the limit when that browser passes its own.
    """
    threshold = _limit_in(policy)
    if threshold is None:
        return max((browser.age(now) for browser in browsers), default=None)
    return max((_part_used(threshold, browser, now) * threshold.limit for browser in browsers), default=None)


def overdue_browsers(
    policy: ThresholdPolicy, browsers: Collection[BrowserProcess], now: float
) -> tuple[BrowserProcess, ...]:
    """The browsers beyond their own limit at Unix time ``now``, the most overdue first."""
    threshold = _limit_in(policy)
    if threshold is None:
        return ()
    parts = {browser: _part_used(threshold, browser, now) for browser in browsers}
    return tuple(sorted((browser for browser in browsers if parts[browser] >= 1), key=lambda one: -parts[one]))


def _limit_in(policy: ThresholdPolicy) -> Threshold | None:
    threshold = policy.for_resource(BROWSER_LIFETIME)
    return threshold if threshold is not None and threshold.limit else None


def _part_used(threshold: Threshold, browser: BrowserProcess, now: float) -> float:
    # its start time tells it from the browser that had the same pid before it
    return browser.age(now) / threshold.for_subject(f"{browser.pid} {browser.started}").limit
