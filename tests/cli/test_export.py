"""The results file: a prefix of the journal's results at any moment, and complete after any accident."""

import contextlib
import csv
import datetime as dt
import decimal
import enum
import fcntl
import json
import math
import pathlib
import resource
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorewise_actors.checkpoints import encode, register
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.export import ResultsFileError, ResultsFileLocked, open_results
from scorewise_actors.plain import plain


class Colour(enum.Enum):
    """A registered class."""

    RED = 1


register(Colour, "test-export-colour")


class Source:
    """Durable outcomes, as ``DurableResults`` gives them."""

    def __init__(self, outcomes):
        self.outcomes = outcomes

    def after(self, position):
        return self.outcomes[position:]


def outcome(item, *values):
    return [item, "done", 1, [encode(value).decode("utf-8", "surrogatepass") for value in values]]


def dead(item):
    return [item, "dead", 1, {}]


OUTCOMES = [
    outcome(0, {"id": 1, "name": "Fünfhaven"}),
    dead(1),
    outcome(2),
    outcome(3, {"id": 2}, {"id": 3, "name": "a\nb"}),
    outcome(4, {"id": 4}),
]
CONTENT = b'{"id":1,"name":"F\xc3\xbcnfhaven"}\n{"id":2}\n{"id":3,"name":"a\\nb"}\n{"id":4}\n'


def complete(path, outcomes=OUTCOMES, **options):
    """Open the file as the next run does and bring it up to ``outcomes``."""
    with contextlib.closing(open_results(path)) as results:
        results.begin(lambda: outcomes, **options)
        results.finish(Source(outcomes))


def test_results_are_appended_as_they_become_durable(tmp_path):
    """After each update the file holds what is durable, one line per pushed value."""
    path = tmp_path / "r.jsonl"
    with contextlib.closing(open_results(path)) as results:
        results.begin(list)
        for count in range(len(OUTCOMES) + 1):
            results.update(Source(OUTCOMES[:count]))
            assert CONTENT.startswith(path.read_bytes())
    assert path.read_bytes() == CONTENT


@given(length=st.integers(0, len(CONTENT)), known=st.integers(0, len(OUTCOMES)))
def test_a_file_cut_anywhere_is_completed(tmp_path_factory, length, known):
    """Whatever a crash left of the file, and wherever in a line it was cut, every result is in it once in the end."""
    path = tmp_path_factory.mktemp("cut") / "r.jsonl"
    path.write_bytes(CONTENT[:length])
    with contextlib.closing(open_results(path)) as results:
        results.begin(lambda: OUTCOMES)
        assert path.read_bytes() == (CONTENT if length else b"")
        results.update(Source(OUTCOMES))
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"hello\n",
        CONTENT + b'{"id":5}\n',
        CONTENT + b'{"id',
        CONTENT.replace(b"2", b"7"),
        b"\n" + CONTENT,
        CONTENT[:-1] + b"\x00",
    ],
)
def test_a_file_with_something_else_is_refused_and_left_alone(tmp_path, content):
    """What the journal does not say is somebody's data: the error names the file and the remedy."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"r\.jsonl holds something else .* move it away"):
        complete(path)
    assert path.read_bytes() == content


def test_starting_over_empties_the_jobs_own_file_only(tmp_path):
    """A purge may drop what the job itself has written, and nothing else."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(CONTENT)
    with contextlib.closing(open_results(path)) as results:
        results.begin(lambda: OUTCOMES, restart=True)
    assert path.read_bytes() == b""
    path.write_bytes(b"mine\n")
    with pytest.raises(ConfigurationError):
        complete(path, restart=True)
    assert path.read_bytes() == b"mine\n"


def test_a_file_may_be_replaced_when_the_caller_says_so(tmp_path):
    """``replace`` is for files that are made anew each time."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"old\n")
    with contextlib.closing(open_results(path, replace=True)) as results:
        results.begin(list)
        results.update(Source(OUTCOMES))
    assert path.read_bytes() == CONTENT


def test_two_writers_are_kept_apart(tmp_path):
    """The second one is told at once, and nothing of the file is touched."""
    path = tmp_path / "r.jsonl"
    with contextlib.closing(open_results(path)) as results:
        results.update(Source(OUTCOMES))
        with pytest.raises(ResultsFileLocked, match="another process"):
            open_results(path, replace=True)
    assert path.read_bytes() == CONTENT
    complete(path)


@contextlib.contextmanager
def file_size_limit(size):
    """No file of this process may grow beyond ``size`` bytes: a disk that is full, in a test's reach."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [0, 10, 30, 60])
