"""What is shown: progress lines, the live block, the report."""

import io
import json
import os
import sys

import attrs
import pytest
from rich.console import Console

from scorewise_actors.cli.live import LiveDisplay, block, open_display
from scorewise_actors.cli.progress import Pace, PlainDisplay, QuietDisplay, Snapshot, line
from scorewise_actors.cli.report import put, report_json, report_text
from scorewise_actors.cli.tree_state import Member, down, tree_state
from scorewise_actors.errors import ExitCode
from scorewise_actors.job import DeadLetter, JobReport, Progress, Verdict

SNAPSHOT = Snapshot(
    job_id="league",
    progress=Progress(
        enqueued=231, done=118, dead=2, in_flight=4, waiting=104, delayed=3, failures={"external/HttpStatusError": 3}
    ),
    seconds=60.0,
    per_minute=120.4,
    restarts={"browser": 2, "driver": 1},
    tree=(Member("frontier", 1, 1), Member("driver-1/browser-1", 0, 1), Member("driver-1/browser-1 scrapers", 3, 4)),
)
LETTER = DeadLetter("http://x/7", "http://x/7", 4, "HttpStatusError", "external", "HTTP status 500")
REPORT = JobReport(
    job_id="league",
    verdict=Verdict("completed"),
    exit_code=ExitCode.DEAD_LETTERS,
    enqueued=231,
    done=230,
    dead_lettered=1,
    pending=0,
    lost=0,
    recorded_twice=0,
    results=219,
    restarts=3,
    restarts_by_actor={"browser": 2, "driver": 1},
    retries=12,
    resumed=0,
    seconds=10.0,
    dead_letters=(LETTER,),
    storage="/data/league",
)


def test_a_progress_line_has_all_the_figures():
    """Pace, ETA, restarts, failures by class, and what of the tree is down."""
    assert line(SNAPSHOT) == (
        "league: 118/231 done, 2 dead, 4 in flight, 3 waiting to retry, 120/min, ETA 0:00:56, "
        "restarts 3 (browser 2, driver 1), failed tries 3 (external/HttpStatusError 3), "
        "down: driver-1/browser-1 down, driver-1/browser-1 scrapers 3/4"
    )


def test_a_progress_line_leaves_out_what_is_not_there():
    """At the beginning there is little to say."""
    assert line(Snapshot("league", Progress(enqueued=5), 0.0, None, {})) == "league: 0/5 done"


def test_the_live_block_has_all_the_figures():
    """The same figures as the line, and every member of the tree."""
    console = Console(file=io.StringIO(), width=200)
    console.print(block(SNAPSHOT))
    shown = console.file.getvalue()
    for words in ("118 done", "2 dead", "of 231", "120/min", "0:00:56 left", "browser 2", "HttpStatusError 3"):
        assert words in shown
    assert "● frontier" in shown
    assert "○ driver-1/browser-1 down" in shown
    assert "○ driver-1/browser-1 scrapers 3/4" in shown


def test_the_pace_is_that_of_the_last_minute():
    """Early items do not count for ever."""
    pace = Pace()
    assert pace.per_minute(0, 100.0) is None
    assert pace.per_minute(5, 100.5) is None
    assert pace.per_minute(60, 130.0) == pytest.approx(120.0)
    assert pace.per_minute(60, 190.0) == pytest.approx(0.0)


def test_plain_lines_come_every_few_seconds():
    """A log file is not filled by a job of hours."""
    display = PlainDisplay(io.StringIO(), every=5.0)
    assert [display.due(now) for now in (10.0, 12.0, 15.0, 19.9, 20.0)] == [True, False, True, False, True]
    assert not QuietDisplay(io.StringIO()).due(10.0)


def test_a_reader_that_has_gone_stops_nothing():
    """``2>&1 | head`` must not end a job."""
    reading, writing = os.pipe()
    os.close(reading)
    display = PlainDisplay(os.fdopen(writing, "w"))
    display.show(SNAPSHOT)
    display.say("more")


