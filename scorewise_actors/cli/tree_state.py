"""The state of a job's tree in a few words, read from the registry of names without asking anybody."""

from collections.abc import Iterable

import attrs

from scorewise_actors.roles import is_supervisor, place_in_job
from supervisors.runtime import Runtime


@attrs.frozen
class Member:
    """One actor of the job, or all scrapers of a browser together."""

    name: str
    """Below the job: ``frontier``, ``driver-1``, ``driver-1/browser-2``, ``driver-1/browser-2 scrapers``."""
    up: int
    total: int

    def __str__(self) -> str:
        count = f" {self.up}/{self.total}" if self.total > 1 else "" if self.up else " down"
        return f"{self.name}{count}"


def tree_state(runtime: Runtime, job: str) -> tuple[Member, ...]:
    """The members of the job whose supervisor lives at the path ``job``, in start order. Any thread."""
    counts: dict[str, list[bool]] = {}
    for ref in runtime.refs():
        if ref.path.startswith(f"{job}/") and not is_supervisor(ref.path):
            counts.setdefault(place_in_job(ref.path, job), []).append(ref.is_up())
    return tuple(Member(name, sum(up), len(up)) for name, up in counts.items())


def down(members: Iterable[Member]) -> tuple[Member, ...]:
    """Those that are not wholly up."""
    return tuple(member for member in members if member.up < member.total)
