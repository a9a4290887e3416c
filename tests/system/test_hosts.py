"""Whole jobs over several hosts in Chromium: one that is down costs the others nothing, and comes back."""

import asyncio
import threading

from harness import KEY, QUICK_RETRY, match_urls, wait_until

from policies.backoff import Backoff
from policies.hosts import HostPolicy
from scorewise_actors import ActorSystem, ExitCode
from scorewise_actors.demo.league import League
from scorewise_actors.demo.site import LeagueSite

TOUCHY = HostPolicy(evidence=3, pauses=Backoff(1.0, 1.0, 1.0, 0.0))


def test_a_host_that_is_down_is_parked_and_its_items_are_done_once_it_is_up(tmp_path):
    """Only the items that showed it are lost; the others wait, are not tried, and are all done in the end."""
    league = League(seed=5, matches=20)
    with LeagueSite(league) as site:
        url = site.url
    down = LeagueSite(league, port=int(url.rpartition(":")[2]))
    is_up = threading.Event()

    async def scrape(context):
        await context.page.goto(context.request.url)
        if not context.request.url.startswith(url):
            await asyncio.to_thread(is_up.wait, 60)
        return {"url": context.request.url}

    with LeagueSite(league) as other, ActorSystem(storage_path=tmp_path, key=KEY, max_concurrency=2) as system:
        urls = [*match_urls(other, 1), *(f"{url}/matches/{n}" for n in range(1, 16))]
        told = []
        job = threading.Thread(
            target=lambda: told.append(system.run_blocking("hosts", urls, scrape, retry=QUICK_RETRY, hosts=TOUCHY))
        )
        job.start()
        try:
            host = url.removeprefix("http://")
            wait_until(lambda: system.store.exists("hosts"), "the job")
            wait_until(lambda: parked(system, host), "the host is parked")
            with down:
                wait_until(lambda: not parked(system, host), "a probe came through")
                is_up.set()
                job.join(120)
        finally:
            is_up.set()
            job.join(120)
    (report,) = told
    assert report.exit_code is ExitCode.DEAD_LETTERS
    assert 3 <= report.dead_lettered < 10
    assert report.done == 16 - report.dead_lettered
    assert report.balanced


def parked(system, host):
    """What the journal says of the host."""
    record = system.store.read("hosts")[0].get("hosts", {}).get(host)
    return record is not None and record["state"]["parked_until"] is not None
