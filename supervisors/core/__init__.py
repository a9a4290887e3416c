"""The pure core of a supervisor: ``step(state, event, now, rng) -> (state, commands)``, without thread, clock or I/O.

``transitions`` has the events that go in and the commands that come out, ``state`` what a supervisor knows, ``step``
what it does about each event; ``restarts``, ``requests`` and ``draft`` hold the rules that ``step`` needs.
"""

from supervisors.core.step import step

__all__ = ["step"]
