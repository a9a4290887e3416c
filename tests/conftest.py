"""What holds for every test: a private place for temporary files and keys, and nothing left behind at the end."""

import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
from harness import KEY, QUICK_RETRY

from scorewise_actors import ActorSystem
from scorewise_actors.demo.league import League
from scorewise_actors.demo.site import LeagueSite

LEFTOVER_DEADLINE = 60.0


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind(tmp_path_factory):
    """After the last test no process, thread of the library, listening socket or temporary file of it is left."""
    private = tmp_path_factory.mktemp("private")
    temporary = Path(tempfile.mkdtemp(prefix="sw-"))  # not below pytest's: Chromium's sockets need a short path
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    os.environ["SCOREWISE_CHECKPOINT_KEY_FILE"] = str(private / "checkpoint.key")
    os.environ.pop("SCOREWISE_CHECKPOINT_KEY", None)
    os.environ.pop("SCOREWISE_STORAGE", None)
    yield
    deadline = time.monotonic() + LEFTOVER_DEADLINE
    while (left := leftovers(temporary)) and time.monotonic() < deadline:
        time.sleep(0.1)  # processes that were told to end may take a moment to be reaped
    assert not left, f"left behind by the tests: {left}"
    shutil.rmtree(temporary)


def leftovers(temporary: Path) -> list[str]:
    me = psutil.Process()
    left = [f"process {child.pid} {child.name()}" for child in _living(me.children(recursive=True))]
    # a browser that a test starts by Playwright alone, and kills, leaves its own; ours have folders of our drivers
    left += [f"file {path}" for path in temporary.iterdir() if not path.name.startswith(".org.chromium.")]
    left += [f"socket {c.laddr}" for c in me.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    left += [f"thread {t.name}" for t in threading.enumerate() if t.name.startswith(("system", "job:", "resilience"))]
    return left


def _living(processes):
    living = []
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
        except psutil.NoSuchProcess:
            continue
    return living


@pytest.fixture
def storage(tmp_path):
    """An empty storage folder."""
    return tmp_path / "storage"


@pytest.fixture
def system(storage):
    """A running system that retries once, soon."""
    with ActorSystem(storage_path=storage, key=KEY, retry=QUICK_RETRY) as system:
        yield system


@pytest.fixture(scope="session")
def healthy_site():
    """A league site without faults."""
    with LeagueSite(League(seed=3, matches=60, faults={})) as site:
        yield site