def test_a_full_disk_costs_no_result(tmp_path, limit):
    """The error says what to do, half a line does not stay, and the next try writes what is missing."""
    path = tmp_path / "r.jsonl"
    with contextlib.closing(open_results(path)) as results:
        results.update(Source(OUTCOMES[:1]))
        with file_size_limit(limit), pytest.raises(ResultsFileError, match="the journal holds every result"):
            results.finish(Source(OUTCOMES))
        assert path.read_bytes() == CONTENT[: CONTENT.index(b"\n") + 1]
        results.finish(Source(OUTCOMES))
    assert path.read_bytes() == CONTENT


def test_a_full_disk_leaves_the_whole_file_as_it_was(tmp_path):
    """CSV and JSON appear complete or not at all, and no temporary file stays."""
    path = tmp_path / "r.json"
    complete(path, OUTCOMES[:1])
    before = path.read_bytes()
    with contextlib.closing(open_results(path, replace=True)) as results:
        with file_size_limit(5), pytest.raises(ResultsFileError):
            results.finish(Source(OUTCOMES))
        assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with contextlib.closing(open_results(path, replace=True)) as results:
        with file_size_limit(5), pytest.raises(ResultsFileError):
            results.finish(Source(OUTCOMES))
        results.finish(Source(OUTCOMES))
    assert len(json.loads(path.read_bytes())) == 4


def test_json_is_a_list_of_the_results(tmp_path):
    """An empty job gives an empty list."""
    complete(tmp_path / "r.json")
    complete(tmp_path / "empty.json", [])
    lines = [json.loads(line) for line in CONTENT.splitlines()]
    assert json.loads((tmp_path / "r.json").read_bytes()) == lines
    assert json.loads((tmp_path / "empty.json").read_bytes()) == []


def test_csv_has_a_column_for_every_key(tmp_path):
    """Columns in order of appearance; nested values as JSON; what is no dict in the column ``value``."""
    complete(tmp_path / "r.csv", [outcome(0, {"a": "x,y", "b": None}), outcome(1, {"c": [1, True], "a": 2}, "alone")])
    rows = list(csv.reader((tmp_path / "r.csv").open(newline="")))
    assert rows == [["a", "b", "c", "value"], ["x,y", "", "", ""], ["2", "", "[1,true]", ""], ["", "", "", "alone"]]


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_a_whole_file_of_somebody_else_is_not_overwritten(tmp_path, name):
    """Unless the caller knows that it may."""
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="left alone"):
        open_results(tmp_path / name)
    open_results(tmp_path / name, replace=True).close()
    assert (tmp_path / name).read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_two_jobs_with_one_whole_file_are_kept_apart(tmp_path, name):
    """The second is told at its beginning, not at its end, when it would overwrite the first; later it may have it."""
    path = tmp_path / name
    with contextlib.closing(open_results(path)) as first:
        with pytest.raises(ResultsFileLocked, match="another process"):
            open_results(path, replace=True)
        first.finish(Source(OUTCOMES))
    with contextlib.closing(open_results(path, replace=True)) as second:
        with pytest.raises(ResultsFileLocked):
            open_results(path, replace=True)
        second.finish(Source(OUTCOMES[:1]))
        open_results(path, replace=True).close()  # it is whole: whoever wants to write it anew may
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_lock_on_a_file_that_has_just_got_its_name_is_no_lock(tmp_path, monkeypatch):
    """Between opening and locking, the owner finishes: the second must not lock the results of the first."""
    path = tmp_path / "r.json"
    first = open_results(path)
    flock = fcntl.flock
    calls = []

    def late(fd, how):
        if not calls:
            calls.append(fd)
            first.finish(Source(OUTCOMES))
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    second = open_results(path, replace=True)
    monkeypatch.undo()
    with pytest.raises(ResultsFileLocked):
        open_results(path, replace=True)
    assert len(json.loads(path.read_bytes())) == 4
    second.close()
    assert len(json.loads(path.read_bytes())) == 4


