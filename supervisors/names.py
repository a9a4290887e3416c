"""Short names for places in the tree (OTP ``register``, ``whereis``), each runtime with its own."""

import threading
from typing import TYPE_CHECKING, Any

from policies import validation

if TYPE_CHECKING:
    from supervisors.ref import Ref


class Names:
    """Names to references. All methods may be called from any thread. A name stays with the place over restarts, also
    while nobody lives there, until it is released or the runtime has ended.
    """

    def __init__(self) -> None:
        self._refs: dict[str, Ref] = {}
        self._lock = threading.Lock()
        self._closed = False

    def register(self, name: str, ref: "Ref") -> None:
        """Give ``ref`` this name. Raises ``ValueError`` for a name that another place has, or that is none, and
        ``RuntimeError`` once the runtime has ended.
        """
        _check(name)
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the name {name!r} cannot be registered: the runtime has ended")
            holder = self._refs.setdefault(name, ref)
        if holder is not ref:
            raise ValueError(f"the name {name!r} is that of {holder.path}: release it first, or choose another")

    def release(self, name: str) -> bool:
        """Free a name. False if nobody had it. ``ValueError`` for what is no name."""
        _check(name)
        with self._lock:
            return self._refs.pop(name, None) is not None

    def whereis(self, name: str) -> "Ref | None":
        """Who has this name; None if nobody. ``ValueError`` for what is no name."""
        _check(name)
        return self._refs.get(name)

    def all(self) -> dict[str, str]:
        """Names to paths, in the order in which they were registered."""
        with self._lock:
            return {name: ref.path for name, ref in self._refs.items()}

    def close(self) -> None:
        """Forget all names, for good."""
        with self._lock:
            self._closed = True
            self._refs.clear()


def _check(name: Any) -> None:
    if not isinstance(name, str) or not name.strip() or "/" in name:
        raise validation.wrong("a name", "a non-empty string without '/' (paths have those: see Runtime.ref)", name)
