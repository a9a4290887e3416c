"""Programs that exit, are interrupted or fork while a tree runs: each is a real process."""

import contextlib
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from supervisors.testing import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import asyncio, os, signal, sys, threading, time
import pykka
from supervisors import *
from supervisors.testing import *

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + chr(10))  # at once: others may speak as well
    sys.stdout.flush()

class Loud(Probe):
    def on_start(self): say("+" + self.path)
    def on_stop(self): say("-" + self.path)

class LoudOnALoop(AsyncProbe):
    def __init__(self): super().__init__(LoopThread("rt loop"))
    async def set_up(self): say("+" + self.path)
    async def tear_down(self, reason): say("-" + self.path)

def tree(*children):
    runtime = Runtime("rt")
    runtime.start(Supervisor(SupervisorSpec(children)))
    return runtime
"""


@contextlib.contextmanager
def running(program):
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # one that hangs must not outlive its test


def run(program, *, interrupt_at=None):
    """Run to the end, with a SIGINT once it says a certain line; returns the exit code, what it said after that, and
    what came on standard error.
    """
    with running(program) as process:
        if interrupt_at is not None:
            assert any(line.strip() == interrupt_at for line in process.stdout)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=2 * DEADLINE)
        return process.returncode, out.splitlines(), err


def test_a_program_that_ends_with_a_living_tree_runs_its_stop_hooks_in_order_and_ends():
    """Actors of both kinds stop in reverse, nobody has to remember to stop them."""
    code, said, err = run("""
        tree(ChildSpec("a", Loud), ChildSpec("b", LoudOnALoop), ChildSpec("c", Loud))
        say("main ends")
    """)
    assert (code, err) == (0, "")
    assert said == ["+rt/a", "+rt/b", "+rt/c", "main ends", "-rt/c", "-rt/b", "-rt/a"]


@pytest.mark.parametrize("kind", ["thread", "loop", "start", "stop"])
def test_a_stuck_actor_neither_holds_up_the_exit_nor_takes_the_time_of_the_others(kind):
    """The ladder is shortened, so that those that are to stop after it still do."""
    code, said, err = run(f"""
        import supervisors.runtime
        supervisors.runtime._EXIT_DEADLINE = 3.0
        stuck, entered = threading.Event(), threading.Event()
        def get_stuck(_):
            entered.set()
            stuck.wait()
        if {kind!r} == "loop":
            child = ChildSpec("b", LoudOnALoop)
        elif {kind!r} == "stop":
            child = ChildSpec("b", lambda: Probe(stop=get_stuck))
        else:
            child = ChildSpec("b", Loud)
        runtime = tree(ChildSpec("a", Loud), child)
        if {kind!r} == "start":
            start_child(runtime.ref("rt"), ChildSpec("c", lambda: Probe(start=get_stuck)))
        elif {kind!r} != "stop":
            runtime.ref("rt/b").tell(Do(get_stuck))
        assert {kind!r} == "stop" or entered.wait(30)
    """)
    assert code == 0, err
    assert said[-1] == "-rt/a"
    assert "Traceback" not in err


def test_a_crash_of_the_main_thread_still_stops_the_tree():
    """The traceback is shown, the hooks run, the code is that of the crash."""
    code, said, err = run("""
        tree(ChildSpec("a", Loud))
        raise ValueError("main fails")
    """)
    assert code == 1
    assert "main fails" in err
    assert said == ["+rt/a", "-rt/a"]


def test_an_interrupt_while_main_waits_for_an_answer_ends_the_program_in_order():
    """SIGINT is a KeyboardInterrupt at once, not after the ask timed out; then the tree stops."""
    program = """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        runtime = tree(ChildSpec("a", Loud), ChildSpec("b", lambda: Probe(release=lambda _: gate.set())))
        gate = threading.Event()
        import supervisors.runtime
        supervisors.runtime._EXIT_DEADLINE = 3.0
        def slow(_):
            say("asked")
            gate.wait()
        try:
            runtime.ref("rt/b").ask(Do(slow), timeout=3600)
        except KeyboardInterrupt:
            say("interrupted")
    """
    assert run(program, interrupt_at="asked") == (0, ["interrupted", "-rt/a"], "")


def test_an_interrupt_that_does_not_wake_the_main_thread_ends_its_wait_all_the_same():
    """One that came to another thread, or just before the wait began, would otherwise be seen when the ask is over."""
    code, said, err = run("""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        runtime = tree(ChildSpec("a", Loud))
        def interrupt(_):
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            time.sleep(0.2)
            return NO_REPLY
        try:
            runtime.ref("rt/a").ask(Do(interrupt), timeout=3600)
        except KeyboardInterrupt:
            say("interrupted")
    """)
    assert (code, said, err) == (0, ["+rt/a", "interrupted", "-rt/a"], "")


def test_in_a_forked_child_everybody_is_down():
    """Threads do not come along: asks fail at once, and the child's own exit waits for nobody."""
    code, said, err = run("""
        runtime = tree(ChildSpec("a", Loud))
        ref = runtime.ref("rt/a")
        child = os.fork()
        if child == 0:
            try:
                ref.ask("x", timeout=3600)
            except pykka.ActorDeadError:
                say("down in the child")
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        say(ref.ask("alive in the parent"))
    """)
    assert code == 0, err  # newer Pythons warn of the fork itself
    assert said == ["+rt/a", "down in the child", "alive in the parent", "-rt/a"]


