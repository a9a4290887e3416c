"""References: a path that resolves to whoever lives there now."""

import gc

import pykka
import pytest

from supervisors import ChildSpec, ExitKind, RestartPolicy, Supervisor, SupervisorSpec, start_child, terminate_child
from supervisors.events import DeadLetter, Started
from supervisors.testing import DEADLINE, Do, Probe, await_children, await_true, down_of


@pytest.fixture
def tree(runtime):
    """One permanent child ``a``."""
    spec = SupervisorSpec((ChildSpec("a", Probe),), restarts=RestartPolicy.otp(100))
    return runtime.start(Supervisor(spec))


def test_a_reference_survives_restarts(tree, runtime, log):
    """The same object reaches the next incarnation, whose number is higher."""
    ref = runtime.ref("rt/a")
    assert runtime.ref("rt/a") is ref
    before = ref.incarnation
    ref.tell(Do(lambda _: 1 / 0))
    await_true(lambda: (ref.incarnation or before) != before, "the next incarnation is there")
    assert ref.ask("x", timeout=DEADLINE) == "x"
    assert ref.incarnation > before
    assert ref.is_up()
    assert f"incarnation {ref.incarnation}" in repr(ref)


def test_while_nobody_lives_there_a_tell_is_a_dead_letter_and_an_ask_fails_at_once(tree, runtime, log):
    """No timeout is waited for."""
    ref = runtime.ref("rt/a")
    terminate_child(tree, "a").get(timeout=DEADLINE)
    ref.tell("x")
    assert [(event.path, event.message_type, event.why) for event in log.of(DeadLetter)] == [("rt/a", "str", "down")]
    with pytest.raises(pykka.ActorDeadError, match="rt/a is down"):
        ref.ask("x", timeout=DEADLINE)
    assert ref.request("x").done()
    assert not ref.is_up()
    assert ref.incarnation is None
    assert "down" in repr(ref)


def test_a_monitor_tells_one_down_of_the_present_incarnation(tree, runtime, log):
    """A restart does not bring the news of the next one; nobody there is ``noproc``."""
    ref, heard = runtime.ref("rt/a"), []
    ref.monitor(heard.append)
    incarnation = ref.incarnation
    for _ in range(2):
        started = len(log.of(Started, "rt/a"))
        ref.tell(Do(lambda _: 1 / 0))
        log.await_event(Started, "rt/a", started + 1)
    assert [(signal.incarnation, signal.reason.kind) for signal in heard] == [(incarnation, ExitKind.ERROR)]
    runtime.ref("rt/nobody").monitor(heard.append)
    assert heard[1].reason.kind is ExitKind.NOPROC


def test_a_reference_can_be_had_before_anybody_lives_there(tree, runtime):
    """It comes up with the actor."""
    ref = runtime.ref("rt/later")
    assert not ref.is_up()
    start_child(tree, ChildSpec("later", Probe)).get(timeout=DEADLINE)
    assert ref.ask("x", timeout=DEADLINE) == "x"


def test_a_reference_that_is_kept_finds_a_child_that_is_added_again(tree, runtime):
    """Deleted and started anew under the same id: the same place."""
    from supervisors import delete_child

    ref = runtime.ref("rt/a")
    terminate_child(tree, "a").get(timeout=DEADLINE)
    delete_child(tree, "a").get(timeout=DEADLINE)
    gc.collect()
    start_child(tree, ChildSpec("a", Probe)).get(timeout=DEADLINE)
    assert ref.ask("x", timeout=DEADLINE) == "x"


def test_names_of_children_that_are_gone_are_not_kept(runtime):
    """A pool through which a thousand children pass keeps none of their names, but that of the one somebody holds."""
    pool = runtime.start(Supervisor(SupervisorSpec(pool=True)))
    held = runtime.ref("rt/7")
    for number in range(200):
        start_child(pool, ChildSpec(str(number), Probe)).get(timeout=DEADLINE)
        terminate_child(pool, str(number)).get(timeout=DEADLINE)
    await_children(pool, "")
    gc.collect()
    assert [ref.path for ref in runtime.refs()] in (["rt/7", "rt"], ["rt", "rt/7"])
    assert not held.is_up()


def test_an_ask_gives_up_after_its_timeout(stage):
    """The late answer harms nobody."""
    ref = stage.enter(Probe())
    gate = []
    slow = ref.request(Do(lambda _: await_true(lambda: gate, "the gate opens")))
    with pytest.raises(pykka.Timeout):
        slow.get(timeout=0.01)
    with pytest.raises(pykka.Timeout):
        ref.ask("x", timeout=0.01)
    gate.append(1)
    assert ref.ask("y", timeout=DEADLINE) == "y"


def test_a_message_to_an_actor_that_just_ended_is_counted_as_closed(stage, runtime, log):
    """Before its supervisor heard of the end, the reference still points to the dead one."""
    actor = Probe()
    ref = stage.enter(actor)
    actor.request_stop()
    down_of(actor).get(timeout=DEADLINE)
    ref.tell("x")
    assert log.of(DeadLetter)[-1].why == "closed"
    with pytest.raises(pykka.ActorDeadError, match="shutdown"):
        ref.ask("x", timeout=DEADLINE)
