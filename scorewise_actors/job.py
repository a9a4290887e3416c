"""What a user of the library handles: requests, the context of one page, progress and the report of a job."""

import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from policies import validation
from scorewise_actors.checkpoints.values import encode
from scorewise_actors.errors import ConfigurationError, ExitCode
from scorewise_actors.page_url import canonical_url, check_url

if TYPE_CHECKING:
    from loguru import Logger
    from playwright.async_api import Page

_ANY_URL = "data:,"


def check_job_id(job_id: Any) -> None:
    """Raise ``ConfigurationError`` for something that cannot name a job."""
    fits = isinstance(job_id, str) and bool(job_id.strip()) and len(job_id.encode("utf-8", "replace")) <= 200
    if not fits or any("\ud800" <= letter <= "\udfff" for letter in job_id):
        raise ConfigurationError(f"job_id must be a non-empty text of at most 200 bytes in UTF-8, got {job_id!r}")


def _user_data(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"Request.user_data must be a dict, got {value!r}")
    return dict(value)


@attrs.frozen
class Request:
    """One page to scrape. Two requests with the same ``unique_key`` are one item."""

    url: str = attrs.field()
    label: str | None = attrs.field(default=None)
    """For routing in the handler."""
    user_data: Mapping[str, Any] = attrs.field(factory=dict, converter=_user_data)
    """Plain values (checked when the request is recorded) that come back in ``context.request``."""
    unique_key: str = attrs.field(default="")
    """Identity of the item; unless given, what ``page_url.canonical_url`` makes of the URL."""
    max_retries: int | None = attrs.field(
        default=None, validator=validation.integer(0, 99, optional=True, error=ConfigurationError)
    )
    """Tries after the first; None: as the job's retry policy says."""

    @url.validator
    def _check_url(self, _attribute: "attrs.Attribute[str]", value: Any) -> None:
        try:
            check_url(value)
        except ValueError as error:
            raise ConfigurationError(f"Request.url {error}") from None

    @label.validator
    def _check_label(self, _attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"Request.label must be a string or None, got {value!r}")

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.unique_key, str):
            raise ConfigurationError(f"Request.unique_key must be a string, got {self.unique_key!r}")
        if not self.unique_key:
            object.__setattr__(self, "unique_key", canonical_url(self.url))

    def to_json(self) -> dict[str, Any]:
        """Dict with only what differs from the defaults."""
        fields: dict[str, Any] = {"url": self.url}
        if self.label is not None:
            fields["label"] = self.label
        if self.user_data:
            fields["user_data"] = dict(self.user_data)
        if self.unique_key != canonical_url(self.url):
            fields["unique_key"] = self.unique_key
        if self.max_retries is not None:
            fields["max_retries"] = self.max_retries
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Request":
        """The mirror of ``to_json``. Raises ``ConfigurationError`` for a bad field, ``TypeError`` for a strange one."""
        return cls(**fields)

    @classmethod
    def recorded(cls, fields: Mapping[str, Any]) -> "Request":
        """``from_json`` for what a journal holds: its URL passed the rules of its time, and stays what it was."""
        url, unique_key = fields["url"], fields.get("unique_key") or canonical_url(fields["url"])
        request = cls(**{**fields, "url": _ANY_URL, "unique_key": unique_key})
        object.__setattr__(request, "url", url)
        return request

    @classmethod
    def of(cls, value: "Request | str") -> "Request":
        """A request from itself or from a URL."""
        return value if isinstance(value, Request) else cls(value)


def check_requests(requests: Any) -> None:
    """Raise ``ConfigurationError`` for what is no iterable of requests, or is a single one."""
    if isinstance(requests, (str, bytes, Request, Mapping)):
        raise ConfigurationError(f"requests must be a list of requests or URLs, got one: {requests!r}; write [...]")
    if not isinstance(requests, (Iterable, AsyncIterable)):
        raise ConfigurationError(f"requests must be a list, or another iterable, of requests or URLs, got {requests!r}")


class ScrapeContext:
    """What a handler gets for one page. Everything it records counts only if the handler returns.

    Used on the event loop that the handler runs on, and not after the handler has returned.
    """

    def __init__(self, *, page: "Page", request: Request, log: "Logger", job_id: str, attempt: int) -> None:
        self.page = page
        """A clean Playwright page. Every call on it has a deadline and ends at once when the browser dies."""
        self.request = request
        self.log = log
        """A loguru logger that knows job, URL and attempt."""
        self.job_id = job_id
        self.attempt = attempt
        """1 for the first try."""
        self._results: list[str] = []
        self._found: list[Request] = []

    async def push_data(self, data: Any) -> None:
        """Record a result: one value or a list of them, of the types that a checkpoint can hold.

        Raises ``CheckpointNotSerializable``, naming the path of what cannot be kept.
        """
        for value in data if isinstance(data, list) else [data]:
            self._results.append(encode(value).decode("utf-8", "surrogatepass"))

    async def add_requests(self, requests: Iterable[Request | str]) -> None:
        """Add pages to the job; those that it knows already are left out. Raises ``ConfigurationError``."""
        check_requests(requests)
        for value in requests:
            request = Request.of(value)
            encode(dict(request.user_data))
            self._found.append(request)


