"""``Row``: one figure of a bench, with the bar it is held to, for people and for machines."""

import json
import math
from collections.abc import Iterable
from typing import Any, Self

import attrs

_HEADS = ("row", "value", "unit", "bar", "holds")


def _finite(instance: object, attribute: "attrs.Attribute[float]", value: Any) -> None:
    del instance
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"Row.{attribute.name} must be a finite number, got {value!r}")


@attrs.frozen
class Row:
    """One figure. Without a bar ``bar`` and ``holds`` are None."""

    row: str
    """What was measured; unique in a bench."""
    value: float = attrs.field(validator=_finite)
    unit: str
    """``µs``, ``ms``, ``s``, ``1/s``, ``KiB``, ``messages``, or ``x`` for a ratio."""
    bar: float | None = attrs.field(default=None, validator=attrs.validators.optional(_finite))
    """The value that it must not pass."""
    holds: bool | None = None
    """Whether the bar holds."""

    def __attrs_post_init__(self) -> None:
        if (self.bar is None) is not (self.holds is None):
            raise ValueError(f"Row {self.row!r} must have both of bar and holds or none, got {self.bar}, {self.holds}")

    @classmethod
    def at_most(cls, row: str, value: float, unit: str, bar: float) -> Self:
        """A figure that must not be above ``bar``."""
        return cls(row, value, unit, bar, value <= bar)

    @classmethod
    def at_least(cls, row: str, value: float, unit: str, bar: float) -> Self:
        """A figure that must not be below ``bar``."""
        return cls(row, value, unit, bar, value >= bar)

    def json_line(self) -> str:
        """The row as one line of JSON: ``{"row", "value", "unit", "bar", "holds"}``, the value rounded to 4 digits."""
        return json.dumps(attrs.asdict(attrs.evolve(self, value=float(f"{self.value:.4g}"))), ensure_ascii=False)


def table(rows: Iterable[Row]) -> str:
    """The rows as lines of text in columns."""
    lines = [_HEADS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths) for cells in lines)


def _cells(row: Row) -> tuple[str, ...]:
    bar = "" if row.bar is None else f"{row.bar:g}"
    holds = "" if row.holds is None else "yes" if row.holds else "NO"
    return row.row, f"{row.value:.4g}", row.unit, bar, holds


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    row, value, unit, bar, holds = (
        f"{cell:>{width}}" if head in ("value", "bar") else f"{cell:<{width}}"
        for head, cell, width in zip(_HEADS, cells, widths, strict=True)
    )
    return f"{row}  {value} {unit}  {bar}  {holds}".rstrip()
