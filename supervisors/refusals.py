"""What an asker is told when its message was not handled at all: it can be sent again without doing anything twice."""

import pykka


class NotHandledError(pykka.ActorDeadError):
    """Nobody lives there, or the actor ended before it took the message up."""


class MailboxFullError(Exception):
    """The message was not taken, or dropped again, because the mailbox was full."""
