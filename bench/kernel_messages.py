"""What a message costs, told and asked, against stock Pykka: CPU of all threads, sender and receiver together."""

import contextlib
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import attrs

from bench.kernel_actors import PATIENCE, AsyncSubject, Last, StockSubject, ThreadSubject, loop_thread, tree
from bench.rows import Row
from supervisors import ChildSpec

TELL_BAR = 0.5
ASK_BAR = 0.9


@attrs.frozen
class Contender:
    """One kind of actor, running, with the two ways to talk to it."""

    name: str
    tell: Callable[[Any], None]
    ask: Callable[[Any], Any]

    def cpu_per_tell(self, messages: int) -> float:
        """CPU seconds for a message that is told and handled; blocks."""
        tell, last = self.tell, Last()
        began = time.process_time()
        for number in range(messages - 1):
            tell(number)
        tell(last)
        last.done.get(timeout=PATIENCE)
        return (time.process_time() - began) / messages

    def cpu_per_ask(self, messages: int) -> float:
        """CPU seconds for a message that is asked and answered, one at a time; blocks."""
        ask = self.ask
        began = time.process_time()
        for number in range(messages):
            ask(number)
        return (time.process_time() - began) / messages


def messages(rounds: int, tells: int, asks: int) -> Iterator[Row]:
    """Tells and asks to a stock Pykka actor, a thread actor and an async actor, in turns."""
    with contextlib.ExitStack() as stack:
        contenders = _contenders(stack)
        for contender in contenders:
            contender.cpu_per_tell(tells)
            contender.cpu_per_ask(asks)
        told = [[contender.cpu_per_tell(tells) for contender in contenders] for _ in range(rounds)]
        asked = [[contender.cpu_per_ask(asks) for contender in contenders] for _ in range(rounds)]
    names = [contender.name for contender in contenders]
    for what, bar, taken in (("tell", TELL_BAR, told), ("ask", ASK_BAR, asked)):
        for at, name in enumerate(names[1:], start=1):
            row, ratio = f"CPU per {what}, ratio: {name} / {names[0]}", median(turn[at] / turn[0] for turn in taken)
            yield Row.at_most(row, ratio, "x", bar) if name == "thread actor" else Row(row, ratio, "x")
        for at, name in enumerate(names):
            yield Row(f"CPU per {what}: {name}", median(turn[at] for turn in taken) * 1e6, "µs")


def _contenders(stack: contextlib.ExitStack) -> tuple[Contender, ...]:
    stock = StockSubject.start()
    stack.callback(stock.stop)
    loop = stack.enter_context(loop_thread("messages"))
    runtime, supervisor = stack.enter_context(
        tree([ChildSpec("thread", ThreadSubject), ChildSpec("async", lambda: AsyncSubject(loop))])
    )
    in_thread, on_loop = (runtime.ref(f"{supervisor.path}/{child}") for child in ("thread", "async"))
    return (
        Contender("stock Pykka", stock.tell, stock.ask),
        Contender("thread actor", in_thread.tell, in_thread.ask),
        Contender("async actor", on_loop.tell, on_loop.ask),
    )
