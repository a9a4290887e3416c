"""What cannot be right is refused in the call, with the argument's name and value: not later, elsewhere, or never."""

import math
import re

import pykka
import pytest

from policies.short_text import short_text
from supervisors import (
    SHUTDOWN,
    ActorExit,
    ActorProxy,
    AsyncActor,
    AsyncSupervisor,
    ChildSpec,
    EventQueue,
    ExitKind,
    ExitReason,
    Intensity,
    Ladder,
    LoopThread,
    LoopWatchdog,
    ReplyFuture,
    Runtime,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    ThreadActor,
    Timeout,
    count_children,
    delete_child,
    end_actor,
    get_child_spec,
    get_state,
    glance,
    measure,
    reset_restarts,
    restart_child,
    resume,
    start_child,
    statistics,
    stop_trace,
    suspend,
    terminate_child,
    trace_messages,
    which_children,
)
from supervisors.events import DeadLetter
from supervisors.testing import DEADLINE, Probe, await_true

NO_TIME = ("5", b"5", None, -1, -0.001, math.nan, True, [], 10**400, 10**5000)
"""No seconds to wait. The last one Python does not even write out."""
NO_MOMENT = (*NO_TIME, math.inf)
NO_FUNCTION = (None, 5, "print")
NO_TEXT = (None, 5, b"a", ["a"])
NO_REF = (None, "rt/a", 5, Probe, Probe())
NO_ACTOR = (None, "a", Probe)
NO_REASON = (None, "crash", ExitKind.ERROR, ValueError("crash"))


class Timers:
    """Looks like a Runtime and like a LoopThread, and is neither."""

    timer = loop = None


NO_LOOP = (None, "loop", 5)


