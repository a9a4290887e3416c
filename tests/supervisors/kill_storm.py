"""Kills in a tree of threads and coroutines that works meanwhile, and an account of everything afterwards."""

import gc
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pykka
from pykka._envelope import Envelope

from supervisors import (
    Actor,
    AsyncActor,
    AsyncSupervisor,
    ChildKind,
    ChildSpec,
    ExitKind,
    ExitReason,
    Ladder,
    LoopThread,
    RestartPolicy,
    Runtime,
    Strategy,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
)
from supervisors.future import ReplyFuture
from supervisors.signals import Kill
from supervisors.testing import Do, await_tree, await_true, down_of, tree_look
from tests.supervisors.conftest import open_files, threads

GROUPS = (Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL)
"""The strategies of the supervisors in each half of the tree; the fourth is a pool."""
WORKERS = 5
"""Workers of each supervisor: 2 * 5 * 5 are 50."""
OFTEN = RestartPolicy.otp(10_000_000)
WHY = ExitReason(ExitKind.KILLED, "storm")
AT_ONCE = Ladder(stop=0, cancel=0, release=0, exception=600)
POLITE = Ladder(stop=600)


@attrs.frozen
class Tick:
    """A tell that is counted."""


class Account:
    """What happened. Any thread."""

    def __init__(self) -> None:
        self.handled = itertools.count()
        self.refusals: Counter[str] = Counter()
        """How often the next start of a child is to crash, by path."""
        self.lock = threading.Lock()
        self.asked = self.answered = self.told = self.dead = 0
        self.wrong: list[str] = []
        self.kills: Counter[str] = Counter()

    def count(self, field: str) -> None:
        with self.lock:
            setattr(self, field, getattr(self, field) + 1)

    def crash_if_told(self, path: str) -> None:
        with self.lock:
            refuse = self.refusals[path] > 0
            if refuse:
                self.refusals[path] -= 1
        if refuse:
            raise RuntimeError("refuses to start")


