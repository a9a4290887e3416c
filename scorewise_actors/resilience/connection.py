"""How a manager reaches its actors: in the tree of a running system, or in one that is there for managers alone.

Nothing here blocks the event loop, and every call has a deadline. An actor that ends in the middle of a call is
restarted by its supervisor and the call is sent again; so every message may come twice, and counts once.
"""

import asyncio
import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pykka

from scorewise_actors import tree
from scorewise_actors.correlation import Tracked, correlation_id
from scorewise_actors.errors import ConfigurationError
from scorewise_actors.events import EventHub, EventType, ResilienceEvent, Severity
from scorewise_actors.messages.resilience import Ping
from scorewise_actors.resilience.errors import ResilienceException, TreeUnavailableError
from scorewise_actors.resilience.logs import log_event
from scorewise_actors.resilience_memory import ResilienceMemory
from scorewise_actors.roles import RESILIENCE, RESILIENCE_PATH
from supervisors.children import restart_child, start_child
from supervisors.core.transitions import SupervisorError
from supervisors.runtime import Runtime
from supervisors.supervisor import Supervisor

if TYPE_CHECKING:
    from supervisors.spec import ChildSpec

CALL_DEADLINE = 5.0
"""Seconds that an actor has for its answer, its restarts included."""
START_DEADLINE = 60.0
_LOOK = 0.25
"""Seconds that a call waits at a time for an actor that is down. Then it looks again whether the tree has ended, and
whether the actor is to be started.
"""
_STOP_DEADLINE = 30.0
_ON_ITS_WAY = frozenset(("already_started", "running", "restarting"))
"""What a supervisor says of a child that is up, or will be without our doing: it may wait for its restart delay."""


