"""Changes of a job's state, as values: what an append takes and what a delta holds.

A path is a tuple of dict keys (str or int) and list indexes (int, not negative); `()` is the state itself, a dict.
"""

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from scorewise_actors.checkpoints.errors import CheckpointOpInvalid
from scorewise_actors.checkpoints.values import MAX_DEPTH, decode, dumps, lower, step

Path = tuple[str | int, ...]
Undo = Callable[[], None]

SLICE_ITEMS = 256
SLICE_BYTES = 256 * 1024
"""A snapshot is made in slices of this size: JSON holds the interpreter lock for the length of one slice."""


def _check_path(op: Any, _field: Any, path: Any) -> None:
    if type(path) is not tuple or any(type(key) not in (str, int) for key in path):
        raise CheckpointOpInvalid(type(op).__name__, repr(path), "path: expected a tuple of str and int")


@attrs.frozen
class Set:
    """`value` stands at `path`, whether or not something stood there. `Set((), {...})` replaces the whole state."""

    path: Path = attrs.field(validator=_check_path)
    value: Any


@attrs.frozen
class Extend:
    """`values` are appended to the list at `path`."""

    path: Path = attrs.field(validator=_check_path)
    values: list[Any]


@attrs.frozen
class Splice:
    """`values` replace everything from index `start` on in the list at `path`."""

    path: Path = attrs.field(validator=_check_path)
    start: int
    values: list[Any]


@attrs.frozen
class Update:
    """`entries` are set in the dict at `path`, the other keys stay."""

    path: Path = attrs.field(validator=_check_path)
    entries: dict[Any, Any]


@attrs.frozen
class Delete:
    """Nothing stands at `path` any more: a dict key goes, a list closes up."""

    path: Path = attrs.field(validator=_check_path)


Op = Set | Extend | Splice | Update | Delete


class State:
    """The state of one job, changed only by operations. One thread."""

    def __init__(self) -> None:
        self._anchor: dict[str, Any] = {"$": {}}  # so that the root is replaced like any other value

    @property
    def root(self) -> dict[Any, Any]:
        """The state itself, not a copy: read-only for everybody else."""
        root: dict[Any, Any] = self._anchor["$"]
        return root

    def change(self, op: Op) -> tuple[bytes, Undo]:
        """Carries out `op` on values of its own; returns the line that says so, and how to take it back.

        The values are read back from the line, so that memory and file cannot differ and the caller keeps what it
        gave. Raises CheckpointOpInvalid or CheckpointNotSerializable with the state unchanged. Cost: the size of `op`.
        """
        line = _encode(op, self)
        return line, self.replay(line)

    def replay(self, line: bytes) -> Undo:
        """Carries out the operation in `line`; raises CheckpointOpInvalid, or ValueError for what is no operation."""
        match decode(line):
            case ["=", [*path], value]:
                return self._set(path, value)
            case ["+", [*path], [*values]]:
                return self._splice("Extend", path, None, values)
            case ["~", [*path], int(start), [*values]]:
                return self._splice("Splice", path, start, values)
            case ["|", [*path], dict(entries)]:
                return self._update(path, entries)
            case ["-", [*path]]:
                return self._delete(path)
            case other:
                raise ValueError(f"not an operation: {other!r:.80}")

    def find(self, path: list[Any], operation: str) -> Any:
        """What stands at `path`; raises CheckpointOpInvalid when nothing does."""
        here: Any = self.root
        for depth, key in enumerate(path):
            _check_step(here, key, path[:depth], operation)
            here = here[key]
        return here

    def _set(self, path: list[Any], value: Any) -> Undo:
        if not path:
            return self._replace(value)
        parent, key = self.find(path[:-1], "Set"), path[-1]
        if type(parent) is not dict or key in parent:
            _check_step(parent, key, path[:-1], "Set")
            before = parent[key]
            parent[key] = value
            return lambda: parent.__setitem__(key, before)
        parent[key] = value
        return lambda: parent.__delitem__(key)

    def _replace(self, value: Any) -> Undo:
        if type(value) is not dict:
            raise CheckpointOpInvalid("Set", "$", f"the state is a dict, not a {type(value).__name__}")
        before = self.root
        self._anchor["$"] = value
        return lambda: self._anchor.__setitem__("$", before)

    def _splice(self, operation: str, path: list[Any], start: int | None, values: list[Any]) -> Undo:
        target = self.find(path, operation)
        if type(target) is not list:
            raise CheckpointOpInvalid(operation, text(path), f"expected a list there, found a {type(target).__name__}")
        if start is None:
            start = len(target)
        if not 0 <= start <= len(target):
            raise CheckpointOpInvalid(operation, text(path), f"start: expected 0 to {len(target)}, got {start}")
        before = target[start:]
        target[start:] = values

        def undo() -> None:
            target[start:] = before

        return undo

    def _update(self, path: list[Any], entries: dict[Any, Any]) -> Undo:
        target = self.find(path, "Update")
        if type(target) is not dict:
            raise CheckpointOpInvalid("Update", text(path), f"expected a dict there, found a {type(target).__name__}")
        before = {key: target[key] for key in entries if key in target}
        target.update(entries)

        def undo() -> None:
            for key in entries:
                if key in before:
                    target[key] = before[key]
                else:
                    del target[key]

        return undo

    def _delete(self, path: list[Any]) -> Undo:
        if not path:
            raise CheckpointOpInvalid("Delete", "$", "the state itself cannot be deleted; Set((), {}) empties it")
        parent, key = self.find(path[:-1], "Delete"), path[-1]
        _check_step(parent, key, path[:-1], "Delete")
        before = parent.pop(key)
        if type(parent) is list:
            return lambda: parent.insert(key, before)
        return lambda: parent.__setitem__(key, before)


