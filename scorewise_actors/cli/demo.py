"""``scorewise demo``: scrape a made-up league, kill real browsers in mid-run, and check every record that came back."""

import contextlib
import json
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from policies import Backoff, RetryPolicy, named
from scorewise_actors.actors.browser import BrowserActor
from scorewise_actors.actors.driver import DriverActor
from scorewise_actors.browser.processes import ProcessIdentity
from scorewise_actors.checkpoints import Key
from scorewise_actors.cli.arguments import add_output_options
from scorewise_actors.cli.report import put, report_json, report_text
from scorewise_actors.cli.run import watch
from scorewise_actors.cli.session import Session
from scorewise_actors.config import SystemConfig
from scorewise_actors.demo.league import DEFAULT_FAULTS, Fault, League, parse_faults
from scorewise_actors.demo.scraper import index_request, scrape
from scorewise_actors.demo.site import SiteProcess
from scorewise_actors.errors import ConfigurationError, ExitCode
from scorewise_actors.export import ResultsFileError, open_results, results_kind
from scorewise_actors.handle import JobHandle
from scorewise_actors.job import JobReport
from scorewise_actors.system import ActorSystem

_JOB = "demo"
_OUT = "demo-results.jsonl"
_KINDS = ("browser", "driver")
_NO_KILLS = "none"
# waits of seconds would only make the demo long: its site recovers at once
_RETRY = RetryPolicy(4, Backoff(base_delay=0.2, max_delay=1.0))

_DESCRIPTION = f"""
Serve a made-up football league on loopback, with slow, flaky, rate-limited and broken pages; scrape it with Chromium;
kill browsers or drivers in mid-run; then compare every record with the truth. Exit code 0 means: the ledger balances,
every record is right and there once, and the dead letters are exactly the pages that were broken on purpose.
The results are in {_OUT} (replaced each time) unless --out says otherwise.
"""


@attrs.frozen
class Kill:
    """A process that was killed on purpose."""

    kind: str
    pid: int
    finished: int
    """Items that had an outcome by then."""


