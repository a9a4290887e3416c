"""The dynamic API, hooks and reports of supervisors, with real actors: what needs the code of a child or of a user."""

import threading

import attrs
import pykka
import pytest

from supervisors import (
    AsyncActor,
    ChildHooks,
    ChildKind,
    ChildSpec,
    ExitKind,
    Ladder,
    RestartPolicy,
    RestartType,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    count_children,
    delete_child,
    get_child_spec,
    reset_restarts,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from supervisors.events import Abandoned, Ended, GaveUp, Leaked, Restarting, Started, StartRefused
from supervisors.testing import DEADLINE, Do, Probe, await_children, await_true
from tests.supervisors.conftest import make_loop

SOON = 0.05
QUICK = Ladder(stop=SOON, cancel=SOON, release=SOON, exception=SOON)
OFTEN = RestartPolicy.otp(10_000)


def crash(_):
    raise ValueError("boom")


def worker(name, journal, **options):
    hooks = {key: options.pop(key) for key in ("start", "stop", "fail", "release") if key in options}
    return ChildSpec(name, lambda: Probe(journal, **hooks), **options)


def start(runtime, *children, **options):
    return runtime.start(Supervisor(SupervisorSpec(children, **{"restarts": OFTEN} | options)))


@pytest.fixture
def gate(runtime):
    """What children wait for that are stuck; open at the end, however the test ends."""
    gate = threading.Event()
    yield gate
    gate.set()


def code_of(request):
    with pytest.raises(SupervisorError) as error:
        request.get(timeout=DEADLINE)
    return error.value.code


# ---------------------------------------------------------------------------------------------------------- questions


def test_counts_and_specs_can_be_asked_for(runtime, journal):
    """``count_children`` in OTP's four words, ``get_child_spec`` with its defaults, and an error for a stranger."""
    spec = worker("a", journal, restart=RestartType.TRANSIENT)
    root = start(runtime, spec, ChildSpec("s", lambda: Supervisor(SupervisorSpec()), kind=ChildKind.SUPERVISOR))
    terminate_child(root, "a").get(timeout=DEADLINE)
    assert count_children(root).get(timeout=DEADLINE) == {"specs": 2, "active": 1, "supervisors": 1, "workers": 1}
    found = get_child_spec(root, "a").get(timeout=DEADLINE)
    assert found is spec
    assert (found.shutdown, found.start_timeout, found.kind) == (Ladder(), 60.0, ChildKind.WORKER)
    assert code_of(get_child_spec(root, "x")) == "not_found"


def test_every_request_to_a_supervisor_that_is_gone_fails_at_once(runtime, journal):
    """No timeout is waited for, whatever is asked."""
    root = start(runtime)
    child = runtime.ref("rt/a")
    assert runtime.stop(DEADLINE)
    for request in (
        start_child(root, worker("a", journal)),
        terminate_child(root, "a"),
        terminate_child(root, child),
        restart_child(root, "a"),
        delete_child(root, "a"),
        reset_restarts(root),
        which_children(root),
        count_children(root),
        get_child_spec(root, "a"),
    ):
        assert request.done()
        with pytest.raises(pykka.ActorDeadError):
            request.get(timeout=0)


def test_the_root_is_nobodys_child(runtime, journal):
    """Its reference does not name a child of the same id."""
    root = start(runtime, worker("rt", journal), pool=True)
    assert code_of(terminate_child(root, root)) == "not_found"
    await_children(root, "rt=up")
    terminate_child(root, runtime.ref("rt/rt")).get(timeout=DEADLINE)
    await_children(root, "")


# ----------------------------------------------------------------------------- children that ask their own supervisor


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_child_may_end_itself_through_its_supervisor(runtime, log, journal, kind):
    """The answer comes at once, so that the child does not wait for its own end; then it ends in order."""

    def end_me(actor):
        terminate_child(actor.runtime.ref("rt"), "a").get(timeout=DEADLINE)
        journal.add("answered")

    class Suicidal(AsyncActor):
        async def on_receive(self, message):
            await terminate_child(self.runtime.ref("rt"), "a")
            journal.add("answered")

        async def tear_down(self, reason):
            journal.add("-a")

    root = start(
        runtime, ChildSpec("a", (lambda: Probe(journal)) if kind == "thread" else lambda: Suicidal(make_loop()))
    )
    runtime.ref("rt/a").tell(Do(end_me))
    log.await_event(Ended, "rt/a")
    await_children(root, "a=undefined")
    assert log.of(Ended, "rt/a")[0].reason.kind is ExitKind.SHUTDOWN
    assert journal.entries()[-2:] == ["answered", "-a"]


def test_a_grandchild_may_end_the_supervisor_above_it(runtime, log, journal):
    """Asking the root to terminate its own branch is asking for its own end as well."""

    def end_branch(actor):
        terminate_child(actor.runtime.ref("rt"), "s").get(timeout=DEADLINE)
        journal.add("answered")

    inner = SupervisorSpec((worker("x", journal),))
    root = start(runtime, ChildSpec("s", lambda: Supervisor(inner), kind=ChildKind.SUPERVISOR))
    runtime.ref("rt/s/x").tell(Do(end_branch))
    await_children(root, "s=undefined")
    assert journal.entries() == ["+x", "answered", "-x"]


def test_a_child_may_ask_for_its_own_end_from_its_stop_hook(runtime, journal):
    """It is ending anyway: the answer is there at once."""
    root = start(
        runtime,
        worker("a", journal, stop=lambda actor: terminate_child(actor.runtime.ref("rt"), "a").get(timeout=DEADLINE)),
    )
    terminate_child(root, "a").get(timeout=DEADLINE)
    assert journal.entries() == ["+a", "-a"]


def test_a_child_that_starts_cannot_wait_for_one_that_starts_after_it(runtime, journal):
    """In init everybody waits for their turn: waiting for a later one is refused instead of hanging."""
    codes = []

    def wait_for_later(actor):
        codes.append(code_of(start_child(actor.runtime.ref("rt"), worker("c", journal))))

    root = start(runtime, worker("a", journal, start=wait_for_later), worker("b", journal))
    assert codes == ["deadlock"]
    await_children(root, "a=up b=up")


def test_a_child_that_starts_by_request_may_start_another(runtime, journal):
    """Outside of a plan children start side by side: nobody waits for itself."""

    def begin(actor):
        assert start_child(actor.runtime.ref("rt"), worker("b", journal)).get(timeout=DEADLINE) == "b"

    root = start(runtime)
    assert start_child(root, worker("a", journal, start=begin)).get(timeout=DEADLINE) == "a"
    assert journal.entries() == ["+a", "+b"]
    await_children(root, "a=up b=up")


def test_a_child_that_stops_cannot_wait_for_those_that_stop_after_it(runtime, journal):
    """At the end children stop one after another: a stop hook that wants to terminate an earlier one is told so."""
    codes = []

    def end_earlier(actor):
        codes.append(code_of(terminate_child(actor.runtime.ref("rt"), "a")))
        codes.append(code_of(start_child(actor.runtime.ref("rt"), worker("c", journal))))

    start(runtime, worker("a", journal), worker("b", journal, stop=end_earlier))
    assert runtime.stop(DEADLINE)
    assert codes == ["deadlock", "refused"]
    assert journal.entries() == ["+a", "+b", "-b", "-a"]


# --------------------------------------------------------------------------------------------------------------- hooks


def test_hooks_are_called_in_the_order_of_a_life(runtime, log):
    """started, terminated, restarting, restarted; each with the event that tells it."""
    heard = []
    hooks = ChildHooks(
        started=lambda event: heard.append(("started", event)),
        terminated=lambda event: heard.append(("terminated", event)),
        restarting=lambda event: heard.append(("restarting", event)),
        restarted=lambda event: heard.append(("restarted", event)),
    )
    root = start(runtime, ChildSpec("a", Probe, RestartType.TEMPORARY), ChildSpec("b", Probe, hooks=hooks))
    runtime.ref("rt/b").tell(Do(crash))
    log.await_event(Started, "rt/b", 2)
    terminate_child(root, "b").get(timeout=DEADLINE)
    assert [name for name, _ in heard] == ["started", "terminated", "restarting", "restarted", "terminated"]
    kinds = [type(event) for _, event in heard]
    assert kinds == [Started, Ended, Restarting, Started, Ended]
    assert heard[1][1].reason.error_text == heard[2][1].reason.error_text == "boom"
    assert [event.expected for _, event in heard if isinstance(event, Ended)] == [False, True]


def test_the_end_of_a_child_that_is_forgotten_is_told_to_its_hook(runtime):
    """Also a temporary child has an end."""
    heard = threading.Event()
    hooks = ChildHooks(terminated=lambda event: heard.set())
    start(runtime, ChildSpec("a", Probe, RestartType.TEMPORARY, hooks=hooks))
    runtime.ref("rt/a").tell(Do(crash))
    assert heard.wait(DEADLINE)


@pytest.mark.parametrize("error", [ValueError("hook"), SystemExit(1)], ids=lambda e: type(e).__name__)
def test_a_hook_that_raises_changes_nothing(runtime, log, error):
    """Not even ``SystemExit``: the child is restarted, the supervisor lives, and it gives up as it should."""

    def fail(_event):
        raise error

    hooks = ChildHooks(fail, fail, fail, fail)
    root = start(runtime, ChildSpec("a", Probe, hooks=hooks), restarts=RestartPolicy.otp(1, 1000.0), give_up_hook=fail)
    runtime.ref("rt/a").tell(Do(crash))
    log.await_event(Started, "rt/a", 2)
    await_children(root, "a=up")
    runtime.ref("rt/a").tell(Do(crash))
    reason = runtime.ended.get(timeout=DEADLINE)
    assert (reason.kind, reason.root.error_text) == (ExitKind.GAVE_UP, "boom")


def test_the_give_up_hook_is_called_once_with_child_reason_and_times(runtime, log):
    """It hears what the event says, before the supervisor ends."""
    heard = []
    start(runtime, ChildSpec("a", Probe), restarts=RestartPolicy.otp(2, 1000.0), give_up_hook=heard.append)
    for nth in range(2, 4):
        runtime.ref("rt/a").tell(Do(crash))
        log.await_event(Started, "rt/a", nth)
    runtime.ref("rt/a").tell(Do(crash))
    runtime.ended.get(timeout=DEADLINE)
    assert heard == log.of(GaveUp)
    (event,) = heard
    assert (event.path, event.child, event.rule, event.reason.error_text) == ("rt", "a", "intensity", "boom")
    assert len(event.restarts) == 3
    assert list(event.restarts) == sorted(event.restarts)


# --------------------------------------------------------------------------------------------- what would not stop


def test_who_would_not_stop_is_told_by_event_and_reason(runtime, log, journal, gate):
    """The report names the path, up to the root; the others stop in order."""
    entered = threading.Event()
    inner = SupervisorSpec((worker("x", journal, ladder=QUICK), worker("y", journal)))
    start(runtime, worker("a", journal), ChildSpec("s", lambda: Supervisor(inner), kind=ChildKind.SUPERVISOR))
    runtime.ref("rt/s/x").tell(Do(lambda _: (entered.set(), gate.wait())))
    assert entered.wait(DEADLINE)
    runtime.stop(DEADLINE)
    assert runtime.ended.get(timeout=0).leaked == ("rt/s/x",)
    assert [(event.path, event.children) for event in log.of(Leaked)] == [("rt/s", ("rt/s/x",)), ("rt", ("rt/s/x",))]
    assert [entry for entry in journal.entries() if entry[0] in "+-"] == ["+a", "+x", "+y", "-y", "-a"]
    gate.set()
    await_true(lambda: not runtime.zombies(), "it ends after all")


def test_a_supervisor_with_less_patience_than_its_children_is_reported(runtime, journal, gate):
    """A finite ladder on a supervisor, a child that takes longer: the reason names the subtree that is left behind."""
    slow = worker("x", journal, stop=lambda _: gate.wait(DEADLINE), ladder=Ladder(stop=DEADLINE))
    inner = ChildSpec("s", lambda: Supervisor(SupervisorSpec((slow,))), kind=ChildKind.SUPERVISOR, ladder=QUICK)
    start(runtime, inner)
    runtime.stop(DEADLINE)
    assert runtime.ended.get(timeout=0).leaked == ("rt/s",)
    assert "rt/s" in str(runtime.ended.get(timeout=0))
    gate.set()
    await_true(lambda: not runtime.zombies(), "the subtree ends")


def test_a_start_that_hangs_in_init_is_rolled_back(runtime, log, journal, gate):
    """After its start timeout it counts as refused: those before it are stopped, those after it never start."""
    hanging = worker("b", journal, start=lambda _: gate.wait(), start_timeout=SOON, ladder=QUICK)
    with pytest.raises(RuntimeError, match=r"'b' refused to start.*not ready within 0\.05 s"):
        start(runtime, worker("a", journal), hanging, worker("c", journal))
    assert [entry for entry in journal.entries() if entry[0] in "+-"] == ["+a", "+b", "-a"]
    assert log.of(StartRefused, "rt/b")
    assert len(log.of(Abandoned, "rt/b")) == 1
    gate.set()
    await_true(lambda: not runtime.zombies(), "the hanging start ends")


def test_a_brutal_ladder_runs_no_stop_hook(runtime, journal):
    """OTP ``brutal_kill``: the exception comes first."""
    root = start(runtime, worker("a", journal, ladder=attrs.evolve(Ladder.brutal(), release=SOON)))
    terminate_child(root, "a").get(timeout=DEADLINE)
    assert "-a" not in journal.entries()
    assert journal.entries()[0] == "+a"


@pytest.mark.parametrize("strategy", Strategy)
def test_parallel_stop_asks_all_before_it_waits(runtime, journal, strategy):
    """Each child waits in its stop hook until all have been asked: one after another they would never end."""
    together = threading.Barrier(4)
    children = [
        worker(name, journal, stop=lambda _: together.wait(DEADLINE), ladder=Ladder(stop=2 * DEADLINE))
        for name in "abcd"
    ]
    start(runtime, *children, strategy=strategy, parallel_stop=True)
    assert runtime.stop(2 * DEADLINE)
    assert sorted(journal.entries()[4:]) == ["-a", "-b", "-c", "-d"]
