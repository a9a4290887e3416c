"""A process that may start no more threads, and one that has nothing of the scraping packages."""

import subprocess
import sys

from tests.supervisors.test_runtime_processes import ROOT, run


def test_a_thread_that_cannot_be_started_is_a_refused_start_with_a_growing_delay():
    """The kernel refuses: each attempt is counted and waits longer; when threads are to be had again, it is up."""
    code, said, err = run("""
        import resource
        from policies.backoff import Backoff
        from supervisors.events import Restarting, StartRefused
        class Alone(Probe):
            shares_thread = False  # the thread in which the first one ended would carry the next

        policy = RestartPolicy(Intensity(100, 60.0), Backoff(0.05, multiplier=2.0, max_delay=60.0, jitter=0.0),
                               max_streak=None, immediate=0)
        runtime = Runtime("rt")
        runtime.start(Supervisor(SupervisorSpec((ChildSpec("a", Alone), ChildSpec("b", Probe)), restarts=policy)))
        log = EventLog(runtime)
        if os.getuid() == 0:
            os.setuid(65534)  # the limit does not bind root
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
        runtime.ref("rt/a").tell(Do(lambda _: 1 / 0))
        refused = log.await_event(StartRefused, "rt/a", 3)
        say(refused.reason.kind.value, refused.reason.error_text)
        try:
            runtime.ref("rt/a").ask("x", timeout=3600)
        except pykka.ActorDeadError:
            say("asks fail at once")
        say(runtime.ref("rt/b").ask("b works"))
        resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
        await_tree(runtime.ref("rt"), "a=up b=up")
        say(runtime.ref("rt/a").ask("a works"))
        delays = [event.delay for event in log.of(Restarting)]
        say(delays[:3], len(delays) == len(log.of(StartRefused)) + 1)
    """)
    assert (code, err) == (0, "")
    assert said == [
        "start_failed can't start new thread",
        "asks fail at once",
        "b works",
        "a works",
        "[0.05, 0.1, 0.2] True",
    ]


ALONE = """
import sys
from policies.restart import RestartPolicy
from supervisors import ChildSpec, Runtime, Supervisor, SupervisorSpec, ThreadActor

class Counter(ThreadActor):
    def __init__(self):
        super().__init__()
        self.count = 0
    def on_receive(self, message):
        self.count += message
        return self.count

runtime = Runtime("shop")
runtime.start(Supervisor(SupervisorSpec([ChildSpec("till", Counter)], restarts=RestartPolicy.otp(3, 5.0))))
till = runtime.ref("shop/till")
print(till.ask(2), till.ask(3))
try:
    till.ask("a coin that is none")
except TypeError:
    pass
from supervisors.testing import await_true
await_true(till.is_up, "the till is back")
print(till.ask(1))
print(runtime.stop())
foreign = ("scorewise_actors", "playwright", "psutil", "lz4", "cryptography")
print([name for name in sys.modules if name.partition(".")[0] in foreign])
"""


def test_supervisors_and_policies_are_enough_for_a_program():
    """Nothing of the scraping tree or of what it needs is imported: for any Pykka program."""
    blocked = "import sys\nfor name in ('scorewise_actors', 'playwright'): sys.modules[name] = None\n"
    cleared = "for name in ('scorewise_actors', 'playwright'): del sys.modules[name]\n"
    first, rest = ALONE.split("class Counter", 1)
    program = blocked + first + cleared + "class Counter" + rest
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["2 5", "1", "True", "[]"]