class Threaded(ThreadActor):
    """A worker in a thread."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account

    def on_start(self) -> None:
        self.account.crash_if_told(self.path)

    def on_receive(self, message: Any) -> Any:
        match message:
            case Tick():
                next(self.account.handled)
            case Do(function):
                return function(self)
        return message


class Coroutine(AsyncActor):
    """A worker on a loop, which it shares with others of its supervisor or has for itself."""

    def __init__(self, loop: LoopThread, account: Account) -> None:
        super().__init__(loop)
        self.account = account

    async def set_up(self) -> None:
        self.account.crash_if_told(self.path)

    async def on_receive(self, message: Any) -> Any:
        match message:
            case Tick():
                next(self.account.handled)
            case Do(function):
                return function(self)
        return message


class Loops:
    """The loop that some workers share: a new one when the old one has ended with its last actor."""

    def __init__(self) -> None:
        self._loop: LoopThread | None = None
        self._numbers = itertools.count(1)

    def shared(self) -> LoopThread:
        if self._loop is None or self._loop._ending:
            self._loop = self.own()
        return self._loop

    def own(self) -> LoopThread:
        return LoopThread(f"rt loop {next(self._numbers)}")


def tree(account: Account) -> SupervisorSpec:
    """Two halves under the root, five supervisors in each, five workers under each."""
    return SupervisorSpec([_supervisor(f"half{n}", _half(account)) for n in range(2)], restarts=OFTEN)


def _half(account: Account) -> SupervisorSpec:
    return SupervisorSpec([_group(account, f"g{n}", n) for n in range(len(GROUPS))], restarts=OFTEN)


def _group(account: Account, name: str, n: int) -> ChildSpec:
    """The supervisor of the first group lives on a loop of its own, that of the last on the loop of its workers."""
    loops = Loops()
    spec = _workers(account, loops, GROUPS[n], pool=n == 3)
    if n == 0:
        return _supervisor(name, spec, loops.own)
    return _supervisor(name, spec, loops.shared if n == len(GROUPS) - 1 else None)


def _workers(account: Account, loops: Loops, strategy: Strategy, *, pool: bool) -> SupervisorSpec:
    makes: list[Callable[[], Actor]] = [
        lambda: Threaded(account),
        lambda: Coroutine(loops.shared(), account),
        lambda: Threaded(account),
        lambda: Coroutine(loops.shared(), account),
        lambda: Coroutine(loops.own(), account),
    ]
    workers = [ChildSpec(f"w{n}", make) for n, make in enumerate(makes)]
    return SupervisorSpec(workers, strategy, OFTEN, pool=pool)


def _supervisor(name: str, spec: SupervisorSpec, loop: Callable[[], LoopThread] | None = None) -> ChildSpec:
    def make() -> Actor:
        return Supervisor(spec) if loop is None else AsyncSupervisor(loop(), spec)

    return ChildSpec(name, make, kind=ChildKind.SUPERVISOR)


# ----------------------------------------------------------------------------------------------------------- blows


def _raise(error: BaseException) -> Any:
    raise error


def _crash(_: Account, actor: Actor) -> bool:
    actor.ref.tell(Do(lambda _: _raise(ValueError("boom"))))
    return True


def _leave(_: Account, actor: Actor) -> bool:
    actor.ref.tell(Do(lambda _: _raise(SystemExit(1))))
    return True


def _crash_in_ask(account: Account, actor: Actor) -> bool:
    _ask(account, actor, Do(lambda _: _raise(ZeroDivisionError("boom"))), (ZeroDivisionError,))
    return True


def _crash_at_next_start(account: Account, actor: Actor) -> bool:
    with account.lock:
        account.refusals[actor.path] += 1
    return _crash(account, actor)


def _inject(_: Account, actor: Actor) -> bool:
    return actor.inject(WHY)


def _inject_into_work(_: Account, actor: Actor) -> bool:
    """It spins by then, and on a shared loop all its neighbours wait."""
    busy = threading.Event()

    def spin(_: Actor) -> None:
        busy.set()
        while True:
            pass

    down = down_of(actor)
    actor.actor_inbox.put(Envelope(Do(spin)))  # not through its reference: nobody would end a successor that spins
    await_true(lambda: busy.is_set() or down.done(), "it spins, or has ended before")
    await_true(lambda: down.done() or actor.inject(WHY) is None, "it ends")
    return True


def _signal(_: Account, actor: Actor) -> bool:
    actor.signal(Kill(WHY))
    return True


def _cancel(_: Account, actor: Actor) -> bool:
    return actor.request_cancel(WHY)


def _kill_brutally(_: Account, actor: Actor) -> bool:
    actor.runtime.kill(actor, AT_ONCE, WHY)
    return True


def _stop(_: Account, actor: Actor) -> bool:
    actor.runtime.kill(actor, POLITE, WHY)
    return True


BLOWS: dict[str, Callable[[Account, Actor], bool]] = {
    "crash": _crash,
    "SystemExit": _leave,
    "crash in an ask": _crash_in_ask,
    "crash at the next start": _crash_at_next_start,
    "injected exception": _inject,
    "exception in a handler that spins": _inject_into_work,
    "cancellation": _cancel,
    "brutal ladder": _kill_brutally,
    "polite ladder": _stop,
}
"""False: this one cannot be hit so, now."""

BLOWS_TO_SUPERVISORS: dict[str, Callable[[Account, Actor], bool]] = {
    "signal to a supervisor": _signal,
    "injection into a supervisor": _inject,
    "brutal ladder on a supervisor": _kill_brutally,
}
"""With all their workers."""


# --------------------------------------------------------------------------------------------------------- the load


def _ask(account: Account, actor: Actor, message: Any, errors: tuple[type[Exception], ...] = ()) -> ReplyFuture:
    def answered(reply: ReplyFuture) -> None:
        try:
            value = reply.get(timeout=0)
        except (pykka.ActorDeadError, *errors):
            pass
        except BaseException as error:
            account.wrong.append(f"{message} was answered with {error!r}")
        else:
            if value != message:
                account.wrong.append(f"{message} was answered with {value!r}")
        account.count("answered")

    account.count("asked")
    future = actor.ref.request(message)
    future.add_done_callback(answered)
    return future


class Storm:
    """One run: a tree, threads that talk to it, threads that kill in it."""

    def __init__(self, seed: int, deadline: float) -> None:
        self.account = Account()
        self.runtime = Runtime("rt")
        self.deadline = deadline
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self.runtime.subscribe(self._dead_letter, ["dead_letter"])
        self.root = self.runtime.start(Supervisor(tree(self.account)))
        self.whole = tree_look(self.root)
        self._refs = [self.runtime.ref(path) for path in _paths()]

    def rage(self, kills: int, killers: int = 3, talkers: int = 3) -> None:
        """Kill so many times; returns when the tree is whole again and all threads have ended."""
        assert len(self._refs) == 50
        errors: list[BaseException] = []
        strikes = iter(range(kills))
        lock = threading.Lock()

        def work(job: Callable[[random.Random], bool], chance: random.Random) -> None:
            try:
                while job(chance):
                    pass
            except BaseException as error:
                errors.append(error)

        def strike(chance: random.Random) -> bool:
            with lock:
                if next(strikes, None) is None:
                    return False
            self._strike(chance)
            return not errors

        def talk(chance: random.Random) -> bool:
            self._talk(chance)
            return not self._over.is_set()

        jobs = [strike] * killers + [talk] * talkers
        crowd = [threading.Thread(target=work, args=(job, random.Random(self._chance.random()))) for job in jobs]
        for thread in crowd:
            thread.start()
        for thread in crowd[:killers]:
            thread.join()
        self._over.set()
        for thread in crowd:
            thread.join()
        assert not errors, errors
        await_tree(self.root, self.whole, self.deadline)

    def check_messages(self) -> None:
        """Every ask was answered, rightly; every tell was handled, or is a dead letter, or was in hand at a kill."""
        account = self.account
        await_true(
            lambda: account.answered == account.asked,
            f"every ask is answered: {account.answered} of {account.asked} are",
            self.deadline,
        )
        assert not account.wrong, account.wrong[:5]
        assert account.answered == account.asked
        for ref in self._refs:
            assert ref.ask("alive", timeout=self.deadline) == "alive"
        handled = next(account.handled)
        lost = account.told - handled - account.dead
        assert 0 <= lost <= sum(account.kills.values()), f"{lost} tells were neither handled nor counted"

    def stop(self) -> None:
        """Stop the tree; nothing of it may be left."""
        assert self.runtime.stop(self.deadline)
        assert self.runtime.zombies() == {}
        self._refs.clear()
        await_true(lambda: not threads(), f"threads end: {threads()}", self.deadline)
        await_true(lambda: not pykka.ActorRegistry.get_all(), "no ghost is in the registry of Pykka", self.deadline)

    def check_names(self) -> None:
        """Of those who are gone, no name is kept."""
        gc.collect()
        left = [ref.path for ref in self.runtime.refs() if ref is not self.root]
        assert not left, f"names without actors are left: {left}"

    def _strike(self, chance: random.Random) -> None:
        while True:
            actor = chance.choice(self._refs).actor
            if actor is None or not actor.ready or actor.exit_reason is not None:
                continue
            if chance.random() < 0.005:  # sometimes its supervisor, with all its workers
                actor = self.runtime.ref(actor.path.rpartition("/")[0]).actor
                name = chance.choice(tuple(BLOWS_TO_SUPERVISORS))
                blow = BLOWS_TO_SUPERVISORS[name]
            else:
                name = chance.choice(tuple(BLOWS))
                blow = BLOWS[name]
            if actor is None:
                continue
            down = down_of(actor)
            if blow(self.account, actor):
                down.get(timeout=self.deadline)
                with self.account.lock:
                    self.account.kills[name] += 1
                return

    def _talk(self, chance: random.Random) -> None:
        actor = None
        for ref in chance.choices(self._refs, k=10):
            self.account.count("told")
            ref.tell(Tick())
            actor = ref.actor
        if actor is not None:
            try:
                _ask(self.account, actor, "question").get(timeout=self.deadline)
            except (pykka.ActorDeadError, pykka.Timeout):
                return  # unanswered asks are counted at the end

    def _dead_letter(self, event: Any) -> None:
        if event.message_type == "Tick":
            self.account.count("dead")


def _paths() -> list[str]:
    return [
        f"rt/half{half}/g{group}/w{worker}"
        for half in range(2)
        for group in range(len(GROUPS))
        for worker in range(WORKERS)
    ]


def run(kills: int, seed: int, deadline: float) -> Storm:
    """A whole storm, with all its checks; returns it for its account."""
    files, before = open_files(), threading.active_count()
    storm = Storm(seed, deadline)
    try:
        storm.rage(kills)
        storm.check_messages()
    except BaseException:
        storm.runtime.stop(deadline)
        raise
    storm.stop()
    await_true(lambda: threading.active_count() <= before, "as many threads as before", deadline)
    left = open_files() - files
    assert not left, f"file descriptors are left open: {left}"
    storm.check_names()
    return storm
