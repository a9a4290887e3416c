"""What the actors of one job are given when they are made: the plan, which never changes, and the cells in which
neighbours below one driver find each other.
"""

from typing import TYPE_CHECKING, Any

import attrs

from scorewise_actors.checkpoints import CheckpointStore
from scorewise_actors.config import SystemConfig
from scorewise_actors.job import Handler
from scorewise_actors.roles import RESILIENCE_PATH, job_name, path_of_job

if TYPE_CHECKING:
    from scorewise_actors.browser.chromium import Browser
    from scorewise_actors.browser.driver import Driver


@attrs.frozen
class JobPlan:
    """A job as it was submitted."""

    job_id: str
    handler: Handler
    config: SystemConfig
    store: CheckpointStore

    @property
    def name(self) -> str:
        """Id of the job's supervisor in the tree."""
        return job_name(self.job_id)

    @property
    def path(self) -> str:
        """Path of the job's supervisor."""
        return path_of_job(self.job_id)

    @property
    def checkpoint(self) -> str:
        """Path of the CheckpointActor."""
        return f"{self.path}/checkpoint"

    @property
    def frontier(self) -> str:
        """Path of the FrontierActor."""
        return f"{self.path}/frontier"

    @property
    def resilience(self) -> str:
        """Path of the branch behind the managers of the resilience API."""
        return RESILIENCE_PATH

    @property
    def judge(self) -> str:
        """Path of the AbortJudgeActor."""
        return f"{self.path}/judge"


class DriverCell:
    """The driver that lives below one ``driver-n`` supervisor now. Written by its DriverActor."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self.loop: Any = None
        """The ``LoopThread`` of the present DriverActor."""


class BrowserCell:
    """The browser that lives below one ``browser-m`` supervisor now. Written by its BrowserActor."""

    def __init__(self, driver: DriverCell) -> None:
        self.driver = driver
        self.browser: Browser | None = None
        self.slots_in_use: dict[Browser, int] = {}
        """How many page slots each browser still serves, while one is being replaced. On the driver's loop only."""
