"""The live display on a terminal, with ``rich`` (the extra ``terminal``); plain lines without it."""

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from scorewise_actors.cli.progress import Display, PlainDisplay, QuietDisplay, Snapshot, counted, duration, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

_FRAME = 0.2
"""Seconds between two snapshots."""


def open_display(*, quiet: bool = False) -> Display:
    """The display that fits: live on a terminal that can, plain lines otherwise, nearly nothing if ``quiet``."""
    if quiet:
        return QuietDisplay()
    able = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if able and importlib.util.find_spec("rich") is not None:
        return LiveDisplay()
    return PlainDisplay()


class LiveDisplay:
    """A block at the bottom of the terminal, drawn anew several times a second; what is said scrolls above it."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - rich is an extra
        from rich.live import Live  # noqa: PLC0415 - rich is an extra

        self._console = Console(stderr=True, highlight=False)
        # stdout and stderr stay as they are: the report goes to stdout, and may be piped
        self._live = Live(
            console=self._console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._next = 0.0
        self._live.start()

    def due(self, now: float) -> bool:
        """See ``Display``."""
        if now < self._next:
            return False
        self._next = now + _FRAME
        return True

    def show(self, snapshot: Snapshot) -> None:
        """See ``Display``."""
        self._live.update(block(snapshot), refresh=True)

    def say(self, text: str) -> None:
        """See ``Display``."""
        self._console.print(visible(text), markup=False, soft_wrap=True)

    def close(self) -> None:
        """See ``Display``."""
        self._live.stop()


def block(snapshot: Snapshot) -> "RenderableType":
    """The snapshot as a block for ``rich``."""
    from rich.console import Group  # noqa: PLC0415 - rich is an extra
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - rich is an extra
    from rich.table import Table  # noqa: PLC0415 - rich is an extra
    from rich.text import Text  # noqa: PLC0415 - rich is an extra

    progress = snapshot.progress
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    eta = progress.eta(snapshot.seconds)
    left = f", about {duration(eta)} left" if eta is not None and progress.pending else ""
    pace = "" if snapshot.per_minute is None else f"{snapshot.per_minute:.0f}/min, "
    items = (
        f"{progress.done} done, {progress.dead} dead, {progress.in_flight} in flight, {progress.waiting} waiting, "
        f"{progress.delayed} waiting to retry, of {progress.enqueued}"
    )
    grid.add_row("", ProgressBar(total=max(1, progress.enqueued), completed=progress.finished, width=60))
    grid.add_row("items", Text(items))
    grid.add_row("pace", Text(f"{pace}{duration(snapshot.seconds)} so far{left}"))
    if progress.failures:
        grid.add_row("failed tries", Text(counted(progress.failures), style="yellow"))
    if snapshot.restarts:
        grid.add_row("restarts", Text(counted(snapshot.restarts), style="yellow"))
    tree = Text()
    for member in snapshot.tree:
        whole = member.up == member.total
        tree.append("● " if whole else "○ ", style="green" if whole else "red")
        tree.append(f"{member}  ")
    grid.add_row("tree", tree)
    state = "stopping, Ctrl-C again ends at once" if snapshot.stopping else "running, Ctrl-C stops in good order"
    title = Text.assemble((visible(snapshot.job_id), "bold cyan"), "  ", (state, "dim"))
    return Group(title, grid)