Handler = Callable[[ScrapeContext], Awaitable[Any] | AsyncIterator[Any]]
"""An async function of the context, or an async generator function. A dict or a list of dicts that it returns or yields
is recorded as by ``push_data``."""


@attrs.frozen
class DeadLetter:
    """An item that could not be done."""

    url: str
    unique_key: str
    attempts: int
    error_type: str
    """Name of the exception class, or ``PoisonItem``."""
    category: str
    """``network``, ``browser``, ``system``, ``application``, ``external`` or ``unknown``."""
    message: str
    """First line of the error, without credentials and other secrets."""
    rule: str = ""
    """The rule of the classification table, or the limit, that decided."""

    @property
    def kind(self) -> str:
        """What reports group by: category and error class."""
        return f"{self.category}/{self.error_type}"


@attrs.frozen
class Verdict:
    """Why a job ended."""

    outcome: str
    """``completed``, ``aborted``, ``interrupted``, ``storage`` or ``failed``."""
    rule: str = ""
    """The rule that decided, for example ``infra_evidence``."""
    reason: str = ""
    """One sentence for people."""
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
    """The figures behind it, as plain values."""


COMPLETED = Verdict("completed")


@attrs.frozen
class Progress:
    """Where a job stands. Times in seconds since the run began."""

    enqueued: int = 0
    done: int = 0
    dead: int = 0
    in_flight: int = 0
    waiting: int = 0
    """Ready to be scraped."""
    delayed: int = 0
    """Waiting for their next try."""
    retries: int = 0
    failures: Mapping[str, int] = attrs.field(factory=dict)
    """Failed tries by category and error class."""
    resumed: int = 0
    """Items that earlier runs had finished."""

    @property
    def finished(self) -> int:
        """Done and dead-lettered items."""
        return self.done + self.dead

    @property
    def pending(self) -> int:
        """Items without an outcome yet."""
        return self.enqueued - self.finished

    def eta(self, seconds: float) -> float | None:
        """Seconds to go at the pace so far; None without a pace."""
        fresh = self.finished - self.resumed
        if fresh <= 0 or seconds <= 0:
            return None
        return math.ceil(self.pending * seconds / fresh)


@attrs.frozen
class JobReport:
    """How a run ended, counted from the journal and not from memory."""

    job_id: str
    verdict: Verdict
    exit_code: ExitCode
    enqueued: int
    done: int
    dead_lettered: int
    pending: int
    lost: int
    """Items that were enqueued and are neither done, dead-lettered nor pending: always 0, or a bug."""
    recorded_twice: int
    """Items with more than one outcome in the journal: always 0, or a bug."""
    results: int
    """Values pushed by handlers, over all runs of the job."""
    restarts: int
    restarts_by_actor: Mapping[str, int]
    retries: int
    resumed: int
    """Items that earlier runs had finished."""
    seconds: float
    dead_letters: tuple[DeadLetter, ...] = attrs.field(default=(), repr=False)
    storage: str = ""
    """Folder of the job's journal."""

    @property
    def pages_per_second(self) -> float:
        """Items finished in this run, per second."""
        return (self.done + self.dead_lettered - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def dead_by_reason(self) -> dict[str, int]:
        """Dead letters by category and error class."""
        counts: dict[str, int] = {}
        for letter in self.dead_letters:
            counts[letter.kind] = counts.get(letter.kind, 0) + 1
        return counts

    @property
    def balanced(self) -> bool:
        """The ledger: enqueued = done + dead-lettered + pending, nothing lost, nothing recorded twice."""
        total = self.done + self.dead_lettered + self.pending
        return self.enqueued == total and not self.lost and not self.recorded_twice

    def to_json(self) -> dict[str, Any]:
        """Flat dict for ``--json``."""
        fields = attrs.asdict(self, recurse=True)
        fields["exit_code"] = int(self.exit_code)
        fields["verdict"] = self.verdict.outcome
        fields["verdict_rule"] = self.verdict.rule
        fields["verdict_reason"] = self.verdict.reason
        fields["evidence"] = dict(self.verdict.evidence)
        fields["dead_by_reason"] = self.dead_by_reason
        fields["pages_per_second"] = round(self.pages_per_second, 2)
        fields["seconds"] = round(self.seconds, 3)
        return fields
