"""Threads that wait a moment for the next actor: to begin a thread takes as long as the rest of a restart.

The thread in which an actor has ended carries the next one, which is in most cases its successor. What makes a restart
worth anything is that nothing is left of what failed, so a thread is used again only if it is as good as new: no
``threading.local`` has a value in it, no event loop runs in it, no trace or profile function and no attribute of the
thread was set, and whoever ran in it says that it may be. All others end, as they would without this.
"""

import _thread
import asyncio
import contextvars
import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any

_state_of_thread = ctypes.pythonapi["PyThreadState_GetDict"]  # by item: a declaration of our own
_state_of_thread.restype = ctypes.c_void_p
"""Address of the dict in which the calling thread keeps its values of ``threading.local``, and asyncio its running
loop. The reference is borrowed, which is why it is no ``py_object``.
"""

_ON_ITS_WAY = 5.0
"""Seconds between two looks of a thread that was taken out for an actor which does not come."""


class Stint:
    """A function that runs once in a thread, as ``threading.Thread`` runs it. Any thread may ask about it."""

    __slots__ = ("_function", "_over", "ident", "name")

    def __init__(self, function: Callable[[], bool], name: str) -> None:
        self.name = name
        self.ident: int | None = None
        """The id of its thread, once it has begun. Of another one, or of none, after its end."""
        self._function: Callable[[], bool] | None = function
        self._over = _thread.allocate_lock()
        self._over.acquire()

    def is_alive(self) -> bool:
        """True until its end, although its thread may live on; also while it is about to begin."""
        return self._over.locked()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most ``timeout`` seconds."""
        if self._over.acquire(timeout=-1 if timeout is None else timeout):
            self._over.release()

    def run(self) -> bool:
        """Run it here. True if the thread may carry another one."""
        function, self._function = self._function, None
        assert function is not None, f"{self.name} runs once"
        self.ident = _thread.get_ident()
        try:
            return contextvars.Context().run(function)
        finally:
            del function  # whoever waits for the end finds nothing kept in memory
            self._over.release()


class IdleThreads:
    """The threads of one runtime's actors that have no actor just now. All methods may be called from any thread.

    Each waits ``seconds`` for its next actor, and at most ``most`` wait at once: a larger group restarts a little
    slower.
    """

    def __init__(self, name: str, seconds: float = 0.5, most: int = 16) -> None:
        self.name = f"{name} idle thread"
        self.seconds = seconds
        self._most = most
        # no lock: to take one out of a list is a single step, and whoever has taken it out has it
        self._waiting: list[_Carrier] = []
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, stint: Stint) -> None:
        """Run ``stint`` in a thread that waits, or in a new one. ``RuntimeError`` if there is none to be had."""
        try:
            carrier = self._waiting.pop()
        except IndexError:
            _Carrier(self, stint).start()
        else:
            carrier.carry(stint)

    def wait_in(self, carrier: "_Carrier") -> bool:
        """A thread waits for its next actor. False if there are enough of them."""
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(carrier)  # before the look, so that whoever closes sees it, or it sees that
        return not (self.closed and self.leave(carrier))

    def leave(self, carrier: "_Carrier") -> bool:
        """A thread has waited long enough. False if it was taken out a moment ago: its actor is on its way."""
        try:
            self._waiting.remove(carrier)
        except ValueError:
            return False
        return True

    def close(self) -> None:
        """Let all end that wait, and keep none from now on."""
        self.closed = True
        while self._waiting:
            try:
                self._waiting.pop().carry(None)
            except IndexError:  # it has left by itself
                return


class _Carrier(threading.Thread):
    """One thread. Daemonic, as are all that carry actors."""

    def __init__(self, home: IdleThreads, stint: Stint) -> None:
        super().__init__(name=stint.name, daemon=True)
        self._home = home
        self._next: Stint | None = stint
        self._gate = _thread.allocate_lock()
        self._gate.acquire()

    def carry(self, stint: Stint | None) -> None:
        """Go on with this one; with None, end. Called once, by whoever has taken it out of those that wait."""
        self._next = stint
        self._gate.release()

    def run(self) -> None:
        before = self._marks()
        while (stint := self._next) is not None:
            self.name = stint.name
            again = stint.run()
            if not (again and _is_as_new() and self._marks() == before):
                return
            self.name = self._home.name
            if not self._home.wait_in(self):
                return
            if not self._gate.acquire(timeout=self._home.seconds):
                if self._home.leave(self):
                    return
                while not self._gate.acquire(timeout=_ON_ITS_WAY):
                    if self._home.closed:  # whoever took it out was killed before the word was given
                        return

    def _marks(self) -> tuple[object, ...]:
        """What an actor may have set in this thread, and on this object."""
        return sys.gettrace(), sys.getprofile(), tuple(vars(self))


def _is_as_new() -> bool:
    """True if the calling thread holds nothing that a new one would not. Python 3.14 keeps its loop elsewhere."""
    return _SHOWS_LOCALS and not _kept() and asyncio._get_running_loop() is None


def _kept() -> dict[Any, Any]:
    address = _state_of_thread()
    return ctypes.cast(address, ctypes.py_object).value if address else {}


def _shows_locals() -> bool:
    before, probe = len(_kept()), threading.local()
    probe.value = True
    return len(_kept()) > before


_SHOWS_LOCALS = _shows_locals()
"""False from Python 3.13 on, which keeps the values of ``threading.local`` where nobody can look: no thread is used
again there.
"""
