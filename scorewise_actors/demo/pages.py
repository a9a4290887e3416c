"""The HTML of the demo site: an index, one page per match day, one per match.

The index is plain HTML. A match day is rendered by JavaScript from JSON inside the page, a match from a second
request to ``/api/matches/ID.json``. Every page sets ``data-ready="1"`` on its body when all is in place.
"""

import html
import json
from collections.abc import Iterable

from scorewise_actors.demo.league import Fault, League, Match

_STYLE = """
:root { --ink: #16202c; --soft: #64748b; --line: #e2e8f0; --pitch: #0f6b4f; --paper: #fff; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: var(--ink);
  background: #f1f5f4; }
header { background: linear-gradient(100deg, #0b4f3b, var(--pitch) 60%, #2a9d74); color: #fff; padding: 18px 32px; }
header a { color: inherit; text-decoration: none; font-weight: 700; font-size: 20px; letter-spacing: .02em; }
header span { opacity: .8; margin-left: 12px; font-size: 14px; }
main { max-width: 860px; margin: 28px auto; padding: 0 20px; }
h1 { font-size: 26px; margin: 0 0 16px; }
h2 { font-size: 16px; margin: 0 0 8px; color: var(--soft); text-transform: uppercase; letter-spacing: .06em; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 20px 24px;
  margin-bottom: 18px; box-shadow: 0 1px 3px rgb(15 23 42 / 6%); }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); gap: 10px; }
.grid a { display: block; text-align: center; padding: 10px; border: 1px solid var(--line); border-radius: 8px; }
a { color: var(--pitch); text-decoration: none; }
a:hover { text-decoration: underline; }
.board { display: grid; grid-template-columns: 1fr auto 1fr; align-items: center; gap: 20px; font-size: 22px;
  font-weight: 600; }
.board .home { text-align: right; }
.board .score { font-size: 40px; font-variant-numeric: tabular-nums; padding: 2px 22px; border-radius: 10px;
  background: #ecfdf5; color: #065f46; }
.facts { text-align: center; color: var(--soft); font-size: 14px; margin-top: 10px; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: 8px 6px; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-size: 13px; font-weight: 600; }
td.minute { width: 64px; font-variant-numeric: tabular-nums; color: var(--soft); }
tr.goal td { font-weight: 600; }
.squads { display: grid; grid-template-columns: 1fr 1fr; gap: 24px; }
footer { text-align: center; color: var(--soft); font-size: 13px; padding: 4px 0 28px; }
ol { margin: 0; padding-left: 26px; font-size: 14px; }
"""

_READY_SCRIPT = 'document.body.dataset.ready = "1";'

_ROUND_SCRIPT = """
const fixtures = JSON.parse(document.getElementById("fixtures").textContent);
const table = document.getElementById("list");
for (const fixture of fixtures) {
  const link = document.createElement("a");
  link.className = "match";
  link.href = fixture.path;
  link.textContent = `${fixture.home} v ${fixture.away}`;
  const row = table.insertRow();
  row.insertCell().textContent = fixture.kickoff.replace("T", " ");
  row.insertCell().append(link);
}
document.body.dataset.ready = "1";
"""

_MATCH_SCRIPT = """
const put = (parent, tag, name, text) => {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  parent.append(element);
  return element;
};
const render = (match) => {
  const board = document.getElementById("board");
  if (board) {
    put(board, "div", "home", match.home);
    const score = put(board, "div", "score", "");
    put(score, "span", "home-goals", match.home_goals);
    score.append(" : ");
    put(score, "span", "away-goals", match.away_goals);
    put(board, "div", "away", match.away);
  }
  const facts = document.getElementById("facts");
  put(facts, "time", "kickoff", match.kickoff.replace("T", " ")).dateTime = match.kickoff;
  facts.append(" · ");
  put(facts, "span", "ground", match.ground);
  facts.append(" · ");
  put(facts, "span", "attendance", match.attendance.toLocaleString("en-US"));
  facts.append(" spectators");
  const events = document.getElementById("events");
  for (const event of match.events) {
    const row = events.insertRow();
    row.className = event.kind.replace(" ", "-");
    put(row, "td", "minute", `${event.minute}'`);
    put(row, "td", "kind", event.kind);
    put(row, "td", "player", event.player);
    put(row, "td", "team", event.team);
  }
};
(async () => {
  const answer = await fetch(`/api/matches/${document.body.dataset.match}.json`);
  if (!answer.ok) throw new Error(`no data: ${answer.status}`);
  render(await answer.json());
  document.body.dataset.ready = "1";
})();
"""


