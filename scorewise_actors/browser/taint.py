"""What a handler may do to its page that the reset between two items cannot undo.

An item that did such a thing costs a new page or a new context for the next one; it is never told, and the next is
never harmed.
"""

import enum


class Taint(enum.IntEnum):
    """What has to be replaced before the next item, the dearest last."""

    NONE = 0
    PAGE = 1
    CONTEXT = 2


_PAGE = frozenset(
    {
        *("add_init_script", "add_locator_handler", "bring_to_front", "emulate_media", "expose_binding"),
        *("expose_function", "pause", "route_from_har", "route_web_socket", "screencast", "set_extra_http_headers"),
        *("set_viewport_size", "video"),
    }
)

_CONTEXT_HARMLESS = frozenset(
    {
        *("add_cookies", "clear_cookies", "cookies", "storage_state"),  # the reset clears these
        *("new_page", "pages"),  # pages of the item are closed with it
        *("on", "once", "remove_listener", "route", "unroute", "unroute_all"),  # undone by the item's scope
        *("set_default_navigation_timeout", "set_default_timeout"),
        *("background_pages", "browser", "request", "service_workers", "is_closed"),
        *("expect_console_message", "expect_event", "expect_page", "wait_for_event"),
    }
)

_HELD_DOWN = frozenset({("Keyboard", "down"), ("Mouse", "down")})  # a key that nobody lets go stays down


def taint_of(kind: str, name: str) -> Taint:
    """What using the attribute ``name`` of Playwright's class ``kind`` leaves behind.

    For a context everything that is not known to be harmless counts, so what a later Playwright adds is on the safe
    side.
    """
    if kind == "BrowserContext":
        return Taint.NONE if name in _CONTEXT_HARMLESS else Taint.CONTEXT
    if kind == "Page" and name == "clock":
        return Taint.CONTEXT
    if (kind == "Page" and name in _PAGE) or (kind, name) in _HELD_DOWN:
        return Taint.PAGE
    return Taint.NONE
