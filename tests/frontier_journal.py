"""A frontier with a journal in memory, for tests of its rules; importable from every test."""

import random

from policies.backoff import Backoff
from policies.classify import FailureClassifier
from policies.failures import Failure
from policies.hosts import HostPolicy
from policies.retry import RetryPolicy
from scorewise_actors import ledger
from scorewise_actors.checkpoints.ops import State
from scorewise_actors.frontier import MemoryFrontier
from scorewise_actors.job import Request

RETRY = RetryPolicy(max_attempts=3, backoff=Backoff(base_delay=1.0, jitter=0.0))
HOSTS = HostPolicy(pauses=Backoff(60.0, 2.0, 3600.0, 0.0))
EPOCH = 1e9
DOWN = Failure("Error", "Page.goto: net::ERR_CONNECTION_REFUSED")


class Journal:
    """Carries out commits on a journal state in memory, and acknowledges them."""

    def __init__(self, retry=RETRY, hosts=HOSTS):
        self.retry = retry
        self.hosts = hosts
        self.state = State()
        for op in ledger.opening(self.state.root, 0.0):
            self.state.change(op)
        self.frontier = self.open()

    def open(self, now=0.0, epoch=EPOCH):
        self.frontier = MemoryFrontier(
            self.state.root,
            retry=self.retry,
            classifier=FailureClassifier(),
            hosts=self.hosts,
            rng=random.Random(1),
            epoch=epoch,
            now=now,
        )
        return self.frontier

    def record(self, swapped):
        for commit in swapped.commits:
            for op in commit.ops:
                self.state.change(op)
            self.frontier.committed(commit.items)
        return swapped

    def add(self, urls):
        count, commit = self.frontier.add([Request(url) for url in urls])
        if commit is not None:
            for op in commit.ops:
                self.state.change(op)
        return count

    def swap(self, holder="a", *completed, want=1, now=0.0):
        return self.record(self.frontier.swap(holder, completed, want, now))

    def lease(self, holder="a", now=0.0):
        (lease,) = self.swap(holder, now=now).leases
        return lease

    def audit(self):
        return ledger.audit(self.state.root)
