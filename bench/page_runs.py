"""The contenders of the ``pages`` bench. Each run is a process of its own, ``python -m bench.page_runs``: it reads a
``PageRun`` from stdin, works through the URLs in the same way as the others do, and prints its ``Steady``, as JSON.

All have the same browser binary, switches, viewport and page handler, one browser, and as many pages at a time.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from bench.meter import Meter, Steady
from bench.spec import CannotMeasureError

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

    from scorewise_actors import ScrapeContext

    Worker = Callable[[BrowserContext, Iterator[str]], Coroutine[Any, Any, None]]

_READ = """async () => {
  const body = document.body;
  if (!("ready" in body.dataset)) {
    await new Promise((resolve) => new MutationObserver(resolve).observe(body, { attributes: true }));
  }
  const text = (selector) => document.querySelector(selector).textContent;
  return {
    id: Number(body.dataset.match),
    home: text(".board .home"),
    away: text(".board .away"),
    score: text(".home-goals") + ":" + text(".away-goals"),
    events: [...document.querySelectorAll("#events tr")].map((row) => row.textContent),
  };
}"""

_START_SECONDS = 120.0
_ITEM_SECONDS = 5.0


@attrs.frozen(kw_only=True)
class PageRun:
    """What a contender is given."""

    contender: str
    """A key of ``CONTENDERS``."""
    urls: list[str]
    warm_up: int
    """So many of the URLs come before the steady stretch."""
    concurrency: int
    executable: str
    switches: list[str]
    sandbox: bool
    context: dict[str, Any]
    """Keyword arguments for Playwright's ``Browser.new_context``."""


def measure(run: PageRun) -> Steady:
    """Run a contender in a process of its own; blocks. Raises CannotMeasureError with its last words when it
    fails.
    """
    try:
        told = subprocess.run(
            [sys.executable, "-m", "bench.page_runs"],
            input=json.dumps(attrs.asdict(run)),
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
            timeout=_START_SECONDS + _ITEM_SECONDS * len(run.urls),
        )
    except subprocess.CalledProcessError as error:
        raise CannotMeasureError(f"{run.contender} failed:\n{error.stderr.strip()[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise CannotMeasureError(f"{run.contender} was not done after {error.timeout:.0f} s") from error
    return Steady(**json.loads(told.stdout))


async def read(page: "Page", url: str) -> dict[str, Any]:
    """The page handler: one navigation, one evaluate."""
    response = await page.goto(url)
    if response is None or response.status != 200:
        raise RuntimeError(f"{url} did not answer well: {response}")
    found: dict[str, Any] = await page.evaluate(_READ)
    return found


async def bare_reuse(run: PageRun, meter: Meter) -> None:
    """Bare Playwright: some workers on one event loop, each with one page for ever. Nothing is guarded, reset, kept."""

    async def worker(context: "BrowserContext", urls: Iterator[str]) -> None:
        page = await context.new_page()
        for url in urls:
            await read(page, url)
            meter.tick()

    await _bare(run, worker, shared_context=False)


async def bare_new_page(run: PageRun, meter: Meter) -> None:
    """The naive script: bare Playwright, one context, a new page for each URL."""

    async def worker(context: "BrowserContext", urls: Iterator[str]) -> None:
        for url in urls:
            page = await context.new_page()
            await read(page, url)
            await page.close()
            meter.tick()

    await _bare(run, worker, shared_context=True)


async def tree_none(run: PageRun, meter: Meter) -> None:
    """The supervision tree with ``isolation="none"``: pages reused as they are, like in the bare loop."""
    await _tree(run, meter, "none")


async def tree_reset(run: PageRun, meter: Meter) -> None:
    """The supervision tree as it comes: pages reused, storage and history wiped after each item."""
    await _tree(run, meter, "reset")


CONTENDERS: Mapping[str, Callable[[PageRun, Meter], Coroutine[Any, Any, None]]] = {
    run.__name__: run for run in (bare_reuse, tree_none, tree_reset, bare_new_page)
}
"""In the order of a round."""


async def _bare(
    run: PageRun,
    worker: "Callable[[BrowserContext, Iterator[str]], Coroutine[Any, Any, None]]",
    *,
    shared_context: bool,
) -> None:
    from playwright.async_api import async_playwright

    urls = iter(run.urls)  # the workers share it
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:  # a browser may leave something in it
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=run.executable,
                args=run.switches,
                chromium_sandbox=run.sandbox,
                env={**os.environ, "TMPDIR": temporary},
            )
            wanted = 1 if shared_context else run.concurrency
            contexts = [await browser.new_context(**run.context) for _ in range(wanted)]
            await asyncio.gather(*(worker(contexts[n % wanted], urls) for n in range(run.concurrency)))
            await browser.close()


async def _tree(run: PageRun, meter: Meter, isolation: Any) -> None:
    """Everything as in earnest: the journal is written and synced to disk, compressed and encrypted."""
    from scorewise_actors import ActorSystem, BrowserOptions

    async def handler(context: "ScrapeContext") -> dict[str, Any]:
        record = await read(context.page, context.request.url)
        meter.tick()
        return record

    options = BrowserOptions(executable=run.executable, isolation=isolation)
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as storage:
        async with ActorSystem(
            storage_path=storage,
            key=secrets.token_bytes(32),
            browser=options,
            max_concurrency=run.concurrency,
            browsers_per_driver=1,
        ) as system:
            report = await system.run("pages", run.urls, handler)
    if report.done != len(run.urls) or report.retries or report.restarts:
        raise RuntimeError(f"a healthy site was not scraped without incident: {report}")


def main() -> None:
    """Run the contender that stdin describes."""
    run = PageRun(**json.load(sys.stdin))
    meter = Meter(run.warm_up, len(run.urls) - run.warm_up)
    asyncio.run(CONTENDERS[run.contender](run, meter))
    sys.stdout.write(json.dumps(attrs.asdict(meter.steady())) + "\n")


if __name__ == "__main__":
    main()
