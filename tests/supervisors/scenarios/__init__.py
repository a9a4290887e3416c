"""What a supervisor has to do, as data: a row is a supervisor, a script of what happens to it, and what is to be seen.

One table serves every way to run it: the pure core under a virtual clock, and real actors. The rows follow the observed
behaviour of the Erlang/OTP supervisor; rows whose id begins with ``own`` have no counterpart there.

The trace that ``See`` compares: ``+a`` a start of a succeeded, ``!a`` one was refused, ``?a`` one was declined, ``-a``
a was stopped by its supervisor. Children that end by themselves leave no trace.
"""

from tests.supervisors.scenarios import (
    delays,
    dynamic,
    intensity,
    pools,
    refused,
    restart_types,
    shutdown,
    significant,
    start,
    strategies,
    trees,
)
from tests.supervisors.scenarios.vocabulary import (
    TABLE,
    Action,
    Advance,
    Alive,
    Delete,
    Ended,
    Gave,
    Kid,
    Kill,
    Next,
    Reset,
    Restart,
    Scenario,
    See,
    Start,
    Stop,
    Terminate,
    Tree,
    permanent,
    temporary,
    transient,
)

__all__ = [
    "TABLE",
    "Action",
    "Advance",
    "Alive",
    "Delete",
    "Ended",
    "Gave",
    "Kid",
    "Kill",
    "Next",
    "Reset",
    "Restart",
    "Scenario",
    "See",
    "Start",
    "Stop",
    "Terminate",
    "Tree",
    "delays",
    "dynamic",
    "intensity",
    "permanent",
    "pools",
    "refused",
    "restart_types",
    "shutdown",
    "significant",
    "start",
    "strategies",
    "temporary",
    "transient",
    "trees",
]
