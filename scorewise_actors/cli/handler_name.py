"""``MODULE:HANDLER`` and ``path/to/file.py:handler``: from the name of a handler to the handler."""

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from scorewise_actors.errors import ConfigurationError
from scorewise_actors.handlers import check_handler, is_async
from scorewise_actors.job import Handler


def load_handler(name: str, folder: Path | None = None) -> Handler:
    """Import the module and return its handler. ``folder`` (default: the current one) is where modules are found first
    and relative paths begin.

    The user's module runs code of its own. Raises ``ConfigurationError`` for whatever goes wrong in it, or if the name
    leads to no async function of one argument.
    """
    module_name, attribute = split(name)
    module = _import(module_name, (folder or Path.cwd()).absolute())
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            offers = [key for key, value in vars(module).items() if is_async(value)]
            there = f"its async functions are {', '.join(sorted(offers))}" if offers else "it has no async function"
            raise ConfigurationError(f"handler {name!r}: {module_name} has no {attribute!r}; {there}")
        found = getattr(found, part)
    check_handler(found)
    return found  # type: ignore[return-value]  # checked just now


def split(name: str) -> tuple[str, str]:
    """Module (or path) and attribute. Raises ``ConfigurationError`` for a name that has no such parts."""
    module, colon, attribute = name.rpartition(":")
    if not colon or not module or not all(part.isidentifier() for part in attribute.split(".")):
        raise ConfigurationError(
            f"handler {name!r} must be MODULE:HANDLER or path/to/file.py:HANDLER, for example shop.pages:scrape"
        )
    return module, attribute


def short(name: str) -> str:
    """The name without folders and suffix, for job ids: ``pages/shop.py:scrape`` is ``shop.scrape``."""
    module, attribute = split(name)
    return f"{Path(module).stem if _is_path(module) else module}.{attribute}"


def _is_path(module: str) -> bool:
    return module.endswith(".py") or os.sep in module


def _import(module_name: str, folder: Path) -> ModuleType:
    path = folder / module_name if _is_path(module_name) else None
    if path is not None and not path.is_file():
        raise ConfigurationError(f"handler: there is no file {path}")
    place = str(folder if path is None else path.parent)
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        return importlib.import_module(module_name) if path is None else _import_file(path)
    except ModuleNotFoundError as error:
        if path is None and error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"handler: there is no module {module_name!r} in {folder} or among the installed packages"
            ) from None
        raise _failed(module_name, error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's module raises, SystemExit and CancelledError too
        raise _failed(module_name, error) from error


def _import_file(path: Path) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"scorewise_handler_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"handler: {path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _failed(module_name: str, error: BaseException) -> ConfigurationError:
    if isinstance(error, SyntaxError) and error.filename is not None:
        where = f"{error.filename}, line {error.lineno}"
    elif isinstance(error, SyntaxError):  # there is no line of a file with null bytes
        return ConfigurationError(f"handler: importing {module_name} failed: {type(error).__name__}: {error}")
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}, line {frame.lineno}"
    return ConfigurationError(f"handler: importing {module_name} failed: {type(error).__name__}: {error} ({where})")
