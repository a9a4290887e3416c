"""What is given wrongly is refused where it is given, in a sentence that names it; no supervisor ever fails over it."""

import re

import pytest

from supervisors import (
    ChildSpec,
    EventQueue,
    Runtime,
    Supervisor,
    SupervisorSpec,
    check_child_specs,
    delete_child,
    get_child_spec,
    reset_restarts,
    restart_child,
    start_child,
    terminate_child,
)
from supervisors.testing import DEADLINE, Probe

NO_ID = ([], {}, {"a"}, 5, b"a")
"""Half of them cannot even be looked up."""


@pytest.fixture
def supervisor(runtime):
    return runtime.start(Supervisor(SupervisorSpec([ChildSpec("a", Probe)])))


@pytest.mark.parametrize("name", NO_ID, ids=repr)
@pytest.mark.parametrize("ask", [terminate_child, restart_child, delete_child, get_child_spec, reset_restarts])
def test_a_request_that_names_no_child_leaves_the_supervisor_alone(supervisor, ask, name):
    """It fails in the caller, and not in the supervisor, which would end with all its children."""
    incarnation = supervisor.incarnation
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        ask(supervisor, name)
    assert get_child_spec(supervisor, "a").get(timeout=DEADLINE).id == "a"
    assert supervisor.incarnation == incarnation


@pytest.mark.parametrize("spec", [None, "a", Probe, {"id": "a"}], ids=repr)
def test_only_specifications_can_be_started(supervisor, spec):
    """The same for ``start_child``, and for the specification of a supervisor."""
    incarnation = supervisor.incarnation
    for give in (check_child_specs, SupervisorSpec, lambda specs: start_child(supervisor, specs[0])):
        with pytest.raises(ValueError, match=f"ChildSpec.*{re.escape(repr(spec))}"):
            give([spec])
    assert start_child(supervisor, ChildSpec("b", Probe)).get(timeout=DEADLINE) == "b"
    assert supervisor.incarnation == incarnation


@pytest.mark.parametrize("given", [None, 5, ChildSpec("a", Probe)], ids=["None", "5", "one spec"])
def test_children_come_as_a_list(given):
    """One that was forgotten to be put into a list is the usual case."""
    for give in (SupervisorSpec, check_child_specs):
        with pytest.raises(ValueError, match="iterable of ChildSpec"):
            give(given)
    with pytest.raises(ValueError, match="must be one of AutoShutdown"):
        check_child_specs([], "never")


def test_a_stop_for_no_reason_is_refused_and_the_tree_lives_on(runtime, supervisor):
    """A text in its place would be the end of the root by accident."""
    with pytest.raises(ValueError, match="ExitReason, got 'bye'"):
        runtime.stop(reason="bye")
    assert supervisor.is_up()


@pytest.mark.parametrize("root", [None, "a", Probe, Supervisor], ids=repr)
def test_the_root_must_be_an_actor(runtime, root):
    """A class is no actor yet. The runtime can have another root."""
    with pytest.raises(ValueError, match=re.escape(repr(root))):
        runtime.start(root)
    with pytest.raises(ValueError, match="SupervisorSpec"):
        Supervisor([ChildSpec("a", Probe)])
    assert runtime.start(Probe()).is_up()


def test_an_actor_that_lived_before_is_no_root(runtime):
    """An actor lives once."""
    other = Runtime("rt other")
    root = other.start(Probe()).actor
    with pytest.raises(ValueError, match="not yet started"):
        runtime.start(root)
    assert other.stop(DEADLINE)


def test_a_runtime_that_has_ended_starts_nothing():
    """It has no timers any more, so no ladder of its tree would ever climb."""
    runtime = Runtime("rt")
    assert runtime.stop()
    with pytest.raises(RuntimeError, match="has ended: make a new one"):
        runtime.start(Probe())


@pytest.mark.parametrize("name", ["", None, 5], ids=repr)
def test_a_runtime_has_a_name(name):
    """All paths begin with it."""
    with pytest.raises(ValueError, match=f"name must be a non-empty string.*{name!r}"):
        Runtime(name)


@pytest.mark.parametrize("kinds", ["ended", 5, [5], [None]], ids=repr)
def test_kinds_of_events_are_strings_in_a_list(runtime, kinds):
    """A single string was taken for its letters, and its subscriber never heard of anything."""
    for give in (runtime.subscribe, lambda function, kinds: EventQueue(runtime, function, kinds)):
        with pytest.raises(ValueError, match=re.escape(repr(kinds))):
            give(print, kinds)
    with pytest.raises(ValueError, match="callable, got 5"):
        runtime.subscribe(5)


def test_names_are_for_places_in_their_own_tree(runtime, supervisor):
    """Others are refused, and the name stays free."""
    other = Runtime("rt other")
    for ref in ("rt/a", None, runtime, other.ref("rt other")):
        with pytest.raises(ValueError, match="a place in the tree of 'rt'"):
            runtime.register("bank", ref)
    runtime.register("bank", supervisor)
    assert other.stop()
