"""Reaching into other threads: where they are, and an exception raised in them."""

import ctypes
import sys
import traceback

from supervisors.exits import Killed


def raise_in_thread(ident: int) -> None:
    """Schedule ``Killed`` in the thread with this id. It arrives when the thread runs Python code again."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Killed))


def thread_stack(ident: int | None) -> str:
    """Formatted stack of a thread, innermost call last; empty if it is gone."""
    frame = sys._current_frames().get(ident) if ident is not None else None
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
