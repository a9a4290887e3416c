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
        "core_draft",
        right="        stops.reverse()\n",
        wrong="",
        row="02",
    ),
    Bug(
        "a stop does not wait for the one before",
        "core_draft",
        right="Status.STOPPING:\n                    break",
        wrong="Status.STOPPING:\n                    pass",
        row="70",
    ),
    Bug(
        "a start does not wait for the one before",
        "core_draft",
        right="Status.STARTING:\n                    break",
        wrong="Status.STARTING:\n                    pass",
        row="own requests in init",
    ),
    Bug(
        "a pool stops one by one",
        "core_draft",
        right="if self.spec.stops_together:\n            for",
        wrong="if False:\n            for",
        row="68 pool",
    ),
    Bug(
        "the window holds one restart more",
        "restart",
        right="len(window) > self.max_restarts and",
        wrong="len(window) > self.max_restarts + 1 and",
        row="34",
    ),
    Bug(
        "the window holds one restart less",
        "restart",
        right="len(window) > self.max_restarts and",
        wrong="len(window) >= self.max_restarts and",
        row="34",
    ),
    Bug(
        "the edge of the window is exclusive",
        "restart",
        right="now - window.oldest <= self.period",
        wrong="now - window.oldest < self.period",
        row="35 inclusive",
    ),
    Bug(
        "a temporary child comes back with its group",
        "core_draft",
        right=" and child.spec.restart is not RestartType.TEMPORARY",
        wrong="",
        row="own temporary bystander",
    ),
    Bug(
        "a temporary child is kept",
        "core_draft",
        right="        if forgets(self.spec, child):",
        wrong="        if self.spec.pool:",
        row="16 normal",
    ),
    Bug(
        "a terminated child does not come back with its group",
        "core_restarts",
        right="    return draft.put(attrs.evolve(child, status=Status.QUEUED))",
        wrong="    return child",
        row="26",
    ),
    Bug(
        "a group is counted per child",
        "core_restarts",
        right="    draft.window = history.times\n",
        wrong=(
            "    draft.window = history.times\n"
            "    for _ in draft.ordered()[1:]:\n"
            "        draft.window, _over = draft.spec.restarts.intensity.record(draft.window, draft.now)\n"
        ),
        row="29 twice",
    ),
    Bug(
        "a restart by hand is counted",
        "core_requests",
        right="    draft.enqueue(attrs",
        wrong=(
            "    draft.window, _ = draft.spec.restarts.intensity.record(draft.window, draft.now)\n"
            "    draft.enqueue(attrs"
        ),
        row="39",
    ),
    Bug(
        "a refused restart is not counted",
        "core_restarts",
        right="count=child.due is None",
        wrong="count=child.status is Status.UP",
        row="42",
    ),
    Bug(
        "a refused delayed retry is counted",
        "core_restarts",
        right="count=child.due is None",
        wrong="count=True",
        row="own delayed refusals",
    ),
    Bug(
        "a refused start_child is tried again",
        "core",
        right="    if child.starter is not None:\n        error",
        wrong="    if False:\n        error",
        row="own refused start_child",
    ),
    Bug(
        "the timer of a child is not cancelled",
        "core_draft",
        right="        self.cancel_restart(child)\n",
        wrong="",
        row="19c",
    ),
    Bug(
        "the timer of a group is not cancelled",
        "core_draft",
        right="            self.commands.append(CancelTimer(PLAN_TIMER))",
        wrong="            pass",
        row="88 pause stop",
    ),
    Bug(
        "terminate leaves the child in its group",
        "core_requests",
        right="comes_back=False, stoppers",
        wrong="stoppers",
        row="own terminate while group stops",
    ),
    Bug(
        "a stop request does not call off what is queued",
        "core_draft",
        right="comes_back=False, stoppers=()",
        wrong="stoppers=()",
        row="88 pause stop",
    ),
    Bug(
        "a death in init is handled at once",
        "core",
        right="    elif draft.phase is Phase.INIT:\n        draft.put",
        wrong="    elif False:\n        draft.put",
        row="11",
    ),
    Bug(
        "a refused start in init is a restart",
        "core",
        right="    elif draft.phase is Phase.INIT:\n        draft.settle",
        wrong="    elif False:\n        draft.settle",
        row="03",
    ),
    Bug(
        "the death of a bystander is a failure",
        "core",
        right="    if child.status is not Status.UP:\n",
        wrong="    if child.status is Status.STOPPING:\n",
        row="own bystander",
    ),
    Bug(
        "one that waits for its restart does not hold all_significant",
        "core",
        right="child.status in (Status.UNDEFINED, Status.CONDEMNED, Status.STOPPING)",
        wrong="not child.status.alive",
        row="78 restarting",
    ),
    Bug(
        "termination by hand is an end of its own",
        "core",
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
        "core_draft",
        right="due = self.plan.due if due is None else max(due, self.plan.due)",
        wrong="pass",
        row="own group delay joined",
    ),
    Bug(
        "a pause keeps the window",
        "core_restarts",
        right="    draft.window = RestartWindow()\n",
        wrong="",
        row="88 pause",
    ),
    Bug(
        "a restart by hand keeps the delay",
        "core_requests",
        right="starter=event, history=RestartState())",
        wrong="starter=event)",
        row="85",
    ),
    Bug(
        "a full pool takes one more",
        "core_requests",
        right="draft.size >= limit",
        wrong="draft.size > limit",
        row="83",
    ),
]
