"""The classification table: what each known failure is. The first row that matches decides, so the order is meaning.

From the surest to the vaguest: control flow, faults of the handler that only we can name, dead machinery, HTTP status,
error codes, texts, ranges of codes, anything else. The texts and codes were provoked with Chromium and Playwright, not
taken from a manual.
"""

import builtins
from typing import Any

from policies.exception_facts import CONTROL_FLOW
from policies.failures import Category, Persistence, Remedy, Stream
from policies.rules import SCRIPT_APIS, Rule, Verdict

NAVIGATION_APIS = frozenset({"goto", "reload", "go_back", "go_forward", "set_content", "wait_for_load_state"})
"""Calls that load a page: when they time out, the network was slow."""
REQUEST_APIS = frozenset({"delete", "fetch", "get", "head", "patch", "post", "put"})
"""Calls of `APIRequestContext`."""
LAUNCH_APIS = frozenset({"launch", "launch_persistent_context", "connect", "connect_over_cdp"})
"""Calls that bring up a browser."""

_NETWORK, _BROWSER, _SYSTEM = Category.NETWORK, Category.BROWSER, Category.SYSTEM
_APPLICATION, _EXTERNAL, _UNKNOWN = Category.APPLICATION, Category.EXTERNAL, Category.UNKNOWN
_INFRA, _CONTENT = Stream.INFRA, Stream.CONTENT


def _retry(
    rule_id: str,
    category: Category,
    remedy: Remedy,
    stream: Stream = _INFRA,
    *,
    tries: int | None = None,
    **when: Any,
) -> Rule:
    return Rule(Verdict(category, Persistence.TRANSIENT, remedy, stream, rule_id, tries), **when)


def _final(rule_id: str, category: Category, remedy: Remedy, stream: Stream = _INFRA, **when: Any) -> Rule:
    return Rule(Verdict(category, Persistence.PERMANENT, remedy, stream, rule_id), **when)


_CONTROL_FLOW = (
    _final(
        "control_flow",
        _UNKNOWN,
        Remedy.PROPAGATE,
        Stream.UNCOUNTED,
        types=CONTROL_FLOW,
        firm=True,
    ),
)

_OVERREACHES = frozenset({"HandlerCancelledOthers", "HandlerClosedBrowser", "HandlerClosedPage"})
"""What a handler did to what is not its own, or not its own any more."""

_HANDLER_FAULTS = (
    _final("not_serializable", _APPLICATION, Remedy.SKIP, _CONTENT, types={"CheckpointNotSerializable"}, firm=True),
    _final("handler_raised", _APPLICATION, Remedy.SKIP, _CONTENT, types={"HandlerRaisedBaseException"}, firm=True),
    _final("handler_blocked_loop", _APPLICATION, Remedy.SKIP, _CONTENT, types={"HandlerBlockedLoop"}, firm=True),
    # such code mostly stands where something else has failed before, which may not fail again
    _retry("handler_overreached", _APPLICATION, Remedy.NEW_PAGE, _CONTENT, tries=2, types=_OVERREACHES, firm=True),
)

