"""How one call of Playwright's API is to be treated: how long it may take, what it leaves behind. Found out once per
method.
"""

import datetime as dt
import enum
import inspect
from collections.abc import Mapping
from typing import Any

import attrs

from scorewise_actors.browser.taint import Taint, taint_of

MARGIN = 5.0
"""Seconds added to Playwright's own timeout of a call: a driver that answers at all, if slowly, tells it first."""

TRANSFER_SECONDS = 600.0
"""For calls that wait until a whole download is there. A dead browser ends them at once, a frozen one with its
heartbeat."""

_NAVIGATIONS = frozenset(
    {
        *("goto", "reload", "go_back", "go_forward", "set_content", "wait_for_url", "wait_for_load_state"),
        *("expect_navigation", "fetch", "get", "post", "put", "patch", "delete", "head"),
    }
)
_TRANSFERS = frozenset({("Download", "path"), ("Download", "save_as"), ("Download", "failure")})


class Kind(enum.Enum):
    """What an attribute of a Playwright object is."""

    AWAIT = "a coroutine method"
    CALL = "a plain method"
    VALUE = "a property or a plain attribute"


class Allowance(enum.Enum):
    """Which of the deadlines in force applies."""

    OPERATION = "operation"
    NAVIGATION = "navigation"
    TRANSFER = "transfer"


@attrs.frozen
class Plan:
    """One attribute of one Playwright class."""

    kind: Kind
    name: str
    what: str
    """How Playwright's own messages call it: ``"Page.goto"``."""
    allowance: Allowance
    has_timeout: bool
    """Whether Playwright takes a ``timeout=`` for it (milliseconds)."""
    taint: Taint

    def deadline(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, operation: float, navigation: float
    ) -> float | None:
        """Seconds this call may take; None when the caller asked for no limit (``timeout=0``)."""
        if self.has_timeout:
            asked = args[0] if self.name == "wait_for_timeout" and args else kwargs.get("timeout")
            if asked is not None:
                seconds = seconds_of(asked)
                return seconds + MARGIN if seconds or self.name == "wait_for_timeout" else None
        if self.allowance is Allowance.TRANSFER:
            return TRANSFER_SECONDS
        seconds = navigation if self.allowance is Allowance.NAVIGATION else operation
        if self.has_timeout:
            return seconds + MARGIN if seconds else None
        return (seconds or operation) + _typing_seconds(args, kwargs)


def _typing_seconds(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    """``keyboard.type(text, delay=ms)`` takes its time by request."""
    delay = kwargs.get("delay")
    text = args[0] if args else kwargs.get("text")
    return len(text) * seconds_of(delay) if isinstance(text, str) and delay is not None else 0.0


def seconds_of(duration: float | dt.timedelta) -> float:
    """Playwright's durations, milliseconds or timedelta, in seconds."""
    return duration.total_seconds() if isinstance(duration, dt.timedelta) else duration / 1000


_plans: dict[tuple[type, str], Plan] = {}


def plan_of(kind: type, name: str) -> Plan:
    """The plan for the attribute ``name`` of the Playwright class ``kind``."""
    plan = _plans.get((kind, name))
    if plan is None:
        plan = _plans[kind, name] = _find_out(kind, name)
    return plan


def _find_out(kind: type, name: str) -> Plan:
    found = inspect.getattr_static(kind, name, None)
    what = Kind.VALUE
    has_timeout = False
    if inspect.isfunction(found):
        what = Kind.AWAIT if inspect.iscoroutinefunction(found) else Kind.CALL
        has_timeout = "timeout" in inspect.signature(found).parameters
    allowance = Allowance.OPERATION
    if name in _NAVIGATIONS:
        allowance = Allowance.NAVIGATION
    elif (kind.__name__, name) in _TRANSFERS:
        allowance = Allowance.TRANSFER
    return Plan(what, name, f"{kind.__name__}.{name}", allowance, has_timeout, taint_of(kind.__name__, name))
