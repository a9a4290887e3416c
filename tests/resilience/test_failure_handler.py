"""FailureHandler: what is done about a failure, by handlers or by classification; its records; loose reports."""

import asyncio
import datetime as dt
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise_actors import HttpStatusError
from scorewise_actors.correlation import correlation, correlation_id
from scorewise_actors.events import EventType
from scorewise_actors.failure_events import failure_event
from scorewise_actors.resilience import FailureHandler, FailureHandlingError, RecoveryAction
from scorewise_actors.resilience.connection import PrivateTree


@pytest.fixture
async def handler():
    async with FailureHandler(connection=PrivateTree(), handler_timeout=0.2) as handler:
        yield handler


@pytest.mark.parametrize(
    ("report", "action"),
    [
        (TimeoutError("timeout"), "retry"),
        (ConnectionResetError("reset by peer"), "retry"),
        (HttpStatusError(404, "http://h/"), "skip"),
        ({"error_type": "BrowserGone", "message": "the browser has ended"}, "restart"),
        ({"error_type": "BrowserNotFound", "message": "no browser"}, "manual"),
        ({"message": "net::ERR_CONNECTION_REFUSED"}, "retry"),
        ({"message": "anything", "recovery_action": "abort"}, "abort"),
        ({}, "retry"),
    ],
)
async def test_without_a_handler_the_classification_decides(handler, report, action):
    """Retry, restart the browser, skip the item, or call a human."""
    answer = await handler.handle_failure(report)
    assert (answer["action_taken"], answer["handled_by"]) == (action, "classification")


async def network_failure(failure_event, context):
    if "timeout" in failure_event["message"].lower():
        return {"action": "retry", "delay": 30, "reason": "Network timeout detected"}
    return {"action": "abort", "reason": "Permanent network failure"}


async def test_a_registered_handler_decides(handler):
    """By category; it gets the report as it was given, and its answer is passed on."""
    await handler.register_failure_handler(failure_type="network", handler=network_failure)
    answer = await handler.handle_failure(
        failure_event={"category": "network", "message": "Timeout on page", "timestamp": dt.datetime.utcnow()},  # noqa: DTZ003
        context={},
    )
    assert (answer["action_taken"], answer["delay"], answer["reason"]) == ("retry", 30, "Network timeout detected")
    assert answer["handled_by"] == "network"
    other = await handler.handle_failure(ConnectionRefusedError("refused"), {})
    assert other["action_taken"] == "abort"


async def test_the_nearest_handler_wins(handler):
    """The error's class before its base classes, those before the category, that before ``*``."""
    for name in ("*", "network", OSError, "connectionreseterror"):
        await handler.register_failure_handler(name, lambda event, context, name=name: str(name))
    by = [
        (await handler.handle_failure(error))["handled_by"]
        for error in (ConnectionResetError(), PermissionError("x"), {"category": "NETWORK"}, ValueError("x"))
    ]
    assert by == ["connectionreseterror", "oserror", "network", "*"]


async def hang(event, context):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)  # the end of the loop cancels it once more


class NoException(BaseException):
    """As SystemExit, but a failing test that meets it can be told."""


class Unreadable(Exception):
    """Its text raises, whoever asks for it."""

    def __str__(self):
        raise NoException if self.args else ZeroDivisionError

    __repr__ = __str__


def unreadable(event, context):
    raise Unreadable


async def unreadable_later(event, context):
    raise Unreadable("no exception")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda event, context: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (hang, "took longer than 0.2 s"),
        (lambda event, context: {"delay": 3}, "must return a dict with the key 'action'"),
        (lambda event, context: 7, "must return a dict with the key 'action'"),
        (lambda event: "retry", "raised TypeError"),
        (unreadable, "raised Unreadable: its text cannot be read"),
        (unreadable_later, "raised Unreadable: its text cannot be read"),
        (lambda event, context: Unreadable(), "must return a dict with the key 'action'"),
    ],
    ids=["raises", "hangs", "no action", "nonsense", "wrong signature", "no text", "no text, async", "unreadable"],
)
async def test_a_bad_handler_harms_nothing(handler, bad, words):
    """The classification decides, and the answer says what was wrong with the handler."""
    await handler.register_failure_handler("*", bad)
    answer = await handler.handle_failure(TimeoutError("timeout"), {})
    assert (answer["action_taken"], answer["handled_by"]) == ("retry", "classification")
    assert words in answer["handler_error"]


