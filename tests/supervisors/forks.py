"""Processes forked for code that leaves threads, files and actors behind, several of them side by side."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import NoReturn

import psutil

SIDE_BY_SIDE = 4
UNEXPECTED = 98
"""Exit code of a job that raised something."""


def forked(jobs: Iterable[Callable[[], int]]) -> list[tuple[int, str]]:
    """Run each in a process of its own; returns what each returned as its exit code, with what it wrote.

    Only for programs with a single thread.
    """
    waiting, running, answers = list(enumerate(jobs)), {}, {}
    with contextlib.ExitStack() as files:
        while waiting or running:
            while waiting and len(running) < SIDE_BY_SIDE:
                number, job = waiting.pop(0)
                output = files.enter_context(tempfile.TemporaryFile("w+"))
                child = os.fork()
                if child == 0:
                    _run(job, output.fileno())
                running[child] = number, output
            child, status = os.wait()
            number, output = running.pop(child)
            output.seek(0)
            answers[number] = os.waitstatus_to_exitcode(status), output.read()[-3000:]
    return [answers[number] for number in sorted(answers)]


def leave(code: int) -> NoReturn:
    """End this process, and those that it has started and not brought to an end."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(job: Callable[[], int], output: int) -> NoReturn:
    code = UNEXPECTED
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = job()
    finally:
        if sys.exc_info()[1] is not None:
            sys.excepthook(*sys.exc_info())
        leave(code)
