"""Proxies and names: methods of whoever lives there now, and short names for places."""

import asyncio

import pykka
import pytest

from supervisors import (
    AsyncActor,
    ChildSpec,
    NotHandledError,
    Ref,
    RestartPolicy,
    Runtime,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
    terminate_child,
)
from supervisors.events import DeadLetter
from supervisors.testing import DEADLINE, Probe, await_true, down_of
from tests.supervisors.conftest import make_loop


class Account:
    """What both kinds of actors have."""

    total = 0

    def __init__(self, *args):
        super().__init__(*args)
        self.owner = {"name": "nobody"}
        self.nested = Nested()

    def add(self, amount, *, twice=False):
        self.total += amount * (2 if twice else 1)
        return self.total

    def fail(self):
        raise ValueError("failed")

    @property
    def double(self):
        return self.total * 2

    def _secret(self):
        return "secret"


class Nested:
    def __init__(self):
        self.value = 1

    def triple(self):
        return 3 * self.value


class ThreadAccount(Account, ThreadActor):
    pass


class AsyncAccount(Account, AsyncActor):
    async def slowly(self, value):
        await asyncio.sleep(0)
        return value


@pytest.fixture(params=["thread", "async"])
def account(request, runtime):
    """A supervised account of either kind."""

    def start():
        return ThreadAccount() if request.param == "thread" else AsyncAccount(make_loop())

    spec = SupervisorSpec((ChildSpec("a", start),), restarts=RestartPolicy.otp(100))
    runtime.start(Supervisor(spec))
    return runtime.ref("rt/a")


def test_methods_and_attributes_are_reached_through_a_proxy(account):
    """Calls with their arguments, tells, reading and writing, also of what an attribute holds."""
    proxy = account.proxy()
    assert proxy.add(5).get(timeout=DEADLINE) == 5
    assert proxy.add(1, twice=True).get(timeout=DEADLINE) == 7
    proxy.add.defer(3)
    assert proxy.total.get() == 10
    assert proxy.double.get(timeout=DEADLINE) == 20
    assert proxy.owner.request().get(timeout=DEADLINE) == {"name": "nobody"}
    proxy.total = 50
    assert proxy.total.get() == 50
    proxy.nested.value = 4
    assert proxy.nested.triple().get(timeout=DEADLINE) == 12
    assert repr(proxy) == "<ActorProxy of rt/a>"
    assert repr(proxy.nested.value) == "<RemoteAttribute nested.value of rt/a>"


async def test_a_proxy_can_be_awaited(account):
    """And a write that would block the loop says how to write instead."""
    proxy = account.proxy()
    async with asyncio.timeout(DEADLINE):
        assert await proxy.add(5) == 5
        assert await proxy.total == 5
        await proxy.total.set(9)
        assert await proxy.double == 18
        with pytest.raises(RuntimeError, match=r"await proxy.nested.value.set\(value\)"):
            proxy.nested.value = 1
        if issubclass(type(account.actor), AsyncActor):
            assert await proxy.slowly("x") == "x"


async def test_awaiting_a_proxy_does_not_block_the_loop(stage):
    """Other tasks run while the method takes its time."""
    import threading

    gate = threading.Event()

    class Slow(ThreadActor):
        def wait(self):
            return gate.wait(DEADLINE)

    proxy = stage.enter(Slow()).proxy()
    asyncio.get_running_loop().call_soon(gate.set)
    async with asyncio.timeout(DEADLINE):
        assert await proxy.wait() is True


def test_a_proxy_survives_restarts(account):
    """It reaches the next incarnation, with its new state."""
    proxy, before = account.proxy(), account.incarnation
    proxy.add(5).get(timeout=DEADLINE)
    with pytest.raises(ValueError, match="failed"):
        proxy.fail().get(timeout=DEADLINE)
    await_true(lambda: account.incarnation not in (None, before), "the next one is there")
    assert proxy.total.get(timeout=DEADLINE) == 0


def test_a_proxy_of_nobody_fails_at_once(account, runtime, log):
    """An ask has its error, a tell is a dead letter."""
    terminate_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)
    with pytest.raises(NotHandledError):
        account.proxy().add(1).get(timeout=DEADLINE)
    account.proxy().add.defer(1)
    assert [letter.why for letter in log.of(DeadLetter)] == ["down"]


