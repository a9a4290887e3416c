"""What tests of whole jobs share; importable from every test as ``harness``."""

import time

from policies.abort import AbortPolicy
from policies.backoff import Backoff
from policies.retry import RetryPolicy
from scorewise_actors import ExitCode, Request
from scorewise_actors.roles import role_of
from supervisors import Supervisor

KEY = b"0123456789abcdef0123456789abcdef"
DEADLINE = 120.0
QUICK_RETRY = RetryPolicy(max_attempts=2, backoff=Backoff(base_delay=0.1, max_delay=0.2))
QUICK_ABORT = AbortPolicy(evidence=8, hold=1.0, grace=1.0, min_operations=8)
QUICK = {"retry": QUICK_RETRY, "abort": QUICK_ABORT}


def match_urls(site, count):
    """The first ``count`` match pages of a league site."""
    return [f"{site.url}/matches/{number}" for number in range(1, count + 1)]


def actors(system, role):
    """The live actors of a role (``browser``, ``driver``, ``scrape`` ...), in path order."""
    refs = [ref for ref in system.runtime.refs() if role_of(ref.path) == role]
    found = [ref.actor for ref in sorted(refs, key=lambda ref: ref.path)]
    return [actor for actor in found if actor is not None and not isinstance(actor, Supervisor)]


def wait_until(condition, what="the condition", deadline=DEADLINE):
    """Wait for something that must come true."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true within {deadline} s"
        time.sleep(0.01)


def run_with_a_bad_page(system, site, misbehave, job="bad"):
    """One bad page among good ones; its dead letter, and the report."""
    good = match_urls(site, 6)
    bad = f"{site.url}/matches/7"

    async def handler(context):
        if context.request.label == "bad":
            await misbehave(context)
        await context.page.goto(context.request.url)
        return {"url": context.request.url}

    report = system.run_blocking(job, [*good[:3], Request(bad, "bad"), *good[3:]], handler)
    assert report.done == 6, report
    assert report.balanced
    assert report.exit_code is ExitCode.DEAD_LETTERS
    (letter,) = report.dead_letters
    assert letter.url == bad
    return letter, report
