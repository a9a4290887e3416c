"""Evidence that more than a given share of operations fails: a running score (one-sided CUSUM) in one float.

A failure adds 1, a success takes ``rate / (1 - rate)`` away, never below 0: the score drifts upward exactly when the
failure rate exceeds `rate`. Unlike a window of the last 10 it forgets nothing at an edge, and unlike a test over the
whole job it banks no credit from healthy hours.
"""

from typing import Self

import attrs

from policies.validation import CLOCK_LIMIT, number
from policies.values import JsonValue


@attrs.frozen
class EvidenceScore(JsonValue):
    """The score of one stream of outcomes. Times are monotonic seconds."""

    score: float = attrs.field(default=0.0, validator=number(0, CLOCK_LIMIT))
    """Evidence now: 0 to the limit."""
    since: float | None = attrs.field(default=None, validator=number(-CLOCK_LIMIT, CLOCK_LIMIT, optional=True))
    """When it reached the limit; None while there is no suspicion."""

    def add(self, failed: bool, now: float, *, rate: float, limit: float) -> Self:
        """The score after one outcome at `now`.

        It is capped at `limit`, so a long outage does not have to be paid back. Suspicion begins at `limit` and ends
        below half of it.
        """
        if not failed and self.score == 0:
            return self
        score = min(limit, self.score + 1) if failed else max(0.0, self.score - rate / (1 - rate))
        since = now if self.since is None and score >= limit else self.since
        return type(self)(score, None if score < limit / 2 else since)

    def held(self, now: float, *, limit: float, hold: float) -> bool:
        """Whether suspicion has lasted `hold` seconds and the score is at `limit` right now.

        The second half matters: without it more than half of all 20 s outages were judged permanent after they had
        ended.
        """
        return self.since is not None and self.score >= limit and now - self.since >= hold

    def shifted(self, seconds: float) -> Self:
        """The same score on a clock that reads `seconds` more."""
        return type(self)(self.score, None if self.since is None else self.since + seconds)
