"""CPU time of a whole process tree: a program, its children, all below them, and those of them that have ended.

For each living process the kernel counts its own time (``utime + stime``, every thread, also ended ones) and the time
of its ended and reaped descendants (``cutime + cstime``). A process that ends moves from the first account to the
second one of its parent, so the sum of both over all living processes keeps everything, and the difference of two sums
is what the tree has used in between. What is missed: a process whose parent ended before it, reaped by somebody
outside of the tree. Chromium's zygotes reap renderers, the Playwright driver its browsers, and both outlive them here.

The kernel shows each account in ticks of 10 ms: a difference over a tree of ten processes is good to some 50 ms.
"""

import attrs
import psutil

_WALKS = 10


@attrs.frozen
class TreeCpu:
    """CPU seconds, user and system, of a process tree since it began; with ``-`` since an earlier sample."""

    own: float
    """The program itself, with children of its that have ended."""
    children: float
    """Its living children, with children of theirs that have ended."""
    deeper: float
    """All processes below them."""

    @property
    def total(self) -> float:
        """The whole tree."""
        return self.own + self.children + self.deeper

    def __sub__(self, earlier: "TreeCpu") -> "TreeCpu":
        return TreeCpu(self.own - earlier.own, self.children - earlier.children, self.deeper - earlier.deeper)


def tree_cpu(pid: int | None = None) -> TreeCpu:
    """Sample the tree below ``pid`` (default: this process); blocks for some 10 ms of CPU.

    Walks again when a process came or went meanwhile, since it would be missed or counted twice. Raises
    ``psutil.NoSuchProcess`` if there is no such process, RuntimeError for a tree that does not hold still.
    """
    root = psutil.Process(pid)
    for _ in range(_WALKS):
        levels = _levels(root)
        try:
            used = [sum(sum(process.cpu_times()[:4]) for process in level) for level in levels]
        except psutil.NoSuchProcess:
            root.cpu_times()  # if it is the root that has gone, say so
            continue
        if _levels(root) == levels:
            return TreeCpu(*used)
    raise RuntimeError(f"the processes below {root.pid} came and went in each of {_WALKS} samples")


def _levels(root: psutil.Process) -> tuple[set[psutil.Process], ...]:
    children = set(root.children())
    return {root}, children, set(root.children(recursive=True)) - children
