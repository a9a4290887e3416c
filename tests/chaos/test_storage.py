"""Storage that fails in mid-run: nothing is acknowledged that is not durable, and nothing durable is lost."""

import contextlib
import subprocess

import pytest
from harness import KEY, QUICK_RETRY, match_urls, wait_until

from scorewise_actors import ActorSystem, ExitCode


async def push_much(context):
    await context.page.goto(context.request.url)
    return {"url": context.request.url, "noise": [hash((context.request.url, n)) for n in range(1500)]}


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for a part of the job only."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Leave no room at all."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_full_disk_is_waited_for_and_the_job_goes_on_when_there_is_room(small_disk, healthy_site):
    """ENOSPC in mid-run: no lease is handed out meanwhile; once space is free every item is recorded exactly once."""
    with ActorSystem(storage_path=small_disk / "storage", key=KEY, retry=QUICK_RETRY) as system:
        handle = system.open_job("full", push_much)
        handle.add(match_urls(healthy_site, 12))
        handle.close_input()
        wait_until(lambda: handle.progress().done >= 2)
        ballast = fill(small_disk)
        wait_until(lambda: handle.progress().in_flight == 0 and handle.progress().waiting > 0, "the pause")
        before = handle.progress().done
        assert not handle.ended
        ballast.unlink()
        report = handle.wait(timeout=120)
        urls = [value["url"] for value in handle.iter_results(from_start=True)]
    assert before < 12
    assert (report.done, report.lost, report.recorded_twice) == (12, 0, 0)
    assert report.exit_code is ExitCode.DONE
    assert sorted(urls) == sorted(match_urls(healthy_site, 12))


def test_a_disk_that_stays_full_halts_the_job_with_a_verdict(small_disk, healthy_site):
    """After storage_patience the judge halts the tree; what was acknowledged is still there for the next run."""
    settings = {"key": KEY, "retry": QUICK_RETRY, "storage_patience": 2.0, "drain_timeout": 5.0}
    with ActorSystem(storage_path=small_disk / "storage", **settings) as system:
        handle = system.open_job("full", push_much)
        handle.add(match_urls(healthy_site, 12))
        handle.close_input()
        wait_until(lambda: handle.progress().done >= 2)
        ballast = fill(small_disk)
        report = handle.wait(timeout=120)
        acknowledged = [value["url"] for value in handle.iter_results(from_start=True)]
    assert report.exit_code is ExitCode.STORAGE
    assert "No space left" in report.verdict.reason
    assert report.balanced
    assert report.done == len(acknowledged) < 12
    ballast.unlink()
    with ActorSystem(storage_path=small_disk / "storage", **settings) as system:
        handle = system.open_job("full", push_much)
        handle.add(match_urls(healthy_site, 4))
        handle.close_input()
        handle.wait(timeout=120)
        urls = [value["url"] for value in handle.iter_results(from_start=True)]
    assert urls[: len(acknowledged)] == acknowledged
    assert len(urls) == len(set(urls))
