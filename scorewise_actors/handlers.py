"""What counts as a handler: checked before a job starts, so that a mistake costs a sentence and not a run."""

import functools
import inspect
from typing import Any

from scorewise_actors.errors import ConfigurationError


def check_handler(handler: Any) -> None:
    """Raise ``ConfigurationError`` unless ``handler`` is an async callable of one argument."""
    name = getattr(handler, "__qualname__", None) or repr(handler)
    if not callable(handler):
        raise ConfigurationError(f"the handler must be an async function of one argument, got {handler!r}")
    inner = handler
    while isinstance(inner, functools.partial):
        inner = inner.func
    if inspect.isclass(inner):
        raise ConfigurationError(f"the handler {name} is a class; pass an async function or an instance")
    if not inspect.iscoroutinefunction(inner) and not inspect.iscoroutinefunction(getattr(inner, "__call__", None)):  # noqa: B004 - asked for the method itself
        raise ConfigurationError(f"the handler {name} is not async; write 'async def' in front of it")
    try:
        inspect.signature(handler).bind(object())
    except TypeError as error:
        raise ConfigurationError(f"the handler {name} must take one argument, the context: {error}") from None
    except ValueError:  # a callable without a signature: believed
        return