async def test_what_a_bad_handler_did_is_in_the_answer(handler):
    """Without an exception to whoever asked."""
    await handler.register_failure_handler("*", lambda event, context: {"delay": 3})
    answer = await handler.handle_failure(TimeoutError("timeout"))
    assert "must return a dict" in answer["handler_error"]


async def test_a_handler_without_an_opinion_leaves_it_to_the_classification(handler):
    """None is no answer."""
    await handler.register_failure_handler("*", lambda event, context: None)
    answer = await handler.handle_failure(HttpStatusError(404, "http://h/"))
    assert (answer["action_taken"], answer["handled_by"], answer["handler_error"]) == ("skip", "*", None)


async def test_bad_registrations_and_reports_are_refused(handler):
    """By what was given."""
    with pytest.raises(FailureHandlingError, match="failure_type must be the name of a failure type, got ''"):
        await handler.register_failure_handler("", network_failure)
    with pytest.raises(FailureHandlingError, match="the handler of 'network' must be a function, got None"):
        await handler.register_failure_handler("network", None)
    with pytest.raises(
        FailureHandlingError, match="a failure event is a dict, an exception or a FailureEvent, got str"
    ):
        await handler.handle_failure("it failed")


async def test_a_failure_that_cannot_be_recorded_is_an_error():
    """A stuck ledger fails the call by its deadline, with the handler's own error."""
    tree = PrivateTree()
    async with FailureHandler(connection=tree) as handler:
        await handler.handle_failure(ValueError("x"))
        actor, free = tree.running().ref("resilience/failures").actor, threading.Event()
        actor.on_receive = lambda message: free.wait(60)
        with pytest.raises(FailureHandlingError, match="resilience/failures gave no answer within 5 s") as raised:
            await handler.handle_failure(ValueError("x"))
        free.set()
        assert raised.value.error_code == "ACTOR_TIMEOUT"


async def test_a_handler_in_a_thread_has_the_correlation_id_of_its_caller(handler):
    """Sync handlers run in a thread of their own, with the context of whoever asked."""
    seen = []
    await handler.register_failure_handler("*", lambda event, context: seen.append(correlation_id()))
    with correlation("page-7"):
        await handler.handle_failure(ValueError("x"))
    assert seen == ["page-7"]


async def test_statistics_are_by_job_and_over_all(handler):
    """Jobs are told apart by the job's id in call, event or context; failures without one are counted, too."""
    await handler.handle_failure(TimeoutError("timeout"), {"job_id": "a", "url": "http://one.example/x"})
    await handler.handle_failure({"job_id": "b", "category": "system", "message": "disk full"})
    await handler.handle_failure(ValueError("x"), job_id="b")
    await handler.handle_failure({"message": "nobody's"})
    one = await handler.get_failure_statistics("a")
    assert (one["total_failures"], one["by_host"], one["actions"]) == (1, {"one.example": 1}, {"RETRY": 1})
    everything = await handler.get_failure_statistics(time_range=3600)
    assert everything["total_failures"] == 4
    assert {job: figures["total_failures"] for job, figures in everything["jobs"].items()} == {
        "a": 1,
        "b": 2,
        "(no job)": 1,
    }
    assert everything["by_category"]["system"] == 1
    with pytest.raises(FailureHandlingError, match=r"time_range must be a number of seconds .*, got 'hour'") as caught:
        await handler.get_failure_statistics("a", "hour")
    assert caught.value.context["field"] == "time_range"
    with pytest.raises(FailureHandlingError, match=r"job_id must be a text or None, got \['a'\]"):
        await handler.get_failure_statistics(["a"])


async def test_a_report_from_the_end_of_time_spoils_no_figures(handler):
    """A program's "never" as a timestamp: rounded up it lies in the year 10000, of which no calendar knows."""
    await handler.handle_failure({"timestamp": dt.datetime.max})  # noqa: DTZ901 - as users write it
    figures = await handler.get_failure_statistics("(no job)")
    assert (figures["total_failures"], sum(figures["timeline"].values())) == (1, 1)


