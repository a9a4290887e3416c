"""What the checkpoint tests share: keys, small stores, and a job with a history."""

import copy
import random

import pytest

from scorewise_actors.checkpoints import CheckpointStore, Extend, Growth, Key, KeyRing, Set

SMALL = Growth(floor=900, ratio=0.0)
"""Generations so short that a dozen checkpoints need several."""


@pytest.fixture
def keys():
    """A ring with one key, the same in every run."""
    return KeyRing((Key(b"k" * 32),))


@pytest.fixture(params=["plain", "sealed"])
def any_keys(request, keys):
    """No key, then one."""
    return keys if request.param == "sealed" else None


@pytest.fixture
def make_store(tmp_path):
    """A store in a folder of its own, with short generations unless told."""

    def make(keys=None, name="store", growth=SMALL, **options):
        return CheckpointStore(tmp_path / name, keys, growth=growth, **options)

    return make


def write_history(store, job="job", count=12):
    """Appends `count` checkpoints; returns the state after each, by sequence number."""
    rnd = random.Random(7)
    states = {}
    with store.open(job) as journal:
        journal.append([Set(("items",), [])], now_ms=1)
        states[journal.sequence] = copy.deepcopy(journal.state)
        for number in range(1, count):
            item = {"n": number, "text": f"é{number} " * 3, "noise": rnd.randbytes(40)}
            journal.append([Extend(("items",), [item]), Set(("n",), number)], now_ms=1000 + number)
            states[journal.sequence] = copy.deepcopy(journal.state)
    return states


@pytest.fixture
def history():
    """The function that gives a job a history."""
    return write_history


@pytest.fixture
def files_of():
    """The function that lists the generation files of a job, oldest first."""
    return lambda store, job="job": sorted(store.directory(job).glob("*.ckpt"))
