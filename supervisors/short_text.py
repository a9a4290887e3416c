"""Text for people of values whose own text may be long, secret, broken or missing."""

import reprlib
from typing import TYPE_CHECKING, Any

from supervisors.exits import Killed

if TYPE_CHECKING:
    from supervisors.actor import Actor


def short_text(value: Any, limit: int) -> str:
    """``repr`` cut to ``limit`` characters, and to a few elements of each container. Raises nothing but ``Killed``."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = limit
    brief.maxlist = brief.maxtuple = brief.maxdict = brief.maxset = brief.maxfrozenset = brief.maxdeque = 20
    brief.maxlevel = 4
    try:
        text = brief.repr(value)
    except Killed:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code: who merely looks must not end the actor
        text = f"<{type(value).__name__}: its text cannot be read, {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def redacted_text(actor: "Actor", name: str, value: Any, limit: int) -> str:
    """The same of what the actor lets be seen. If its hook fails, nothing is."""
    try:
        value = actor.redact(name, value)
    except Killed:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code
        return f"<not shown: redact failed with {type(error).__name__}>"
    return short_text(value, limit)
