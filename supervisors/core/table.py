"""An immutable mapping for many children: an update copies a handful of entries, not all of them.

The entries are spread over shards by the hash of their key. An update copies the list of shards and the one shard it
touches, and the number of shards grows with the square root of the size: with 10,000 entries some 200 of them are
copied, which takes about a microsecond. Older versions stay valid, so a state that holds a table is a value.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

_CROWDED = 2
"""Shards are doubled once they hold more than this many times their own number of entries on average."""


@attrs.frozen
class Table(Generic[T]):
    """Keys to values, without an order of its own."""

    _shards: tuple[dict[str, T], ...] = ({},)
    """Their number is a power of two. Never changed once they are in a table."""
    _size: int = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        """The values, in no particular order."""
        for shard in self._shards:
            yield from shard.values()

    def get(self, key: str) -> T | None:
        """The value of ``key``, or None."""
        return self._shards[hash(key) & (len(self._shards) - 1)].get(key)

    def updated(self, changes: Mapping[str, T | None]) -> "Table[T]":
        """A table with these changes; None removes the key."""
        shards = list(self._shards)
        mask = len(shards) - 1
        copied: set[int] = set()
        size = self._size
        for key, value in changes.items():
            index = hash(key) & mask
            if index not in copied:
                shards[index] = shards[index].copy()
                copied.add(index)
            shard = shards[index]
            size -= len(shard)
            if value is None:
                shard.pop(key, None)
            else:
                shard[key] = value
            size += len(shard)
        return Table(_spread(shards, size), size)


def _spread(shards: list[dict[str, T]], size: int) -> tuple[dict[str, T], ...]:
    count = len(shards)
    while size > _CROWDED * count * count:
        count *= 2
    if count == len(shards):
        return tuple(shards)
    spread: list[dict[str, T]] = [{} for _ in range(count)]
    for shard in shards:
        for key, value in shard.items():
            spread[hash(key) & (count - 1)][key] = value
    return tuple(spread)
