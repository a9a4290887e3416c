"""A supervisor written the naive way, to be compared with the core.

It blocks as OTP's does: a start or a stop is done when the function returns, so children take no time. Everything is a
list that is searched, all restart times are kept for ever, and who is to be started next is found by looking. Nothing
of the core is used.
"""

import itertools

from policies.restart import RestartType, Strategy
from supervisors.spec import AutoShutdown, GiveUp


class Ended(Exception):
    """The supervisor has ended: whatever it was doing is over."""


class Clock:
    def __init__(self):
        self.now = 0.0
        self.trace = []
        self.numbers = itertools.count()


class Row:
    def __init__(self, kid):
        self.kid = kid
        self.id = kid.id
        self.starts = list(kid.starts)
        self.then = "ok"
        self.sub = None
        self.since = None
        self.forget()
        self.up = self.gone = self.wanted = self.delayed = False
        self.failed = False
        self.due = None
        """When and as the how manieth it is to be started (one_for_one)."""
        self.asker = None
        """The request that is answered when it is up, and whether the child is forgotten if that fails."""

    def forget(self):
        """No failures in memory."""
        self.streak = self.delays = self.brief = 0

    def rest(self):
        self.up = self.gone = self.wanted = self.delayed = self.failed = False
        self.due = self.asker = self.sub = None

    @property
    def word(self):
        if self.up:
            return "up"
        return "restarting" if self.wanted and self.failed else "undefined"


