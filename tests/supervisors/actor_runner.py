"""The scenario table's world with real actors in it: real threads, event loops and mailboxes, and a clock that the
test turns.

Supervisors, kill ladders and children take their time from a ``FakeClock``. It moves only when everybody is at rest:
every thread waits for a message that is not there, or sleeps by the clock. So the rows mean the same as on the pure
core.
"""

import asyncio
import contextlib
import itertools
import math
import threading
from collections import deque

import pykka

from supervisors import (
    SHUTDOWN,
    ActorExit,
    AsyncActor,
    AsyncSupervisor,
    ChildSpec,
    ExitKind,
    ExitReason,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
    end_actor,
    which_children,
)
from supervisors.children import WhichChildren
from supervisors.testing import DEADLINE, Do, EventLog, FakeClock, await_true
from tests.supervisors.conftest import make_loop
from tests.supervisors.core_runner import FOR_EVER


class Played:
    """What actors of the table share, in threads and on a loop.

    Each knows whether its supervisor told it to stop: only those leave a ``-`` in the trace.
    """

    asked = False
    asleep = None
    stopping = False

    def request_stop(self, reason=SHUTDOWN):
        self.asked = True
        self.wake()
        super().request_stop(reason)

    def wake(self):
        alarm = self.asleep
        if alarm is not None and not self.stopping:
            self.rouse(alarm)

    def rouse(self, alarm):
        if self.asleep is alarm:
            self.asleep = None
        self.ring(alarm)

    def _dispatch(self, message):
        if not isinstance(message, WhichChildren) and message != "ping":
            self.cast.activity = next(self.cast.moves)
        return super()._dispatch(message)

    def on_receive(self, message):
        return message.function(self) if isinstance(message, Do) else super().on_receive(message)

    @property
    def idle(self):
        return self.actor_inbox.empty() and self._in_hand is None and self._stop_reason is None

    @property
    def resting(self):
        if self.exit_reason is not None:
            return self.fenced or self.is_over
        return self.asleep is not None or (self.ready and self.idle)


class PlayedWorker(Played):
    """A child of the table: what it does before and after it has slept."""

    last_hook_limit = math.inf  # else a ladder asks it to stop that its supervisor knows nothing of

    def begin(self):
        if self.asked:
            return
        if self.outcome == "refuse":
            self.cast.trace.append(f"!{self.kid.id}")
            raise RuntimeError("boom")
        self.cast.trace.append(f"+{self.kid.id}")

    def end(self):
        if not self.fenced:
            self.cast.trace.append(f"-{self.kid.id}")
        if self.kid.stops == "crash":
            raise RuntimeError("boom")

    def fall_asleep(self, seconds, alarm, *, stopping):
        if seconds < math.inf:
            self.cast.timers.after(seconds, lambda: self.rouse(alarm))
        self.stopping, self.asleep = stopping, alarm

    @property
    def stop_takes(self):
        return math.inf if self.kid.stops == "never" else self.kid.stop_takes

    def on_receive(self, message):
        return message.function(self) if isinstance(message, Do) else message


class PlayedBoss(Played):
    """A supervisor of the table; ``kid`` is None for the root."""

    @property
    def resting(self):
        return self.is_over or (self.exit_reason is None and self.idle)

    def announce_ready(self):
        self.mark("+")
        super().announce_ready()

    def mark_end(self, *, abnormal):
        if abnormal and not self.asked and not self.ready:
            self.mark("!")
        elif self.asked:
            self.mark("-")

    def mark(self, mark):
        if self.kid is not None:
            self.cast.trace.append(mark + self.kid.id)


class InThread:
    @property
    def is_over(self):
        return not self._thread.is_alive()

    def ring(self, alarm):
        alarm.set()

    def hold(self, held, go):
        held.set()
        go.wait(DEADLINE)


