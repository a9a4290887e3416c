"""The log: Python's logging and loguru, levels, stack traces, JSON lines, correlation ids."""

import asyncio
import io
import json
import logging
import math
import re
import subprocess
import sys

import pytest
from loguru import logger

from scorewise_actors.correlation import correlation
from scorewise_actors.events import EventHub, EventType, ResilienceEvent, Severity
from scorewise_actors.redaction import MASK
from scorewise_actors.resilience import (
    FailureHandler,
    LoggingConfiguration,
    MaxRetriesExceededError,
    RetryManager,
    logs,
)
from scorewise_actors.resilience.connection import PrivateTree
from supervisors import Killed

NAME = "scorewise_actors.resilience"


@pytest.fixture(autouse=True)
def _as_it_was():
    yield
    logs.switch("debug_enabled", on=False)
    logs.switch("include_stack_traces", on=False)


@pytest.fixture
def loud():
    """What this library writes to loguru, which is switched on."""
    records = []
    logger.enable("scorewise_actors")
    sink = logger.add(lambda message: records.append(message.record["message"]), catch=False)
    yield records
    logger.remove(sink)
    logger.disable("scorewise_actors")


async def retry_once(tree):
    errors = [TimeoutError("timeout at http://h/?token=abcdef")]

    async def operation():
        if errors:
            raise errors.pop()

    async with RetryManager(connection=tree) as manager:
        quick = await manager.create_retry_policy({"name": "q", "base_delay": 0.1, "max_delay": 0.1})
        await manager.execute_with_retry(operation, quick)


async def test_debug_shows_what_happens(caplog):
    """Events are records of the logger that the documentation names, without secrets."""
    with caplog.at_level(logging.DEBUG, NAME):
        await retry_once(PrivateTree())
    messages = [record.getMessage() for record in caplog.records if record.name == NAME]
    assert any(message.startswith("retry_attempted: attempt=1") for message in messages)
    assert "abcdef" not in repr([record.__dict__ for record in caplog.records])


async def test_without_asking_it_is_quiet(caplog):
    """A retry that succeeds is nothing to warn about."""
    with caplog.at_level(logging.WARNING):
        await retry_once(PrivateTree())
    assert [record for record in caplog.records if record.name == NAME] == []


def test_the_switches_of_the_configuration_take_effect_at_once(caplog):
    """``config.logging.debug_enabled = True`` and ``include_stack_traces = True``."""
    config = LoggingConfiguration()
    logs.log("DEBUG", "too early")
    config.debug_enabled = True
    logs.log("DEBUG", "seen", stack="Traceback: with password=hunter2")
    config.include_stack_traces = True
    logs.log("ERROR", "failed", stack="Traceback: with password=hunter2")
    config.debug_enabled = False
    logs.log("DEBUG", "too late")
    records = [record for record in caplog.records if record.name == NAME]
    assert [record.getMessage() for record in records] == ["seen", "failed"]
    assert [record.stack for record in records] == [None, "Traceback: with password=***"]
    LoggingConfiguration(debug_enabled=True)
    assert logging.getLogger(NAME).isEnabledFor(logging.DEBUG)


async def test_records_of_failures_carry_the_traceback_when_asked(caplog):
    """Of operations, of reported failures and of callbacks that fail - without secrets, and only when asked."""

    async def broken_operation():
        raise ValueError("token=hunter2")

    async def broken_handler(_event, _context):
        raise KeyError("no handler")

    def stacks():
        found = [record.stack or "" for record in caplog.records if record.name == NAME]
        caplog.clear()
        return found

    tree = PrivateTree()
    async with RetryManager(connection=tree) as retries, FailureHandler(connection=tree) as failures:

        async def fail():
            with pytest.raises(MaxRetriesExceededError) as caught:
                await retries.execute_with_retry(broken_operation, once)
            await failures.handle_failure(caught.value.__cause__)

        once = await retries.create_retry_policy({"name": "once", "max_attempts": 1})
        await failures.register_failure_handler("*", broken_handler)
        config = LoggingConfiguration(debug_enabled=True)
        await fail()
        assert not any(stacks())
        config.include_stack_traces = True
        await fail()
        found = stacks()
    assert [("in broken_operation" in stack, "in broken_handler" in stack) for stack in found] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert "hunter2" not in repr(found)


PROGRAM = """
import logging
{configured}
logging.getLogger("scorewise_actors.resilience").setLevel(logging.DEBUG)
from scorewise_actors.resilience import logs
logs.log("DEBUG", "hello")
"""


@pytest.mark.parametrize(("configured", "shown"), [("", 1), ("logging.basicConfig(format='%(message)s')", 1)])
def test_setting_the_level_is_enough_to_see_records(configured, shown):
    """Once each, whether the program configured a handler or not."""
    program = PROGRAM.format(configured=configured)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.count("hello") == shown


def test_a_program_that_did_not_ask_sees_nothing():
    """Not even warnings: a library is silent until its user says otherwise."""
    program = "from scorewise_actors.resilience import logs; logs.log('ERROR', 'hello')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""


WITHOUT_STDERR = """
import logging, os, sys
logging.getLogger("scorewise_actors.resilience").setLevel(logging.DEBUG)
from scorewise_actors.resilience import logs
reading, writing = os.pipe()
os.close(reading)
for stream in (os.fdopen(writing, "w", buffering=1), None):
    sys.stderr = stream
    logs.log("ERROR", "nobody reads this")
sys.stderr = sys.__stderr__
logs.log("ERROR", "half a character: \\ud83d")
"""


