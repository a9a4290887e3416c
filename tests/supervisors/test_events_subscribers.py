"""Subscribers that raise, that are slow, and that talk to the dead: none of them harms anybody."""

import threading

import attrs
import pytest
from loguru import logger

from supervisors import ChildSpec, EventQueue, RestartPolicy, Runtime, Supervisor, SupervisorSpec, events
from supervisors.events import DeadLetter, Event, MailboxHigh, ManyZombies, Restarted, Started, Traced, TraceEnded
from supervisors.exits import ActorExit, ExitKind, ExitReason
from supervisors.spec import Ladder
from supervisors.testing import DEADLINE, Do, Probe, await_true, down_of


def crash(_actor):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [ValueError("bad"), SystemExit(1), KeyboardInterrupt(), ActorExit(ExitReason(ExitKind.NORMAL))],
    ids=lambda e: type(e).__name__,
)
def test_a_subscriber_that_raises_harms_neither_a_supervisor_nor_the_others(runtime, log, error):
    """Whatever it raises: the restart goes on, and those after it hear the event."""

    def bad(_event):
        raise error

    runtime.subscribe(bad)
    after = []
    runtime.subscribe(after.append)
    runtime.start(Supervisor(SupervisorSpec((ChildSpec("a", Probe),), restarts=RestartPolicy.otp(100))))
    for count in range(2, 4):
        runtime.ref("rt/a").tell(Do(crash))
        log.await_event(Started, "rt/a", count=count)
    assert [event for event in after if isinstance(event, Started)] == log.of(Started)


def test_a_subscriber_that_tells_the_dead_does_not_go_round_in_circles(runtime):
    """A dead letter that comes of telling of a dead letter is counted and not told: no recursion, no flood."""
    nobody, heard, logged = runtime.ref("rt/nobody"), [], []
    sink = logger.add(logged.append)
    logger.enable("supervisors")

    def forward(event):
        heard.append(event)
        nobody.tell(event)

    runtime.subscribe(forward)
    runtime.ref("rt/other").tell("x")
    runtime.ref("rt/other").tell("y")
    logger.disable("supervisors")
    logger.remove(sink)
    assert [event.path for event in heard] == ["rt/other", "rt/other"]
    assert runtime.dead_letters == {"rt/other": 2, "rt/nobody": 2}
    assert logged == []


def test_other_events_that_come_of_a_dead_letter_are_told(runtime):
    """Only dead letters are held back."""
    heard = []

    def on_dead_letter(_event):
        runtime.emit(ManyZombies("rt", 1, 0))
        runtime.ref("rt/nobody").tell("x")

    runtime.subscribe(on_dead_letter, {"dead_letter"})
    runtime.subscribe(heard.append)
    runtime.ref("rt/other").tell("x")
    assert [event.kind for event in heard] == ["many_zombies", "dead_letter"]
    assert runtime.dead_letters["rt/nobody"] == 1


def test_a_restart_is_told_step_by_step(runtime, log):
    """Launched, started; after a crash ended, restarting, launched, started, restarted."""
    runtime.start(Supervisor(SupervisorSpec((ChildSpec("a", Probe),), restarts=RestartPolicy.otp(100))))
    for count in (1, 2):
        runtime.ref("rt/a").tell(Do(crash))
        log.await_event(Restarted, "rt/a", count=count)
    kinds = [event.kind for event in log.of(Event, "rt/a")]
    again = ["ended", "restarting", "launched", "started", "restarted"]
    assert kinds == ["launched", "started", *again, *again]
    last = log.of(Restarted)[-1]
    assert (last.restarts, last.incarnation) == (2, runtime.ref("rt/a").incarnation)


# ------------------------------------------------------------------------------------------------------ queues


@pytest.fixture
def queued(runtime):
    """Makes event queues that are closed in the end."""
    queues = []

    def make_queue(*args, **options):
        queues.append(EventQueue(runtime, *args, **options))
        return queues[-1]

    yield make_queue
    for queue in queues:
        queue.close(DEADLINE)


def letters(runtime, numbers):
    for number in numbers:
        runtime.emit(DeadLetter(f"rt/{number}", "str", "down"))


def test_a_slow_subscriber_behind_a_queue_holds_up_nobody(runtime, queued):
    """Whoever emits goes on at once; the events come later, in their order, in another thread."""
    gate, heard = threading.Event(), []

    def slow(event):
        gate.wait(DEADLINE)
        heard.append((event.path, threading.current_thread() is threading.main_thread()))

    queue = queued(slow)
    letters(runtime, range(5))
    assert heard == []
    gate.set()
    assert queue.close(DEADLINE)
    assert heard == [(f"rt/{number}", False) for number in range(5)]
    assert queue.dropped == 0


def test_a_subscriber_that_hangs_costs_its_own_events_only(runtime, queued):
    """The oldest are dropped and counted; memory stays bounded."""
    gate, inside, heard = threading.Event(), threading.Event(), []

    def stuck(event):
        inside.set()
        gate.wait(DEADLINE)
        heard.append(event.path)

    queue = queued(stuck, limit=3)
    letters(runtime, [0])
    assert inside.wait(DEADLINE)
    letters(runtime, range(1, 8))
    assert (len(queue), queue.dropped) == (3, 4)
    gate.set()
    assert queue.close(DEADLINE)
    assert heard == ["rt/0", "rt/5", "rt/6", "rt/7"]


