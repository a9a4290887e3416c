"""Reaching into other threads: where they are, and an exception raised in them.

Nobody else reads ``f_back``, ``f_locals`` or ``cr_frame`` of what may run in another thread, see ``_at_once``.
"""

import ctypes
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, chain, compress, repeat, starmap, takewhile
from operator import attrgetter, call, is_, is_not, methodcaller
from types import CoroutineType, FrameType
from typing import Any, Protocol, TypeVar

from supervisors.exits import Killed

T = TypeVar("T")

_set_exception = ctypes.pythonapi["PyThreadState_SetAsyncExc"]  # by item: a declaration of our own
_set_exception.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_exception.restype = ctypes.c_int


_collection_lock = threading.Lock()
os.register_at_fork(
    before=_collection_lock.acquire,
    after_in_parent=_collection_lock.release,
    after_in_child=_collection_lock.release,
)


def _at_once(*looks: Callable[[], Any]) -> list[Any]:
    """What these return, called in one go: they must be C all through, so that this thread keeps the interpreter lock
    and nobody else moves meanwhile.

    The garbage collector is kept out. CPython 3.11 runs it in any allocation, a finalizer may let other threads run,
    and what is being looked at is gone: ``frame.f_back`` of a thread that has returned meanwhile gives any object for a
    frame, or writes into the memory of others, and after ``sys._current_frames`` the whole process may hang.
    """
    with _collection_lock:
        was_enabled = gc.isenabled()
        try:
            gc.disable()  # at once: a finalizer could ask for the lock
            return list(map(call, (gc.disable, *looks)))[1:]  # and again: others may have switched it on
        finally:
            if was_enabled:
                gc.enable()


def _frames(ident: int) -> Iterator[FrameType]:
    """The frames of a thread, innermost first. To be iterated in one go."""
    return takewhile(partial(is_not, None), accumulate(chain(_innermost(ident), repeat(FrameType)), _back))


def _innermost(ident: int) -> Iterator[Any]:
    """The innermost frame of a thread, or None. To be iterated in one go."""
    return map(methodcaller("get", ident), starmap(sys._current_frames, [()]))


_back: Callable[[Any, Any], Any] = FrameType.__dict__["f_back"].__get__
"""``_back(frame, FrameType)`` is ``frame.f_back``, without a function of Python's in between."""


def _fresh(view: Callable[[], Any]) -> Iterator[Any]:
    """Iterates over the view of a dict as it is by then."""
    return chain.from_iterable(map(call, (view,)))


def raise_in_frame(ident: int, frame: FrameType) -> bool:
    """Schedule ``Killed`` in the thread with this id if ``frame`` is still its innermost frame: it arrives there, when
    the thread runs Python code again. False if the thread has moved on.

    Look and deed are one call into C: between two lines of Python the other thread could return from the frame, and the
    exception would hit whatever it does then.
    """
    aimed = map(partial(is_, frame), _innermost(ident))
    (hits,) = _at_once(partial(sum, starmap(_set_exception, compress([(ident, Killed)], aimed))))
    return bool(hits)


class Running(Protocol):
    """What is asked of a thread here: ``threading.Thread`` has it, and what runs in a thread of many stints."""

    @property
    def ident(self) -> int | None: ...
    def is_alive(self) -> bool: ...


def raise_in_thread(ident: int) -> None:
    """Schedule ``Killed`` in the thread with this id. It arrives when the thread runs Python code again."""
    _set_exception(ident, Killed)


def take_exception() -> None:
    """Receive, and drop, a ``Killed`` that may be scheduled in the calling thread and has not arrived.

    It is scheduled once more and awaited: CPython 3.11 takes a scheduled exception back only halfway, and a thread that
    is traced or profiled then spins for ever.
    """
    try:
        raise_in_thread(threading.get_ident())
        while True:
            pass
    except Killed:
        return


def thread_frames(thread: Running | None) -> list[FrameType]:
    """The frames of a thread, innermost first; none if it does not run. Any thread; a snapshot."""
    frames, _ = frames_and_runner(thread, {})
    return frames


def frames_and_runner(thread: Running | None, coroutines: Mapping[Any, T]) -> tuple[list[FrameType], T | None]:
    """The frames of a thread that alone runs these coroutines, and the value of the one that runs there; None if none
    does. Both at one moment.
    """
    if thread is None or thread.ident is None or not thread.is_alive():
        return [], None
    running = compress(_fresh(coroutines.values), map(attrgetter("cr_running"), _fresh(coroutines.keys)))
    frames, runner = _at_once(partial(list, _frames(thread.ident)), partial(next, running, None))
    return (frames, runner) if thread.is_alive() else ([], None)  # or the id was another's by then


def format_frames(frames: Sequence[FrameType]) -> str:
    """The stack of these frames, which come innermost first, in words; innermost call last."""
    stack = [(frame, frame.f_lineno) for frame in reversed(frames)]
    return "".join(traceback.StackSummary.extract(iter(stack)).format())


def coroutine_stack(coroutine: Any) -> str:
    """Where a suspended coroutine awaits, formatted, innermost await last."""
    frames: list[FrameType] = []
    while isinstance(coroutine, CoroutineType):
        # only while it is suspended: what it awaits is read from its stack, which is in use while it runs
        suspended = compress((coroutine,), map(attrgetter("cr_suspended"), (coroutine,)))
        (found,) = _at_once(partial(next, map(attrgetter("cr_frame", "cr_await"), suspended), None))
        if found is None:
            break
        frame, coroutine = found
        frames.append(frame)
    return format_frames(frames[::-1])
