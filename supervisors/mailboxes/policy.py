"""What a mailbox does with more than it can hold, and with what is in it when its actor dies."""

import enum

import attrs

from policies import validation


class OnFull(enum.Enum):
    """What happens when a message comes to a full mailbox. Signals always find room."""

    REJECT = "reject"
    """The message that comes is refused: an ask fails at once with ``MailboxFullError``, a tell is a dead letter."""
    DROP_OLDEST = "drop_oldest"
    """The message that has waited longest makes room: a dead letter; its asker gets ``MailboxFullError``."""


@attrs.frozen
class MailboxPolicy:
    """How the mailbox of one child is bounded, watched and kept. An actor without a policy has a mailbox without
    bounds, whose size can be read; one with a policy also measures the age of its oldest message and its high water.
    """

    limit: int | None = attrs.field(default=None, validator=validation.integer(1, optional=True))
    """Messages that may wait. None: no bound."""
    on_full: OnFull = attrs.field(default=OnFull.REJECT, validator=validation.member(OnFull))
    high: int | None = attrs.field(validator=validation.integer(1, optional=True))
    """``MailboxHigh`` is announced when so many messages wait. Default: three quarters of ``limit``; None: never."""
    low: int = attrs.field(validator=validation.integer(0))
    """It is announced again only after no more than this many waited meanwhile. Default: half of ``high``."""
    keep: bool = attrs.field(default=False, validator=validation.instance_of(bool))
    """True: messages that wait when an incarnation ends go to the next one, in their order, without the one in hand at
    the crash; so do those that come in between. Without a next one they are dead letters.
    """
    park: int = attrs.field(default=1000, validator=validation.integer(1))
    """With ``keep``: messages that may come while nobody lives there; more are refused as ``on_full`` says."""

    @high.default
    def _high(self) -> int | None:
        return max(1, self.limit * 3 // 4) if isinstance(self.limit, int) else None

    @low.default
    def _low(self) -> int:
        return self.high // 2 if isinstance(self.high, int) else 0

    def __attrs_post_init__(self) -> None:
        if self.high is not None and self.low >= self.high:
            raise ValueError(f"MailboxPolicy.low must be below high ({self.high}), got {self.low}")
        if self.high is not None and self.limit is not None and self.high > self.limit:
            raise ValueError(f"MailboxPolicy.high must be at most limit ({self.limit}), got {self.high}")
