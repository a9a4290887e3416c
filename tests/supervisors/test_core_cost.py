"""What a restart costs does not depend on how many children or restarts there are."""

import random
import sys

from hypothesis import given
from hypothesis import strategies as st

from policies.restart import RestartPolicy
from supervisors.core import step
from supervisors.core.state import SupervisorState, initial
from supervisors.core.table import Table
from supervisors.core.transitions import ChildDown, ChildReady, CoreEvent, Init, StartActor
from supervisors.spec import ChildSpec, SupervisorSpec
from tests.supervisors.core_runner import CRASH

KEYS = st.text("abc", min_size=1, max_size=4)
RNG = random.Random(0)


@given(st.lists(st.dictionaries(KEYS, st.none() | st.integers(), max_size=6), max_size=40))
def test_table_is_a_mapping(changes: list[dict[str, int | None]]) -> None:
    """After any updates a table holds what a dict would hold."""
    table: Table[int] = Table()
    model: dict[str, int] = {}
    for change in changes:
        table = table.updated(change)
        for key, value in change.items():
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        assert len(table) == len(model)
        assert sorted(table) == sorted(model.values())
        assert all(table.get(key) == model.get(key) for key in {*model, *change})


@given(st.dictionaries(KEYS, st.integers(), min_size=1), st.dictionaries(KEYS, st.none() | st.integers()))
def test_table_never_changes(first: dict[str, int], change: dict[str, int | None]) -> None:
    """An update leaves the table it was made from as it was."""
    table = Table[int]().updated(first)
    table.updated(change)
    assert {key: table.get(key) for key in first} == first
    assert len(table) == len(first)


def test_table_copies_little() -> None:
    """With 10,000 entries the shards and any one of them are a few hundred entries together."""
    table = Table[int]().updated({f"child-{k}": k for k in range(10_000)})
    shards = table._shards
    assert len(shards) + max(map(len, shards)) < 400
    after = table.updated({"child-7": -7})
    assert sum(a is not b for a, b in zip(shards, after._shards, strict=True)) == 1


def test_restart_takes_no_more_calls_with_3000_children_than_with_one() -> None:
    """The work of a one_for_one restart is the same for any number of children and of restarts before it."""
    calls = calls_of_a_restart(supervisor_of(1))
    many = supervisor_of(3_000)
    assert calls_of_a_restart(many) <= calls + 5
    for _ in range(300):
        many = restarted(many)
    assert calls_of_a_restart(many) <= calls + 5


def supervisor_of(children: int) -> SupervisorState:
    specs = tuple(ChildSpec(f"c{k}", lambda: None) for k in range(children))
    state = initial(SupervisorSpec(specs, restarts=RestartPolicy.otp(1_000_000, 1e6)), "sup")
    state, commands = advanced(state, Init())
    while starts := [command for command in commands if isinstance(command, StartActor)]:
        state, commands = advanced(state, ChildReady(starts[0].spec.id, starts[0].attempt))
    return state


def restarted(state: SupervisorState) -> SupervisorState:
    child = state.children.get("c0")
    state, _commands = advanced(state, ChildDown("c0", child.attempt, CRASH))
    return advanced(state, ChildReady("c0", state.children.get("c0").attempt))[0]


def advanced(state: SupervisorState, event: CoreEvent) -> tuple[SupervisorState, tuple]:
    return step(state, event, 1.0, RNG)


def calls_of_a_restart(state: SupervisorState) -> int:
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        restarted(state)
    finally:
        sys.setprofile(before)
    return calls
