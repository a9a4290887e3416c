"""The page that handlers get: Playwright's page, with every await under the guard.

A handler writes plain Playwright (``await page.goto(...)``, ``page.locator(...).first.click()``, ``async with
page.expect_download()``) and cannot hang: each call has a deadline of ours and ends when the page, browser or driver
dies. Whatever the page gives out (locators, frames, responses, the context, event arguments) is wrapped alike. The
wrapper passes for the real thing with ``isinstance`` and with Playwright itself, so a wrapped locator can be handed
to ``expect(...)`` or ``locator.filter(has=...)``.

Not covered: ``expect(...)`` assertions await by themselves, under Playwright's own timeout.
"""

import functools
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from scorewise_actors.browser.plan import Kind, plan_of

if TYPE_CHECKING:
    from scorewise_actors.browser.scope import Scope


class Guarded:
    """Stands in for ``target``, any object of Playwright's async API; ``scope`` says how calls are guarded."""

    __slots__ = ("__weakref__", "_scope", "_target")

    def __init__(self, target: Any, scope: "Scope") -> None:
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_scope", scope)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._target)

    def __getattr__(self, name: str) -> Any:
        target, scope = self._target, self._scope
        if name.startswith("_"):
            return getattr(target, name)  # Playwright looks at its own private attributes
        plan = plan_of(type(target), name)
        scope.note(plan.taint)
        value = getattr(target, name)
        if plan.kind is Kind.AWAIT:
            return functools.partial(scope.call, plan, target, value)
        if plan.kind is Kind.CALL:
            return functools.partial(scope.call_now, plan, target, value)
        return scope.wrap(value)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._target, name, value)

    def __eq__(self, other: object) -> bool:
        return bool(self._target == unwrap(other))

    def __hash__(self) -> int:
        return hash(self._target)

    def __repr__(self) -> str:
        return repr(self._target)

    def __str__(self) -> str:
        return str(self._target)

    def __dir__(self) -> list[str]:
        return dir(self._target)

    async def __aenter__(self) -> "Guarded":
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.close()


class GuardedEvent:
    """Stands in for what ``page.expect_...()`` returns: an ``async with`` block whose end waits for the event."""

    __slots__ = ("_deadline", "_manager", "_scope", "_what")

    def __init__(self, manager: Any, scope: "Scope", what: str, deadline: float | None) -> None:
        self._manager = manager
        self._scope = scope
        self._what = what
        self._deadline = deadline

    async def __aenter__(self) -> "_GuardedValue":
        return _GuardedValue(await self._manager.__aenter__(), self._scope, self._what, self._deadline)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._scope.guarded(self._manager.__aexit__(kind, error, trace), self._deadline, self._what)


class _GuardedValue:
    """Stands in for the object of ``async with page.expect_...() as info``."""

    __slots__ = ("_deadline", "_info", "_scope", "_what")

    def __init__(self, info: Any, scope: "Scope", what: str, deadline: float | None) -> None:
        self._info = info
        self._scope = scope
        self._what = what
        self._deadline = deadline

    @property
    def value(self) -> Awaitable[Any]:
        """To be awaited, as in Playwright."""
        return self._value()

    def is_done(self) -> bool:
        """Whether the event has come."""
        return bool(self._info.is_done())

    async def _value(self) -> Any:
        return self._scope.wrap(await self._scope.guarded(self._info.value, self._deadline, self._what))


def unwrap(value: Any) -> Any:
    """The Playwright object behind a guarded one; anything else as it is."""
    return object.__getattribute__(value, "_target") if type(value) is Guarded else value
