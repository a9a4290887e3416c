"""Looking at the stacks of threads, as ladders and watchdogs do, while others start threads and garbage is cleared."""

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
            supervisors.threads.thread_stack(threading.main_thread())
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
