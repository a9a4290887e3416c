"""How a law of the policies is written down, and the bugs that it must notice.

A law is a function of the package that must obey it. The package is an argument because two tests need it: one asks
whether the law holds, the other plants a bug in a copy of the package and asks whether the law notices. Times lie on a
grid of 1/8 s, where floats add exactly.
"""

import sys
from collections.abc import Callable
from types import ModuleType

import attrs
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

Law = Callable[[ModuleType], None]


@attrs.frozen
class Bug:
    """One planted bug: in `module`, the text `old` (which stands there once) becomes `new`."""

    module: str
    old: str
    new: str

    def __str__(self):
        return f"{self.module}: {self.new.strip() or 'without ' + self.old.strip()}"


LAWS: dict[str, Law] = {}
BUGS: dict[str, tuple[Bug, ...]] = {}
"""Law → the bugs it must notice. No other law notices the first one: without this law it would go unseen."""

PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
"""What hypothesis does; a test that expects a failure needs no smallest one."""

EXAMPLES = 100 if sys.gettrace() is None else 10
"""Under a tracer (that of coverage) each example costs many times as much, and reaches no further branch."""


def law(*bugs: Bug) -> Callable[[Law], Law]:
    def register(function: Law) -> Law:
        LAWS[function.__name__] = function
        BUGS[function.__name__] = bugs
        return function

    return register


def examples(check):
    return settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=PHASES,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )(check)


seeds = st.integers(0, 2**32)


def eighths(low: float, high: float):
    return st.integers(int(low * 8), int(high * 8)).map(lambda n: n / 8)
