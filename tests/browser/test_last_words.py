"""Why a browser did not start, out of what Playwright tells about it."""

import pytest

from scorewise_actors.browser.errors import GuardTimeout
from scorewise_actors.browser.last_words import last_words

HEAD = "BrowserType.launch: Target page, context or browser has been closed\nBrowser logs:\n\n"
LAUNCHED = "<launching> /opt/a b/chrome --disable-x --no-sandbox\n<launched> pid=7\n"
DBUS = "[pid=7][err] [1125/2309.9:ERROR:dbus/bus.cc:405] Failed to connect to the bus: no such socket\n"
FATAL = "[pid=7][err] [1125/2309.9:FATAL:base/pump.cc:142] Check failed: . : Too many open files (24)\n"
LOADER = "[pid=7][err] chrome: error while loading shared libraries: libnss3.so\n"
EXIT = "Call log:\n  - [pid=7] <process did exit: exitCode=3, signal=null>\n"
SIGNAL = "Call log:\n  - [pid=7] <process did exit: exitCode=null, signal=SIGTRAP>\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + LAUNCHED + DBUS + LOADER + FATAL + EXIT, "Check failed: . : Too many open files (24)"),
        (
            HEAD + LAUNCHED + DBUS + LOADER + EXIT,
            "chrome: error while loading shared libraries: libnss3.so",
        ),
        (HEAD + LAUNCHED + DBUS + EXIT, "it ended at once with exit code 3"),
        (HEAD + LAUNCHED + SIGNAL, "it ended at once by SIGTRAP"),
        (HEAD + LAUNCHED, "BrowserType.launch: Target page, context or browser has been closed"),
    ],
)
def test_the_line_that_tells_most_is_taken(text, words):
    """A fatal line, the loader's line, the exit code, the error itself: in this order. Noise is left out."""
    assert last_words(RuntimeError(text)) == f"/opt/a b/chrome does not start: {words}"


def test_an_error_of_our_own_is_its_own_reason():
    """A deadline that passed, or an error without a text."""
    assert last_words(GuardTimeout("BrowserType.launch", 33.0)) == (
        "the browser does not start: BrowserType.launch: no answer within 33 s"
    )
    assert last_words(RuntimeError()) == "the browser does not start: nobody says why"
    assert len(last_words(RuntimeError("x" * 10_000))) < 400
