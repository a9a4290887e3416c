"""Carrying out the actions of an abort: in order, each within its time, none in the way of the next."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from scorewise_actors.resilience.callbacks import CallbackFailed, bounded
from scorewise_actors.resilience.logs import log
from scorewise_actors.resilience_memory import AbortActionSpec, AbortActionType

ActionHandler = Callable[[str, str, AbortActionSpec], Any | Awaitable[Any]]
"""``handler(job_id, reason, action)``; sync or async."""

USUAL = tuple(
    AbortActionSpec(kind)
    for kind in (
        AbortActionType.LOG_EVENT,
        AbortActionType.SAVE_STATE,
        AbortActionType.CLEANUP,
        AbortActionType.NOTIFY,
        AbortActionType.SHUTDOWN,
    )
)
"""What a policy that names no actions does: first what must not be lost, last what ends the job."""

_GRACE = 1.0
"""Seconds that a built-in action has beyond the time it gives a user's hook, so that the hook is blamed and not it."""


@attrs.frozen
class ActionRun:
    """One abort."""

    job_id: str
    reason: str
    policy_id: str
    built_in: Mapping[AbortActionType, ActionHandler]
    registered: Mapping[AbortActionType, ActionHandler]

    async def carry_out(self, actions: tuple[AbortActionSpec, ...] | None) -> list[tuple[str, str]]:
        """Action → ``done``, ``nothing to do`` or ``failed``, in the order in which they ran."""
        return [(action.type.value, await self._one(action)) for action in (USUAL if actions is None else actions)]

    async def _one(self, action: AbortActionSpec) -> str:
        handlers = [group[action.type] for group in (self.registered, self.built_in) if action.type in group]
        outcome = "nothing to do"
        for handler in handlers:
            extra = _GRACE if handler is self.built_in.get(action.type) else 0.0
            try:
                await bounded(
                    handler,
                    self.job_id,
                    self.reason,
                    action,
                    timeout=action.timeout + extra,
                    what=f"abort action {action.type}",
                )
            except CallbackFailed as failed:
                log("ERROR", f"job {self.job_id}: {failed}", job_id=self.job_id)
                return "failed"
            outcome = "done"
        return outcome
