"""The findings of the watch in words: what stands still or is left, since when, and what to do now. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from drs.cleanup.prices import COST_HEADER, cost_cells, cost_listing
from drs.errors import Code
from drs.notify.messages import Notice, run_link, watch_found
from drs.plan.naming import plan_name
from drs.run.ownership import INSTALLATION_TAG
from drs.text import shown
from drs.text.tables import table
from drs.text.times import age, duration, minute
from drs.watch.airflow_view import DagInAirflow, RunInAirflow, TaskSeen
from drs.watch.findings import WatchFinding
from drs.watch.view import DrillInstance, RunInAws, Unreadable


def frozen(run: RunInAirflow, why: str, remedy: str, left: RunInAws | None, now: dt.datetime) -> WatchFinding:
    """A run that is active and does not go on.

    :param why: why not, as the end of a sentence
    :param left: what AWS has of the run
    """
    plan = plan_name(run.dag_id)
    real = run.record is not None and not run.record.is_drill
    kind = "RECOVERY" if real else "drill"
    message = (
        f"Run {shown.line(run.run_id)} of plan {plan} (a {kind}) is active but does not go on, and neither "
        f"does its clean-up: {why}."
    )
    return WatchFinding(
        code=Code.DRILL_FROZEN,
        keys=(f"frozen {run.dag_id} {run.run_id}",),
        title=f"a {kind} of {plan} stands still",
        message=" ".join((message, *_what_it_has(left))),
        remedy=remedy,
        details=cost_listing(left.records, now) if left and left.instances else "",
        instances=tuple(left.records) if left else (),
        place=left.place if left else None,
        dag_id=run.dag_id,
        run_id=run.run_id,
        execution_type="RECOVERY" if real else "DRILL",
    )


def _what_it_has(left: RunInAws | None) -> Iterator[str]:
    if left is None:
        return
    if left.instances:
        yield f"It has {len(left.instances)} drill instance(s), which cost money."
    yield from _launching(left)


def _launching(left: RunInAws) -> Iterator[str]:
    for job in left.launching:
        servers = ", ".join(sorted(job.server_ids)) or "a server"
        yield f"Job {job.describe()} is live: it will launch {servers}."


def paused(dag_id: str) -> tuple[str, str]:
    """Why a run of a paused DAG stands still, and what to do."""
    return (
        f"its DAG {dag_id} is paused, so Airflow starts no further task of it",
        f"Unpause the DAG {dag_id} in the UI: the run goes on where it stopped. To end the drill instead, "
        f"use `python -m drs stop {plan_name(dag_id)}`, or unpause the DAG and mark the run as failed: the "
        "run then terminates what it launched. Marking it as failed has no effect while the DAG is paused.",
    )


def not_scheduled(dag_id: str, dag: DagInAirflow, left: RunInAws | None) -> tuple[str, str]:
    """Why a run whose DAG Airflow no longer has stands still, and what to do."""
    why = dag.why or "Airflow could not read it from its file"
    remedy = (
        f"Make Airflow read the DAG {dag_id} again: put the plan's file back, or fix the import error "
        "(`python -m drs status` shows it). The run then goes on. To end the run, an empty file with the "
        "plan's name is enough: the run then cleans up and ends red."
    )
    if left and left.instances:
        remedy += f" To terminate its instances at once: {terminate_command(left)}"
    return f"Airflow has no usable DAG {dag_id} any more: {why}", remedy


def silent(task: TaskSeen, bound: dt.timedelta, now: dt.datetime) -> tuple[str, str]:
    """Why a run stands still of which a task shows nothing for longer than its own time-outs allow."""
    since = duration((now - task.since).total_seconds())
    span = duration(bound.total_seconds())
    why = (
        f"its task {task.task_id} has been {task.state} for {since}, and {span} is the most that it may take"
    )
    return why, _remedies(task)


def _remedies(task: TaskSeen) -> str:
    again = f"clear the task {task.task_id}: it finds what it has launched, and launches nothing twice"
    if task.state == "deferred":
        return (
            "Check that Airflow's triggerer runs, and start it again (`airflow triggerer`). If that does not "
            f"help, {again}."
        )
    if task.state in {"running", "awaiting_input"}:
        return f"Read the task's log, and check its worker. If the task hangs, {again}."
    return (
        "Check that Airflow's scheduler and workers run, and that the task's pool and queue have free slots."
    )


def not_resumed(task: TaskSeen, ended: dt.datetime, now: dt.datetime) -> tuple[str, str]:
    """Why a run stands still whose jobs have ended while a task still waits for them."""
    since = duration((now - ended).total_seconds())
    why = f"its task {task.task_id} still waits for DRS, although its last job there ended {since} ago"
    return why, _remedies(task)


def nothing_begins(run: RunInAirflow, since: dt.datetime, now: dt.datetime) -> tuple[str, str]:
    """Why a run stands still of which no task runs or waits."""
    why = f"no task of it has begun for {duration((now - since).total_seconds())}, and none runs or waits"
    remedy = (
        "Check that Airflow's scheduler runs (`airflow scheduler`), and that workers and pools have free "
        f"slots. The state of the run is {run.state}; its page in Airflow shows which task is next."
    )
    return why, remedy


def component_down(name: str, since: str) -> tuple[str, str]:
    """Why a run stands still while a component of Airflow does not run."""
    seen = f" (last heartbeat {since})" if since else ""
    return (
        f"Airflow's {name} does not run{seen}",
        f"Start `airflow {name}`: the run then goes on where it stopped.",
    )


def orphaned(
    left: RunInAws, why: str, remedy: Sequence[str], now: dt.datetime, *, orphan: bool
) -> WatchFinding:
    """Drill instances, or jobs that will launch some, whose run does not look after them.

    :param why: why they are nobody's, as the end of a sentence
    :param remedy: what to do, in sentences
    :param orphan: whether it is certain that their run has ended
    """
    plan = shown.line(plan_name(left.key.dag_id))
    run = shown.line(left.key.run_id or "of an unknown id")
    parts = []
    if left.instances:
        parts.append(f"{len(left.instances)} drill instance(s) of plan {plan}, run {run}, are left: {why}.")
    else:
        parts.append(f"A launch of plan {plan}, run {run}, is under way: {why}.")
    parts.append(f"Place: {left.place.describe()}.")
    parts += _launching(left)
    count = len(left.instances) or len(left.launching)
    noun = "drill instance(s)" if left.instances else "launch job(s)"
    return WatchFinding(
        code=Code.ORPHANED_DRILL_INSTANCE,
        keys=orphan_keys(left),
        title=f"{count} {noun} of {plan} left",
        message=" ".join(parts),
        remedy=" ".join(remedy),
        details=cost_listing(left.records, now) if left.instances else "",
        instances=tuple(left.records),
        place=left.place,
        dag_id=left.key.dag_id,
        run_id=left.key.run_id,
        orphan=left if orphan else None,
    )


def orphan_keys(left: RunInAws) -> tuple[str, ...]:
    """What the finding about this run's leftovers is known by: its instances and its live jobs."""
    where = left.place.name
    return (
        *(f"orphan {where} {each.record.recovery_instance_id}" for each in left.instances),
        *(f"orphan {where} {job.job_id}" for job in left.launching),
    )


