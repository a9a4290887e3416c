"""Whole programs: exit with managers in use, a fork, two managers in two threads; nothing is left and nothing hangs."""

import subprocess
import sys
import textwrap

import pytest

DEADLINE = 60


def run(program):
    """Run a program; it must end by itself, and its threads with it."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


NEVER_CLOSED = """
    import asyncio
    from scorewise_actors.resilience import AbortManager, FailureHandler, RetryManager

    kept = [AbortManager(), RetryManager(), FailureHandler()]

    async def main():
        await kept[0].record_failure("job", ValueError("x"))
        await kept[2].handle_failure(ValueError("y"), {"job_id": "job"})
        print((await kept[0].get_failure_analysis("job"))["total_failures"])
        {end}

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("end", "code"), [("pass", 0), ("raise SystemExit(7)", 7), ("import os, signal; os.kill(os.getpid(), 15)", -15)]
)
def test_a_program_ends_with_managers_in_use(end, code):
    """Managers that nobody closed keep no program alive."""
    done = run(NEVER_CLOSED.replace("{end}", end))
    assert done.returncode == code, done.stderr
    assert done.stderr == ""


def test_a_program_ends_while_an_actor_is_stuck():
    """The kill ladder ends at interpreter exit, too."""
    done = run("""
        import asyncio, time
        from scorewise_actors.resilience import AbortManager
        from scorewise_actors.resilience.connection import shared_tree

        async def main():
            manager = AbortManager()
            await manager.record_success("job")
            actor = shared_tree().running().ref("resilience/failures").actor
            actor.on_receive = lambda message: time.sleep(1000)
            actor.actor_ref.tell("anything")

        asyncio.run(main())
        print("end of main")
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "end of main\n"


def test_a_program_ends_while_a_handler_hangs():
    """A sync handler that never returns holds up neither its call nor the end of the program."""
    done = run("""
        import asyncio, time
        from scorewise_actors.resilience import FailureHandler

        async def main():
            handler = FailureHandler(handler_timeout=0.1)
            await handler.register_failure_handler("*", lambda event, context: time.sleep(1000))
            print((await handler.handle_failure(ValueError("x")))["handled_by"])

        asyncio.run(main())
    """)
    assert (done.returncode, done.stdout) == (0, "classification\n"), done.stderr


def test_figures_are_had_where_the_working_directory_is_gone():
    """Of the disk nothing can be told then; the rest is as ever, and so are the other managers."""
    done = run("""
        import asyncio, os, tempfile
        from scorewise_actors.resilience import ResourceMonitor

        async def main():
            folder = tempfile.mkdtemp()
            os.chdir(folder)
            os.rmdir(folder)
            metrics = await ResourceMonitor().get_current_metrics()
            print(metrics["process_count"], metrics["disk_usage"])

        asyncio.run(main())
    """)
    assert (done.returncode, done.stdout) == (0, "1 0.0\n"), done.stderr


def test_a_forked_child_gets_a_tree_of_its_own():
    """The actors stay with the parent; the child's first call starts new ones."""
    done = run("""
        import asyncio, os
        from scorewise_actors.resilience import AbortManager

        manager = AbortManager()

        async def count(job):
            await manager.record_failure(job, ValueError("x"))
            return (await manager.get_failure_analysis(job))["total_failures"]

        assert asyncio.run(count("parent")) == 1
        child = os.fork()
        if child == 0:
            print("child", asyncio.run(count("child")), flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("parent", asyncio.run(count("parent")))
    """)
    assert (done.returncode, done.stdout) == (0, "child 1\nparent 2\n"), done.stderr
