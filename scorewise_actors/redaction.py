"""Secrets are taken out of texts and values before they reach a log record, an event or a report.

What counts as secret: cookies (headers, and what Playwright's ``cookies`` and ``storage_state`` hold),
``Authorization`` and API key headers, bearer and basic credentials, the user part of URLs, query parameters and mapping
keys that are usually called by a secret's name, and ``key`` and ``code`` in a query, though not elsewhere. Everything
else is left as it is.
"""

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
"""What stands in for a secret."""

_PART = (
    r"(?:password|passwd|passphrase|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key"
    r"|credential|sess(?:ion)?[_\-]?id|signature)"
)
_WHOLE = (
    r"(?:pwd|auth|authorization|proxy-authorization|cookies?|set-cookie|storage_?state|x-api-key|jwt|sid|sig|otp|csrf"
    r"|xsrf|code_verifier)"
)
# bounded, and begun at the edge of a word only: the time must not grow with the square of a page's text
_NAME = rf"(?:[\w.\-]{{0,40}}?{_PART}[\w.\-]{{0,40}}|{_WHOLE})"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookies?|storage_?state)(\"?'?\s{0,3}[:=]\s{0,3})[^\r\n]+", re.IGNORECASE
)
_SCHEME = re.compile(r"\b(bearer|basic|digest|token)(\s{1,3})[A-Za-z0-9\-._~+/=]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(?<![a-z0-9+.\-])([a-z][a-z0-9+.\-]{0,30}://)[^\s/?#\"'<>]{1,2000}@", re.IGNORECASE)
_USERINFO_ALONE = re.compile(r"(?<![\w:/])(//)[^\s/?#\"'<>@:]{0,200}:[^\s/?#\"'<>]{1,2000}@")
_QUERY = re.compile(r"((?:[?&#;]|%3[fF]|%26)(?:key|code)(?:=|%3[dD]))[^\s&#;\"'<>]+", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(?<![\w.\-])({_NAME})([\"']?\s?(?:=|:|%3[dD])\s?)(\"[^\"\r\n]*\"|'[^'\r\n]*'|[^\s&#;,\"'<>)}}\]]+)",
    re.IGNORECASE,
)
_MAX_DEPTH = 20


def redact_text(text: str) -> str:
    """`text` without the secrets that can be told by their form. Applied twice it gives the same."""
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _USERINFO_ALONE.sub(rf"\1{MASK}@", text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    text = _ASSIGNED.sub(rf"\1\2{MASK}", text)
    return _SCHEME.sub(rf"\1\2{MASK}", text)


def is_secret_name(name: object) -> bool:
    """Whether what goes by this name (a header, a query parameter, a key) is taken for a secret."""
    return isinstance(name, str) and _SECRET_NAME.fullmatch(name.strip()) is not None


def redact(value: Any, *, _depth: int = 0) -> Any:
    """A copy of plain `value` without secrets: values of secret names in mappings, and what `redact_text` finds.

    Lists, tuples and sets become lists; a value of another type is returned as it is. What is nested deeper than 20
    levels is masked as a whole.
    """
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset) and _depth >= _MAX_DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {
            redact_text(key) if isinstance(key, str) else key: MASK
            if is_secret_name(key) and item is not None
            else redact(item, _depth=_depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, _depth=_depth + 1) for item in value]
    return value
