"""Methods and attributes of an actor as if they were here: a light proxy through a stable reference.

Unlike Pykka's it survives restarts, because each use looks up who lives there now; it looks at no attribute of the
actor before it is used, and it holds no actor in memory.
"""

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr

from supervisors.future import ASK_TIMEOUT

if TYPE_CHECKING:
    from supervisors.future import ReplyFuture
    from supervisors.ref import Ref


class NoAttributeError(AttributeError):
    """The actor has nothing of that name. The caller's mistake: the actor lives on."""


class ActorProxy:
    """``proxy.add(1)`` asks and gives a ``ReplyFuture``, ``proxy.add.defer(1)`` tells, ``proxy.total.get()`` reads an
    attribute, ``proxy.total = 5`` writes one and waits until it is written. On an event loop they can be awaited:
    ``await proxy.add(1)``, ``await proxy.total``, ``await proxy.total.set(5)``. Made by ``Ref.proxy``.

    Names that begin with an underscore are the actor's own. An attribute that the actor does not have is an
    ``AttributeError`` for the caller and nothing to the actor; what a method raises ends the actor like any crash.
    """

    __slots__ = ("_ref",)

    _ref: "Ref"

    def __init__(self, ref: "Ref") -> None:
        from supervisors.ref import require_ref  # noqa: PLC0415 - whose references make proxies

        require_ref("ActorProxy.ref", ref)
        object.__setattr__(self, "_ref", ref)

    def __repr__(self) -> str:
        return f"<ActorProxy of {self._ref.path}>"

    def __getattr__(self, name: str) -> "RemoteAttribute":
        return RemoteAttribute(self._ref, (_public(name),))

    def __setattr__(self, name: str, value: Any) -> None:
        RemoteAttribute(self._ref, (_public(name),))._set_and_wait(value)


class RemoteAttribute:
    """An attribute or method of whoever lives there when it is used; further attributes are those of its value."""

    __slots__ = ("_path", "_ref")

    _path: tuple[str, ...]
    _ref: "Ref"

    def __init__(self, ref: "Ref", path: tuple[str, ...]) -> None:
        object.__setattr__(self, "_ref", ref)
        object.__setattr__(self, "_path", path)

    def __repr__(self) -> str:
        return f"<RemoteAttribute {'.'.join(self._path)} of {self._ref.path}>"

    def __getattr__(self, name: str) -> "RemoteAttribute":
        return RemoteAttribute(self._ref, (*self._path, _public(name)))

    def __setattr__(self, name: str, value: Any) -> None:
        RemoteAttribute(self._ref, (*self._path, _public(name)))._set_and_wait(value)

    def __call__(self, *args: Any, **kwargs: Any) -> "ReplyFuture":
        """Call the method; the future can be waited for or awaited."""
        return self._ref.request(ProxyCall(self._path, args, kwargs))

    def defer(self, *args: Any, **kwargs: Any) -> None:
        """Call the method, and do not wait for anything: a tell."""
        self._ref.tell(ProxyCall(self._path, args, kwargs))

    def request(self) -> "ReplyFuture":
        """Ask for the value."""
        return self._ref.request(ProxyGetAttr(self._path))

    def get(self, timeout: float = ASK_TIMEOUT) -> Any:
        """The value, waiting at most ``timeout`` seconds. Not on an event loop."""
        return self._ref.ask(ProxyGetAttr(self._path), timeout=timeout)

    def set(self, value: Any) -> "ReplyFuture":
        """Ask to write the value."""
        return self._ref.request(ProxySetAttr(self._path, value))

    def __await__(self) -> Generator[Any, None, Any]:
        return self.request().__await__()

    def _set_and_wait(self, value: Any) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # none runs in this thread
            self._ref.ask(ProxySetAttr(self._path, value))
            return
        name = ".".join(self._path)
        raise RuntimeError(f"assigning would block the event loop: await proxy.{name}.set(value) instead")


def _public(name: str) -> str:
    if name.startswith("_"):
        raise AttributeError(f"{name!r} is the actor's own: only names without a leading underscore can be reached")
    return name


def serve(actor: Any, message: ProxyCall | ProxyGetAttr | ProxySetAttr) -> Any:
    """Do what a proxy asks of an actor, in the actor's thread. Raises ``NoAttributeError`` if it cannot be done; what
    comes out of the method itself passes through.
    """
    *holders, name = message.attr_path
    value = actor
    try:
        for holder in holders:
            value = getattr(value, holder)
        if isinstance(message, ProxySetAttr):
            setattr(value, name, message.value)
            return None
        value = getattr(value, name)
    except AttributeError as error:
        where = f"{'.'.join(message.attr_path)!r} of {actor.path} ({type(actor).__name__})"
        raise NoAttributeError(f"{where} cannot be reached: {error}") from None
    if isinstance(message, ProxyGetAttr):
        return value
    if not callable(value):
        raise NoAttributeError(
            f"{'.'.join(message.attr_path)!r} of {actor.path} is a {type(value).__name__}, no method"
        )
    return value(*message.args, **message.kwargs)
