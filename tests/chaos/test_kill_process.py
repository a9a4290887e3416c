"""kill -9 of the whole program at random moments, then the same command again."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
from harness import DEADLINE, match_urls, wait_until

from scorewise_actors.checkpoints import CheckpointNotFound, CheckpointStore, load_keys

ROUNDS = 8
ITEMS = 48

HANDLER = """
async def scrape(context):
    await context.page.goto(context.request.url)
    return {"url": context.request.url, "score": await context.page.evaluate("document.title")}
"""


def test_every_item_is_in_the_output_exactly_once_whenever_the_program_is_killed(tmp_path, healthy_site):
    """Eight SIGKILLs at random moments; nothing acknowledged is scraped again, and no process is left behind."""
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    urls = match_urls(healthy_site, ITEMS)
    (tmp_path / "shop.py").write_text(HANDLER)
    (tmp_path / "urls.txt").write_text("\n".join(urls))
    results = tmp_path / "results.jsonl"
    acknowledged = set()
    for number in range(ROUNDS):
        before = dict(healthy_site.hits)
        program = start(tmp_path)
        if number % 2:
            time.sleep(rng.uniform(0.0, 4.0))  # any moment of start-up and work
        else:
            more = lines(results) + rng.randint(1, 5)  # surely in the middle of the work
            wait_until(lambda: lines(results) >= more or program.poll() is not None)  # noqa: B023 - called at once
        kill(program)
        visited = {path for path, count in healthy_site.hits.items() if count > before.get(path, 0)}
        assert not visited & {url.removeprefix(healthy_site.url) for url in acknowledged}, "scraped again"
        acknowledged |= done(tmp_path)
    program = start(tmp_path, "--json")
    out, _ = program.communicate(timeout=DEADLINE)
    report = json.loads(out.splitlines()[-1])
    assert program.returncode == 0
    assert (report["done"], report["lost"], report["recorded_twice"], report["pending"]) == (ITEMS, 0, 0, 0)
    recorded = [json.loads(line)["url"] for line in results.read_text().splitlines()]
    assert sorted(recorded) == sorted(urls)


def start(folder, *more):
    command = [sys.executable, "-m", "scorewise_actors", "run", "shop.py:scrape", "--urls", "urls.txt"]
    return subprocess.Popen(
        [*command, "--job-id", "killed", "--out", "results.jsonl", *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def kill(program):
    """SIGKILL, and wait until its driver and browser, who see their pipes close, have ended too."""
    family = psutil.Process(program.pid).children(recursive=True) if program.poll() is None else []
    program.send_signal(signal.SIGKILL)
    program.communicate()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive, f"left behind: {alive}"


def lines(file):
    return file.read_bytes().count(b"\n") if file.exists() else 0


def done(folder):
    storage = folder / "storage"
    if not storage.exists():
        return set()
    try:
        state, _ = CheckpointStore(storage, load_keys(None, storage, os.environ), writable=False).read("killed")
    except CheckpointNotFound:
        return set()
    return {state["requests"][item]["url"] for item, *_ in state.get("outcomes", ())}