def test_what_a_killed_run_left_of_a_whole_file_is_taken_over(tmp_path):
    """Its lock died with it."""
    (tmp_path / ".r.json.tmp").write_text("half" * 1000)
    complete(tmp_path / "r.json")
    assert len(json.loads((tmp_path / "r.json").read_bytes())) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_a_whole_file_that_somebody_else_has_put_there_meanwhile_is_not_written_over(tmp_path, name):
    """Told as an error; the journal has the results."""
    path = tmp_path / name
    with contextlib.closing(open_results(path)) as results:
        path.write_bytes(b"mine")
        with pytest.raises(ResultsFileError, match="File exists"):
            results.finish(Source(OUTCOMES))
    assert path.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_cannot_be_written_is_told_before_the_run(tmp_path):
    """Not after it."""
    with pytest.raises(ResultsFileError, match="name too long"):
        open_results(tmp_path / f"{'r' * 250}.csv")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("results.xml", r"must end in \.jsonl, \.csv or \.json"),
        ("results", "no ending"),
        ("no/such/results.jsonl", "does not exist; create it"),
        ("folder.jsonl", "no regular file"),
    ],
)
def test_a_path_that_cannot_be_a_results_file_is_refused(tmp_path, name, message):
    """The error names the option and the remedy."""
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(ConfigurationError, match=message):
        open_results(tmp_path / name)


def test_every_value_that_a_journal_holds_has_a_json_form():
    """Types that JSON lacks get a form that is the same in every process."""
    value = {
        "moment": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "day": dt.date(2026, 1, 2),
        "took": dt.timedelta(seconds=90),
        "price": decimal.Decimal("1.10"),
        "id": uuid.UUID(int=7),
        "path": pathlib.PosixPath("a/b"),
        "raw": b"\x00\xff",
        "tags": {"b", "a", "c"},
        "pair": (1, 2.5),
        "nan": math.nan,
        "huge": 1 << 9000,
        "complex": 1 + 2j,
        "colour": Colour.RED,
        3: "key",
    }
    assert plain(value) == {
        "moment": "2026-01-02T03:04:05+00:00",
        "day": "2026-01-02",
        "took": 90.0,
        "price": "1.10",
        "id": "00000000-0000-0000-0000-000000000007",
        "path": "a/b",
        "raw": "AP8=",
        "tags": ["a", "b", "c"],
        "pair": [1, 2.5],
        "nan": None,
        "huge": hex(1 << 9000),
        "complex": [1.0, 2.0],
        "colour": "RED",
        "3": "key",
    }


def test_half_a_surrogate_pair_is_escaped(tmp_path):
    """Text that UTF-8 cannot hold is scraped from broken pages; the line stays valid JSON."""
    complete(tmp_path / "r.jsonl", [outcome(0, {"text": "ü\ud83d"})])
    assert json.loads((tmp_path / "r.jsonl").read_bytes()) == {"text": "ü\ud83d"}


@pytest.mark.parametrize("accident", ["deleted", "cut"])
def test_a_file_that_is_lost_in_mid_run_is_written_anew(tmp_path, accident):
    """Deleted or emptied while the job runs: the next write notices, and the file is complete in the end."""
    path = tmp_path / "r.jsonl"
    results = open_results(path)
    results.begin(list)
    results.update(Source(OUTCOMES[:4]))
    if accident == "deleted":
        path.unlink()
    else:
        path.write_bytes(b"")
    results.finish(Source(OUTCOMES))
    results.close()
    assert path.read_bytes() == CONTENT


def test_a_file_that_somebody_else_has_put_there_meanwhile_is_not_written_over(tmp_path):
    """Told as an error; once it is out of the way the results are written."""
    path = tmp_path / "r.jsonl"
    results = open_results(path)
    results.begin(list)
    results.update(Source(OUTCOMES[:2]))
    path.unlink()
    path.write_text("mine")
    with pytest.raises(ResultsFileError):
        results.update(Source(OUTCOMES))
    assert path.read_text() == "mine"
    path.unlink()
    results.finish(Source(OUTCOMES))
    results.close()
    assert path.read_bytes() == CONTENT