def snapshot(root: dict[Any, Any]) -> Iterator[bytes]:
    """Lines that build `root` from nothing, in slices; the state must not change meanwhile."""
    return _slices((), root)


def lowered_snapshot(root: dict[str, Any]) -> Iterator[bytes]:
    """The same lines of what `lower` made of a dict; it may be changed once they are made, not before."""
    if "$" in root:
        return iter((_line("=", (), root),))
    return _slices((), root, _Lowered)


def text(path: Path | list[Any]) -> str:
    """A path as messages show it: `$.results[3]`."""
    return "$" + "".join(map(step, path))


def _encode(op: Op, state: State) -> bytes:
    match op:
        case Set(path, value):
            return _line("=", path, _lower_at(path, value))
        case Extend(path, values):
            target = state.find(list(path), "Extend")
            return _line("+", path, _lower_items(op, path, values, len(target) if type(target) is list else 0))
        case Splice(path, start, values):
            if type(start) is not int:
                raise CheckpointOpInvalid("Splice", text(path), f"start: expected an int, got {start!r}")
            return _line("~", path, start, _lower_items(op, path, values, start))
        case Update(path, entries):
            if type(entries) is not dict:
                raise CheckpointOpInvalid(
                    "Update", text(path), f"entries: expected a dict, got {type(entries).__name__}"
                )
            return _line("|", path, _lower_at(path, entries))
        case Delete(path):
            return _line("-", path)


def _lower_items(op: Op, path: Path, values: Any, start: int) -> list[Any]:
    if type(values) is not list:
        raise CheckpointOpInvalid(
            type(op).__name__, text(path), f"values: expected a list, got {type(values).__name__}"
        )
    where = text(path)
    depth = MAX_DEPTH - len(path) - 1
    return [lower(item, at=f"{where}[{index}]", depth=depth) for index, item in enumerate(values, start)]


def _lower_at(path: Path, value: Any) -> Any:
    # The path counts: a state that was built step by step must not become too deep for its own snapshot.
    return lower(value, at=text(path), depth=MAX_DEPTH - len(path))


def _line(code: str, path: Path, *rest: Any) -> bytes:
    return dumps([code, lower(list(path)), *rest]) + b"\n"


def _check_step(container: Any, key: Any, path: list[Any], operation: str) -> None:
    if type(container) is dict:
        if key not in container:
            raise CheckpointOpInvalid(operation, text(path), f"no key {key!r} there; Set it first")
    elif type(container) is list:
        if type(key) is not int or not 0 <= key < len(container):
            raise CheckpointOpInvalid(operation, text(path), f"expected an index below {len(container)}, got {key!r}")
    else:
        raise CheckpointOpInvalid(operation, text(path), f"a {type(container).__name__} has no part {key!r}")


class _Raw:
    """A state of values: to be lowered on its way into a line."""

    at = staticmethod(_lower_at)

    @staticmethod
    def splits(value: Any) -> bool:
        """Whether a container is so large that it gets lines of its own."""
        if type(value) is list:
            return len(value) > SLICE_ITEMS
        return type(value) is dict and (len(value) > SLICE_ITEMS or any(map(_Raw.splits, value.values())))


class _Lowered:
    """A state that `lower` has made: a dict with the key "$" is a tagged value, which a line must not take apart."""

    @staticmethod
    def at(_path: Path, value: Any) -> Any:
        """As it is."""
        return value

    @staticmethod
    def splits(value: Any) -> bool:
        """Whether a container is so large that it gets lines of its own."""
        if type(value) is list:
            return len(value) > SLICE_ITEMS
        if type(value) is not dict or "$" in value:
            return False
        return len(value) > SLICE_ITEMS or any(map(_Lowered.splits, value.values()))


def _slices(path: Path, container: Any, form: type[_Raw | _Lowered] = _Raw) -> Iterator[bytes]:
    if type(container) is list:
        yield _line("=", path, [])
        start, count = 0, SLICE_ITEMS
        while start < len(container):
            line = _line("+", path, form.at(path, container[start : start + count]))
            yield line
            start += count
            count = max(1, min(SLICE_ITEMS, SLICE_BYTES * count // len(line)))
        return
    yield _line("=", path, {})
    few: dict[Any, Any] = {}
    for key, value in container.items():
        large = type(key) in (str, int) and form.splits(value)
        if few and (large or len(few) == SLICE_ITEMS):
            yield _line("|", path, form.at(path, few))
            few = {}
        if large:
            yield from _slices((*path, key), value, form)
        else:
            few[key] = value
    if few:
        yield _line("|", path, form.at(path, few))
