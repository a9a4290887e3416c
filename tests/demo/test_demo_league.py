"""The league is the same for the same seed, adds up, and hands out its faults by share."""

import itertools
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise_actors.demo.league import BROKEN, DEFAULT_FAULTS, Fault, League, format_faults, parse_faults

unhurried = settings(deadline=None, max_examples=50)  # a loaded machine is no failure
seeds = st.integers(min_value=-(2**40), max_value=2**40)
sizes = st.integers(min_value=1, max_value=60)
shares = st.dictionaries(
    st.sampled_from([fault for fault in Fault if fault is not Fault.NONE]), st.floats(min_value=0, max_value=1 / 7)
)


@unhurried
@given(seeds, sizes, shares)
def test_the_same_seed_gives_the_same_league(seed, size, faults):
    """Two leagues with equal arguments are equal in every match and every fault."""
    first, second = League(seed, size, faults), League(seed, size, faults)
    assert first == second
    assert hash(first) == hash(second)
    assert first.matches == second.matches
    assert first.plan == second.plan


def test_a_league_is_the_same_on_every_python():
    """A seed is a promise beyond this process: one known match is pinned."""
    match = League(seed=7, matches=1).matches[0]
    assert (match.kickoff, match.home, match.away) == ("2025-08-02T13:30", "Alder Rovers", "Pendle Rangers")
    assert (match.home_goals, match.away_goals, match.attendance) == (1, 0, 45877)
    assert match.events[0].player == "Sami Gallagher"


def test_another_seed_gives_another_league():
    """Leagues of different seeds differ in matches and in faults."""
    first, second = League(1, 200), League(2, 200)
    assert first.matches != second.matches
    assert first.plan != second.plan


@unhurried
@given(seeds, sizes)
def test_a_longer_league_starts_with_the_shorter_one(seed, size):
    """The size only says how many matches are played, not how they end."""
    assert League(seed, 60).matches[:size] == League(seed, size).matches


@unhurried
@given(seeds, sizes)
def test_every_match_adds_up(seed, size):
    """Goals among the events are the score, minutes are in order and in range, players play for their team."""
    for number, match in enumerate(League(seed, size).matches, start=1):
        assert match.id == number
        assert match.path == f"/matches/{number}"
        goals = Counter(event.team for event in match.events if event.kind == "goal")
        assert (goals[match.home], goals[match.away]) == (match.home_goals, match.away_goals)
        minutes = [event.minute for event in match.events]
        assert minutes == sorted(minutes)
        assert all(1 <= minute <= 90 for minute in minutes)
        squads = {match.home: match.home_squad, match.away: match.away_squad}
        assert all(event.player in squads[event.team] for event in match.events)


def test_a_record_is_plain_json():
    """A record survives JSON unchanged and holds no squads."""
    for match in League(3, 30).matches:
        record = match.record()
        assert json.loads(json.dumps(record)) == record
        assert set(record) == {
            *("id", "round", "kickoff", "home", "away", "ground", "attendance", "home_goals", "away_goals", "events")
        }


def test_a_season_is_a_double_round_robin():
    """In 380 matches every club meets every other at home once, and plays once on each match day."""
    league = League(11, 380)
    clubs = {match.home for match in league.matches}
    assert len(clubs) == 20
    assert {(match.home, match.away) for match in league.matches} == set(itertools.permutations(clubs, 2))
    assert league.rounds == range(1, 39)
    for number in league.rounds:
        day = league.round_matches(number)
        assert {match.round for match in day} == {number}
        assert Counter(club for match in day for club in (match.home, match.away)) == Counter(clubs)


def test_the_last_round_may_be_short_and_there_is_none_beyond():
    """A league of 13 matches has two rounds, the second with three matches."""
    league = League(5, 13)
    assert [len(league.round_matches(number)) for number in (0, 1, 2, 3)] == [0, 10, 3, 0]


def test_default_faults_have_their_shares():
    """Of 200 match pages 12 % have a fault and 3 % are broken for good."""
    league = League(seed=7, matches=200)
    assert Counter(league.plan.values()) == {
        Fault.SLOW: 6,
        Fault.FLAKY: 8,
        Fault.RATE_LIMITED: 4,
        Fault.BROKEN_404: 2,
        Fault.BROKEN_500: 2,
        Fault.BROKEN_MARKUP: 2,
    }
    assert league.broken == {number for number in range(1, 201) if league.fault(number) in BROKEN}
    assert len(league.broken) == 6
    assert league.records().keys() == set(range(1, 201)) - league.broken


