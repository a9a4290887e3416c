"""Specifications: what is refused when they are made, what it says, and what is filled in."""

import math

import pytest

from policies.restart import Intensity, RestartPolicy, RestartType, Strategy
from supervisors import (
    AutoShutdown,
    ChildHooks,
    ChildKind,
    ChildSpec,
    GiveUp,
    Ladder,
    SupervisorSpec,
    check_child_specs,
)
from supervisors.core.state import initial, which_children
from supervisors.core.transitions import StartChild
from tests.supervisors.core_runner import CoreRunner, World
from tests.supervisors.scenarios import Kid, Tree


def none():
    return None


def child(name="a", **options):
    return ChildSpec(name, none, **options)


SIGNIFICANT = {"restart": RestartType.TRANSIENT, "significant": True}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: child(""), r"ChildSpec\.id must be a non-empty string without '/', got ''"),
        (lambda: child("a/b"), r"ChildSpec\.id .*got 'a/b'"),
        (lambda: child(7), r"ChildSpec\.id .*got 7"),
        (lambda: ChildSpec("a", None), r"ChildSpec\.start of child 'a' must be callable, got None"),
        (
            lambda: child(restart="permanent"),
            r"ChildSpec\.restart must be one of RestartType\.PERMANENT",
        ),
        (lambda: child(kind="worker"), r"ChildSpec\.kind must be one of ChildKind\.WORKER"),
        (
            lambda: child(start_timeout=-1),
            r"ChildSpec\.start_timeout must be .* at least 0, got -1",
        ),
        (lambda: child(start_timeout=math.nan), r"ChildSpec\.start_timeout .*got nan"),
        (lambda: Ladder(stop=-1), r"Ladder\.stop must be a number of seconds of at least 0, got -1"),
        (lambda: Ladder(stop=True), r"Ladder\.stop .*got True"),
        (lambda: Ladder(release="1"), r"Ladder\.release .*got '1'"),
        (lambda: child(significant=True), "child 'a': significant needs restart=TRANSIENT or TEMPORARY"),
        (lambda: ChildHooks(started=1), r"ChildHooks\.started must be callable or None, got 1"),
        (
            lambda: SupervisorSpec(strategy="one_for_one"),
            r"SupervisorSpec\.strategy must be one of Strategy\.ONE",
        ),
        (lambda: SupervisorSpec(auto_shutdown="ever"), r"SupervisorSpec\.auto_shutdown must be one of .*got 'ever'"),
        (lambda: SupervisorSpec(on_give_up="end"), r"SupervisorSpec\.on_give_up must be one of GiveUp\.END"),
        (
            lambda: SupervisorSpec(pause=math.inf),
            r"SupervisorSpec\.pause must be a finite number .*got inf",
        ),
        (
            lambda: SupervisorSpec(pool=True, max_children=0),
            r"SupervisorSpec\.max_children .*at least 1.*got 0",
        ),
        (lambda: SupervisorSpec(max_children=3), r"SupervisorSpec\.max_children needs pool=True"),
        (lambda: SupervisorSpec(pool=True, strategy=Strategy.REST_FOR_ONE), "a pool is one_for_one, got strategy REST"),
        (
            lambda: SupervisorSpec(pool=True, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT),
            "cannot have auto_shutdown",
        ),
        (lambda: SupervisorSpec((child(), child())), "duplicate child id 'a'"),
        (
            lambda: SupervisorSpec((child(), none)),
            r"SupervisorSpec\.children must be ChildSpec values",
        ),
        (lambda: SupervisorSpec((child(**SIGNIFICANT),)), "child 'a' is significant, but .* auto_shutdown=NEVER"),
        (lambda: check_child_specs([child(), child()]), "duplicate child id 'a'"),
        (lambda: check_child_specs([child(**SIGNIFICANT)]), "child 'a' is significant"),
        (lambda: Intensity(-1, 5.0), r"Intensity\.max_restarts .*got -1"),
        (lambda: Intensity(math.inf, 5.0), r"Intensity\.max_restarts .*got inf"),
        (lambda: Intensity(1, 0), r"Intensity\.period .*got 0"),
    ],
)
def test_a_wrong_specification_says_what_is_wrong(make, said):
    """An error names the field or the child, what is allowed, and the value."""
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: child(shutdown=5.0),
        lambda: SupervisorSpec(intensity=3),
        lambda: Ladder(kill=1.0),
        lambda: ChildHooks(on_start=none),
    ],
)
def test_an_unknown_option_is_refused(make):
    """No misplaced option is ignored in silence."""
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        make()


def test_types_of_parts_are_checked():
    """What has to be a value of ours is one."""
    for make in (
        lambda: child(ladder=5.0),
        lambda: child(hooks=none),
        lambda: child(significant=1),
        lambda: SupervisorSpec(restarts=3),
        lambda: SupervisorSpec(pool=1),
        lambda: SupervisorSpec(parallel_stop=1),
        lambda: SupervisorSpec(give_up_hook=1),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()


def test_defaults_are_those_of_otp_where_there_are_some():
    """permanent, worker, 5 s to stop (a supervisor: no limit), one_for_one, auto_shutdown never."""
    spec, group = child(), SupervisorSpec()
    assert (spec.restart, spec.kind, spec.significant) == (RestartType.PERMANENT, ChildKind.WORKER, False)
    assert (spec.shutdown.stop, child(kind=ChildKind.SUPERVISOR).shutdown.stop) == (5.0, math.inf)
    assert (group.strategy, group.auto_shutdown) == (Strategy.ONE_FOR_ONE, AutoShutdown.NEVER)
    assert (group.on_give_up, group.pool, group.parallel_stop, group.max_children) == (GiveUp.END, False, False, None)
    assert group.restarts == RestartPolicy()


def test_children_may_come_from_any_iterable():
    """They are kept as a tuple, in its order."""
    group = SupervisorSpec(child(name) for name in "ba")
    assert [row.id for row in which_children(initial(group, "sup"))] == ["b", "a"]


def test_the_same_checks_hold_for_children_that_are_added():
    """start_child answers the error that the specification would have raised; nothing is started."""
    runner = CoreRunner(World(), Tree((Kid("a"),)))
    runner.start()
    for spec in (child("b", **SIGNIFICANT),):
        number = runner.request(lambda n, spec=spec: StartChild(n, spec))
        assert "is significant" in str(runner.replies[number].error)
    assert [row.id for row in which_children(runner.state)] == ["a"]
