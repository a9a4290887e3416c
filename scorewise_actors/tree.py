"""The supervision tree, in one picture and one place.

    system                              one_for_one
    ├─ monitor        MonitorActor      permanent
    ├─ resilience                       one_for_one: behind the managers of the resilience API
    │  ├─ retries     RetryDesk         permanent: policies, budgets, slots of later tries
    │  ├─ aborts      AbortJudges       permanent: judges any job by any policy
    │  ├─ failures    FailureLedger     permanent: what failed, per job
    │  └─ checkpoints-<folder>  SnapshotKeeper  permanent, on first use: the only writer of a folder's snapshots
    └─ job:<id>                         rest_for_one, any significant child ends it; temporary
       ├─ checkpoint  CheckpointActor   permanent
       ├─ frontier    FrontierActor     transient, significant: ends normally when the work is done
       ├─ judge       AbortJudgeActor   transient, significant: ends when the abort policy trips
       └─ drivers                       one_for_one
          └─ driver-n                   rest_for_one
             ├─ driver   DriverActor    permanent: one thread, one event loop, one Playwright driver
             └─ browser-m               rest_for_one
                ├─ browser  BrowserActor   permanent: one Chromium process group
                └─ scrapers                pool
                   └─ scrape-k  ScrapeActor  transient: one page slot, on the driver's loop

Order is meaning: start order is dependency order, stop order its reverse. Scrapers end before browsers, the judge after
them, the frontier after it, and the final checkpoint is written last, with every result in it.
"""

import math

from policies.restart import Intensity, RestartPolicy, RestartType, Strategy
from scorewise_actors.actors.abort_judges import AbortJudges
from scorewise_actors.actors.browser import BrowserActor
from scorewise_actors.actors.checkpoint import CheckpointActor
from scorewise_actors.actors.driver import DriverActor
from scorewise_actors.actors.failure_ledger import FailureLedger
from scorewise_actors.actors.frontier import FrontierActor
from scorewise_actors.actors.judge import AbortJudgeActor
from scorewise_actors.actors.monitor import MonitorActor, system_memory
from scorewise_actors.actors.retry_desk import RetryDesk
from scorewise_actors.actors.scrape import ScrapeActor
from scorewise_actors.board import JobBoard
from scorewise_actors.config import SystemConfig
from scorewise_actors.events import EventHub
from scorewise_actors.plan import BrowserCell, DriverCell, JobPlan
from scorewise_actors.resilience_memory import ResilienceMemory
from scorewise_actors.roles import RESILIENCE
from supervisors.spec import AutoShutdown, ChildKind, ChildSpec, Ladder, SupervisorSpec
from supervisors.supervisor import Supervisor

START_TIMEOUT = 120.0
"""Seconds until a driver or browser that does not come up counts as refused."""


def system_spec(config: SystemConfig, memory: ResilienceMemory, events: EventHub) -> SupervisorSpec:
    """The root; jobs are added to it while it runs."""
    watches = system_memory(config)
    return SupervisorSpec(
        (
            ChildSpec("monitor", lambda: MonitorActor(events, watches, config.storage_path)),
            _supervisor(RESILIENCE, resilience_spec(memory, events)),
        )
    )


def resilience_spec(memory: ResilienceMemory, events: EventHub) -> SupervisorSpec:
    """What is behind the managers: a branch of a system's tree, or a tree of its own for managers without a system.

    One for one: what the actors know stands in ``memory``, so none depends on another's life.
    """
    return SupervisorSpec(
        (
            ChildSpec("retries", lambda: RetryDesk(events, memory.retry)),
            ChildSpec("aborts", lambda: AbortJudges(events, memory.aborts)),
            ChildSpec("failures", lambda: FailureLedger(events, memory.failures)),
        )
    )


def job_spec(plan: JobPlan, board: JobBoard, *, idle: bool = False) -> ChildSpec:
    """One job. ``idle``: without its drivers, which are added as ``drivers_spec`` once there is something to do.

    Temporary: a job that gave up has used up the restarts of every level below it, and restarting it from here would
    count against the other jobs. Its journal is kept, and the same command resumes it.
    """
    config = plan.config
    drain = Ladder(stop=config.drain_timeout)
    children: tuple[ChildSpec, ...] = (
        ChildSpec("checkpoint", lambda: CheckpointActor(plan, board), ladder=drain),
        ChildSpec(
            "frontier",
            lambda: FrontierActor(plan, board),
            restart=RestartType.TRANSIENT,
            significant=True,
            ladder=drain,
        ),
        ChildSpec("judge", lambda: AbortJudgeActor(plan, board), restart=RestartType.TRANSIENT, significant=True),
    )
    if not idle:
        children = (*children, drivers_spec(plan))
    spec = SupervisorSpec(children, strategy=Strategy.REST_FOR_ONE, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    return _supervisor(plan.name, spec, RestartType.TEMPORARY)


def drivers_spec(plan: JobPlan) -> ChildSpec:
    """The drivers of a job, with their browsers and scrapers: the last child of its supervisor."""
    drivers = tuple(
        _supervisor(f"driver-{number}", _driver(plan, number, slots))
        for number, slots in enumerate(plan.config.slots(), start=1)
    )
    return _supervisor("drivers", SupervisorSpec(drivers, restarts=_restarts(len(drivers))))


def _driver(plan: JobPlan, number: int, slots: tuple[int, ...]) -> SupervisorSpec:
    cell = DriverCell()
    browsers = tuple(
        _supervisor(f"browser-{m}", _browser(plan, BrowserCell(cell), count)) for m, count in enumerate(slots, start=1)
    )
    driver = ChildSpec(
        "driver",
        lambda: DriverActor(plan, cell, f"{plan.name} driver-{number}"),
        start_timeout=START_TIMEOUT,
    )
    return SupervisorSpec((driver, *browsers), strategy=Strategy.REST_FOR_ONE)


def _browser(plan: JobPlan, cell: BrowserCell, slots: int) -> SupervisorSpec:
    patience = Ladder(stop=plan.config.drain_timeout)
    scrapers = tuple(
        ChildSpec(
            f"scrape-{k}",
            lambda: ScrapeActor(plan, cell),
            restart=RestartType.TRANSIENT,
            ladder=patience,
            start_timeout=START_TIMEOUT,
        )
        for k in range(1, slots + 1)
    )
    browser = ChildSpec("browser", lambda: BrowserActor(plan, cell), start_timeout=START_TIMEOUT)
    pool = SupervisorSpec(scrapers, pool=True, restarts=_restarts(slots))
    return SupervisorSpec((browser, _supervisor("scrapers", pool)), strategy=Strategy.REST_FOR_ONE)


def _supervisor(name: str, spec: SupervisorSpec, restart: RestartType = RestartType.PERMANENT) -> ChildSpec:
    return ChildSpec(name, lambda: Supervisor(spec), restart=restart, kind=ChildKind.SUPERVISOR, start_timeout=math.inf)


def _restarts(children: int) -> RestartPolicy:
    return RestartPolicy(Intensity.for_children(children))
