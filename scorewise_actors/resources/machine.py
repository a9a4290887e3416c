"""What the machine tells in a few microseconds: pressure, sockets, disk, and how busy its processors are."""

import re
import time
from pathlib import Path

import psutil

_MB = 1024 * 1024
_SHORTEST = 0.1
"""Seconds between two looks at the processors that can tell anything: they are counted in hundredths."""


def memory_pressure(root: Path = Path("/")) -> float | None:
    """Percent of the last 10 s in which some task waited for memory (PSI); None where the kernel does not tell."""
    found = re.search(r"some avg10=([0-9.]+)", _text(root / "proc/pressure/memory"))
    return float(found[1]) if found else None


def connections(root: Path = Path("/")) -> int | None:
    """TCP sockets in use in this network namespace, IPv4 and IPv6; None where the kernel does not tell.

    Two small files (8 µs) instead of a walk through the sockets of each process (80 ms).
    """
    texts = (_text(root / "proc/net/sockstat"), _text(root / "proc/net/sockstat6"))
    counts = [int(count) for text in texts for count in re.findall(r"^TCP6?: inuse (\d+)", text, re.MULTILINE)]
    return sum(counts) if counts else None


def disk(folder: Path) -> tuple[float | None, float | None]:
    """MB used and MB free on the disk of ``folder``, or of the nearest folder above it that exists; None where that
    cannot be told, as below a working directory that was removed.
    """
    try:
        place = folder.absolute()
    except OSError:
        return None, None
    for near in (place, *place.parents):
        try:
            usage = psutil.disk_usage(str(near))
        except FileNotFoundError:
            continue
        except OSError:
            break
        return usage.used / _MB, usage.free / _MB
    return None, None


class CpuMeter:
    """How busy all processors were since the look before. Never blocks; one thread."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._before = psutil.cpu_times()
        self._percent: float | None = None

    def percent(self) -> float | None:
        """0 to 100; None until there is a stretch to look back on. Too early it is what it was the last time."""
        now = time.monotonic()
        if now - self._at < _SHORTEST:
            return self._percent
        times = psutil.cpu_times()
        spent = [after - before for after, before in zip(times, self._before, strict=True)]
        named = dict(zip(times._fields, spent, strict=True))
        # the time of guests is in that of users already
        total = sum(spent) - named.get("guest", 0.0) - named.get("guest_nice", 0.0)
        idle = named["idle"] + named.get("iowait", 0.0)
        if total > 0:
            self._percent = min(100.0, max(0.0, 100 * (total - idle) / total))
        self._at, self._before = now, times
        return self._percent


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
