"""Supervisors of both kinds that are killed: where it may hit them, and what becomes of their children."""

import threading

import pytest

import supervisors.supervision
from supervisors import (
    AsyncSupervisor,
    ChildHooks,
    ChildKind,
    ChildSpec,
    ExitKind,
    ExitReason,
    Ladder,
    RestartPolicy,
    Supervisor,
    SupervisorSpec,
    end_actor,
    restart_child,
    start_child,
    terminate_child,
)
from supervisors.events import Abandoned, Leaked
from supervisors.testing import DEADLINE, Do, Gate, Probe, await_true, down_of, tree_look
from tests.supervisors.conftest import make_loop

SOON = 0.05
WHY = ExitReason(ExitKind.KILLED, "to be seen")


@pytest.fixture(params=["thread", "loop"])
def supervisor(request):
    """Makes a supervisor of either kind of a specification; on loops of their own."""
    if request.param == "thread":
        return Supervisor
    return lambda spec: AsyncSupervisor(make_loop(), spec)


def spec(*children, **options):
    return SupervisorSpec(children, **{"restarts": RestartPolicy.otp(10_000)} | options)


def test_one_that_keeps_its_books_is_not_hit_before_they_are_in_order(runtime, supervisor, journal, monkeypatch):
    """What it has decided it carries out; then it ends, and takes along what it has just started as well."""
    entered, gate, core = threading.Event(), threading.Event(), supervisors.supervision.step

    def slow_step(state, event, *rest):
        decided = core(state, event, *rest)
        if type(event).__name__ == "StartChild":
            entered.set()
            gate.wait(DEADLINE)
        return decided

    monkeypatch.setattr(supervisors.supervision, "step", slow_step)
    below = ChildSpec("s", lambda: supervisor(spec()), kind=ChildKind.SUPERVISOR)
    root = runtime.start(Supervisor(spec(below)))
    victim = runtime.ref("rt/s").actor
    start_child(victim.ref, ChildSpec("late", lambda: Probe(journal)))
    assert entered.wait(DEADLINE)
    for _ in range(3):  # a ladder strikes three times
        assert victim.inject(WHY)
    gate.set()
    assert down_of(victim).get(timeout=DEADLINE).reason.kind is ExitKind.KILLED
    assert journal.entries() == ["+late", "-late"]
    await_true(lambda: tree_look(root) == "s=up()", "its successor has no children but the first ones")


def spin(*_):
    while True:
        pass


@pytest.mark.parametrize("where", ["start function", "hook", "subscriber"])
def test_one_that_is_stuck_in_code_of_others_is_hit_there(runtime, supervisor, journal, where):
    """At once: a start function, a hook and a subscriber are no books."""
    entered = threading.Event()

    def stuck(*_):
        entered.set()
        spin()

    hooks = ChildHooks(started=stuck if where == "hook" else None)
    start = stuck if where == "start function" else lambda: Probe(journal)
    child = ChildSpec("late", start, hooks=hooks)
    below = ChildSpec("s", lambda: supervisor(spec()), kind=ChildKind.SUPERVISOR)
    root = runtime.start(Supervisor(spec(below)))
    if where == "subscriber":
        unsubscribe = runtime.subscribe(lambda event: stuck() if event.path == "rt/s/late" else None, ["started"])
    victim = runtime.ref("rt/s").actor
    start_child(victim.ref, child)
    assert entered.wait(DEADLINE)
    down = down_of(victim)
    await_true(lambda: down.done() or (victim.inject(WHY) and None), "it is hit")
    assert down.get(timeout=DEADLINE).reason.kind is ExitKind.KILLED
    if where == "subscriber":
        unsubscribe()
    await_true(lambda: tree_look(root) == "s=up()", "its successor has no children but the first ones")


