"""ActorSystem: builds the tree, runs jobs in it, and reports how they ended."""

import asyncio
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Self

import attrs
from loguru import logger

from scorewise_actors import ledger
from scorewise_actors.actors.browser import BrowserActor
from scorewise_actors.actors.driver import DriverActor
from scorewise_actors.actors.scrape import cancel_pages
from scorewise_actors.board import JobBoard
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.browser.homes import await_burials, sweep_homes
from scorewise_actors.checkpoints import CheckpointStore, load_keys
from scorewise_actors.config import SystemConfig
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.handle import JobHandle
from scorewise_actors.handlers import check_handler
from scorewise_actors.job import Handler, JobReport, Request, check_job_id, check_requests
from scorewise_actors.messages.resilience import JobBegan
from scorewise_actors.plan import JobPlan
from scorewise_actors.resilience.abort import AbortManager
from scorewise_actors.resilience.checkpoint import CheckpointManager
from scorewise_actors.resilience.configuration import CheckpointConfiguration, ResilienceConfiguration
from scorewise_actors.resilience.connection import SystemTree
from scorewise_actors.resilience.failure import FailureHandler
from scorewise_actors.resilience.resource import ResourceMonitor
from scorewise_actors.resilience.retry import RetryManager
from scorewise_actors.roles import ROOT
from scorewise_actors.tree import system_spec
from supervisors.runtime import Runtime
from supervisors.supervisor import Supervisor

_CANCEL_AGAIN = 0.25
_BURIALS = 10.0
"""Seconds that the files of drivers which had to be killed are waited for to be removed."""
_OF_THE_SYSTEM = frozenset(("storage_path", "key", "encrypt", "thresholds", "monitor_interval"))
"""Settings that all jobs of a system share."""
_BATCH = 500
"""Requests that are recorded together when a job is given many."""
_LONGEST_GATHERING = 1.0
"""Seconds after which fewer are recorded, so that a slow source of requests does not keep the browsers waiting."""

Requests = Iterable[Request | str] | AsyncIterable[Request | str]


