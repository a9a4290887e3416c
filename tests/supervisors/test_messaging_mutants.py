"""The tests of messaging can fail: each bug planted here is found by the test that tells the rule.

Each runs that test in a process of its own, forked from one that has collected them all: a bug in the kernel leaves
threads behind. The whole table takes some 15 seconds of one core.
"""

import json
import subprocess
import sys

import attrs
import pytest

from tests.supervisors.planted_run import NOT_FOUND, ROOT


@attrs.frozen
class Bug:
    """A replacement in the source of one module, and the test that must notice it."""

    name: str
    module: str
    right: str
    wrong: str
    test: str


BUGS = [
    Bug(
        "a reply that comes just now is waited for",
        "future",
        right="        if self._answer is not None:  # the one who answered may have seen no gate",
        wrong="        if False:  # the one who answered may have seen no gate",
        test="test_future_replies.py::test_a_reply_that_comes_while_somebody_prepares_to_wait_is_not_waited_for",
    ),
    Bug(
        "one who waits for a reply keeps it from the others",
        "future",
        right="            gate.release()  # for the next one who waits",
        wrong="            pass",
        test="test_future_replies.py::test_many_threads_that_wait_for_one_reply_all_get_it",
    ),
    Bug(
        "the last answer counts",
        "future",
        right='or self.__dict__.setdefault("_answer", answer) is not answer:',
        wrong='or self.__dict__.__setitem__("_answer", answer):',
        test="test_future_replies.py::test_the_first_answer_counts",
    ),
    Bug(
        "a message in the hands of a reader is lost when the mailbox closes",
        "mailboxes.mailbox",
        right="        if self.closed:  # by another thread",
        wrong="        if False:  # by another thread",
        test="test_mailbox.py::test_a_message_that_is_taken_out_while_the_mailbox_closes_is_rejected",
    ),
    Bug(
        "a mailbox holds one message more",
        "mailboxes.bounded",
        right="len(self._entries) >= self.policy.limit",
        wrong="len(self._entries) > self.policy.limit",
        test="test_mailbox_bounded.py::test_a_full_mailbox_rejects_what_comes_and_takes_signals",
    ),
    Bug(
        "requests to stop find no room",
        "mailboxes.bounded",
        right="            if self._full() and not is_stop_request(envelope.message):",
        wrong="            if self._full():",
        test="test_mailbox_bounded.py::test_a_full_mailbox_rejects_what_comes_and_takes_signals",
    ),
    Bug(
        "a request to stop makes room",
        "mailboxes.bounded",
        right="            if not is_stop_request(envelope.message):\n                del",
        wrong="            if True:\n                del",
        test="test_mailbox_bounded.py::test_a_full_mailbox_may_drop_the_oldest",
    ),
    Bug(
        "high water is announced again and again",
        "mailboxes.bounded",
        right="or self._announced or size < self.policy.high",
        wrong="or size < self.policy.high",
        test="test_mailbox_bounded.py::test_high_water_is_announced_once_until_it_was_low_again",
    ),
    Bug(
        "high water has no hysteresis",
        "mailboxes.bounded",
        right="            if len(self._entries) <= self.policy.low:",
        wrong="            if len(self._entries) < self.policy.high:",
        test="test_mailbox_bounded.py::test_high_water_is_announced_once_until_it_was_low_again",
    ),
    Bug(
        "nobody wakes the reader",
        "mailboxes.bounded",
        right="        if self._asleep:\n            self.nudge()",
        wrong="",
        test="test_mailbox_bounded.py::test_a_reader_of_a_bounded_mailbox_sleeps_and_is_woken",
    ),
    Bug(
        "an asker is not told that its message was refused",
        "ref",
        right='        elif why in ("full", "dropped"):',
        wrong='        elif why in ("full", "dropped") and print():',
        test="test_mailbox_bounded.py::test_an_ask_of_a_full_actor_fails_at_once_and_a_tell_is_a_dead_letter",
    ),
    Bug(
        "the mailbox of the specification is forgotten",
        "supervision",
        right="            self._mails.deliver(spec.id, spec.mailbox, self.runtime.ref(path), actor)\n",
        wrong="            pass\n",
        test="test_mailbox_bounded.py::test_a_supervisor_gives_its_children_the_mailbox_of_their_specification",
    ),
    Bug(
        "mail goes to the dead",
        "mailboxes.kept",
        right="                self._heir = None\n            left",
        wrong="                pass\n            left",
        test="test_mailbox_kept.py::test_what_waited_at_a_crash_goes_to_the_next_incarnation_in_its_order",
    ),
    Bug(
        "the successor gets the signals of the dead",
        "mailboxes.kept",
        right=" or isinstance(envelope.message, Signal):",
        wrong=":",
        test="test_mailbox_kept.py::test_what_waited_at_a_crash_goes_to_the_next_incarnation_in_its_order",
    ),
    Bug(
        "the successor gets the timers of the dead",
        "mailboxes.kept",
        right="if isinstance(envelope, OwnEnvelope) or ",
        wrong="if ",
        test="test_actor_timers.py::test_a_timer_ends_with_its_incarnation",
    ),
    Bug(
        "a request to stop stops the successor",
        "mailboxes.kept",
        right="    return is_stop_request(envelope.message)",
        wrong="    return False",
        test="test_mailbox_kept.py::test_a_request_to_stop_is_for_the_incarnation_that_it_was_sent_to",
    ),
    Bug(
        "requests wait for a runtime that has ended",
        "runtime",
        right="            errand.give_up()",
        wrong="            pass",
        test="test_asks_waiting.py::test_an_ask_does_not_wait_for_a_runtime_that_has_ended",
    ),
    Bug(
        "what is parked has no limit",
        "mailboxes.kept",
        right="if self._arrived < self._policy.park:",
        wrong="if True:",
        test="test_mailbox_kept.py::test_what_comes_while_nobody_lives_there_is_parked",
    ),
    Bug(
        "mail waits for ever for one who was terminated",
        "mailboxes.kept",
        right="                mail.give_up()\n                if",
        wrong="                if",
        test="test_mailbox_kept.py::test_mail_of_a_child_terminated_while_it_waits_for_its_restart_is_given_up",
    ),
    Bug(
        "an actor that awaits says so to nobody",
        "future",
        right="        asker.blocked_on = self\n",
        wrong="        asker.blocked_on = None\n",
        test="test_asks_cycles.py::test_a_circle_is_found_and_named",
    ),
    Bug(
        "a blocked loop is not seen",
        "async_actor",
        right="self.loop_thread.blocked_on is not None",
        wrong="False",
        test="test_asks_cycles.py::test_an_actor_that_blocks_its_loop_waits_for_nobody_on_it",
    ),
    Bug(
        "an answered wait counts as waiting",
        "ask_cycles",
        right="    if actor is None or future.done():",
        wrong="    if actor is None:",
        test="test_asks_cycles.py::test_an_answered_wait_is_no_wait",
    ),
    Bug(
        "the wait stays published",
        "ref",
        right="        finally:\n            cell.blocked_on = None",
        wrong="        finally:\n            pass",
        test="test_asks_cycles.py::test_an_actor_may_catch_the_error_and_go_on",
    ),
    Bug(
        "a request that crashed its actor is sent again",
        "errand",
        right="if not isinstance(error, NotHandledError) or fenced:",
        wrong="if error is None or fenced:",
        test="test_asks_waiting.py::test_an_ask_that_was_not_taken_up_is_sent_to_the_next_incarnation",
    ),
    Bug(
        "the time of a wait cuts a handler short",
        "errand",
        right="        if not self._with_actor:\n            self.give_up()",
        wrong="        self.give_up()",
        test="test_asks_waiting.py::test_an_ask_in_hand_is_not_cut_short_by_its_wait",
    ),
    Bug(
        "what is put aside is answered at once",
        "actor",
        right="        envelope.reply_to = None  # it is answered when it comes back",
        wrong="",
        test="test_asks_waiting.py::test_a_handler_that_forgets_to_return_does_not_answer_what_it_put_aside",
    ),
    Bug(
        "what is put aside twice is handled twice",
        "actor",
        right="        self._in_hand = None  # and is not to come back twice",
        wrong="",
        test="test_asks_waiting.py::test_a_message_is_put_aside_once",
    ),
    Bug(
        "a timer of the far future ends all timers",
        "timer",
        right="min(wait, _LONGEST_WAIT)",
        wrong="wait",
        test="test_runtime_tree.py::test_a_timer_of_the_far_future_does_not_end_the_others",
    ),
    Bug(
        "a suspended supervisor does not hear what became of a start",
        "supervision",
        right="self.mailbox.put if self.suspended else self.mailbox.put_last",
        wrong="self.mailbox.put_last",
        test="test_system_messages.py::test_a_suspended_supervisor_hears_of_starts_that_failed_at_once_and_can_be_stopped",
    ),
    Bug(
        "a supervisor that is suspended does not look at what it was told before",
        "supervision",
        right="        for _ in self._decided:",
        wrong="        for _ in ():",
        test="test_system_messages.py::test_a_suspended_supervisor_hears_of_starts_that_failed_at_once_and_can_be_stopped",
    ),
    Bug(
        "an actor that stops its own tree waits for itself",
        "runtime",
        right="            if self._is_held_up_by_caller():\n                return False\n",
        wrong="",
        test="test_runtime_tree.py::test_an_actor_that_stops_its_own_tree_does_not_wait_for_itself",
    ),
    Bug(
        "a subscriber can end the supervisor that tells it",
        "subscribers",
        right="            except Killed:",
        wrong="            except (Killed, __import__('supervisors').ActorExit):",
        test="test_events_subscribers.py::test_a_subscriber_that_raises_harms_neither_a_supervisor_nor_the_others",
    ),
    Bug(
        "what is put aside is lost at the end",
        "actor",
        right="            target.demonitor(hear)\n        self.unstash_all()",
        wrong="            target.demonitor(hear)",
        test="test_asks_waiting.py::test_what_is_put_aside_at_the_end_is_answered_or_counted",
    ),
    Bug(
        "ticks pile up",
        "actor_timers",
        right="        if self._waiting is None or self._waiting() is None:",
        wrong="        if True:",
        test="test_actor_timers.py::test_ticks_do_not_pile_up_behind_a_handler_that_takes_long",
    ),
    Bug(
        "timers outlive their actor",
        "actor",
        right="            timer.cancel()\n        for target",
        wrong="            pass\n        for target",
        test="test_actor_timers.py::test_a_timer_ends_with_its_incarnation",
    ),
    Bug(
        "links bind one side only",
        "links",
        right="            peer.linked_peers[actor.incarnation] = actor\n",
        wrong="",
        test="test_links_peers.py::test_an_abnormal_end_takes_the_peer_along",
    ),
    Bug(
        "a normal end takes the peer along",
        "links",
        right="    elif news.reason.abnormal:",
        wrong="    else:",
        test="test_links_peers.py::test_a_normal_end_leaves_the_peer_alone",
    ),
    Bug(
        "undone links are told of all the same",
        "links",
        right="isinstance(signal, LinkDown) and signal.path == ref.path",
        wrong="False",
        test="test_links_peers.py::test_after_undoing_a_link_no_news_of_it_come",
    ),
    Bug(
        "a linked actor drains first",
        "actor",
        right="self._stop_reason is not None and not self._stop_reason.abnormal",
        wrong="self._stop_reason is not None",
        test="test_links_peers.py::test_a_linked_actor_that_drains_does_not_drain",
    ),
    Bug(
        "watching twice brings two news",
        "actor",
        right="        if incarnation in watched:\n            return\n",
        wrong="        if incarnation in watched:\n            watched = {}\n",
        test="test_links_peers.py::test_watching_twice_brings_one_down",
    ),
    Bug(
        "dead watchers are kept",
        "actor",
        right="            target.demonitor(hear)\n        self.unstash_all()",
        wrong="            pass\n        self.unstash_all()",
        test="test_links_peers.py::test_a_watcher_that_has_ended_is_forgotten_by_those_it_watched",
    ),
    Bug(
        "a name can be taken from its holder",
        "names",
        right="        if holder is not ref:",
        wrong="        if False:",
        test="test_refs_proxy.py::test_a_name_belongs_to_one_place",
    ),
    Bug(
        "a misspelt method kills the actor",
        "actor",
        right="        except proxy.NoAttributeError as error:",
        wrong="        except proxy.NoAttributeError as error:\n            raise",
        test="test_refs_proxy.py::test_what_an_actor_does_not_have_is_the_mistake_of_the_caller",
    ),
    Bug(
        "a suspended thread serves messages",
        "thread_actor",
        right="self._handle(inbox.get_signal())",
        wrong="self._handle(inbox.get())",
        test="test_system_messages.py::test_a_suspended_actor_serves_signals_only",
    ),
    Bug(
        "a suspended coroutine serves messages",
        "async_actor",
        right="get = inbox.get_signal if suspended else inbox.poll",
        wrong="get = inbox.poll",
        test="test_system_messages.py::test_a_suspended_actor_serves_signals_only",
    ),
    Bug(
        "system messages starve the others",
        "actor",
        right="if served > _REQUESTS_PER_TURN and",
        wrong="if served > 1000 and",
        test="test_system_messages.py::test_many_system_messages_do_not_starve_the_others",
    ),
    Bug(
        "system messages go round and round",
        "actor",
        right="        if isinstance(envelope, _Deferred):",
        wrong="        if False:",
        test="test_system_messages.py::test_many_system_messages_do_not_starve_the_others",
    ),
    Bug(
        "a redaction that fails shows everything",
        "redacted_text",
        right='        return f"<not shown: redact failed with {type(error).__name__}>"',
        wrong="        pass",
        test="test_system_messages.py::test_a_redaction_that_fails_shows_nothing",
    ),
    Bug(
        "a trace never ends by count",
        "instruments",
        right="        if trace.left == 0:",
        wrong="        if False:",
        test="test_system_messages.py::test_a_trace_tells_each_message_and_ends_by_count",
    ),
    Bug(
        "the time of a trace ends the next one",
        "instruments",
        right="        return self._trace is trace",
        wrong="        return True",
        test="test_system_messages.py::test_a_trace_can_be_stopped_and_replaced",
    ),
    Bug(
        "instruments stay for ever",
        "instruments",
        right='            self._actor.__dict__.pop("_dispatch", None)',
        wrong="            pass",
        test="test_system_messages.py::test_busy_time_is_measured_when_it_is_switched_on",
    ),
    Bug(
        "dead letters go round in circles",
        "runtime",
        right='if self._subscribers and not getattr(_telling, "dead_letter", False):',
        wrong="if self._subscribers:",
        test="test_events_subscribers.py::test_a_subscriber_that_tells_the_dead_does_not_go_round_in_circles",
    ),
    Bug(
        "a subscriber can end a supervisor",
        "subscribers",
        right="            except BaseException as error:  # noqa: BLE001 - nor may its",
        wrong="            except Exception as error:  # noqa: BLE001 - nor may its",
        test="test_events_subscribers.py::test_a_subscriber_that_raises_harms_neither_a_supervisor_nor_the_others",
    ),
    Bug(
        "a queue of events has no bound",
        "event_queue",
        right="            if len(self._events) >= self._limit:",
        wrong="            if False:",
        test="test_events_subscribers.py::test_a_subscriber_that_hangs_costs_its_own_events_only",
    ),
    Bug(
        "too many zombies are told again and again",
        "runtime",
        right=" and not self._many_zombies\n",
        wrong="\n",
        test="test_events_subscribers.py::test_too_many_zombies_are_an_event_once_until_there_were_fewer",
    ),
    Bug(
        "an abandoned actor still tells",
        "ref",
        right="        if sender is not None and sender.fenced:\n            self._runtime.drop_late(self.path, mess",
        wrong="        if False:\n            self._runtime.drop_late(self.path, mess",
        test="test_ladder_resources.py::test_tasks_and_threads_of_an_abandoned_async_actor_are_fenced",
    ),
    Bug(
        "a wait that is none is sent all the same",
        "ref",
        right="        if wait is not None:\n            validation",
        wrong="        if False:\n            validation",
        test="test_bad_arguments.py::test_a_bad_argument_is_named_and_changes_nothing",
    ),
    Bug(
        "a time below 0 is one",
        "ref",
        right=" or not timeout >= 0.0:",
        wrong=":",
        test="test_bad_arguments.py::test_a_bad_argument_is_named_and_changes_nothing",
    ),
    Bug(
        "a deadline that has passed is a mistake",
        "future",
        right="    if not validation.is_number(timeout, -validation.CLOCK_LIMIT, 0.0):",
        wrong="    if True:",
        test="test_bad_arguments.py::test_a_deadline_that_has_passed_is_no_mistake_of_who_waits",
    ),
    Bug(
        "any path is one of this tree",
        "runtime",
        right="        if not isinstance(path, str) or not f",
        wrong="        if not isinstance(path, str) or f",
        test="test_bad_arguments.py::test_a_bad_argument_is_named_and_changes_nothing",
    ),
    Bug(
        "a worker is asked for its children",
        "children",
        right="    if actor is not None and not actor.supervises:",
        wrong="    if False:",
        test="test_bad_arguments.py::test_what_is_asked_of_a_supervisor_does_not_come_to_others",
    ),
    Bug(
        "a child of another tree is ended by its reference",
        "children",
        right=" and child.runtime is supervisor.runtime",
        wrong="",
        test="test_bad_arguments.py::test_a_child_of_another_tree_is_not_found_by_its_reference",
    ),
    Bug(
        "a queue is closed before its time is looked at",
        "event_queue",
        right='("EventQueue.close: timeout", timeout, endless=True)',
        wrong='("EventQueue.close: timeout", self._unsubscribe() or timeout, endless=True)',
        test="test_bad_arguments.py::test_a_queue_that_is_closed_wrongly_stays_open",
    ),
    Bug(
        "a supervisor is linked to what is below it",
        "links",
        right="    if actor.bound and actor.runtime is ref.runtime:",
        wrong="    if False:",
        test="test_links_peers.py::test_a_supervisor_and_those_below_it_are_not_linked",
    ),
    Bug(
        "a supervisor is linked by what is far below it",
        "links",
        right='    if below.startswith(f"{above}/"):',
        wrong='    if below.rpartition("/")[0] == above:',
        test="test_links_peers.py::test_a_supervisor_and_those_below_it_are_not_linked",
    ),
    Bug(
        "hooks of threads are coroutine functions",
        "definitions",
        right="        if inspect.iscoroutinefunction(vars(kind).get(name)):",
        wrong="        if False:",
        test="test_definitions.py::test_hooks_of_threads_are_plain_functions",
    ),
    Bug(
        "a property is checked as if it were its value",
        "definitions",
        right=' and not hasattr(value, "__get__"):',
        wrong=":",
        test="test_definitions.py::test_settings_may_be_properties",
    ),
    Bug(
        "a simulation begins twice",
        "testing.simulation",
        right="        if self._started:\n",
        wrong="        if False:\n",
        test="test_bad_testing.py::test_a_simulation_starts_once_and_answers_nobody_before",
    ),
    Bug(
        "what is not there has a behaviour",
        "testing.simulation",
        right="        if child not in self._behaviour and (",
        wrong="        if False and (",
        test="test_bad_testing.py::test_a_child_that_is_not_there_has_no_behaviour",
    ),
    Bug(
        "behaviour is only for who is there by now",
        "testing.simulation",
        right="        if child not in self._behaviour and (",
        wrong="        if (",
        test="test_bad_testing.py::test_the_behaviour_of_a_child_to_come_is_told_to_the_constructor",
    ),
    Bug(
        "a fake clock runs to the end of time",
        "testing.fake_clock",
        right="self._now = self._now if end == math.inf else max(self._now, end)",
        wrong="self._now = max(self._now, end)",
        test="test_bad_testing.py::test_time_without_end_ends_when_nothing_is_left_to_come",
    ),
    Bug(
        "what belonged to a crashed actor lives on",
        "incarnation",
        right="            elif reason.abnormal:\n                self._release_quietly()",
        wrong="",
        test="test_ladder_resources.py::test_the_process_of_a_dead_actor_has_ended_when_its_watchers_hear",
    ),
]


def run(cases):
    """The exit codes of tests with these bugs planted, with what they wrote."""
    command = [sys.executable, "-m", "tests.supervisors.planted_run"]
    asked = json.dumps([[bug.module, bug.right, bug.wrong, bug.test] for bug in cases])
    done = subprocess.run(command, cwd=ROOT, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answers(request):
    """What became of the bugs that are wanted, by name: all are tried at once."""
    ours = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    wanted = [item.callspec.params["bug"] for item in ours]
    return dict(zip([bug.name for bug in wanted], run(wanted), strict=True))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(answers, bug):
    """The test that tells the rule fails, or does not end in its time."""
    code, output = answers[bug.name]
    assert code != NOT_FOUND, f"{bug.module} does not contain this once: {bug.right!r}"
    assert code == 1, f"exit code {code}\n{output}"


def test_without_a_bug_the_same_tests_pass():
    """So it is the bugs that were found, and not the way in which the tests were run."""
    sound = [Bug(test, "runtime", right="", wrong="", test=test) for test in sorted({bug.test for bug in BUGS})]
    assert [(bug.test, output) for bug, (code, output) in zip(sound, run(sound), strict=True) if code != 0] == []
