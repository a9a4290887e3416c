"""Links and watches: who hears of whose end, how often, and who ends with whom."""

import itertools
import threading

import pytest

from supervisors import (
    ChildKind,
    ChildSpec,
    Down,
    ExitKind,
    ExitReason,
    LinkDown,
    RestartPolicy,
    Supervisor,
    SupervisorSpec,
    end_actor,
)
from supervisors.spec import Ladder
from supervisors.testing import DEADLINE, Do, Probe, await_true, down_of


def crash(_actor):
    raise ZeroDivisionError("division by zero")


def end_of(actor):
    return down_of(actor).get(timeout=DEADLINE).reason


def told(ref, function):
    return ref.ask(Do(function), timeout=DEADLINE)


@pytest.fixture
def pair(stage, make):
    """Two linked actors; the first made the link."""
    refs = stage.enter(make(), "a"), stage.enter(make(), "b")
    told(refs[0], lambda actor: actor.link(refs[1]))
    return refs


@pytest.mark.parametrize("first", [0, 1])
def test_an_abnormal_end_takes_the_peer_along(pair, first):
    """Whichever of the two it is; the reason of the other says of whom and why."""
    dying, other = pair[first].actor, pair[1 - first].actor
    pair[first].tell(Do(crash))
    reason = end_of(other)
    assert (reason.kind, reason.cause.error_type) == (ExitKind.LINKED, "ZeroDivisionError")
    assert reason.abnormal
    assert reason.detail == f"linked to {dying.path} (incarnation {dying.incarnation})"
    assert other.journal.entries() == [f"+{'ba'[first]}", f"!{'ba'[first]}", f"~{'ba'[first]}"]


@pytest.mark.parametrize("end", [lambda _: end_actor(), lambda actor: actor.request_stop()])
def test_a_normal_end_leaves_the_peer_alone(pair, end):
    """Nor does it hear of it."""
    a, b = pair
    actor = a.actor
    a.tell(Do(end))
    end_of(actor)
    assert b.ask("alive", timeout=DEADLINE) == "alive"
    assert b.actor.signals == []
    assert b.actor.linked_peers == {}


@pytest.mark.parametrize("end", [crash, lambda _: end_actor(7)])
def test_an_actor_that_traps_exits_is_told_instead(pair, end):
    """Of every end, once, and it lives on."""
    a, b = pair
    b.actor.traps_exits = True
    actor = a.actor
    a.tell(Do(end))
    reason = end_of(actor)
    await_true(lambda: b.actor.signals, "it is told")
    assert b.ask("alive", timeout=DEADLINE) == "alive"
    assert b.actor.signals == [LinkDown("rt/a", actor.incarnation, reason)]


def test_a_peer_that_is_stuck_is_ended_by_its_ladder(pair, monkeypatch):
    """A link is a promise: the end comes, whatever the other one does."""
    gate, (a, b) = threading.Event(), pair
    monkeypatch.setattr(type(b.actor), "link_ladder", Ladder(stop=0.01, cancel=0.01, release=0, exception=0))
    actor = b.actor
    b.tell(Do(lambda _: gate.wait(DEADLINE)))
    await_true(lambda: actor._in_hand, "it is stuck")
    a.tell(Do(crash))
    reason = end_of(actor)
    assert (reason.kind, reason.cause.error_type) == (ExitKind.ABANDONED, "ZeroDivisionError")
    gate.set()


def test_a_linked_actor_that_drains_does_not_drain(pair, monkeypatch):
    """It ends abnormally: what waits is not its own any more."""
    a, b = pair
    actor, gate, handled = b.actor, threading.Event(), []
    monkeypatch.setattr(type(actor), "drains", True)
    b.tell(Do(lambda _: gate.wait(DEADLINE)))
    b.tell(Do(handled.append))
    await_true(lambda: actor._in_hand, "it is held up")
    a.tell(Do(crash))
    await_true(lambda: actor.mailbox._signals, "it is told to end")
    gate.set()
    assert end_of(actor).kind is ExitKind.LINKED
    assert handled == []


def test_links_pass_an_end_on(stage, make):
    """Of a chain of five all end, each with the reason of the one before as cause."""
    refs = [stage.enter(make(), f"a{number}") for number in range(5)]
    actors = [ref.actor for ref in refs]
    for left, right in itertools.pairwise(refs):
        told(left, lambda actor, right=right: actor.link(right))
    refs[0].tell(Do(crash))
    reasons = [end_of(actor) for actor in actors]
    assert [reason.kind for reason in reasons] == [ExitKind.ERROR] + [ExitKind.LINKED] * 4
    assert reasons[4].root.error_type == "ZeroDivisionError"


