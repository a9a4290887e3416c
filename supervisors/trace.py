"""Where an error came from, noted in a few microseconds and put into words when somebody asks.

To format a traceback takes longer than to restart an actor: source files are looked up on the disk. Most of them are
never read.
"""

from itertools import islice
from traceback import FrameSummary, StackSummary, TracebackException
from types import CodeType


class Trace:
    """What ``traceback.format_exception`` tells of an error. Keeps code objects and line numbers, but neither the error
    nor any frame, which would pin all that was in use.
    """

    __slots__ = ("_error", "_stack")

    def __init__(self, error: BaseException) -> None:
        # without its traceback, which this class takes over; causes and the like come with theirs, but seldom
        self._error = TracebackException(type(error), error, None, lookup_lines=False, compact=True)
        stack = []
        traceback = error.__traceback__
        while traceback is not None:
            stack.append((traceback.tb_frame.f_code, traceback.tb_lasti, traceback.tb_lineno))
            traceback = traceback.tb_next
        self._stack = tuple(stack)

    def __str__(self) -> str:
        self._error.stack = StackSummary.from_list([_summary(*entry) for entry in self._stack])
        return "".join(self._error.format())


def _summary(code: CodeType, instruction: int, line: int) -> FrameSummary:
    _, end_line, column, end_column = next(islice(code.co_positions(), instruction // 2, None))
    return FrameSummary(
        code.co_filename,
        line,
        code.co_name,
        lookup_line=False,
        end_lineno=end_line,
        colno=column,
        end_colno=end_column,
    )
