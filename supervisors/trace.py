"""Where an error came from, noted in a few microseconds and put into words when somebody asks.

To format a traceback takes longer than to restart an actor: source files are looked up on the disk. Most of them are
never read.
"""

from itertools import islice
from traceback import FrameSummary, StackSummary, TracebackException
from types import CodeType, TracebackType

from policies.short_text import Interruption

_TOLD_MORE_OF = (SyntaxError, NameError, AttributeError, ImportError, BaseExceptionGroup)
"""Errors of which Python tells more than their text."""


class Trace:
    """What ``traceback.format_exception`` tells of an error. Keeps code objects and line numbers, but neither the error
    nor any frame, which would pin all that was in use.
    """

    __slots__ = ("_error", "_stack")

    def __init__(self, error: BaseException) -> None:
        # without its traceback, which this class takes over; causes and the like come with theirs, but seldom
        plain = _plain(error)
        self._error = _described(type(error), error, error.__traceback__) if plain is None else (type(error), plain)
        stack = []
        traceback = error.__traceback__
        while traceback is not None:
            stack.append((traceback.tb_frame.f_code, traceback.tb_lasti, traceback.tb_lineno))
            traceback = traceback.tb_next
        self._stack = tuple(stack)

    def __str__(self) -> str:
        error = _described(*self._error) if isinstance(self._error, tuple) else self._error
        error.stack = StackSummary.from_list([_summary(*entry) for entry in self._stack])
        return "".join(error.format())


class _SaidError(Exception):
    """Stands in for an error of which the text is all there is to tell."""


def _plain(error: BaseException) -> _SaidError | None:
    """The stand-in; None if there is more to tell, or if the text cannot be read."""
    context = None if error.__suppress_context__ else error.__context__
    if context or error.__cause__ or isinstance(error, _TOLD_MORE_OF) or getattr(error, "__notes__", None):
        return None
    try:
        return _SaidError(str(error))
    except Interruption:
        raise
    except BaseException:  # noqa: BLE001 - what is told of such an error is Python's business
        return None


def _described(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None = None
) -> TracebackException:
    """Python's description. It looks at the traceback for names that may have been meant, and keeps no frame of it."""
    trace = trace if isinstance(error, _TOLD_MORE_OF) else None
    return TracebackException(kind, error, trace, lookup_lines=False, compact=True)


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
