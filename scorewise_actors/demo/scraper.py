"""The scraper of the demo league: one handler for the index, the match days and the matches.

    report = await system.run("league", [index_request(site.url)], scrape)

Each page costs two calls to the browser: one to go there, one that waits for the page's own script and brings home
all that is wanted. A ``wait_for_selector`` between them would nearly double the time of a page (80 ms to 143 ms,
median, two cores), as Playwright loads a script of its own into every fresh document for it.
"""

from typing import Any

from scorewise_actors.demo.league import League
from scorewise_actors.errors import HttpStatusError
from scorewise_actors.job import Request, ScrapeContext

READY_SECONDS = 5.0
"""How long a loaded page may take to render."""

_RENDERED = """
const rendered = (seconds) => new Promise((resolve) => {
  const ready = () => "ready" in document.body.dataset;
  const finish = (answer) => { observer.disconnect(); clearTimeout(timer); resolve(answer); };
  const observer = new MutationObserver(() => { if (ready()) finish(true); });
  const timer = setTimeout(() => finish(false), seconds * 1000);
  observer.observe(document.body, { attributes: true });
  if (ready()) finish(true);
});
"""

_LINKS_SCRIPT = f"""async ([seconds, selector]) => {{
  {_RENDERED}
  if (!await rendered(seconds)) return null;
  return [...document.querySelectorAll(selector)].map((link) => link.href);
}}"""

_MATCH_SCRIPT = f"""async ([seconds]) => {{
  {_RENDERED}
  if (!await rendered(seconds)) return null;
  const text = (selector, within = document) => within.querySelector(selector)?.textContent ?? null;
  const whole = (value) => value === null ? null : Number(value.replace(/[^0-9]/g, ""));
  return {{
    id: whole(document.body.dataset.match ?? null),
    round: whole(text("#round")),
    kickoff: document.querySelector("time.kickoff")?.dateTime ?? null,
    home: text(".board .home"),
    away: text(".board .away"),
    ground: text(".ground"),
    attendance: whole(text(".attendance")),
    home_goals: whole(text(".home-goals")),
    away_goals: whole(text(".away-goals")),
    events: [...document.querySelectorAll("#events tr")].map((row) => ({{
      minute: whole(text(".minute", row)),
      kind: text(".kind", row),
      team: text(".team", row),
      player: text(".player", row),
    }})),
  }};
}}"""


class UnexpectedPageError(LookupError):
    """A page answered, but it is not what it should be: the site has changed, or the browser strayed."""


def index_request(site_url: str) -> Request:
    """Return the request for the index, from which ``scrape`` finds every match."""
    return Request(url=f"{site_url}/")


def match_requests(site_url: str, league: League, n: int | None = None) -> list[Request]:
    """Return requests for the first ``n`` match pages (default: all), without the way over the index.

    Raises ``ValueError`` if the league has fewer.
    """
    if n is not None and not 0 <= n <= league.size:
        raise ValueError(f"n must be 0 to {league.size}, the size of the league, not {n}")
    return [Request(url=site_url + match.path, label="match") for match in league.matches[:n]]


async def scrape(context: ScrapeContext) -> dict[str, Any] | None:
    """Scrape one page: the index and the match days add requests, a match returns its record (``Match.record``).

    Raises ``HttpStatusError`` for a status of 400 or more, ``UnexpectedPageError`` for a page that does not render
    within 5 s or lacks what it should show, Playwright's errors for a page that cannot be opened, and ``ValueError``
    for a label that is none of ``None``, ``"round"``, ``"match"``.
    """
    match context.request.label:
        case None:
            await _follow(context, "a.round", label="round")
        case "round":
            await _follow(context, "a.match", label="match")
        case "match":
            return await _scrape_match(context)
        case label:
            raise ValueError(f"no handler for the label {label!r}; expected None, 'round' or 'match'")
    return None


async def _follow(context: ScrapeContext, selector: str, *, label: str) -> None:
    links = await _visit(context, _LINKS_SCRIPT, selector)
    if not links:
        raise UnexpectedPageError(f"{context.request.url} has no links {selector!r}")
    await context.add_requests([Request(url=link, label=label) for link in links])


async def _scrape_match(context: ScrapeContext) -> dict[str, Any]:
    record: dict[str, Any] = await _visit(context, _MATCH_SCRIPT)
    missing = [field for field, value in record.items() if value is None]
    if missing:
        raise UnexpectedPageError(f"{context.request.url} does not show {', '.join(missing)}")
    return record


async def _visit(context: ScrapeContext, script: str, *arguments: str) -> Any:
    """Go to the request's page and return what ``script`` finds there once it is rendered."""
    url = context.request.url
    response = await context.page.goto(url)
    if response is None:
        # The page followed another navigation, so what it shows may belong to another request.
        raise UnexpectedPageError(f"{url} gave no response; the page is at {context.page.url}")
    if response.status >= 400:
        raise HttpStatusError(response.status, url)
    found = await context.page.evaluate(script, [READY_SECONDS, *arguments])
    if found is None:
        raise UnexpectedPageError(f"{url} was not rendered within {READY_SECONDS:g} s")
    return found
