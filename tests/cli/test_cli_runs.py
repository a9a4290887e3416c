"""Whole runs of the command line on real pages."""

import csv
import json
import shutil
import subprocess

import attrs
import pytest
from harness import DEADLINE, wait_until

from scorewise_actors import ledger
from scorewise_actors.checkpoints import CheckpointStore
from scorewise_actors.cli.memo import Memo
from scorewise_actors.cli.urls import read_requests
from scorewise_actors.errors import ExitCode

RUN = ("run", "shop:scrape", "--urls", "urls.txt")


def test_urls_from_stdin_results_as_csv_and_again_as_json(workplace):
    """A complete job is not done again: ``resume`` with another ``--out`` only writes its results anew."""
    urls = "\n".join(f"data:text/html,<title>page%20{number}</title>" for number in range(3))
    done = workplace.run("run", "shop.py:scrape", "--urls", "-", "--out", "r.csv", "--job-id", "a job", stdin=urls)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert "job a job: completed" in done.stdout
    assert f"3 in {workplace.folder / 'r.csv'}" in done.stdout
    rows = list(csv.DictReader((workplace.folder / "r.csv").open()))
    assert sorted(row["title"] for row in rows) == ["page 0", "page 1", "page 2"]
    assert len(list((workplace.folder / "storage").iterdir())) == 1

    again = workplace.run("resume", "a job", "--out", "r.json", "--json", "--quiet")
    assert again.returncode == ExitCode.DONE, again.stderr
    assert again.stderr == ""
    assert workplace.report(again)["resumed"] == 3
    assert len(json.loads((workplace.folder / "r.json").read_text())) == 3
    workplace.leaves_nothing()


def test_a_run_that_died_before_it_had_read_all_urls_is_fed_again(workplace):
    """What the journal does not know yet is taken from the URL file; from stdin it cannot be had again."""
    workplace.pages(3)
    with CheckpointStore(workplace.folder / "storage", None).open("cut") as journal:
        journal.append(ledger.opening({}, 1.0), now_ms=1)
        journal.append([ledger.enqueued(read_requests(str(workplace.folder / "urls.txt"))[:1])], now_ms=2)
        directory = CheckpointStore(workplace.folder / "storage", None).directory("cut")
    out = workplace.folder / "r.jsonl"
    memo = Memo("shop:scrape", str(workplace.folder), str(out), None, options={"no_encryption": True})
    memo.write(directory)
    done = workplace.run("resume", "cut")
    assert done.returncode == ExitCode.USAGE
    assert "interrupted before all of stdin was recorded; run it again with the same input" in done.stderr
    attrs.evolve(memo, urls=str(workplace.folder / "urls.txt")).write(directory)
    assert workplace.run("resume", "cut").returncode == ExitCode.DONE
    assert sorted(workplace.titles("r.jsonl")) == ["1", "2", "3"]
    assert Memo.read(directory).fed


def test_dead_letters_have_an_exit_code_and_a_purge_starts_over(workplace):
    """A page that fails for good is listed; ``--purge`` scrapes all again into the same file."""
    workplace.pages(2)
    with (workplace.folder / "urls.txt").open("a") as file:
        file.write("\nhttp://127.0.0.1:9/\n")
    arguments = (*RUN, "--max-retries", "0", "--log", "full.log")
    for purge, resumed in ((), 0), ((), 3), (("--purge",), 0):
        done = workplace.run(*arguments, *purge, "--json")
        assert done.returncode == ExitCode.DEAD_LETTERS, done.stderr
        report = workplace.report(done)
        assert [letter["url"] for letter in report["dead_letters"]] == ["http://127.0.0.1:9/"]
        assert report["resumed"] == resumed
        assert sorted(workplace.titles()) == ["1", "2"]
    assert "DEBUG" in (workplace.folder / "full.log").read_text()


