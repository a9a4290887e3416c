"""A resilient scraper, end to end: real Chromium, real files, the demo site; interrupted, resumed, aborted."""

from datetime import datetime

import pytest
from playwright.async_api import async_playwright

from scorewise_actors import HttpStatusError
from scorewise_actors.browser.executables import find_executable
from scorewise_actors.demo.league import League
from scorewise_actors.demo.site import LeagueSite
from scorewise_actors.resilience import (
    AbortConfiguration,
    AbortManager,
    CheckpointConfiguration,
    CheckpointManager,
    FailureHandler,
    MaxRetriesExceededError,
    PermanentFailureError,
    ResilienceConfiguration,
    ResourceConfiguration,
    ResourceMonitor,
    RetryConfiguration,
    RetryManager,
)


@pytest.fixture
async def browser():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_executable().path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
def config(tmp_path):
    return ResilienceConfiguration(
        checkpoint=CheckpointConfiguration(storage_path=tmp_path / "states"),
        retry=RetryConfiguration(max_concurrent_retries=5),
        resource=ResourceConfiguration(monitoring_interval=1),
        abort=AbortConfiguration(min_operations_before_eval=10),
    )


class ResilientScraper:
    """A program of a user's own, built on the five managers."""

    def __init__(self, config, browser):
        self.checkpoints = CheckpointManager(config.checkpoint)
        self.retries = RetryManager(config.retry)
        self.resources = ResourceMonitor(config.resource)
        self.aborts = AbortManager(config.abort)
        self.failures = FailureHandler()
        self.browser = browser
        self.visited = []
        self.aborted = None

    async def close(self):
        for manager in (self.checkpoints, self.retries, self.resources, self.aborts, self.failures):
            await manager.close()

    async def scrape(self, url):
        async def operation():
            page = await self.browser.new_page()
            try:
                self.visited.append(url)
                HttpStatusError.check(await page.goto(url))
                return {"url": url, "title": await page.title()}
            finally:
                await page.close()

        return await self.retries.execute_with_retry(operation=operation, retry_policy_id=self.policy)

    async def run(self, job_id, urls, *, stop_after=None):
        self.policy = await self.retries.create_retry_policy(
            {"name": "quick", "max_attempts": 2, "base_delay": 0.1, "max_delay": 0.2}
        )
        judge = await self.aborts.create_abort_policy({"name": "judge", "window_size": 10, "min_operations": 10})
        session = await self.resources.start_monitoring("production", callback=print)
        newest = await self.checkpoints.list_checkpoints(job_id, limit=1)
        state = {"items": urls, "completed_count": 0, "failed_count": 0, "results": [], "began": datetime.now()}  # noqa: DTZ005
        if newest:
            state = await self.checkpoints.load_checkpoint(newest[0]["id"])
        try:
            for number, url in enumerate(urls[state["completed_count"] + state["failed_count"] :]):
                if number == stop_after:
                    raise KeyboardInterrupt
                evaluation = await self.aborts.evaluate_abort_conditions(job_id, judge)
                if evaluation["should_abort"]:
                    self.aborted = evaluation["reason"]
                    await self.aborts.execute_abort_actions(job_id, evaluation["reason"])
                    break
                try:
                    state["results"].append(await self.scrape(url))
                    state["completed_count"] += 1
                    await self.aborts.record_success(job_id)
                except (MaxRetriesExceededError, PermanentFailureError) as error:
                    state["failed_count"] += 1
                    await self.aborts.record_failure(job_id, {"error": error.__cause__, "context": {"url": url}})
                    await self.failures.handle_failure(error, {"url": url})
                await self.checkpoints.create_checkpoint(job_id, state, {"completed_items": state["completed_count"]})
        finally:
            assert await self.resources.stop_monitoring(session) is True
        return state


async def test_an_interrupted_job_goes_on_where_it_was(config, browser, healthy_site):
    """Ten pages, interrupted after four: the second run does the other six, none twice, and has all results."""
    urls = [f"{healthy_site.url}/matches/{number}" for number in range(1, 11)]
    first = ResilientScraper(config, browser)
    with pytest.raises(KeyboardInterrupt):
        await first.run("league", urls, stop_after=4)
    await first.close()
    second = ResilientScraper(config, browser)
    state = await second.run("league", urls)
    await second.close()
    assert first.visited + second.visited == urls
    assert (state["completed_count"], state["failed_count"]) == (10, 0)
    assert [result["url"] for result in state["results"]] == urls
    assert all("Scorewise League" in result["title"] for result in state["results"])


async def test_pages_that_are_gone_cost_one_try_and_are_analysed(config, browser, healthy_site):
    """A 404 is permanent and not tried again; the others succeed."""
    urls = [f"{healthy_site.url}/matches/1", f"{healthy_site.url}/nowhere", f"{healthy_site.url}/matches/2"]
    scraper = ResilientScraper(config, browser)
    state = await scraper.run("gone", urls)
    analysis = await scraper.aborts.get_failure_analysis("gone")
    await scraper.close()
    assert (state["completed_count"], state["failed_count"]) == (2, 1)
    assert scraper.visited == urls
    assert analysis["by_error_type"] == {"HttpStatusError": 1}
    assert analysis["by_host"] == {"127.0.0.1": 1}
    assert analysis["successes"] == 2


async def test_a_site_that_is_gone_is_given_up(config, browser):
    """Connections are refused: each page is tried twice, and after ten the job is aborted with the reason."""
    with LeagueSite(League(seed=3, matches=60, faults={})) as site:
        urls = [f"{site.url}/matches/{number}" for number in range(1, 31)]
    scraper = ResilientScraper(config, browser)
    state = await scraper.run("down", urls)
    analysis = await scraper.aborts.get_failure_analysis("down")
    await scraper.close()
    assert state["failed_count"] == 10
    assert len(scraper.visited) == 20
    assert scraper.aborted == "10 of the last 10 operations failed, more than 50% of them."
    assert analysis["by_category"] == {"network": 10}
    assert analysis["signatures"][0]["count"] == 10
    assert "net::ERR_CONNECTION_REFUSED" in analysis["signatures"][0]["signature"]
    assert analysis["exit_code"] == 4


async def test_a_browser_that_dies_is_started_again_by_the_retry(config, healthy_site):
    """The operation owns its browser here: killed under it, the next try has a new one, with no item lost."""
    deaths = []

    async with async_playwright() as playwright, RetryManager(config.retry) as retries:
        policy = await retries.create_retry_policy({"name": "quick", "base_delay": 0.1, "max_delay": 0.1})

        async def operation(url):
            browser = await playwright.chromium.launch(executable_path=find_executable().path, args=["--no-sandbox"])
            try:
                page = await browser.new_page()
                await page.goto(url)
                if not deaths:
                    deaths.append(url)
                    client = await browser.new_browser_cdp_session()
                    await client.send("Browser.crash")
                return await page.title()
            finally:
                await browser.close()

        title = await retries.execute_with_retry(operation, policy, f"{healthy_site.url}/matches/1")
    assert "Scorewise League" in title
    assert len(deaths) == 1
