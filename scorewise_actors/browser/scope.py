"""``Scope``: one item's use of a page. It guards the calls, remembers what has to be undone, and ends with the item.

A handler that was given up may still hold its page while the slot serves the next item. Its scope has ended by then:
every call through it raises PageGone, in flight or new, and cannot touch the other item's page.
"""

import asyncio
import contextlib
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from loguru import logger
from playwright._impl._async_base import AsyncBase  # the base of everything that the async API hands out
from playwright.async_api import Browser, BrowserContext, CDPSession, Frame, Page
from playwright.async_api import Error as PlaywrightError

from scorewise_actors.browser.errors import BrowserLayerError, GuardTimeout, PageGone
from scorewise_actors.browser.gone import Gone
from scorewise_actors.browser.guard import guard
from scorewise_actors.browser.guarded import Guarded, GuardedEvent
from scorewise_actors.browser.plan import Plan, seconds_of
from scorewise_actors.browser.taint import Taint
from scorewise_actors.errors import HandlerClosedBrowser

T = TypeVar("T")

DIALOG_SECONDS = 1.0
"""How long a handler's own dialog listener may take to answer before the dialog is dismissed. Unanswered it would
block the page."""

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_LASTING = frozenset({Page, Frame, BrowserContext})  # one stand-in each, so that "is" works on them
_CONTAINED = frozenset({"on", "once", "route", "route_web_socket"})
"""What registers a handler whose exception Playwright would raise from the next call of *any* page of the driver."""
_ENDS_BROWSER = frozenset({"Browser.close", "Browser.crash"})
"""Methods of Chromium's own protocol."""


