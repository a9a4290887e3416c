"""The laws of parking hosts: one that fails is left alone, probed, and taken back; the last one never is parked."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st
from laws import Bug, eighths, examples, law, seeds

outcomes = st.sampled_from(["ok", "content", "none", "infra", "infra", "infra", "infra"])
histories = st.lists(st.tuples(outcomes, eighths(0, 40)), min_size=10, max_size=80)


def host_policies(p):
    return st.builds(
        lambda rate, evidence, pause: p.HostPolicy(rate, evidence, p.Backoff(pause, 2.0, 8 * pause)),
        st.sampled_from([0.25, 0.5, 0.75]),
        st.integers(1, 6),
        st.sampled_from([1.0, 8.0, 60.0]),
    )


def step(p, policy, state, event, now, *, rng, last=False):
    stream = {"content": p.Stream.CONTENT, "none": p.Stream.UNCOUNTED}.get(event, p.Stream.INFRA)
    return policy.step(state, event != "ok", now, rng, stream, last=last)


@law(
    Bug("hosts", "return 0 if now < state.parked_until else 1", "return 0 if now > state.parked_until else 1"),
    Bug("hosts", "now + self.pauses.delay(parks, rng)", "now + 2 * self.pauses.delay(parks, rng)"),
)
def a_parked_host_is_left_alone_and_then_probed(p):
    @examples
    @given(host_policies(p), histories, seeds)
    def check(policy, events, seed):
        state, now, rng = p.HostState(), 0.0, random.Random(seed)
        for event, gap in events:
            now += gap
            before = state
            state, happened = step(p, policy, state, event, now, rng=rng)
            assert (policy.room(state, now) == 0) is (state.parked_until is not None and now < state.parked_until)
            if happened is p.HostEvent.PARKED:
                assert event == "infra"
                assert now <= state.parked_until <= now + policy.pauses.max_delay
                assert policy.room(state, state.parked_until) == 1
                assert state.score == policy.evidence
            elif happened is p.HostEvent.FREED:
                assert event in {"ok", "content"}
                assert before.parked_until is not None
                assert policy.room(state, now) is None
            elif before.parked_until is not None:
                assert state == before

    check()


@law(
    Bug("hosts", "if score < self.evidence or last:", "if score <= self.evidence or last:"),
    Bug("hosts", "min(float(self.evidence), state.score + 1)", "state.score + 0.5"),
    Bug("hosts", "state.parks if score else 0", "state.parks"),
)
def a_host_is_parked_by_as_many_failures_in_a_row(p):
    policy = p.HostPolicy(pauses=p.Backoff(60.0, 2.0, 3600.0, 0.0))
    state, rng = p.HostState(), random.Random(0)
    for n in range(1, 16):
        state, happened = step(p, policy, state, "infra", 0.0, rng=rng)
        assert happened is (p.HostEvent.PARKED if n == 15 else p.HostEvent.NOTHING)
    pauses = []
    for _ in range(8):
        pauses.append(state.parked_until)
        state, happened = step(p, policy, state.shifted(-state.parked_until), "infra", 0.0, rng=rng)
        assert happened is p.HostEvent.PARKED
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    for n in range(9):
        state, happened = step(p, policy, state, "ok", 0.0, rng=rng)
        assert happened is (p.HostEvent.NOTHING if n else p.HostEvent.FREED)
    assert state == p.HostState()


@law(Bug("hosts", "if score < self.evidence or last:", "if score < self.evidence:"))
def the_last_host_is_never_parked(p):
    @examples
    @given(host_policies(p), histories, seeds)
    def check(policy, events, seed):
        state, now, rng = p.HostState(), 0.0, random.Random(seed)
        for event, gap in events:
            now += gap
            state, happened = step(p, policy, state, event, now, rng=rng, last=True)
            assert happened is p.HostEvent.NOTHING
            assert policy.room(state, now) is None
            assert state.score <= policy.evidence

    check()


@law(
    Bug(
        "hosts",
        "score = max(0.0, state.score - self.failure_rate / (1 - self.failure_rate))",
        "score = max(0.0, state.score - self.failure_rate / (1 - self.failure_rate)) if state.score else 0.25",
    ),
    Bug("hosts", "if failed and stream is not Stream.CONTENT:", "if failed:"),
    Bug("hosts", "if failed and stream is Stream.UNCOUNTED:", "if False:"),
)
def pages_that_come_never_park_a_host(p):
    @examples
    @given(host_policies(p), st.lists(st.sampled_from(["ok", "content", "none"]), max_size=40))
    def check(policy, events):
        state = p.HostState()
        for event in events:
            state, happened = step(p, policy, state, event, 0.0, rng=random.Random(0))
            assert (state, happened) == (p.HostState(), p.HostEvent.NOTHING)

    check()


@law(Bug("hosts", "parked_until=self.parked_until + seconds", "parked_until=self.parked_until"))
def a_checkpoint_changes_no_parking(p):
    @examples
    @given(host_policies(p), histories, st.floats(0, 1), st.integers(-1000, 1000))
    def check(policy, events, part, shift):
        def play(rows, state, now, rng):
            seen = []
            for event, gap in rows:
                now += gap
                seen.append(policy.room(state, now))
                state, happened = step(p, policy, state, event, now, rng=rng)
                seen.append(happened)
            return seen, state, now

        steady = p.Backoff(policy.pauses.base_delay, 2.0, policy.pauses.max_delay, kind="none")
        policy = p.HostPolicy(policy.failure_rate, policy.evidence, steady)
        cut, rng = int(part * len(events)), random.Random(0)
        whole = play(events, p.HostState(), 0.0, rng)[0]
        before, state, now = play(events[:cut], p.HostState(), 0.0, rng)
        restored = p.HostState.from_json(json.loads(json.dumps(state.to_json())))
        assert restored == state
        assert before + play(events[cut:], restored.shifted(shift), now + shift, rng)[0] == whole

    check()