class OnLoop:
    @property
    def is_over(self):
        return self._task is not None and self._task.done()

    def ring(self, alarm):
        self.loop_thread.loop.call_soon_threadsafe(alarm.set)

    async def hold(self, held, go):
        held.set()
        await asyncio.to_thread(go.wait, DEADLINE)


class ThreadWorker(InThread, PlayedWorker, ThreadActor):
    shares_thread = False  # those that start side by side begin in the order of the table then

    def __init__(self, cast, kid, outcome):
        super().__init__()
        self.cast, self.kid, self.outcome = cast, kid, outcome

    def on_start(self):
        self.sleep(self.kid.start_takes)
        self.begin()

    def on_stop(self):
        if self.asked:
            self.sleep(self.stop_takes, stopping=True)
            self.end()

    def sleep(self, seconds, *, stopping=False):
        if seconds and (stopping or not self.asked):
            alarm = threading.Event()
            self.fall_asleep(seconds, alarm, stopping=stopping)
            assert alarm.wait(DEADLINE)


class LoopWorker(OnLoop, PlayedWorker, AsyncActor):
    cancels = False  # the table counts the rungs of threads

    def __init__(self, cast, kid, outcome):
        super().__init__(cast.loop)
        self.cast, self.kid, self.outcome = cast, kid, outcome

    async def set_up(self):
        await self.sleep(self.kid.start_takes)
        self.begin()

    async def tear_down(self, reason):
        if self.asked and not reason.abnormal:
            await self.sleep(self.stop_takes, stopping=True)
            self.end()

    async def sleep(self, seconds, *, stopping=False):
        while seconds and (stopping or not self.asked):
            alarm = asyncio.Event()
            self.fall_asleep(seconds, alarm, stopping=stopping)
            try:
                await alarm.wait()
            except asyncio.CancelledError:
                if seconds < math.inf:  # those that never stop mind no rung, as a thread does
                    raise
            else:
                return


class ThreadBoss(InThread, PlayedBoss, Supervisor):
    def __init__(self, cast, kid, tree):
        self.cast, self.kid = cast, kid
        super().__init__(cast.supervisor_spec(tree))

    def on_stop(self):
        self.mark_end(abnormal=False)

    def on_failure(self, *exc_info):
        super().on_failure(*exc_info)
        self.mark_end(abnormal=True)


class LoopBoss(OnLoop, PlayedBoss, AsyncSupervisor):
    def __init__(self, cast, kid, tree):
        self.cast, self.kid = cast, kid
        super().__init__(cast.loop, cast.supervisor_spec(tree))

    async def tear_down(self, reason):
        await super().tear_down(reason)
        self.mark_end(abnormal=reason.abnormal)


BLOWS = {
    "crash": lambda: _throw(RuntimeError("boom")),
    "kill": lambda: _throw(ActorExit(ExitReason(ExitKind.KILLED))),
    "normal": end_actor,
    "shutdown": lambda: _throw(ActorExit(SHUTDOWN)),
}


def _throw(error):
    raise error


