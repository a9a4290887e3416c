"""``guard``: the one way to await anything that Playwright has to answer.

Playwright's own timeouts live in its driver process, and many of its calls have none: with a killed or frozen browser
or driver a bare ``await`` may never return. The guard returns within its deadline whatever happens on the other side,
and at once when the other side is known to be dead.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from scorewise_actors.browser.errors import GuardTimeout, is_target_closed
from scorewise_actors.browser.gone import Gone

T = TypeVar("T")

SETTLE_SECONDS = 0.1
"""How long a "target closed" error waits for the notice that says which target died (it comes within a few ms)."""

_abandoned: set[asyncio.Future[object]] = set()  # asyncio itself holds tasks weakly


async def guard(awaitable: Awaitable[T], *, deadline: float | None, gone: Iterable[Gone] = (), what: str) -> T:
    """Await ``awaitable`` for at most ``deadline`` seconds (None: no limit) and only while nothing in ``gone`` is gone.

    Returns its result or raises its exception. Raises GuardTimeout when the deadline passes first, the error of the
    ``Gone`` (PageGone, BrowserGone, DriverGone) the moment one is given; give the widest first, it wins. An exception
    of the call itself becomes that error too when the machinery turns out to be dead: the death is the cause.
    ``what`` names the call in messages.

    The call is cancelled when it is given up or when the awaiting task is cancelled, and whatever it says later is
    dropped. On the event loop only.
    """
    gone = tuple(gone)
    call: asyncio.Future[T] = asyncio.ensure_future(awaitable)
    for notice in gone:
        if notice.is_set:
            _abandon(call)
            raise notice.error(what, notice.reason or "")
    loop = call.get_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    call.add_done_callback(wake)
    timer = None if deadline is None else loop.call_later(deadline, wake)
    for notice in gone:
        notice.add_callback(wake)
    try:
        await woken
        if call.done() and not call.cancelled() and (error := call.exception()) is not None:
            if gone and is_target_closed(error):
                await _settle(gone)
            _raise_if_gone(gone, what, cause=error)
    except asyncio.CancelledError:
        _abandon(call)
        raise
    finally:
        if timer is not None:
            timer.cancel()
        for notice in gone:
            notice.remove_callback(wake)
    if call.done():
        return call.result()
    _abandon(call)
    _raise_if_gone(gone, what, cause=None)
    raise GuardTimeout(what, deadline or 0.0)


def _raise_if_gone(gone: tuple[Gone, ...], what: str, *, cause: BaseException | None) -> None:
    for notice in gone:
        if notice.is_set:
            raise notice.error(what, notice.reason or "") from cause


async def _settle(gone: tuple[Gone, ...]) -> None:
    """Wait a moment for any of ``gone``."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()

    def tell(_: object = None) -> None:
        if not told.done():
            told.set_result(None)

    timer = loop.call_later(SETTLE_SECONDS, tell)
    for notice in gone:
        notice.add_callback(tell)
    try:
        await told
    finally:
        timer.cancel()
        for notice in gone:
            notice.remove_callback(tell)


def _abandon(call: "asyncio.Future[T]") -> None:
    """Give a call up: cancel it, keep it until it ends, and drop what it says then."""
    if call.done():
        _drop(call)
        return
    _abandoned.add(call)  # type: ignore[arg-type]
    call.add_done_callback(_drop)
    call.cancel()


def _drop(call: "asyncio.Future[T]") -> None:
    _abandoned.discard(call)
    if not call.cancelled():
        call.exception()  # marks it as seen, or asyncio logs "exception was never retrieved"
