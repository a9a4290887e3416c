"""Who is told of events: of all, or of some kinds only."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

E = TypeVar("E")


class Subscribers(Generic[E]):
    """The functions that are told, in the order in which they came. Any thread; what they raise is the teller's."""

    def __init__(self) -> None:
        self._entries: tuple[tuple[Callable[[E], object], frozenset[str] | None], ...] = ()
        self._lock = threading.RLock()  # reentrant: a signal handler may subscribe

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, subscriber: Callable[[E], object], kinds: Iterable[str] | None = None) -> Callable[[], None]:
        """Have ``subscriber`` told of these ``kinds``, or of all. Returns the function that ends it.

        Raises ``ValueError`` for what cannot be called, and for kinds that are no strings in a container: a single
        string would be taken for its letters.
        """
        if not callable(subscriber):
            raise ValueError(f"a subscriber must be callable, got {subscriber!r}")  # noqa: TRY004 - one error class for every bad field
        entry = (subscriber, None if kinds is None else _kinds(kinds))
        with self._lock:
            self._entries = (*self._entries, entry)

        def unsubscribe() -> None:
            with self._lock:
                self._entries = tuple(other for other in self._entries if other is not entry)

        return unsubscribe

    def of(self, kind: str) -> Iterator[Callable[[E], object]]:
        """Those to tell of an event of this kind."""
        return (subscriber for subscriber, kinds in self._entries if kinds is None or kind in kinds)


def _kinds(kinds: object) -> frozenset[str]:
    found = frozenset(kinds) if isinstance(kinds, Iterable) and not isinstance(kinds, str) else None
    if found is None or not all(isinstance(kind, str) for kind in found):
        raise ValueError(f"the kinds of events must be strings in a list or set, such as ['ended'], got {kinds!r}")
    return found
