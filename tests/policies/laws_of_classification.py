"""The laws of classification: total, linear, blind to URLs and deaf to pages."""

import json
import time

from hypothesis import given
from hypothesis import strategies as st
from laws import Bug, examples, law

MESSAGES = (
    "Page.goto: net::ERR_CONNECTION_REFUSED at {url}",
    "Page.goto: net::ERR_CERT_DATE_INVALID at {url}",
    'Page.goto: Timeout 30000ms exceeded.\nCall log:\n  - navigating to "{url}"',
    'Page.goto: Navigation to "{url}" is interrupted by another navigation to "{url}"',
    "Page.goto: Page crashed",
    "something odd at {url}",
    "{url}",
)
POISON = (
    "",
    "timeout",
    "404",
    "net::ERR_ABORTED",
    "Page%20crashed",
    "Target page has been closed",
    "x" * 3000,
    "y" * 100_000,
)


@law(
    Bug("failures", '_LONG_WORD.sub(r"\\1", str(text))', "str(text)"),
    Bug("rules", '_URL.sub("<url>", ', "str("),
)
def no_url_changes_a_verdict(p):
    classifier = p.FailureClassifier(transient=["timeout", "crash"], permanent=["404", "abort"])

    @examples
    @given(
        st.sampled_from(["http://h/", "https://h:81/", "data:text/html,", "blob:http://h/"]),
        st.from_regex(r"\A[a-zA-Z0-9_%/?=&.:-]{0,60}\Z"),
        st.sampled_from(POISON),
        st.sampled_from(["Error", "TimeoutError", "ValueError"]),
    )
    def check(scheme, path, poison, kind):
        for message in MESSAGES:
            said = message.format(url=scheme + path + poison.replace(" ", "%20"))
            plain = message.format(url="http://h/")
            assert classifier.classify(p.Failure(kind, said)) == classifier.classify(p.Failure(kind, plain))

    check()


@law(
    Bug("rules", "failure.browser_connected is False", "failure.browser_connected is False and reading.number > 5"),
    Bug("classify", "if rule is not None and rule.firm", "if rule.firm"),
)
def everything_has_a_verdict(p):
    classifier = p.FailureClassifier(transient=["timeout"], permanent=["404"])

    @examples
    @given(
        st.text(max_size=20),
        st.text(max_size=300),
        st.none() | st.text(max_size=20),
        st.none() | st.integers(100, 999),
        st.none() | st.booleans(),
    )
    def check(kind, message, code, status, connected):
        failure = p.Failure(kind, message, code, status, browser_connected=connected)
        verdict = classifier.classify(failure)
        assert isinstance(verdict, p.Verdict)
        assert p.Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
        assert p.Failure.from_json(json.loads(json.dumps(failure.to_json()))) == failure

    check()


@law(
    Bug("rules", "None if api in SCRIPT_APIS else _NET", "_NET"),
    Bug("rules", "self.text.match(reading.line)", "self.text.search(reading.line)"),
)
def page_text_cannot_pass_for_a_dead_machine(p):
    @examples
    @given(
        st.sampled_from(["", "Error: ", "TypeError: ", "Uncaught ", "x "]),
        st.sampled_from(
            ["Target crashed", "net::ERR_OUT_OF_MEMORY", "Connection closed while reading from the driver"]
        ),
    )
    def check(start, text):
        if (start, text) == ("", "Target crashed"):
            return  # not to be told from Playwright's own; it costs a page and one more try
        verdict = p.FailureClassifier().classify(p.Failure("Error", f"Page.evaluate: {start}{text}"))
        assert (verdict.category, verdict.rule_id) == (p.Category.APPLICATION, "page_script")

    check()


class Hostile(Exception):
    """Everything that can be read of it is of the wrong kind, or raises what it was told to."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __str__(self):
        raise ValueError("no text")

    def __getattribute__(self, name):
        if name in {"message", "code", "errno", "status", "status_code", "headers", "response", "exceptions", "reason"}:
            found = object.__getattribute__(self, "found")
            if isinstance(found, BaseException):
                raise found
            return found
        return object.__getattribute__(self, name)


class HostileOs(Hostile, OSError):
    pass


class URLError(Hostile):
    pass


@law(
    Bug(
        "exception_facts",
        "except BaseException:  # noqa: BLE001 - a property of",
        "except ValueError:  # a property of",
    ),
    Bug(
        "short_text",
        "except BaseException:  # noqa: BLE001 - foreign code: who",
        "except TypeError:  # foreign code: who",
    ),
    Bug("exception_facts", "except BaseException:  # noqa: BLE001 - an object", "except ValueError:  # an object"),
    Bug("exception_facts", " and 100 <= status <= 999", ""),
)
def every_exception_has_facts(p):
    kinds = [RuntimeError("x"), AttributeError("x"), len, object(), ExceptionGroup("x", [OSError(28, "x")])]
    junk = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.binary(max_size=5)
        | st.lists(st.integers(), max_size=3)
        | st.dictionaries(st.text(max_size=3), st.integers(), max_size=3)
        | st.sampled_from(kinds)
    )

    @examples
    @given(st.sampled_from([Hostile, HostileOs, URLError]), junk, st.integers(0, 3))
    def check(kind, found, depth):
        raised = kind(found)
        for _ in range(depth):
            raised = ExceptionGroup("group", [raised])
        failure = p.Failure.from_exception(raised)
        assert p.Failure.from_json(json.loads(json.dumps(failure.to_json()))) == failure
        assert isinstance(p.FailureClassifier().classify(failure), p.Verdict)

    check()


@law(
    Bug("failures", "{{{WORD_LIMIT}}})[^\\s\\\"'<>]+", "{{{WORD_LIMIT}}})(?:(?=[^\\s\\\"'<>]*)[^\\s\\\"'<>])+"),
    Bug("failures", "(?<![^\\s\\\"'<>])([^", "([^\\s]*?)!([^"),
)
def reading_takes_time_in_proportion_to_the_text(p):
    def cost(length, text):
        def once():
            begin = time.process_time()
            p.FailureClassifier().classify(p.Failure("Error", text(length)))
            return time.process_time() - begin

        return min(once() for _ in range(3))

    floor = 0.002
    for text in (lambda n: "x" * n, lambda n: ("y" * 299 + " ") * (n // 300), lambda n: "a://" * (n // 4)):
        assert cost(6_000, text) < 10 * max(floor, cost(600, text))
