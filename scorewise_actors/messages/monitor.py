"""What a MonitorActor is asked, and what it tells whoever watches.

==================  ===============  ====================================================
message             answer           meaning
==================  ===============  ====================================================
StartWatch          True             judge samples by this policy from now on
StopWatch           bool             no more; False if it was not there
TakeSample          ``Sample``       the figures of now
RenewBrowsers       int              renew browsers of the jobs, in turn; how many they are
==================  ===============  ====================================================
"""

from collections.abc import Callable, Mapping

import attrs

from policies.thresholds import CleanupLevel, ThresholdEvent, ThresholdPolicy, ThresholdState
from scorewise_actors.resources.processes import BrowserProcess
from scorewise_actors.resources.samples import Sample


@attrs.frozen
class Report:
    """What a sample means for one watch: a breach, a recovery, a call for cleanup, or browsers that are too old."""

    watch: str
    policy: ThresholdPolicy
    sample: Sample
    readings: Mapping[str, float | None] = attrs.field(hash=False)
    events: tuple[ThresholdEvent, ...]
    breached: frozenset[str]
    """All resources that are short now."""
    cleanup: CleanupLevel | None
    """What has to be carried out now; None for nothing, or where the watch asks for none."""
    overdue: tuple[BrowserProcess, ...]
    """Browsers beyond their lifetime."""


@attrs.define
class Watch:
    """One policy that judges samples. Survives a restart of the actor."""

    id: str
    policy: ThresholdPolicy
    interval: float
    """Seconds."""
    cleanup: CleanupLevel | None
    """The hardest cleanup that the monitor carries out for it; None: none at all. From MODERATE on it has browsers
    renewed, also those beyond their lifetime.
    """
    sink: Callable[[Report], None] | None = None
    """Told of each report, in the monitor's thread: it must only pass it on."""
    state: ThresholdState = attrs.field(factory=ThresholdState)
    due: float = 0.0
    """Monotonic seconds of its next sample."""


@attrs.define
class MonitorMemory:
    """What outlives a restart of a MonitorActor, and only it writes."""

    watches: dict[str, Watch] = attrs.field(factory=dict)


@attrs.frozen
class StartWatch:
    """Judge samples by a policy every ``interval`` seconds, the first at once."""

    id: str
    policy: ThresholdPolicy
    interval: float
    cleanup: CleanupLevel | None
    sink: Callable[[Report], None] = attrs.field(repr=False)


@attrs.frozen
class StopWatch:
    """No more."""

    id: str


@attrs.frozen
class TakeSample:
    """The figures of now."""


@attrs.frozen
class RenewBrowsers:
    """Renew the browsers of all jobs, one after the other."""

    reason: str
