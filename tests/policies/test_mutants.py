"""Each law must be able to fail: a bug planted in a copy of the package is noticed by the law that forbids it."""

import importlib
import sys
from pathlib import Path

import attrs
import policy_properties
import pytest
from hypothesis import Phase
from policy_properties import PROPERTIES

import policies


@attrs.frozen
class Mutant:
    """One planted bug: in `module`, the text `old` becomes `new`; the law `killer` must notice."""

    module: str
    old: str
    new: str
    killer: str

    def __str__(self):
        return f"{self.module}: {self.new.strip() or 'without ' + self.old.strip()}"


MUTANTS = (
    Mutant(
        "backoff",
        'self.max_delay / (1 + self.jitter) if self.kind == "proportional" else self.max_delay',
        "self.max_delay",
        "saturated_waits_stay_spread",
    ),
    Mutant("backoff", "** (n - 1)", "** (n % 7)", "nominal_waits_never_fall"),
    Mutant(
        "backoff",
        "return min(self.max_delay, nominal * (",
        "return (nominal * 1.1 * (",
        "waits_stay_between_zero_and_the_cap",
    ),
    Mutant("backoff", "min(self.max_delay, last * ", "(last * ", "waits_stay_between_zero_and_the_cap"),
    Mutant("retry", "state.attempts >= self._tries", "state.attempts > self._tries", "tries_never_exceed_the_limits"),
    Mutant("retry", "else min(granted, verdict.max_tries)", "else granted", "tries_never_exceed_the_limits"),
    Mutant(
        "retry",
        "if not (verdict.transient or other_identity):",
        "if verdict.remedy is Remedy.SKIP:",
        "permanent_failures_are_not_tried_again",
    ),
    Mutant("retry", "min(2, self.identities)", "2", "permanent_failures_are_not_tried_again"),
    Mutant("retry", "max(delay, later)", "delay", "a_server_that_asks_for_a_pause_gets_it"),
    Mutant(
        "retry", "rng.uniform(0.0, backoff.jitter)", "rng.uniform(-1.0, 1.0)", "a_server_that_asks_for_a_pause_gets_it"
    ),
    Mutant("retry", "now + decision.delay > started", "now > started", "no_try_begins_after_the_deadline"),
    Mutant("retry", "if self.tokens >= 1 else", "if self.tokens > 0 else", "the_budget_bounds_retries"),
    Mutant("retry", "min(self.capacity, self.tokens + self.ratio)", "self.capacity", "the_budget_bounds_retries"),
    Mutant("retry_after", "max(0.0, at - now_epoch)", "at - now_epoch", "all_three_date_forms_are_exact"),
    Mutant(
        "retry_after",
        "if not 6 < len(text) < 64:",
        "if not float(text.encode('ascii')[:1].isdigit()):",
        "every_retry_after_is_read_or_refused",
    ),
    Mutant("retry_after", "now_epoch if sent_at is None else sent_at", "now_epoch", "all_three_date_forms_are_exact"),
    Mutant("failures", '_LONG_WORD.sub(r"\\1", str(text))', "str(text)", "no_url_changes_a_verdict"),
    Mutant("rules", '_URL.sub("<url>", ', "str(", "no_url_changes_a_verdict"),
    Mutant("rules", "None if api in SCRIPT_APIS else _NET", "_NET", "page_text_cannot_pass_for_a_dead_machine"),
    Mutant(
        "rules",
        "self.text.match(reading.line)",
        "self.text.search(reading.line)",
        "page_text_cannot_pass_for_a_dead_machine",
    ),
    Mutant("classify", "if rule is not None and rule.firm", "if rule.firm", "everything_has_a_verdict"),
    Mutant(
        "evidence", "min(limit, self.score + 1)", "self.score + 1", "a_long_outage_is_forgiven_as_fast_as_a_short_one"
    ),
    Mutant(
        "evidence", "None if score < limit / 2 else since", "since", "a_long_outage_is_forgiven_as_fast_as_a_short_one"
    ),
    Mutant("evidence", " and self.score >= limit", "", "a_recovered_site_is_not_aborted_for_the_past"),
    Mutant(
        "evidence",
        " and now - self.since >= hold",
        "",
        "evidence_never_aborts_before_grace_hold_and_enough_operations",
    ),
    Mutant(
        "evidence", "self.score - rate / (1 - rate)", "self.score - 1.0", "evidence_grows_only_above_the_given_rate"
    ),
    Mutant("evidence", "self.since + seconds", "self.since", "a_checkpoint_changes_no_judgement"),
    Mutant("abort", " and running >= self.grace", "", "evidence_never_aborts_before_grace_hold_and_enough_operations"),
    Mutant(
        "abort",
        "state.operations >= self.min_operations and ",
        "",
        "evidence_never_aborts_before_grace_hold_and_enough_operations",
    ),
    Mutant("abort", "score.held(now", "not score.held(now", "total_failure_always_aborts_in_time"),
    Mutant("abort", "came = not failed or", "came = failed or", "success_alone_is_never_suspected"),
    Mutant(
        "abort",
        "running >= self.grace",
        "running >= self.grace and state.failures % 2 == 0",
        "more_failures_never_abort_later",
    ),
    Mutant(
        "abort", "return attrs.evolve(state, verdict=decision), decision", "return state, decision", "an_abort_is_final"
    ),
    Mutant(
        "abort",
        "self._add(state.infra, not came, now)",
        "self._add(state.infra, failed, now)",
        "streams_are_judged_apart",
    ),
    Mutant(
        "abort",
        "self._add(state.content, failed, now) if came",
        "self._add(state.content, failed, now) if True",
        "streams_are_judged_apart",
    ),
    Mutant(
        "abort",
        "crashes=() if proven else state.crashes",
        "crashes=state.crashes",
        "crashes_count_only_while_no_browser_works",
    ),
    Mutant("abort", "if now - at <= self.crash_window", "", "crashes_count_only_while_no_browser_works"),
    Mutant("abort", "now - entry.at <= rule.duration", "True", "the_window_forgets_what_is_too_old"),
    Mutant(
        "abort", "math.log(items * hazard / false_abort)", "math.log(hazard / false_abort)", "for_job_keeps_its_promise"
    ),
    Mutant(
        "values",
        "return [_plain(item) for item in value]",
        "return [_plain(item) for item in value[1:]]",
        "a_checkpoint_changes_no_judgement",
    ),
    Mutant(
        "thresholds",
        "not threshold.beyond(value, threshold.clear)",
        "not threshold.beyond(value, threshold.limit)",
        "breaches_and_recoveries_alternate_and_are_earned",
    ),
    Mutant(
        "thresholds",
        "now - over_since >= threshold.for_seconds",
        "now >= over_since",
        "breaches_and_recoveries_alternate_and_are_earned",
    ),
    Mutant(
        "thresholds",
        "now - clear_since >= threshold.clear_for",
        "now >= clear_since",
        "breaches_and_recoveries_alternate_and_are_earned",
    ),
    Mutant("thresholds", " or math.isinf(value)", "", "breaches_and_recoveries_alternate_and_are_earned"),
    Mutant("thresholds", "now - watch.level_at >= self.escalate_after", "over", "cleanup_gets_harder_step_by_step"),
    Mutant(
        "restart",
        "len(window) > self.max_restarts",
        "len(window) >= self.max_restarts",
        "no_window_holds_more_restarts_than_allowed",
    ),
    Mutant(
        "restart",
        "now - window.oldest <= self.period",
        "now - window.oldest < self.period",
        "no_window_holds_more_restarts_than_allowed",
    ),
    Mutant("restart_window", "len(chunks[-1]) - keep", "0", "no_window_holds_more_restarts_than_allowed"),
    Mutant("restart", "streak = 1 if fresh else", "streak =", "delays_follow_the_streak_and_end_with_a_stable_life"),
    Mutant("restart", "delays = 0 if fresh else", "delays =", "delays_follow_the_streak_and_end_with_a_stable_life"),
    Mutant(
        "restart",
        "if self.max_streak is not None and streak > self.max_streak:",
        "if False:",
        "every_crash_loop_is_escalated",
    ),
    Mutant(
        "restart", "ids[ids.index(failed) :]", "ids[: ids.index(failed) + 1]", "strategies_take_along_whom_they_name"
    ),
    Mutant(
        "restart",
        "(abnormal and self is RestartType.TRANSIENT)",
        "self is RestartType.TRANSIENT",
        "restart_types_decide_by_the_way_it_ended",
    ),
    Mutant("validation", " and not isinstance(value, bool)", "", "fields_refuse_what_is_no_number_in_range"),
)


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A function that gives a copy of the package, under another name, with one bug in it."""
    names = []

    def plant(mutant):
        name = f"policies_{tmp_path.name.replace('-', '_')}"
        names.append(name)
        (tmp_path / name).mkdir()
        for source in Path(policies.__file__).parent.glob("*.py"):
            text = source.read_text("utf-8")
            if source.stem == mutant.module:
                assert text.count(mutant.old) == 1, f"{mutant.old!r} must stand once in {source.name}"
                text = text.replace(mutant.old, mutant.new)
            text = text.replace("from policies", f"from {name}")
            (tmp_path / name / source.name).write_text(text, "utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name)

    yield plant
    for module in [module for module in sys.modules if module.partition(".")[0] in names]:
        del sys.modules[module]


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_bug_breaks_its_law(mutant, planted, monkeypatch):
    """The law that forbids the bug fails on a copy of the package that has it."""
    package = planted(mutant)
    monkeypatch.setattr(policy_properties, "PHASES", (Phase.generate,))
    with pytest.raises((AssertionError, ValueError, AttributeError, pytest.fail.Exception)):
        PROPERTIES[mutant.killer](package)


def test_every_law_is_proved_able_to_fail():
    """Each law kills at least one mutant."""
    assert {mutant.killer for mutant in MUTANTS} == PROPERTIES.keys()