def test_a_job_that_fails_all_over_is_aborted(workplace):
    """The judge's verdict is the exit code, and the report has its reason."""
    (workplace.folder / "urls.txt").write_text("\n".join(f"http://127.0.0.1:9/{n}" for n in range(40)))
    done = workplace.run(*RUN, "--max-retries", "0", "--abort", "literal")
    assert done.returncode == ExitCode.ABORTED
    assert "job shop.scrape-urls: aborted (window): " in done.stdout
    assert "go on with      scorewise resume shop.scrape-urls" in done.stdout


def test_a_results_file_on_a_full_disk(workplace):
    """The job is finished in the journal, the exit code says storage, and the next run completes the file.

    The disk is a real one of 64 kB, in a mount namespace of the test's own.
    """
    unshare = shutil.which("unshare") or "unshare"
    script = 'mkdir -p small && mount -t tmpfs -o size=64k none small && "$@"; code=$?; cp small/* .; exit $code'
    try:
        subprocess.run([unshare, "--mount", "mount", "-t", "tmpfs", "none", str(workplace.temporary)], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting takes privileges that this user lacks")
    before = [unshare, "--mount", "sh", "-c", script, "sh"]
    workplace.pages(30)
    arguments = ("run", "shop:padded", "--urls", "urls.txt", "--job-id", "padded")
    done = workplace.run(*arguments, "--out", "small/r.jsonl", "--json", before=before)
    assert done.returncode == ExitCode.STORAGE, done.stderr
    report = workplace.report(done)
    assert (report["done"], report["verdict"]) == (30, "completed")
    assert "No space left on device (ENOSPC); nothing is lost" in report["error"]
    assert "Traceback" not in done.stderr
    assert 0 < len(workplace.titles("r.jsonl")) < 30

    again = workplace.run(*arguments, "--out", "r.jsonl", "--json")
    assert again.returncode == ExitCode.DONE, again.stderr
    assert sorted(map(int, workplace.titles("r.jsonl"))) == list(range(1, 31))


def test_progress_goes_on_when_nobody_reads_it(workplace):
    """stdout and stderr are closed pipes; the job is done all the same."""
    workplace.pages(6, seconds=0.2)
    process = subprocess.Popen(
        workplace.command(*RUN), cwd=workplace.folder, env=workplace.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    process.stderr.close()
    assert process.wait(DEADLINE) == ExitCode.DONE
    assert len(workplace.titles()) == 6
    workplace.leaves_nothing()


def test_a_second_process_is_refused_while_the_first_works(workplace):
    """And ``jobs`` shows who has the job."""
    workplace.pages(6, free=2)
    process = workplace.start(*RUN)
    wait_until(lambda: len(workplace.titles()) == 2, "two results")
    second = workplace.run(*RUN)
    assert second.returncode == ExitCode.LOCKED
    assert f"process {process.pid}" in second.stderr
    (job,) = workplace.report(workplace.run("jobs", "--json"))["jobs"]
    assert (job["locked"], job["owner_pid"], job["last_run"], job["done"]) == (True, process.pid, "running", 2)
    (workplace.folder / "gate").touch()
    assert process.wait(DEADLINE) == ExitCode.DONE


def test_a_storage_that_is_deleted_in_mid_run_halts_the_job(workplace):
    """Noticed at the next write and told; the results so far are in their file, and the report is what was known."""
    workplace.pages(8, free=3)
    process = workplace.start(*RUN, "--json")
    wait_until(lambda: len(workplace.titles()) == 3, "three results")
    shutil.rmtree(workplace.folder / "storage")
    (workplace.folder / "gate").touch()
    assert process.wait(DEADLINE) == ExitCode.STORAGE
    report = json.loads((workplace.folder / "out.txt").read_text().splitlines()[-1])
    assert (report["verdict"], report["exit_code"]) == ("storage", ExitCode.STORAGE)
    assert "was deleted or moved away while the job ran" in report["verdict_reason"]
    assert (report["done"], report["pending"], report["recorded_twice"]) == (3, 5, 0)
    assert sorted(workplace.titles()) == ["1", "2", "3"]
    assert "the job's journal is gone" in workplace.errors
    assert "Traceback" not in workplace.errors
    workplace.leaves_nothing()