class Scope:
    """Guards all that one item does with its page, on the driver's loop.

    ``gone`` is what the page depends on, the widest first; ``operation`` and ``navigation`` are deadlines in seconds;
    ``on_broken`` is called when a call showed that the page cannot be used again; ``others`` tells the contexts of the
    same browser that serve other items: nobody sees them.
    """

    def __init__(
        self,
        page: Page,
        gone: tuple[Gone, ...],
        *,
        operation: float,
        navigation: float,
        on_broken: Callable[[], None],
        others: Callable[[BrowserContext], bool],
    ) -> None:
        self.ended = Gone(PageGone)
        self.taint = Taint.NONE
        """What has to be replaced before the next item."""
        self.closed = ""
        """The call by which the item closed its own page (``"Page.close"``, ``"BrowserContext.close"``), if it did."""
        self._page = page
        self._others = others
        self._gone = (*gone, self.ended)
        self._defaults = (operation, navigation)
        self._operation = operation
        self._navigation = navigation
        self._on_broken = on_broken
        self._undo: dict[object, Callable[[], Awaitable[None] | None]] = {}
        self._handlers: dict[tuple[Any, bool], Callable[..., Any]] = {}
        self._stand_ins: dict[Any, Guarded] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.handler_error: Exception | None = None
        """What a listener or route handler of the item raised and no call of the item has raised since."""

    def note(self, taint: Taint) -> None:
        """Remember what the item touched."""
        self.taint = max(self.taint, taint)

    def wrap(self, value: Any) -> Any:
        """``value`` with every Playwright object in it guarded. Lists and dicts are judged by their first element."""
        kind = type(value)
        if kind in _PLAIN or kind is Guarded:
            return value
        if isinstance(value, AsyncBase):
            if kind not in _LASTING:
                return Guarded(value, self)
            return self._stand_ins.setdefault(value, Guarded(value, self))
        if kind is list and value and isinstance(value[0], AsyncBase):
            return [self.wrap(element) for element in value if not self._is_anothers(element)]
        if kind is dict and value and isinstance(next(iter(value.values())), AsyncBase):
            return {key: self.wrap(element) for key, element in value.items()}
        return value

    async def call(self, plan: Plan, target: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Await one Playwright call under the guard."""
        if self.handler_error is not None:
            error, self.handler_error = self.handler_error, None
            raise error
        self._closes(plan, target, args, kwargs)
        deadline = plan.deadline(args, kwargs, operation=self._operation, navigation=self._navigation)
        args, kwargs = self._arguments(plan, args, kwargs)
        self._remember(plan, target, args, kwargs)
        return self.wrap(await self.guarded(function(*args, **kwargs), deadline, plan.what))

    def call_now(self, plan: Plan, target: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Make one Playwright call that is not awaited."""
        if self.ended.is_set:
            raise PageGone(plan.what, self.ended.reason or "")
        deadline = plan.deadline(args, kwargs, operation=self._operation, navigation=self._navigation)
        args, kwargs = self._arguments(plan, args, kwargs)
        self._remember(plan, target, args, kwargs)
        result = function(*args, **kwargs)
        if hasattr(result, "__aenter__") and not isinstance(result, AsyncBase):
            return GuardedEvent(result, self, plan.what, deadline)
        return self.wrap(result)

    async def guarded(self, awaitable: Awaitable[T], deadline: float | None, what: str) -> T:
        """Await under the guard; a page that did not answer is not used again."""
        try:
            return await guard(awaitable, deadline=deadline, gone=self._gone, what=what)
        except (GuardTimeout, PageGone):
            if not self.ended.is_set:
                self._on_broken()
            raise

    def end(self) -> None:
        """The item is over: from now on every call through this scope raises PageGone."""
        self.ended.set("the item it was opened for has ended")
        for task in self._tasks:
            task.cancel()

    async def undo(self, gone: tuple[Gone, ...], deadline: float) -> None:
        """Take back what the item registered on the page: listeners, routes, default timeouts."""
        for action in reversed(self._undo.values()):
            with contextlib.suppress(KeyError, ValueError):  # a listener that removed itself
                pending = action()
                if pending is not None:
                    await guard(pending, deadline=deadline, gone=gone, what="Scope.undo")
        self._undo.clear()

    def _is_anothers(self, value: Any) -> bool:
        return isinstance(value, BrowserContext) and self._others(value)

    def _closes(self, plan: Plan, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse to end the browser, and note when the item ends its own page."""
        if plan.name == "close":
            context = self._page.context
            if isinstance(target, Browser) and target is context.browser:
                raise self._refuse(plan.what)
            if target is self._page or target is context:
                self.closed = plan.what
        elif isinstance(target, CDPSession) and plan.name == "send":
            method = args[0] if args else kwargs.get("method")
            if method in _ENDS_BROWSER:
                raise self._refuse(method)

    def _refuse(self, what: str) -> HandlerClosedBrowser:
        text = f"the handler closed the browser by {what}; it serves other items too and is left open"
        logger.error("refused, on a page at {}: {}", self._page.url, text)  # a handler may catch the exception
        return HandlerClosedBrowser(text)

    def _remember(self, plan: Plan, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note how to take back what this call is about to do, and see to it that dialogs get an answer."""
        if not isinstance(target, (Page, BrowserContext)):
            return
        name = plan.name
        if name in {"on", "once"}:
            event, handler = args[0] if args else kwargs["event"], args[1] if len(args) > 1 else kwargs["f"]
            self._undo[object()] = functools.partial(target.remove_listener, event, handler)
        elif name == "route":
            self._undo[target, "routes"] = functools.partial(target.unroute_all, behavior="ignoreErrors")
        elif name in {"set_default_timeout", "set_default_navigation_timeout"}:
            self._set_default(target, name, seconds_of(args[0] if args else kwargs["timeout"]))
        if name in {"on", "once", "expect_event", "wait_for_event"} and "dialog" in (*args[:1], kwargs.get("event")):
            self._answer_dialogs(target)

    def _set_default(self, target: Page | BrowserContext, name: str, seconds: float) -> None:
        """Let our deadlines follow a handler's own defaults. A page's default timeout holds for its navigations too."""
        if name == "set_default_timeout":
            self._operation = seconds
        if name == "set_default_navigation_timeout" or isinstance(target, Page):
            self._navigation = seconds

        def restore() -> None:
            operation, navigation = self._defaults
            target.set_default_timeout(operation * 1000)
            target.set_default_navigation_timeout(navigation * 1000)

        self._undo[target, "timeouts"] = restore

    def _arguments(
        self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as Playwright gets them: handlers are given guarded objects."""
        if any(map(callable, args)) or any(map(callable, kwargs.values())):
            return (
                tuple(self._argument(plan, value) for value in args),
                {key: self._argument(plan, value) for key, value in kwargs.items()},
            )
        return args, kwargs

    def _argument(self, plan: Plan, value: Any) -> Any:
        if not callable(value) or type(value) is Guarded:
            return value
        contained = plan.name in _CONTAINED or plan.name in {"remove_listener", "unroute"}
        return self._handlers.setdefault((value, contained), self._handler(value, contained=contained))

    def _handler(self, handler: Callable[..., Any], *, contained: bool) -> Callable[..., Any]:
        """``handler`` with guarded arguments, run in the context that it was registered in, as what it begins belongs
        to the item. When ``contained``, its exceptions go to the item's own next call.
        """
        registered = contextvars.copy_context()

        @functools.wraps(handler, updated=())  # Playwright counts the parameters of the original
        def handle(*args: Any) -> Any:
            if contained and self.ended.is_set:
                return None
            context = registered.copy()  # one cannot be entered twice, and an event may come while another is handled
            try:
                result = context.run(handler, *map(self.wrap, args))
            except Exception as error:
                if not contained:
                    raise
                self.handler_error = error
                return None
            return self._finish(result, context, contained=contained) if inspect.isawaitable(result) else result

        return handle

    async def _finish(self, pending: Awaitable[Any], context: contextvars.Context, *, contained: bool) -> Any:
        async def finish() -> Any:
            return await pending

        try:
            return await asyncio.get_running_loop().create_task(finish(), context=context)
        except Exception as error:
            if not contained:
                raise
            self.handler_error = error
            return None

    def _answer_dialogs(self, target: Any) -> None:
        """With a listener or waiter of the user's, Playwright does not answer a dialog by itself; whoever forgets it
        hangs.
        """
        if (target, "dialogs") in self._undo:
            return

        def answer(dialog: Any) -> None:
            task = asyncio.get_running_loop().create_task(self._dismiss_late(dialog))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        target.on("dialog", answer)
        self._undo[target, "dialogs"] = functools.partial(target.remove_listener, "dialog", answer)

    async def _dismiss_late(self, dialog: Any) -> None:
        await asyncio.sleep(DIALOG_SECONDS)
        with contextlib.suppress(PlaywrightError, BrowserLayerError):  # the usual case: it was answered
            await guard(dialog.dismiss(), deadline=self._defaults[0], gone=self._gone, what="Dialog.dismiss")
