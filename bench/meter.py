"""``Meter``: tells the steady cost of an item from the cost of starting up."""

import time

import attrs
import psutil

from bench.cpu import TreeCpu, tree_cpu


@attrs.frozen
class Steady:
    """What one run of a program cost. The start-up reaches from the begin of the process to the end of the first
    item: interpreter, imports, driver, browser, first page.
    """

    start_cpu_ms: float
    start_seconds: float
    own_ms: float
    """CPU milliseconds per item in the steady stretch: the program itself."""
    children_ms: float
    """The same: its children."""
    deeper_ms: float
    """The same: all processes below them."""
    items_per_second: float
    """In the steady stretch, by the wall clock."""

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per item in the steady stretch, the whole tree."""
        return self.own_ms + self.children_ms + self.deeper_ms


class Meter:
    """Counts the items of this process as they end, and measures between two of them: from the end of number
    ``warm_up`` to the end of number ``warm_up + items``, the last one.

    Where several items are worked on at once, each end of the stretch cuts through some of them; what is left out at
    one end comes in at the other.
    """

    def __init__(self, warm_up: int, items: int) -> None:
        if warm_up < 1 or items < 1:
            raise ValueError(f"warm_up and items must be at least 1, got {warm_up} and {items}")
        self._warm_up = warm_up
        self._items = items
        self._ended = 0
        self._marks: dict[int, tuple[float, TreeCpu]] = {}

    def tick(self) -> None:
        """An item has ended. On one thread only; blocks for a moment when the item is a mark."""
        self._ended += 1
        if self._ended in (1, self._warm_up, self._warm_up + self._items):
            self._marks[self._ended] = (time.time(), tree_cpu())

    def steady(self) -> Steady:
        """The figures, once all items have ended. Raises RuntimeError before."""
        last = self._warm_up + self._items
        if self._ended != last:
            raise RuntimeError(f"{self._ended} items have ended, not {last}: some failed, or were done twice")
        first_time, first_cpu = self._marks[1]
        warm_time, warm_cpu = self._marks[self._warm_up]
        last_time, last_cpu = self._marks[last]
        used = last_cpu - warm_cpu
        per_item = 1000 / self._items
        return Steady(
            start_cpu_ms=first_cpu.total * 1000,
            start_seconds=first_time - psutil.Process().create_time(),
            own_ms=used.own * per_item,
            children_ms=used.children * per_item,
            deeper_ms=used.deeper * per_item,
            items_per_second=self._items / (last_time - warm_time),
        )