def test_a_forked_child_may_clean_up_what_its_parent_has():
    """``stop`` in a ``finally`` runs in both: in the child it waits for no thread that is not there. Nor can a runtime
    be started there that was made before: it would have no timer.
    """
    code, said, err = run("""
        runtime, unused = tree(ChildSpec("a", Loud)), Runtime("unused")
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # a child that hangs is ended by this
            say(runtime.stop(3600), runtime.ended.get(timeout=3600).kind.value, unused.stop(3600))
            for used in (runtime, unused):
                try:
                    used.start(Probe())
                except RuntimeError as error:
                    say(error)
            sys.exit(7)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        say(runtime.ref("rt/a").ask("alive in the parent"), unused.start(Probe()).is_up())
    """)
    assert code == 0, err
    assert said == [
        "+rt/a",
        "True noproc True",
        "the runtime 'rt' was started already: make a new one for a new tree",
        "the runtime 'unused' stayed behind when the process was forked: make a new one for a new tree",
        "7",
        "alive in the parent True",
        "-rt/a",
    ]


def test_a_child_that_was_forked_while_somebody_made_a_link_can_make_links():
    """The lock of links is not taken along."""
    code, said, err = run("""
        from supervisors import links
        taken, go = threading.Event(), threading.Event()
        def hold():
            with links._lock:
                taken.set()
                go.wait(0.3)
        threading.Thread(target=hold, daemon=True).start()
        taken.wait()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if links._lock.acquire(timeout=10) else 1)
        say("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    assert (code, said) == (0, ["child 0"]), err


def test_a_signal_handler_answers_who_awaits_on_the_loop_of_the_main_thread():
    """Nothing else wakes that loop."""
    code, said, err = run("""
        async def main():
            future = ReplyFuture()
            signal.signal(signal.SIGALRM, lambda *_: future.offer("answered"))
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            say(await future)
        asyncio.run(main())
    """)
    assert (code, said) == (0, ["answered"]), err


def test_pykka_can_stop_everything():
    """``ActorRegistry.stop_all`` ends the tree through its root, in order; permanent children do not come back."""
    code, said, err = run("""
        runtime = tree(ChildSpec("a", Loud), ChildSpec("b", Loud))
        say([ref.actor_urn for ref in pykka.ActorRegistry.get_all()] == [runtime.ref("rt").actor.actor_urn])
        pykka.ActorRegistry.stop_all(timeout=30)
        say(runtime.ended.get(timeout=30).kind, pykka.ActorRegistry.get_all())
    """)
    assert (code, err) == (0, "")
    assert said == ["+rt/a", "+rt/b", "True", "-rt/b", "-rt/a", "ExitKind.SHUTDOWN []"]


def test_an_actor_may_be_killed_in_the_middle_of_its_exit():
    """An impatient second interrupt ends the wait; the program does not hang."""
    program = """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        gate = threading.Event()
        def slow(_):
            say("stopping")
            gate.wait()
        tree(ChildSpec("a", lambda: Probe(stop=slow)))
    """
    _code, _said, err = run(program, interrupt_at="stopping")
    assert "KeyboardInterrupt" in err
