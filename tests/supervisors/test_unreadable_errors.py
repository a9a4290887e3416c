"""What foreign code raises may have no text of its own. With the log switched on it harms nobody all the same."""

import asyncio
import threading

import pytest
from loguru import logger

from supervisors import ChildHooks, ChildSpec, EventQueue, RestartPolicy, Supervisor, SupervisorSpec, end_actor
from supervisors.events import DeadLetter, Started
from supervisors.future import ReplyFuture
from supervisors.testing import DEADLINE, AsyncProbe, Do, Probe, await_true, down_of
from supervisors.timer import TimerThread
from tests.supervisors.conftest import make_loop


@pytest.fixture(params=[ValueError, SystemExit], ids=lambda kind: kind.__name__)
def explode(request):
    """A function that raises what cannot be read: whoever asks for its text gets an exception of this kind."""

    class Mute(Exception):
        def __repr__(self):
            raise request.param

        __str__ = __repr__

    def explode(*_):
        raise Mute

    return explode


@pytest.fixture(autouse=True)
def logged():
    """What ``supervisors`` writes to its log."""
    records = []
    logger.enable("supervisors")
    sink = logger.add(lambda message: records.append(message.record["message"]), catch=False)
    yield records
    logger.remove(sink)
    logger.disable("supervisors")


@pytest.fixture(autouse=True)
def named(logged):
    """In the end somebody has told of it, by its type."""
    yield
    await_true(lambda: any("<Mute: its text cannot be read" in text for text in logged), f"it is logged: {logged}")


def test_a_hook_does_not_refuse_the_start_of_its_supervisor(runtime, log, explode):
    """Nor its restarts."""
    hooks = ChildHooks(started=explode, terminated=explode, restarting=explode, restarted=explode)
    child = ChildSpec("a", Probe, hooks=hooks)
    runtime.start(Supervisor(SupervisorSpec((child,), restarts=RestartPolicy.otp(3))))
    runtime.ref("rt/a").tell(Do(lambda _: 1 / 0))
    log.await_event(Started, "rt/a", count=2)


def test_a_watcher_keeps_the_news_from_nobody(stage, make, explode):
    """Those after it hear of the start and of the end."""
    actor = make()
    actor.monitor(explode)
    down = stage.try_enter(actor)
    actor.ref.tell(Do(lambda _: 1 / 0))
    assert down.get(timeout=DEADLINE).reason.error_type == "ZeroDivisionError"


def test_a_value_left_behind_keeps_the_news_from_nobody(stage, make, explode):
    """What a watcher failed on may hold foreign values."""

    class Mute:
        __repr__ = explode

    actor = make()
    actor.monitor(explode)
    down = stage.try_enter(actor)
    actor.ref.tell(Do(lambda _: end_actor(Mute())))
    assert down.get(timeout=DEADLINE).reason.abnormal is False


def test_a_release_hook_does_not_keep_back_the_end(stage, make, explode):
    """It is told as it was."""
    actor = make(release=explode)
    down = down_of(actor)
    stage.enter(actor).tell(Do(lambda _: 1 / 0))
    assert down.get(timeout=DEADLINE).reason.error_type == "ZeroDivisionError"


def test_a_done_callback_does_not_harm_who_answers(explode):
    """The callbacks after it are called."""
    future, heard = ReplyFuture(), []
    future.add_done_callback(explode)
    future.add_done_callback(heard.append)
    assert future.offer("x")
    assert heard == [future]


def test_a_timer_function_does_not_end_the_timers(explode):
    """The next one is called."""
    timers, called = TimerThread("rt timer"), threading.Event()
    timers.after(0, explode)
    timers.after(0, called.set)
    assert called.wait(DEADLINE)
    timers.close()


def test_a_queued_subscriber_does_not_end_its_queue(runtime, explode):
    """The next event is handled."""
    heard = []

    def handle(event):
        heard.append(event.path)
        explode()

    queue = EventQueue(runtime, handle)
    for path in ("rt/1", "rt/2"):
        runtime.emit(DeadLetter(path, "str", "down"))
    assert queue.close(DEADLINE)
    assert heard == ["rt/1", "rt/2"]


def test_a_subscriber_does_not_keep_the_event_from_the_others(runtime, explode):
    """Those after it hear it."""
    heard = []
    runtime.subscribe(explode)
    runtime.subscribe(heard.append)
    runtime.emit(DeadLetter("rt/1", "str", "down"))
    assert len(heard) == 1


def test_a_coroutine_does_not_keep_its_loop_from_closing(stage, explode, monkeypatch):
    """One that swallows its cancellations, and raises when it is ended in mid-await."""
    monkeypatch.setattr("supervisors.loop_thread._TASKS_GET", 0.05)
    loop = make_loop()

    async def swallow():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue
            except GeneratorExit:
                explode()

    actor, tasks = AsyncProbe(loop), []
    stage.enter(actor).ask(Do(lambda _: tasks.append(asyncio.create_task(swallow()))), timeout=DEADLINE)
    actor.request_stop()
    assert loop.join(DEADLINE)
    assert loop.loop.is_closed()


def test_an_exit_does_not_end_a_loop(stage, explode):
    """Its actors live on."""
    ref = stage.enter(AsyncProbe(make_loop()))

    class Mute(SystemExit):
        __repr__ = __str__ = explode

    def leave():
        raise Mute

    ref.ask(Do(lambda _: asyncio.get_running_loop().call_soon(leave) and None), timeout=DEADLINE)
    assert ref.ask("alive", timeout=DEADLINE) == "alive"
