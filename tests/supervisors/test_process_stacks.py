"""Looking at threads and coroutines at work, as ladders and watchdogs do, while garbage is collected in mid-look."""

import pytest

from tests.supervisors.test_runtime_processes import run

PROGRAM = """
    import gc, supervisors.threads
    class Garbage:
        def __init__(self):
            self.me = self
        def __del__(self):
            for _ in range(3):
                time.sleep(0)  # lets another thread run
    def look():
        for _ in range(2000):
            Garbage()
            supervisors.threads.thread_frames(threading.main_thread())
        over.set()
    def start():
        while not over.is_set():
            threading.Thread(target=int).start()
    over = threading.Event()
    gc.set_threshold(3)
"""


def test_looking_at_stacks_never_hangs_the_process():
    """In some releases of CPython the garbage collector may run within the look, and then nobody ever runs again."""
    code, said, err = run(
        PROGRAM
        + """
    crowd = [threading.Thread(target=job) for job in (look, start, start)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    say("gone through", gc.isenabled())
    """
    )
    assert (code, said, err) == (0, ["gone through True"], "")


MOVING = """
    import gc
    class Garbage:  # when it is collected, whoever is looked at moves on
        def __init__(self):
            self.me = self
        def __del__(self):
            if threading.current_thread() is threading.main_thread():
                go.release()
                moved.acquire()
    go, moved, over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def rest():
        moved.release()
        if not over.is_set():
            go.acquire()

    def looks(look):
        moved.acquire()
        seen = []
        for allocations in range(150):  # until garbage is collected: the look is over before the last of them
            Garbage()
            gc.set_threshold(allocations)
            seen.append(look())
            gc.set_threshold(0)
            gc.collect()
        over.set()
        go.release()
        return seen
"""


@pytest.mark.parametrize("kind", ["Probe", "lambda: AsyncProbe(LoopThread('rt loop'))"])
def test_a_thread_that_leaves_its_frames_in_mid_look_is_seen_unharmed(kind):
    """CPython 3.11 collects garbage while it makes the object of a frame, and the frame may be gone when it is made."""
    code, said, err = run(
        MOVING
        + f"""
    def narrow(depth):
        return narrow(depth - 1) if depth else rest()
    def wide(depth, one=1, two=2, three=3, four=4, five=5):
        return wide(depth - 1) if depth else rest()
    def work(_):
        while not over.is_set():
            narrow(40)
            wide(40)
    runtime = tree(ChildSpec("a", {kind}))
    actor = runtime.ref("rt/a").actor
    actor.ref.tell(Do(work))
    seen = looks(actor.stack)
    say(all("in rest" in stack for stack in seen), actor.ref.ask("alive"), runtime.stop(60))
    """
    )
    assert (code, said, err) == (0, ["True alive True"], "")