_MACHINERY = (
    _final("no_browser", _SYSTEM, Remedy.ABORT_JOB, types={"BrowserNotFound"}, firm=True),
    _final(
        "no_browser",
        _SYSTEM,
        Remedy.ABORT_JOB,
        apis=LAUNCH_APIS,
        text=r"(?:Failed to launch .{0,80})?[Ee]xecutable doesn't exist",
        firm=True,
    ),
    _retry("launch", _BROWSER, Remedy.NEW_BROWSER, apis=LAUNCH_APIS, firm=True),
    _retry("driver_gone", _BROWSER, Remedy.NEW_DRIVER, types={"DriverGone"}, firm=True),
    _retry(
        "driver_gone",
        _BROWSER,
        Remedy.NEW_DRIVER,
        types={"Exception", "TargetClosedError"},  # never plain Error: that is what a page's script can raise
        text=r"Connection closed",
        firm=True,
    ),
    # the kernel kills renderers first, then browsers; a restart alone would meet the same shortage
    _retry("browser_oom", _SYSTEM, Remedy.CLEAN_UP, types={"BrowserGone"}, oom=True, firm=True),
    _retry("browser_oom", _SYSTEM, Remedy.CLEAN_UP, disconnected=True, oom=True, firm=True),
    _retry("browser_gone", _BROWSER, Remedy.NEW_BROWSER, types={"BrowserGone"}, firm=True),
    _retry("browser_gone", _BROWSER, Remedy.NEW_BROWSER, disconnected=True, firm=True),
    _retry("browser_frozen", _BROWSER, Remedy.NEW_BROWSER, types={"GuardTimeout"}, firm=True),
    # Playwright's own TimeoutError bears the same name; only ours comes with the fact
    _retry("browser_frozen", _BROWSER, Remedy.NEW_BROWSER, types={"TimeoutError"}, deadline=True, firm=True),
    # the same URL crashing a second page is the page's doing, hence two tries
    _retry("page_oom", _SYSTEM, Remedy.CLEAN_UP, tries=2, types={"PageGone"}, oom=True, firm=True),
    _retry("page_oom", _SYSTEM, Remedy.CLEAN_UP, tries=2, page_crashed=True, oom=True, firm=True),
    _retry("page_crashed", _BROWSER, Remedy.NEW_PAGE, tries=2, types={"PageGone"}, firm=True),
    _retry("page_crashed", _BROWSER, Remedy.NEW_PAGE, tries=2, page_crashed=True, firm=True),
    _retry("handler_timeout", _APPLICATION, Remedy.NEW_PAGE, _CONTENT, tries=2, types={"HandlerTimeout"}),
)

_STATUSES = (
    _retry("status:429", _EXTERNAL, Remedy.PARK_HOST, statuses={429}),
    _retry("status:503_retry_after", _EXTERNAL, Remedy.PARK_HOST, statuses={503}, header="retry-after"),
    _final("status:blocked", _EXTERNAL, Remedy.ROTATE_IDENTITY, statuses={401, 403, 407}),
    _final("status:gone", _EXTERNAL, Remedy.SKIP, _CONTENT, statuses={404, 410, 451}),
    _final("status:bad_request", _APPLICATION, Remedy.SKIP, _CONTENT, statuses={400, 405, 414}),
    _retry("status:too_early", _EXTERNAL, Remedy.RETRY_SAME, statuses={408, 425}),
    _final("status:unsupported", _EXTERNAL, Remedy.SKIP, statuses={501, 505, 525, 526}),
    _retry("status:5xx", _EXTERNAL, Remedy.RETRY_SAME, statuses=range(500, 600)),
    _final("status:204", _APPLICATION, Remedy.SKIP, _CONTENT, statuses={204}, codes="ERR_ABORTED"),
    _final("status:4xx", _EXTERNAL, Remedy.SKIP, _CONTENT, statuses=range(400, 500)),
)

