"""Forks writers of one job and kills each with SIGKILL in the middle of its work; run by test_checkpoint_kill.

usage: killed_writer.py DIRECTORY ROUNDS honest|early     ("early" acknowledges before the append: the planted bug)
Prints one JSON object: how many items were acknowledged, how many of them were lost or stand twice.
"""

import json
import os
import random
import signal
import sys
import time

from scorewise_actors.checkpoints import CheckpointStore, Extend, Growth, Key, KeyRing, Set

KEYS = KeyRing((Key(b"k" * 32),))


def write(store, pipe, early):
    """Appends numbered items for ever, each acknowledged through the pipe."""
    with store.open("job") as journal:
        if not journal.state:
            journal.append([Set(("items",), [])], now_ms=1)
        number = len(journal.state["items"])
        while True:
            if early:
                os.write(pipe, b"%d\n" % number)
            journal.append([Extend(("items",), [number])], now_ms=1)
            if not early:
                os.write(pipe, b"%d\n" % number)
            number += 1


def kill_one(store, rnd, early):
    """Lets a writer acknowledge a few items, kills it and returns the last number that it acknowledged."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write(store, writer, early)
    os.close(writer)
    with os.fdopen(reader, "rb") as acknowledged:
        for _ in range(rnd.randrange(1, 40)):
            last = acknowledged.readline()
        end = time.monotonic() + (0 if early else rnd.random() * 0.002)
        while time.monotonic() < end:  # into the middle of an append, wherever that is
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return int((acknowledged.read().splitlines() or [last])[-1])


def main(directory, rounds, mode):
    """Kills, reopens and compares, round after round."""
    rnd = random.Random(11)
    store = CheckpointStore(directory, KEYS, growth=Growth(floor=3000, ratio=0.5))
    last, lost, wrong, files = -1, 0, 0, 0
    for _ in range(rounds):
        last = kill_one(store, rnd, mode == "early")
        items = store.read("job")[0]["items"]
        lost += max(0, last + 1 - len(items))
        wrong += items != list(range(len(items)))
        files = max(files, len(list(store.directory("job").iterdir())))
    print(json.dumps({"acknowledged": last + 1, "lost": lost, "wrong": wrong, "files": files}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
