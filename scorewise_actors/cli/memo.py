"""What ``resume`` needs to know about a run: ``run.json`` in the job's folder, written by whoever has the job's lock.

It holds no secret: keys come from the environment each time.
"""

import json
from pathlib import Path
from typing import Any, Self

import attrs

from scorewise_actors.checkpoints import CheckpointStorageError
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.export import replaced_file

FILE = "run.json"
_VERSION = 1
_REMEDY = "start the job with 'scorewise run' and its --job-id"


@attrs.frozen
class Memo:
    """One run as it was asked for."""

    handler: str
    """``MODULE:HANDLER``"""
    folder: str
    """Where modules are found and relative paths begin."""
    out: str
    """Absolute path of the results file."""
    urls: str | None
    """Absolute path of the URL file; None for stdin."""
    fed: bool = False
    """Every line of the URL file is in the journal."""
    options: dict[str, Any] = attrs.field(factory=dict)
    """Job options that were given, by their argument names."""

    def write(self, directory: Path) -> None:
        """Replace the job's memo, mode 0600, in one step. Raises ``CheckpointStorageError``."""
        content = {"version": _VERSION, **attrs.asdict(self)}
        try:
            with replaced_file(directory / FILE, 0o600) as stream:
                stream.write(json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(directory / FILE), "write") from error

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """The memo of a job; None if it has none. Raises ``ConfigurationError`` for one that cannot be understood."""
        path = directory / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("version") == _VERSION:
                return cls(**content)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointStorageError(error.errno or 0, str(path), "read") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{path} cannot be understood ({error}); {_REMEDY}") from None
        raise ConfigurationError(f"{path} was written by a newer scorewise; {_REMEDY}")
