"""Who says what to whom. Every message between the actors of a job is one of these frozen values.

====================  =================  ==================  ===================================================
message               from               to                  meaning
====================  =================  ==================  ===================================================
Swap                  ScrapeActor        FrontierActor       here is what became of my lease, give me work
Lease                 FrontierActor      ScrapeActor         scrape this
Renew                 ScrapeActor        FrontierActor       I am still at it
ScraperGone           FrontierActor      FrontierActor       a scraper ended, and what it said before has been heard
AddRequests           JobHandle          FrontierActor       more items (asked: answers how many were new)
CloseInput            JobHandle          FrontierActor       no more items will come from outside
Drain                 JobHandle          FrontierActor       hand out nothing more, end when all leases are back
Throttle              AbortJudgeActor    FrontierActor       only probes until further notice, or full speed again
Restore               Frontier-, Judge-  CheckpointActor     what does the journal say? (asked, at start)
Commit                FrontierActor      CheckpointActor     make these operations durable
Committed             CheckpointActor    FrontierActor       they are
StorageTrouble        CheckpointActor    FrontierActor       they are not yet: hand out nothing meanwhile
StorageFailed         CheckpointActor    AbortJudgeActor     storage did not come back in time: halt
SavePolicyState       AbortJudgeActor    CheckpointActor     keep this with the next commit
OutcomeSeen           FrontierActor      AbortJudgeActor     an item ended, or a try failed
BrowserCrashed        BrowserActor       AbortJudgeActor     a browser died
Breach                MonitorActor       AbortJudgeActor     a resource threshold was passed, or is fine again
Recycle               MonitorActor       BrowserActor        replace your Chromium, page by page
Trim                  MonitorActor       BrowserActor        have your pages drop what they do not need
Evict                 MonitorActor       BrowserActor        kill your Chromium: there is no memory left
====================  =================  ==================  ===================================================

Besides these travel the kernel's own signals: ``Down`` of a ScrapeActor to the FrontierActor, which becomes
``ScraperGone``.
"""

from typing import Any

import attrs

from policies.failures import Failure, Stream
from policies.rules import Verdict as Classified
from scorewise_actors.checkpoints.ops import Op
from scorewise_actors.job import Request
from supervisors.exits import ExitReason
from supervisors.future import ReplyFuture


@attrs.frozen
class Lease:
    """The right to scrape one item, until it is given back or its holder dies."""

    item: int
    """Number of the item in the job."""
    token: int
    """Fencing token: a completion counts only with the newest token of its item."""
    request: Request
    attempt: int
    """1 for the first try."""


@attrs.frozen
class Scraped:
    """The handler returned."""

    item: int
    token: int
    results: tuple[str, ...]
    """Encoded values, in the order in which they were pushed."""
    found: tuple[Request, ...]


@attrs.frozen
class Failed:
    """The item failed: a value, decided on by the retry policy."""

    item: int
    token: int
    failure: Failure


@attrs.frozen
class Returned:
    """The machinery failed under the item: it goes back without costing an attempt."""

    item: int
    token: int
    why: str
    alone: bool | None
    """True if only this page died (its renderer crashed), False if its browser or driver did, None if it was ended on
    purpose: then nobody is to blame."""


Outcome = Scraped | Failed | Returned


@attrs.frozen
class Swap:
    """Completed work for new work, in one message."""

    scraper: str
    """Path of the asking ScrapeActor."""
    incarnation: int
    completed: tuple[Outcome, ...] = ()
    want: int = 1


@attrs.frozen
class Renew:
    """The scraper is alive and works on its lease."""

    scraper: str
    incarnation: int


@attrs.frozen
class ScraperGone:
    """The scraper is no more. ``Down`` itself overtakes the last ``Swap`` of whoever ended after an outcome."""

    scraper: str
    incarnation: int
    reason: ExitReason


@attrs.frozen
class AddRequests:
    """Items from outside of the job."""

    requests: tuple[Request, ...]


@attrs.frozen
class CloseInput:
    """No more ``AddRequests`` will come: the job is complete when nothing is left."""


@attrs.frozen
class Drain:
    """Stop handing out leases; end with the verdict once none is out."""

    outcome: str = "interrupted"
    reason: str = ""


@attrs.frozen
class Throttle:
    """At most ``limit`` leases at a time; None lifts it."""

    limit: int | None


@attrs.frozen
class Restore:
    """Ask for the journal's state as ``Restored``; read it before the first commit only."""

    anew: bool = False
    """A new frontier begins: commits of the one before it that are not durable by now are dropped, for it does not know
    them. Their items are done again."""


@attrs.frozen
class Restored:
    """The answer."""

    state: dict[str, Any]
    """The journal's own, as described in ``ledger``: not a copy."""
    storage_down: bool
    """Writing fails at the moment."""


@attrs.frozen
class Commit:
    """Operations of the journal that belong together."""

    ops: tuple[Op, ...]
    items: tuple[int, ...] = ()
    """Items whose outcome is among the operations."""
    acknowledge: ReplyFuture | None = None
    """Answered with ``answer`` once durable."""
    answer: Any = None


@attrs.frozen
class Committed:
    """The outcomes of these items are durable."""

    items: tuple[int, ...]


@attrs.frozen
class StorageTrouble:
    """Writing failed (``error``), or works again (None)."""

    error: str | None


@attrs.frozen
class StorageFailed:
    """Writing failed for too long."""

    error: str
    seconds: float


@attrs.frozen
class SavePolicyState:
    """State of a policy, as plain values, to be kept in the journal."""

    name: str
    state: dict[str, Any]


@attrs.frozen
class OutcomeSeen:
    """A final outcome of an item, for the judge."""

    failed: bool
    stream: Stream
    failure: Failure | None = None
    """What failed, as facts."""
    classified: Classified | None = None
    """What the classification makes of it."""


@attrs.frozen
class BrowserCrashed:
    """A browser died unasked."""

    path: str
    reason: str


@attrs.frozen
class Breach:
    """A resource threshold was passed (``breached``), or its value is fine again."""

    resource: str
    value: float
    limit: float
    level: str
    breached: bool


@attrs.frozen
class Recycle:
    """Replace the Chromium process without stopping work."""

    reason: str
    patience: float | None = None
    """Seconds that pages in the old one have to finish; then their items go back. None: as long as they take."""


@attrs.frozen
class Trim:
    """Collect the garbage of all pages."""

    reason: str


@attrs.frozen
class Evict:
    """Kill the Chromium process group now; items in it go back, and the supervisor starts the next one."""

    reason: str