_CODES = (
    _retry("detached", _APPLICATION, Remedy.NEW_PAGE, _CONTENT, text=r"net::ERR_ABORTED; maybe frame was detached"),
    _retry("aborted", _APPLICATION, Remedy.NEW_PAGE, _CONTENT, tries=2, codes="ERR_ABORTED"),
    _retry(
        "resources",
        _SYSTEM,
        Remedy.CLEAN_UP,
        codes=r"ERR_(?:INSUFFICIENT_RESOURCES|OUT_OF_MEMORY|FILE_NO_SPACE|NO_BUFFER_SPACE)|ENOSPC|EDQUOT|E[MN]FILE|ENOMEM",
    ),
    _retry("resources", _SYSTEM, Remedy.CLEAN_UP, families={"MemoryError"}),
    _retry(
        "offline",
        _NETWORK,
        Remedy.RETRY_SAME,
        codes=r"ERR_(?:INTERNET_DISCONNECTED|NETWORK_IO_SUSPENDED|ADDRESS_UNREACHABLE)|E(?:NET|HOST)(?:UNREACH|DOWN)",
    ),
    _retry(
        "dns",
        _NETWORK,
        Remedy.SKIP_HOST,
        tries=2,
        codes=r"ERR_(?:NAME_NOT_RESOLVED|NAME_RESOLUTION_FAILED|DNS_\w+)|ENOTFOUND|EAI_AGAIN",
    ),
    _retry("dns", _NETWORK, Remedy.SKIP_HOST, tries=2, families={"gaierror", "ClientConnectorDNSError"}),
    _retry("tls_handshake", _EXTERNAL, Remedy.SKIP_HOST, tries=2, codes="ERR_SSL_PROTOCOL_ERROR"),
    _final(
        "certificate",
        _EXTERNAL,
        Remedy.SKIP_HOST,
        codes=r"ERR_(?:CERT|SSL|BAD_SSL|TLS_CERT)_\w+|CERT_\w+|\w*SELF_SIGNED_CERT\w*|UNABLE_TO_(?:VERIFY|GET_ISSUER)\w+",
    ),
    _final("certificate", _EXTERNAL, Remedy.SKIP_HOST, families={"SSLCertVerificationError", "CertificateError"}),
    _final(
        "proxy_configuration",
        _APPLICATION,
        Remedy.ABORT_JOB,
        codes=r"ERR_(?:INVALID_AUTH_CREDENTIALS|MANDATORY_PROXY_CONFIGURATION_FAILED|NO_SUPPORTED_PROXIES|PROXY_AUTH_\w+)",
    ),
    _retry("proxy", _NETWORK, Remedy.ROTATE_IDENTITY, codes=r"ERR_(?:PROXY|TUNNEL|SOCKS)_\w+"),
    _retry("hidden_status", _EXTERNAL, Remedy.RETRY_SAME, tries=2, codes="ERR_HTTP_RESPONSE_CODE_FAILURE"),
    _retry(
        "protocol",
        _NETWORK,
        Remedy.NEW_PAGE,
        tries=2,
        codes=(
            r"ERR_(?:HTTP2_\w+|QUIC_\w+|(?:INCOMPLETE|INVALID)_CHUNKED_ENCODING|CONTENT_\w+|INVALID_(?:HTTP_)?RESPONSE"
            r"|RESPONSE_HEADERS_\w+)"
        ),
    ),
    _retry(
        "connection",
        _NETWORK,
        Remedy.RETRY_SAME,
        codes=(
            r"ERR_(?:CONNECTION_\w+|TIMED_OUT|FAILED|EMPTY_RESPONSE|NETWORK_\w+|SOCKET_NOT_CONNECTED)"
            r"|ECONN(?:REFUSED|RESET|ABORTED)|ETIMEDOUT|EPIPE"
        ),
    ),
    _retry(
        "connection",
        _NETWORK,
        Remedy.RETRY_SAME,
        families={
            "ConnectionError",
            "ConnectionRefusedError",
            "ConnectionResetError",
            "ConnectionAbortedError",
            "BrokenPipeError",
            # what HTTP clients call it that do not extend the builtin
            "ClientConnectionError",
            "NetworkError",
            "RemoteProtocolError",
            "ClientPayloadError",
            "IncompleteRead",
        },
    ),
    # a timeout of Python or of an HTTP client; Playwright's bears the same name, extends Error and is read further down
    _retry("timeout", _NETWORK, Remedy.NEW_PAGE, families={"OSError"}, types={"TimeoutError"}),
    _retry("timeout", _NETWORK, Remedy.NEW_PAGE, families={"TimeoutException", "Timeout", "ServerTimeoutError"}),
    _final(
        "bad_target",
        _APPLICATION,
        Remedy.SKIP,
        _CONTENT,
        codes=r"ERR_(?:UNSAFE_PORT|UNKNOWN_URL_SCHEME|DISALLOWED_URL_SCHEME|INVALID_URL|FILE_NOT_FOUND)",
    ),
    _final(
        "refused_by_site",
        _EXTERNAL,
        Remedy.SKIP,
        _CONTENT,
        codes=r"ERR_(?:TOO_MANY_REDIRECTS|UNSAFE_REDIRECT|BLOCKED_BY_\w+)",
    ),
)