def test_a_link_that_was_undone_binds_nobody(pair):
    """Neither of the two, whoever undid it."""
    a, b = pair
    told(b, lambda actor: actor.unlink(a))
    assert (a.actor.linked_peers, b.actor.linked_peers) == ({}, {})
    actor = a.actor
    a.tell(Do(crash))
    end_of(actor)
    assert b.ask("alive", timeout=DEADLINE) == "alive"


def test_after_undoing_a_link_no_news_of_it_come(pair):
    """Not even one that waits in the mailbox already."""
    a, b = pair
    b.actor.traps_exits = True
    entered, gate, actor = threading.Event(), threading.Event(), a.actor

    def unlink(me):
        entered.set()
        gate.wait(DEADLINE)
        me.unlink(a)

    undone = b.request(Do(unlink))
    assert entered.wait(DEADLINE)  # or the news overtake it
    a.tell(Do(crash))
    end_of(actor)
    await_true(lambda: b.actor.mailbox._signals, "the news are there")
    gate.set()
    undone.get(timeout=DEADLINE)
    assert b.ask("alive", timeout=DEADLINE) == "alive"
    assert b.actor.signals == []


def test_a_link_with_nobody_ends_or_tells_at_once(stage, make, runtime):
    """As in OTP, where the reason is ``noproc``; of one that has just ended it is that one's."""
    a, b = make(), make()
    ref, trapping = stage.enter(a, "a"), stage.enter(b, "b")
    b.traps_exits = True
    nobody = runtime.ref("rt/nobody")
    told(trapping, lambda actor: actor.link(nobody))
    ref.tell(Do(lambda actor: actor.link(nobody)))
    reason = end_of(a)
    assert (reason.kind, reason.cause.kind) == (ExitKind.LINKED, ExitKind.NOPROC)
    told(trapping, lambda actor: actor.link(ref))
    await_true(lambda: len(b.signals) == 2, "it is told of both")
    assert [(signal.path, signal.reason.kind) for signal in b.signals] == [
        ("rt/nobody", ExitKind.NOPROC),
        ("rt/a", ExitKind.LINKED),
    ]


def test_linking_twice_or_with_oneself_changes_nothing(pair):
    """One end, one signal."""
    a, b = pair
    told(b, lambda actor: actor.link(a))
    told(b, lambda actor: actor.link(b))
    b.actor.traps_exits = True
    actor = a.actor
    a.tell(Do(crash))
    end_of(actor)
    await_true(lambda: b.actor.signals, "it is told")
    assert b.ask("alive", timeout=DEADLINE) == "alive"
    assert len(b.actor.signals) == 1


def test_links_that_are_made_while_the_other_ends_are_answered_exactly_once(stage, make):
    """Twenty actors link with one that dies: each is told once, however the two race."""
    for number in range(15):
        victim, others = make(), [make() for _ in range(4)]
        ref = stage.enter(victim, f"victim{number}")
        for index, other in enumerate(others):
            other.traps_exits = True
            stage.enter(other, f"o{number}.{index}")
        for other in others:
            other.ref.tell(Do(lambda actor, ref=ref: actor.link(ref)))
        ref.tell(Do(crash))
        for other in others:
            await_true(lambda other=other: other.signals, "each is told")
            assert other.ref.ask("alive", timeout=DEADLINE) == "alive"
            assert len(other.signals) == 1
            other.request_stop()


def test_links_belong_to_incarnations(runtime, make):
    """A restart ends them: the next incarnation owes nobody anything."""
    spec = SupervisorSpec((ChildSpec("a", make), ChildSpec("b", make)), restarts=RestartPolicy.otp(100))
    runtime.start(Supervisor(spec))
    a, b = runtime.ref("rt/a"), runtime.ref("rt/b")
    told(a, lambda actor: actor.link(b))
    before = a.incarnation, b.incarnation
    a.tell(Do(crash))
    await_true(lambda: a.is_up() and b.is_up() and a.incarnation > before[0] and b.incarnation > before[1], "both anew")
    survivor = b.incarnation
    assert a.actor.linked_peers == {}
    actor = a.actor
    a.tell(Do(crash))
    end_of(actor)
    assert b.ask("alive", timeout=DEADLINE) == "alive"
    assert b.incarnation == survivor


