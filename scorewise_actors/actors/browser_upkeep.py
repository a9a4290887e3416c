"""``BrowserUpkeep``: which browser of a system is renewed next. One at a time: the successors of all at once would need
the very memory that is short.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from policies.thresholds import CleanupLevel
from scorewise_actors.actors.browser import BrowserActor
from scorewise_actors.messages.jobs import Evict, Recycle, Trim
from scorewise_actors.resources.processes import BrowserProcess
from scorewise_actors.roles import job_path

if TYPE_CHECKING:
    from supervisors.ref import Ref
    from supervisors.runtime import Runtime

DRAIN = 5.0
"""Seconds that pages have to finish in a browser that is restarted because memory is short."""
LONGEST_RENEWAL = 120.0
"""Seconds after which the next browser's turn comes although the one before did not get its successor."""

Told = Callable[[str, str], None]
"""Called with the path of a browser that has been replaced, and why."""


class BrowserUpkeep:
    """For the MonitorActor only, in its thread."""

    def __init__(self, runtime: "Runtime", restarted: Told) -> None:
        self._runtime = runtime
        self._restarted = restarted
        self._known: dict[str, int] = {}
        self._asked: tuple[str, int, float] | None = None
        self._reasons: dict[str, str] = {}
        self._turn = 0
        self._waiting: list[tuple[str, str]] = []

    def look(self, now: float) -> None:
        """Tell of browsers that were replaced since the last look, and see to those that wait for their turn."""
        present = {path: actor.pid for path, _, actor in self._browsers()}
        for path, pid in present.items():
            before = self._known.get(path)
            if pid is None or before == pid:
                continue
            self._known[path] = pid
            if before is not None:
                self._restarted(path, self._reasons.pop(path, "it died"))
        # while a browser is restarted, only its job is up
        self._known = {
            path: pid for path, pid in self._known.items() if self._runtime.ref(job_path(path) or path).is_up()
        }
        while self._waiting and not self._busy(now):
            path, reason = self._waiting.pop(0)
            self._recycle(path, reason, now)

    def renew_all(self, reason: str, now: float) -> int:
        """Each in turn; returns how many."""
        paths = [path for path, _, _ in self._browsers()]
        self._waiting = [(path, reason) for path in paths]
        self.look(now)
        return len(paths)

    def renew_overdue(self, overdue: Iterable[BrowserProcess], now: float) -> None:
        """The first of these that is one of ours, unless another one is being renewed."""
        ours = {actor.pid: path for path, _, actor in self._browsers()}
        path = next((ours[browser.pid] for browser in overdue if browser.pid in ours), None)
        if path is not None and not self._busy(now):
            self._recycle(path, "it is beyond its lifetime", now)

    def clean(self, level: CleanupLevel, browsers: Iterable[BrowserProcess], now: float) -> None:
        """Carry out one level; what a level includes was done when it was the level."""
        ours = self._browsers()
        if not ours:
            return
        reason = f"cleanup {level.name.lower()}"
        if level is CleanupLevel.GENTLE:
            for _, ref, _ in ours:
                ref.tell(Trim(reason))
            return
        if level is CleanupLevel.FORCE:  # no matter who is being renewed: there is no memory to wait for
            path, ref, actor = self._largest(browsers)
            self._ask(path, actor, reason, now)
            ref.tell(Evict(reason))
        elif not self._busy(now):
            if level is CleanupLevel.MODERATE:
                self._turn += 1
                path = ours[self._turn % len(ours)][0]
                self._recycle(path, reason, now)
            else:
                path = self._largest(browsers)[0]
                self._recycle(path, reason, now, DRAIN)

    def _recycle(self, path: str, reason: str, now: float, patience: float | None = None) -> None:
        ref = self._runtime.ref(path)
        actor = ref.actor
        if isinstance(actor, BrowserActor) and actor.pid is not None:
            self._ask(path, actor, reason, now)
            ref.tell(Recycle(reason, patience))

    def _ask(self, path: str, actor: BrowserActor, reason: str, now: float) -> None:
        self._reasons[path] = reason
        if actor.pid is not None:
            self._known.setdefault(path, actor.pid)
            self._asked = (path, actor.pid, now + LONGEST_RENEWAL)

    def _busy(self, now: float) -> bool:
        """Whether the browser that was asked last has no successor yet, or still stands beside it."""
        if self._asked is None:
            return False
        path, pid, until = self._asked
        actor = self._runtime.ref(path).actor
        if now < until and isinstance(actor, BrowserActor) and (actor.pid == pid or actor.renewing):
            return True
        self._asked = None
        return False

    def _largest(self, browsers: Iterable[BrowserProcess]) -> "tuple[str, Ref, BrowserActor]":
        sizes = {browser.pid: browser.memory or 0.0 for browser in browsers}
        return max(self._browsers(), key=lambda one: sizes.get(one[2].pid or 0, 0.0))

    def _browsers(self) -> "list[tuple[str, Ref, BrowserActor]]":
        found = []
        for ref in self._runtime.refs():
            actor = ref.actor
            if isinstance(actor, BrowserActor) and ref.is_up():
                found.append((ref.path, ref, actor))
        return sorted(found, key=lambda one: one[0])
