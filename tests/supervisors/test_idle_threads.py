"""Threads that carry one actor after another, and what must never pass from one to the next."""

import asyncio
import contextlib
import contextvars
import ctypes
import functools
import itertools
import sys
import threading
import types
from pathlib import Path

import pytest

import supervisors.idle_threads
import supervisors.runtime
import supervisors.thread_actor
from supervisors import ExitKind, ExitReason, Ladder, Runtime, ThreadActor
from supervisors.testing import DEADLINE, Do, Probe, await_true, down_of, ready_of

LONG = 10.0
"""Seconds that no check waits for. Some planted bugs leave a thread behind for so long."""
SOON = 5.0
"""Seconds within which threads end; with a bug planted they never do, and nobody waits so long for it."""
KILL = ExitReason(ExitKind.KILLED, "for a test")
numbers = itertools.count()
kept = threading.local()
variable = contextvars.ContextVar("variable", default="fresh")


class Alone(Probe):
    """An actor that wants a thread of its own."""

    shares_thread = False


@contextlib.contextmanager
def a_runtime(seconds=LONG, most=16):
    """A runtime for single actors whose idle threads wait so long, and so many; all have ended after it."""
    runtime = Runtime("rt")
    runtime.idle_threads = supervisors.runtime.IdleThreads("rt", seconds, most)
    try:
        yield runtime
    finally:
        for ref in runtime.refs():
            if ref.actor is not None:
                down = down_of(ref.actor)
                ref.actor.request_stop()
                down.get(timeout=DEADLINE)
        runtime.close()


def enter(runtime, actor):
    """Start it and wait until it is ready; its thread."""
    ready = ready_of(actor)
    runtime.launch(actor, f"rt/{next(numbers)}")
    ready.get(timeout=DEADLINE)
    return actor.ref.ask(Do(lambda _: threading.current_thread()), timeout=DEADLINE)


def end(runtime, actor, thread):
    """Crash it, and wait until its thread waits or has ended."""
    down = down_of(actor)
    actor.ref.tell(Do(lambda _: 1 / 0))
    down.get(timeout=DEADLINE)
    actor._thread.join(DEADLINE)
    await_true(lambda: len(runtime.idle_threads) or not thread.is_alive(), "its thread waits or ends", SOON)


def goes_on(leave=lambda: None, kind=Probe):
    """Whether the next actor runs in the thread of one that did ``leave()`` and crashed."""
    with a_runtime() as runtime:
        actor = kind()
        thread = enter(runtime, actor)
        actor.ref.ask(Do(lambda _: leave()), timeout=DEADLINE)
        end(runtime, actor, thread)
        return enter(runtime, Probe()) is thread


# ------------------------------------------------------------------------- each of these notices the bugs below it


def the_next_actor_runs_in_the_thread_of_the_one_that_crashed():
    """That is what it is for."""
    assert goes_on()


def a_thread_local_value_never_passes_on():
    """Whoever left one in its thread takes the thread along."""
    assert not goes_on(lambda: setattr(kept, "value", "old"))


def a_running_loop_never_passes_on():
    """What synchronous wrappers of asyncio leave when they crash would keep each successor from starting its own."""
    loop = asyncio.new_event_loop()
    try:
        assert not goes_on(lambda: asyncio._set_running_loop(loop))
    finally:
        loop.close()


def a_profile_function_never_passes_on():
    """Nor does a trace function."""
    assert not goes_on(lambda: sys.setprofile(lambda *_: None))


def an_attribute_of_the_thread_never_passes_on():
    """Some libraries keep what is theirs on the object of the thread."""
    assert not goes_on(lambda: setattr(threading.current_thread(), "kept", "old"))


def a_context_variable_never_passes_on():
    """The thread may go on: each actor begins with an empty context."""
    with a_runtime() as runtime:
        actor, successor = Probe(), Probe()
        thread = enter(runtime, actor)
        actor.ref.ask(Do(lambda _: variable.set("old")), timeout=DEADLINE)
        end(runtime, actor, thread)
        assert enter(runtime, successor) is thread
        assert successor.ref.ask(Do(lambda _: variable.get()), timeout=DEADLINE) == "fresh"


def an_actor_that_wants_its_own_thread_has_it():
    """Neither before it nor after it does anybody run there."""
    assert not goes_on(kind=Alone)
    with a_runtime() as runtime:
        actor = Probe()
        thread = enter(runtime, actor)
        end(runtime, actor, thread)
        assert enter(runtime, Alone()) is not thread


def the_thread_of_one_that_was_killed_ends():
    """An exception that was raised in it may still be on its way."""
    with a_runtime() as runtime:
        actor, busy = Probe(), threading.Event()

        def spin(_):
            busy.set()
            while True:
                pass

        thread = enter(runtime, actor)
        actor.ref.tell(Do(spin))
        assert busy.wait(DEADLINE)
        down = down_of(actor)
        runtime.kill(actor, Ladder(stop=0, cancel=0, release=0, exception=DEADLINE), KILL)
        assert down.get(timeout=DEADLINE).reason.kind is ExitKind.KILLED
        await_true(lambda: not thread.is_alive(), "the thread ends", SOON)