@pytest.mark.parametrize("who", ["rt/s/x", "rt/s", "rt"])
@pytest.mark.parametrize("whom", ["rt/s/x", "rt/s", "rt"])
def test_a_supervisor_and_those_below_it_are_not_linked(runtime, who, whom):
    """Neither by the one nor by the other, whatever is between them: a crash would end the tree that should mend it."""
    inner = SupervisorSpec((ChildSpec("x", Probe), ChildSpec("y", Probe)))
    spec = SupervisorSpec((ChildSpec("s", lambda: Supervisor(inner), kind=ChildKind.SUPERVISOR),))
    root = runtime.start(Supervisor(spec))
    actor, other = runtime.ref(who).actor, runtime.ref(whom)
    if who != whom:
        with pytest.raises(ValueError, match=f"{who} cannot be linked to {whom}: a crash of .* would end"):
            actor.link(other)
    assert other.actor.linked_peers == {}
    x = runtime.ref("rt/s/x")
    x.actor.link(runtime.ref("rt/s/y"))  # these two may
    before = root.incarnation, runtime.ref("rt/s").incarnation, x.incarnation
    x.tell(Do(crash))
    await_true(lambda: x.is_up() and x.incarnation > before[2], "it is restarted")
    assert (root.incarnation, runtime.ref("rt/s").incarnation) == before[:2]


def test_a_supervisor_that_is_linked_stops_its_tree_in_order(stage, journal):
    """It has all the time that its children need."""
    spec = SupervisorSpec((ChildSpec("x", lambda: Probe(journal)), ChildSpec("y", lambda: Probe(journal))))
    supervisor, peer = Supervisor(spec), Probe()
    ref, peer_ref = stage.enter(supervisor, "s"), stage.enter(peer, "peer")
    told(peer_ref, lambda actor: actor.link(ref))
    peer_ref.tell(Do(crash))
    assert end_of(supervisor).kind is ExitKind.LINKED
    assert journal.entries() == ["+x", "+y", "-y", "-x"]


# ------------------------------------------------------------------------------------------------------ watches


def test_watching_twice_brings_one_down(stage, make):
    """One for each incarnation and watcher."""
    watcher, watched, another = make(), make(), make()
    ref, target = stage.enter(watcher, "watcher"), stage.enter(watched)
    other_ref = stage.enter(another, "another")
    for _ in range(3):
        told(ref, lambda actor: actor.watch(target))
    told(other_ref, lambda actor: actor.watch(target))
    target.tell(Do(crash))
    end_of(watched)
    for one in (watcher, another):
        await_true(lambda one=one: one.signals, "each watcher is told")
        assert one.ref.ask("alive", timeout=DEADLINE) == "alive"
        assert [type(signal) for signal in one.signals] == [Down]
    assert watcher._watched == {}


def test_a_watch_can_be_ended(stage, make, runtime):
    """No news come after it, not even one that waits in the mailbox already."""
    watcher, watched, gate, entered = make(), make(), threading.Event(), threading.Event()
    ref, target = stage.enter(watcher, "watcher"), stage.enter(watched)
    others = len(watched._watchers)
    told(ref, lambda actor: actor.watch(target))
    told(ref, lambda actor: actor.unwatch(target))
    assert len(watched._watchers) == others
    told(ref, lambda actor: actor.watch(target))

    def unwatch(actor):
        entered.set()
        gate.wait(DEADLINE)
        actor.unwatch(target)

    undone = ref.request(Do(unwatch))
    assert entered.wait(DEADLINE)  # or the news overtake it
    target.tell(Do(crash))
    end_of(watched)
    await_true(lambda: watcher.mailbox._signals, "the news are there")
    gate.set()
    undone.get(timeout=DEADLINE)
    assert ref.ask("alive", timeout=DEADLINE) == "alive"
    assert watcher.signals == []


def test_a_watcher_that_has_ended_is_forgotten_by_those_it_watched(stage, make):
    """An actor that lives long does not gather dead watchers."""
    watched = make()
    target = stage.enter(watched)
    kept = len(watched._watchers)
    for number in range(5):
        watcher = make()
        told(stage.enter(watcher, f"w{number}"), lambda actor: actor.watch(target))
        watcher.request_stop()
        end_of(watcher)
    assert len(watched._watchers) == kept


def test_a_monitor_of_a_reference_can_be_ended(stage, make):
    """The function that it returned does so; calling it again, or late, is no error."""
    actor, heard = make(), []
    ref = stage.enter(actor)
    end, stay = ref.monitor(lambda _: heard.append("ended")), ref.monitor(lambda _: heard.append("stayed"))
    end()
    end()
    actor.request_stop()
    assert end_of(actor) == ExitReason(ExitKind.SHUTDOWN)
    await_true(lambda: heard, "the other hears")
    stay()
    assert heard == ["stayed"]
