"""What CheckpointManagers say to a SnapshotKeeper.

==================  ==========================================  =====================================
message             answer                                      what it asks for
==================  ==========================================  =====================================
CreateSnapshot      ``SnapshotInfo``                            write this, durably
LoadSnapshot        ``Snapshot`` or None                        the data behind an id
LoadLatest          ``Snapshot`` or None                        the newest intact data of a job
ListSnapshots       ``SnapshotInfo`` in a tuple, newest first   what there is of a job
ValidateSnapshot    bool                                        read it and check every digest
DeleteSnapshot      bool                                        remove it, durably
PurgeSnapshots      bool                                        remove all of a job
==================  ==========================================  =====================================

Each may be answered with ``Refused`` instead.
"""

import attrs

from scorewise_actors.checkpoints import Draft


@attrs.frozen
class CreateSnapshot:
    """Write a snapshot of ``job_id``."""

    job_id: str
    content: Draft = attrs.field(repr=False)
    token: bytes = attrs.field(repr=False)
    """Names this very write, for a message that comes twice."""


@attrs.frozen
class LoadSnapshot:
    """The snapshot with this id."""

    id: str


@attrs.frozen
class LoadLatest:
    """The newest snapshot of a job that can be loaded."""

    job_id: str


@attrs.frozen
class ListSnapshots:
    """Newest first, until ``limit`` intact ones are found; corrupted ones come along."""

    job_id: str
    limit: int | None


@attrs.frozen
class ValidateSnapshot:
    """Whether it is as it was written."""

    id: str


@attrs.frozen
class DeleteSnapshot:
    """Remove it."""

    id: str


@attrs.frozen
class PurgeSnapshots:
    """Remove all snapshots of a job."""

    job_id: str


@attrs.frozen
class Refused:
    """The answer where an error was foreseen: it does not cost the actor its life."""

    error: Exception