class Connection:
    """A tree with a branch for managers. Every method may be called from any thread or event loop."""

    path = RESILIENCE
    """Path of the branch's supervisor."""

    def __init__(self) -> None:
        self.events = EventHub()
        self.events.subscribe(log_event)
        self.events.subscribe(self._pass_on)
        self.memory = ResilienceMemory()

    def running(self) -> Runtime | None:
        """The runtime, if the tree is up."""
        raise NotImplementedError

    def _pass_on(self, event: ResilienceEvent) -> None:
        """Whoever listens to the tree hears its managers, too."""
        runtime = self.running()
        if runtime is not None:
            runtime.emit(event)

    async def start(self) -> Runtime:
        """The runtime; started if that is this connection's to do. Raises ``TreeUnavailableError``."""
        raise NotImplementedError

    def join(self) -> None:
        """One more manager uses the tree."""

    def forget(self) -> None:
        """A manager that was not closed is gone. Runs in the garbage collector: never blocks."""

    async def leave(self) -> None:
        """A manager was closed."""

    async def stop_job(self, job_id: str, reason: str) -> None:
        """Stop a job that runs in this tree, if there is one; its pages in hand may finish."""

    # ------------------------------------------------------------------------------------------------- talking

    async def call(
        self,
        role: str,
        message: Any,
        *,
        error: type[ResilienceException],
        deadline: float | None = CALL_DEADLINE,
        spec: "ChildSpec | None" = None,
    ) -> Any:
        """The answer of the actor ``role`` of the branch; a whole path names another one of the tree.

        ``spec``: start that child of the branch if there is none. Raises ``error`` when there is no answer within
        ``deadline`` seconds (code ``ACTOR_TIMEOUT``; None waits for ever) or the actor's code fails
        (``ACTOR_FAILED``), ``TreeUnavailableError`` if the tree has ended or there is no event loop.
        """
        _require_loop()
        tracked = Tracked(message, correlation_id())
        runtime = await self.start()
        try:
            async with asyncio.timeout(deadline) as limit:
                return await self._answer(runtime, role, tracked, spec)
        except TimeoutError as late:
            if not limit.expired():
                raise error.because(f"{role} failed: {late!r}", "ACTOR_FAILED", actor=role) from late
            raise error.because(
                f"{self.path}/{role} gave no answer within {deadline:g} s: it is stuck, or is being restarted again "
                "and again; its log tells why",
                "ACTOR_TIMEOUT",
                actor=role,
                deadline=deadline,
            ) from None
        except (ResilienceException, asyncio.CancelledError):
            raise
        except Exception as failure:
            raise error.because(f"{self.path}/{role} failed: {failure!r}", "ACTOR_FAILED", actor=role) from failure

    async def call_patiently(self, role: str, message: Any, *, error: type[ResilienceException]) -> Any:
        """``call`` for an answer that may take long although the actor is well: it is asked every now and then whether
        it is there, and the call fails only when it is not.
        """
        waiting = asyncio.ensure_future(self.call(role, message, error=error, deadline=None))
        try:
            while not (await asyncio.wait({waiting}, timeout=CALL_DEADLINE))[0]:
                await self.call(role, Ping(), error=error)
            return await waiting
        finally:
            waiting.cancel()

    async def _answer(self, runtime: Runtime, role: str, tracked: Tracked, spec: "ChildSpec | None") -> Any:
        ref = runtime.ref(role if "/" in role else f"{self.path}/{role}")
        while True:
            if runtime.ended.done():
                raise TreeUnavailableError.because(f"the tree of {self.path} has ended: {runtime.ended.get(timeout=0)}")
            try:
                return await ref.request(tracked)
            except pykka.ActorDeadError:
                if spec is not None:
                    await self._start_child(runtime, spec)
            with contextlib.suppress(pykka.ActorDeadError):
                await ref.request(Tracked(Ping(), None), wait=_LOOK)  # a late one does nothing, unlike the message

    async def _start_child(self, runtime: Runtime, spec: "ChildSpec") -> None:
        branch = runtime.ref(self.path)
        try:
            try:
                await start_child(branch, spec)
            except SupervisorError as known:
                if known.code != "already_present":
                    raise
                await restart_child(branch, spec.id)
        except SupervisorError as known:
            if known.code not in _ON_ITS_WAY:
                raise
        except pykka.ActorDeadError:
            return  # the branch itself is being restarted

    def tell(self, role: str, message: Any) -> None:
        """Send without waiting; dropped while the tree is not up."""
        runtime = self.running()
        if runtime is not None:
            runtime.ref(f"{self.path}/{role}").tell(Tracked(message, correlation_id()))

    def emit(
        self,
        kind: EventType,
        component: str,
        job_id: str | None = None,
        severity: Severity = Severity.LOW,
        *,
        stack: str | None = None,
        **data: Any,
    ) -> None:
        """Tell an event of a manager; ``stack`` is the traceback of the failure that it tells of."""
        self.events.emit(ResilienceEvent(self.path, kind, component, job_id, severity, data, stack=stack))


