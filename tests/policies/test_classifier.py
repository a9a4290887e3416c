import asyncio
import email.message
import re
import urllib.error

import pytest

from policies import Category, Failure, FailureClassifier, Persistence, Remedy, Rule, Stream, Verdict

N, B, S, A, X, U = (
    Category.NETWORK,
    Category.BROWSER,
    Category.SYSTEM,
    Category.APPLICATION,
    Category.EXTERNAL,
    Category.UNKNOWN,
)
INFRA, CONTENT = Stream.INFRA, Stream.CONTENT
CLOSED = "Target page, context or browser has been closed"


def goto(code):
    return Failure("Error", f'Page.goto: net::{code} at http://h/timeout-404\nCall log:\n  - navigating to "http://h/"')


def seen(status, **facts):
    return Failure("Error", "Page.goto: net::ERR_HTTP_RESPONSE_CODE_FAILURE at http://h/", status=status, **facts)


def error(message, kind="Error", **facts):
    return Failure(kind, message, **facts)


TABLE = [
    # failure, category, tries (0: permanent, None: as many as the policy grants), remedy, stream
    (goto("ERR_CONNECTION_REFUSED"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_CONNECTION_RESET"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_CONNECTION_TIMED_OUT"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_EMPTY_RESPONSE"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_NETWORK_CHANGED"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_SOCKET_NOT_CONNECTED"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_TIMED_OUT"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_INTERNET_DISCONNECTED"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_NETWORK_IO_SUSPENDED"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_ADDRESS_UNREACHABLE"), N, None, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_NAME_NOT_RESOLVED"), N, 2, Remedy.SKIP_HOST, INFRA),
    (goto("ERR_DNS_TIMED_OUT"), N, 2, Remedy.SKIP_HOST, INFRA),
    (goto("ERR_HTTP2_PROTOCOL_ERROR"), N, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_QUIC_PROTOCOL_ERROR"), N, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_INCOMPLETE_CHUNKED_ENCODING"), N, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_CONTENT_LENGTH_MISMATCH"), N, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_CONTENT_DECODING_FAILED"), N, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_INVALID_HTTP_RESPONSE"), N, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_RESPONSE_HEADERS_TOO_BIG"), N, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_CERT_DATE_INVALID"), X, 0, Remedy.SKIP_HOST, INFRA),
    (goto("ERR_SSL_VERSION_OR_CIPHER_MISMATCH"), X, 0, Remedy.SKIP_HOST, INFRA),
    (goto("ERR_SSL_PROTOCOL_ERROR"), X, 2, Remedy.SKIP_HOST, INFRA),
    (goto("ERR_PROXY_CONNECTION_FAILED"), N, None, Remedy.ROTATE_IDENTITY, INFRA),
    (goto("ERR_TUNNEL_CONNECTION_FAILED"), N, None, Remedy.ROTATE_IDENTITY, INFRA),
    (goto("ERR_SOCKS_CONNECTION_FAILED"), N, None, Remedy.ROTATE_IDENTITY, INFRA),
    (goto("ERR_INVALID_AUTH_CREDENTIALS"), A, 0, Remedy.ABORT_JOB, INFRA),
    (goto("ERR_NO_SUPPORTED_PROXIES"), A, 0, Remedy.ABORT_JOB, INFRA),
    (goto("ERR_HTTP_RESPONSE_CODE_FAILURE"), X, 2, Remedy.RETRY_SAME, INFRA),
    (goto("ERR_INSUFFICIENT_RESOURCES"), S, None, Remedy.CLEAN_UP, INFRA),
    (goto("ERR_OUT_OF_MEMORY"), S, None, Remedy.CLEAN_UP, INFRA),
    (goto("ERR_FILE_NO_SPACE"), S, None, Remedy.CLEAN_UP, INFRA),
    (goto("ERR_TOO_MANY_REDIRECTS"), X, 0, Remedy.SKIP, CONTENT),
    (goto("ERR_BLOCKED_BY_CLIENT"), X, 0, Remedy.SKIP, CONTENT),
    (goto("ERR_UNSAFE_PORT"), A, 0, Remedy.SKIP, CONTENT),
    (goto("ERR_UNKNOWN_URL_SCHEME"), A, 0, Remedy.SKIP, CONTENT),
    (goto("ERR_ABORTED"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("Page.goto: net::ERR_ABORTED; maybe frame was detached?"), A, None, Remedy.NEW_PAGE, CONTENT),
    (error("Page.goto: net::ERR_ABORTED at http://h/", status=204), A, 0, Remedy.SKIP, CONTENT),
    (goto("ERR_CACHE_MISS"), S, 2, Remedy.NEW_PAGE, INFRA),
    (goto("ERR_SOMETHING_NEW"), N, 2, Remedy.RETRY_SAME, INFRA),
    (seen(429, headers={"Retry-After": "7"}), X, None, Remedy.PARK_HOST, INFRA),
    (seen(503, headers={"Retry-After": "7"}), X, None, Remedy.PARK_HOST, INFRA),
    (seen(503), X, None, Remedy.RETRY_SAME, INFRA),
    (seen(408), X, None, Remedy.RETRY_SAME, INFRA),
    (seen(500), X, None, Remedy.RETRY_SAME, INFRA),
    (seen(522), X, None, Remedy.RETRY_SAME, INFRA),
    (seen(599), X, None, Remedy.RETRY_SAME, INFRA),
    (seen(501), X, 0, Remedy.SKIP, INFRA),
    (seen(526), X, 0, Remedy.SKIP, INFRA),
    (seen(401), X, 0, Remedy.ROTATE_IDENTITY, INFRA),
    (seen(403), X, 0, Remedy.ROTATE_IDENTITY, INFRA),
    (seen(404), X, 0, Remedy.SKIP, CONTENT),
    (seen(451), X, 0, Remedy.SKIP, CONTENT),
    (seen(400), A, 0, Remedy.SKIP, CONTENT),
    (seen(418), X, 0, Remedy.SKIP, CONTENT),
    (error("'NoneType' object has no attribute 'text'", "AttributeError", status=404), X, 0, Remedy.SKIP, CONTENT),
    (error("Page.goto: Timeout 30000ms exceeded.\nCall log:", "TimeoutError"), N, None, Remedy.NEW_PAGE, INFRA),
    (error("Timeout 30000ms exceeded.", "TimeoutError", api="page.reload"), N, None, Remedy.NEW_PAGE, INFRA),
    (error("APIRequestContext.get: Timeout 200ms exceeded.", "TimeoutError"), N, None, Remedy.NEW_PAGE, INFRA),
    (error("Timeout 30000ms exceeded.", "TimeoutError"), N, 2, Remedy.NEW_PAGE, INFRA),
    (error("Locator.click: Timeout 100ms exceeded.", "TimeoutError"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("Page.wait_for_selector: Timeout 1ms exceeded.", "TimeoutError"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (
        error('Page.expect_popup: Timeout 1ms exceeded while waiting for event "popup"', "TimeoutError"),
        A,
        2,
        Remedy.NEW_PAGE,
        CONTENT,
    ),
    (error("Locator expected to be visible\nActual value: None", "AssertionError"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error('Locator.click: Error: strict mode violation: locator("a")'), A, 0, Remedy.SKIP, CONTENT),
    (error('Page.query_selector: Unexpected token "" while parsing css selector "a["'), A, 0, Remedy.SKIP, CONTENT),
    (
        error("Page.goto: Protocol error (Page.navigate): Cannot navigate to invalid URL\nCall log:"),
        A,
        0,
        Remedy.SKIP,
        CONTENT,
    ),
    (error("Page.goto: Download is starting\nCall log:"), A, 0, Remedy.SKIP, CONTENT),
    (
        error('Page.goto: Navigation to "http://h/" is interrupted by another navigation to "http://i/"'),
        A,
        None,
        Remedy.NEW_PAGE,
        CONTENT,
    ),
    (
        error("Page.evaluate: Execution context was destroyed, most likely because of a navigation"),
        A,
        None,
        Remedy.RETRY_SAME,
        CONTENT,
    ),
    (error("Locator.click: Element is not attached to the DOM"), A, None, Remedy.RETRY_SAME, CONTENT),
    (error("Page.evaluate: ReferenceError: nope is not defined\n    at eval"), A, 0, Remedy.SKIP, CONTENT),
    (error("Page.goto: Page crashed"), B, 2, Remedy.NEW_PAGE, INFRA),
    (error("Page.evaluate: Target crashed"), B, 2, Remedy.NEW_PAGE, INFRA),
    (error("Page.evaluate: Target crashed", oom_delta=1), S, 2, Remedy.CLEAN_UP, INFRA),
    (error("", "ValueError", page_crashed=True), B, 2, Remedy.NEW_PAGE, INFRA),
    (error("", "ValueError", page_crashed=True, oom_delta=1), S, 2, Remedy.CLEAN_UP, INFRA),
    (error("page.goto: the page crashed", "PageGone"), B, 2, Remedy.NEW_PAGE, INFRA),
    (error("page.goto: the page crashed", "PageGone", oom_delta=2), S, 2, Remedy.CLEAN_UP, INFRA),
    (error(f"Page.title: {CLOSED}", "TargetClosedError"), A, None, Remedy.NEW_PAGE, INFRA),
    (error(f"Page.title: {CLOSED}", "TargetClosedError", browser_connected=True), A, None, Remedy.NEW_PAGE, INFRA),
    (error(f"Page.title: {CLOSED}", "TargetClosedError", browser_connected=False), B, None, Remedy.NEW_BROWSER, INFRA),
    (
        error(f"Page.title: {CLOSED}", "TargetClosedError", browser_connected=False, oom_delta=1),
        S,
        None,
        Remedy.CLEAN_UP,
        INFRA,
    ),
    (error("page.goto: browser ended", "BrowserGone"), B, None, Remedy.NEW_BROWSER, INFRA),
    (error("page.goto: browser ended", "BrowserGone", oom_delta=1), S, None, Remedy.CLEAN_UP, INFRA),
    (error("page.goto: driver ended", "DriverGone"), B, None, Remedy.NEW_DRIVER, INFRA),
    (
        error("Page.goto: Connection closed while reading from the driver", "Exception"),
        B,
        None,
        Remedy.NEW_DRIVER,
        INFRA,
    ),
    (error("page.title: no answer", "GuardTimeout", deadline_exceeded=True), B, None, Remedy.NEW_BROWSER, INFRA),
    (error("", "TimeoutError", deadline_exceeded=True), B, None, Remedy.NEW_BROWSER, INFRA),
    (error("", "TimeoutError"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (
        error("BrowserType.launch: Failed to launch chromium because executable doesn't exist at /x"),
        S,
        0,
        Remedy.ABORT_JOB,
        INFRA,
    ),
    (error("BrowserType.launch: Executable doesn't exist at /x"), S, 0, Remedy.ABORT_JOB, INFRA),
    (error("no browser found", "BrowserNotFound"), S, 0, Remedy.ABORT_JOB, INFRA),
    (error(f"BrowserType.launch: {CLOSED}", "TargetClosedError"), B, None, Remedy.NEW_BROWSER, INFRA),
    (
        error("BrowserType.connect_over_cdp: connect ECONNREFUSED 127.0.0.1:1", code="ECONNREFUSED"),
        B,
        None,
        Remedy.NEW_BROWSER,
        INFRA,
    ),
    (error("APIRequestContext.get: connect ECONNREFUSED 127.0.0.1:1"), N, None, Remedy.RETRY_SAME, INFRA),
    (error("APIRequestContext.get: getaddrinfo ENOTFOUND nope.invalid"), N, 2, Remedy.SKIP_HOST, INFRA),
    (error("self-signed certificate", code="DEPTH_ZERO_SELF_SIGNED_CERT"), X, 0, Remedy.SKIP_HOST, INFRA),
    (error("certificate has expired", code="CERT_HAS_EXPIRED"), X, 0, Remedy.SKIP_HOST, INFRA),
    (Failure.from_exception(ConnectionRefusedError(111, "Connection refused")), N, None, Remedy.RETRY_SAME, INFRA),
    (Failure.from_exception(ConnectionError("lost")), N, None, Remedy.RETRY_SAME, INFRA),
    (Failure.from_exception(OSError(28, "No space left on device")), S, None, Remedy.CLEAN_UP, INFRA),
    (Failure.from_exception(OSError(24, "Too many open files")), S, None, Remedy.CLEAN_UP, INFRA),
    (Failure.from_exception(MemoryError()), S, None, Remedy.CLEAN_UP, INFRA),
    (error("[Errno -2] Name or service not known", "gaierror"), N, 2, Remedy.SKIP_HOST, INFRA),
    (error("certificate verify failed", "SSLCertVerificationError"), X, 0, Remedy.SKIP_HOST, INFRA),
    (error("ran past 60 s", "HandlerTimeout", deadline_exceeded=True), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("loop blocked", "HandlerBlockedLoop"), A, 0, Remedy.SKIP, CONTENT),
    (error("SystemExit: 3", "HandlerRaisedBaseException"), A, 0, Remedy.SKIP, CONTENT),
    (error("tried to cancel 'actor', which is not its own", "HandlerCancelledOthers"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("the browser serves other items too", "HandlerClosedBrowser"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("Page.goto: Target page has been closed", "HandlerClosedPage"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("$.x is a set", "CheckpointNotSerializable"), A, 0, Remedy.SKIP, CONTENT),
    (error("invalid literal for int()", "ValueError"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("'score'", "KeyError"), A, 2, Remedy.NEW_PAGE, CONTENT),
    (error("Page.goto: never seen before"), U, 2, Remedy.NEW_PAGE, INFRA),
    (error("no score on the page", "ScoreMissing"), U, 2, Remedy.NEW_PAGE, CONTENT),
    (error("", code="-109"), N, None, Remedy.RETRY_SAME, INFRA),
    (error("", code=-9), S, 2, Remedy.RETRY_SAME, INFRA),
    (error("", code="-201"), X, 0, Remedy.SKIP_HOST, INFRA),
    (error("", code="-324"), N, 2, Remedy.NEW_PAGE, INFRA),
    (error("", code="-803"), N, 2, Remedy.SKIP_HOST, INFRA),
]


@pytest.mark.parametrize(
    ("failure", "category", "tries", "remedy", "stream"),
    TABLE,
    ids=[f"{row[0].type}-{row[0].status or ''}-{row[0].message[:50]}" for row in TABLE],
)
def test_known_failures_have_the_verdict_of_the_table(failure, category, tries, remedy, stream):
    """Each failure as it was seen gets its category, persistence, tries, remedy and stream."""
    verdict = FailureClassifier().classify(failure)
    assert (verdict.category, verdict.remedy, verdict.stream) == (category, remedy, stream)
    assert verdict.transient is (tries != 0)
    assert verdict.max_tries == (tries or None)


@pytest.mark.parametrize(
    "name", ["CancelledError", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "ActorDeadError"]
)
def test_control_flow_is_handed_on_and_not_counted(name):
    """What stops the program is no failure, whatever else was seen and whatever the user's patterns say."""
    classifier = FailureClassifier(transient=[".*"], retryable_status=[500])
    verdict = classifier.classify(Failure(name, "x", status=500, browser_connected=False))
    assert verdict.remedy is Remedy.PROPAGATE
    assert verdict.stream is Stream.UNCOUNTED
    assert not verdict.transient


def test_user_patterns_decide_only_whether_another_try_helps():
    """A user's pattern changes persistence and remedy; category and stream stay the table's."""
    classifier = FailureClassifier(transient=["no such team"], permanent=["connection.*refused"])
    verdict = classifier.classify(Failure("LookupError", "no such team"))
    assert (verdict.persistence, verdict.category, verdict.max_tries) == (Persistence.TRANSIENT, A, None)
    assert verdict.rule_id == "user:transient:no such team"
    verdict = classifier.classify(goto("ERR_CONNECTION_REFUSED"))
    assert (verdict.persistence, verdict.category, verdict.remedy) == (Persistence.PERMANENT, N, Remedy.SKIP)
    assert verdict.stream is INFRA


def test_permanent_patterns_win_over_transient_ones():
    """Where both match, the failure is final."""
    classifier = FailureClassifier(transient=["team"], permanent=["no such"])
    assert not classifier.classify(Failure("LookupError", "no such team")).transient


def test_user_patterns_see_type_first_line_and_status_but_no_url():
    """A pattern like 404 matches the status, and neither a URL nor the call log."""
    classifier = FailureClassifier(permanent=["404"], transient=["assertion"])
    assert classifier.classify(Failure("Error", "x", status=404)).rule_id == "user:permanent:404"
    quiet = Failure("Error", "Page.goto: net::ERR_CONNECTION_RESET at http://h/404\nCall log: 404")
    assert classifier.classify(quiet).rule_id == "connection"
    assert classifier.classify(Failure("AssertionError")).rule_id == "user:transient:assertion"


def test_user_words_cannot_keep_a_dead_browser_alive():
    """Frozen and dead machinery keeps its verdict under any pattern."""
    classifier = FailureClassifier(transient=["timeout"], permanent=["browser"], non_retryable_status=[200])
    for failure in (
        Failure("GuardTimeout", "browser: timeout", deadline_exceeded=True, status=200),
        Failure("BrowserGone", "browser timeout", status=200),
    ):
        assert classifier.classify(failure).remedy is Remedy.NEW_BROWSER


def test_user_statuses_overrule_the_table():
    """A status that the user lists is final or not as listed; the others stay as they were."""
    classifier = FailureClassifier(retryable_status=[404, 403], non_retryable_status=[500])
    assert classifier.classify(seen(404)).remedy is Remedy.RETRY_SAME
    assert classifier.classify(seen(404)).transient
    assert classifier.classify(seen(403)).remedy is Remedy.ROTATE_IDENTITY
    assert not classifier.classify(seen(500)).transient
    assert classifier.classify(seen(502)).transient
    assert not classifier.classify(seen(410)).transient


def test_permanent_words_keep_a_remedy_that_is_no_retry():
    """A host to skip stays a host to skip."""
    verdict = FailureClassifier(permanent=["not_resolved"]).classify(goto("ERR_NAME_NOT_RESOLVED"))
    assert (verdict.transient, verdict.remedy) == (False, Remedy.SKIP_HOST)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"transient": "timeout"}, r"single string 'timeout'"),
        ({"permanent": ["("]}, r"'\(' is not a regular expression"),
        ({"permanent": [""]}, "1 to 500 characters, got ''"),
        ({"transient": ["x" * 501]}, "1 to 500 characters"),
        ({"transient": [404]}, "got 404"),
        ({"retryable_status": [99]}, "from 100 to 999, got 99"),
        ({"retryable_status": ["500"]}, "got '500'"),
        ({"retryable_status": [True]}, "got True"),
        ({"retryable_status": [500], "non_retryable_status": [500]}, r"\[500\] in both"),
        ({"rules": ["timeout"]}, r"FailureClassifier\.rules must be a list of Rule, got 'timeout' in it"),
    ],
)
def test_a_wrong_classifier_says_what_is_wrong(options, said):
    """An error names the pattern or status and what is allowed."""
    with pytest.raises(ValueError, match=said):
        FailureClassifier(**options)


def test_rules_of_ones_own_may_come_before_the_table():
    """A row put first decides first."""
    mine = Rule(Verdict(X, Persistence.TRANSIENT, Remedy.PARK_HOST, CONTENT, "captcha"), text="captcha", apis={"goto"})
    classifier = FailureClassifier(rules=(mine, *FailureClassifier().rules))
    assert classifier.classify(Failure("ValueError", "captcha shown", api="page.goto")).rule_id == "captcha"
    assert classifier.classify(Failure("ValueError", "captcha shown")).rule_id == "handler_error"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text": "("}, r"the pattern '\(' of a Rule is not a regular expression"),
        ({"codes": ""}, "a Rule must be a string of 1 to 2000 characters, got ''"),
        ({"text": 5}, "got 5"),
        ({"oom": 1}, r"Rule\.oom must be a bool, got 1"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(options, said):
    """An error names the pattern or field."""
    with pytest.raises(ValueError, match=said):
        Rule(Verdict(X, Persistence.TRANSIENT, Remedy.PARK_HOST, CONTENT, "captcha"), **options)


def test_patterns_may_be_compiled_already():
    """Only their text counts; case never does."""
    classifier = FailureClassifier(permanent=[re.compile("no such TEAM")])
    assert not classifier.classify(Failure("LookupError", "No such team")).transient
    rule = Rule(Verdict(X, Persistence.TRANSIENT, Remedy.PARK_HOST, CONTENT, "captcha"), text=re.compile("captcha"))
    assert FailureClassifier(rules=[rule]).classify(Failure("E", "captcha!")).rule_id == "captcha"


class Unreadable(Exception):
    """Its text raises, and so does what else can be asked of it."""

    @property
    def status(self):
        raise RuntimeError("no status")

    def __str__(self):
        raise RuntimeError("no text")


class Response:
    """What httpx and requests put on their exceptions."""

    status_code = 503
    headers = {"Retry-After": "3"}  # noqa: RUF012 - stands for an instance's


class HTTPStatusError(Exception):
    """An HTTP client's."""

    response = Response()


class LostConnectionError(ConnectionResetError):
    """A library's own, of a builtin's family."""


@pytest.mark.parametrize(
    ("raised", "rule"),
    [
        (TimeoutError("timed out"), "timeout"),
        (LostConnectionError("gone"), "connection"),
        (HTTPStatusError("503 Service Unavailable"), "status:503_retry_after"),
        (urllib.error.HTTPError("http://h", 429, "x", email.message.Message(), None), "status:429"),
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "connection"),
        (urllib.error.URLError("unknown url type"), "unknown"),
        (ExceptionGroup("tasks", [ExceptionGroup("more", [OSError(28, "No space")]), KeyError("x")]), "resources"),
        (BaseExceptionGroup("tasks", [asyncio.CancelledError(), KeyError("x")]), "handler_error"),
        (BaseExceptionGroup("tasks", [asyncio.CancelledError()]), "control_flow"),
        (asyncio.CancelledError(), "control_flow"),
        (Unreadable(), "unknown"),
        (OSError(12, "Cannot allocate memory"), "resources"),
    ],
)
def test_exceptions_of_python_and_of_http_clients_are_known(raised, rule):
    """By the classes they extend, by status and headers wherever a library puts them, by what a group holds."""
    assert FailureClassifier().classify(Failure.from_exception(raised)).rule_id == rule


def test_a_bottomless_group_has_facts_too():
    """Only so many groups within groups are opened."""
    raised = ValueError("x")
    for _ in range(30):
        raised = ExceptionGroup("group", [raised])
    assert Failure.from_exception(raised).type == "ExceptionGroup"
    assert Failure.from_exception(Unreadable()).message == "its text cannot be read"


def test_two_megabytes_of_message_are_classified():
    """Only a bounded part of the text is looked at, however it is built."""
    for text in ("a://" * 500_000, "x" * 2_000_000, "Page.goto: " * 200_000):
        assert FailureClassifier().classify(Failure("Error", text)).category is U


def test_facts_are_taken_from_any_exception():
    """Class name, message, code and errno are read without knowing the class; facts given win."""

    class PlaywrightLike(Exception):
        message = "APIRequestContext.get: connect ECONNRESET"
        code = "ECONNRESET"

    failure = Failure.from_exception(PlaywrightLike("other"), status=502, headers={"Retry-After": 3})
    assert failure == Failure(
        "PlaywrightLike",
        "APIRequestContext.get: connect ECONNRESET",
        "ECONNRESET",
        502,
        {"retry-after": "3"},
    )
    assert Failure.from_exception(OSError("no number")).code is None
    assert Failure.from_exception(PlaywrightLike(), code="net::ERR_FAILED").code == "net::ERR_FAILED"
    with pytest.raises(TypeError, match="colour"):
        Failure.from_exception(ValueError(), colour="red")


def test_a_failure_is_bounded():
    """Message and headers are cut, so that one failure cannot fill a checkpoint."""
    failure = Failure("Error", "x " * 100_000, headers={"Big": "y" * 100_000})
    assert len(failure.message) == 4000
    assert Failure("Error", f"at http://{'x' * 100_000} again").message == f"at http://{'x' * 293} again"
    assert len(failure.headers["big"]) == 512
    with pytest.raises(ValueError, match=r"Failure\.status must be a whole number from 0 to 999, got '200'"):
        Failure("Error", status="200")
