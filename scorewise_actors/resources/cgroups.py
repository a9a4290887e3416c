"""Memory limits and processor quotas that control groups put on this process: version 1, version 2, and hybrids.

In a container the machine's memory says nothing: what ends the program is the limit of its own group or of one above
it. So the way goes from the own group, as /proc/self/cgroup names it, up to the mount point, and the narrowest counts.
"""

from collections.abc import Iterator
from pathlib import Path

import attrs

_UNLIMITED = 1 << 60
"""Version 1 writes 2^63 rounded down to a page where there is no limit."""
_MB = 1024 * 1024


@attrs.frozen
class MemoryGroup:
    """A control group that limits memory."""

    folder: Path
    limit: float
    """MB."""
    used: float | None
    """MB in use, without file caches that can be dropped at once; None where it cannot be read."""


@attrs.frozen
class _Hierarchy:
    """One mounted hierarchy and the place of this process in it."""

    version: int
    own: Path
    top: Path

    def groups(self) -> Iterator[Path]:
        """The folders of the own group and of those above it."""
        here = self.own
        while True:
            yield here
            if here == self.top:
                return
            here = here.parent


def memory_group(root: Path = Path("/")) -> MemoryGroup | None:
    """The group with the least memory for this process; None where none has a limit.

    ``root`` is where ``proc`` and the mounted hierarchies are looked for. Any thread; some 0.2 ms.
    """
    found = []
    for hierarchy in _hierarchies(root, "memory"):
        for folder in hierarchy.groups():
            limits = _limits(folder, hierarchy.version)
            if limits:
                found.append((min(limits), folder, hierarchy.version))
    if not found:
        return None
    limit, folder, version = min(found, key=lambda group: group[0])
    return MemoryGroup(folder, limit / _MB, _used(folder, version))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Processors that this process may use at a time, such as 1.5; None where no group has a quota."""
    quotas = [
        quota
        for hierarchy in _hierarchies(root, "cpu")
        for folder in hierarchy.groups()
        if (quota := _quota(folder, hierarchy.version)) is not None
    ]
    return min(quotas, default=None)


def _limits(folder: Path, version: int) -> list[int]:
    # memory.high is no hard limit, but beyond it the kernel slows the group down to a standstill
    names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
    values = (_number(folder / name) for name in names)
    return [value for value in values if value is not None and 0 < value < _UNLIMITED]


def _used(folder: Path, version: int) -> float | None:
    used = _number(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
    if used is None:
        return None
    key = "inactive_file" if version == 2 else "total_inactive_file"
    droppable = _pairs(folder / "memory.stat").get(key, 0)
    return max(0, used - droppable) / _MB


def _quota(folder: Path, version: int) -> float | None:
    if version == 2:
        words = _text(folder / "cpu.max").split()
        quota, period = (_int(words[0]), _int(words[1])) if len(words) == 2 else (None, None)
    else:
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _hierarchies(root: Path, controller: str) -> Iterator[_Hierarchy]:
    """Where ``controller`` may be limited: its hierarchy of version 1, and the one of version 2."""
    own = _own_groups(root)
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        version = {"cgroup": 1, "cgroup2": 2}.get(kind[0])
        if version is None or (version == 1 and controller not in kind[2].split(",")):
            continue
        group = own.get(controller if version == 1 else "")
        if group is not None:
            top = root / _unescaped(fields[4]).lstrip("/")
            yield _Hierarchy(version, _own_folder(top, _unescaped(fields[3]), group), top)


def _own_groups(root: Path) -> dict[str, str]:
    """Controller (of version 1; an empty name for version 2) → path of the own group."""
    groups = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(",") if number != "0" else ("",):
            groups[controller] = path
    return groups


def _own_folder(top: Path, mounted: str, group: str) -> Path:
    """The folder of ``group`` below the mount point ``top``, where the part ``mounted`` of the hierarchy is mounted.

    In a container the path may be that of the host, or lie outside of what is mounted: then the mount point is the own
    group, as far as can be seen.
    """
    if mounted != "/" and (group == mounted or group.startswith(f"{mounted}/")):
        group = group[len(mounted) :]
    folder = top / group.lstrip("/")
    return folder if ".." not in folder.parts and folder.is_dir() else top


def _unescaped(path: str) -> str:
    """In mountinfo blanks, tabs, newlines and backslashes are written in octal."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, char)
    return path


def _pairs(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(file).splitlines())
    return {pair[0]: value for pair in pairs if len(pair) == 2 and (value := _int(pair[1])) is not None}


def _number(file: Path) -> int | None:
    return _int(_text(file).strip())


def _int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # empty, or the word "max"
        return None


def _text(file: Path) -> str:
    """What stands in a file of the kernel; nothing where there is none, or where it is not ours to read."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
