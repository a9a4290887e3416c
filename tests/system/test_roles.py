"""Paths are read in one place, and that place agrees with the tree that builds them."""

import pytest

from scorewise_actors.board import JobBoard
from scorewise_actors.checkpoints import CheckpointStore
from scorewise_actors.config import SystemConfig
from scorewise_actors.events import EventHub
from scorewise_actors.job import Verdict
from scorewise_actors.plan import JobPlan
from scorewise_actors.resilience_memory import ResilienceMemory
from scorewise_actors.roles import (
    MONITOR_PATH,
    RESILIENCE_PATH,
    ROOT,
    is_supervisor,
    job_id,
    job_path,
    place_in_job,
    role_of,
)
from scorewise_actors.tree import job_spec, system_spec
from supervisors import ChildKind, Supervisor

ROLES = {"monitor", "retries", "aborts", "failures", "checkpoint", "frontier", "judge", "driver", "browser", "scrape"}


def paths(parent, specs):
    """Every path below ``parent`` with whether its specification says supervisor; the supervisors are not started."""
    for spec in specs:
        path = f"{parent}/{spec.id}"
        supervisor = spec.kind is ChildKind.SUPERVISOR
        yield path, supervisor
        if supervisor:
            made = spec.start()
            assert isinstance(made, Supervisor)
            yield from paths(path, made._state.spec.children)


def test_every_path_of_the_tree_is_read_as_what_it_is(tmp_path):
    """Two drivers, two browsers each, a job whose id looks like a path of the tree."""
    config = SystemConfig(storage_path=tmp_path, drivers=2, browsers_per_driver=2, max_concurrency=8)
    plan = JobPlan("a/drivers/driver-1", None, config, CheckpointStore(tmp_path, None))
    specs = (*system_spec(config, ResilienceMemory(), EventHub()).children, job_spec(plan, JobBoard()))
    found = dict(paths(ROOT, specs))
    assert len(found) == 1 + 4 + 1 + 3 + 1 + 2 * (1 + 1) + 4 * (1 + 1 + 1 + 2)
    assert is_supervisor(ROOT)
    assert (found[MONITOR_PATH], found[RESILIENCE_PATH], found[plan.path]) == (False, True, True)
    for path, supervisor in found.items():
        assert is_supervisor(path) is supervisor, path
        if not supervisor:
            assert role_of(path) in ROLES, path
        of_job = path == plan.path or path.startswith(f"{plan.path}/")
        assert (job_path(path), job_id(path)) == ((plan.path, plan.job_id) if of_job else (None, None)), path
    places = {place_in_job(path, plan.path) for path in found if path.startswith(f"{plan.path}/") and not found[path]}
    browsers = [f"driver-{d}/browser-{b}" for d in (1, 2) for b in (1, 2)]
    assert places == {"checkpoint", "frontier", "judge", "driver-1", "driver-2"} | set(browsers) | {
        f"{browser} scrapers" for browser in browsers
    }


def test_the_first_verdict_stays():
    """Whoever comes later is told what was decided; asking for the end is not deciding it."""
    end = JobBoard().end
    assert not end.begun
    end.draining = "asked to stop"
    assert end.begun
    assert end.verdict is None
    assert end.decide(Verdict("aborted")) == end.decide(Verdict("completed")) == end.verdict == Verdict("aborted")


@pytest.mark.parametrize("role", ["driver", "browser"])
def test_a_numbered_supervisor_has_the_role_of_what_it_is_for(role):
    """So that a restart of either counts under one name."""
    assert role_of(f"system/job:x/{role}-12") == role_of(f"system/job:x/{role}-12/{role}") == role
