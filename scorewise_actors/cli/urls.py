"""The URL file: one URL per line, or one request as a JSON object; every line is checked before anything starts."""

import json
import sys
from pathlib import Path
from typing import Any

from scorewise_actors.errors import ConfigurationError
from scorewise_actors.job import Request

STDIN = "-"


def read_requests(source: str) -> list[Request]:
    """The requests in a file, or on stdin for ``-``. Blank lines and lines that begin with ``#`` are left out.

    Raises ``ConfigurationError`` that names file, line number and value.
    """
    name = "stdin" if source == STDIN else source
    if source == STDIN and sys.stdin is None:
        raise ConfigurationError("--urls - is stdin, which is closed; give it the URLs, or name a file")
    try:
        content = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--urls {name} cannot be read: {error.strerror}") from error
    requests = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            text = line.decode().strip()
            if text and not text.startswith("#"):
                requests.append(_request(text))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"--urls {name}, line {number}: {error}") from error
    if not requests:
        raise ConfigurationError(f"--urls {name} holds no URL; give one per line")
    return requests


def _request(text: str) -> Request:
    if not text.startswith("{"):
        return Request(text)
    try:
        return Request.from_json(_parsed(text))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{text[:80]!r} is no JSON object: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{text[:80]!r} is nested too deeply") from None
    except TypeError as error:
        raise ConfigurationError(f"{text[:80]!r} is no request ({error}); fields are {_FIELDS}") from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        digits = sys.get_int_max_str_digits()
        raise ConfigurationError(
            f"{text[:80]!r} has a number of more than {digits} digits, more than are read; put it in quotes, as a text"
        ) from None


_FIELDS = "url, label, user_data, unique_key, max_retries"
