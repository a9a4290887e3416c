"""Carrying out the actions of an abort: in order, each within its time, none in the way of the next."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from policies.abort_decision import AbortStep, Measure
from scorewise_actors.resilience.callbacks import CallbackFailed, bounded
from scorewise_actors.resilience.logs import log, stack_of

ActionHandler = Callable[[str, str, AbortStep], Any | Awaitable[Any]]
"""``handler(job_id, reason, action)``; sync or async."""

_GRACE = 1.0
"""Seconds that a built-in action has beyond the time it gives a user's hook, so that the hook is blamed and not it."""


@attrs.frozen
class ActionRun:
    """One abort."""

    job_id: str
    reason: str
    policy_id: str
    built_in: Mapping[Measure, ActionHandler]
    registered: Mapping[Measure, ActionHandler]

    async def carry_out(self, actions: tuple[AbortStep, ...]) -> list[tuple[str, str]]:
        """Action → ``done``, ``nothing to do`` or ``failed``, in the order in which they ran."""
        return [(action.measure.name, await self._one(action)) for action in actions]

    async def _one(self, action: AbortStep) -> str:
        handlers = [group[action.measure] for group in (self.registered, self.built_in) if action.measure in group]
        outcome = "nothing to do"
        for handler in handlers:
            extra = _GRACE if handler is self.built_in.get(action.measure) else 0.0
            try:
                await bounded(
                    handler,
                    self.job_id,
                    self.reason,
                    action,
                    timeout=action.timeout + extra,
                    what=f"abort action {action.measure.name}",
                )
            except CallbackFailed as failed:
                log("ERROR", f"job {self.job_id}: {failed}", stack=stack_of(failed), job_id=self.job_id)
                return "failed"
            outcome = "done"
        return outcome
