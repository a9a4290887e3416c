"""What went wrong, as facts: a `Failure` carries what was seen, never the live exception.

A live exception holds frames, pages and sockets, cannot be stored and says little; the facts beside it (the HTTP status
that a listener saw, whether the browser is still connected, whether the renderer crashed) say what to do.
`policies.classify` reads them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

import attrs

from policies.exception_facts import facts_of
from policies.validation import CLOCK_LIMIT, instance_of, integer
from policies.values import JsonValue

MESSAGE_LIMIT = 4000
"""Characters of a message that are kept: Playwright appends call logs and page text of any length."""
WORD_LIMIT = 300
"""Characters kept of one word of it: the words after a URL must still be seen, and a data URL may have megabytes."""
HEADER_LIMIT = 512
"""Characters of one header value that are kept."""

# begins where a word does: tried at each character of long words it would read all of them over and over
_LONG_WORD = re.compile(rf"(?<![^\s\"'<>])([^\s\"'<>]{{{WORD_LIMIT}}})[^\s\"'<>]+")


class Category(StrEnum):
    """Where the cause of a failure lies."""

    NETWORK = "network"
    """Between us and the site: connection, name resolution, proxy, a load that took too long."""
    BROWSER = "browser"
    """The browser or its driver died, froze or lost a page."""
    SYSTEM = "system"
    """This machine: memory, disk, descriptors, a missing executable."""
    APPLICATION = "application"
    """The scraper's own code or its target list: a selector, a URL, an exception in a handler."""
    EXTERNAL = "external"
    """The site answered, and the answer is an error: status codes, certificates, blocks."""
    UNKNOWN = "unknown"
    """No rule knows it."""


class Persistence(StrEnum):
    """Whether trying again can help."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"


class Stream(StrEnum):
    """Which of the two abort scores a final failure counts against (see `policies.abort`)."""

    INFRA = "infra"
    """The page did not come: network, browser, system, 5xx, 429, blocks."""
    CONTENT = "content"
    """The page came but gave no item: missing selector, parse error, 404."""
    UNCOUNTED = "uncounted"
    """Control flow (cancellation, shutdown): evidence of nothing."""


class Remedy(StrEnum):
    """What to do about a failure besides waiting."""

    RETRY_SAME = "retry_same"
    """Try again; the page can be used further."""
    NEW_PAGE = "new_page"
    """Discard the page with its context and try on a fresh one."""
    NEW_BROWSER = "new_browser"
    """Kill the browser's process group and start another."""
    NEW_DRIVER = "new_driver"
    """Restart the Playwright driver and every browser on it."""
    CLEAN_UP = "clean_up"
    """Free memory, disk or descriptors, then start a new browser; abort when it does not help."""
    ROTATE_IDENTITY = "rotate_identity"
    """Use another session or proxy."""
    PARK_HOST = "park_host"
    """Leave the whole host alone until the wait is over."""
    SKIP = "skip"
    """Give the item up once its tries are used."""
    SKIP_HOST = "skip_host"
    """Give the item up once its tries are used, and the rest of its host with it."""
    ABORT_JOB = "abort_job"
    """No item can succeed: the job is misconfigured."""
    PROPAGATE = "propagate"
    """Not a failure but control flow: hand it on, never retry, never count."""


RETRYING = frozenset(
    {
        Remedy.RETRY_SAME,
        Remedy.NEW_PAGE,
        Remedy.NEW_BROWSER,
        Remedy.NEW_DRIVER,
        Remedy.CLEAN_UP,
        Remedy.ROTATE_IDENTITY,
        Remedy.PARK_HOST,
    }
)
"""Remedies that prepare another try; the others say what follows once there is none."""


def _short(text: object) -> str:
    return _LONG_WORD.sub(r"\1", str(text))[:MESSAGE_LIMIT]


def _text_or_none(code: object) -> str | None:
    return None if code is None else str(code)


def _names(lineage: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(name)[:WORD_LIMIT] for name in lineage)


def _lower_case_keys(headers: Mapping[str, str]) -> dict[str, str]:
    return {str(name).lower(): str(value)[:HEADER_LIMIT] for name, value in headers.items()}


@attrs.frozen
class Failure(JsonValue):
    """One failed attempt, as facts."""

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"lineage": tuple}

    type: str = attrs.field(validator=instance_of(str))
    """The exception's class name without its module (``"TimeoutError"``, ``"BrowserGone"``)."""
    message: str = attrs.field(default="", converter=_short)
    """The exception's text, cut at `MESSAGE_LIMIT` characters, and each word of it at `WORD_LIMIT`."""
    code: str | None = attrs.field(default=None, converter=_text_or_none)
    """Machine-readable code: ``"net::ERR_CONNECTION_RESET"`` (the prefix may be missing), ``"ECONNREFUSED"``,
    ``"-105"``."""
    status: int | None = attrs.field(default=None, validator=integer(0, 999, optional=True))
    """HTTP status of the item's main document, if a response was seen."""
    headers: dict[str, str] = attrs.field(factory=dict, converter=_lower_case_keys, hash=False)
    """Headers of that response: lower-case name → value. Treat it as read-only."""
    api: str | None = None
    """The Playwright call that failed: ``"Page.goto"`` or ``"goto"``; otherwise it is read from the message's
    prefix."""
    url: str | None = None
    """The URL being worked on, for reports; classification never looks at it."""
    browser_connected: bool | None = attrs.field(default=None, validator=instance_of(bool, optional=True))
    """`Browser.is_connected()` after the failure; None when not known."""
    page_crashed: bool = attrs.field(default=False, validator=instance_of(bool))
    """Whether the page's crash event fired: a crashed page often raises nothing at all."""
    oom_delta: int = attrs.field(default=0, validator=integer(0, int(CLOCK_LIMIT)))
    """By how much the kernel's ``oom_kill`` counter rose during the attempt."""
    deadline_exceeded: bool = attrs.field(default=False, validator=instance_of(bool))
    """Whether our own deadline ended the call, as opposed to a timeout of Playwright."""
    lineage: tuple[str, ...] = attrs.field(default=(), converter=_names)
    """Names of the classes that the exception's class extends, nearest first, ``Exception`` and above left out: an
    ``aiohttp.ClientConnectorError`` is an ``OSError``, Playwright's ``TimeoutError`` is not."""

    @classmethod
    def from_exception(cls, exception: BaseException, **facts: Any) -> Self:
        """The facts of `exception`; `facts` are further fields and win over what the exception says.

        Duck-typed, see `policies.exception_facts`: text, code, errno, HTTP status, headers, base classes. Total:
        whatever the exception is like, there is a failure. Raises `TypeError` for a fact that is no field.
        """
        return cls(**(facts_of(exception) | facts))
