"""Real processes: who belongs to the program, what they use, and what happens when they vanish."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from scorewise_actors.resources.processes import ProcessTree
from supervisors.testing import await_true

EATER = """
import sys
block = b"x" * (int(sys.argv[1]) << 20)
print("up", flush=True)
sys.stdin.readline()
"""

LEADER = """
import subprocess, sys
orphan = "import os, time; os.fork() and os._exit(0); print(os.getpid(), flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", orphan], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def spawn():
    """Starts a program and waits for its first line; all groups that were started are killed in the end."""
    started = []

    def start(source, *args, **options):
        process = subprocess.Popen(
            [sys.executable, "-c", source, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append((process, options.get("start_new_session", False)))
        return process, process.stdout.readline().strip()

    yield start
    for process, leads in started:
        if leads:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.communicate(timeout=60)


def pids(tree):
    return set(tree._members)


def test_children_and_their_groups_belong_to_the_tree(spawn):
    """A grandchild whose parent has died has another parent now, and is found by its process group."""
    leader, orphan = spawn(LEADER, start_new_session=True)
    await_true(lambda: psutil.Process(int(orphan)).ppid() != leader.pid, "the orphan is adopted")
    tree = ProcessTree()
    tree.refresh()
    assert {os.getpid(), leader.pid, int(orphan)} <= pids(tree)
    assert int(orphan) not in {child.pid for child in psutil.Process().children(recursive=True)}, "by descent it is not"


def test_the_own_process_group_is_not_ours(spawn):
    """What a shell or test runner has put beside this program does not count."""
    beside = psutil.Process(os.getpid()).parent()
    tree = ProcessTree()
    tree.refresh()
    assert beside.pid not in pids(tree)


def test_memory_is_counted_once_where_it_is_shared(spawn):
    """What eaters keep is found in the exact figure, and the sum of RSS is more than that."""
    tree = ProcessTree()
    tree.refresh()
    tree.look()
    tree.look_exactly()
    before = tree.memory
    for _ in range(2):
        spawn(EATER, 40)
    tree.refresh()
    tree.look()
    tree.look_exactly()
    assert 80 <= tree.memory - before < 140
    assert tree.rss > tree.memory


def test_known_processes_are_kept_between_looks(spawn):
    """So that processor time is counted from look to look; a pid that was used again is another process."""
    spawn(EATER, 1)
    tree = ProcessTree()
    tree.refresh()
    members = dict(tree._members)
    tree.refresh()
    assert all(tree._members[pid] is member for pid, member in members.items())


def test_processor_time_is_counted_between_two_looks():
    """A loop of this very process is seen; the first look has nothing to compare with."""
    tree = ProcessTree()
    tree.refresh()
    tree.look()
    assert tree.cpu_percent is None
    before = time.process_time()
    while time.process_time() - before < 0.2:
        pass
    tree.look()
    assert tree.cpu_percent > 0


def test_a_vanished_process_harms_nothing(spawn):
    """Killed between two looks: it no longer counts, whichever look comes first."""
    for look in ("look", "look_exactly", "refresh"):
        victim, _ = spawn(EATER, 1)
        tree = ProcessTree()
        tree.refresh()
        assert victim.pid in pids(tree)
        victim.kill()
        victim.wait(timeout=60)
        getattr(tree, look)()
        assert victim.pid not in pids(tree)
        assert tree.memory >= 0
    gone = ProcessTree(victim.pid)
    with pytest.raises(ProcessLookupError):
        gone.refresh()


def test_where_pss_is_denied_rss_is_taken(monkeypatch):
    """Per process: one that may not be read does not cost the figures of the others."""
    tree = ProcessTree()
    tree.refresh()
    tree.look()

    def denied(self):
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "memory_full_info", denied)
    tree.look_exactly()
    assert tree.memory == tree.rss > 0


def test_a_browser_is_told_by_its_group_and_command_line(spawn, tmp_path):
    """The main process leads a group and has no type; its helpers have one."""
    for name in ("chromium", "python-tool"):
        program = tmp_path / name
        program.write_text(f"#!{sys.executable}\nimport sys\nprint('up', flush=True)\nsys.stdin.readline()\n")
        program.chmod(0o700)
    started = []
    for name, args in (("chromium", []), ("chromium", ["--type=renderer"]), ("python-tool", [])):
        process = subprocess.Popen(
            [str(tmp_path / name), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        assert process.stdout.readline() == b"up\n"
    try:
        tree = ProcessTree()
        tree.refresh()
        (browser,) = tree.browsers()
        assert browser.pid == started[0].pid
        assert browser.memory is None
        assert 0 <= browser.age(time.time()) < 600
        tree.look()
        tree.look_exactly()
        assert tree.browsers()[0].memory > 1
    finally:
        for process in started:
            process.kill()
            process.communicate(timeout=60)
