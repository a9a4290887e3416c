"""A runtime that must leave nothing behind, and actors of both kinds to run on it."""

import itertools
import sys
import threading
from pathlib import Path

import pykka
import pytest

from supervisors import Actor, Killed, LoopThread, Ref, Runtime
from supervisors.testing import DEADLINE, AsyncProbe, EventLog, Journal, Probe, await_true, down_of, ready_of

NAME = "rt"
"""The root of every path in these tests."""


@pytest.fixture
def runtime():
    """A runtime without a tree. After the test no actor, thread, zombie or file descriptor of it may be left."""
    files = open_files()
    runtime = Runtime(NAME)
    yield runtime
    for ref in runtime.refs():
        if ref.actor is not None:
            ref.actor.request_stop()
    assert runtime.stop(DEADLINE)
    await_true(lambda: not threads(), f"threads of the runtime end: {threads()}")
    assert runtime.zombies() == {}
    await_true(lambda: not [ref for ref in runtime.refs() if ref.is_up()], "no ghost keeps its name")
    assert pykka.ActorRegistry.get_all() == []
    assert open_files() <= files


def open_files() -> set[str]:
    """The file descriptors of this process. (One of them is that of the listing.)"""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def threads() -> list[str]:
    """Names of the threads that belong to these tests."""
    ours = (f"{NAME}/", f"{NAME} ", f"release {NAME}/")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(ours)]


@pytest.fixture
def log(runtime):
    """The events of the runtime."""
    return EventLog(runtime)


@pytest.fixture
def journal():
    return Journal()


class Stage:
    """Starts single actors without a supervisor."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def enter(self, actor: Actor, name: str = "a") -> Ref:
        """Start an actor and wait until it is ready; fails if it refuses."""
        down = self.try_enter(actor, name)
        assert not down.done() or actor.ready, down.get()
        return actor.ref

    def try_enter(self, actor: Actor, name: str = "a") -> pykka.Future:
        """Start an actor and wait until it is ready or refused; returns its ``Down`` to be."""
        ready, down = ready_of(actor), down_of(actor)
        self.runtime.launch(actor, f"{NAME}/{name}")
        ready.get(timeout=DEADLINE)
        return down


@pytest.fixture
def stage(runtime):
    return Stage(runtime)


_loops = itertools.count(1)


def make_loop() -> LoopThread:
    """An event loop in a thread of its own. It ends with the last actor that was started on it."""
    return LoopThread(f"{NAME} loop {next(_loops)}")


@pytest.fixture(params=["thread", "async"])
def make(request):
    """Makes a probe of either kind: ``make(journal, start=..., stop=...)``. Async ones get a loop of their own."""
    if request.param == "thread":
        return Probe
    return lambda *args, **hooks: AsyncProbe(make_loop(), *args, **hooks)


@pytest.fixture
def kills_in_callbacks_are_no_news(monkeypatch):
    """A kill may arrive in a callback of the garbage collector, where Python can only report it, or while a start
    function makes an event loop, which complains of that when it is deleted. Pytest would keep the report, and with it
    the frames of that actor and all that they refer to.
    """
    report = sys.unraisablehook

    def other_news(news):
        half_made = getattr(news.object, "__qualname__", "") == "BaseEventLoop.__del__"
        if news.exc_type is not Killed and not half_made:
            report(news)

    monkeypatch.setattr(sys, "unraisablehook", other_news)
