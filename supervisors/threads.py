"""Reaching into other threads: where they are, and an exception raised in them."""

import ctypes
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from itertools import compress, starmap
from operator import is_, methodcaller
from types import CoroutineType, FrameType
from typing import Any, Protocol, TypeVar

from supervisors.exits import Killed

T = TypeVar("T")

_set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_exception.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_exception.restype = ctypes.c_int


_collection_lock = threading.Lock()
os.register_at_fork(
    before=_collection_lock.acquire,
    after_in_parent=_collection_lock.release,
    after_in_child=_collection_lock.release,
)


def _without_collection(look: Callable[[], T]) -> T:
    """Keep the garbage collector out: ``sys._current_frames`` allocates under a lock of the interpreter, and in some
    releases of CPython 3.11 a finalizer that runs in there hangs the whole process when another thread starts.
    """
    with _collection_lock:
        was_enabled = gc.isenabled()
        try:
            gc.disable()
            return look()
        finally:
            if was_enabled:
                gc.enable()


def raise_in_frame(ident: int, frame: FrameType) -> bool:
    """Schedule ``Killed`` in the thread with this id if ``frame`` is still its innermost frame: it arrives there, when
    the thread runs Python code again. False if the thread has moved on.

    Look and deed are one call into C, in which this thread keeps the interpreter lock: between two lines of Python the
    other thread could return from the frame, and the exception would hit whatever it does then.
    """

    def aim() -> bool:
        frames = map(methodcaller("get", ident), starmap(sys._current_frames, [()]))
        return bool(sum(starmap(_set_exception, compress([(ident, Killed)], map(partial(is_, frame), frames)))))

    return _without_collection(aim)


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


def thread_frame(thread: Running | None) -> FrameType | None:
    """The innermost frame of a thread; None if it does not run. (The id of one that ended may be another's by now.)."""
    if thread is None or thread.ident is None or not thread.is_alive():
        return None
    frame = _without_collection(sys._current_frames).get(thread.ident)
    return frame if thread.is_alive() else None


def thread_stack(thread: Running | None) -> str:
    """Formatted stack of a thread, innermost call last; empty if it does not run."""
    frame = thread_frame(thread)
    return "".join(traceback.format_stack(frame)) if frame is not None else ""


def coroutine_stack(coroutine: Any) -> str:
    """Where a suspended coroutine awaits, formatted, innermost await last."""
    lines = []
    while isinstance(coroutine, CoroutineType) and coroutine.cr_frame is not None:
        lines += traceback.format_list(traceback.extract_stack(coroutine.cr_frame, limit=1))
        coroutine = coroutine.cr_await
    return "".join(lines)