@unhurried
@given(seeds, sizes, shares)
def test_any_share_is_held_to_one_match(seed, size, faults):
    """Rounding moves a fault's count by less than one page, and the total by at most half a page."""
    league = League(seed, size, faults)
    counts = Counter(league.plan.values())
    assert all(abs(counts[fault] - share * size) < 1 + 1e-6 for fault, share in faults.items())
    assert abs(counts.total() - sum(faults.values()) * size) <= 0.5 + 1e-6


def test_a_site_can_be_healthy_or_all_broken():
    """An empty plan breaks nothing, a share of 1 everything, and the matches stay the same."""
    healthy, broken = League(7, 33, faults={}), League(7, 33, faults={Fault.BROKEN_500: 1.0})
    assert healthy.broken == set()
    assert healthy.records() == {match.id: match.record() for match in healthy.matches}
    assert broken.broken == set(range(1, 34))
    assert broken.records() == {}
    assert healthy.matches == broken.matches


def test_a_league_keeps_its_own_faults():
    """Changing the mapping that was passed changes nothing."""
    faults = {Fault.SLOW: 0.5}
    league = League(7, 10, faults)
    faults[Fault.SLOW] = 1.0
    assert league.faults == {Fault.SLOW: 0.5}


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"seed": "7", "matches": 10}, TypeError, "seed must be a whole number, not '7'"),
        ({"seed": True, "matches": 10}, TypeError, "seed must be a whole number, not True"),
        ({"seed": 7, "matches": 2.5}, TypeError, "matches must be a whole number, not 2.5"),
        ({"seed": 7, "matches": 0}, ValueError, "matches must be 1 to 100000, not 0"),
        ({"seed": 7, "matches": 100_001}, ValueError, "matches must be 1 to 100000, not 100001"),
        ({"seed": 7, "matches": 9, "faults": [Fault.SLOW]}, TypeError, "faults must map each Fault to its share"),
        ({"seed": 7, "matches": 9, "faults": {"slow": 0.5}}, ValueError, "faults has the key 'slow'; the keys are"),
        ({"seed": 7, "matches": 9, "faults": {Fault.NONE: 0.5}}, ValueError, "the keys are Fault.SLOW, Fault.FLAKY"),
        ({"seed": 7, "matches": 9, "faults": {Fault.SLOW: 1.5}}, ValueError, "must be a share from 0 to 1, not 1.5"),
        ({"seed": 7, "matches": 9, "faults": {Fault.SLOW: float("nan")}}, ValueError, "from 0 to 1, not nan"),
        ({"seed": 7, "matches": 9, "faults": {Fault.SLOW: True}}, ValueError, "from 0 to 1, not True"),
        (
            {"seed": 7, "matches": 9, "faults": {Fault.SLOW: 0.7, Fault.HANG: 0.7}},
            ValueError,
            "the shares of faults must add up to at most 1, not 1.4",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, error, text):
    """An error says which argument is wrong, its value and what is allowed."""
    with pytest.raises(error) as caught:
        League(**arguments)
    assert text in str(caught.value)


@unhurried
@given(shares)
def test_faults_travel_through_a_command_line(faults):
    """What `format_faults` writes, `parse_faults` reads back exactly."""
    assert parse_faults(format_faults(faults)) == faults


def test_no_faults_and_default_faults_can_be_written():
    """`none` stands for a healthy site; the defaults read as one would type them."""
    assert format_faults({}) == "none"
    assert format_faults(DEFAULT_FAULTS).startswith("slow=0.03,flaky=0.04,")


@pytest.mark.parametrize("text", ["", "slow", "slow=", "slow=much", "quick=0.1", "slow=0.1,,flaky=0.1"])
def test_unreadable_faults_are_named(text):
    """The error shows the part that cannot be read and the names there are."""
    with pytest.raises(ValueError, match="give NAME=SHARE with a name of slow, flaky, rate_limited"):
        parse_faults(text)
