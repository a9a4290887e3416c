"""What can go wrong with a checkpoint: one class per remedy, each message naming what, where and what to do."""

import errno
import os
from collections.abc import Sequence

TRANSIENT_ERRNOS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EINTR,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""Conditions that can pass without any change to the program: somebody frees space, raises a limit, mounts again."""


RESTORE_OR_PURGE = "restore the job's directory from a backup, or purge the job to start it anew"


class CheckpointError(Exception):
    """Base class of everything that this package raises on purpose."""


class CheckpointNotSerializable(CheckpointError):  # noqa: N818 - the name says the condition, as users search for it
    """A value has no exact form in a checkpoint; nothing was written and the state is as before.

    `path` is where the value stands (`$.results[1].page`), `type` its class.
    """

    def __init__(self, path: str, offender: type, reason: str | None = None) -> None:
        self.path = path
        self.type = offender
        module = offender.__module__.partition(".")[0]
        name = offender.__qualname__ if module == "builtins" else f"{module} {offender.__qualname__}"
        super().__init__(f"{path} is a {name}; {reason or 'convert it or register the class'}")


class CheckpointUndecodable(CheckpointError):  # noqa: N818 - as above
    """An intact checkpoint holds a value that this process cannot build; an older state is never taken instead.

    `tag` is the name in the file (registered classes start with `@`), `reason` what failed.
    """

    def __init__(self, tag: str, reason: str) -> None:
        self.tag = tag
        self.reason = reason
        super().__init__(f"the checkpoint holds a value tagged {tag!r} that cannot be rebuilt: {reason}")


class CheckpointOpInvalid(CheckpointError):  # noqa: N818 - as above
    """An operation does not fit the state; nothing was written and the state is as before."""

    def __init__(self, operation: str, path: str, reason: str) -> None:
        self.operation = operation
        self.path = path
        super().__init__(f"{operation} at {path}: {reason}")


class CheckpointCorrupted(CheckpointError):  # noqa: N818 - as above
    """Damage that no other generation of the job makes good.

    `offset` is the first byte of `file` that could not be believed; `lost` the sequence numbers that went with it, as
    far as they are known.
    """

    def __init__(
        self, job: str, file: str, offset: int, reason: str, lost: Sequence[int] = (), *, remedy: str = RESTORE_OR_PURGE
    ) -> None:
        self.job = job
        self.file = file
        self.offset = offset
        self.reason = reason
        self.lost = lost
        gone = f"; checkpoints {lost[0]} to {lost[-1]} are lost" if lost else ""
        super().__init__(f"checkpoint of job {job!r}: {file} at byte {offset}: {reason}{gone}; {remedy}")


class CheckpointNotFound(CheckpointError):  # noqa: N818 - as above
    """No such job, or no such checkpoint of it, in this store."""

    def __init__(self, wanted: str, path: str) -> None:
        self.wanted = wanted
        self.path = path
        super().__init__(f"no checkpoint {wanted!r} in {path}; the store's jobs() lists what is there")


class CheckpointKeyMismatch(CheckpointError):  # noqa: N818 - as above
    """The file needs a key that was not given. Ids are public: they are hash prefixes, not secrets.

    `wanted` is None for a file without encryption in a store that has keys: such a file may have been planted.
    """

    def __init__(self, file: str, wanted: str | None, given: Sequence[str]) -> None:
        self.file = file
        self.wanted = wanted
        self.given = tuple(given)
        if wanted is None:
            text = f"{file} is not encrypted but this store is; read it with a store without keys, or purge the job"
        elif not given:
            text = (
                f"{file} is encrypted with key {wanted} and no key was given; give it or set SCOREWISE_CHECKPOINT_KEY"
            )
        else:
            text = f"{file} is encrypted with key {wanted}; given: {', '.join(given)}; add the old key to the list"
        super().__init__(text)


class CheckpointKeyInvalid(CheckpointError):  # noqa: N818 - as above
    """A key source cannot be used: wrong length, unreadable, or open to other users."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"checkpoint key from {source}: {reason}")


class CheckpointLocked(CheckpointError):  # noqa: N818 - as above
    """Another live owner writes this job; `owner` names its process and host."""

    def __init__(self, job: str, owner: str) -> None:
        self.job = job
        self.owner = owner
        super().__init__(f"job {job!r} is being written by {owner}; stop that process or use another job id")


class CheckpointStorageError(CheckpointError):
    """The disk refused. Nothing was acknowledged, the state is as before, and the next append may succeed.

    `errno` as the system gave it; `transient` says whether the condition can pass by itself (a full disk does).
    """

    def __init__(self, number: int, path: str, doing: str) -> None:
        self.errno = number
        self.path = path
        self.transient = number in TRANSIENT_ERRNOS
        name = errno.errorcode.get(number, str(number))
        remedy = (
            "free space or raise the limit, then go on" if self.transient else "check the disk, mount and permissions"
        )
        super().__init__(f"cannot {doing} {path}: {os.strerror(number)} ({name}); {remedy}")


class CheckpointTooNew(CheckpointError):  # noqa: N818 - as above
    """Written by a newer library; never skipped in favour of an older file."""

    def __init__(self, file: str, found: int, supported: int) -> None:
        self.file = file
        self.found = found
        self.supported = supported
        super().__init__(
            f"{file} has checkpoint format {found}, this library reads up to {supported}; upgrade scorewise-actors"
        )