class Killer:
    """Kills a browser or driver of the running tree each time another share of the items is finished."""

    def __init__(self, kinds: tuple[str, ...], items: int, system: ActorSystem) -> None:
        steps = max(3, len(kinds) + 1)
        self._due = [(items * n // steps, kind) for n, kind in enumerate(kinds, start=1)]
        self._system = system
        self.kills: list[Kill] = []

    def tick(self, handle: JobHandle) -> None:
        """Kill what is due; if no such process lives just now, the next tick tries again."""
        finished = handle.progress().finished
        if self._due and finished >= self._due[0][0]:
            kind = self._due[0][1]
            victim = next(_processes(self._system, kind), None)
            if victim is not None and victim.kill():
                self.kills.append(Kill(kind, victim.pid, finished))
                del self._due[0]


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser("demo", help="see it survive, on a site of its own", description=_DESCRIPTION)
    parser.add_argument("--items", type=int, default=200, metavar="N", help="match pages (default 200)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="seed of the league (default 7)")
    parser.add_argument(
        "--kill",
        default="browser",
        metavar="KINDS",
        help="what to kill in mid-run, in order: browser, driver, separated by commas, or none (default browser)",
    )
    parser.add_argument(
        "--faults",
        metavar="SHARE",
        help="share of faulty pages, 0 to 1 (default 0.12), or by kind, for example slow=0.1,broken_404=0.02",
    )
    parser.add_argument(
        "--max-concurrency", type=int, default=4, metavar="N", help="pages at the same time (default 4)"
    )
    parser.add_argument("--storage", metavar="DIR", help="keep the journal there (default: a temporary folder)")
    parser.add_argument("--out", default=_OUT, metavar="FILE", help=f"results, .jsonl, replaced (default {_OUT})")
    add_output_options(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: Namespace) -> ExitCode:
    """Run the demo, print its report, and answer 0 only if all is as it must be."""
    kinds = _kinds(arguments.kill)
    try:
        league = League(arguments.seed, matches=arguments.items, faults=_faults(arguments.faults))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    out = Path(arguments.out).absolute()
    if results_kind(out) != ".jsonl":
        raise ConfigurationError(f"--out {out} must end in .jsonl for the demo, which reads it back")
    pages = 1 + len(league.rounds) + league.size
    with (
        _storage(arguments.storage) as storage,
        SiteProcess(league) as site,
        contextlib.closing(open_results(out, replace=True)) as results,
    ):
        system = ActorSystem(
            SystemConfig(
                storage_path=storage,
                # what will be gone with its folder needs no key file in the user's home
                key=None if arguments.storage is not None else Key.generate().secret,
                max_concurrency=arguments.max_concurrency,
                retry=_RETRY,
                abort=named.get("abort", "development"),
            )
        )
        killer = Killer(kinds, pages, system)
        session = Session(
            job_id=_JOB,
            handler=scrape,
            requests=[index_request(site.url)],
            results=results,
            resume="scorewise demo (it starts over)",
            purge=True,
            on_tick=killer.tick,
        )
        ended = watch(system, session, arguments)
        if ended.export_error is not None:
            raise ended.export_error
        problems = verify(league, site.url, out, ended.report)
    # a temporary journal is gone by now
    report = ended.report if arguments.storage is not None else attrs.evolve(ended.report, storage="")
    return _tell(report, problems, killer.kills, out, arguments)


def verify(league: League, site_url: str, out: Path, report: JobReport) -> list[str]:
    """Compare the results file and the dead letters with the league: one sentence for each thing that is wrong."""
    try:
        found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise ResultsFileError(out, error.errno or 0) from error
    truth = league.records()
    times = Counter(record["id"] for record in found)
    broken = {f"{site_url}/matches/{match}" for match in league.broken}
    dead = {letter.url for letter in report.dead_letters}
    checks: Mapping[str, list[Any]] = {
        "matches are missing": sorted(truth.keys() - times.keys()),
        "matches are there more than once": sorted(match for match, count in times.items() if count > 1),
        "records are wrong": sorted(record["id"] for record in found if truth.get(record["id"]) != record),
        "dead letters are pages that are not broken": sorted(dead - broken),
        "broken pages are no dead letters": sorted(broken - dead),
    }
    problems = [f"{len(wrong)} {what}: {', '.join(map(str, wrong[:10]))}" for what, wrong in checks.items() if wrong]
    expected = 1 + len(league.rounds) + league.size
    if report.enqueued != expected:
        problems.append(f"{report.enqueued} items were enqueued, there are {expected}")
    if not report.balanced or report.pending:
        problems.append(f"the ledger does not balance: {report.pending} pending, {report.lost} lost")
    return problems


def _tell(report: JobReport, problems: list[str], kills: list[Kill], out: Path, arguments: Namespace) -> ExitCode:
    """An interrupted or aborted demo is told as such: what is missing then is no bug."""
    complete = report.verdict.outcome == "completed"
    code = (ExitCode.ERROR if problems else ExitCode.DONE) if complete else report.exit_code
    if arguments.json:
        killed = [attrs.asdict(kill) for kill in kills]
        put(report_json(report, code, out=str(out), kills=killed, problems=problems))
        return code
    put(report_text(report, str(out)))
    for kill in kills:
        put(f"killed on purpose: {kill.kind}, process {kill.pid}, when {kill.finished} items were finished")
    if complete:
        for problem in problems:
            put(f"WRONG: {problem}")
        if not problems:
            put("checked: every record is right and there once; the dead letters are exactly the broken pages")
    return code


def _processes(system: ActorSystem, kind: str) -> Iterator[ProcessIdentity]:
    for ref in system.runtime.refs() if system.runtime is not None else ():
        actor = ref.actor
        if kind == "browser" and isinstance(actor, BrowserActor) and actor._cell.browser is not None:
            yield actor._cell.browser.identity
        elif kind == "driver" and isinstance(actor, DriverActor) and actor._driver is not None:
            yield actor._driver.identity


@contextlib.contextmanager
def _storage(given: str | None) -> Iterator[Path]:
    if given is not None:
        yield Path(given)
        return
    with tempfile.TemporaryDirectory(prefix="scorewise-demo-") as folder:
        yield Path(folder)


def _kinds(text: str) -> tuple[str, ...]:
    if text == _NO_KILLS:
        return ()
    kinds = tuple(text.split(","))
    for kind in kinds:
        if kind not in _KINDS:
            raise ConfigurationError(f"--kill {text!r}: {kind!r} is none of {', '.join(_KINDS)}; or give none")
    return kinds


def _faults(text: str | None) -> Mapping[Fault, float]:
    if text is None:
        return DEFAULT_FAULTS
    try:
        share = float(text)
    except ValueError:
        return parse_faults(text)
    if not 0 <= share <= 1:
        raise ConfigurationError(f"--faults must be a share from 0 to 1, got {text}")
    whole = sum(DEFAULT_FAULTS.values())
    return {fault: part * share / whole for fault, part in DEFAULT_FAULTS.items()}
