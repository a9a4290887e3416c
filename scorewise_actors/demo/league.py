"""A made-up football league and its fault plan: pure, seeded data.

The same seed gives the same league on every machine and Python version; the fault plan comes from a
stream of its own, so that a healthy and a faulty league of one seed hold the same matches.
"""

import datetime as dt
import enum
import random
import types
from collections.abc import Mapping
from typing import Any

import attrs

MAX_MATCHES = 100_000
"""Upper bound of a league's size: about two centuries of match days."""

SQUAD = 16
"""Players that a club names for a match."""

_SEASON_START = dt.date(2025, 8, 2)
_KICKOFFS = ("13:30", "15:00", "17:30", "20:00")
_GOAL_WEIGHTS = (25, 35, 22, 11, 5, 2)
_CARD_WEIGHTS = (30, 35, 22, 13)

# Apostrophes, ampersands and letters beyond ASCII are on purpose: a scraper must bring them back unharmed.
_CLUBS = (
    ("Alder Rovers", "Alder Lane"),
    ("Birkdale Town", "The Sandpit"),
    ("Castle & Moor", "Moorgate"),
    ("Dunmere Athletic", "Dunmere Park"),
    ("Eastbrook", "Mill Meadow"),
    ("Fünfhaven", "Hafenstadion"),
    ("Greywater United", "Weir Ground"),
    ("Hollins Vale", "Vale Road"),
    ("Ivyport", "Dockside"),
    ("Juniper Hill", "The Terrace"),
    ("King's Ferry", "Ferry Field"),
    ("Larkfield", "Lark Rise"),
    ("Måneby", "Fjordvallen"),
    ("Northgate Wanderers", "North Bank"),
    ("Orchard City", "Pippin Stadium"),
    ("Pendle Rangers", "Hill Top"),
    ("Quarry Bank", "The Slate"),
    ("Redcliffe", "Cliff End"),
    ("Saltmarsh", "Causeway"),
    ("Thornbury Albion", "Rose Lane"),
)
_FIRST_NAMES = (
    *("Ada", "Ben", "Chidi", "Dario", "Emil", "Femi", "Goran", "Hugo", "Ivo", "João", "Karim", "Luka"),
    *("Mateo", "Noel", "Oskar", "Pavel", "Quentin", "Rafael", "Sami", "Tomáš", "Uwe", "Viktor", "Yann", "Zoran"),
)
_LAST_NAMES = (
    *("Abara", "Bergström", "Castell", "D'Amico", "Eriksen", "Fournier", "Gallagher", "Hájek", "Ibáñez", "Jansen"),
    *("Kovač", "Lindqvist", "Moreau", "Nakata", "O'Neill", "Petrov", "Quist", "Rossi", "Søndergaard", "Teixeira"),
    *("Ueda", "Vasquez", "Weiß", "Yilmaz", "Zieliński"),
)


class Fault(enum.Enum):
    """What is wrong with a match page. A right scraper gets past the first four and HANG needs its own deadline."""

    NONE = "none"
    SLOW = "slow"
    """The data behind the page comes after about 0.3 s: the score appears late."""
    FLAKY = "flaky"
    """The first request ends in a 500 (even ids) or a connection reset (odd ids); the next ones are fine."""
    RATE_LIMITED = "rate_limited"
    """The first request gets a 429 with ``Retry-After: 1``; the next ones are fine."""
    BROKEN_404 = "broken_404"
    """Always 404."""
    BROKEN_500 = "broken_500"
    """Always 500."""
    BROKEN_MARKUP = "broken_markup"
    """The page loads and says it is ready, but the element with the score never appears."""
    HANG = "hang"
    """The page never answers; the connection stays open until the client or the site goes."""


BROKEN = frozenset({Fault.BROKEN_404, Fault.BROKEN_500, Fault.BROKEN_MARKUP, Fault.HANG})
"""Faults that no number of attempts gets past."""

DEFAULT_FAULTS: Mapping[Fault, float] = types.MappingProxyType(
    {
        Fault.SLOW: 0.03,
        Fault.FLAKY: 0.04,
        Fault.RATE_LIMITED: 0.02,
        Fault.BROKEN_404: 0.01,
        Fault.BROKEN_500: 0.01,
        Fault.BROKEN_MARKUP: 0.01,
    }
)
"""Shares of the match pages (0-1) that have each fault unless told otherwise; HANG is off."""


@attrs.frozen
class Event:
    """Something that happened in a match."""

    minute: int
    """1-90"""
    kind: str
    """``goal``, ``yellow card`` or ``red card``"""
    team: str
    player: str


