"""Who is told of events: of all, or of some kinds only."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from loguru import logger

from policies import validation
from policies.short_text import short_text
from supervisors.exits import Killed

E = TypeVar("E")


class Subscribers(Generic[E]):
    """The functions that are told, in the order in which they came. Any thread. ``known`` are the kinds there are; if
    it is empty, any string is one.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = tuple(map(str, known))
        self._entries: tuple[tuple[Callable[[E], object], frozenset[str] | None], ...] = ()
        self._lock = threading.RLock()  # reentrant: a signal handler may subscribe

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, subscriber: Callable[[E], object], kinds: Iterable[str] | None = None) -> Callable[[], None]:
        """Have ``subscriber`` told of these ``kinds``, or of all. Returns the function that ends it.

        Raises ``ValueError`` for what cannot be called, for kinds that are no strings in a container (a single string
        would be taken for its letters), and for kinds that there are not.
        """
        validation.require_function("a subscriber", subscriber)
        entry = (subscriber, None if kinds is None else self._checked(kinds))
        with self._lock:
            self._entries = (*self._entries, entry)

        def unsubscribe() -> None:
            with self._lock:
                self._entries = tuple(other for other in self._entries if other is not entry)

        return unsubscribe

    def tell(self, kind: str, event: E) -> None:
        """Tell those who want this kind, in this thread. What one raises is logged, by the module that tells, and harms
        nobody; only ``Killed`` passes: it is meant for the actor in whose thread this runs.
        """
        for subscriber, kinds in self._entries:
            if kinds is not None and kind not in kinds:
                continue
            try:
                subscriber(event)
            except Killed:
                raise
            except BaseException as error:  # noqa: BLE001 - nor may its SystemExit end the supervisor that tells it
                text = short_text(error)
                logger.opt(exception=error, depth=1).error("a subscriber failed on {}: {}", str(kind), text)

    def _checked(self, kinds: object) -> frozenset[str]:
        found = tuple(kinds) if isinstance(kinds, Iterable) and not isinstance(kinds, str) else (None,)
        if not all(isinstance(kind, str) for kind in found):
            example = next(iter(self._known), "ended")
            raise validation.wrong("the kinds of events", f"strings in a list or set, such as ['{example}']", kinds)
        unknown = next((kind for kind in found if self._known and kind not in self._known), None)
        if unknown is not None:
            raise validation.wrong("the kinds of events", f"among {', '.join(self._known)}", unknown)
        return frozenset(found)
