"""Erlang/OTP-style supervision on Pykka actors: threads and coroutines that are started in order, watched, restarted
within a limit, and ended for certain.

Knows nothing of scraping; use it for any Pykka program. ``Runtime`` holds a tree, ``Supervisor`` runs a
``SupervisorSpec`` of ``ChildSpec``, ``ThreadActor`` and ``AsyncActor`` do the work, a ``Ref`` reaches whoever lives at
a path now.
"""

from importlib.util import find_spec
from pathlib import Path

from loguru import logger

_found = getattr(find_spec("policies"), "origin", None) or ""
_ours = Path(__file__).resolve().parent.parent / "policies"
if Path(_found).resolve().parent != _ours:
    raise ImportError(
        f"supervisors needs the package 'policies' that it was installed with ({_ours}), but Python finds "
        f"{_found or 'another folder of that name'} first; rename that, or take its parent off sys.path"
    )

logger.disable("supervisors")  # a library is silent until its user says logger.enable("supervisors")

from policies.restart import Intensity, RestartPolicy, RestartType, Strategy
from supervisors.actor import NO_REPLY, Actor
from supervisors.actor_timers import ActorTimer
from supervisors.ask_cycles import AskCycleError
from supervisors.async_actor import AsyncActor
from supervisors.async_supervisor import AsyncSupervisor
from supervisors.children import (
    count_children,
    delete_child,
    get_child_spec,
    reset_restarts,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from supervisors.confinement import Confinement, ForeignTaskError
from supervisors.core.transitions import ChildInfo, SupervisorError
from supervisors.current import current_actor
from supervisors.event_queue import EventQueue
from supervisors.exits import (
    NORMAL,
    SHUTDOWN,
    ActorExit,
    ExitKind,
    ExitReason,
    Killed,
    end_actor,
)
from supervisors.future import ReplyFuture
from supervisors.hooks import ChildHooks
from supervisors.loop_thread import LoopThread
from supervisors.loop_watchdog import LoopWatchdog
from supervisors.mailboxes.policy import MailboxPolicy, OnFull
from supervisors.proxy import ActorProxy
from supervisors.ref import Ref
from supervisors.refusals import MailboxFullError, NotHandledError
from supervisors.runtime import Runtime
from supervisors.signals import Down, LinkDown, Signal, Timeout
from supervisors.spec import (
    AutoShutdown,
    ChildKind,
    ChildSpec,
    GiveUp,
    Ladder,
    SupervisorSpec,
    check_child_specs,
)
from supervisors.supervisor import Supervisor
from supervisors.system_messages import (
    Statistics,
    get_state,
    glance,
    measure,
    resume,
    statistics,
    stop_trace,
    suspend,
    trace_messages,
)
from supervisors.thread_actor import ThreadActor

__all__ = [
    "NORMAL",
    "NO_REPLY",
    "SHUTDOWN",
    "Actor",
    "ActorExit",
    "ActorProxy",
    "ActorTimer",
    "AskCycleError",
    "AsyncActor",
    "AsyncSupervisor",
    "AutoShutdown",
    "ChildHooks",
    "ChildInfo",
    "ChildKind",
    "ChildSpec",
    "Confinement",
    "Down",
    "EventQueue",
    "ExitKind",
    "ExitReason",
    "ForeignTaskError",
    "GiveUp",
    "Intensity",
    "Killed",
    "Ladder",
    "LinkDown",
    "LoopThread",
    "LoopWatchdog",
    "MailboxFullError",
    "MailboxPolicy",
    "NotHandledError",
    "OnFull",
    "Ref",
    "ReplyFuture",
    "RestartPolicy",
    "RestartType",
    "Runtime",
    "Signal",
    "Statistics",
    "Strategy",
    "Supervisor",
    "SupervisorError",
    "SupervisorSpec",
    "ThreadActor",
    "Timeout",
    "check_child_specs",
    "count_children",
    "current_actor",
    "delete_child",
    "end_actor",
    "get_child_spec",
    "get_state",
    "glance",
    "measure",
    "reset_restarts",
    "restart_child",
    "resume",
    "start_child",
    "statistics",
    "stop_trace",
    "suspend",
    "terminate_child",
    "trace_messages",
    "which_children",
]
