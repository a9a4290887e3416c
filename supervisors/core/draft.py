"""The working copy of one step of the core: what every event handler may do to the state.

A draft belongs to a single call of ``step``. It starts children, stops them and carries the plan on; decisions are made
elsewhere (``step``, ``restarts``, ``requests``). Two rules are kept here and nowhere else: a child is
started only when no attempt of it is alive, and ``Exit`` comes last, when none of any child is.
"""

import random
from collections.abc import Iterable
from operator import attrgetter

import attrs

from policies.restart import RestartType
from supervisors.core.state import Child, Phase, Plan, Status, SupervisorState, forgets
from supervisors.core.transitions import (
    CancelTimer,
    Command,
    Exit,
    InitDone,
    InitFailed,
    Reply,
    Report,
    SetTimer,
    StartActor,
    StartChild,
    StopActor,
    SupervisorError,
)
from supervisors.events import Event, Leaked
from supervisors.exits import ExitKind, ExitReason

PLAN_TIMER = "plan"
"""The timer of a delayed plan. Those of single children have a ``/`` in their name, which ids cannot have."""


def child_timer(child: str) -> str:
    """The name of the restart timer of a one_for_one child."""
    return f"restart/{child}"


class Draft:
    """A mutable copy of the state with the commands so far. Lives as long as one step."""

    def __init__(self, state: SupervisorState, now: float, rng: random.Random) -> None:
        self.spec = state.spec
        self.path = state.path
        self.now = now
        self.rng = rng
        self.phase = state.phase
        self.window = state.window
        self.plan = state.plan
        self.fallen = state.fallen
        self.size = len(state.children)
        """The number of children at the beginning of the step."""
        self.commands: list[Command] = []
        self._before = state
        self._changed: dict[str, Child | None] = {}
        self._exit = state.exit
        self._init_failed = state.init_failed
        self._leaked = state.leaked
        self._next_attempt = state.next_attempt
        self._next_position = state.next_position

    def freeze(self) -> SupervisorState:
        """The state after the step."""
        children = self._before.children
        return SupervisorState(
            self.spec,
            self.path,
            children.updated(self._changed) if self._changed else children,
            self.phase,
            self.window,
            self.plan,
            self.fallen,
            self._exit,
            self._init_failed,
            self._leaked,
            self._next_attempt,
            self._next_position,
        )

    # ------------------------------------------------------------------------------------------ the child table

    def get(self, child: str) -> Child | None:
        """The present row of a child."""
        if child in self._changed:
            return self._changed[child]
        return self._before.children.get(child)

    def put(self, child: Child) -> Child:
        """Write a row; returns it."""
        self._changed[child.id] = child
        return child

    def add(self, request: StartChild) -> Child:
        """Write the row of a new child, at the end of the start order; returns it."""
        child = Child(request.spec, self._next_position, Status.QUEUED, starter=request)
        self._next_position += 1
        return self.put(child)

    def drop(self, child: Child) -> None:
        """Forget a child."""
        self._changed[child.id] = None

    def ordered(self) -> list[Child]:
        """All children in start order."""
        unchanged = [child for child in self._before.children if child.id not in self._changed]
        changed = [child for child in self._changed.values() if child is not None]
        return sorted(unchanged + changed, key=attrgetter("position"))

    # ---------------------------------------------------------------------------------------------- commands

    def report(self, event: Event) -> None:
        """Tell the subscribers."""
        self.commands.append(Report(event))

    def child_path(self, child: Child) -> str:
        """The path of a child in reports."""
        return f"{self.path}/{child.id}"

    def reply(self, request: int, value: str | None = None, error: Exception | None = None) -> None:
        """Answer a request."""
        self.commands.append(Reply(request, value, error))

    def start(self, child: Child) -> None:
        """Start the next attempt of a child that is down."""
        attempt = self._next_attempt
        self._next_attempt += 1
        self.put(child.starting(attempt))
        self.commands.append(StartActor(child.spec, attempt))

    def stop(self, child: Child, why: str) -> None:
        """Tell the living attempt of a child to stop."""
        self.put(child.ending(Status.STOPPING, comes_back=child.comes_back))
        self.commands.append(StopActor(child.id, child.attempt, ExitReason(ExitKind.SHUTDOWN, why)))

    def enqueue(self, child: Child) -> None:
        """Start a child that is down: now, or in its place within the plan under way."""
        child = self.put(attrs.evolve(child, status=Status.QUEUED))
        plan = self.plan
        if plan is not None and child.position == self._next_position - 1 and child.id not in plan.starts:
            self.plan = attrs.evolve(plan, starts=(*plan.starts, child.id))  # a new one at the end: nothing to sort
        elif plan is not None:
            self.plan = attrs.evolve(plan, starts=_coming(self.ordered()), started=0)
        elif self.phase is not Phase.NEW:  # before Init everything waits for it
            self.start(child)

    def cancel_restart(self, child: Child) -> None:
        """Stop the timer of a delayed one_for_one restart, if there is one."""
        if child.status is Status.DELAYED:
            self.commands.append(CancelTimer(child_timer(child.id)))

    def settle(self, child: Child) -> None:
        """Put a child that is down where it belongs: back into the queue, out of the table, or to rest."""
        for request in child.stoppers:
            self.reply(request)
        if child.comes_back:
            history = self.spec.restarts.stopped(child.history, self.now)
            self.put(attrs.evolve(child, status=Status.QUEUED, history=history, comes_back=False, stoppers=()))
            return
        self.cancel_restart(child)
        if child.starter is not None:
            gone = f"child {child.id!r} of {self.path} was stopped before it was up"
            self.reply(child.starter.request, error=SupervisorError("refused", gone))
        if forgets(self.spec, child):
            self.drop(child)
            return
        at_rest = attrs.evolve(child, status=Status.UNDEFINED, failed=None, due=None, starter=None, stoppers=())
        self.put(attrs.evolve(at_rest, history=self.spec.restarts.stopped(child.history, self.now)))

    # ---------------------------------------------------------------------------------------------- the plan

    def condemn(self, child: Child, *, comes_back: bool) -> Child:
        """Mark a living child to be stopped by the plan, and say if it is to be started again; returns its row.

        Temporary children never come back (OTP: a group restart drops their spec).
        """
        status = child.status if child.status is Status.STOPPING else Status.CONDEMNED
        comes_back = comes_back and child.spec.restart is not RestartType.TEMPORARY
        return self.put(child.ending(status, comes_back=comes_back))

    def open_plan(self, members: Iterable[Child], why: str, due: float | None = None) -> None:
        """Replace the plan: stop the living ones of ``members`` (in start order), then start all that are to come back.

        A plan that was still to begin its starts hands on its due time if that is later (EEP-28 draft: a group waits
        the longest of its delays). Children that stop together are told so all at once.
        """
        if self.plan is not None and self.plan.due is not None:
            due = self.plan.due if due is None else max(due, self.plan.due)
        self.cancel_plan()
        stops = [child for child in members if child.status in (Status.CONDEMNED, Status.STOPPING)]
        stops.reverse()
        self.plan = Plan(tuple(child.id for child in stops), _coming(self.ordered()), due, why)
        if self.spec.stops_together:
            for child in stops:
                if child.status is Status.CONDEMNED:
                    self.stop(child, why)

    def cancel_plan(self) -> None:
        """Give the plan up, with its timer."""
        if self.plan is not None and self.plan.timer_set:
            self.commands.append(CancelTimer(PLAN_TIMER))
        self.plan = None

    def advance(self) -> None:
        """Carry the plan on as far as it goes without waiting."""
        if self.plan is None:
            return
        self.plan = plan = self._progress(self.plan)
        if not plan.done:
            return
        self.plan = None
        if self.phase is Phase.INIT:
            self.phase = Phase.RUNNING
            self.commands.append(InitDone())
        elif self.phase is Phase.STOPPING:
            self._finish()

    def leak(self, child: Child, reason: ExitReason) -> None:
        """Remember who would not stop while the supervisor ends: this child, or those below it."""
        if self.phase is Phase.STOPPING:
            itself = (self.child_path(child),) if reason.kind is ExitKind.ABANDONED else ()
            self._leaked = (*self._leaked, *itself, *reason.leaked)

    def end(self, reason: ExitReason, *, init_failed: bool = False) -> None:
        """Stop all children in reverse start order, then exit with ``reason``. An end that has begun keeps its own."""
        if self.phase in (Phase.STOPPING, Phase.ENDED):
            return
        self.phase = Phase.STOPPING
        self.fallen = ()
        self._exit = reason
        self._init_failed = init_failed
        self.cancel_plan()
        living = []
        for child in self.ordered():
            if child.status.alive:
                living.append(self.condemn(child, comes_back=False))
            elif child.status is not Status.UNDEFINED:
                self.settle(child)
        self.open_plan(living, f"{self.path} ends")

    def _progress(self, plan: Plan) -> Plan:
        plan = self._stop_next(plan)
        if plan.stopped < len(plan.stops):
            return plan
        if plan.due is not None and self.now < plan.due:
            if plan.timer_set:
                return plan
            self.commands.append(SetTimer(PLAN_TIMER, plan.due))
            return attrs.evolve(plan, timer_set=True)
        return self._start_next(plan)

    def _stop_next(self, plan: Plan) -> Plan:
        done = plan.stopped
        while done < len(plan.stops):
            child = self.get(plan.stops[done])
            if child is not None:
                if child.status is Status.CONDEMNED:
                    self.stop(child, plan.why)
                    break
                if child.status is Status.STOPPING:
                    break
            done += 1
        return plan if done == plan.stopped else attrs.evolve(plan, stopped=done)

    def _start_next(self, plan: Plan) -> Plan:
        done = plan.started
        while done < len(plan.starts):
            child = self.get(plan.starts[done])
            if child is not None:
                if child.status is Status.QUEUED:
                    self.start(child)
                    break
                if child.status is Status.STARTING:
                    break
            done += 1
        return attrs.evolve(plan, started=done, due=None, timer_set=False)

    def _finish(self) -> None:
        self.phase = Phase.ENDED
        reason = self._exit or ExitReason(ExitKind.SHUTDOWN)
        if self._leaked:
            reason = attrs.evolve(reason, leaked=self._leaked)
            self.report(Leaked(self.path, self._leaked))
        if self._init_failed:
            self.commands.append(InitFailed(reason))
        self.commands.append(Exit(reason))


def _coming(children: Iterable[Child]) -> tuple[str, ...]:
    """Those that start in their turn; those that start already hold up the ones after them."""
    return tuple(child.id for child in children if child.comes_back or child.status in (Status.QUEUED, Status.STARTING))
