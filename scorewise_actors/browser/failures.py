"""What is known about a failure beyond its exception: facts for classification, and whether our own machinery was to
blame.
"""

import asyncio
import re
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from policies.exception_facts import message_of
from scorewise_actors.browser.errors import BrowserGone, DriverGone, GoneError, GuardTimeout
from scorewise_actors.browser.pages import PageSlot

_NET_ERROR = re.compile(r"\bnet::(ERR_[A-Z0-9_]+)")
_DEATHLIKE = re.compile(r"ERR_ABORTED|closed|crash|detached")
_NOTICE_SECONDS = 1.0
"""How long after such an error the notice of a death may come: on a loaded machine the crash event is this late."""
_API = re.compile(r"^([A-Z][A-Za-z]*\.[a-z_]+): ")


def failure_facts(error: BaseException, slot: PageSlot | None) -> dict[str, Any]:
    """Facts about ``error``, raised while an item used ``slot``, as keyword arguments for a classifier. Asks nobody,
    never fails.

    Keys, each only when known: ``status`` (int) and ``headers`` (dict) of the last main document; ``code`` (a
    Chromium net error such as ``"net::ERR_CONNECTION_RESET"``, or a system code such as ``"ECONNREFUSED"``); ``api``
    (``"Page.goto"``); ``browser_connected``, ``page_crashed`` (bool); ``deadline_exceeded`` (bool): a call got no
    answer *and* the browser gives none either. A page whose own script is stuck in a browser that answers has
    ``deadline_exceeded`` False.
    """
    facts: dict[str, Any] = {}
    first_line = message_of(error).partition("\n")[0]
    if (code := _code_of(error, first_line)) is not None:
        facts["code"] = code
    if (api := _api_of(error, first_line)) is not None:
        facts["api"] = api
    if slot is None:
        facts["deadline_exceeded"] = isinstance(error, GuardTimeout)
        return facts
    if slot.status is not None:
        facts["status"] = slot.status
        facts["headers"] = dict(slot.headers)
    facts["browser_connected"] = slot.browser.is_connected and not isinstance(error, (BrowserGone, DriverGone))
    facts["page_crashed"] = slot.crashed
    facts["deadline_exceeded"] = isinstance(error, GuardTimeout) and not slot.browser.responsive
    return facts


def is_infrastructure(error: BaseException, slot: PageSlot | None) -> bool:
    """Whether our machinery failed rather than the item, by what is known now. Such a failure costs the item no
    attempt.

    True when browser or driver is gone, whatever the handler made of it, or when a call got no answer from a browser
    that answers nothing. A crashed page and a page that is stuck in its own script are the item's. The judgement of a
    call without answer is only as fresh as the last heartbeat; :func:`diagnose` asks.
    """
    if slot is not None and not slot.browser.is_connected:
        return True
    if isinstance(error, GuardTimeout):
        return slot is None or not slot.browser.responsive
    return isinstance(error, (BrowserGone, DriverGone))


async def diagnose(error: BaseException, slot: PageSlot) -> tuple[dict[str, Any], bool]:
    """``(failure_facts, is_infrastructure)``, after asking where needed; bounded by the heartbeat's deadline.

    When a call was not answered in time (by our deadline or Playwright's), the browser is asked for a heartbeat: that
    tells a frozen browser from a slow site. When something was closed or aborted, the notice that says what died is
    awaited for a moment.
    """
    if isinstance(error, (GuardTimeout, PlaywrightTimeout)) and slot.browser.is_connected:
        try:
            await slot.browser.heartbeat()
        except GuardTimeout:
            facts = failure_facts(error, slot)
            return facts | {"deadline_exceeded": True}, True
        except GoneError:
            pass
    elif isinstance(error, PlaywrightError) and not slot.closed_by_item and _DEATHLIKE.search(str(error)):
        await _any_notice(slot)
    return failure_facts(error, slot), is_infrastructure(error, slot)


async def _any_notice(slot: PageSlot) -> None:
    """Wait a moment for the death of page, browser or driver to be noticed."""
    if any(gone.is_set for gone in slot.gone):
        return
    waiting = [asyncio.ensure_future(gone.wait()) for gone in slot.gone]
    try:
        await asyncio.wait(waiting, timeout=_NOTICE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiting:
            waiter.cancel()


def _code_of(error: BaseException, first_line: str) -> str | None:
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return code
    found = _NET_ERROR.search(first_line)
    return f"net::{found[1]}" if found else None


def _api_of(error: BaseException, first_line: str) -> str | None:
    if isinstance(error, (GuardTimeout, GoneError)):
        return error.what
    found = _API.match(first_line)
    return found[1] if found else None
