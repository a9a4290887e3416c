"""What counts as a handler: checked before a job starts, so that a mistake costs a sentence and not a run."""

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator
from typing import Any

from scorewise_actors.errors import ConfigurationError
from scorewise_actors.job import Handler, ScrapeContext


def check_handler(handler: Any) -> None:
    """Raise ``ConfigurationError`` unless ``handler`` can be called with one argument, the context, and is async.

    That is an async function or method, an async generator function, an object whose ``__call__`` is one of these, a
    ``functools.partial`` of one, or a wrapper that names one with ``functools.wraps``.
    """
    _check_kind(handler)
    try:
        inspect.signature(handler).bind(object())
    except TypeError as error:
        raise ConfigurationError(
            f"the handler {_name(handler)} must take one argument, the context: {error}; functools.partial gives others"
        ) from None
    except ValueError:  # a callable without a signature: believed
        return


async def call_handler(handler: Handler, context: ScrapeContext) -> None:
    """Run a handler on one page and record what it returns, or each value that it yields.

    Raises what the handler raises, and ``TypeError`` for a value that is neither a dict nor a list.
    """
    called: Any = handler(context)
    if isinstance(called, AsyncGenerator):
        async with contextlib.aclosing(called) as values:
            async for value in values:
                await _push(context, value, "yielded")
        return
    if not inspect.isawaitable(called):
        raise TypeError(f"the handler {_name(handler)} is not async: it returned a {type(called).__name__} at once")
    await _push(context, await called, "returned")


def is_async(function: Any) -> bool:
    """Whether calling it gives something that can be awaited or iterated asynchronously, as far as one can tell."""
    seen = inspect.unwrap(function) if callable(function) else function
    return inspect.iscoroutinefunction(seen) or inspect.isasyncgenfunction(seen)


async def _push(context: ScrapeContext, value: Any, how: str) -> None:
    if isinstance(value, dict | list):
        await context.push_data(value)
    elif value is not None:
        raise TypeError(f"the handler {how} a {type(value).__name__}; give a dict, a list of dicts or None")


def _check_kind(handler: Any) -> None:
    name = _name(handler)
    if inspect.iscoroutine(handler) or inspect.isasyncgen(handler):
        call = "a coroutine" if inspect.iscoroutine(handler) else "an async generator"
        if inspect.iscoroutine(handler):
            handler.close()  # it will never be awaited, which Python would complain about
        raise ConfigurationError(
            f"the handler {name} has been called already and is {call}; give the function itself, without parentheses"
        )
    if not callable(handler):
        raise ConfigurationError(f"the handler must be an async function of one argument, got {handler!r}")
    inner = handler
    while isinstance(inner, functools.partial):
        inner = inner.func
    if inspect.isclass(inner):
        raise ConfigurationError(
            f"the handler {name} is a class; give an async function, or an instance with an async __call__"
        )
    if is_async(inner) or is_async(getattr(inner, "__call__", None)):  # noqa: B004 - asked for the method itself
        return
    if inspect.isgeneratorfunction(inspect.unwrap(inner)):
        raise ConfigurationError(f"the handler {name} is a generator that is not async; write 'async def'")
    if getattr(inner, "__name__", "") == "<lambda>":
        raise ConfigurationError(
            f"the handler {name} is a lambda, which is not async; give the async function itself, or functools.partial"
        )
    raise ConfigurationError(f"the handler {name} is not async; write 'async def' in front of it")


def _name(handler: Any) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return getattr(handler, "__qualname__", None) or repr(handler)
