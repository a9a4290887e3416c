"""Why a browser did not start, in one sentence, from the pages that Playwright writes about it."""

import re

from playwright.async_api import Error as PlaywrightError

_LONGEST = 300
_SAID = re.compile(r"^(?:  - )?\[pid=\d+\]\[err\] (.+)$", re.MULTILINE)
_LAUNCHED = re.compile(r"<launching> (.+?) --")
_EXIT = re.compile(r"<process did exit: exitCode=(\w+), signal=(\w+)>")
_FATAL = re.compile(r"^\[[^\]]*:FATAL:[^\]]*\] ")
_LOGGED = re.compile(r"^\[[^\]]*:(?:VERBOSE\d*|INFO|WARNING|ERROR):[^\]]*\] ")


def last_words(error: Exception) -> str:
    """``/path/chrome does not start: <what it said last>``.

    What ended it stands in a line that Chromium calls fatal, or in one that is not Chromium's own (the loader's, for a
    library that is missing); after that its exit code tells, and at last the first line of the error.
    """
    text = error.message if isinstance(error, PlaywrightError) else str(error)
    launched = _LAUNCHED.search(text)
    subject = launched.group(1) if launched else "the browser"
    return f"{subject} does not start: {_reason(text)}"


def _reason(text: str) -> str:
    said = _SAID.findall(text)
    for line in said:
        if _FATAL.match(line):
            return _FATAL.sub("", line)[:_LONGEST]
    for line in said:
        if not _LOGGED.match(line):
            return str(line)[:_LONGEST]
    if ended := _EXIT.search(text):
        code, signal = ended.groups()
        return f"it ended at once by {signal}" if code == "null" else f"it ended at once with exit code {code}"
    return (text.strip().splitlines() or ["nobody says why"])[0][:_LONGEST]
