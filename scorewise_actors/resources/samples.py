"""What the machine has left, as readings for threshold policies. Cheap enough for every few seconds."""

import re
from pathlib import Path

import psutil

_PRESSURE = Path("/proc/pressure/memory")
_MB = 1024 * 1024


class Sampler:
    """Takes samples in one thread. Keeps no history: rates are over the time since the sample before."""

    def __init__(self, storage: Path) -> None:
        """``storage`` is the folder whose disk is watched."""
        self._storage = storage
        psutil.cpu_percent(None)  # the first reading is always 0.0

    def sample(self) -> dict[str, float | None]:
        """Readings by name: ``memory_percent`` (% of the machine), ``memory_pressure`` (PSI some avg10, %, None without
        a kernel that has it), ``cpu_percent`` (% of all cores since the last sample), ``disk_space`` (MB free).
        """
        return {
            "memory_percent": psutil.virtual_memory().percent,
            "memory_pressure": _memory_pressure(),
            "cpu_percent": psutil.cpu_percent(None),
            "disk_space": _disk_free(self._storage),
        }


def _disk_free(folder: Path) -> float | None:
    try:
        return psutil.disk_usage(str(folder)).free / _MB
    except OSError:
        return None


def _memory_pressure() -> float | None:
    try:
        found = re.search(r"some avg10=([0-9.]+)", _PRESSURE.read_text())
    except OSError:
        return None
    return float(found[1]) if found else None