_TEXTS = (
    _retry(
        "page_oom",
        _SYSTEM,
        Remedy.CLEAN_UP,
        tries=2,
        oom=True,
        text=r"(?:Target|Page) crashed|Navigation failed because page crashed",
    ),
    _retry(
        "page_crashed",
        _BROWSER,
        Remedy.NEW_PAGE,
        tries=2,
        text=r"(?:Target|Page) crashed|Navigation failed because page crashed",
    ),
    _retry("target_closed", _APPLICATION, Remedy.NEW_PAGE, types={"TargetClosedError"}),
    _retry(
        "interrupted",
        _APPLICATION,
        Remedy.NEW_PAGE,
        _CONTENT,
        text=r"Navigation to \"?<url>\"? is interrupted by another navigation",
    ),
    _retry(
        "moved_on",
        _APPLICATION,
        Remedy.RETRY_SAME,
        _CONTENT,
        text=r"Execution context was destroyed|(?:Error: )?Element is not attached to the DOM",
    ),
    _final("download", _APPLICATION, Remedy.SKIP, _CONTENT, text=r"Download is starting"),
    _final(
        "bad_target",
        _APPLICATION,
        Remedy.SKIP,
        _CONTENT,
        text=r"(?:Protocol error \([\w.]+\): )?Cannot navigate to invalid URL",
    ),
    _final(
        "bad_selector",
        _APPLICATION,
        Remedy.SKIP,
        _CONTENT,
        text=r"(?:Error: )?strict mode violation|(?:Error: )?.{0,80}while parsing (?:css )?selector",
    ),
    _final("page_script", _APPLICATION, Remedy.SKIP, _CONTENT, apis=SCRIPT_APIS, types={"Error"}),
    _retry(
        "load_timeout", _NETWORK, Remedy.NEW_PAGE, apis=NAVIGATION_APIS | REQUEST_APIS, text=r"Timeout \d+ms exceeded"
    ),
    # a bare text without the call that made it: a load is the likelier one, but not worth all tries
    _retry("load_timeout", _NETWORK, Remedy.NEW_PAGE, tries=2, apis={""}, text=r"Timeout \d+ms exceeded"),
    _retry("element_timeout", _APPLICATION, Remedy.NEW_PAGE, _CONTENT, tries=2, text=r"Timeout \d+ms exceeded"),
)

_RANGES = (
    _retry("code:cache", _SYSTEM, Remedy.NEW_PAGE, tries=2, codes=r"ERR_CACHE_\w+"),
    _retry("code:other", _NETWORK, Remedy.RETRY_SAME, tries=2, codes=r"ERR_\w+"),
    # Chromium's net_error_list.h, by hundreds
    _retry("range:system", _SYSTEM, Remedy.RETRY_SAME, tries=2, numbers=range(1, 100)),
    _retry("range:connection", _NETWORK, Remedy.RETRY_SAME, numbers=range(100, 200)),
    _final("range:certificate", _EXTERNAL, Remedy.SKIP_HOST, numbers=range(200, 300)),
    _retry("range:http", _NETWORK, Remedy.NEW_PAGE, tries=2, numbers=range(300, 400)),
    _retry("range:cache", _SYSTEM, Remedy.NEW_PAGE, tries=2, numbers=range(400, 500)),
    _final("range:certificate", _EXTERNAL, Remedy.SKIP_HOST, numbers=range(700, 800)),
    _retry("range:dns", _NETWORK, Remedy.SKIP_HOST, tries=2, numbers=range(800, 900)),
)

_BUILTIN_EXCEPTIONS = frozenset(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)
)

_REST = (
    _retry("handler_error", _APPLICATION, Remedy.NEW_PAGE, _CONTENT, tries=2, types=_BUILTIN_EXCEPTIONS),
    _retry("unknown_playwright", _UNKNOWN, Remedy.NEW_PAGE, tries=2, types={"Error"}),
)

CLASSIFICATION_TABLE: tuple[Rule, ...] = (
    *_CONTROL_FLOW,
    *_HANDLER_FAULTS,
    *_MACHINERY,
    *_STATUSES,
    *_CODES,
    *_TEXTS,
    *_RANGES,
    *_REST,
)
"""Every rule, in the order in which they are asked."""

UNKNOWN_VERDICT = Verdict(_UNKNOWN, Persistence.TRANSIENT, Remedy.NEW_PAGE, _CONTENT, "unknown", max_tries=2)
"""What no rule knows, mostly exceptions of the handler's own making: worth one more try."""
