"""What a mailbox does with more than it can hold, and with what is in it when its actor dies."""

import enum
from typing import Any

import attrs


class OnFull(enum.Enum):
    """What happens when a message comes to a full mailbox. Signals always find room."""

    REJECT = "reject"
    """The message that comes is refused: an ask fails at once with ``MailboxFullError``, a tell is a dead letter."""
    DROP_OLDEST = "drop_oldest"
    """The message that has waited longest makes room: a dead letter; its asker gets ``MailboxFullError``."""


def _messages(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"MailboxPolicy.{attribute.name} must be a whole number of messages of at least 1, got {value!r}"
        )


_messages_or_none = attrs.validators.optional(_messages)


@attrs.frozen
class MailboxPolicy:
    """How the mailbox of one child is bounded, watched and kept. An actor without a policy has a mailbox without
    bounds, whose size can be read; one with a policy also measures the age of its oldest message and its high water.
    """

    limit: int | None = attrs.field(default=None, validator=_messages_or_none)
    """Messages that may wait. None: no bound."""
    on_full: OnFull = attrs.field(default=OnFull.REJECT)
    high: int | None = attrs.field(validator=_messages_or_none)
    """``MailboxHigh`` is announced when so many messages wait. Default: three quarters of ``limit``; None: never."""
    low: int = attrs.field()
    """It is announced again only after no more than this many waited meanwhile. Default: half of ``high``."""
    keep: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    """True: messages that wait when an incarnation ends go to the next one, in their order, without the one in hand at
    the crash; so do those that come in between. Without a next one they are dead letters.
    """
    park: int = attrs.field(default=1000, validator=_messages)
    """With ``keep``: messages that may come while nobody lives there; more are refused as ``on_full`` says."""

    @high.default
    def _high(self) -> int | None:
        return max(1, self.limit * 3 // 4) if isinstance(self.limit, int) else None

    @low.default
    def _low(self) -> int:
        return self.high // 2 if isinstance(self.high, int) else 0

    @on_full.validator
    def _check_on_full(self, _attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, OnFull):
            choices = ", ".join(f"OnFull.{member.name}" for member in OnFull)
            raise ValueError(f"MailboxPolicy.on_full must be one of {choices}, got {value!r}")  # noqa: TRY004 - one error class for every bad field

    @low.validator
    def _check_low(self, _attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"MailboxPolicy.low must be a whole number of messages of at least 0, got {value!r}")

    def __attrs_post_init__(self) -> None:
        if self.high is not None and self.low >= self.high:
            raise ValueError(f"MailboxPolicy.low must be below high ({self.high}), got {self.low}")
        if self.high is not None and self.limit is not None and self.high > self.limit:
            raise ValueError(f"MailboxPolicy.high must be at most limit ({self.limit}), got {self.high}")
