"""URLs of pages: which ones a browser can be sent to, which of them are the same page, and whose they are."""

import ipaddress
import re
import unicodedata
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_IN_A_HOST = re.compile(r"[\x00-\x20\x7f\"#%/:<>?@\[\\\]^`{|}]")
"""WHATWG URL: forbidden domain code points, and what no resolver knows. Percent-encoded hosts are left out too."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CANONICAL = re.compile(r"https?://[a-z0-9.-]+/[^?#]*(\?[^#]+)?")
"""Most URLs are so written already, and a job may have a million."""
_PLAIN_PLACE = re.compile(r"https?://([a-z0-9.-]+)(?=[/?#]|\Z)")
"""Most hosts are so written already, and a frontier asks for that of each item."""
_ROUTES = ("/", "!")
"""A fragment that begins with one of these is the address of a page within a single-page application."""


def check_url(value: Any) -> None:
    """Raise ``ValueError`` that names ``value`` and says why no page can be there."""
    _check_text(value)
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no URL: {error}") from None
    match parts.scheme.lower():
        case "http" | "https":
            _check_place(value, parts)
        case "data":
            if "," not in value:
                raise ValueError(f"{value!r} has no comma, which comes before the content of a data: URL")
        case "file":
            if parts.netloc.lower() not in ("", "localhost") or not parts.path.startswith("/"):
                raise ValueError(f"{value!r} names no local file; write file:///absolute/path")
        case "chrome":
            pass
        case "javascript":
            raise ValueError(f"{value!r} is a script and no page; run it in the handler with page.evaluate")
        case _:
            raise ValueError(f"must begin with http://, https://, file:// or data:, got {value!r}")


def canonical_url(url: str) -> str:
    """The URL that identifies a page: two URLs of one page give the same.

    Scheme and host in lower case and Unicode (``xn--`` names are decoded), IPv6 addresses in their short form, default
    port dropped. Name and password keep their case. The fragment is dropped, but for one that begins with ``/`` or
    ``!``: that is a page of its own within a single-page application. What cannot be taken apart is its own identity.
    """
    if _CANONICAL.fullmatch(url) and "xn--" not in url:
        return url
    try:
        parts = urlsplit(url)
        place = _place(parts)
    except ValueError:
        return url
    scheme = parts.scheme.lower()
    fragment = parts.fragment if parts.fragment.startswith(_ROUTES) and scheme != "data" else ""
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit((scheme, user + at + place, parts.path or "/", parts.query, fragment))


def place_of(url: str) -> str:
    """Host and port, as ``canonical_url`` writes them: what is parked when a server asks for a pause, or fails."""
    plain = _PLAIN_PLACE.match(url)
    if plain is not None and "xn--" not in plain[1]:
        return plain[1]
    try:
        return _place(urlsplit(url))
    except ValueError:
        return url


def _check_text(value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, got {value!r}")  # noqa: TRY004 - one error class for all that is no URL
    if value.isascii() and value.isprintable() and " " not in value:
        return
    if any(character.isspace() for character in value):
        raise ValueError(f"{value!r} contains white space; percent-encode it")
    if found := _CONTROL.search(value):
        raise ValueError(f"{value!r} contains the control character {found.group()!r}; percent-encode it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{value!r} contains half a surrogate pair, which no URL can hold") from None


def _check_place(value: str, parts: SplitResult) -> None:
    host = parts.hostname
    if not host:
        raise ValueError(f"{value!r} names no host")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"{value!r} has a bad port; it must be a whole number from 1 to 65535")
    if "[" in parts.netloc.rpartition("@")[2]:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError as error:
            raise ValueError(f"{value!r} has a bad IPv6 address: {error}") from None
        if address.scope_id is not None:
            raise ValueError(f"{value!r} names a network interface (%), which no browser accepts")
        return
    if found := _NOT_IN_A_HOST.search(host):
        raise ValueError(f"{value!r} has {found.group()!r} in its host")
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        raise ValueError(f"{value!r} has an empty part in its host, between or before dots")
    if len(host) > 253 or any(len(label) > 63 for label in labels):
        raise ValueError(f"{value!r} has a host that is too long; 253 letters, and 63 between dots, are the limit")


def _place(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{ipaddress.IPv6Address(host).compressed}]"
    else:
        host = unicodedata.normalize("NFKC", host).lower()
        host = ".".join(_decoded(label) for label in host.split("."))
    port = parts.port
    return host if port in (None, _DEFAULT_PORTS.get(parts.scheme.lower())) else f"{host}:{port}"


def _decoded(label: str) -> str:
    """An ``xn--`` name in its own letters. Exact whatever the edition of IDNA, which the way there is not."""
    if not label.startswith("xn--"):
        return label
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        return label