def test_a_record_that_cannot_be_written_harms_nobody():
    """Whoever read stderr has gone, or there is none; and a text that no stream takes is shown with escapes."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_STDERR], capture_output=True, text=True, timeout=60)  # noqa: PLW1510
    assert (done.returncode, done.stderr) == (0, "ERROR scorewise_actors.resilience half a character: \\ud83d\n")


def test_half_a_character_in_a_json_line():
    """A file takes the line, and what was meant can be read from it."""
    record = logging.LogRecord(NAME, logging.INFO, "file", 1, "half: \ud83d", (), None)
    line = logs.JsonFormatter().format(record)
    assert json.loads(line.encode())["message"] == "half: \ud83d"


def test_a_json_line_is_json_whatever_the_fields_are():
    """NaN is null, keys are text, and what has no form in JSON is text without secrets."""
    odd = {("a", 1): math.nan, None: -math.inf, 7: 10**5000, "list": [Unreadable(), {1: {"token": "Zqsecret1"}}]}
    record = logging.makeLogRecord({"msg": "x", "fields": {"data": odd, "error": OSError("password=Zqsecret2")}})
    line = logs.JsonFormatter().format(record)

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(line, parse_constant=refuse)
    assert "Zqsecret" not in line
    assert (read["data"]["('a', 1)"], read["data"]["None"], read["error"]) == (None, None, f"password={MASK}")
    assert int(read["data"]["7"], 16) == 10**5000
    assert read["data"]["list"][0].startswith("<Unreadable")


def test_json_lines_of_both_logs():
    """One object per line, with the same keys, correlation id included; braces in a text are only a text."""
    streams = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(streams[0])
    handler.setFormatter(logs.JsonFormatter())
    logging.getLogger(NAME).addHandler(handler)
    logger.enable("scorewise_actors")
    sink = logger.add(logs.json_sink(streams[1]), format="{message}", level="INFO")
    try:
        with correlation("page-7"):
            logs.log("WARNING", "odd {page} text {0}", job_id="job", cookie="abc", url="http://u:p@h/")
    finally:
        logging.getLogger(NAME).removeHandler(handler)
        logger.remove(sink)
        logger.disable("scorewise_actors")
    for stream in streams:
        record = json.loads(stream.getvalue())
        assert record["message"] == "odd {page} text {0}"
        assert (record["level"], record["job_id"], record["correlation_id"]) == ("WARNING", "job", "page-7")
        assert (record["cookie"], record["url"]) == ("***", "http://***@h/")
        assert record["time"].endswith("+00:00")


@pytest.mark.parametrize(
    ("severity", "level"), [("LOW", "DEBUG"), ("MEDIUM", "DEBUG"), ("HIGH", "WARNING"), ("CRITICAL", "ERROR")]
)
def test_events_are_logged_by_their_severity(caplog, severity, level):
    """What is critical is an error in the log."""
    with caplog.at_level(logging.DEBUG, NAME):
        logs.log_event(ResilienceEvent("p", EventType.ABORT_EVALUATED, "abort", "job", Severity(severity)))
    assert [record.levelname for record in caplog.records] == [level]


class Unreadable(Exception):
    """Its text raises, whoever asks for it."""

    def __str__(self):
        raise ZeroDivisionError

    __repr__ = __str__


class Leave(SystemExit):
    """Not even an Exception."""


@pytest.mark.parametrize("error", [ZeroDivisionError, Unreadable, Leave])
def test_a_listener_that_raises_harms_nobody(error, loud):
    """The next one hears the event all the same; whoever unsubscribed does not. Also with the log switched on."""
    hub, heard = EventHub(), []

    def explode(_event):
        raise error

    hub.subscribe(explode)
    forget = hub.subscribe(heard.append, ["retry_attempted"])
    event = ResilienceEvent("p", EventType.RETRY_ATTEMPTED, "retry")
    hub.emit(event)
    hub.emit(ResilienceEvent("p", EventType.RETRY_SUCCEEDED, "retry"))
    forget()
    hub.emit(event)
    assert heard == [event]
    assert f"a subscriber failed on retry_attempted: {'<' if error is Unreadable else ''}{error.__name__}" in loud[0]


def test_a_kill_passes_a_listener():
    """It is meant for the actor that tells, and ends it."""
    hub = EventHub()

    def killed(_event):
        raise Killed

    hub.subscribe(killed)
    with pytest.raises(Killed):
        hub.emit(ResilienceEvent("p", EventType.RETRY_ATTEMPTED, "retry"))


@pytest.mark.parametrize("types", ["retry_attempted", 7, [7], [[]], ["nonsense"]])
def test_a_subscription_that_would_hear_nothing_is_refused(types):
    """A single type in place of a list of them, what is no type; and a listener that cannot be called."""
    with pytest.raises(ValueError, match=re.escape(str(types[0] if isinstance(types, list) else types))):
        EventHub().subscribe(print, types)
    with pytest.raises(ValueError, match=r"^the kinds of events must be .*(checkpoint_created|retry_attempted)"):
        EventHub().subscribe(print, types)
    with pytest.raises(ValueError, match="a subscriber must be callable, got 5"):
        EventHub().subscribe(5)


async def test_the_correlation_id_of_a_task_is_in_its_events_and_in_no_others():
    """Two tasks at once, each with its own id; also what an actor tells on their behalf."""
    tree = PrivateTree()
    told = []
    tree.events.subscribe(lambda event: told.append((event.type.value, event.correlation_id)))

    async def work(name):
        with correlation(name):
            await retry_once(tree)

    await asyncio.gather(work("a"), work("b"))
    assert sorted(told) == sorted(
        (kind, name) for kind in ("retry_attempted", "retry_succeeded") for name in ("a", "b")
    )