@attrs.frozen
class Match:
    """A played match with everything that its page shows."""

    id: int
    """1 to the size of the league"""
    round: int
    """1-based match day"""
    kickoff: str
    """Local time, ``YYYY-MM-DDTHH:MM``"""
    home: str
    away: str
    ground: str
    attendance: int
    home_goals: int
    away_goals: int
    events: tuple[Event, ...]
    """By minute; the goals among them add up to the score."""
    home_squad: tuple[str, ...]
    away_squad: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where the site serves the page of this match."""
        return f"/matches/{self.id}"

    def record(self) -> dict[str, Any]:
        """Return exactly what a right scraper returns for this match, as plain JSON values.

        Keys: ``id``, ``round``, ``kickoff``, ``home``, ``away``, ``ground``, ``attendance``, ``home_goals``,
        ``away_goals`` and ``events``, a list of ``{"minute", "kind", "team", "player"}``.
        """
        record = attrs.asdict(self, recurse=False, filter=attrs.filters.exclude("home_squad", "away_squad"))
        return {**record, "events": [attrs.asdict(event) for event in self.events]}


def _check_whole(instance: object, attribute: "attrs.Attribute[int]", value: object) -> None:
    del instance
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{attribute.alias} must be a whole number, not {value!r}")


def _check_size(instance: object, attribute: "attrs.Attribute[int]", value: int) -> None:
    _check_whole(instance, attribute, value)
    if not 1 <= value <= MAX_MATCHES:
        raise ValueError(f"{attribute.alias} must be 1 to {MAX_MATCHES}, not {value}")


def _check_shares(instance: object, attribute: "attrs.Attribute[Mapping[Fault, float]]", value: object) -> None:
    del instance
    if not isinstance(value, Mapping):
        raise TypeError(f"{attribute.name} must map each Fault to its share of the pages (0-1), not {value!r}")
    for fault, share in value.items():
        if not isinstance(fault, Fault) or fault is Fault.NONE:
            names = ", ".join(f"Fault.{known.name}" for known in Fault if known is not Fault.NONE)
            raise ValueError(f"{attribute.name} has the key {fault!r}; the keys are {names}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"{attribute.name}[{fault}] must be a share from 0 to 1, not {share!r}")
    total = sum(value.values())
    if total > 1 + 1e-9:
        raise ValueError(f"the shares of {attribute.name} must add up to at most 1, not {total:g}")


@attrs.frozen
class League:
    """A league of ``matches`` played matches, and what is wrong with their pages.

    ``League(seed=7, matches=200)`` has the default faults, ``faults={}`` is a healthy site and
    ``faults={Fault.BROKEN_500: 1.0}`` one where everything fails. Frozen; any thread. Raises ``TypeError`` or
    ``ValueError`` that names the argument, its value and the allowed range.
    """

    seed: int = attrs.field(validator=_check_whole)
    size: int = attrs.field(alias="matches", validator=_check_size)
    faults: Mapping[Fault, float] = attrs.field(default=DEFAULT_FAULTS, validator=_check_shares, hash=False)
    """Share (0-1) of the match pages with each fault; together at most 1."""
    matches: tuple[Match, ...] = attrs.field(init=False, eq=False, repr=False)
    """By id; ``matches[0].id == 1``."""
    plan: Mapping[int, Fault] = attrs.field(init=False, eq=False, repr=False)
    """Faults by match id; healthy matches are left out."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "faults", types.MappingProxyType(dict(self.faults)))
        object.__setattr__(self, "matches", _play(self.seed, self.size))
        object.__setattr__(self, "plan", types.MappingProxyType(_draw_faults(self.seed, self.size, self.faults)))

    def fault(self, match_id: int) -> Fault:
        """Return what is wrong with the page of this match, ``Fault.NONE`` if nothing is."""
        return self.plan.get(match_id, Fault.NONE)

    @property
    def broken(self) -> frozenset[int]:
        """Ids of the matches that a right scraper dead-letters."""
        return frozenset(match_id for match_id, fault in self.plan.items() if fault in BROKEN)

    @property
    def rounds(self) -> range:
        """Numbers of the match days, from 1."""
        return range(1, self.matches[-1].round + 1)

    def round_matches(self, number: int) -> tuple[Match, ...]:
        """Return the matches of one match day; empty if there is no such day."""
        per_round = len(_CLUBS) // 2
        return self.matches[(number - 1) * per_round : number * per_round] if number in self.rounds else ()

    def records(self) -> dict[int, dict[str, Any]]:
        """Return the record of every match that a right scraper brings home, by id."""
        broken = self.broken
        return {match.id: match.record() for match in self.matches if match.id not in broken}


