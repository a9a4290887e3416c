"""The command line as users have it: a folder of their own, a process of its own, and a census of what it leaves."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from harness import DEADLINE, wait_until
from loguru import logger

HANDLERS = '''
import asyncio
import pathlib

GATE = pathlib.Path(__file__).with_name("gate")

async def scrape(context):
    """The title of a page. Pages that are told to hold wait for the file ``gate``."""
    await context.page.goto(context.request.url)
    await asyncio.sleep(context.request.user_data.get("seconds", 0))
    while context.request.user_data.get("hold") and not GATE.exists():
        await asyncio.sleep(0.02)
    return {"title": await context.page.title()}

async def padded(context):
    return {"title": context.request.label, "padding": "x" * 4000}

def plain(context):
    return None
'''


class Workplace:
    """A folder with ``shop.py``, and the command line run in it by subprocess. Every process it starts is marked."""

    def __init__(self, folder):
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.mark = secrets.token_hex(8)
        (folder / "shop.py").write_text(HANDLERS)
        hidden = ("SCOREWISE_", "XDG_DATA_HOME", "PYTHONSAFEPATH")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | {
            "TMPDIR": str(self.temporary),
            "SCOREWISE_TEST_MARK": self.mark,
            "SCOREWISE_CHECKPOINT_KEY_FILE": str(folder / "keys" / "checkpoint.key"),
        }
        self._started = []

    def pages(self, count, *, free=None, seconds=0.0):
        """Write ``urls.txt`` with ``count`` pages titled 1, 2, ...; those after the first ``free`` hold."""
        lines = []
        for number in range(1, count + 1):
            request = {"url": f"data:text/html,<title>{number}</title>", "label": str(number)}
            request["user_data"] = {"seconds": seconds, "hold": free is not None and number > free}
            lines.append(json.dumps(request))
        (self.folder / "urls.txt").write_text("\n".join(lines))

    def command(self, *arguments):
        """The command line as a list."""
        return [sys.executable, "-m", "scorewise_actors", *arguments]

    def run(self, *arguments, stdin="", before=()):
        """Run to the end."""
        return subprocess.run(
            [*before, *self.command(*arguments)],
            cwd=self.folder,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def start(self, *arguments):
        """Start in a session of its own, as a shell in a terminal does; output goes to ``out.txt`` and ``err.txt``."""
        with (self.folder / "out.txt").open("w") as out, (self.folder / "err.txt").open("w") as err:
            process = subprocess.Popen(
                self.command(*arguments), cwd=self.folder, env=self.env, stdout=out, stderr=err, start_new_session=True
            )
        self._started.append(process)
        return process

    def report(self, finished):
        """The JSON object on the last line of a finished command's stdout."""
        return json.loads(finished.stdout.splitlines()[-1])

    @property
    def errors(self):
        """What the started process has written to stderr so far."""
        return (self.folder / "err.txt").read_text()

    def titles(self, name="shop.scrape-urls.jsonl"):
        """The titles of the complete lines of a results file."""
        file = self.folder / name
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        return [json.loads(line)["title"] for line in lines if line.endswith(b"\n")]

    def processes(self):
        """The command lines of all living processes that this workplace's commands have started."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.status() != psutil.STATUS_ZOMBIE
                    and process.environ().get("SCOREWISE_TEST_MARK") == self.mark
                ):
                    found.append(" ".join(process.cmdline())[:200])
        return found

    def leaves_nothing(self):
        """No process, and no file in the temporary folder, are left."""
        wait_until(lambda: not self.processes(), f"the end of {self.processes()}")
        assert list(self.temporary.iterdir()) == []

    def end(self):
        """Kill what a failed test has left."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def workplace(tmp_path):
    """See ``Workplace``."""
    place = Workplace(tmp_path)
    yield place
    place.end()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The command line in this process: the current folder is a fresh one with ``shop.py``, the log is put back."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SCOREWISE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SCOREWISE_CHECKPOINT_KEY_FILE", str(tmp_path / "keys" / "checkpoint.key"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    Path("shop.py").write_text(HANDLERS)
    Path("urls.txt").write_text("data:text/html,<title>1</title>\n")
    yield tmp_path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]
    logger.remove()
    logger.add(sys.__stderr__)