class Tree:
    """A supervisor with a child, and what belongs to them."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.root = runtime.start(Supervisor(SupervisorSpec([ChildSpec("a", Probe)])))
        self.ref = runtime.ref("rt/a")
        self.actor = self.ref.actor


@pytest.fixture
def tree(runtime):
    return Tree(runtime)


CALLS = [
    ("Ref.ask: timeout", NO_TIME, lambda tree, value: tree.ref.ask("x", value)),
    ("Ref.ask: timeout", NO_TIME, lambda tree, value: tree.ref.ask("x", value, wait=True)),
    ("Ref.ask: wait", ("yes", 30, [1]), lambda tree, value: tree.ref.ask("x", wait=value)),
    (
        "Ref.request: wait",
        tuple(value for value in NO_TIME if value is not None),
        lambda tree, value: tree.ref.request("x", wait=value),
    ),
    ("Ref.monitor: watcher", NO_FUNCTION, lambda tree, value: tree.ref.monitor(value)),
    ("Ref.when_up: callback", NO_FUNCTION, lambda tree, value: tree.ref.when_up(value)),
    ("Ref.ask: timeout", NO_TIME, lambda tree, value: tree.ref.proxy().path.get(value)),
    ("ActorProxy.ref", NO_REF, lambda _, value: ActorProxy(value)),
    ("ReplyFuture.get: timeout", ("5", math.nan, True, []), lambda tree, value: tree.runtime.ended.get(timeout=value)),
    ("ReplyFuture.offer: error", ("bad", 5, ValueError), lambda _, value: ReplyFuture().offer(error=value)),
    ("ReplyFuture.add_done_callback: callback", NO_FUNCTION, lambda _, value: ReplyFuture().add_done_callback(value)),
    (
        "ReplyFuture.set_exception: exc_info",
        ("bad", ValueError(), (1,)),
        lambda _, value: ReplyFuture().set_exception(value),
    ),
    ("ReplyFuture.set_get_hook: func", NO_FUNCTION, lambda _, value: ReplyFuture().set_get_hook(value)),
    ("Actor.watch: ref", NO_REF, lambda tree, value: tree.actor.watch(value)),
    ("Actor.unwatch: ref", NO_REF, lambda tree, value: tree.actor.unwatch(value)),
    ("Actor.link: ref", NO_REF, lambda tree, value: tree.actor.link(value)),
    ("Actor.unlink: ref", NO_REF, lambda tree, value: tree.actor.unlink(value)),
    ("Actor.monitor: watcher", NO_FUNCTION, lambda tree, value: tree.actor.monitor(value)),
    ("Actor.signal: signal", (None, "stop", Timeout), lambda tree, value: tree.actor.signal(value)),
    ("Actor.send_after: seconds", NO_MOMENT, lambda tree, value: tree.actor.send_after(value, "x")),
    ("Actor.send_every: period", (*NO_MOMENT, 0), lambda tree, value: tree.actor.send_every(value, "x")),
    (
        "Actor.send_every: first",
        ("5", -1, math.nan, True, math.inf),
        lambda tree, value: tree.actor.send_every(1, "x", value),
    ),
    (
        "Actor.signal_at: when",
        ("5", None, math.nan, math.inf, True),
        lambda tree, value: tree.actor.signal_at(value, Timeout("x")),
    ),
    ("Actor.signal_at: signal", (None, "x"), lambda tree, value: tree.actor.signal_at(0, value)),
    ("Stop.reason", NO_REASON, lambda tree, value: tree.actor.request_stop(value)),
    ("AsyncActor.loop", NO_LOOP, lambda _, value: AsyncActor(value)),
    ("AsyncSupervisor.loop", NO_LOOP, lambda _, value: AsyncSupervisor(value, SupervisorSpec())),
    ("ActorExit.reason", NO_REASON, lambda _, value: ActorExit(value)),
    ("ExitReason.kind", (None, "error", 5), lambda _, value: ExitReason(value)),
    ("ExitReason.detail", NO_TEXT, lambda _, value: end_actor(1, value)),
    ("ExitReason.cause", NO_REASON[1:], lambda _, value: ExitReason(ExitKind.ERROR, cause=value)),
    ("ExitReason.leaked", (None, "rt/a", [5]), lambda _, value: ExitReason(ExitKind.ERROR, leaked=value)),
    ("ExitReason.of: error", (None, "crash", ValueError), lambda _, value: ExitReason.of(ExitKind.ERROR, value)),
    ("Ladder.stop", NO_TIME, lambda _, value: Ladder(stop=value)),
    ("Ladder.within: seconds", NO_TIME, lambda _, value: Ladder().within(value)),
    ("ChildSpec.start_timeout", NO_TIME, lambda _, value: ChildSpec("a", Probe, start_timeout=value)),
    ("SupervisorSpec.pause", NO_MOMENT, lambda _, value: SupervisorSpec(pause=value)),
    ("Intensity.for_children: children", (None, "5", -1, 1.5), lambda _, value: Intensity.for_children(value)),
    ("Runtime.name", (*NO_TEXT, "", "/", "rt/", "a//b"), lambda _, value: Runtime(value)),
    ("Runtime.clock", (None, 5, "now"), lambda _, value: Runtime("other", value)),
    ("Runtime.start: timeout", NO_TIME, lambda tree, value: tree.runtime.start(Probe(), value)),
    ("Runtime.stop: timeout", NO_TIME, lambda tree, value: tree.runtime.stop(value)),
    ("Runtime.stop: reason", NO_REASON, lambda tree, value: tree.runtime.stop(reason=value)),
    (
        "Runtime.ref: path",
        (*NO_TEXT, "", "a", "rta", "/rt", "RT/a", "rt/", "rt//a", "rt/a/"),
        lambda tree, value: tree.runtime.ref(value),
    ),
    ("Runtime.emit: event", (None, "ended", DeadLetter), lambda tree, value: tree.runtime.emit(value)),
    ("what Runtime.launch starts", NO_ACTOR, lambda tree, value: tree.runtime.launch(value, "rt/b")),
    ("Runtime.ref: path", ("b", None), lambda tree, value: tree.runtime.launch(Probe(), value)),
    ("Runtime.kill: actor", NO_ACTOR, lambda tree, value: tree.runtime.kill(value, Ladder(), SHUTDOWN)),
    ("Runtime.kill: ladder", (None, 5), lambda tree, value: tree.runtime.kill(tree.actor, value, SHUTDOWN)),
    ("Runtime.kill: reason", NO_REASON, lambda tree, value: tree.runtime.kill(tree.actor, Ladder(), value)),
    ("a name", (*NO_TEXT, "", " ", "rt/a"), lambda tree, value: tree.runtime.whereis(value)),
    ("a name", (*NO_TEXT, "", " ", "rt/a"), lambda tree, value: tree.runtime.names.release(value)),
    ("a subscriber", NO_FUNCTION, lambda tree, value: tree.runtime.subscribe(value)),
    ("EventQueue.runtime", (None, "rt"), lambda _, value: EventQueue(value, print)),
    ("EventQueue.function", NO_FUNCTION, lambda tree, value: EventQueue(tree.runtime, value)),
    ("LoopThread.name", NO_TEXT, lambda _, value: LoopThread(value)),
    ("LoopWatchdog.runtime", (None, "rt", Timers()), lambda _, value: LoopWatchdog(value, None, 1, 1)),
    ("LoopWatchdog.loop", (*NO_LOOP, Timers()), lambda tree, value: LoopWatchdog(tree.runtime, value, 1, 1)),
]
REQUESTS = [
    *(count_children, which_children, reset_restarts),
    *(lambda ref, ask=ask: ask(ref, "a") for ask in (terminate_child, restart_child, delete_child, get_child_spec)),
    lambda ref: start_child(ref, ChildSpec("b", Probe)),
]
"""Of a supervisor."""
SYSTEM = [suspend, resume, get_state, statistics, glance, measure, trace_messages, stop_trace]


@pytest.mark.parametrize(("name", "values", "call"), CALLS, ids=[name for name, _, _ in CALLS])
def test_a_bad_argument_is_named_and_changes_nothing(tree, name, values, call):
    """Nothing was sent, set or ended: the tree is as it was."""
    before = tree.root.incarnation, tree.ref.incarnation
    for value in values:
        with pytest.raises(ValueError, match=f"^{re.escape(name)}.* must be ") as caught:
            call(tree, value)
        assert str(caught.value).endswith(f"got {short_text(value)}")
    assert get_child_spec(tree.root, "a").get(timeout=DEADLINE).id == "a"
    assert tree.ref.ask("alive", timeout=DEADLINE) == "alive"
    assert (tree.root.incarnation, tree.ref.incarnation) == before
    assert tree.actor.handled_count == 1
    assert tree.actor.own_timers == set()
    assert tree.actor.signals == []


@pytest.mark.parametrize("value", NO_REF, ids=type)
@pytest.mark.parametrize("ask", [*REQUESTS, *SYSTEM])
def test_what_is_asked_of_a_place_needs_a_reference(ask, value):
    """Neither a path nor an actor is one."""
    with pytest.raises(ValueError, match=r"must be a Ref, as Runtime\.ref"):
        ask(value)


@pytest.mark.parametrize("ask", REQUESTS)
def test_what_is_asked_of_a_supervisor_does_not_come_to_others(tree, ask):
    """A worker would take the request for a message: it might crash, or seem to have done what was asked."""
    with pytest.raises(ValueError, match="rt/a is a Probe, no supervisor"):
        ask(tree.ref)
    assert tree.ref.ask("alive", timeout=DEADLINE) == "alive"
    assert tree.actor.handled_count == 1


def test_no_limit_is_a_time_too(tree):
    """Infinity is what to say; only a future, as one of Pykka's, also knows None."""
    assert tree.ref.ask("x", math.inf) == "x"
    assert tree.ref.ask("x", math.inf, wait=True) == "x"
    assert tree.ref.request("x", wait=math.inf).get(timeout=math.inf) == "x"
    assert tree.ref.request("x").get(timeout=None) == "x"
    assert EventQueue(tree.runtime, print, []).close(math.inf)
    assert tree.runtime.stop(math.inf)