class Cast:
    """A tree of the table, played by actors in threads."""

    boss, worker = ThreadBoss, ThreadWorker

    def __init__(self, runtime, tree):
        self.runtime, self.clock, self.trace, self.actors = runtime, FakeClock(), [], []
        self.moves, self.activity = itertools.count(1), 0
        self.events = EventLog(runtime)
        self.starts, self.then, self.known = {}, {}, set()
        runtime.timer.close()
        runtime.timer = self.timers = self.clock.timers()
        runtime.clock = self.clock
        self.root = self.boss(self, None, tree)
        self.actors.append(self.root)
        with contextlib.suppress(pykka.Timeout, RuntimeError):
            runtime.start(self.root, timeout=0)
        self.settle()

    @property
    def ended(self):
        return self.runtime.ended.get(timeout=0) if self.runtime.ended.done() else None

    def spec(self, kid):
        self.known.add(kid.id)
        self.starts.setdefault(kid.id, deque(kid.starts))
        return ChildSpec(kid.id, lambda: self._make(kid), kid.restart, kind=kid.kind, significant=kid.significant)

    def supervisor_spec(self, tree):
        return SupervisorSpec(tuple(self.spec(one) for one in tree.kids), **tree.options)

    def _make(self, kid):
        if kid.tree is not None:
            actor = self.boss(self, kid, kid.tree)
        else:
            outcomes = self.starts[kid.id]
            outcome = outcomes.popleft() if outcomes else self.then.get(kid.id, "ok")
            if outcome == "decline":
                self.trace.append(f"?{kid.id}")
                return None
            if outcome == "raise":
                self.trace.append(f"!{kid.id}")
                raise RuntimeError("boom")
            actor = self.worker(self, kid, outcome)
        self.actors.append(actor)
        return actor

    # ------------------------------------------------------------------------------------------------- the clock

    def settle(self):
        """Wait until everybody is at rest. A ping to each shows those that were just about to move."""
        while True:
            before = self.activity, len(self.actors)
            await_true(lambda: all(actor.resting for actor in list(self.actors)), "everybody comes to rest")
            for actor in list(self.actors):
                self._ping(actor)
            if before == (self.activity, len(self.actors)) and all(actor.resting for actor in self.actors):
                return

    def _ping(self, actor):
        if actor.exit_reason is None:
            pong = which_children(actor.ref) if isinstance(actor, PlayedBoss) else actor.ref.request("ping")
            await_true(lambda: pong.done() or actor.asleep, "it answers, or falls asleep before it can")

    def advance(self, seconds):
        self.clock.advance(seconds, self.settle)

    def run_until(self, done):
        assert self.clock.run_until(done, FOR_EVER, self.settle), "nothing is left to happen, and still it is not done"

    # --------------------------------------------------------------------------------------------------- actions

    def kill(self, ids, how):
        """These end by themselves; the supervisor, held meanwhile, sees all of it afterwards."""
        held, go = threading.Event(), threading.Event()
        self.root.ref.tell(Do(lambda root: root.hold(held, go)))
        assert held.wait(DEADLINE)
        for name in ids:
            actor = self.runtime.ref(f"{self.root.path}/{name}").actor
            if actor is not None and actor.ready and actor.exit_reason is None:
                actor.ref.tell(Do(lambda _: BLOWS[how]()))
                await_true(lambda actor=actor: actor.is_over, f"{name} ends")
        go.set()
        self.settle()

    def ask(self, request, *, wait=True):
        """The code of the error that a request is answered with; None if it went well."""
        self.settle()
        if not wait:
            return None
        self.run_until(request.done)
        try:
            request.get(timeout=0)
        except Exception as error:
            return getattr(error, "code", error)
        return None

    def told(self, name, make):
        """What ``make`` makes, called by the code of a child; by this thread if there is no name."""
        if not name:
            return make()
        made = []
        self.at(name).tell(Do(lambda _: made.append(make())))
        self.settle()
        return made[0]

    def stop(self):
        self.root.request_stop()
        self.settle()

    def at(self, name):
        """The reference of a sub-supervisor; of the root if there is no name."""
        return self.runtime.ref(f"{self.root.path}/{name}") if name else self.root.ref

    def close(self):
        """Let those that never stop end after all."""
        for actor in self.actors:
            if actor.asleep is not None:
                actor.rouse(actor.asleep)


class LoopCast(Cast):
    """The same, played by coroutines: supervisors and their children on one event loop."""

    boss, worker = LoopBoss, LoopWorker

    def __init__(self, runtime, tree):
        self.loop = make_loop()
        self.keeper = AsyncActor(self.loop)
        self.loop.attach(self.keeper)  # those that never stop end on it, after all others
        super().__init__(runtime, tree)

    def close(self):
        await_true(self.all_are_over, "the last coroutine ends")
        self.loop.detach(self.keeper)

    def all_are_over(self):
        super().close()  # again and again: one may swallow a late cancellation and sleep anew
        return all(actor._task is None or actor.is_over for actor in self.actors)
