"""What a path in the tree is: the one place that reads the paths which ``tree`` builds."""

import re

_SUPERVISOR = re.compile(r"(?:^[^/]+|/(?:job:[^/]+|drivers|scrapers|resilience|driver-\d+|browser-\d+))$")
_NUMBER = re.compile(r"-\d+$")


def role_of(path: str) -> str:
    """What stands at a path, whichever it is of its kind: ``checkpoint``, ``frontier``, ``judge``, ``driver``,
    ``browser``, ``scrape``, ``monitor``, ``retries``, ``aborts``, ``failures``. A supervisor has the role of what it is
    there for: ``driver-2`` is a ``driver``.
    """
    return _NUMBER.sub("", path.rsplit("/", 1)[-1])


def is_supervisor(path: str) -> bool:
    """Whether a supervisor lives at the path, also while it is down: the root, the branch behind the managers, a
    job, or one of those below it.
    """
    return _SUPERVISOR.search(path) is not None


def place_in_job(path: str, job: str) -> str:
    """Where an actor stands below the job at the path ``job``, as people are told: ``frontier``, ``driver-1``,
    ``driver-1/browser-2``, and ``driver-1/browser-2 scrapers`` for each of its scrapers.
    """
    below = path.removeprefix(f"{job}/").removeprefix("drivers/")
    below = re.sub(r"/scrapers/scrape-\d+$", " scrapers", below)
    return re.sub(r"/(driver|browser)$", "", below)