class Model:
    """One supervisor, from the tree that a runner of the core takes."""

    def __init__(self, clock, tree):
        self.clock, self.options = clock, tree.options
        self.strategy = tree.options.get("strategy", Strategy.ONE_FOR_ONE)
        self.policy = tree.options["restarts"]
        self.pool = tree.options.get("pool", False)
        self.rows = [Row(kid) for kid in tree.kids]
        self.stamps = []
        self.wait = None
        """Until when, and as the how manieth, those that are wanted wait together."""
        self.ending = False
        self.end = None
        """Why it ended: ``(kind, child)``."""
        self.gave_up = []
        self.answers = {}

    # ------------------------------------------------------------------------------------------------ what happens

    def begin(self):
        """True if it came up."""
        try:
            for row in self.rows:
                row.wanted = True
            for row in list(self.rows):
                if self.start(row) == "refused":
                    row.rest()
                    self.finish("start_failed", row.id)
        except Ended:
            return False
        return True

    def die(self, ids, how):
        """These are dead; their ends are handled one after another."""
        rows = [row for row in self.rows if row.id in ids and row.up]
        rows.sort(key=lambda row: ids.index(row.id))
        for row in rows:
            row.gone = True
        try:
            for row in rows:
                if row in self.rows and row.gone:
                    self.ended(row, how)
        except Ended:
            return

    def pass_time_to(self, end):
        """Do what is due until then, in the order of time, also below."""
        while True:
            due = [(when, model, row) for model in self.family() for when, row in model.dues() if when[0] <= end]
            if not due:
                break
            when, model, row = min(due, key=lambda entry: entry[0])
            self.clock.now = max(self.clock.now, when[0])
            model.wake(row)
            self.see_below()
        self.clock.now = end

    def request(self, number, what, argument):
        try:
            getattr(self, what)(number, argument)
        except Ended:
            return

    def stop(self):
        try:
            self.finish("shutdown", None)
        except Ended:
            return

    # ---------------------------------------------------------------------------------------------------- requests

    def start_child(self, number, kid):
        known = self.find(kid.id)
        if known is not None:
            return self.answer(number, "already_started" if known.up else "already_present")
        if self.options.get("max_children") is not None and len(self.rows) >= self.options["max_children"]:
            return self.answer(number, "max_children")
        row = Row(kid)
        self.rows.append(row)
        return self.start_for(row, number, new=True)

    def terminate_child(self, number, name):
        row = self.find(name)
        if row is None:
            return self.answer(number, "not_found")
        if row.asker is not None:
            self.answer(row.asker[0], "refused")
        self.halt(row)
        self.drop(row)
        return self.answer(number, None)

    def restart_child(self, number, name):
        row = self.refuse_busy(number, name)
        if row is not None:
            row.forget()
            row.since = None
            self.start_for(row, number, new=False)

    def delete_child(self, number, name):
        row = self.refuse_busy(number, name)
        if row is not None:
            self.rows.remove(row)
            self.answer(number, None)

    def reset(self, number, name):
        if name is None:
            self.stamps = []
        elif self.find(name) is None:
            return self.answer(number, "not_found")
        for row in self.rows:
            if name in (None, row.id):
                row.forget()
        return self.answer(number, None)

    def refuse_busy(self, number, name):
        row = self.find(name)
        if self.pool:
            self.answer(number, "simple_one_for_one")
        elif row is None:
            self.answer(number, "not_found")
        elif row.up or row.wanted:
            self.answer(number, "running" if row.up else "restarting")
        else:
            return row
        return None

    def start_for(self, row, number, *, new):
        row.wanted, row.asker = True, (number, new)
        if self.wait is None:
            self.try_start(row)

    def answer(self, number, code):
        assert number not in self.answers
        self.answers[number] = code

    # --------------------------------------------------------------------------------------------------- decisions

    def ended(self, row, how):
        """One ended by itself."""
        row.up = row.gone = False
        row.sub = None
        kind = row.kid.restart
        if kind is RestartType.PERMANENT or (kind is RestartType.TRANSIENT and how in ("crash", "kill")):
            self.failed(row)
            return
        self.rested(row)
        self.drop(row)
        auto = self.options.get("auto_shutdown", AutoShutdown.NEVER)
        if row.kid.significant and auto is not AutoShutdown.NEVER:
            others = [one for one in self.rows if one.kid.significant and (one.up or one.wanted)]
            if auto is AutoShutdown.ANY_SIGNIFICANT or not others:
                self.finish("shutdown", row.id)

    def failed(self, row):
        """One has to be restarted: with whom, when, or is that one too many?"""
        now, policy = self.clock.now, self.policy
        lived = 0.0 if row.since is None else now - row.since
        fresh = row.since is not None and lived >= policy.stable_after
        row.since = None
        row.streak = 1 if fresh else row.streak + 1
        row.delays = 0 if fresh else row.delays
        row.failed, row.wanted, row.asker = True, True, None
        rule = None
        if not row.delayed:
            self.stamps.append(now)
            row.brief = row.brief + 1 if lived < policy.min_uptime else 0
            if len([stamp for stamp in self.stamps if now - stamp <= policy.intensity.period]) > self.most:
                rule = "intensity"
        if rule is None and row.brief > self.most:
            rule = "uptime"
        if rule is None and policy.max_streak is not None and row.streak > policy.max_streak:
            rule = "streak"
        if rule is not None:
            self.give_up(row, rule)
            return
        delay = 0.0
        if policy.backoff is not None and row.streak > policy.immediate:
            delay = min(policy.backoff.max_delay, policy.backoff.base_delay * policy.backoff.multiplier**row.delays)
            row.delays += 1
        row.delayed = delay > 0
        if self.strategy is Strategy.ONE_FOR_ONE:
            if delay > 0:
                row.due = (now + delay, next(self.clock.numbers))
            else:
                self.try_start(row)
            return
        self.restart_group(row, delay)

    def restart_group(self, row, delay):
        first = self.rows.index(row) if self.strategy is Strategy.REST_FOR_ONE else 0
        for other in reversed(self.rows[first:]):
            if other is row:
                continue
            self.halt(other)
            if other.kid.restart is RestartType.TEMPORARY and other.asker is None:
                self.rows.remove(other)
            else:
                other.wanted = True
                other.delayed = other.delayed or delay > 0
        if delay > 0:
            self.wait_until(self.clock.now + delay)
        self.start_wanted()

    def wait_until(self, until):
        """Those that wait together wait for the longest of their delays."""
        until = until if self.wait is None else max(until, self.wait[0])
        self.wait = (until, next(self.clock.numbers))

    def rested(self, row):
        """Its life is over, and not by a failure: if it was a stable one, earlier failures are forgotten."""
        if row.since is not None and self.clock.now - row.since >= self.policy.stable_after:
            row.forget()
        row.since = None

    def give_up(self, row, rule):
        self.gave_up.append((row.id, rule))
        if self.options.get("on_give_up", GiveUp.END) is GiveUp.END:
            self.drop(row)
            self.finish("gave_up", row.id)
        self.stamps = []
        for other in reversed(list(self.rows)):
            busy = other.up or other.wanted
            self.halt(other)
            if busy:
                other.forget()
                other.since = None
            other.due, other.delayed, other.wanted = None, False, busy
            if busy and other.kid.restart is RestartType.TEMPORARY and other.asker is None:
                self.rows.remove(other)
        self.wait_until(self.clock.now + self.options["pause"])

    def finish(self, kind, name):
        """Stop everybody in reverse order. Raises ``Ended``."""
        self.ending = True
        for row in reversed(self.rows):
            if row.asker is not None:
                self.answer(row.asker[0], "refused")
            self.halt(row)
            row.rest()
        self.end = (kind, name)
        raise Ended

    # ------------------------------------------------------------------------------------------- starts and stops

    def start_wanted(self):
        """Those that are wanted start in order, each when the one before is up; from the beginning after a failure."""
        while self.wait is None or self.wait[0] <= self.clock.now:
            self.wait = None
            row = next((row for row in self.rows if row.wanted and not row.up and row.due is None), None)
            if row is None:
                return
            self.try_start(row)

    def try_start(self, row):
        if self.start(row) != "refused":
            return
        if row.asker is None:
            self.failed(row)
            return
        number, new = row.asker
        self.answer(number, "refused")
        if new:
            self.rows.remove(row)
        else:
            self.drop(row)

    def start(self, row):
        row.due = None
        outcome = row.starts.pop(0) if row.starts else row.then
        if row.kid.tree is not None:
            row.sub = Model(self.clock, row.kid.tree)
            outcome = "ok" if row.sub.begin() else "refuse"
        if outcome == "ok":
            self.clock.trace.append(f"+{row.id}")
            asker = row.asker
            row.up, row.wanted, row.delayed, row.failed, row.asker = True, False, False, False, None
            row.since = self.clock.now
            if asker is not None:
                self.answer(asker[0], None)
            return "ok"
        if outcome == "decline":
            self.clock.trace.append(f"?{row.id}")
            if row.asker is not None:
                self.answer(row.asker[0], None)
            self.drop(row)
            return "declined"
        self.clock.trace.append(f"!{row.id}")
        return "refused"

    def halt(self, row):
        """Stop one that is up; one that died meanwhile is not asked."""
        if row.up and not row.gone:
            if row.sub is not None:
                row.sub.stop()
            self.clock.trace.append(f"-{row.id}")
        if row.up:
            self.rested(row)
        row.up = row.gone = False
        row.sub = None

    def drop(self, row):
        """One is down and nobody wants it up."""
        row.rest()
        if self.pool or row.kid.restart is RestartType.TEMPORARY:
            self.rows.remove(row)

    # ---------------------------------------------------------------------------------------------------- looking

    @property
    def most(self):
        return self.policy.intensity.max_restarts

    def find(self, name):
        return next((row for row in self.rows if row.id == name), None)

    def family(self):
        found = [] if self.end else [self]
        for row in self.rows:
            if row.sub is not None and row.up:
                found += row.sub.family()
        return found

    def dues(self):
        if self.wait is not None:
            yield self.wait, None
        for row in self.rows:
            if row.due is not None:
                yield row.due, row

    def wake(self, row):
        try:
            if row is None:
                self.wait = None
                self.start_wanted()
            else:
                self.try_start(row)
        except Ended:
            return

    def see_below(self):
        """Supervisors below that have ended are ends of children."""
        for row in list(self.rows):
            if self.end is None and row.sub is not None and row.up:
                row.sub.see_below()
                if row.sub.end is not None:
                    row.gone = True
                    try:
                        self.ended(row, "crash" if row.sub.end[0] == "gave_up" else "normal")
                    except Ended:
                        return
