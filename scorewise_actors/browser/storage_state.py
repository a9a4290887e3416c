"""Cookies and storage of a context, as Playwright gives them back to a new one."""

import inspect
from typing import Any

from playwright.async_api import BrowserContext

_EVERYTHING = (
    {"indexed_db": True}  # newer than Playwright 1.49
    if "indexed_db" in inspect.signature(BrowserContext.storage_state).parameters
    else {}
)


async def storage_state(context: BrowserContext) -> dict[str, Any]:
    """``{"cookies": [...], "origins": [...]}``: cookies, local storage and, where Playwright can, IndexedDB; plain
    values, to be given to ``Browser.new_context(storage_state=...)``. To be awaited under a guard or deadline.
    """
    return dict(await context.storage_state(**_EVERYTHING))  # type: ignore[arg-type]