@pytest.mark.parametrize("where", ["hook", "subscriber"])
def test_one_that_was_given_up_does_nothing_any_more_when_it_comes_back(runtime, supervisor, log, journal, where):
    """It was stuck in foreign code: what it wanted to do then is its successor's, at the same paths."""
    entered, gate = threading.Event(), threading.Event()

    def stuck(event):
        if not entered.is_set() and event.path == "rt/s/x":
            entered.set()
            gate.wait(2 * DEADLINE)

    hooks = ChildHooks(terminated=stuck if where == "hook" else None)
    unsubscribe = runtime.subscribe(stuck if where == "subscriber" else lambda _: None, ["ended"])
    made = []
    child = ChildSpec("x", lambda: made.append(Probe(journal)) or made[-1], hooks=hooks)
    quick = Ladder(stop=SOON, cancel=SOON, release=SOON, exception=0)
    below = ChildSpec("s", lambda: supervisor(spec(child)), kind=ChildKind.SUPERVISOR, ladder=quick)
    root = runtime.start(Supervisor(spec(below)))
    runtime.ref("rt/s/x").tell(Do(lambda _: 1 / 0))
    assert entered.wait(DEADLINE)
    terminate_child(root, "s").get(timeout=DEADLINE)
    log.await_event(Abandoned, "rt/s")
    restart_child(root, "s").get(timeout=DEADLINE)
    successor = runtime.ref("rt/s/x").actor
    gate.set()
    await_true(lambda: not runtime.zombies(), "it comes back, and ends")
    unsubscribe()
    assert len(made) == 2
    assert runtime.ref("rt/s/x").actor is successor


def test_an_actor_that_was_given_up_before_it_began_never_begins(runtime, journal):
    """A subscriber held its launch up."""
    entered, gate, late = threading.Event(), threading.Event(), Probe(journal)

    def stuck(event):
        if event.path == "rt/late":
            entered.set()
            gate.wait(2 * DEADLINE)

    unsubscribe = runtime.subscribe(stuck, ["launched"])
    launching = threading.Thread(target=lambda: runtime.launch(late, "rt/late"))
    launching.start()
    assert entered.wait(DEADLINE)
    runtime.add_zombie(late)
    late.abandon(WHY)
    gate.set()
    launching.join(DEADLINE)
    unsubscribe()
    assert runtime.zombies() == {}
    assert journal.entries() == ["~late"]


def test_one_whose_subclass_ends_it_normally_ends_its_children_first(runtime, supervisor, journal):
    """They are not left to themselves."""
    kind = Supervisor if supervisor is Supervisor else AsyncSupervisor

    class Leaving(kind):
        def on_receive(self, message):
            return end_actor() if message == "leave" else super().on_receive(message)

    place = () if kind is Supervisor else (make_loop(),)
    down = down_of(root := Leaving(*place, spec(ChildSpec("x", lambda: Probe(journal)))))
    runtime.start(root)
    root.ref.tell("leave")
    assert down.get(timeout=DEADLINE).reason.kind is ExitKind.NORMAL
    assert journal.entries() == ["+x", "-x"]


def test_one_that_waits_for_its_subtree_longer_than_its_ladder_is_given_up_visibly(runtime, supervisor, log, journal):
    """It crashed, and a child will not stop. No rung makes it end silently beside its subtree: it is abandoned."""
    gate = Gate()
    slow = ChildSpec("x", lambda: Probe(journal, stop=gate.hold), ladder=Ladder(stop=DEADLINE))
    quick = Ladder(stop=SOON, cancel=SOON, release=SOON, exception=SOON)
    below = ChildSpec("s", lambda: supervisor(spec(slow)), kind=ChildKind.SUPERVISOR, ladder=quick)
    root = runtime.start(Supervisor(spec(below)))
    victim = runtime.ref("rt/s").actor
    victim.inject(WHY)
    gate.await_held()
    asked = terminate_child(root, "s")
    log.await_event(Abandoned, "rt/s")
    asked.get(timeout=DEADLINE)
    gate.open()
    await_true(lambda: not runtime.zombies(), "the subtree ends")
    assert runtime.stop(DEADLINE)
    assert journal.entries() == ["+x", "-x"]
    assert log.of(Leaked) == []  # it was given up before the stop of the tree, which found nothing of it
