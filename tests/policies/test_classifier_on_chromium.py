"""The classifier against the texts of the Chromium and Playwright that are installed: they change with each release."""

import shutil
from pathlib import Path

import pytest
from playwright.async_api import Error, async_playwright

from policies import Failure, FailureClassifier

CANDIDATES = (
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/chromium",
    shutil.which("google-chrome") or "",
)
EXECUTABLE = next((path for path in CANDIDATES if path and Path(path).exists()), None)

# Chromium shows any network error on request, without a network
NETWORK_ERRORS = {
    2: "connection",
    7: "connection",
    12: "resources",
    13: "resources",
    15: "connection",
    18: "resources",
    102: "connection",
    105: "dns",
    106: "offline",
    107: "tls_handshake",
    109: "offline",
    111: "proxy",
    118: "connection",
    130: "proxy",
    201: "certificate",
    310: "refused_by_site",
    312: "bad_target",
    324: "connection",
    337: "protocol",
    338: "proxy_configuration",
    355: "protocol",
    400: "code:cache",
    803: "dns",
}


async def failure_of(call):
    with pytest.raises(Error) as raised:
        await call
    return Failure.from_exception(raised.value)


@pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium at the usual places")
async def test_errors_of_a_real_browser_have_the_verdict_of_the_table(tmp_path, monkeypatch):
    """Network errors, timeouts, selectors, scripts, closed pages and launches read as the table expects."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # Playwright leaves the profile of a launch that failed
    found = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=["--no-sandbox"])
        page = await browser.new_page()
        for number in NETWORK_ERRORS:
            # a page each: an error page that is still being shown interrupts the next navigation
            other = await browser.new_page()
            found[number] = await failure_of(other.goto(f"chrome://network-error/-{number}"))
            await other.close()
        await page.goto("data:text/html,<a>timeout</a><a>404</a>")
        found["element_timeout"] = await failure_of(page.click("#absent", timeout=50))
        found["bad_selector"] = await failure_of(page.locator("a").click(timeout=5000))
        found["page_script"] = await failure_of(page.evaluate("() => { throw new Error('Target crashed') }"))
        found["bad_target"] = await failure_of(page.goto("nonsense"))
        await page.close()
        found["target_closed"] = await failure_of(page.title())
        await browser.close()
        found["launch"] = await failure_of(playwright.chromium.launch(executable_path="/bin/true"))
        found["no_browser"] = await failure_of(playwright.chromium.launch(executable_path="/nonexistent"))
    verdicts = {name: FailureClassifier().classify(failure).rule_id for name, failure in found.items()}
    assert verdicts == {name: NETWORK_ERRORS.get(name, name) for name in found}