@pytest.mark.parametrize(
    ("use", "complaint"),
    [
        (lambda proxy: proxy.nothing().get(timeout=DEADLINE), "'nothing' of rt/a .* cannot be reached"),
        (lambda proxy: proxy.nested.nothing.get(), "'nested.nothing' of rt/a"),
        (lambda proxy: proxy.total().get(timeout=DEADLINE), "'total' of rt/a is a int, no method"),
        (lambda proxy: proxy.double.set(1).get(timeout=DEADLINE), "'double' of rt/a"),
        (lambda proxy: proxy._secret, "'_secret' is the actor's own"),
        (lambda proxy: proxy.nested._secret, "'_secret' is the actor's own"),
        (lambda proxy: setattr(proxy, "_secret", 1), "'_secret' is the actor's own"),
    ],
)
def test_what_an_actor_does_not_have_is_the_mistake_of_the_caller(account, use, complaint):
    """An ``AttributeError`` for him, and nothing to the actor."""
    before = account.incarnation
    with pytest.raises(AttributeError, match=complaint):
        use(account.proxy())
    assert account.proxy().add(1).get(timeout=DEADLINE) == 1
    assert account.incarnation == before


def test_a_told_call_of_what_is_not_there_is_a_dead_letter(account, log):
    """There is nobody to be told."""
    account.proxy().nothing.defer(1)
    assert log.await_event(DeadLetter).why == "no_attribute"
    assert account.proxy().add(1).get(timeout=DEADLINE) == 1


def test_an_attribute_error_inside_a_method_is_a_crash_like_any_other(stage):
    """It is not taken for a name that is missing."""

    class Broken(ThreadActor):
        def work(self):
            return self.nothing

    actor = Broken()
    ref = stage.enter(actor)
    with pytest.raises(AttributeError, match="nothing"):
        ref.proxy().work().get(timeout=DEADLINE)
    assert down_of(actor).get(timeout=DEADLINE).reason.error_type == "AttributeError"


def test_the_proxy_of_pykka_works_too(stage):
    """Its messages are the same."""
    actor = ThreadAccount()
    stage.enter(actor)
    proxy = actor.actor_ref.proxy()
    assert proxy.add(2).get(timeout=DEADLINE) == 2
    proxy.total = 5
    assert proxy.total.get(timeout=DEADLINE) == 5
    with pytest.raises(AttributeError):
        proxy.nothing()


# -------------------------------------------------------------------------------------------------------- names


def test_a_place_can_have_a_short_name(account, runtime):
    """It stays with the place over restarts, and can be released."""
    runtime.register("bank", account)
    assert runtime.whereis("bank") is account
    runtime.register("bank", account)
    account.proxy().fail.defer()
    assert runtime.whereis("bank") is account
    assert runtime.names.all() == {"bank": "rt/a"}
    assert runtime.names.release("bank")
    assert not runtime.names.release("bank")
    assert runtime.whereis("bank") is None


def test_a_name_belongs_to_one_place(account, runtime):
    """Another has to choose another, or to wait until it is released; one place may have many."""
    runtime.register("bank", account)
    with pytest.raises(ValueError, match="the name 'bank' is that of rt/a: release it first"):
        runtime.register("bank", runtime.ref("rt"))
    runtime.register("till", account)
    runtime.names.release("bank")
    runtime.register("bank", runtime.ref("rt"))
    assert runtime.names.all() == {"till": "rt/a", "bank": "rt"}


@pytest.mark.parametrize("name", ["", "  ", "a/b", None, 7])
def test_what_is_no_name_is_refused(runtime, name):
    """A path is no name either."""
    with pytest.raises(ValueError, match="a name must be a non-empty string without '/'"):
        runtime.register(name, runtime.ref("rt"))


def test_names_end_with_their_runtime_and_are_its_own():
    """Two runtimes may have the same name for different places; after the end there are none."""
    one, other = Runtime("rt"), Runtime("rt")
    for runtime in (one, other):
        ref = runtime.start(Probe())
        runtime.register("main", ref)
    assert one.whereis("main") is not other.whereis("main")
    assert isinstance(one.whereis("main"), Ref)
    assert one.stop(DEADLINE)
    assert one.whereis("main") is None
    with pytest.raises(RuntimeError, match="the runtime has ended"):
        one.register("main", one.ref("rt"))
    assert other.whereis("main").ask("x", timeout=DEADLINE) == "x"
    assert other.stop(DEADLINE)


def test_many_threads_that_want_one_name_get_it_once(runtime):
    """Exactly one of them has it; the others are told who."""
    import threading

    for number in range(30):
        begin, won = threading.Barrier(4), []

        def want(who, begin=begin, won=won, number=number):
            ref = runtime.ref(f"rt/{who}")
            begin.wait()
            try:
                runtime.register(f"name{number}", ref)
                won.append(ref)
            except ValueError:
                pass

        threads = [threading.Thread(target=want, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert won == [runtime.whereis(f"name{number}")]


def test_pykka_knows_the_messages_of_proxies_under_these_names():
    """They are public there."""
    assert pykka.messages.ProxyCall._fields == ("attr_path", "args", "kwargs")
    assert pykka.messages.ProxyGetAttr._fields == ("attr_path",)
    assert pykka.messages.ProxySetAttr._fields == ("attr_path", "value")
