"""Each law must be able to fail: a bug planted in a copy of the package is noticed by the law that forbids it."""

import importlib
import sys
from pathlib import Path

import all_laws
import laws
import pytest
from hypothesis import Phase
from laws import BUGS, LAWS

import policies

PLANTED = [(name, bug) for name, bugs in BUGS.items() for bug in bugs]

NOTICED = (AssertionError, AttributeError, ExceptionGroup, RuntimeError, TypeError, ValueError, pytest.fail.Exception)
"""How a law fails: by what it asserts, or because the package breaks under it."""


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A function that gives a copy of the package, under another name, with one bug in it."""
    names = []

    def plant(bug):
        name = f"policies_{tmp_path.name.replace('-', '_')}"
        names.append(name)
        (tmp_path / name).mkdir()
        for source in Path(policies.__file__).parent.glob("*.py"):
            text = source.read_text("utf-8")
            if source.stem == bug.module:
                assert text.count(bug.old) == 1, f"{bug.old!r} must stand once in {source.name}"
                text = text.replace(bug.old, bug.new)
            text = text.replace("from policies", f"from {name}")
            (tmp_path / name / source.name).write_text(text, "utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name)

    yield plant
    for module in [module for module in sys.modules if module.partition(".")[0] in names]:
        del sys.modules[module]


@pytest.mark.parametrize(("name", "bug"), PLANTED, ids=[f"{name}-{bug}" for name, bug in PLANTED])
def test_a_planted_bug_breaks_its_law(name, bug, planted, monkeypatch):
    """The law that forbids the bug fails on a copy of the package that has it."""
    package = planted(bug)
    monkeypatch.setattr(laws, "PHASES", (Phase.generate,))
    with pytest.raises(NOTICED):
        LAWS[name](package)


def test_every_law_is_proved_able_to_fail():
    """Each law notices at least one bug, and each file of laws has some."""
    assert all(BUGS[name] for name in LAWS)
    homes = {law.__module__ for law in LAWS.values()}
    assert homes == {module.__name__ for module in all_laws.MODULES}
