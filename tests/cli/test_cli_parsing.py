"""What is read before anything starts: URL files, handler names, job options, and the memo of the last run."""

import io
import stat
import sys

import pytest

from policies import named
from scorewise_actors.checkpoints import CheckpointStorageError
from scorewise_actors.cli.arguments import resume_command, system_config
from scorewise_actors.cli.command_line import parser
from scorewise_actors.cli.handler_name import load_handler
from scorewise_actors.cli.memo import Memo
from scorewise_actors.cli.run import default_job_id
from scorewise_actors.cli.urls import read_requests
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.job import Request

GOOD = b"""\xef\xbb\xbf# a comment

https://example.org/a\r
  https://example.org/b
{"url": "https://example.org/c", "label": "match", "user_data": {"n": 1}, "max_retries": 0}
"""
REQUESTS = [
    Request("https://example.org/a"),
    Request("https://example.org/b"),
    Request("https://example.org/c", label="match", user_data={"n": 1}, max_retries=0),
]


def test_a_url_file_has_a_url_or_a_request_per_line(tmp_path):
    """Comments, blank lines, a byte order mark and carriage returns are no trouble."""
    (tmp_path / "urls.txt").write_bytes(GOOD)
    assert read_requests(str(tmp_path / "urls.txt")) == REQUESTS


def test_urls_come_from_stdin_too(monkeypatch):
    """``-`` stands for stdin."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD)))
    assert read_requests("-") == REQUESTS


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"example.org", "example.org"),
        (b"https://", "https://"),
        (b"https://a b/", "a b"),
        (b"ftp://example.org/", "ftp://example.org/"),
        (b"http://[::1", "::1"),
        (b"https://example.org:99999/", "99999/' has a bad port"),
        (b"https://example.org/\x00", "control character"),
        (b"javascript:alert(1)", "is a script and no page"),
        (b'{"url": "https://example.org"', "no JSON object"),
        (b'{"link": "https://example.org"}', "unexpected keyword argument 'link'"),
        (b'{"label": "x"}', "url"),
        (b'{"url": 3}', "3"),
        (b'{"url": "https://example.org", "user_data": "abc"}', "Request.user_data must be a dict, got 'abc'"),
        (b'{"url": "https://example.org", "user_data": [1]}', "Request.user_data must be a dict, got [1]"),
        (b'{"url": ' * 100_000, "is nested too deeply"),
        (b'{"user_data": {"n": ' + b"7" * 5000 + b"}}", "has a number of more than 4300 digits"),
        (b'{"url": "https://example.org", "max_retries": -1}', "-1"),
        (b"https://example.org/\xff", "utf-8"),
    ],
)
def test_a_line_that_is_no_request_is_named(tmp_path, line, value):
    """The error says file, line number and value, and nothing has been started."""
    path = tmp_path / "urls.txt"
    path.write_bytes(b"# first\nhttps://example.org/\n" + line + b"\n")
    with pytest.raises(ConfigurationError) as caught:
        read_requests(str(path))
    assert "urls.txt, line 3: " in str(caught.value)
    assert value in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n# nothing\n"])
def test_a_file_without_urls_is_refused(tmp_path, content):
    """An empty list is most likely a mistake of the program that wrote it."""
    (tmp_path / "urls.txt").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"urls\.txt holds no URL"):
        read_requests(str(tmp_path / "urls.txt"))


def test_a_handler_is_found_by_module_or_by_file(here):
    """In the current folder, in another one, nested in a class, and though a module of that name is loaded."""
    (here / "lists").mkdir()
    (here / "lists" / "json.py").write_text("class Pages:\n    async def one(context): pass\n")
    assert load_handler("shop:scrape").__name__ == "scrape"
    assert load_handler("shop.py:padded", here).__name__ == "padded"
    assert load_handler("lists/json.py:Pages.one").__qualname__ == "Pages.one"
    assert "shop" in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shop", "must be MODULE:HANDLER"),
        (":scrape", "must be MODULE:HANDLER"),
        ("shop:", "must be MODULE:HANDLER"),
        ("shop:scrape()", "must be MODULE:HANDLER"),
        ("shap:scrape", "no module 'shap'"),
        ("shop:scrap", "has no 'scrap'; its async functions are padded, scrape"),
        ("shop:plain", "is not async"),
        ("shop:GATE", "async function"),
        ("sub/none.py:scrape", r"no file .*sub/none\.py"),
        ("bad_import:scrape", r"No module named 'nowhere_at_all' .*bad_import\.py, line 1"),
        ("bad_syntax:scrape", r"SyntaxError: .*bad_syntax\.py, line 2"),
        ("bad_run.py:scrape", r"ZeroDivisionError: division by zero .*bad_run\.py, line 1"),
        ("bad_exit:scrape", "SystemExit: 3"),
        ("bad_cancel:scrape", r"CancelledError: too early .*bad_cancel\.py, line 2"),
        ("bad_bytes:scrape", "importing bad_bytes failed: SyntaxError: source code string cannot contain null bytes$"),
    ],
)
def test_a_handler_that_cannot_be_had_is_explained(here, name, message):
    """One sentence: what is wrong, and where in the user's own file."""
    (here / "bad_import.py").write_text("import nowhere_at_all\n")
    (here / "bad_syntax.py").write_text("x = 1\nasync def scrape(context\n")
    (here / "bad_run.py").write_text("1 / 0\n")
    (here / "bad_exit.py").write_text("import sys\nsys.exit(3)\n")
    (here / "bad_cancel.py").write_text("import asyncio\nraise asyncio.CancelledError('too early')\n")
    (here / "bad_bytes.py").write_bytes(b"x = 1\0\n")
    with pytest.raises(ConfigurationError, match=message):
        load_handler(name)