class PrivateTree(Connection):
    """A tree for managers without a system: started on first use, ended when the last manager is closed, at the latest
    when the interpreter exits. What it knows ends with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None
        self._members = 0
        self._forgotten: deque[None] = deque()
        """One entry for each seat that the garbage collector gave up, in whatever thread it ran."""
        _private_trees.add(self)

    def running(self) -> Runtime | None:
        return self._runtime

    async def start(self) -> Runtime:
        runtime = self._runtime
        if runtime is not None and not runtime.ended.done():
            return runtime
        return await asyncio.to_thread(self._start)

    def _start(self) -> Runtime:
        with self._lock:
            if self._runtime is not None and self._runtime.ended.done():  # it gave up
                self._runtime.close()
                self._runtime = None
            if self._runtime is None:
                runtime = Runtime(self.path)
                try:
                    runtime.start(Supervisor(tree.resilience_spec(self.memory, self.events)), START_DEADLINE)
                except (RuntimeError, pykka.Timeout) as error:
                    runtime.close()
                    raise TreeUnavailableError.because(f"the managers' tree does not start: {error}") from error
                self._runtime = runtime
            return self._runtime

    def join(self) -> None:
        with self._lock:
            self._members += 1

    def forget(self) -> None:
        self._forgotten.append(None)  # no lock: the garbage collector may run in a thread that holds it

    async def leave(self) -> None:
        await asyncio.to_thread(self.leave_blocking)

    def leave_blocking(self) -> None:
        """``leave`` for programs without an event loop; blocks until the tree has ended if this was the last member."""
        with self._lock:
            self._members -= 1
            while self._forgotten:
                self._forgotten.pop()
                self._members -= 1
            if self._members > 0:
                return
            runtime, self._runtime = self._runtime, None
            self.memory = ResilienceMemory()
        if runtime is not None:
            runtime.stop(_STOP_DEADLINE)

    def after_fork(self) -> None:
        """In a forked child: the actors stayed behind, and somebody may have held the lock."""
        self._lock = threading.Lock()
        self._runtime = None


class SystemTree(Connection):
    """The branch in the tree of an ``ActorSystem``; it starts and ends with the system, what it knows does not."""

    def __init__(self, runtime: Callable[[], Runtime | None], stop_job: Callable[[str, str], None]) -> None:
        super().__init__()
        self._of_system = runtime
        self._stop_job = stop_job
        self.path = RESILIENCE_PATH

    def running(self) -> Runtime | None:
        return self._of_system()

    async def start(self) -> Runtime:
        runtime = self._of_system()
        if runtime is None:
            raise TreeUnavailableError.because("the system is not running; use its managers inside of its with block")
        return runtime

    async def stop_job(self, job_id: str, reason: str) -> None:
        await asyncio.to_thread(self._stop_job, job_id, reason)


_private_trees: "weakref.WeakSet[PrivateTree]" = weakref.WeakSet()
_shared = PrivateTree()


def _after_fork() -> None:
    for private in list(_private_trees):
        private.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def shared_tree() -> PrivateTree:
    """The tree of all managers of this process that were constructed alone."""
    return _shared


class TreeClient:
    """Base of the managers: a seat in a tree, given up by ``close`` or at the end of ``async with``."""

    component: ClassVar[str] = "resilience"
    unavailable: ClassVar[type[ResilienceException]] = ResilienceException
    """What a call to a stuck actor raises."""

    def __init__(self, connection: Connection | None = None) -> None:
        if not isinstance(connection, Connection | None):
            raise ConfigurationError(
                f"{type(self).__name__}'s connection must be the tree of a system (system.resilience) or None, got a "
                f"{type(connection).__name__}"
            )
        self._connection = connection if connection is not None else shared_tree()
        self._connection.join()
        self._seat = weakref.finalize(self, self._connection.forget)
        self._seat.atexit = False

    @property
    def events(self) -> EventHub:
        """Where the tree's events are told: ``manager.events.subscribe(listener, types)``."""
        return self._connection.events

    async def close(self) -> None:
        """Give the manager up; the last one to leave a private tree ends it. Closing twice is fine."""
        if self._seat.detach() is not None:
            await self._connection.leave()

    async def __aenter__(self) -> Self:
        self._require_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _require_open(self) -> None:
        if not self._seat.alive:
            raise TreeUnavailableError.because(f"this {type(self).__name__} was closed; make a new one")

    async def _call(
        self, role: str, message: Any, *, deadline: float | None = CALL_DEADLINE, spec: "ChildSpec | None" = None
    ) -> Any:
        self._require_open()
        return await self._connection.call(role, message, error=self.unavailable, deadline=deadline, spec=spec)

    def _emit(self, kind: EventType, job_id: str | None = None, severity: Severity = Severity.LOW, **data: Any) -> None:
        self._connection.emit(kind, self.component, job_id, severity, **data)


def _require_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise TreeUnavailableError.because(
            "there is no running asyncio event loop; await the managers inside of asyncio.run(...)", "NO_EVENT_LOOP"
        ) from None
