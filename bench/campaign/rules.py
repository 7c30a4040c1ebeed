"""Airflow's trigger rules, for the rules that a drill's DAG uses.

Written after ``airflow.ti_deps.deps.trigger_rule_dep`` and ``DagRun.update_state`` of Airflow 3.3.2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow.sdk import DAG

State = str | None
FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
BAD = frozenset({"failed", "upstream_failed"})
GOOD = frozenset({"success", "skipped"})
ACTIVE = frozenset({"running", "deferred", "awaiting_input", "restarting"})


@dataclass(frozen=True)
class Node:
    """What the scheduler needs to know of one task.

    :param scope: the tasks between a teardown and its setup that are not directly before it
    :param leaf: whether the state of the run depends on this task
    """

    task: Any
    rule: str
    before: frozenset[str]
    after: frozenset[str]
    setups: frozenset[str]
    teardown: bool
    scope: frozenset[str]
    leaf: bool
    retries: int
    retry_delay: float

    def pause(self, failed_tries: int) -> float:
        """Seconds until the next try. In Airflow growing pauses are up to twice as long, by chance."""
        factor = float(self.task.retry_exponential_backoff or 1)
        longest = self.task.max_retry_delay
        pause = self.retry_delay * factor ** (failed_tries - 1)
        return min(pause, longest.total_seconds()) if longest else pause


def nodes_of(dag: DAG) -> dict[str, Node]:
    """The tasks of a DAG, by id."""
    tasks: dict[str, Any] = {task.task_id: task for task in dag.tasks}
    upstream = {name: frozenset(task.get_flat_relative_ids(upstream=True)) for name, task in tasks.items()}
    downstream = {name: frozenset(task.get_flat_relative_ids(upstream=False)) for name, task in tasks.items()}
    setups = frozenset(name for name, task in tasks.items() if task.is_setup)
    found = {}
    for name, task in tasks.items():
        own_setups = upstream[name] & setups
        between = frozenset[str]().union(*(downstream[setup] for setup in own_setups))
        found[name] = Node(
            task=task,
            rule=str(getattr(task.trigger_rule, "value", task.trigger_rule)),
            before=frozenset(task.upstream_task_ids),
            after=downstream[name],
            setups=own_setups,
            teardown=task.is_teardown,
            scope=(upstream[name] - task.upstream_task_ids) & between if task.is_teardown else frozenset(),
            leaf=_is_leaf(task, tasks),
            retries=task.retries,
            retry_delay=task.retry_delay.total_seconds(),
        )
    return found


def _is_leaf(task: Any, tasks: Mapping[str, Any]) -> bool:
    after = (tasks[name] for name in task.downstream_task_ids)
    if any(not each.is_teardown or each.on_failure_fail_dagrun for each in after):
        return False
    return not task.is_teardown or bool(task.on_failure_fail_dagrun)


Decision = Literal["run", "wait", "skipped", "upstream_failed"]


def decide(node: Node, states: Mapping[str, State]) -> Decision:
    """What becomes of a task that has no state yet."""
    if node.teardown and any(states[name] not in FINISHED for name in node.scope):
        return "wait"
    if not node.teardown and any(states[name] != "success" for name in node.setups):
        failed = any(states[name] in BAD for name in node.setups)
        return "upstream_failed" if failed else "wait"
    return _RULES[node.rule]([states[name] for name in sorted(node.before)], node, states)


def _all_success(before: Collection[State], *_: Any) -> Decision:
    if any(state in BAD for state in before):
        return "upstream_failed"
    if "skipped" in before:
        return "skipped"
    return "run" if all(state in ("success", "removed") for state in before) else "wait"


def _none_failed(before: Collection[State], *_: Any) -> Decision:
    if any(state in BAD for state in before):
        return "upstream_failed"
    return "run" if all(state in (*GOOD, "removed") for state in before) else "wait"


def _all_done(before: Collection[State], *_: Any) -> Decision:
    return "run" if all(state in FINISHED for state in before) else "wait"


def _setup_succeeded(before: Collection[State], node: Node, states: Mapping[str, State]) -> Decision:
    if any(state not in FINISHED for state in before):
        return "wait"
    setups = [states[name] for name in node.setups & node.before]
    if setups and all(state == "skipped" for state in setups):
        return "skipped"
    return "run" if not setups or "success" in setups else "upstream_failed"


_RULES = {
    "all_success": _all_success,
    "none_failed": _none_failed,
    "all_done": _all_done,
    "all_done_setup_success": _setup_succeeded,
}


def run_state(
    nodes: Mapping[str, Node], states: Mapping[str, State]
) -> Literal["running", "success", "failed"]:
    """The state of a run."""
    if any(state not in FINISHED for state in states.values()):
        return "running"
    leaves = [states[name] for name, node in nodes.items() if node.leaf and states[name] != "removed"]
    return "failed" if any(state in BAD for state in leaves) else "success"
