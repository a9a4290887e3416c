"""``BrowserOptions``: everything that may differ between two browsers, checked when it is written down."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import attrs

from policies.validation import integer, seconds

Isolation = Literal["reset", "none", "page", "context"]
"""What separates two items that use the same page slot.

- ``reset``: the page is reused and wiped in between: cookies, all storage, ``window.name``, timers, history (about
  5-10 ms).
- ``none``: the page is reused as it is. Only what would break the next item is undone: listeners, routes, popups.
- ``page``: a new page for each item; cookies and storage stay, as in one browser window.
- ``context``: a new context for each item: nothing is shared, not even the HTTP cache. The dearest.
"""

DISABLED_BY_PLAYWRIGHT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "TcpPortRandomizationWin",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "msForceBrowserSignIn",
    "msEdgeUpdateLaunchServicesPreferredVersion",
)
"""Features that Playwright 1.65 disables. Chromium heeds only the last ``--disable-features``, so ours must repeat
them."""

_DISABLED_BY_US = (
    "Translate",
    "AutofillServerCommunication",
    "CertificateTransparencyComponentUpdater",
    "DnsOverHttps",
)

_QUIET = (  # no connection leaves the machine but those that pages ask for
    "--disable-client-side-phishing-detection",
    "--disable-domain-reliability",
    "--no-pings",
)

_DISABLE_FEATURES = "--disable-features="


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _size(instance: object, attribute: "attrs.Attribute[tuple[int, int]]", value: tuple[int, int]) -> None:
    pair = isinstance(value, tuple) and len(value) == 2
    if not pair or not all(type(side) is int and 1 <= side <= 10_000 for side in value):
        raise ValueError(
            f"{type(instance).__name__}.{attribute.name} must be (width, height), each 1 to 10000 px, not {value!r}"
        )


def _texts(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError(f"expected a sequence of texts, not the one text {value!r}; write ({value!r},)")
    return tuple(value)


def _switches(instance: object, attribute: "attrs.Attribute[tuple[str, ...]]", value: tuple[str, ...]) -> None:
    for switch in value:
        if not isinstance(switch, str) or not switch.startswith("-"):
            raise ValueError(
                f"{type(instance).__name__}.{attribute.name} holds {switch!r}, not a switch such as '--lang=de'"
            )
        if switch.startswith(("--user-data-dir", "--remote-debugging")):
            raise ValueError(
                f"{type(instance).__name__}.{attribute.name} holds {switch!r}, which this layer sets; leave it out"
            )


def _isolation(instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if value not in get_args(Isolation):
        raise ValueError(
            f"{type(instance).__name__}.{attribute.name} must be one of {', '.join(get_args(Isolation))}, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class BrowserOptions:
    """How a browser is started and how its pages are kept. All times in seconds."""

    executable: str | None = None
    """Path of a browser; None: the best one found (see :func:`~.executables.find_executable`)."""
    viewport: tuple[int, int] = attrs.field(default=(800, 600), converter=_pair, validator=_size)
    """Page size in pixels. Small is cheap: 320x240 saves an eighth of the CPU where layout does not matter."""
    args: tuple[str, ...] = attrs.field(default=(), converter=_texts, validator=_switches)
    """More switches for the browser; ``--disable-features=`` is merged with ours and Playwright's."""
    block_urls: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    """URL patterns that are never loaded (``*`` matches anything), blocked inside the browser: ``("*.png",
    "*ads*")``."""
    user_agent: str | None = None
    locale: str | None = None
    accept_downloads: bool = False
    """False stops a download at once; otherwise it goes on even when nobody waits for it."""
    isolation: Isolation = attrs.field(default="reset", validator=_isolation)
    pages_before_replace: int = attrs.field(default=25, validator=integer(1))
    """Items after which a page is replaced by a new one, so that its renderer does not grow."""
    items_before_new_context: int = attrs.field(default=500, validator=integer(1))
    """Items after which the slot's context is replaced too; contexts grow slower by age. It costs the HTTP cache."""
    sandbox: bool | None = None
    """Chromium's sandbox; None: on, but off as root, where Chromium refuses to start with it."""
    extra_context: Mapping[str, Any] = attrs.field(factory=dict)
    """More keyword arguments for Playwright's ``Browser.new_context``."""
    navigation_timeout: float = attrs.field(default=30.0, validator=seconds())
    operation_timeout: float = attrs.field(default=15.0, validator=seconds())
    """For each call that is not a navigation, also where Playwright knows no timeout (``evaluate``, ``content``)."""
    close_timeout: float = attrs.field(default=2.0, validator=seconds())
    launch_timeout: float = attrs.field(default=30.0, validator=seconds())
    """For a browser to start, and for each new context and page to open."""
    heartbeat_interval: float = attrs.field(default=1.0, validator=seconds())
    heartbeat_deadline: float = attrs.field(default=5.0, validator=seconds())

    def launch_args(self) -> tuple[str, ...]:
        """The switches for the browser, beyond Playwright's own."""
        features = [*DISABLED_BY_PLAYWRIGHT, *_DISABLED_BY_US]
        others = []
        for switch in self.args:
            if switch.startswith(_DISABLE_FEATURES):
                features += switch.removeprefix(_DISABLE_FEATURES).split(",")
            else:
                others.append(switch)
        return (*_QUIET, _DISABLE_FEATURES + ",".join(_unique(features)), *others)

    def use_sandbox(self) -> bool:
        """Whether Chromium's sandbox is to be on for this process's user."""
        return os.geteuid() != 0 if self.sandbox is None else self.sandbox

    def context_arguments(self) -> dict[str, Any]:
        """Keyword arguments for Playwright's ``Browser.new_context``."""
        width, height = self.viewport
        arguments: dict[str, Any] = {
            "viewport": {"width": width, "height": height},
            "accept_downloads": self.accept_downloads,
            "user_agent": self.user_agent,
            "locale": self.locale,
        }
        return {name: value for name, value in arguments.items() if value is not None} | dict(self.extra_context)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))
