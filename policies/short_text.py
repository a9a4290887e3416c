"""Text for people of foreign values and exceptions, whose own text may be long, broken or missing: the one place that
asks for it.

``__repr__`` and ``__str__`` are foreign code. Who only wants to tell of a value must not end by it, so whatever they
raise, also what is no `Exception`, becomes a stand-in. Only an `Interruption` passes: it is not theirs.
"""

import reprlib

UNREADABLE = "its text cannot be read"
"""What stands for a text that raises."""


class Interruption(BaseException):
    """Base of what is raised into running code from outside, to end it, as ``supervisors.exits.Killed``. Whoever takes
    what foreign code raises for the fault of that code lets it pass.
    """


def short_text(value: object, limit: int = 500) -> str:
    """``repr`` cut to `limit` characters, and to a few elements of each container. What cannot be read, also inside of
    a container, is named by its type. Raises nothing but `Interruption`.
    """
    text = _Brief(limit).repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def said(value: object, otherwise: str = UNREADABLE) -> str:
    """``str``, whole, or `otherwise` if it cannot be read. Raises nothing but `Interruption`."""
    try:
        return str(value)
    except Interruption:
        raise
    except BaseException:  # noqa: BLE001 - foreign code: who merely looks must not end
        return otherwise


class _Brief(reprlib.Repr):
    def __init__(self, limit: int) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = limit
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 20
        self.maxlevel = 4

    def repr1(self, x: object, level: int) -> str:
        """The text of the value and of each element."""
        try:
            return super().repr1(x, level)
        except Interruption:
            raise
        except BaseException as error:  # noqa: BLE001 - foreign code
            return f"<{type(x).__name__}: {UNREADABLE}, {type(error).__name__}>"

    def repr_instance(self, x: object, level: int) -> str:  # noqa: ARG002 - of the base class, whose stand-in is an address
        return repr(x)[: self.maxother + 1]  # one too many: so it can be seen that it is cut