def test_a_queue_that_is_closed_while_its_subscriber_hangs_says_so(runtime, queued):
    """What waits is dropped and counted; nothing comes after the end."""
    gate, inside = threading.Event(), threading.Event()
    queue = queued(lambda _: inside.set() or gate.wait(DEADLINE))
    letters(runtime, range(4))
    assert inside.wait(DEADLINE)
    assert not queue.close(timeout=0)
    assert queue.dropped == 3
    letters(runtime, range(4))
    assert (len(queue), queue.dropped) == (0, 3)
    gate.set()
    assert queue.close(DEADLINE)


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1)], ids=lambda e: type(e).__name__)
def test_a_queued_subscriber_that_raises_gets_the_next_event(runtime, queued, error):
    """Its thread does not end of it. Kinds are chosen as with any subscription."""
    heard = []

    def bad(event):
        heard.append(event.kind)
        raise error

    queue = queued(bad, kinds={"dead_letter"})
    letters(runtime, range(2))
    runtime.emit(ManyZombies("rt", 1, 0))
    letters(runtime, range(1))
    assert queue.close(DEADLINE)
    assert heard == ["dead_letter"] * 3


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_a_queue_without_a_bound_cannot_be_made(runtime, limit):
    """Unbounded memory is what it is there to prevent."""
    with pytest.raises(ValueError, match=r"EventQueue\.limit must be a whole number of at least 1"):
        EventQueue(runtime, print, limit=limit)


# ------------------------------------------------------------------------------------------------------ zombies


def test_too_many_zombies_are_an_event_once_until_there_were_fewer(make):
    """``max_zombies`` may be stuck; the gauge follows them."""
    runtime, gates, many = Runtime("rt", max_zombies=1), [], []
    runtime.subscribe(many.append, {"many_zombies"})
    short = Ladder(stop=0.005, cancel=0, release=0, exception=0)

    def one_more():
        gate, actor = threading.Event(), make()
        gates.append(gate)
        runtime.launch(actor, f"rt/z{len(gates)}")
        actor.ref.tell(Do(lambda _: gate.wait(DEADLINE)))
        await_true(lambda: actor._in_hand, "it is stuck")
        runtime.kill(actor, short, ExitReason(ExitKind.KILLED))
        down_of(actor).get(timeout=DEADLINE)

    for told in (0, 1, 1):
        one_more()
        assert len(many) == told
    assert (runtime.zombie_count, many[0]) == (3, ManyZombies("rt", 2, 1))
    assert str(many[0]) == "rt: 2 abandoned threads are stuck, more than 1"
    for gate in gates:
        gate.set()
    await_true(lambda: runtime.zombie_count == 0, "they have ended")
    for _ in range(2):
        one_more()
    assert len(many) == 2
    gates[-1].set()
    gates[-2].set()
    await_true(lambda: runtime.zombie_count == 0, "they have ended")
    runtime.close()


@pytest.mark.parametrize("limit", [-1, 1.5, True, None])
def test_a_number_of_zombies_that_is_none_is_refused(limit):
    """When the runtime is made, before it has a thread."""
    before = threading.active_count()
    with pytest.raises(ValueError, match=r"Runtime\.max_zombies must be a whole number of at least 0"):
        Runtime("rt", max_zombies=limit)
    assert threading.active_count() == before


# ------------------------------------------------------------------------------------------- texts of all kinds

SAMPLES = {
    "path": "rt/a",
    "incarnation": 7,
    "reason": ExitReason(ExitKind.ERROR, error_type="ValueError", error_text="bad"),
    "group": ("a", "b"),
    "restarts": (1.0, 2.0),
    "children": ("rt/a/b",),
}
OF_TYPE = {int: 3, float: 0.5, str: "text", bool: True, "int | None": 3}


def kinds_of_events():
    return [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]


@pytest.mark.parametrize("kind", [kind for kind in kinds_of_events() if kind is not Event])
def test_every_event_has_one_line_for_people_and_a_flat_map_for_machines(kind):
    """Of plain values, with the kind first; the line names the place."""
    fields = attrs.fields(attrs.resolve_types(kind))
    event = kind(**{f.name: SAMPLES.get(f.name, OF_TYPE.get(f.type, 3)) for f in fields})
    assert "\n" not in str(event)
    assert "rt/a" in str(event)
    as_map = event.as_map()
    assert list(as_map)[:2] == ["kind", "path"]
    plain = (str, int, float, bool, tuple, type(None))
    assert all(isinstance(value, plain) for value in as_map.values()), as_map


def test_no_two_events_have_one_kind():
    """Subscribers choose by it."""
    kinds = [kind.kind for kind in kinds_of_events()]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (MailboxHigh("rt/a", 1, 8, 10), "rt/a: 8 messages wait of at most 10"),
        (MailboxHigh("rt/a", 1, 8, None), "rt/a: 8 messages wait"),
        (DeadLetter("rt/a", "str", "fenced", "rt/z"), "rt/a: dead letter str from rt/z (fenced)"),
        (
            Traced("rt/a", 1, "str", "'x'", False, 0.25, "ValueError"),
            "rt/a handled 'x' in 250.000 ms, raised ValueError",
        ),
        (TraceEnded("rt/a", 1, 3, "count"), "rt/a: trace ended after 3 messages (count)"),
    ],
)
def test_new_events_are_readable(event, text):
    """For people who read logs."""
    assert str(event) == text
