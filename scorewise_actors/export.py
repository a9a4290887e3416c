"""Results as a file: JSON lines appended while the job runs, CSV or JSON written whole at its end.

The file is made from durable outcomes only, in the order in which they were committed. So a JSON lines file is at any
moment a prefix of the job's results (plus, after a crash, a torn last line), and whatever happened to the program, the
next run completes it: every result exactly once.
"""

import contextlib
import csv
import errno
import fcntl
import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from scorewise_actors.errors import ConfigurationError, ScorewiseError
from scorewise_actors.handle import values_of
from scorewise_actors.plain import dumped, plain

Outcomes = Iterable[list[Any]]
"""Outcomes as the journal keeps them (see ``ledger``)."""

_BATCH = 1000
"""Lines that are written together."""


class ResultsFileError(ScorewiseError):
    """The results file cannot be written. The journal still holds every result."""

    def __init__(self, path: Path, number: int) -> None:
        name = errno.errorcode.get(number, str(number))
        super().__init__(
            f"cannot write results to {path}: {os.strerror(number)} ({name}); nothing is lost, the journal holds every "
            "result: mend this and run or resume the job again, that completes the file"
        )
        self.path = path
        self.errno = number


class ResultsFileLocked(ScorewiseError):  # noqa: N818 - reads as a fact, like CheckpointLocked
    """Another process is writing to the results file."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is being written by another process; wait for its end or choose another --out")
        self.path = path


class Source(Protocol):
    """Where durable outcomes come from: ``durable_results.DurableResults``."""

    def after(self, position: int) -> list[list[Any]]:
        """The outcomes from ``position`` on."""
        ...


class ResultsFile(Protocol):
    """One job's results file. One thread at a time."""

    path: Path

    def begin(self, recorded: Callable[[], Outcomes], *, restart: bool = False) -> None:
        """Before the run: compare what the file holds, if anything, with the job's outcomes so far, as ``recorded``
        reads them. ``restart``: then empty it.

        Raises ``ConfigurationError`` if the file holds something else, ``ResultsFileError``.
        """
        ...

    def update(self, source: Source) -> None:
        """Write what has become durable. Raises ``ResultsFileError``; the next call tries again."""
        ...

    def finish(self, source: Source) -> None:
        """Write all that is missing and make it durable. Raises ``ResultsFileError``."""
        ...

    def close(self) -> None:
        """Give the file free; again is harmless."""
        ...


def open_results(path: str | os.PathLike[str], *, replace: bool = False) -> ResultsFile:
    """The results file at ``path``, of the kind that its ending says: ``.jsonl``, ``.csv`` or ``.json``.

    ``replace``: whatever the file holds may be overwritten. Raises ``ConfigurationError`` for another ending, a folder
    that does not exist, something that is no regular file, or content that may not be replaced; ``ResultsFileLocked``;
    ``ResultsFileError``.
    """
    path = Path(path).absolute()
    kind = results_kind(path)
    if not path.parent.is_dir():
        raise ConfigurationError(f"--out {path}: the folder {path.parent} does not exist; create it first")
    try:
        held = path.stat().st_size if path.exists() else 0
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise ResultsFileError(path, error.errno or 0) from error
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"--out {path} is no regular file; name a file that ends in .jsonl, .csv or .json")
    if kind == ".jsonl":
        return JsonLines(path, replace=replace)
    if held and not replace:
        raise _foreign(path)
    return WholeFile(path)


def results_kind(path: Path) -> str:
    """The ending that decides the format. Raises ``ConfigurationError`` for one that is not known."""
    kind = path.suffix.lower()
    if kind not in (".jsonl", ".csv", ".json"):
        raise ConfigurationError(f"--out {path} must end in .jsonl, .csv or .json, got {kind or 'no ending'!r}")
    return kind


class JsonLines:
    """``.jsonl``: one result per line, appended while the job runs; locked against other writers."""

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self.path = path
        self.position = 0
        """Outcomes that are in the file."""
        self._fd: int | None = None
        self._open(os.O_CREAT)
        if replace:
            self._cut(0)
        self._size = os.fstat(self._open_fd).st_size

    def begin(self, recorded: Callable[[], Outcomes], *, restart: bool = False) -> None:
        """See ``ResultsFile``. Cuts a torn last line, then appends what is missing."""
        if not self._size:
            return
        outcomes = list(recorded())
        lines = _lines(outcomes)
        good = 0
        missing: tuple[bytes, ...] = ()
        with self.path.open("rb") as stream:
            for line in stream:
                wanted = next(lines, b"")
                if line == wanted:
                    good += len(line)
                elif wanted.startswith(line) and not line.endswith(b"\n"):
                    missing = (wanted,)
                else:
                    raise _foreign(self.path)
        self._cut(0 if restart else good)
        if not restart:
            self._append(itertools.chain(missing, lines))
            self.position = len(outcomes)

    def update(self, source: Source) -> None:
        """See ``ResultsFile``."""
        self._look()
        while outcomes := source.after(self.position)[:_BATCH]:
            self._append(_lines(outcomes))
            self.position += len(outcomes)

    def finish(self, source: Source) -> None:
        """See ``ResultsFile``."""
        self.update(source)
        try:
            os.fsync(self._open_fd)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise ResultsFileError(self.path, error.errno or 0) from error

    def close(self) -> None:
        """See ``ResultsFile``."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self, flags: int) -> None:
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | flags, 0o666)
        except OSError as error:
            raise ResultsFileError(self.path, error.errno or 0) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ResultsFileLocked(self.path) from None

    def _look(self) -> None:
        """A file that was deleted or cut while the job runs is written anew, from the first result on."""
        if self._fd is not None:
            ours = os.fstat(self._fd)
            if ours.st_nlink and ours.st_size >= self._size:
                return
            if not ours.st_nlink:
                self.close()
        if self._fd is None:
            self._open(os.O_CREAT | os.O_EXCL)  # never over what somebody else has put there
        self._cut(0)
        self.position = 0

    @property
    def _open_fd(self) -> int:
        assert self._fd is not None, f"{self.path} is closed"
        return self._fd

    def _append(self, lines: Iterator[bytes]) -> None:
        """All of ``lines`` or, after an error, none of this call's."""
        before = self._size
        try:
            while batch := b"".join(itertools.islice(lines, _BATCH)):
                rest = memoryview(batch)
                while rest:
                    written = os.pwrite(self._open_fd, rest, self._size)
                    self._size += written
                    rest = rest[written:]
        except OSError as error:
            self._size = before
            with contextlib.suppress(ResultsFileError):  # what stays is written over, or cut by the next ``begin``
                self._cut(before)
            raise ResultsFileError(self.path, error.errno or 0) from error

    def _cut(self, size: int) -> None:
        try:
            os.ftruncate(self._open_fd, size)
        except OSError as error:
            raise ResultsFileError(self.path, error.errno or 0) from error
        self._size = size


