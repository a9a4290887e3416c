"""The audit of a journal, and that the figures of a report can be other than zero."""

import pytest

from scorewise_actors import ledger
from scorewise_actors.checkpoints import Extend
from scorewise_actors.checkpoints.ops import State
from scorewise_actors.job import DeadLetter, Request
from scorewise_actors.ledger import Tries

LETTER = DeadLetter("http://h/1", "http://h/1", 2, "Error", "network", "refused", "attempts")


@pytest.fixture
def state():
    state = State()
    for op in (*ledger.opening({}, 1.0), ledger.enqueued([Request(f"http://h/{n}") for n in range(4)])):
        state.change(op)
    return state


def test_every_item_is_done_dead_or_pending(state):
    """The audit counts from the records alone."""
    for op in (ledger.done(0, 1, ["1", "2"]), ledger.dead(1, LETTER)):
        state.change(op)
    counted = ledger.audit(state.root)
    assert (counted.enqueued, counted.done, counted.dead, counted.results) == (4, 1, (LETTER,), 2)
    assert counted.pending == {2, 3}
    assert (counted.recorded_twice, counted.unknown) == (0, 0)


def test_an_item_with_two_outcomes_is_seen(state):
    """Recorded twice is a figure that can be other than 0."""
    for op in (ledger.done(0, 1, ["1"]), ledger.done(0, 1, ["1"]), ledger.dead(0, LETTER)):
        state.change(op)
    counted = ledger.audit(state.root)
    assert (counted.done, counted.recorded_twice, counted.results) == (1, 1, 1)


def test_an_outcome_of_an_unknown_item_is_seen(state):
    """Its request was lost."""
    state.change(ledger.done(7, 1, []))
    assert ledger.audit(state.root).unknown == 1


def test_tries_and_requests_come_back_as_they_were(state):
    """What the journal remembers of an item is what was told to it."""
    state.change(ledger.tried(2, Tries(1, 2, 3)))
    assert ledger.tries_of(state.root) == {2: Tries(1, 2, 3)}
    state.change(ledger.forget_tries(2))
    assert ledger.tries_of(state.root) == {}
    request = Request("http://H:80/a#b", "label", {"n": (1, 2)}, "key", 3)
    state.change(Extend(("requests",), [request.to_json()]))
    assert ledger.requests_of(state.root)[-1] == request


def test_a_report_of_an_unbalanced_journal_says_so(system, healthy_site):
    """A planted bug: an acknowledged item without an outcome is lost, one with two is recorded twice, exit code 1."""
    from scorewise_actors import frontier

    finish = frontier.ledger.done

    def forgetful(item, attempts, results):
        if item == 1:
            return Extend(("outcomes",), [])
        op = finish(item, attempts, results)
        return Extend(op.path, [*op.values, *op.values]) if item == 2 else op

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frontier.ledger, "done", forgetful)

        async def handler(context):
            return {"url": context.request.url}

        report = system.run_blocking("planted", [f"{healthy_site.url}/matches/{n}" for n in range(1, 5)], handler)
    assert (report.lost, report.recorded_twice, report.exit_code) == (1, 1, 1)
    assert not report.balanced
