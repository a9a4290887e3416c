"""The scenario table once more, on real actors."""

import pytest

from supervisors import count_children, delete_child, reset_restarts, restart_child, start_child, terminate_child
from supervisors.events import GaveUp
from supervisors.testing import DEADLINE, await_true
from tests.supervisors import scenarios as s
from tests.supervisors.actor_runner import Cast, LoopCast


@pytest.mark.parametrize("cast_of", [Cast, LoopCast], ids=["threads", "loop"])
@pytest.mark.parametrize("name", s.TABLE)
def test_actors_do_what_the_table_says(name, cast_of, runtime):
    """Every row, with threads or coroutines, mailboxes and kill ladders, under a clock that the test turns."""
    scenario = s.TABLE[name]
    cast = cast_of(runtime, scenario.tree)
    try:
        stage = _Stage(cast)
        for number, action in enumerate(scenario.script):
            try:
                stage.act(action)
            except AssertionError as error:
                raise AssertionError(f"{scenario.id}, {scenario.tells}: step {number} {action}: {error}") from error
        if cast.ended is None:
            cast.stop()
            cast.run_until(lambda: cast.ended is not None)
    finally:
        cast.close()
        await_true(lambda: not runtime.zombies(), "zombies end")


class _Stage:
    def __init__(self, cast):
        self.cast = cast
        self.looked = 0.0

    def act(self, action):
        cast, root = self.cast, self.cast.root.ref
        match action:
            case s.Kill():
                cast.kill(action.ids.split(), action.how)
            case s.Next():
                cast.starts[action.id].clear()
                cast.starts[action.id].extend(action.starts)
                cast.then[action.id] = action.then
            case s.Advance():
                cast.advance(action.seconds)
            case s.Terminate():
                child = cast.at(action.id) if action.by_ref else action.id
                request = cast.told(action.by, lambda: terminate_child(cast.at(action.at), child))
                assert cast.ask(request, wait=action.wait) == action.error
            case s.Restart():
                assert cast.ask(restart_child(root, action.id), wait=action.wait) == action.error
            case s.Delete():
                assert cast.ask(delete_child(cast.at(action.at), action.id)) == action.error
            case s.Start():
                there = cast.at(action.at)
                if all(row.id != action.kid.id for row in there.actor.children()):
                    cast.starts.pop(action.kid.id, None)
                assert cast.ask(start_child(there, cast.spec(action.kid))) == action.error
            case s.Reset():
                assert cast.ask(reset_restarts(root, action.id)) == action.error
            case s.Stop():
                cast.stop()
                if action.wait:
                    cast.run_until(lambda: cast.ended is not None)
            case s.See():
                self.see(action)
            case s.Alive():
                assert cast.ended is None, f"ended with {cast.ended}"
            case s.Ended():
                cast.run_until(lambda: cast.ended is not None)
                assert cast.ended.kind.value == action.kind
                assert action.text in str(cast.ended)
            case s.Gave():
                gave = [event for event in cast.events.of(GaveUp) if event.path == root.path]
                assert [(e.child, e.rule, len(e.restarts)) for e in gave] == [
                    (action.child, action.rule, action.restarts)
                ]

    def see(self, expected):
        cast = self.cast
        if expected.took is not None:
            moving = ("starting", "stopping")
            cast.run_until(lambda: not any(row.status in moving for row in cast.root.children()))
            assert cast.clock.monotonic() - self.looked == pytest.approx(expected.took)
        self.looked = cast.clock.monotonic()
        rows = cast.root.children()
        if expected.children is not None:
            assert " ".join(f"{row.id}={row.status}" for row in rows) == expected.children
        if expected.trace is not None:
            assert " ".join(cast.trace) == expected.trace
        cast.trace.clear()
        if expected.counts is not None:
            counts = count_children(cast.root.ref).get(timeout=DEADLINE)
            assert [counts[key] for key in ("specs", "active", "supervisors", "workers")] == [
                int(number) for number in expected.counts.split("/")
            ]
        if expected.due is not None:
            due = [row.due - cast.clock.monotonic() for row in rows if row.due is not None]
            assert min(due, default=None) == pytest.approx(expected.due)
