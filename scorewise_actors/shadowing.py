"""Says so when a user's own folder stands in front of one of the packages that come with this one."""

import importlib.machinery
import importlib.util
from pathlib import Path

COMPANIONS = ("policies", "supervisors")
"""Import packages of the same distribution, with names that a project may well have given to a folder of its own."""


def check() -> None:
    """Raise ``ImportError`` if an import of a companion would find something else; imports nothing itself."""
    home = Path(__file__).resolve().parent.parent
    for name in COMPANIONS:
        found = importlib.util.find_spec(name)
        where = _folder(found)
        if where != home / name:
            raise ImportError(
                f"scorewise_actors needs its own package {name!r} ({home / name}), but Python finds {where} first; "
                f"rename that folder or file, or take its parent off sys.path (often the current directory)"
            )


def _folder(spec: importlib.machinery.ModuleSpec | None) -> Path | None:
    if spec is None:
        return None
    if spec.origin is not None and Path(spec.origin).name == "__init__.py":
        return Path(spec.origin).resolve().parent
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin).resolve() if spec.origin is not None else None
