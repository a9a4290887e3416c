"""How programs with a living tree end: in time, in order, with nothing started again."""

import pytest

from tests.supervisors.test_runtime_processes import run

MANY_STUCK = """
    import supervisors.runtime
    supervisors.runtime._EXIT_DEADLINE = 3.0
    entered = threading.Barrier(7)
    forever = threading.Lock()
    forever.acquire()
    def get_stuck(_):
        entered.wait(30)
        forever.acquire()
    runtimes = [Runtime(f"rt{n}") for n in range(6)]
    for runtime in runtimes:
        runtime.start(Supervisor(SupervisorSpec((ChildSpec("a", Loud), ChildSpec("stuck", Probe)))))
        runtime.ref(runtime.name + "/stuck").tell(Do(get_stuck))
    entered.wait(30)
"""


def test_all_trees_stop_within_one_deadline():
    """Six trees with somebody stuck in each: side by side, so the last has its time as well."""
    code, said, err = run(
        MANY_STUCK
        + """
    import atexit
    began = []
    atexit.unregister(supervisors.runtime._stop_all)
    def measured():
        begin = time.monotonic()
        supervisors.runtime._stop_all()
        say("in time" if time.monotonic() - begin < 1.5 * supervisors.runtime._EXIT_DEADLINE else "late")
    atexit.register(measured)
"""
    )
    assert code == 0, err
    assert sorted(said[:6]) == [f"+rt{n}/a" for n in range(6)]
    assert sorted(said[6:12]) == [f"-rt{n}/a" for n in range(6)]
    assert said[12:] == ["in time"]


def test_nothing_is_restarted_while_the_interpreter_exits():
    """What crashes then stays down: at that time newer Pythons start no thread, and nobody needs it any more."""
    code, said, err = run("""
        crashed = threading.Event()
        def end_the_other(actor):
            other = actor.runtime.ref("rt/s/x")
            down = down_of(other.actor)
            other.tell(Do(lambda _: 1 / 0))
            down.get(timeout=30)
            say("x has crashed")
            time.sleep(0.2)
        inner = SupervisorSpec((ChildSpec("x", Loud),), restarts=RestartPolicy.otp(5))
        tree(ChildSpec("s", lambda: Supervisor(inner), kind=ChildKind.SUPERVISOR),
             ChildSpec("b", lambda: Probe(stop=end_the_other)))
        say("main ends")
    """)
    assert (code, err) == (0, "")
    assert said == ["+rt/s/x", "main ends", "x has crashed"]


def test_without_the_exit_it_would_have_been_restarted():
    """The twin: the same crash in a stop that is no exit."""
    code, said, err = run("""
        crashed = threading.Event()
        runtime = tree(ChildSpec("x", Loud))
        runtime.ref("rt/x").tell(Do(lambda _: 1 / 0))
        await_true(lambda: runtime.ref("rt/x").is_up() and runtime.ref("rt/x").incarnation > 2, "it is restarted")
    """)
    assert (code, err) == (0, "")
    assert said == ["+rt/x", "+rt/x", "-rt/x"]


@pytest.mark.parametrize("hook", ["stop", "fail", "start"])
@pytest.mark.parametrize("kind", ["thread", "loop"])
def test_a_hook_that_hangs_holds_up_no_exit(hook, kind):
    """Also the hook of an actor that was just crashing, or still starting; those before it stop as ever."""
    code, said, err = run(f"""
        import supervisors.runtime
        supervisors.runtime._EXIT_DEADLINE = 3.0
        entered, forever = threading.Event(), threading.Lock()
        forever.acquire()
        def hang(_):
            entered.set()
            forever.acquire()
        def make():
            if {kind!r} == "thread":
                return Probe({hook}=hang)
            return AsyncProbe(LoopThread("rt loop"), {hook}=hang)
        runtime = tree(ChildSpec("a", Loud))
        begun = start_child(runtime.ref("rt"), ChildSpec("b", make))
        if {hook!r} != "start":
            begun.get(timeout=30)
        if {hook!r} == "fail":
            runtime.ref("rt/b").tell(Do(lambda _: 1 / 0))
        assert {hook!r} == "stop" or entered.wait(30)
    """)
    assert code == 0, err
    assert said == ["+rt/a", "-rt/a"]
    assert "Traceback" not in err


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()", "asyncio.CancelledError()"])
def test_what_a_handler_raises_stays_inside_its_actor(error):
    """Neither the program, nor a stock actor of Pykka, nor another tree hears of it; the asker does."""
    code, said, err = run(f"""
        class Stock(pykka.ThreadingActor):
            use_daemon_thread = True
            def on_receive(self, message):
                return message
        def throw(_):
            raise {error}
        stock, other = Stock.start(), Runtime("other")
        other.start(Supervisor(SupervisorSpec((ChildSpec("a", Probe),))))
        runtime = tree(ChildSpec("a", Probe), ChildSpec("b", lambda: AsyncProbe(LoopThread("rt loop"))))
        for name in ("a", "b"):
            ref = runtime.ref(f"rt/{{name}}")
            down = down_of(ref.actor)
            try:
                ref.ask(Do(throw), timeout=30)
            except pykka.ActorDeadError as dead:
                say({error.partition("(")[0].rpartition(".")[2]!r} in str(dead))
            say(down.get(timeout=30).reason.kind.value)
        await_tree(runtime.ref("rt"), "a=up b=up")
        say(stock.ask("stock"), other.ref("other/a").ask("other"))
        runtime.stop()
        say(stock.is_alive(), other.ref("other/a").ask("still there"))
        stock.stop()
    """)
    assert (code, err) == (0, "")
    assert said == ["True", "error", "True", "error", "stock other", "True still there"]


def test_a_kill_in_one_tree_touches_no_other_of_the_same_name():
    """Two runtimes, one name: kills, zombies, dead letters and the end are each one's own."""
    code, said, err = run("""
        first, second = Runtime("rt"), Runtime("rt")
        gate = Gate()
        for runtime in (first, second):
            runtime.start(Supervisor(SupervisorSpec((ChildSpec("a", Probe), ChildSpec("b", Probe)))))
        before = second.ref("rt/a").incarnation
        first.ref("rt/a").tell(Do(gate.hold))
        gate.await_held()
        actor = first.ref("rt/a").actor
        down = down_of(actor)
        first.kill(actor, Ladder(stop=0, cancel=0, release=0, exception=0), SHUTDOWN)
        say(down.get(timeout=30).reason.kind.value)
        first.ref("rt/nobody").tell("x")
        say(len(first.zombies()), len(second.zombies()), sum(second.dead_letters.values()))
        say(second.ref("rt/a").incarnation == before, second.ref("rt/a").ask("alive"))
        gate.open()
        first.stop()
        say(second.ref("rt/a").ask("alive"), first.ref("rt/a").is_up())
    """)
    assert (code, err) == (0, "")
    assert said == ["abandoned", "1 0 0", "True alive", "alive False"]