def how_to_end(left: RunInAws, *, has_file: bool) -> Iterator[str]:
    """How a person ends what is left of a run, in sentences."""
    if left.launching:
        yield "DRS cannot cancel a job: wait until it has ended."
    if has_file:
        run = f" --run {shown.argument(left.key.run_id)}" if left.key.run_id else ""
        plan = shown.argument(plan_name(left.key.dag_id))
        yield (
            f"`python -m drs cleanup {plan}{run}` lists the instances, and terminates them after you agree."
        )
    elif left.instances:
        yield f"The plan's file is gone, so terminate them with the AWS CLI: {terminate_command(left)}"
    else:
        yield "The plan's file is gone: terminate what it launches in the DRS console."


def terminate_command(left: RunInAws) -> str:
    """The AWS CLI command that terminates a run's instances."""
    ids = " ".join(each.record.recovery_instance_id for each in left.instances)
    return (
        f"aws drs terminate-recovery-instances --region {left.place.region} --recovery-instance-ids {ids} "
        f"(account {left.place.account_id})"
    )


def ends_at(at: dt.datetime) -> str:
    """What the watch itself will do."""
    return f"If they are still there at {minute(at)}, the watch terminates them ([drs] watch_terminates)."


def unreadable(blind: Unreadable) -> WatchFinding:
    """A place that the watch cannot read."""
    error = blind.error
    return WatchFinding(
        code=error.code,
        keys=(f"blind {blind.place.name} {error.code}",),
        title=f"the watch cannot read {blind.place.name}",
        message=(
            f"The watch cannot read {blind.place.describe()} (connection {blind.place.aws_conn_id}): it does "
            f"not see what drills have left there. {error.message}"
        ),
        remedy=error.remedy,
        place=blind.place,
        passing=blind.passing,
    )


FACTS_HEADER = ("recovery instance", "server", *COST_HEADER, "job", "plan", "run", "why it is no finding")
Fact = tuple[DrillInstance, str, str, str]
"""A drill instance that is no finding, its plan, its run, and why it is none."""


def facts_table(rows: Iterable[Fact], now: dt.datetime) -> str:
    """Drill instances that are no findings: each with its plan, its run, and why it is none."""
    return table(FACTS_HEADER, facts_rows(rows, now))


def facts_rows(rows: Iterable[Fact], now: dt.datetime) -> list[tuple[str, ...]]:
    """One row for each of these instances, below :data:`FACTS_HEADER`."""
    return [
        (
            each.record.recovery_instance_id,
            each.record.server_id,
            *_cells(each, now),
            each.record.job_id,
            plan or "-",
            run or "-",
            why,
        )
        for each, plan, run, why in rows
    ]


def _cells(instance: DrillInstance, now: dt.datetime) -> tuple[str, str, str, str]:
    kind, shown, *cost = cost_cells(instance.record, now)
    since = age(instance.since, now) if instance.record.launched_at is None else shown
    return (kind, since, cost[0], cost[1])


UNKNOWN_ORIGIN = "not known: no tags of a run (console, or an account that refuses tags)"
ANOTHER_AIRFLOW = "another Airflow's, or a runbook's: it has another " + INSTALLATION_TAG


def notice(finding: WatchFinding, base_url: str) -> Notice:
    """The notice of a finding, for people."""
    place = finding.place
    link = run_link(base_url, finding.dag_id, finding.run_id) if finding.run_id else base_url
    facts = [
        ("What to do", finding.remedy),
        ("Where", place.describe() if place else "Airflow"),
        ("Run", f"{shown.line(finding.run_id)}\n{link}" if finding.run_id else ""),
    ]
    lines = [f"[{finding.code}] {finding.message}"]
    if finding.details:
        lines.append(f"\n{finding.details}\n")
    lines += [f"{name}: {text}" for name, text in facts if text]
    lines.append(
        "This is sent once. The DAG drs_watch, `python -m drs status` and readiness are red until it is gone."
    )
    return watch_found(
        code=finding.code,
        title=finding.title,
        text="\n".join(lines) + "\n",
        plan=finding.plan,
        execution_type=finding.execution_type,
        account_id=place.account_id if place else "",
        region=place.region if place else "",
        run_id=finding.run_id,
        link=link,
    )
