"""Tells the code of users, in which an exception may be raised, from that of this package, in which it may not.

An exception between two lines of the kernel would lose what they hand on: a message that is out of the mailbox and not
yet in hand, an answer half given, the turn of an event loop. So ``Killed`` is only raised where a handler or hook is at
work; whoever is between two messages finds the signal ``Kill`` instead.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType

import pykka

INJECTION_TRIES = 5
"""How often a kill looks for its actor within foreign code."""
INJECTION_PAUSE = 0.0005
"""Seconds between two looks."""

_DOORS = frozenset(("_dispatch", "on_start", "on_stop", "on_failure", "set_up", "tear_down"))
"""Functions of ours that call foreign code: handlers, and the hooks of supervisors with their start functions."""

STARTS_THREAD = threading.Thread.start.__code__
"""While a thread is started CPython 3.11 knows it by the id of the one that starts it: an exception for that one would
arrive in the new one, which then never says that it has begun, and its starter waits for ever.
"""

_OURS = (str(Path(__file__).parent), str(Path(pykka.__file__).parent))
_FOR_USERS = str(Path(__file__).parent / "testing")


def in_foreign_code(frames: Sequence[FrameType], loop_codes: frozenset[CodeType]) -> bool:
    """True if these frames of a thread, innermost first, begin below a handler or hook that one of ``loop_codes`` has
    called.

    A handler's message is in hand all the while: its asker is answered, whatever is raised where.
    """
    codes = [frame.f_code for frame in frames]
    if STARTS_THREAD in codes:
        return False
    depth = next((depth for depth, code in enumerate(codes) if code in loop_codes), 0)
    if depth == 0:  # none of them has called, or one of them is at work itself
        return False
    called = codes[depth - 1]
    return called.co_name in _DOORS or not _is_ours(called.co_filename)


def _is_ours(file: str) -> bool:
    return file.startswith(_OURS) and not file.startswith(_FOR_USERS)
