"""The scenario table can fail: a bug planted in the core is found by the row that tells the rule."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

import policies.restart
import supervisors.core
from tests.supervisors import scenarios
from tests.supervisors.core_bugs import BUGS, Bug
from tests.supervisors.core_runner import Step
from tests.supervisors.test_core_scenarios import play

MODULES = ("draft", "requests", "restarts", "step")
"""In the order of their imports."""


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_bug_is_found(monkeypatch: pytest.MonkeyPatch, bug: Bug) -> None:
    """The row that tells the rule fails on a core that breaks it."""
    variant = core_with_bug(monkeypatch, bug)
    with pytest.raises((AssertionError, KeyError)):
        play(scenarios.TABLE[bug.row], variant)


@pytest.mark.parametrize("row", sorted({bug.row for bug in BUGS}))
def test_same_rows_pass_without_bug(monkeypatch: pytest.MonkeyPatch, row: str) -> None:
    """A copy of the core that was made the same way, without a bug, passes these rows."""
    play(scenarios.TABLE[row], core_with_bug(monkeypatch))


def core_with_bug(monkeypatch: pytest.MonkeyPatch, bug: Bug | None = None) -> Step:
    """The step function of a private copy of the core, with the bug in it."""
    if bug is not None and bug.module == "policy":
        plant_in_policy(monkeypatch, bug)
        bug = None
    folder = Path(supervisors.core.__file__).parent
    copies: dict[str, ModuleType] = {}
    with monkeypatch.context() as patched:
        for name in MODULES:
            source = (folder / f"{name}.py").read_text()
            if bug is not None and bug.module == name:
                source = changed(source, bug)
            copy = copies[name] = ModuleType(f"supervisors.core.{name}")
            patched.setitem(sys.modules, copy.__name__, copy)
            exec(compile(source, f"<copy of {name}.py>", "exec"), copy.__dict__)
    return copies["step"].step


def plant_in_policy(monkeypatch: pytest.MonkeyPatch, bug: Bug) -> None:
    """The policy is a value inside the state, which is not copied: its rules are patched in place for this test."""
    source = changed(Path(policies.restart.__file__).read_text(), bug)
    names: dict[str, object] = {"__name__": "copy_of_restart"}
    exec(compile(source, "<copy of restart.py>", "exec"), names)
    for kind, rules in (
        ("Intensity", ("record", "counted")),
        ("RestartPolicy", ("decide", "decide_among", "started", "stopped")),
    ):
        for rule in rules:
            monkeypatch.setattr(getattr(policies.restart, kind), rule, getattr(names[kind], rule))
    names.update(vars(policies.restart))  # the rules make values of the real classes


def changed(source: str, bug: Bug) -> str:
    assert source.count(bug.right) == 1, f"{bug.right!r} is not, or not once, in {bug.module}.py"
    return source.replace(bug.right, bug.wrong)
