"""``scorewise demo`` survives what it does to itself, and would see it if something were wrong."""

import json

import attrs
import pytest

from scorewise_actors.cli.demo import Killer, verify
from scorewise_actors.demo.league import BROKEN, Fault, League
from scorewise_actors.errors import ExitCode
from scorewise_actors.job import DeadLetter, JobReport, Progress, Verdict

ITEMS = 60
SITE = "http://127.0.0.1:8080"


def test_the_demo_kills_browser_and_driver_and_has_every_record(workplace):
    """The last line of stdout is the report; the results are where it says; nothing else is left."""
    done = workplace.run("demo", "--items", str(ITEMS), "--seed", "3", "--kill", "browser,driver", "--json")
    assert done.returncode == ExitCode.DONE, done.stderr
    report = workplace.report(done)
    league = League(3, matches=ITEMS)
    assert {"enqueued", "done", "dead_lettered", "pending", "lost", "recorded_twice"} <= report.keys()
    assert {"restarts", "verdict", "seconds", "exit_code"} <= report.keys()
    assert report["enqueued"] == 1 + len(league.rounds) + ITEMS == report["done"] + report["dead_lettered"]
    assert report["dead_lettered"] == len(league.broken) > 0
    assert (report["pending"], report["lost"], report["recorded_twice"]) == (0, 0, 0)
    assert (report["verdict"], report["exit_code"], report["problems"]) == ("completed", 0, [])
    assert [kill["kind"] for kill in report["kills"]] == ["browser", "driver"]
    assert report["restarts"] >= 2
    assert report["out"] == str(workplace.folder / "demo-results.jsonl")
    records = [json.loads(line) for line in (workplace.folder / "demo-results.jsonl").read_text().splitlines()]
    assert {record["id"]: record for record in records} == league.records()
    assert not (workplace.folder / "keys").exists()
    workplace.leaves_nothing()


LEAGUE = League(7, matches=30, faults={Fault.BROKEN_404: 0.1})
LETTERS = tuple(
    DeadLetter(f"{SITE}/matches/{match}", "", 1, "HttpStatusError", "external", "404")
    for match in sorted(LEAGUE.broken)
)
PAGES = 1 + len(LEAGUE.rounds) + 30
REPORT = JobReport(
    job_id="demo",
    verdict=Verdict("completed"),
    exit_code=ExitCode.DEAD_LETTERS,
    enqueued=PAGES,
    done=PAGES - len(LETTERS),
    dead_lettered=len(LETTERS),
    pending=0,
    lost=0,
    recorded_twice=0,
    results=27,
    restarts=0,
    restarts_by_actor={},
    retries=0,
    resumed=0,
    seconds=1.0,
    dead_letters=LETTERS,
)
RECORDS = list(LEAGUE.records().values())
WRONG = {**RECORDS[3], "home_goals": 99}
BROKEN_ID = min(LEAGUE.broken)


@pytest.mark.parametrize(
    ("records", "report", "problem"),
    [
        (RECORDS[1:], REPORT, f"1 matches are missing: {RECORDS[0]['id']}"),
        ([*RECORDS, RECORDS[2]], REPORT, f"1 matches are there more than once: {RECORDS[2]['id']}"),
        ([*RECORDS[:3], WRONG, *RECORDS[4:]], REPORT, f"1 records are wrong: {WRONG['id']}"),
        ([*RECORDS, {**WRONG, "id": BROKEN_ID}], REPORT, f"1 records are wrong: {BROKEN_ID}"),
        (RECORDS, attrs.evolve(REPORT, dead_letters=LETTERS[1:]), "1 broken pages are no dead letters"),
        (
            RECORDS,
            attrs.evolve(REPORT, dead_letters=(*LETTERS, DeadLetter(f"{SITE}/", "", 1, "E", "c", "m"))),
            "1 dead letters are pages that are not broken",
        ),
        (RECORDS, attrs.evolve(REPORT, enqueued=PAGES - 1, done=REPORT.done - 1), "items were enqueued, there are"),
        (RECORDS, attrs.evolve(REPORT, lost=1), "the ledger does not balance"),
    ],
)
def test_the_check_sees_what_is_wrong(tmp_path, records, report, problem):
    """Each kind of damage is a sentence of its own."""
    out = tmp_path / "r.jsonl"
    out.write_text("".join(f"{json.dumps(record)}\n" for record in RECORDS))
    assert verify(LEAGUE, SITE, out, REPORT) == []
    out.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    (told,) = verify(LEAGUE, SITE, out, report)
    assert problem in told


def test_the_broken_pages_are_the_leagues_own():
    """Otherwise the check above would test nothing."""
    assert LEAGUE.broken
    assert {LEAGUE.fault(match) for match in LEAGUE.broken} <= BROKEN


def test_kills_are_spread_over_the_run(monkeypatch):
    """A browser at a third, a driver at two thirds; one that is not there just now is killed a little later."""
    alive = {"browser": None, "driver": None}

    class Victim:
        pid = 42

        def kill(self):
            return True

    monkeypatch.setattr("scorewise_actors.cli.demo._processes", lambda _system, kind: iter(filter(None, [alive[kind]])))

    class Handle:
        def __init__(self, finished):
            self._progress = Progress(enqueued=90, done=finished)

        def progress(self):
            return self._progress

    killer = Killer(("browser", "driver"), 90, None)
    killer.tick(Handle(29))
    killer.tick(Handle(30))
    alive.update(browser=Victim(), driver=Victim())
    for finished in (31, 59, 60, 90):
        killer.tick(Handle(finished))
    assert [(kill.kind, kill.finished) for kill in killer.kills] == [("browser", 31), ("driver", 60)]
