"""What the browser layer raises when its own machinery fails.

Everything here means "the call was given up", never "the page answered with an error": what the page, the site or
Playwright said passes through untouched.
"""


class BrowserLayerError(Exception):
    """Base of all errors of this layer."""


class GuardTimeout(BrowserLayerError):  # noqa: N818 - the name that failure classification knows
    """A call did not return within our own deadline. Nothing tells why: ask :func:`~.failures.diagnose`.

    ``what`` is the call (``"Page.goto"``), ``seconds`` the deadline that passed.
    """

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.what = what
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.what}: no answer within {self.seconds:g} s"


class GoneError(BrowserLayerError):
    """The thing that had to answer is dead. ``what`` is the call, ``reason`` how the death was noticed."""

    subject = "target"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what}: the {self.subject} is gone ({self.reason})"


class PageGone(GoneError):  # noqa: N818 - the name that failure classification knows
    """The page crashed, or it serves another item by now. The browser lives."""

    subject = "page"


class BrowserGone(GoneError):  # noqa: N818 - the name that failure classification knows
    """The browser process ended, was killed or disconnected. The driver lives and can launch another."""

    subject = "browser"


class DriverGone(GoneError):  # noqa: N818 - the name that failure classification knows
    """Playwright's driver process ended. Nothing that it served can be used again; start a new driver."""

    subject = "driver"


def is_target_closed(error: BaseException) -> bool:
    """Whether Playwright says that what a call was for is closed or has crashed. It does not say which of them, and
    does not export the class.
    """
    return type(error).__name__ == "TargetClosedError"


class BrowserNotFound(BrowserLayerError):  # noqa: N818 - reads as a fact, like the others
    """No browser on this machine. ``looked_at`` are the places tried, ``remedies`` the commands that mend it."""

    def __init__(self, looked_at: tuple[str, ...], remedies: tuple[str, ...]) -> None:
        super().__init__(looked_at, remedies)
        self.looked_at = looked_at
        self.remedies = remedies

    def __str__(self) -> str:
        places = "\n".join(f"  - {place}" for place in self.looked_at)
        commands = "\n".join(f"  $ {command}" for command in self.remedies)
        return f"no Chromium or Chrome was found. Looked at:\n{places}\nOne of these mends it:\n{commands}"


class DidNotStart(BrowserLayerError):  # noqa: N818 - reads as a fact, like the others
    """A browser or driver that is there does not start. The text names it and says why, as far as it told."""
