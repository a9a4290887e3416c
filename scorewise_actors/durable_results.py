"""What of a job is durable, for readers in any thread."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from loguru import logger

from policies.short_text import short_text


class DurableResults:
    """The outcomes that the journal holds, in the order in which they became durable. Readers keep a position.

    Written by the CheckpointActor only; ``after`` may be called from any thread.
    """

    def __init__(self) -> None:
        self._outcomes: Sequence[list[Any]] = ()
        self._durable = 0
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
        self.first_of_run = 0
        """Number of outcomes that earlier runs left."""

    def publish(self, outcomes: Sequence[list[Any]]) -> None:
        """The journal's list of outcomes has grown, or is a new one with the same beginning."""
        with self._changed:
            self._outcomes = outcomes
            self._durable = len(outcomes)  # the journal lengthens its list before the disk has answered
            self._notify()

    def close(self) -> None:
        """Nothing will come any more."""
        with self._changed:
            self._closed = True
            self._notify()

    @property
    def closed(self) -> bool:
        """True once nothing will come any more."""
        return self._closed

    def after(self, position: int) -> list[list[Any]]:
        """The outcomes from ``position`` on: ``[item, status, attempts, content]`` each."""
        with self._changed:
            return list(self._outcomes[position : self._durable])

    def wait(self, position: int, timeout: float | None = None) -> bool:
        """Block until there is more than ``position`` outcomes, or nothing will come. True if there is more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._durable > position, timeout)
            return self._durable > position

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` at every change, in the writer's thread; returns the function that ends it."""
        with self._changed:
            self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _notify(self) -> None:
        self._changed.notify_all()
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception as error:  # noqa: BLE001 - a reader must not harm the writer
                logger.opt(exception=error).error("a reader of results failed: {}", short_text(error))
