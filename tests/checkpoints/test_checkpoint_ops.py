"""Operations do as they say, can be replayed and taken back, and a snapshot says the same as all of them."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise_actors.checkpoints import (
    CheckpointNotSerializable,
    CheckpointOpInvalid,
    Delete,
    Extend,
    Set,
    Splice,
    Update,
)
from scorewise_actors.checkpoints.ops import SLICE_ITEMS, State, snapshot
from scorewise_actors.checkpoints.values import MAX_DEPTH

keys = st.sampled_from(["a", "b", "c", 0, 1, -1])
values = st.recursive(
    st.integers() | st.text(max_size=3) | st.tuples(st.integers()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
paths = st.lists(keys, max_size=3).map(tuple)
operations = st.lists(
    st.builds(Set, paths, values)
    | st.builds(Extend, paths, st.lists(values, max_size=3))
    | st.builds(Splice, paths, st.integers(-1, 4), st.lists(values, max_size=3))
    | st.builds(Update, paths, st.dictionaries(keys, values, max_size=3))
    | st.builds(Delete, paths),
    max_size=12,
)


def state_of(*ops):
    state = State()
    for op in ops:
        state.change(op)
    return state


def rebuilt(lines):
    state = State()
    for line in lines:
        state.replay(line.rstrip(b"\n"))
    return state.root


@settings(deadline=None)
@given(operations)
def test_replay_undo_and_snapshot_agree(ops):
    """The lines of the changes build the same state; undoing them gives the old one; so does a snapshot build it."""
    state = state_of(Set((), {"a": [1, {"b": 2}], "b": {"c": [3]}}))
    start = copy.deepcopy(state.root)
    lines, undos = list(snapshot(state.root)), []
    for op in ops:
        before = copy.deepcopy(state.root)
        try:
            line, undo = state.change(op)
        except (CheckpointOpInvalid, CheckpointNotSerializable):
            assert state.root == before
            continue
        lines.append(line)
        undos.append(undo)
    assert rebuilt(lines) == state.root
    assert rebuilt(snapshot(state.root)) == state.root
    for undo in reversed(undos):
        undo()
    assert state.root == start


def test_each_operation_does_what_it_says():
    """One example of each kind."""
    state = state_of(Set((), {"list": [1, 2, 3], "dict": {"x": 1, 7: {"deep": []}}}))
    for op in (
        Set(("list", 0), "one"),
        Extend(("dict", 7, "deep"), ["more"]),
        Splice(("list",), 1, ["two", "three", "four"]),
        Update(("dict",), {"y": 2, (1, 2): "tuple key"}),
        Delete(("dict", "x")),
        Delete(("list", 0)),
    ):
        state.change(op)
    assert state.root == {
        "list": ["two", "three", "four"],
        "dict": {7: {"deep": ["more"]}, "y": 2, (1, 2): "tuple key"},
    }


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (lambda: Set((), [1]), "state is a dict"),
        (lambda: Set(("missing", "x"), 1), r"Set at \$: no key 'missing'"),
        (lambda: Set(("list", 3), 1), "index below 3, got 3"),
        (lambda: Extend(("dict",), [1]), r"Extend at \$\.dict: expected a list there, found a dict"),
        (lambda: Extend(("list",), (1,)), "values: expected a list, got tuple"),
        (lambda: Splice(("list",), 4, []), "start: expected 0 to 3, got 4"),
        (lambda: Splice(("list",), "0", []), "start: expected an int"),
        (lambda: Update(("list",), {}), "expected a dict there, found a list"),
        (lambda: Update(("dict",), []), "entries: expected a dict"),
        (lambda: Delete(()), "cannot be deleted"),
        (lambda: Delete(("dict", "y")), "no key 'y'"),
        (lambda: Set(("number", "x"), 1), "a int has no part 'x'"),
        (lambda: Set(["a"], 1), "expected a tuple of str and int"),
        (lambda: Set((1.5,), 1), "expected a tuple of str and int"),
    ],
)
def test_an_operation_that_does_not_fit_says_why(op, words):
    """The error names the operation, the path and what stands there."""
    state = state_of(Set((), {"list": [1, 2, 3], "dict": {"x": 1}, "number": 1}))
    with pytest.raises(CheckpointOpInvalid, match=words):
        state.change(op())


def test_the_path_of_a_refused_value_counts_from_the_state():
    """An item that is appended to two others is named as the third."""
    state = state_of(Set((), {"results": ["a", "b"]}))
    with pytest.raises(CheckpointNotSerializable, match=r"^\$\.results\[3\]\.page is a object"):
        state.change(Extend(("results",), [1, {"page": object()}]))


def test_the_state_shares_nothing_with_the_caller():
    """What the caller does to its values afterwards does not reach the state."""
    mine = [{"x": [1]}]
    state = state_of(Set(("list",), mine))
    mine[0]["x"].append(2)
    assert state.root == {"list": [{"x": [1]}]}


def test_a_state_cannot_grow_deeper_than_its_snapshot_may_be():
    """Depth counts from the state, also when it is built level by level."""
    state = State()
    for depth in range(1, MAX_DEPTH):
        state.change(Set(("k",) * depth, {}))
    state.change(Set(("k",) * MAX_DEPTH, "leaf"))
    with pytest.raises(CheckpointNotSerializable, match="deeper than"):
        state.change(Set(("k",) * MAX_DEPTH, {}))
    assert rebuilt(snapshot(state.root)) == state.root


def test_a_snapshot_comes_in_slices():
    """No line of a snapshot holds more than a slice of a large list or dict, however deep it lies; order is kept."""
    count = 3 * SLICE_ITEMS + 5
    root = {"z": 1, "deep": {"list": list(range(count)), "dict": {str(n): n for n in range(count)}}, "a": 2}
    lines = list(snapshot(root))
    assert max(line.count(b",") for line in lines) < 2 * SLICE_ITEMS + 5
    back = rebuilt(lines)
    assert back == root
    assert list(back) == list(root)
    assert list(back["deep"]["dict"]) == list(root["deep"]["dict"])


def test_slices_of_heavy_items_get_shorter():
    """Items of 10 kB are not put 256 in a line."""
    root = {"list": ["x" * 10_000] * 1000}
    lines = [len(line) for line in snapshot(root)]
    assert max(lines[3:]) < 400_000
    assert rebuilt(snapshot(root)) == root
