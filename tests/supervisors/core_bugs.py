"""Bugs to be planted in the core of the supervisor, each with the row of the scenario table that must notice it."""

import attrs


@attrs.frozen
class Bug:
    """A replacement in the source of one module of the core, and the row that must notice it."""

    name: str
    module: str
    right: str
    wrong: str
    row: str


BUGS = [
    Bug(
        "children stop in start order",
        "draft",
        right="        stops.reverse()\n",
        wrong="",
        row="02",
    ),
    Bug(
        "a stop does not wait for the one before",
        "draft",
        right="Status.STOPPING:\n                    break",
        wrong="Status.STOPPING:\n                    pass",
        row="70",
    ),
    Bug(
        "a start does not wait for the one before",
        "draft",
        right="Status.STARTING:\n                    break",
        wrong="Status.STARTING:\n                    pass",
        row="own requests in init",
    ),
    Bug(
        "a pool stops one by one",
        "draft",
        right="if self.spec.stops_together:\n            for",
        wrong="if False:\n            for",
        row="68 pool",
    ),
    Bug(
        "the window holds one restart more",
        "policy",
        right="len(window) > self.max_restarts and",
        wrong="len(window) > self.max_restarts + 1 and",
        row="34",
    ),
    Bug(
        "the window holds one restart less",
        "policy",
        right="len(window) > self.max_restarts and",
        wrong="len(window) >= self.max_restarts and",
        row="34",
    ),
    Bug(
        "the edge of the window is exclusive",
        "policy",
        right="now - window.oldest <= self.period",
        wrong="now - window.oldest < self.period",
        row="35 inclusive",
    ),
    Bug(
        "a temporary child comes back with its group",
        "draft",
        right=" and child.spec.restart is not RestartType.TEMPORARY",
        wrong="",
        row="own temporary bystander",
    ),
    Bug(
        "a temporary child is kept",
        "draft",
        right="        if forgets(self.spec, child):",
        wrong="        if self.spec.pool:",
        row="16 normal",
    ),
    Bug(
        "a terminated child does not come back with its group",
        "restarts",
        right="    return draft.put(attrs.evolve(child, status=Status.QUEUED))",
        wrong="    return child",
        row="26",
    ),
    Bug(
        "a group is counted per child",
        "restarts",
        right="count=child.due is None\n    )\n",
        wrong=(
            "count=child.due is None\n    )\n"
            "    for _ in draft.ordered()[1:]:\n"
            "        draft.window, _over = draft.spec.restarts.intensity.record(draft.window, draft.now)\n"
        ),
        row="29 twice",
    ),
    Bug(
        "a restart by hand is counted",
        "requests",
        right="    draft.enqueue(attrs",
        wrong=(
            "    draft.window, _ = draft.spec.restarts.intensity.record(draft.window, draft.now)\n"
            "    draft.enqueue(attrs"
        ),
        row="39",
    ),
    Bug(
        "a refused restart is not counted",
        "restarts",
        right="count=child.due is None",
        wrong="count=child.status is Status.UP",
        row="42",
    ),
    Bug(
        "a refused delayed retry is counted",
        "restarts",
        right="count=child.due is None",
        wrong="count=True",
        row="own delayed refusals",
    ),
    Bug(
        "a refused start_child is tried again",
        "step",
        right="    if child.starter is not None:\n        error",
        wrong="    if False:\n        error",
        row="own refused start_child",
    ),
    Bug(
        "the timer of a child is not cancelled",
        "draft",
        right="        self.cancel_restart(child)\n",
        wrong="",
        row="19c",
    ),
    Bug(
        "the timer of a group is not cancelled",
        "draft",
        right="            self.commands.append(CancelTimer(PLAN_TIMER))",
        wrong="            pass",
        row="88 pause stop",
    ),
    Bug(
        "terminate leaves the child in its group",
        "requests",
        right="comes_back=False, stoppers",
        wrong="stoppers",
        row="own terminate while group stops",
    ),
    Bug(
        "a stop request does not call off what is queued",
        "draft",
        right="comes_back=False, stoppers=()",
        wrong="stoppers=()",
        row="88 pause stop",
    ),
    Bug(
        "a death in init is handled at once",
        "step",
        right="    elif draft.phase is Phase.INIT:\n        draft.put",
        wrong="    elif False:\n        draft.put",
        row="11",
    ),
    Bug(
        "a refused start in init is a restart",
        "step",
        right="    elif draft.phase is Phase.INIT:\n        draft.settle",
        wrong="    elif False:\n        draft.settle",
        row="03",
    ),
    Bug(
        "the death of a bystander is a failure",
        "step",
        right="    if child.status is not Status.UP:\n",
        wrong="    if child.status is Status.STOPPING:\n",
        row="own bystander",
    ),
    Bug(
        "one that waits for its restart does not hold all_significant",
        "step",
        right="child.status in (Status.UNDEFINED, Status.CONDEMNED, Status.STOPPING)",
        wrong="not child.status.alive",
        row="78 restarting",
    ),
    Bug(
        "termination by hand is an end of its own",
        "step",
        right="    if child.status is not Status.UP:\n",
        wrong=(
            "    if child.status is Status.STOPPING and child.spec.significant:\n"
            "        _ended(draft, child, event.reason)\n"
            "    elif child.status is not Status.UP:\n"
        ),
        row="77 by hand",
    ),
    Bug(
        "a group takes the latest delay, not the longest",
        "draft",
        right="due = self.plan.due if due is None else max(due, self.plan.due)",
        wrong="pass",
        row="own group delay joined",
    ),
    Bug(
        "a pause keeps the window",
        "restarts",
        right="    draft.window = RestartWindow()\n",
        wrong="",
        row="88 pause",
    ),
    Bug(
        "a restart by hand keeps the delay",
        "requests",
        right="starter=event, history=RestartState())",
        wrong="starter=event)",
        row="85",
    ),
    Bug(
        "a full pool takes one more",
        "requests",
        right="draft.size >= limit",
        wrong="draft.size > limit",
        row="83",
    ),
    Bug(
        "siblings stop one by one in spite of parallel_stop",
        "draft",
        right="if self.spec.stops_together:\n",
        wrong="if self.spec.pool:\n",
        row="68 parallel",
    ),
    Bug(
        "who would not stop is not told",
        "draft",
        right="*itself, *reason.leaked",
        wrong="*reason.leaked",
        row="72 abandoned",
    ),
    Bug(
        "who would not stop is not told up the tree",
        "draft",
        right="*itself, *reason.leaked",
        wrong="*itself",
        row="72 tree",
    ),
    Bug(
        "who was replaced long ago is told at the end",
        "draft",
        right="if self.phase is Phase.STOPPING:\n            itself",
        wrong="if True:\n            itself",
        row="72 group",
    ),
    Bug(
        "one that is added late starts first",
        "draft",
        right="starts=(*plan.starts, child.id)",
        wrong="starts=(child.id, *plan.starts)",
        row="own late start in init",
    ),
    Bug(
        "one that is added stands at the beginning",
        "draft",
        right="Child(request.spec, self._next_position, ",
        wrong="Child(request.spec, -self._next_position, ",
        row="60 many",
    ),
    Bug(
        "a delayed group starts at once",
        "draft",
        right="if plan.due is not None and self.now < plan.due:",
        wrong="if False:",
        row="own group delay",
    ),
    Bug(
        "a life goes on while its child is down",
        "policy",
        right="        return attrs.evolve(state, started=None)",
        wrong="        return state",
        row="85 at rest",
    ),
    Bug(
        "the minimum uptime is not looked at",
        "policy",
        right="lived < self.min_uptime",
        wrong="lived < 0",
        row="own uptime",
    ),
    Bug(
        "a long life does not end a run of short ones",
        "policy",
        right="self.min_uptime else 0\n",
        wrong="self.min_uptime else brief\n",
        row="own uptime over",
    ),
    Bug(
        "a stable life does not end a streak",
        "policy",
        right="delays = 0 if fresh else state.delays",
        wrong="delays = state.delays",
        row="85",
    ),
    Bug(
        "the streak has no limit",
        "policy",
        right="elif self.max_streak is not None and streak > self.max_streak:",
        wrong="elif False:",
        row="own streak",
    ),
    Bug(
        "rest_for_one takes all",
        "restarts",
        right="draft.spec.strategy.affected(",
        wrong="Strategy.ONE_FOR_ALL.affected(",
        row="20",
    ),
    Bug(
        "one_for_all takes the rest only",
        "restarts",
        right="draft.spec.strategy.affected(",
        wrong="Strategy.REST_FOR_ONE.affected(",
        row="19",
    ),
    Bug(
        "a group leaves out transient children that had ended",
        "restarts",
        right="    if child.spec.restart is RestartType.TEMPORARY:\n",
        wrong="    if child.spec.restart is not RestartType.PERMANENT:\n",
        row="26b",
    ),
    Bug(
        "a refused member of a delayed group uses up intensity",
        "restarts",
        right="    if due is not None:\n        child",
        wrong="    if False:\n        child",
        row="87",
    ),
    Bug(
        "giving up looks like a shutdown",
        "restarts",
        right="ExitReason(ExitKind.GAVE_UP, detail",
        wrong="ExitReason(ExitKind.SHUTDOWN, detail",
        row="own transient sub",
    ),
    Bug(
        "giving up loses its cause",
        "restarts",
        right="detail, cause=reason))",
        wrong="detail))",
        row="88 end",
    ),
    Bug(
        "a pause keeps streaks",
        "restarts",
        right="history=RestartState(), due=None)",
        wrong="due=None)",
        row="88 pause streak",
    ),
    Bug(
        "a refused restart of a transient child is not tried again",
        "step",
        right="    else:\n        fail(draft, child, reason)\n",
        wrong=(
            '    elif child.spec.restart.value == "permanent":\n'
            "        fail(draft, child, reason)\n"
            "    else:\n"
            "        draft.settle(child)\n"
        ),
        row="51",
    ),
    Bug(
        "a declined restart is tried again",
        "step",
        right="    draft.settle(child)\n\n\ndef _on_refused",
        wrong=(
            "    _refused(draft, child, SHUTDOWN_REASON)\n"
            "\n"
            "\n"
            "SHUTDOWN_REASON = ExitReason(ExitKind.SHUTDOWN)\n"
            "\n"
            "\n"
            "def _on_refused"
        ),
        row="50",
    ),
    Bug(
        "a refused start_child is kept",
        "step",
        right="            draft.drop(child)\n        else:",
        wrong="            draft.settle(attrs.evolve(child, starter=None))\n        else:",
        row="own refused start_child",
    ),
    Bug(
        "any_significant never fires",
        "step",
        right="case AutoShutdown.ANY_SIGNIFICANT:\n            return True",
        wrong="case AutoShutdown.ANY_SIGNIFICANT:\n            return False",
        row="77 transient",
    ),
    Bug(
        "the end of any child shuts down",
        "step",
        right="if child.spec.significant and _shuts_down(draft):",
        wrong="if _shuts_down(draft):",
        row="77 other",
    ),
    Bug(
        "a bystander that is significant shuts down",
        "step",
        right="    if child.status is not Status.UP:\n",
        wrong="    if child.status is not Status.UP and not child.spec.significant:\n",
        row="77 bystander",
    ),
    Bug(
        "a death in init counts nothing",
        "step",
        right="    draft.fallen = ()\n\n\ndef _ended",
        wrong="    draft.fallen = ()\n    draft.window = type(draft.window)()\n\n\ndef _ended",
        row="11 counts",
    ),
    Bug(
        "who asks for its own end waits for it",
        "requests",
        right="    if event.asker == child.id:\n",
        wrong="    if False:\n",
        row="18 own end",
    ),
    Bug(
        "who is stopped may wait for those after it",
        "requests",
        right="    if event.asker is None or draft.plan is None:",
        wrong="    if True:",
        row="18 deadlock",
    ),
    Bug(
        "a child that starts is forgotten instead of stopped",
        "requests",
        right="case Status.STARTING | Status.UP:",
        wrong="case Status.UP:",
        row="19a",
    ),
    Bug(
        "a reference names a child of any supervisor",
        "requests",
        right=" and event.by_ref and not draft.spec.pool",
        wrong=" and False",
        row="57 ref",
    ),
    Bug(
        "children of a pool can be restarted by hand",
        "requests",
        right="    if draft.spec.pool:\n        text",
        wrong="    if False:\n        text",
        row="81",
    ),
    Bug(
        "a reset forgets nothing",
        "requests",
        right="        draft.put(attrs.evolve(known, history=_without_failures(known)))\n",
        wrong="",
        row="85 reset",
    ),
    Bug(
        "a reset of all keeps the window",
        "requests",
        right="        draft.window = RestartWindow()\n",
        wrong="",
        row="85 reset all",
    ),
    Bug(
        "a reset of one clears the window",
        "requests",
        right="        known = _known(draft, event)\n",
        wrong="        draft.window = RestartWindow()\n        known = _known(draft, event)\n",
        row="85 reset one",
    ),
    Bug(
        "a busy child can be deleted",
        "requests",
        right="    if child.status is Status.UNDEFINED:\n        return False\n",
        wrong="    if True:\n        return False\n",
        row="55",
    ),
    Bug(
        "a child that is restarting is called running",
        "requests",
        right='code = "restarting" if restarts else "running"',
        wrong='code = "running"',
        row="46 47",
    ),
    Bug(
        "children that wait for a restart leave their place in a pool",
        "requests",
        right="draft.size >= limit",
        wrong="sum(one.status.alive for one in draft.ordered()) >= limit",
        row="83",
    ),
    Bug(
        "a child that was deleted and added anew starts at its old place",
        "draft",
        right=" and child.id not in plan.starts:",
        wrong=":",
        row="60 in group",
    ),
]