def test_a_deadline_that_has_passed_is_no_mistake_of_who_waits(tree):
    """Who waits for several answers by one clock comes below 0; an answer that is there is had all the same."""
    with pytest.raises(pykka.Timeout):
        tree.runtime.ended.get(timeout=-0.1)
    answered = ReplyFuture()
    answered.offer("there")
    assert answered.get(timeout=-5) == "there"


def test_a_watchdog_that_would_look_all_the_time_is_refused(runtime):
    """A limit of nothing would have it look without a pause, and one that is no number never."""
    loop = LoopThread("rt loop")
    actor = AsyncActor(loop)
    runtime.start(actor)
    for value in (0, -1, math.nan, "5", True, None, math.inf):
        for limits in ((value, 1), (1, value)):
            with pytest.raises(ValueError, match=r"LoopWatchdog\.(limit|grace) must be .* at least 0\.001"):
                LoopWatchdog(runtime, loop, *limits)
    for value in ("5", -1, math.nan):
        with pytest.raises(ValueError, match=r"LoopThread\.join: timeout"):
            loop.join(value)


def test_a_queue_that_is_closed_wrongly_stays_open(runtime):
    """Its events are not lost."""
    heard = []
    queue = EventQueue(runtime, heard.append)
    for value in NO_TIME:
        with pytest.raises(ValueError, match=r"EventQueue\.close: timeout"):
            queue.close(value)
    runtime.start(Probe())
    await_true(lambda: len(heard) >= 1, "events come")
    assert queue.close(DEADLINE)
    assert queue.dropped == 0


def test_an_actor_whose_constructor_was_not_run_is_told_so(runtime):
    """The usual slip: ``super().__init__()`` was forgotten."""

    class Shop(ThreadActor):
        def __init__(self):
            self.stock = 5

    with pytest.raises(RuntimeError, match=r"Shop\.__init__ must begin with super\(\).__init__\(\)"):
        runtime.start(Shop())
    root = runtime.start(Supervisor(SupervisorSpec()))
    refused = start_child(root, ChildSpec("shop", Shop))
    with pytest.raises(SupervisorError, match="refused") as caught:
        refused.get(timeout=DEADLINE)
    assert "must begin with super().__init__()" in str(caught.value.reason)


def test_a_child_of_another_tree_is_not_found_by_its_reference(runtime):
    """Though it has the same path: both runtimes may have the same name."""
    pool = SupervisorSpec([ChildSpec("a", Probe)], pool=True)
    root = runtime.start(Supervisor(pool))
    other = Runtime("rt")
    other.start(Supervisor(pool))
    with pytest.raises(SupervisorError, match="has no child"):
        terminate_child(root, other.ref("rt/a")).get(timeout=DEADLINE)
    assert runtime.ref("rt/a").is_up()
    assert other.stop(DEADLINE)