def parse_faults(text: str) -> dict[Fault, float]:
    """Read fault shares from a command line: ``slow=0.1,broken_404=0.02``, or ``none`` for a healthy site.

    Raises ``ValueError`` that names the part that cannot be read. ``format_faults`` is the way back.
    """
    if text == "none":
        return {}
    shares: dict[Fault, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[Fault(name)] = float(share)
        except ValueError:
            names = ", ".join(fault.value for fault in Fault if fault is not Fault.NONE)
            raise ValueError(f"cannot read {part!r}: give NAME=SHARE with a name of {names}, or none") from None
    return shares


def format_faults(faults: Mapping[Fault, float]) -> str:
    """Write fault shares the way ``parse_faults`` reads them."""
    return ",".join(f"{fault.value}={share!r}" for fault, share in faults.items()) or "none"


def _stream(seed: int, name: str) -> random.Random:
    """Return an independent source of chance; a string seed is stable across Python versions and hash seeds."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - test data, nothing secret


def _play(seed: int, size: int) -> tuple[Match, ...]:
    squads = _name_squads(seed)
    clubs = list(_CLUBS)
    _stream(seed, "draw").shuffle(clubs)
    matches: list[Match] = []
    day = 0
    while len(matches) < size:
        for home, away in _pairings(day, len(clubs))[: size - len(matches)]:
            matches.append(_play_match(seed, len(matches) + 1, day, (clubs[home], clubs[away]), squads))
        day += 1
    return tuple(matches)


def _name_squads(seed: int) -> dict[str, tuple[str, ...]]:
    names = [f"{first} {last}" for first in _FIRST_NAMES for last in _LAST_NAMES]
    drawn = _stream(seed, "squads").sample(names, SQUAD * len(_CLUBS))
    return {name: tuple(drawn[n * SQUAD : (n + 1) * SQUAD]) for n, (name, _ground) in enumerate(_CLUBS)}


def _pairings(day: int, clubs: int) -> list[tuple[int, int]]:
    """Return (home, away) of a match day by the circle method; every second cycle swaps home and away."""
    circle = clubs - 1
    cycle, turn = divmod(day, circle)
    pairs = [(circle, turn)] + [((turn + n) % circle, (turn - n) % circle) for n in range(1, clubs // 2)]
    return [(a, b) if (turn + n + cycle) % 2 == 0 else (b, a) for n, (a, b) in enumerate(pairs)]


def _play_match(
    seed: int,
    match_id: int,
    day: int,
    clubs: tuple[tuple[str, str], tuple[str, str]],
    squads: Mapping[str, tuple[str, ...]],
) -> Match:
    chance = _stream(seed, f"match {match_id}")
    (home, ground), (away, _) = clubs
    events: list[Event] = []
    goals: dict[str, int] = {}
    for team in (home, away):
        goals[team] = chance.choices(range(len(_GOAL_WEIGHTS)), _GOAL_WEIGHTS)[0]
        yellow_cards = chance.choices(range(len(_CARD_WEIGHTS)), _CARD_WEIGHTS)[0]
        red_cards = int(chance.random() < 0.05)
        kinds = ["goal"] * goals[team] + ["yellow card"] * yellow_cards + ["red card"] * red_cards
        events += [Event(chance.randint(1, 90), kind, team, chance.choice(squads[team])) for kind in kinds]
    return Match(
        id=match_id,
        round=day + 1,
        kickoff=f"{_SEASON_START + dt.timedelta(weeks=day)}T{chance.choice(_KICKOFFS)}",
        home=home,
        away=away,
        ground=ground,
        attendance=chance.randint(800, 61_000),
        home_goals=goals[home],
        away_goals=goals[away],
        events=tuple(sorted(events, key=lambda event: event.minute)),
        home_squad=squads[home],
        away_squad=squads[away],
    )


def _draw_faults(seed: int, size: int, faults: Mapping[Fault, float]) -> dict[int, Fault]:
    """Give each fault its share of the matches. Bounds are rounded, not counts, so that the total keeps its share."""
    ids = list(range(1, size + 1))
    _stream(seed, "faults").shuffle(ids)
    plan: dict[int, Fault] = {}
    taken, total = 0, 0.0
    for fault in sorted(faults, key=list(Fault).index):
        total += faults[fault]
        bound = min(size, int(total * size + 0.5))
        plan.update(dict.fromkeys(ids[taken:bound], fault))
        taken = bound
    return plan