def test_the_live_display_is_for_terminals_only(monkeypatch):
    """Pipes, dumb terminals and missing ``rich`` get plain lines."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    display = open_display()
    assert isinstance(display, LiveDisplay)
    display.show(SNAPSHOT)
    display.say("[bold]a line that stays[/]")
    display.close()
    assert "[bold]a line that stays[/]\n" in sys.stderr.getvalue()
    assert isinstance(open_display(quiet=True), QuietDisplay)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert type(open_display()) is PlainDisplay
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert type(open_display()) is PlainDisplay


def test_a_report_tells_people_all_that_matters():
    """Counts, dead letters by reason and one by one, pace, and where the results are."""
    text = report_text(REPORT, "/out/r.jsonl", "scorewise resume league")
    for words in (
        "job league: completed",
        "enqueued        231",
        "dead letters    1 (external/HttpStatusError 1)",
        "lost            0",
        "recorded twice  0",
        "restarts        3 (browser 2, driver 1)",
        "23.1 pages/s",
        "219 in /out/r.jsonl",
        "http://x/7  HttpStatusError: HTTP status 500 (4 tries)",
        "scorewise resume league",
    ):
        assert words in text


def test_a_report_lists_some_dead_letters_and_counts_the_rest():
    """A terminal is no place for thousands."""
    text = report_text(attrs.evolve(REPORT, dead_letters=(LETTER,) * 25, dead_lettered=25), None)
    assert text.count("http://x/7") == 20
    assert "and 5 more" in text


def test_a_report_is_one_line_of_json():
    """With the exit code of the command, which need not be the report's."""
    (told,) = report_json(REPORT, ExitCode.DONE, out="/out/r.jsonl").splitlines()
    fields = json.loads(told)
    assert (fields["exit_code"], fields["out"], fields["enqueued"], fields["lost"]) == (0, "/out/r.jsonl", 231, 0)
    assert fields["dead_letters"][0]["error_type"] == "HttpStatusError"


class Place:
    """A name of the tree."""

    actor = None

    def __init__(self, path, up=True):
        self.path, self._up = path, up

    def is_up(self):
        return self._up


def test_the_tree_is_told_by_members():
    """Supervisors are left out, the scrapers of a browser are told together, other jobs are not told."""
    job = "system/job:x"
    browser = f"{job}/drivers/driver-1/browser-2"

    class Runtime:
        def refs(self):
            return (
                Place("system"),
                Place("system/monitor"),
                Place(job),
                Place(f"{job}/checkpoint"),
                Place(f"{job}/drivers"),
                Place(f"{job}/drivers/driver-1"),
                Place(f"{job}/drivers/driver-1/driver"),
                Place(browser),
                Place(f"{browser}/browser", up=False),
                Place(f"{browser}/scrapers"),
                Place(f"{browser}/scrapers/scrape-1"),
                Place(f"{browser}/scrapers/scrape-2", up=False),
                Place("system/job:xy/checkpoint"),
            )

    members = tree_state(Runtime(), job)
    assert [str(member) for member in members] == [
        "checkpoint",
        "driver-1",
        "driver-1/browser-2 down",
        "driver-1/browser-2 scrapers 1/2",
    ]
    assert down(members) == members[2:]


def test_what_a_page_says_does_not_steer_the_terminal(capsys):
    """Escape sequences in a message are shown, not obeyed: on stdout, in plain lines and above the live block."""
    letter = attrs.evolve(LETTER, message="\x1b]0;owned\x07 \x9b31mred\rover\tü")
    shown = r"\x1b]0;owned\x07 \x9b31mred\x0dover" + "\tü"
    put(report_text(attrs.evolve(REPORT, dead_letters=(letter,)), None))
    assert shown in capsys.readouterr().out
    PlainDisplay().say(letter.message)
    display = LiveDisplay()
    display.say(letter.message)
    display.close()
    told = capsys.readouterr().err
    assert told.count(shown.partition("\t")[0]) == 2
    assert "owned\x07" not in told
