"""A browser that is there and does not start is the machine's fault, and a job that is complete needs no browser."""

import json
import re
import sys

import pytest

from scorewise_actors.errors import ExitCode

RUN = ("run", "shop:scrape", "--urls", "urls.txt")
BROKEN = """#!/bin/sh
[ "$1" = --version ] && echo "Chromium 141.0" && exit 0
echo "error while loading shared libraries: libnss3.so: cannot open shared object file" >&2
exit 127
"""


def broken_browser(workplace):
    """One that tells its version, and ends at once when it is started for real."""
    browser = workplace.folder / "chrome"
    browser.write_text(BROKEN)
    browser.chmod(0o755)
    workplace.env["SCOREWISE_BROWSER"] = str(browser)
    return "libnss3.so: cannot open shared object file"


def wrong_binary(workplace):
    """A program that is no browser."""
    workplace.env["SCOREWISE_BROWSER"] = sys.executable
    return "does not start: "


@pytest.mark.parametrize(
    ("spoil", "before"),
    [
        (broken_browser, ()),
        (wrong_binary, ()),
        (lambda _workplace: "Too many open files|ended at once by SIG", ("sh", "-c", 'ulimit -n 40; exec "$@"', "sh")),
    ],
    ids=["ends at once", "wrong binary", "ulimit"],
)
def test_a_browser_that_does_not_start_is_one_sentence(workplace, spoil, before):
    """Exit code ENVIRONMENT, the reason in the browser's own words, and no chain of causes; nothing is left running.
    A browser that lacks file descriptors says so or is ended by the system, as it happens.
    """
    words = spoil(workplace)
    workplace.pages(3)
    done = workplace.run(*RUN, "--json", before=before)
    assert done.returncode == ExitCode.ENVIRONMENT, done.stderr
    *warnings, said = done.stderr.splitlines()
    assert said.startswith("scorewise: job 'shop.scrape-urls' cannot start: ")
    assert said.endswith("; 'scorewise doctor' looks for the cause")
    assert re.search(words, said)
    assert "caused by" not in done.stderr
    assert len(warnings) <= 1
    assert json.loads(done.stdout.splitlines()[-1])["exit_code"] == ExitCode.ENVIRONMENT
    workplace.leaves_nothing()

    workplace.env.pop("SCOREWISE_BROWSER", None)
    again = workplace.run(*RUN, "--json")
    assert again.returncode == ExitCode.DONE, again.stderr
    assert sorted(workplace.titles()) == ["1", "2", "3"]


def test_a_complete_job_needs_no_browser(workplace):
    """Resumed, or run once more with the same pages; one page more, and a browser is asked for."""
    workplace.pages(2)
    assert workplace.run(*RUN).returncode == ExitCode.DONE
    workplace.env["SCOREWISE_BROWSER"] = "/nowhere/chrome"
    for command in (("resume", "shop.scrape-urls"), RUN):
        done = workplace.run(*command, "--json")
        assert done.returncode == ExitCode.DONE, done.stderr
        report = workplace.report(done)
        assert (report["verdict"], report["done"], report["resumed"]) == ("completed", 2, 2)
    workplace.pages(3)
    done = workplace.run(*RUN)
    assert done.returncode == ExitCode.ENVIRONMENT
    assert "/nowhere/chrome (SCOREWISE_BROWSER): not there" in done.stderr
    (job,) = workplace.report(workplace.run("jobs", "--json"))["jobs"]
    assert (job["done"], job["pending"], job["last_run"]) == (2, 1, "failed")
    del workplace.env["SCOREWISE_BROWSER"]
    assert workplace.run(*RUN).returncode == ExitCode.DONE
    assert sorted(workplace.titles()) == ["1", "2", "3"]
    workplace.leaves_nothing()