async def test_what_was_done_is_an_event_with_the_correlation_id(handler):
    """The id in force at the caller is in the answer, the record and the event."""
    told = []
    handler.events.subscribe(told.append, [EventType.FAILURE_HANDLED])
    with correlation("page-7"):
        answer = await handler.handle_failure(TimeoutError("timeout"), {"job_id": "job"})
    assert answer["correlation_id"] == "page-7"
    assert (told[0].correlation_id, told[0].job_id, told[0].data["action"]) == ("page-7", "job", "retry")
    assert (await handler.get_failure_statistics("job"))["recent"][0]["correlation_id"] == "page-7"


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"severity": "error"}, "severity", "HIGH"),
        ({"severity": "Critical"}, "severity", "CRITICAL"),
        ({"severity": "warning"}, "severity", "MEDIUM"),
        ({"severity": "nonsense"}, "severity", "MEDIUM"),
        ({"category": "SYSTEM"}, "severity", "HIGH"),
        ({"category": "Browser"}, "category", "browser"),
        ({"category": "nonsense"}, "category", "unknown"),
        ({"category": 7}, "category", "unknown"),
        ({"message": None}, "message", ""),
        ({"message": 404}, "message", "404"),
        ({"recovery_action": "skip"}, "recovery_action", RecoveryAction.SKIP),
        ({"resolution_time": "soon"}, "resolution_time", None),
        ({"resolution_time": 3}, "resolution_time", 3.0),
        (
            {"timestamp": dt.datetime(2025, 1, 27, tzinfo=dt.UTC).replace(tzinfo=None)},
            "timestamp",
            dt.datetime(2025, 1, 27, tzinfo=dt.UTC),
        ),
        (
            {"timestamp": dt.datetime(2025, 1, 27, tzinfo=dt.timezone(dt.timedelta(hours=2)))},
            "timestamp",
            dt.datetime(2025, 1, 26, 22, tzinfo=dt.UTC),
        ),
        ({"timestamp": "2025-01-27T00:00:00"}, "timestamp", dt.datetime(2025, 1, 27, tzinfo=dt.UTC)),
        ({"timestamp": 1737936000}, "timestamp", dt.datetime(2025, 1, 27, tzinfo=dt.UTC)),
        ({"context": "not a dict"}, "context", {"context": "not a dict"}),
        ({"context": {"password": "x", "page": object}}, "context", {"password": "***", "page": "<class 'object'>"}),
        ({"url": "https://Shop.Example/a"}, "host", "shop.example"),
        ({"message": "see http://shop.example:8080/x"}, "host", "shop.example"),
        ({"url": "http://[broken"}, "host", None),
        ({"stack_trace": "NoneType: None\n"}, "stack_trace", None),
        ({"error": ValueError("x")}, "error_type", "ValueError"),
        ({"status": 503}, "category", "external"),
        ({"status": True}, "category", "unknown"),
    ],
)
def test_loose_reports_become_strict_records(given, field, expected):
    """Words in any case, naive timestamps, missing and nonsensical fields."""
    assert getattr(failure_event(given), field) == expected


def test_a_context_of_any_size_is_bounded():
    """Large and deep values are cut, and it is said that they were."""
    deep = {}
    deep["self"] = deep
    event = failure_event({"context": {"page": "x" * 100_000, "deep": deep, **{str(n): "y" * 300 for n in range(100)}}})
    text = repr(event.context)
    assert len(text) < 3000
    assert "characters)" in text


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=50),
    st.binary(max_size=20),
    st.datetimes(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.builds(ValueError, st.text(max_size=20)),
)
KEYS = [
    "id", "timestamp", "severity", "category", "source", "error_type", "message", "error", "context", "stack_trace",
    "recovery_action", "resolution_time", "correlation_id", "status", "host", "url", "anything",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), ODD))
def test_any_dict_becomes_a_record(report):
    """Whatever stands behind the keys: a record that is JSON, small, and the same if it is recorded again."""
    event = failure_event(report)
    assert len(json.dumps(event.as_map())) < 10_000
    assert event.timestamp.tzinfo is dt.UTC
    assert failure_event(event) is event
