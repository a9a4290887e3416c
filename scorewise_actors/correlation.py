"""One id for everything that belongs together: through log records, events, messages to actors, threads and tasks.

The id is a context variable, so tasks and ``asyncio.to_thread`` inherit it by themselves. It travels to an actor in the
message (`Tracked`), and is the actor's own while the message is in hand.
"""

import contextlib
import contextvars
import uuid
from collections.abc import Iterator
from typing import Any

import attrs

_LIMIT = 200

_current: contextvars.ContextVar[str | None] = contextvars.ContextVar("scorewise_correlation_id", default=None)


@attrs.frozen
class Tracked:
    """A message on its way to an actor, with the correlation id of its sender."""

    message: Any
    correlation_id: str | None


def correlation_id() -> str | None:
    """The id in force in this thread or task; None outside of every `correlation`."""
    return _current.get()


def new_correlation_id() -> str:
    """A new id: 32 hex digits."""
    return uuid.uuid4().hex


@contextlib.contextmanager
def correlation(given: str | None = None) -> Iterator[str]:
    """Everything in the ``with`` block belongs together under `given`, or under a new id; the block gets the id.

    Blocks nest; the inner id is in force inside. Raises ``ValueError`` for an id that is no text of 1 to 200 letters.
    """
    if given is not None and not (isinstance(given, str) and 0 < len(given) <= _LIMIT):
        raise ValueError(f"correlation id must be a text of 1 to {_LIMIT} characters, got {given!r}")
    chosen = given if given is not None else new_correlation_id()
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