def the_thread_of_one_that_was_abandoned_ends():
    """Once it comes back from where it was stuck."""
    with a_runtime() as runtime:
        actor, busy, go = Probe(), threading.Event(), threading.Event()
        thread = enter(runtime, actor)
        actor.ref.tell(Do(lambda _: busy.set() or go.wait(DEADLINE)))
        assert busy.wait(DEADLINE)
        runtime.kill(actor, Ladder(stop=0, cancel=0, release=0, exception=0), KILL)
        assert actor.exit_reason.kind is ExitKind.ABANDONED
        go.set()
        await_true(lambda: not thread.is_alive(), "the thread ends", SOON)


def one_that_is_killed_before_it_begins_ends():
    """Its thread has not come to it yet: no frame is there to raise anything in."""
    with a_runtime() as runtime:
        held = []
        runtime.idle_threads.begin = held.append
        actor = Probe()
        runtime.launch(actor, "rt/a")
        down = down_of(actor)
        runtime.kill(actor, Ladder(stop=0, cancel=0, release=0, exception=3600), KILL)
        supervisors.runtime.IdleThreads("rt").begin(held.pop())
        assert down.get(timeout=SOON).reason.kind is ExitKind.KILLED


def a_thread_is_named_for_the_actor_in_it():
    """And says so when it has none."""
    with a_runtime() as runtime:
        actor = Probe()
        thread = enter(runtime, actor)
        assert thread.name == actor.path
        end(runtime, actor, thread)
        assert thread.name == "rt idle thread"
        successor = Probe()
        assert enter(runtime, successor).name == successor.path


def who_has_ended_has_no_stack():
    """Its thread is another's by now."""
    with a_runtime() as runtime:
        actor = Probe()
        thread = enter(runtime, actor)
        assert "_serve" in actor.stack()
        end(runtime, actor, thread)
        assert enter(runtime, Probe()) is thread
        assert actor.stack() == ""


def a_thread_that_nobody_needs_ends_by_itself():
    """After its time."""
    with a_runtime(seconds=0.01) as runtime:
        actor = Probe()
        thread = enter(runtime, actor)
        end(runtime, actor, thread)
        await_true(lambda: not thread.is_alive(), "the thread ends", SOON)
        assert len(runtime.idle_threads) == 0


def threads_that_wait_end_with_their_runtime():
    """Whatever time they have left."""
    with a_runtime() as runtime:
        actor = Probe()
        thread = enter(runtime, actor)
        end(runtime, actor, thread)
        assert thread.is_alive()
    await_true(lambda: not thread.is_alive(), "the thread ends", SOON)


def no_thread_waits_in_a_runtime_that_has_ended():
    """What ends later, such as a zombie, takes its thread along."""
    with a_runtime() as runtime:
        actor = Probe()
        thread = enter(runtime, actor)
        runtime.idle_threads.close()
        end(runtime, actor, thread)
        await_true(lambda: not thread.is_alive(), "the thread ends", SOON)


def no_more_threads_wait_than_there_may():
    """The others end at once."""
    with a_runtime(most=2) as runtime:
        actors = [Probe() for _ in range(4)]
        threads = [enter(runtime, actor) for actor in actors]
        for actor in actors:
            down = down_of(actor)
            actor.ref.tell(Do(lambda _: 1 / 0))
            down.get(timeout=DEADLINE)
        await_true(lambda: sum(thread.is_alive() for thread in threads) == 2, "two of four threads end", SOON)
        assert len(runtime.idle_threads) == 2


def an_actor_that_comes_when_the_time_is_up_is_carried_all_the_same():
    """The thread is given the actor at the very moment when it gives up waiting."""
    ran = threading.Event()
    late = supervisors.thread_actor.Stint(lambda: ran.set() or False, "late")

    class Contended(supervisors.runtime.IdleThreads):
        def leave(self, carrier):
            self.begin(late)
            return super().leave(carrier)

    idle = Contended("rt", 0.001)
    idle.begin(supervisors.thread_actor.Stint(lambda: True, "early"))
    assert ran.wait(SOON)
    late.join(DEADLINE)


SHOWN = pytest.mark.skipif(
    not supervisors.idle_threads._SHOWS_LOCALS,
    reason="this Python shows no values of threading.local: no thread goes on",
)
GOES_ON = [
    the_next_actor_runs_in_the_thread_of_the_one_that_crashed,
    a_context_variable_never_passes_on,
    an_actor_that_wants_its_own_thread_has_it,
    a_thread_is_named_for_the_actor_in_it,
    who_has_ended_has_no_stack,
    threads_that_wait_end_with_their_runtime,
    no_more_threads_wait_than_there_may,
    an_actor_that_comes_when_the_time_is_up_is_carried_all_the_same,
]
"""Those that need a thread which carries another actor."""
CHECKS = [value for value in list(vars().values()) if isinstance(value, types.FunctionType) and value.__doc__]
CHECKS = [check for check in CHECKS if not check.__code__.co_argcount and check.__name__ not in ("a_runtime",)]

