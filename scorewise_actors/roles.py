"""Paths in the tree: how those that others ask for are built, and what one is. ``tree`` gives the ids below them."""

import re
from urllib.parse import quote, unquote

ROOT = "system"
"""Path of the root of a system's tree."""
RESILIENCE = "resilience"
"""Id of the branch behind the managers, and name of a tree that is nothing else."""
RESILIENCE_PATH = f"{ROOT}/{RESILIENCE}"
"""Path of the branch behind the managers in a system's tree."""
MONITOR_PATH = f"{ROOT}/monitor"
"""Path of the MonitorActor in a system's tree."""
_SUPERVISOR = re.compile(rf"(?:^[^/]+|/(?:job:[^/]+|drivers|scrapers|{RESILIENCE}|driver-\d+|browser-\d+))$")
_NUMBER = re.compile(r"-\d+$")
_JOB = re.compile(r"^[^/]+/job:([^/]+)")


def job_name(job_id: str) -> str:
    """Id of a job's supervisor: no id of a job makes a path of more parts, or one that another job has."""
    return f"job:{quote(job_id, safe='')}"


def path_of_job(job_id: str) -> str:
    """Path of a job's supervisor."""
    return f"{ROOT}/{job_name(job_id)}"


def job_path(path: str) -> str | None:
    """Path of the job's supervisor at or above `path`, None for what belongs to no job."""
    found = _JOB.match(path)
    return None if found is None else found[0]


def job_id(path: str) -> str | None:
    """Id of the job that `path` belongs to, as it was submitted; None for what belongs to no job."""
    found = _JOB.match(path)
    return None if found is None else unquote(found[1])


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
