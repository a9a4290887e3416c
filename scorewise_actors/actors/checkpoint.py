"""CheckpointActor: the only writer of the job's journal."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from loguru import logger

from scorewise_actors import ledger
from scorewise_actors.board import JobBoard
from scorewise_actors.checkpoints import CheckpointError, CheckpointStorageError, Journal
from scorewise_actors.job import Verdict
from scorewise_actors.messages.jobs import (
    Commit,
    Committed,
    Restore,
    Restored,
    SavePolicyState,
    StorageFailed,
    StorageTrouble,
)
from scorewise_actors.plan import JobPlan
from supervisors.thread_actor import ThreadActor

if TYPE_CHECKING:
    from scorewise_actors.checkpoints.ops import Op

RETRY_EVERY = 1.0
"""Seconds between two tries to write while the disk is full or broken."""


class NotRecorded(CheckpointError):  # noqa: N818 - reads as a fact
    """Something was given to be recorded, and is not; giving it again is right."""


class JournalGone(CheckpointError):  # noqa: N818 - reads as a fact
    """The job's files were deleted, or moved away, while it runs: waiting brings nothing back."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"the job's journal is gone: {folder} was deleted or moved away while the job ran; put it back and resume "
            "the job, or run it again to start over"
        )


@attrs.frozen
class _Flush:
    """Write what has gathered. Told to itself, so that whatever waits in the mailbox by then is written as well."""


class CheckpointActor(ThreadActor):
    """Makes commits durable, many at a time when they come fast, and acknowledges them only then.

    While the disk is full or broken it keeps what it was given, says so to the frontier (which hands out nothing more)
    and tries again; after ``storage_patience`` seconds, or at once if the journal was deleted under it, the judge hears
    of it and halts the job.
    """

    drains = True

    def __init__(self, plan: JobPlan, board: JobBoard) -> None:
        super().__init__()
        self._plan = plan
        self._board = board
        self._journal: Journal | None = None
        self._folder: os.stat_result | None = None
        """Which folder the journal is in."""
        self._batch: list[Commit] = []
        self._policies: dict[str, dict[str, Any]] = {}
        self._flushing = False
        self._trouble_since: float | None = None

    def on_start(self) -> None:
        journal, self._board.first_journal = self._board.first_journal, None
        self._journal = journal = journal if journal is not None else self._plan.store.open(self._plan.job_id)
        board = self._board
        if not board.run_opened:
            journal.append(ledger.opening(journal.state, time.time()), now_ms=_now_ms())
            board.run_opened = True
            board.results.first_of_run = len(journal.state["outcomes"])
        self._folder = self._plan.store.directory(self._plan.job_id).stat()
        board.results.publish(journal.state["outcomes"])

    def on_receive(self, message: Any) -> Any:
        match message:
            case Commit():
                self._batch.append(message)
                self._soon()
            case SavePolicyState(name, state):
                self._policies[name] = state
                self._soon()
            case _Flush():
                self._flushing = False
                self._flush()
            case Restore(anew):
                assert self._journal is not None
                if anew:
                    self._forget_batch()
                return Restored(self._journal.state, self._trouble_since is not None)
            case _:
                return super().on_receive(message)
        return None

    def on_stop(self) -> None:
        """The final checkpoint, written last of all: every outcome, then how the run ended."""
        self._flush()
        journal = self._journal
        assert journal is not None
        verdict = self._board.end.verdict or Verdict("interrupted")
        try:
            self._check_folder()
            journal.append(ledger.closing(len(journal.state["runs"]), time.time(), verdict), now_ms=_now_ms())
        except (CheckpointStorageError, JournalGone) as error:
            logger.error("the end of the run could not be recorded: {}", error)
        self._unanswered()
        journal.close()

    def on_failure(self, *_exc_info: Any) -> None:
        self._unanswered()
        if self._journal is not None:
            self._journal.close()

    def _soon(self) -> None:
        if not self._flushing and self._trouble_since is None:
            self._flushing = True
            self.actor_ref.tell(_Flush())

    def _flush(self) -> None:
        batch, policies = self._batch, self._policies
        ops: list[Op] = [op for commit in batch for op in commit.ops]
        ops += [ledger.policy_state(name, state) for name, state in policies.items()]
        in_trouble = self._trouble_since is not None
        if not batch and not policies and not in_trouble:
            return
        assert self._journal is not None
        try:
            if ops or in_trouble:  # also with nothing to write: is there room again?
                self._check_folder()
                self._journal.append(ops, now_ms=_now_ms())
        except (CheckpointStorageError, JournalGone) as error:
            self._in_trouble(error)
            return
        self._batch, self._policies = [], {}
        frontier = self.runtime.ref(self._plan.frontier)
        if self._trouble_since is not None:
            self._trouble_since = None
            logger.info("storage works again")
            frontier.tell(StorageTrouble(None))
        self._board.results.publish(self._journal.state["outcomes"])
        items = tuple(item for commit in batch for item in commit.items)
        if items:
            frontier.tell(Committed(items))
        for commit in batch:
            if commit.acknowledge is not None:
                commit.acknowledge.offer(value=commit.answer)

    def _check_folder(self) -> None:
        """A file that was deleted takes all that is written to it, and keeps nothing."""
        store, job_id = self._plan.store, self._plan.job_id
        folder = store.directory(job_id)
        assert self._folder is not None
        try:
            there = os.path.samestat(folder.stat(), self._folder) and store.exists(job_id)
        except OSError:
            there = False
        if not there:
            assert self._journal is not None
            self._board.remains = self._journal.state
            raise JournalGone(folder)

    def _in_trouble(self, error: CheckpointStorageError | JournalGone) -> None:
        now = time.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
            logger.error("storage cannot be written, tried again every {} s: {}", RETRY_EVERY, error)
            self.runtime.ref(self._plan.frontier).tell(StorageTrouble(str(error)))
        down_for = now - self._trouble_since
        if isinstance(error, JournalGone) or down_for > self._plan.config.storage_patience:
            self.runtime.ref(self._plan.judge).tell(StorageFailed(str(error), down_for))
        me = self.ref
        self.runtime.timer.after(RETRY_EVERY, lambda: me.tell(_Flush()))

    def _forget_batch(self) -> None:
        """Write what can be written, drop the rest."""
        if self._trouble_since is None:
            self._flush()
        self._unanswered()
        self._batch = []

    def _unanswered(self) -> None:
        for commit in self._batch:
            if commit.acknowledge is not None:
                commit.acknowledge.offer(error=NotRecorded("this could not be recorded"))


def _now_ms() -> int:
    return int(time.time() * 1000)