BUGS = [
    ("            carrier = self._waiting.pop()\n", "            raise IndexError\n", CHECKS[0]),
    ("not _kept() and ", "", a_thread_local_value_never_passes_on),
    ("not _kept() and asyncio._get_running_loop() is None", "True", a_running_loop_never_passes_on),
    ("sys.gettrace(), sys.getprofile(), ", "", a_profile_function_never_passes_on),
    (", tuple(vars(self))", "", an_attribute_of_the_thread_never_passes_on),
    ("contextvars.Context().run(function)", "function()", a_context_variable_never_passes_on),
    ("again and ", "", the_thread_of_one_that_was_killed_ends),
    ("again and ", "", the_thread_of_one_that_was_abandoned_ends),
    ("            self.name = stint.name\n", "", a_thread_is_named_for_the_actor_in_it),
    ("            self.name = self._home.name\n", "", a_thread_is_named_for_the_actor_in_it),
    ("return self._over.locked()", "return True", who_has_ended_has_no_stack),
    ("timeout=self._home.seconds", "timeout=-1", a_thread_that_nobody_needs_ends_by_itself),
    ("        while self._waiting:\n", "        while False:\n", threads_that_wait_end_with_their_runtime),
    ("        self.closed = True\n", "", no_thread_waits_in_a_runtime_that_has_ended),
    ("if len(self._waiting) >= self._most:", "if False:", no_more_threads_wait_than_there_may),
    (
        "                if self._home.leave(self):\n                    return\n",
        "                return\n",
        CHECKS[-1],
    ),
]


@pytest.mark.parametrize(
    "check",
    [pytest.param(check, marks=SHOWN if check in GOES_ON else ()) for check in CHECKS],
    ids=lambda check: check.__name__,
)
def test_idle_threads(check):
    """What the name of the check says."""
    check()


@SHOWN
def test_what_others_declare_of_pythons_own_functions_changes_nothing(monkeypatch):
    """``ctypes.pythonapi`` is everybody's, and keeps what was declared last."""
    monkeypatch.setattr(ctypes.pythonapi.PyThreadState_GetDict, "restype", None)
    a_thread_local_value_never_passes_on()


@SHOWN
@pytest.mark.parametrize(
    ("right", "wrong", "check"), BUGS, ids=[f"{bug[2].__name__}: {bug[0].strip()}" for bug in BUGS]
)
def test_bug_is_found(monkeypatch, right, wrong, check):
    """The check fails on idle threads that break its rule."""
    source = Path(supervisors.idle_threads.__file__).read_text()
    assert source.count(right) == 1, f"{right!r} is not, or not once, in idle_threads.py"
    copy = types.ModuleType("idle_threads_with_a_bug")
    exec(compile(source.replace(right, wrong), "<idle threads with a bug>", "exec"), copy.__dict__)
    for module in (supervisors.runtime, supervisors.thread_actor):
        monkeypatch.setattr(module, "IdleThreads", copy.IdleThreads)
    monkeypatch.setattr(supervisors.thread_actor, "Stint", copy.Stint)
    monkeypatch.setitem(globals(), "SOON", 0.5)
    with pytest.raises(AssertionError):
        check()


@SHOWN
@pytest.mark.parametrize("check", [the_thread_of_one_that_was_killed_ends, the_thread_of_one_that_was_abandoned_ends])
def test_actors_that_always_pass_their_thread_on_are_found(monkeypatch, check):
    """Planted in the actor: it says that its thread is as good as new, whatever has happened."""
    run = ThreadActor._run
    monkeypatch.setattr(ThreadActor, "_run", functools.wraps(run)(lambda self: bool(run(self)) or True))
    monkeypatch.setitem(globals(), "SOON", 0.5)
    with pytest.raises(AssertionError):
        check()


@SHOWN
def test_a_thread_whose_taker_was_killed_ends_with_the_runtime(monkeypatch):
    """A kill may hit whoever has taken a thread out of those that wait before it has said what to carry."""
    monkeypatch.setattr(supervisors.idle_threads, "_ON_ITS_WAY", 0.05)
    idle = supervisors.idle_threads.IdleThreads("rt", seconds=0.05)
    idle.begin(supervisors.idle_threads.Stint(lambda: True, "first"))
    await_true(lambda: len(idle), "the thread waits")
    thread = idle._waiting.pop()
    idle.close()
    thread.join(DEADLINE)
    assert not thread.is_alive()
