"""Calling what users hand in - notification hooks, abort actions, failure handlers - so that it harms nothing: neither
by raising, nor by hanging, nor by blocking the loop.
"""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import Any

from loguru import logger

from policies.exception_facts import message_of
from supervisors.future import ReplyFuture


class CallbackFailed(Exception):  # noqa: N818 - what happened, not what is wrong
    """The callback raised (``__cause__``) or took too long."""


async def bounded(callback: Callable[..., Any], *arguments: Any, timeout: float, what: str) -> Any:  # noqa: ASYNC109
    """What ``callback(*arguments)`` returns, within ``timeout`` seconds; ``what`` names it in errors.

    A coroutine function runs on this loop; when it is late it is cancelled and not waited for, so one that swallows its
    cancellation holds nobody up. Any other callable runs in a daemon thread of its own. Raises ``CallbackFailed``;
    cancellation passes through.
    """
    if _is_async(callback):
        task = asyncio.ensure_future(_awaited(callback, arguments))
        done, _ = await _waited(task, timeout)
        if not done:
            task.cancel()
            task.add_done_callback(_forget)
            raise CallbackFailed(f"{what} took longer than {timeout:g} s")
        if task.cancelled():
            raise CallbackFailed(f"{what} was cancelled")
        error = task.exception()
        if error is not None:
            raise CallbackFailed(f"{what} raised {text_of(error)}") from error
        return task.result()
    answer = _in_thread(callback, arguments, what)
    try:
        async with asyncio.timeout(timeout):
            kind, value = await answer
    except TimeoutError:
        raise CallbackFailed(f"{what} took longer than {timeout:g} s") from None
    if kind == "raised":
        raise CallbackFailed(f"{what} raised {text_of(value)}") from value
    if inspect.isawaitable(value):  # a plain function that gave us a coroutine
        return await bounded(_returning(value), timeout=timeout, what=what)
    return value


def text_of(error: BaseException) -> str:
    """Type and text of what a callback raised."""
    return f"{type(error).__name__}: {message_of(error)}"


async def _waited(task: "asyncio.Future[Any]", timeout: float) -> Any:  # noqa: ASYNC109
    try:
        return await asyncio.wait({task}, timeout=timeout)
    except asyncio.CancelledError:
        task.cancel()
        raise


def _is_async(callback: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004


async def _awaited(callback: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return await callback(*arguments)
    except (KeyboardInterrupt, SystemExit) as ended:  # asyncio would end the whole loop for it
        raise RuntimeError(f"it raised {type(ended).__name__}") from ended


def _returning(awaitable: Any) -> Callable[[], Any]:
    async def wait() -> Any:
        return await awaitable

    return wait


def _in_thread(callback: Callable[..., Any], arguments: tuple[Any, ...], what: str) -> ReplyFuture:
    answer = ReplyFuture()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            answer.offer(("returned", context.run(callback, *arguments)))
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits
            answer.offer(("raised", error))

    threading.Thread(target=run, name=f"resilience callback {what}", daemon=True).start()
    return answer


def _forget(task: "asyncio.Future[Any]") -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.debug("a callback that was given up ended with {}", text_of(error))
