"""The times of restarts, as an immutable value that stays cheap however many there are.

OTP keeps every stamp of the window in one list and walks it at each restart. Here the stamps are kept in chunks: adding
one copies the last chunk and the short list of chunks, so that a limit of a million costs what a limit of three does.
What the stamps mean is said in `policies.restart.Intensity`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from policies.validation import CLOCK_LIMIT, require_number

_CHUNK = 256


@attrs.frozen(eq=False)
class RestartWindow:
    """Times of restarts, monotonic seconds, oldest first. Windows are equal if they hold the same times."""

    _chunks: tuple[tuple[float, ...], ...] = ()
    """All but the last hold ``_CHUNK`` stamps, none is empty."""
    _dropped: int = 0
    """How many stamps of the first chunk are in the window no more."""

    @classmethod
    def of(cls, times: "Iterable[float] | RestartWindow") -> "RestartWindow":
        """The window of these times, oldest first; a window is returned as it is.

        Raises `ValueError` for a time that is no finite number.
        """
        if isinstance(times, RestartWindow):
            return times
        stamps: tuple[Any, ...] = tuple(times)
        for stamp in stamps:
            require_number("RestartWindow.times", stamp, -CLOCK_LIMIT, CLOCK_LIMIT)
        return cls(tuple(stamps[at : at + _CHUNK] for at in range(0, len(stamps), _CHUNK)))

    def added(self, now: float, keep: int, period: float) -> "RestartWindow":
        """The window with a restart at `now`: of the latest `keep` (at least 1) those not older than `period` seconds.

        Each stamp is dropped once, so that the cost does not grow with their number.
        """
        chunks = self._chunks
        fits = chunks and len(chunks[-1]) < _CHUNK
        chunks = (*chunks[:-1], chunks[-1] + (now,)) if fits else (*chunks, (now,))
        drop = max(self._dropped, (len(chunks) - 1) * _CHUNK + len(chunks[-1]) - keep)
        while now - chunks[drop // _CHUNK][drop % _CHUNK] > period:
            drop += 1
        return RestartWindow(chunks[drop // _CHUNK :], drop % _CHUNK)

    @property
    def oldest(self) -> float:
        """The earliest time in it. Raises `IndexError` for an empty window."""
        return self._chunks[0][self._dropped]

    def __len__(self) -> int:
        if not self._chunks:
            return 0
        return (len(self._chunks) - 1) * _CHUNK + len(self._chunks[-1]) - self._dropped

    def __iter__(self) -> Iterator[float]:
        for number, chunk in enumerate(self._chunks):
            yield from chunk[self._dropped :] if number == 0 else chunk

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, RestartWindow) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))
