"""The times of a supervisor's restarts, as an immutable value that stays cheap however many there are.

``policies.restart.Intensity.record`` keeps the stamps in one tuple and copies it on each restart. That suits the usual
limits of a few restarts, but not a limit of a million. Here the same rule is asked of stamps in chunks: recording
copies the last chunk and the short list of chunks, and looks at a single stamp to decide.
"""

import attrs

from policies.restart import Intensity

_CHUNK = 256


@attrs.frozen
class RestartWindow:
    """Times of restarts, monotonic seconds, oldest first."""

    _chunks: tuple[tuple[float, ...], ...] = ()
    """All but the last hold ``_CHUNK`` stamps."""

    def record(self, intensity: Intensity, now: float) -> tuple["RestartWindow", bool]:
        """Count a restart at ``now``: the new window, and whether that was one more than ``intensity`` allows.

        It was, if the restart ``max_restarts`` before this one is at most ``period`` ago; exactly ``period`` ago counts
        (OTP intensity, without its rounding to whole seconds).
        """
        chunks = self._chunks
        fits = chunks and len(chunks[-1]) < _CHUNK
        chunks = (*chunks[:-1], (*chunks[-1], now)) if fits else (*chunks, (now,))
        stale = 0
        while stale < len(chunks) - 1 and now - chunks[stale][-1] > intensity.period:
            stale += 1
        chunks = chunks[stale:]
        earlier = (len(chunks) - 1) * _CHUNK + len(chunks[-1]) - 1 - intensity.max_restarts
        if earlier < 0:
            return RestartWindow(chunks), False
        exceeded = now - chunks[earlier // _CHUNK][earlier % _CHUNK] <= intensity.period
        return RestartWindow(chunks[earlier // _CHUNK :]), exceeded

    def times(self, intensity: Intensity, now: float) -> tuple[float, ...]:
        """The restarts that count at ``now``."""
        return tuple(time for chunk in self._chunks for time in chunk if now - time <= intensity.period)