@pytest.mark.parametrize(
    ("handler", "urls", "job_id"),
    [
        ("shop:scrape", "urls.txt", "shop.scrape-urls"),
        ("shop.pages:scrape", "/lists/july.jsonl", "shop.pages.scrape-july"),
        ("sub/shop.py:Pages.one", "-", "shop.Pages.one-stdin"),
    ],
)
def test_a_job_is_named_after_handler_and_file(handler, urls, job_id):
    """So that the same command is the same job."""
    assert default_job_id(handler, urls) == job_id


def test_job_options_make_a_configuration():
    """What is not given stays as the library has it."""
    config = system_config(
        "here", {"max_retries": 2, "handler_timeout": 7.0, "abort": "literal", "no_encryption": True}
    )
    assert (config.retry.max_attempts, config.request_handler_timeout, config.encrypt) == (3, 7.0, False)
    assert config.abort == named.get("abort", "literal")
    assert config.max_concurrency == system_config("here", {}).max_concurrency
    off = system_config("here", {"abort": "off"}).abort
    assert (off.evidence, off.crashes, off.window) == (None, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_concurrency": 0}, "max_concurrency .* 1 to 1000, got 0"),
        ({"max_retries": -1}, "--max-retries .* 0 to 99, got -1"),
        ({"handler_timeout": float("nan")}, "request_handler_timeout .* got nan"),
        ({"drain_timeout": 0.0}, r"drain_timeout .* got 0\.0"),
    ],
)
def test_a_bad_option_is_named_with_its_range(options, message):
    """Before anything starts."""
    with pytest.raises(ConfigurationError, match=message):
        system_config("here", options)


def test_the_resume_command_can_be_pasted(monkeypatch):
    """Names are quoted for the shell; the storage is named only if it is not the default one."""
    monkeypatch.delenv("SCOREWISE_STORAGE", raising=False)
    assert resume_command("league", "storage") == "scorewise resume league"
    assert resume_command("my job", "/data/a b") == "scorewise resume --storage '/data/a b' 'my job'"
    assert resume_command("-x", "storage") == "scorewise resume -- -x"
    assert parser().parse_args(["resume", "--storage", "s", "--", "-x"]).job == "-x"
    monkeypatch.setenv("SCOREWISE_STORAGE", "/data")
    assert resume_command("league", "/data") == "scorewise resume league"


MEMO = Memo("shop:scrape", "/here", "/here/out.jsonl", "/here/urls.txt", fed=True, options={"drivers": 2})


def test_a_memo_comes_back_as_it_was(tmp_path):
    """It is readable by its owner only, and replaced in one step."""
    MEMO.write(tmp_path)
    MEMO.write(tmp_path)
    assert Memo.read(tmp_path) == MEMO
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_job_of_another_program_has_no_memo(tmp_path):
    """None, not an error."""
    assert Memo.read(tmp_path) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1}', b'{"version": 1, "x": 1}', b"\xff"]
)
def test_a_memo_that_cannot_be_understood_is_named(tmp_path, content):
    """With what to do about it."""
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"run\.json .*scorewise run"):
        Memo.read(tmp_path)


def test_a_memo_that_cannot_be_written_is_a_storage_error(tmp_path):
    """It names the file."""
    with pytest.raises(CheckpointStorageError, match=r"run\.json"):
        MEMO.write(tmp_path / "gone")
