"""What tests of whole jobs share; importable from every test as ``harness``."""

import time

from policies.abort import AbortPolicy
from policies.backoff import Backoff
from policies.retry import RetryPolicy
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
