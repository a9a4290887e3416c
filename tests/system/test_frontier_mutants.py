"""Planted bugs in the frontier, each killed by a named test of ``test_frontier``."""

import importlib.util
import sys
from pathlib import Path

import frontier_journal
import pytest

from scorewise_actors import frontier

SOURCE = Path(frontier.__file__).read_text()
TESTS = Path(__file__).with_name("test_frontier.py")

MUTANTS = {
    "no fencing": (
        "if lease is None or lease.token != outcome.token:",
        "if lease is None:",
        "test_a_completion_with_an_old_token_does_not_count",
    ),
    "a crash costs an attempt": (
        "tries = attrs.evolve(tries, crashes=tries.crashes + 1)",
        "tries = attrs.evolve(tries, crashes=tries.crashes + 1, attempts=tries.attempts + 1)",
        "test_machinery_that_fails_costs_no_attempt_until_the_item_is_poison",
    ),
    "poison one crash late": (
        "if tries.crashes < POISON_CRASHES",
        "if tries.crashes <= POISON_CRASHES",
        "test_machinery_that_fails_costs_no_attempt_until_the_item_is_poison",
    ),
    "tries are not remembered": (
        "self._between[item] = between.after(decision)\n            commits.append(self._remember(item))",
        "self._between[item] = between.after(decision)",
        "test_the_tries_of_an_item_survive_a_restart",
    ),
    "a parked host is not left alone": (
        "if hosts.calm or hosts.admits(self._place(item), now, busy):",
        "if True:",
        "test_a_host_that_asks_for_a_long_pause_is_left_alone_and_others_go_on",
    ),
    "a refused retry is no evidence": (
        "elif item not in self._refused:",
        "elif False:",
        "test_a_used_up_retry_budget_is_evidence_and_no_livelock",
    ),
    "the first try is forgotten": (
        "self._between.setdefault(item, RetryState(started=now))",
        "self._between[item] = RetryState(started=now)",
        "test_an_item_has_only_so_long_for_all_of_its_tries",
    ),
    "the latest wait is forgotten": (
        "self._between[item] = between.after(decision)",
        "pass",
        "test_decorrelated_waits_build_on_the_wait_before",
    ),
    "leases never run out": (
        "now - self._renewed[holder] > LEASE_SECONDS",
        "False",
        "test_a_lease_that_is_not_renewed_runs_out",
    ),
    "found requests are committed apart": (
        "ops += added.ops",
        "pass",
        "test_results_done_mark_and_found_requests_travel_in_one_commit",
    ),
}


def test_module():
    """The tests, as a module of their own."""
    spec = importlib.util.spec_from_file_location("mutated_frontier_tests", TESTS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


test_module.__test__ = False


@pytest.mark.parametrize("name", MUTANTS)
def test_the_planted_bug_is_found(name, tmp_path, monkeypatch):
    """The named test fails on the mutant and passes on the real thing."""
    before, after, killer = MUTANTS[name]
    assert SOURCE.count(before) >= 1, "the mutant no longer fits the source"
    file = tmp_path / "mutant.py"
    file.write_text(SOURCE.replace(before, after, 1))
    spec = importlib.util.spec_from_file_location("mutant_frontier", file)
    mutant = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutant_frontier", mutant)
    spec.loader.exec_module(mutant)
    run(test_module(), killer)
    monkeypatch.setattr(frontier_journal, "MemoryFrontier", mutant.MemoryFrontier)
    with pytest.raises(AssertionError):
        run(test_module(), killer)


def run(module, name):
    test = getattr(module, name)
    if "journal" in test.__code__.co_varnames[: test.__code__.co_argcount]:
        journal = module.Journal()
        journal.add(module.URLS)
        test(journal)
    else:
        test()
