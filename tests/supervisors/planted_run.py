"""Runs tests with a bug planted in one module of ``supervisors``, each in a process forked for it.

Reads lines of JSON, ``[module, right, wrong, test]``, and answers each with ``[exit code, output]``. The bug is in
memory only; neither the module nor a compiled file is written.
"""

import importlib
import json
import os
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_FOUND = 97
"""Exit code if the module does not contain what is to be replaced, or more than once."""

LIMIT = 10
"""Seconds after which a test counts as failed: many bugs make somebody wait for ever."""


class Planted(SourceFileLoader):
    """Loads a module from another source than its file's."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        super().__init__(name, str(path))
        self._source = source

    def get_data(self, path: str) -> bytes:
        return self._source.encode() if path.endswith(".py") else super().get_data(path)

    def path_stats(self, path: str):
        raise OSError("no compiled file is read, and none is written")


class Finder:
    """Finds the one module."""

    def __init__(self, loader: Planted) -> None:
        self._loader = loader

    def find_spec(self, name: str, _path=None, _target=None):
        return (
            spec_from_file_location(name, self._loader.path, loader=self._loader) if name == self._loader.name else None
        )


def run(module: str, right: str, wrong: str, test: str) -> int:
    """In the forked process: the exit code of the test."""
    import pytest

    path = ROOT / "supervisors" / f"{module}.py"
    source = path.read_text()
    if source.count(right) != 1:
        return NOT_FOUND
    sys.meta_path.insert(0, Finder(Planted(f"supervisors.{module}", path, source.replace(right, wrong))))
    options = ["-x", "-q", "--no-header", "-c", os.devnull, f"--rootdir={ROOT}", "--import-mode=importlib"]
    options += ["-p", "pytest_timeout", "-p", "no:cacheprovider", f"--timeout={LIMIT}", "--timeout-method=thread"]
    return int(pytest.main([*options, "--confcutdir=tests/supervisors", f"tests/supervisors/{test}"]))


def main() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    shared = [f"_pytest.{name}" for name in importlib.import_module("_pytest.config").default_plugins]
    for name in (*shared, "pytest_timeout", "asyncio", "loguru", "pykka", "policies.restart"):
        importlib.import_module(name)  # once for all
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as output:
            child = os.fork()
            if child == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                code = NOT_FOUND + 1
                try:
                    code = run(*json.loads(line))
                finally:
                    sys.stdout.flush()
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            output.seek(0)
            answer = [os.waitstatus_to_exitcode(status), output.read()[-3000:]]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
