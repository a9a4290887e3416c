"""What an actor takes of memory, measured in a process of its own: ``python -m bench.kernel_memory CONTENDER COUNT``
prints the KiB of resident memory that each of ``COUNT`` idle actors adds.
"""

import contextlib
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import psutil
import pykka

from bench.kernel_actors import loop_thread, specs, tree
from bench.rows import Row
from bench.spec import CannotMeasureError
from supervisors import AsyncActor, ThreadActor

WARM_UP = 50
"""Actors that run before the count begins: by then all code is loaded and the allocator has its first arenas."""
_SECONDS = 600.0


def memory(rounds: int, count: int) -> Iterator[Row]:
    """Memory of idle actors, those of ours in a running pool, with all that their supervisor keeps of them."""
    taken = [{name: memory_per_actor(name, count) for name in CONTENDERS} for _ in range(rounds)]
    bars = {"async": 4.0, "thread": 26.0}
    names = {"async": "async actor in a pool", "thread": "thread actor in a pool", "stock": "stock Pykka actor, alone"}
    for contender, name in names.items():
        row, kib = f"memory (RSS) per actor: {name}", median(turn[contender] for turn in taken)
        yield Row.at_most(row, kib, "KiB", bars[contender]) if contender in bars else Row(row, kib, "KiB")


def memory_per_actor(contender: str, count: int) -> float:
    """KiB that each of ``count`` idle actors adds to a fresh process; blocks. Raises CannotMeasureError if it fails."""
    command = [sys.executable, "-m", "bench.kernel_memory", contender, str(count)]
    try:
        told = subprocess.run(
            command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True, timeout=_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise CannotMeasureError(f"{contender} failed:\n{error.stderr.strip()[-2000:]}") from error
    return float(told.stdout)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    with tree(specs(ThreadActor, count), pool=True):
        yield


@contextlib.contextmanager
def _coroutines(count: int) -> Iterator[None]:
    with loop_thread("memory") as loop, tree(specs(lambda: AsyncActor(loop), count), pool=True):
        yield


class _Idle(pykka.ThreadingActor):
    use_daemon_thread = True


@contextlib.contextmanager
def _stock(count: int) -> Iterator[None]:
    refs = [_Idle.start() for _ in range(count)]
    yield
    for ref in refs:
        ref.stop()


CONTENDERS: Mapping[str, Callable[[int], contextlib.AbstractContextManager[None]]] = {
    "async": _coroutines,
    "thread": _threads,
    "stock": _stock,
}


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def main(contender: str, count: int) -> None:
    """Run the actors, measure, print."""
    run = CONTENDERS[contender]
    with run(WARM_UP):
        before = _resident()
        with run(count):
            added = _resident() - before
    print(added / 1024 / count)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