class ActorSystem:
    """A supervision tree for scraping jobs.

    Use it as an async context manager in a program with an event loop, or as a plain one in threads::

        async with ActorSystem() as system:
            report = await system.run("shop-2026-11", urls, handler)

    Handlers run on the event loop of a Playwright driver, in a thread of the system's own: they must not touch objects
    that belong to your loop. The methods below may be called from any thread; those that are coroutines never block
    the loop they are awaited on.
    """

    def __init__(
        self, config: SystemConfig | None = None, *, resilience: ResilienceConfiguration | None = None, **settings: Any
    ) -> None:
        """``settings`` are fields of ``SystemConfig``; ``resilience`` configures the managers. Raises
        ``ConfigurationError`` for a bad one, the errors of ``checkpoints`` for storage that cannot be used or a missing
        key.
        """
        if config is not None and not isinstance(config, SystemConfig):
            raise ConfigurationError(f"config must be a SystemConfig, got {config!r}")
        if not isinstance(resilience, ResilienceConfiguration | None):
            raise ConfigurationError(
                f"resilience must be a ResilienceConfiguration or None, got a {type(resilience).__name__}"
            )
        try:
            self.config = attrs.evolve(config, **settings) if config is not None else SystemConfig(**settings)
        except TypeError as error:
            names = ", ".join(field.name for field in attrs.fields(SystemConfig))
            raise ConfigurationError(f"{error}; the settings are {names}") from None
        keys = load_keys(self.config.key, self.config.storage_path) if self.config.encrypt else None
        self.store = CheckpointStore(self.config.storage_path, keys)
        self.runtime: Runtime | None = None
        self.resilience = SystemTree(lambda: self.runtime, self._abort_job)
        """The branch of the tree behind ``retries``, ``aborts``, ``failures`` and the other managers."""
        settled = resilience if resilience is not None else self._usual_resilience()
        self.checkpoints = CheckpointManager(settled.checkpoint, connection=self.resilience, key=self.config.key)
        """Keeps snapshots of your own states; see ``CheckpointManager``."""
        self.resources = ResourceMonitor(settled.resource, connection=self.resilience)
        """Watches memory, processors and disk; see ``ResourceMonitor``."""
        self.retries = RetryManager(settled.retry, connection=self.resilience)
        """Tries operations again; see ``RetryManager``."""
        self.aborts = AbortManager(settled.abort, connection=self.resilience)
        """Judges this system's jobs, and others that are reported to it."""
        self.failures = FailureHandler(connection=self.resilience)
        """Decides about failures and keeps them on record."""
        self._jobs: dict[str, JobHandle] = {}

    def _usual_resilience(self) -> ResilienceConfiguration:
        return ResilienceConfiguration(
            checkpoint=CheckpointConfiguration(
                storage_path=self.config.storage_path, encryption_enabled=self.config.encrypt
            )
        )

    # ------------------------------------------------------------------------------------------------ life cycle

    def start(self) -> Self:
        """Start the tree; blocks for a moment."""
        if self.runtime is None:
            sweep_homes()
            runtime = Runtime(ROOT)
            runtime.start(Supervisor(system_spec(self.config, self.resilience.memory, self.resilience.events)))
            self.runtime = runtime
        return self

    def stop(self, timeout: float = 120.0) -> None:
        """Stop all jobs in order (each page in hand may finish, every outcome is recorded), then the tree."""
        runtime, self.runtime = self.runtime, None
        if runtime is not None:
            self._interrupt_jobs("the system was stopped")
            if not runtime.stop(timeout):
                logger.error("the tree did not end within {} s: {}", timeout, runtime.zombies())
            await_burials(_BURIALS)

    def kill(self, timeout: float = 5.0) -> bool:
        """End now: kill drivers and browsers, cancel handlers, close the journals. What was acknowledged is recorded.

        Blocks for at most about ``timeout`` seconds. False if something did not end by then.
        """
        runtime, self.runtime = self.runtime, None
        if runtime is None:
            return True
        self._interrupt_jobs("the system was killed")
        for ref in runtime.refs():
            if isinstance(ref.actor, DriverActor | BrowserActor):
                ref.actor.release_aside()
        stopping = threading.Thread(target=runtime.stop, args=(timeout,), name="kill", daemon=True)
        stopping.start()
        until = time.monotonic() + timeout
        while stopping.is_alive() and time.monotonic() < until:
            cancel_pages(runtime, runtime.name, "killed")  # again and again: a scraper may have been restarted since
            stopping.join(_CANCEL_AGAIN)
        await_burials(max(_CANCEL_AGAIN, until - time.monotonic()))
        return runtime.ended.done()

    def _interrupt_jobs(self, reason: str) -> None:
        for job in tuple(self._jobs.values()):
            job.system_stops(reason)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_exc_info: object) -> None:
        await asyncio.to_thread(self.stop)

    # ------------------------------------------------------------------------------------------------------ jobs

    def open_job(self, job_id: str, handler: Handler, *, purge: bool = False, **settings: Any) -> "JobHandle":
        """Start a job's tree, resuming it if the storage knows ``job_id``; blocks until browsers are up. For a job that
        is complete none is started, or needed, unless ``add`` brings new items.

        Feed it with ``add`` and ``close_input``. ``purge`` forgets what earlier runs did. ``settings`` replace fields
        of the system's configuration for this job. Raises ``ConfigurationError``, ``BrowserNotFound``,
        ``CheckpointLocked`` if another process has the job, other errors of ``checkpoints``, ``JobFailedError``.
        """
        check_job_id(job_id)
        check_handler(handler)
        if self.runtime is None:
            raise ConfigurationError("the system is not running; use it in a with statement or call start()")
        if job_id in self._jobs and not self._jobs[job_id].ended:
            raise ConfigurationError(f"job {job_id!r} is running in this system already")
        config = self._for_job(settings)
        if purge or not self.store.exists(job_id):
            find_executable(config.browser.executable)
        if purge:
            self.store.purge(job_id)
        board = JobBoard()
        board.first_journal = journal = self.store.open(job_id)
        try:
            idle = _is_complete(journal.state)
            if not idle:
                find_executable(config.browser.executable)
            plan = JobPlan(job_id, handler, config, self.store)
            handle = JobHandle(self.runtime, plan, board)
        except BaseException:
            journal.close()
            raise
        self.resilience.tell("aborts", JobBegan(job_id, config.abort))
        handle.launch(idle=idle)
        self._jobs = {name: job for name, job in self._jobs.items() if not job.ended} | {job_id: handle}
        return handle

    def _abort_job(self, job_id: str, reason: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None and not job.ended:
            job.abort(reason)

    def _for_job(self, settings: dict[str, Any]) -> SystemConfig:
        fields = {field.name for field in attrs.fields(SystemConfig)} - _OF_THE_SYSTEM
        for name in settings:
            if name not in fields:
                raise ConfigurationError(
                    f"{name!r} cannot be set for one job; settings are {', '.join(sorted(fields))}"
                )
        return attrs.evolve(self.config, **settings)

    async def submit(
        self, job_id: str, requests: Requests, handler: Handler, *, purge: bool = False, **settings: Any
    ) -> "JobHandle":
        """Start a job and hand it its requests; returns as soon as they are recorded. See ``open_job``.

        Requests that are no async iterable are read in another thread, so that a slow generator does not block the
        loop: one that uses what belongs to a thread (an ``sqlite3`` connection) must be given as a list.
        """
        check_requests(requests)
        opening = asyncio.ensure_future(asyncio.to_thread(self.open_job, job_id, handler, purge=purge, **settings))
        try:
            handle = await asyncio.shield(opening)
        except asyncio.CancelledError:  # the thread goes on: what it opens must not be left behind
            await asyncio.to_thread((await opening).stop)
            raise
        try:
            async for batch in _batches_async(requests):
                await asyncio.to_thread(handle.add, batch)
        except BaseException:
            await asyncio.to_thread(handle.stop)
            raise
        handle.close_input()
        return handle

    async def run(
        self, job_id: str, requests: Requests, handler: Handler, *, purge: bool = False, **settings: Any
    ) -> JobReport:
        """Run a job to its end. Cancelling it drains the job first."""
        handle = await self.submit(job_id, requests, handler, purge=purge, **settings)
        try:
            return await handle.report()
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(handle.stop))
            raise

    def run_blocking(
        self, job_id: str, requests: Iterable[Request | str], handler: Handler, *, purge: bool = False, **settings: Any
    ) -> JobReport:
        """``run`` for programs without an event loop."""
        check_requests(requests)
        handle = self.open_job(job_id, handler, purge=purge, **settings)
        try:
            for batch in _batches(requests):
                handle.add(batch)
        except BaseException:
            handle.stop()
            raise
        handle.close_input()
        return handle.wait()


def _is_complete(state: Mapping[str, Any]) -> bool:
    """There are items, and each has its outcome."""
    counted = ledger.audit(state)
    return counted.enqueued > 0 and not counted.pending


def _batches(requests: Iterable[Request | str]) -> Iterator[list[Request | str]]:
    left = iter(requests)
    while batch := _batch(left):
        yield batch


async def _batches_async(requests: Requests) -> AsyncIterator[list[Request | str]]:
    if not isinstance(requests, AsyncIterable):
        left = iter(requests)
        while batch := await asyncio.to_thread(_batch, left):
            yield batch
        return
    gathered: list[Request | str] = []
    async for request in requests:
        gathered.append(request)
        if len(gathered) == _BATCH:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def _batch(left: Iterator[Request | str]) -> list[Request | str]:
    """The next requests, fewer than a batch if the iterator is slow: what is there is not kept waiting."""
    until = time.monotonic() + _LONGEST_GATHERING
    batch = []
    for request in left:
        batch.append(request)
        if len(batch) == _BATCH or time.monotonic() >= until:
            break
    return batch