def index_page(league: League) -> str:
    """Return the index: a link (``a.round``) for every match day."""
    links = "".join(f'<a class="round" href="/rounds/{number}">Round {number}</a>' for number in league.rounds)
    body = f'<h1>Fixtures</h1><section class="card grid">{links}</section>'
    return _page(f"{league.size} matches", body, _READY_SCRIPT)


def round_page(league: League, number: int) -> str:
    """Return the page of one match day, whose links (``a.match``) JavaScript renders from JSON inside the page."""
    fixtures = [
        {"path": match.path, "kickoff": match.kickoff, "home": match.home, "away": match.away}
        for match in league.round_matches(number)
    ]
    # A "</script>" inside a string would end the element.
    data = json.dumps(fixtures, ensure_ascii=False).replace("<", "\\u003c")
    body = (
        f'<h1>Round {number}</h1><section class="card"><table id="list"></table></section>'
        f'<script type="application/json" id="fixtures">{data}</script>'
    )
    return _page(f"Round {number}", body, _ROUND_SCRIPT)


def match_page(match: Match, fault: Fault = Fault.NONE) -> str:
    """Return the page of one match: squads in plain HTML, score and events by JavaScript from a second request.

    With ``Fault.BROKEN_MARKUP`` the element that takes the score (``#board``) is not there.
    """
    title = html.escape(f"{match.home} v {match.away}")
    if fault is Fault.BROKEN_MARKUP:
        board = '<div class="facts">The scoreboard of this match has moved to our new app.</div>'
    else:
        board = '<div class="board" id="board"></div>'
    body = (
        f'<h1><a href="/rounds/{match.round}">Round <span id="round">{match.round}</span></a></h1>'
        f'<section class="card">{board}<div class="facts" id="facts"></div></section>'
        '<section class="card"><h2>Events</h2><table><thead>'
        "<tr><th>Minute</th><th>Event</th><th>Player</th><th>Team</th></tr></thead>"
        '<tbody id="events"></tbody></table></section>'
        f'<section class="card squads">{_squad(match.home, match.home_squad)}{_squad(match.away, match.away_squad)}'
        "</section>"
    )
    return _page(title, body, _MATCH_SCRIPT, f' data-match="{match.id}"')


def error_page(status: int, text: str) -> str:
    """Return the page behind an HTTP error; with an empty one, Chromium would show a page of its own."""
    return _page(f"{status}", f'<section class="card"><h1>{status}</h1><p>{html.escape(text)}</p></section>', "")


def _squad(team: str, players: Iterable[str]) -> str:
    rows = "".join(f"<li>{html.escape(player)}</li>" for player in players)
    return f"<div><h2>{html.escape(team)}</h2><ol>{rows}</ol></div>"


def _page(title: str, body: str, script: str, attributes: str = "") -> str:
    """Return a whole document; ``title``, ``body`` and ``attributes`` are HTML already."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title} · Scorewise League</title>'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head>\n'
        f'<body{attributes}><header><a href="/">Scorewise League</a><span>{title}</span></header>'
        f"<main>{body}</main><footer>A made-up league. Clubs, players and results come out of a seed.</footer>\n"
        f"<script>{script}</script></body></html>\n"
    )
