"""Runs tests with bugs planted in ``supervisors``: reads a list of ``[module, right, wrong, test]`` as JSON, writes the
list of their ``[exit code, output]``.

All tests are collected once, and each bug gets a process that is forked then, several side by side: a bug of this kind
leaves threads and actors behind. It is planted there in the code of the functions that it changes, so whoever has
imported them has the bug.
"""

import contextlib
import faulthandler
import functools
import importlib
import inspect
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from tests.supervisors.forks import forked, leave

ROOT = Path(__file__).resolve().parents[2]
NOT_FOUND = 97
"""Exit code if the module does not contain what is to be replaced, or more than once."""

LIMIT = 3.0
"""Seconds after which a test counts as failed: many bugs make somebody wait for ever."""

PATIENCE = 60.0
"""The same for a test without a bug, on a machine that has much else to do."""


class Runner:
    """A plugin that stands where pytest's own loop over the tests stands."""

    def __init__(self, bugs: list[list[str]]) -> None:
        self._bugs = bugs
        self.answers: list[tuple[int, str]] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.answers = forked(functools.partial(_run, session, *bug) for bug in self._bugs)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        """In the forked process: the first failure is enough, the rest may take for ever."""
        report: Any = yield
        if report.failed:
            print(report.longreprtext, flush=True)
            leave(1)
        return report


def _run(session: pytest.Session, module: str, right: str, wrong: str, test: str) -> int:
    """In the forked process: the exit code, unless a test fails."""
    items = [item for item in session.items if item.nodeid.partition("[")[0].endswith(f"/{test}")]
    if right and not plant(importlib.import_module(f"supervisors.{module}"), right, wrong):
        return NOT_FOUND
    assert items, f"no such test: {test}"
    _limit(LIMIT if right else PATIENCE)
    for item in items:
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    return 0


def _limit(seconds: float) -> None:
    """End this process in so many seconds, with the stacks of all threads."""

    def end() -> None:
        faulthandler.dump_traceback()  # with the interpreter lock: without it stacks may change while they are read
        leave(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def plant(module: ModuleType, right: str, wrong: str) -> bool:
    """Give the functions of a module the code that they have with this replacement. False if ``right`` is not there
    exactly once.
    """
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    if source.count(right) != 1:
        return False
    wrong = "\n" * (right.count("\n") - wrong.count("\n")) + wrong  # the functions below stay on their lines
    sound, buggy = (compile(text, module.__file__, "exec") for text in (source, source.replace(right, wrong)))
    codes = dict(_functions(buggy))
    changed = [(name, codes[name]) for name, code in _functions(sound) if code != codes[name]]
    assert changed, f"{wrong!r} changes no function of {module.__name__}"
    for name, code in changed:
        function = _function(module, name)
        for holder, value in list(vars(module).items()):
            if isinstance(value, frozenset) and function.__code__ in value:  # the loops are known by their code
                setattr(module, holder, value - {function.__code__} | {code})
        function.__code__ = code
    return True


def _functions(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """All functions and methods that are no closures, by qualified name."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & inspect.CO_OPTIMIZED:
                yield constant.co_qualname, constant
            else:  # a class
                yield from _functions(constant)


def _function(module: ModuleType, name: str) -> FunctionType:
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
        if isinstance(found, property):
            found = found.fget
        elif isinstance(found, functools.cached_property):
            found = found.func
        with contextlib.suppress(AttributeError):
            found = found.__func__
        found = inspect.unwrap(found)
    assert isinstance(found, FunctionType), f"{name} of {module.__name__} is {found!r}"
    return found


def main() -> None:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    runner = Runner(json.load(sys.stdin))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    files = sorted({f"tests/supervisors/{test.partition('::')[0]}" for *_, test in runner._bugs})
    options = ["-s", "-q", "--no-header", "-c", os.devnull, f"--rootdir={ROOT}", "--import-mode=importlib"]
    options += ["-p", "no:cacheprovider", "-p", "no:faulthandler", "--confcutdir=tests/supervisors"]
    pytest.main([*options, *files], plugins=[runner])
    json.dump(runner.answers, answers)
    answers.close()


if __name__ == "__main__":
    main()
