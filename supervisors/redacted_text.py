"""Text for people of what an actor has in hand, without its secrets."""

from typing import TYPE_CHECKING, Any

from policies.short_text import short_text
from supervisors.exits import Killed

if TYPE_CHECKING:
    from supervisors.actor import Actor


def redacted_text(actor: "Actor", name: str, value: Any, limit: int) -> str:
    """``short_text`` of what the actor lets be seen. If its hook fails, nothing is. Raises nothing but ``Killed``."""
    try:
        value = actor.redact(name, value)
    except Killed:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code
        return f"<not shown: redact failed with {type(error).__name__}>"
    return short_text(value, limit)
