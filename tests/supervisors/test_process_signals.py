"""Signal handlers that tell, and processes that fork: each in a program of its own."""

from tests.supervisors.test_runtime_processes import run

TELLING = """
    patience = PATIENCE  # seconds without a signal after which nothing goes on any more
    got = []
    runtime = tree(ChildSpec("a", Probe), ChildSpec("b", lambda: AsyncProbe(LoopThread("rt loop"))))
    a, b, nobody = runtime.ref("rt/a"), runtime.ref("rt/b"), runtime.ref("rt/nobody")
    def on_alarm(*_):
        got.append(1)
        for ref in (a, b, nobody):
            ref.tell("from the handler")
        runtime.ref(f"rt/{len(got) % 7}")
        if len(got) < 4000:
            signal.setitimer(signal.ITIMER_REAL, 0.0002)  # the next one not before this one is through
    def watch():
        seen = -1
        while seen != len(got):
            seen = len(got)
            time.sleep(patience)
        os.write(1, b"deadlock" + bytes([10]))
        os._exit(3)
    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.0002)
"""


def test_a_signal_handler_may_tell_at_any_moment():
    """Thousands of signals meet the main thread while it tells, asks and looks names up: nothing is held twice."""
    code, said, err = run(
        TELLING.replace("PATIENCE", "10")
        + """
    while len(got) < 4000:
        for ref in (a, b, nobody):
            ref.tell("from main")
        a.ask("question", timeout=30)
        runtime.refs()
    say(a.ask("alive", timeout=30), b.ask("alive", timeout=30))
    say(runtime.dead_letters["rt/nobody"] >= 4000)
    """
    )
    assert (code, err) == (0, "")
    assert said == ["alive alive", "True"]


def test_a_mailbox_with_a_lock_would_deadlock():
    """The twin: with the queue that stock actors have, the handler waits for the lock that its own thread holds."""
    code, said, err = run(
        """
    import queue
    from supervisors.mailboxes.mailbox import Mailbox
    make = Mailbox.__init__
    def with_a_lock(self):
        make(self)
        self._queue = queue.Queue()
    Mailbox.__init__ = with_a_lock
    """
        + TELLING.replace("PATIENCE", "1")
        + """
    while True:
        a.tell("from main")
    """
    )
    assert (code, said) == (3, ["deadlock"]), err


def test_in_a_child_that_was_forked_in_the_middle_of_work_asks_fail_at_once():
    """Whatever the other threads of the parent held at that moment; the parent is unharmed."""
    code, said, err = run("""
        runtime = tree(ChildSpec("a", Probe), ChildSpec("b", lambda: AsyncProbe(LoopThread("rt loop"))))
        refs = [runtime.ref("rt/a"), runtime.ref("rt/b")]
        over = threading.Event()
        def work():
            while not over.is_set():
                for ref in refs:
                    ref.tell("x")
                    ref.ask("y", timeout=30)
                    runtime.ref("rt/nobody").tell("z")
        crowd = [threading.Thread(target=work) for _ in range(3)]
        for thread in crowd:
            thread.start()
        codes = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(30)  # a child that hangs is ended by this
                down = 0
                for ref in refs:
                    try:
                        ref.ask("x", timeout=3600)
                    except pykka.ActorDeadError:
                        down += 1
                os._exit(down)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        over.set()
        for thread in crowd:
            thread.join()
        say(codes == [2] * 10, codes if codes != [2] * 10 else "")
        say(*(ref.ask("alive in the parent") for ref in refs))
    """)
    assert code == 0, err
    assert said == ["True ", "alive in the parent alive in the parent"]


def test_a_forked_child_can_have_a_tree_of_its_own():
    """The dead one of its parent does not stand in its way, nor does its exit stop anything there."""
    code, said, err = run("""
        runtime = tree(ChildSpec("a", Loud))
        child = os.fork()
        if child == 0:
            mine = Runtime("mine")
            mine.start(Supervisor(SupervisorSpec((ChildSpec("x", Loud),))))
            say(mine.ref("mine/x").ask("alive in the child"), runtime.ref("rt/a").is_up())
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        say(runtime.ref("rt/a").ask("alive in the parent"))
    """)
    assert code == 0, err
    assert said == [
        "+rt/a",
        "+mine/x",
        "alive in the child False",
        "-mine/x",
        "alive in the parent",
        "-rt/a",
    ]