class WholeFile:
    """``.csv`` or ``.json``: written whole at the end of each run, under another name first.

    That other name is there, and locked, from the beginning: a lock on the file itself would not outlive its
    replacement, and two jobs with one file would overwrite each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = temporary_of(path)
        self._before = _identity(path)
        self._fd: int | None = None
        self._lock()

    def begin(self, recorded: Callable[[], Outcomes], *, restart: bool = False) -> None:
        """See ``ResultsFile``; nothing is kept, so nothing is compared."""

    def update(self, source: Source) -> None:
        """See ``ResultsFile``; all is written by ``finish``."""

    def finish(self, source: Source) -> None:
        """See ``ResultsFile``. A file that somebody else has put there meanwhile is not written over."""
        outcomes = source.after(0)
        try:
            if _identity(self.path) != self._before:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if self._fd is None:
                self._lock()
            assert self._fd is not None
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            with _writer(os.dup(self._fd)) as stream:
                if self.path.suffix.lower() == ".csv":
                    _write_csv(outcomes, stream)
                else:
                    _write_json(outcomes, stream)
            self._temporary.replace(self.path)
            self._before = _identity(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise ResultsFileError(self.path, error.errno or 0) from error
        self._let_go()

    def close(self) -> None:
        """See ``ResultsFile``."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                self._temporary.unlink()
            self._let_go()

    def _lock(self) -> None:
        try:
            while self._fd is None:
                self._fd = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _identity(self._temporary) != _identity(self._fd):  # its owner has just given it its name
                    self._let_go()
        except BlockingIOError:
            self._let_go()
            raise ResultsFileLocked(self.path) from None
        except OSError as error:
            self._let_go()
            raise ResultsFileError(self.path, error.errno or 0) from error

    def _let_go(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@contextlib.contextmanager
def replaced_file(path: Path, mode: int = 0o666) -> Iterator[io.TextIOBase]:
    """A text stream whose content takes the place of ``path`` in one step, durably, when the block ends well.

    UTF-8; ``mode`` is subject to the umask. Raises ``OSError``; then ``path`` is as before.
    """
    temporary = temporary_of(path)
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()  # a crash left it
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with _writer(fd) as stream:
            yield stream
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def temporary_of(path: Path) -> Path:
    """The name under which a file is written before it takes the place of ``path``."""
    return path.with_name(f".{path.name}.tmp")


@contextlib.contextmanager
def _writer(fd: int) -> Iterator[io.TextIOBase]:
    """Text into a descriptor, which is closed in the end; what was written is durable if the block ends well."""
    with open(fd, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        yield stream
        stream.flush()
        os.fsync(fd)


def _identity(file: Path | int) -> tuple[int, int] | None:
    """Which file it is; None if there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - of a path or of a descriptor
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _lines(outcomes: Outcomes) -> Iterator[bytes]:
    for value in values_of(outcomes):
        yield dumped(plain(value)).encode() + b"\n"


def _write_json(outcomes: Sequence[list[Any]], stream: io.TextIOBase) -> None:
    before = "[\n"
    for value in values_of(outcomes):
        stream.write(before + dumped(plain(value)))
        before = ",\n"
    stream.write("\n]\n" if before != "[\n" else "[]\n")


def _write_csv(outcomes: Sequence[list[Any]], stream: io.TextIOBase) -> None:
    """One column per key, in the order of first appearance; what is no dict goes into the column ``value``."""
    columns: dict[str, None] = {}
    for value in values_of(outcomes):
        columns.update(dict.fromkeys(_row(value)))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for value in values_of(outcomes):
        row = _row(value)
        writer.writerow([_cell(row.get(column)) for column in columns])


def _row(value: Any) -> dict[str, Any]:
    form = plain(value)
    return form if isinstance(form, dict) else {"value": form}


def _cell(form: Any) -> str:
    if form is None:
        return ""
    return form if isinstance(form, str) else dumped(form)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _foreign(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} holds something else than this job's results and is left alone; move it away or choose another --out "
        "(the job's results are written anew from its journal)"
    )
