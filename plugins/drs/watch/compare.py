"""Compares what AWS has with what Airflow knows: which runs stand still, which instances are nobody's. Pure.

View (AWS) ─────────┐
AirflowView ────────┴─► WatchResult: findings, and facts about drill instances that are no findings
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from drs.errors import Code
from drs.plan import Plan
from drs.plan.naming import plan_name
from drs.run.ownership import RUN_TAG, WAVE_TAG
from drs.text.times import age
from drs.watch import messages
from drs.watch.airflow_view import AirflowView, KeptJobs, RunInAirflow, TaskSeen
from drs.watch.bounds import QUEUED, bound_of, wave_of
from drs.watch.findings import WatchFinding
from drs.watch.view import DrillInstance, RunInAws, RunKey, Unreadable, View, runs_in

Fact = tuple[DrillInstance, str, str, str]
"""A drill instance that is no finding: with its plan, its run, and why it is none."""
ORDER = (Code.DRILL_FROZEN, Code.ORPHANED_DRILL_INSTANCE)
"""Findings of these codes come first."""


@dataclass(frozen=True)
class WatchResult:
    """The result of one look."""

    findings: tuple[WatchFinding, ...]
    facts: tuple[Fact, ...] = ()


def compare(
    views: Iterable[View], blind: Iterable[Unreadable], airflow: AirflowView, now: dt.datetime
) -> WatchResult:
    """Every run that stands still, every instance that is nobody's, and every place that cannot be read."""
    findings: list[WatchFinding] = []
    facts: list[Fact] = []
    own: list[RunInAws] = []
    seen = list(views)
    for view in seen:
        runs, unknown = runs_in(view, airflow.recorded)
        facts += [(each, "", "", messages.UNKNOWN_ORIGIN) for each in unknown]
        for run in runs:
            if is_own(run, airflow):
                own.append(run)
            else:
                facts += _facts(run, run.instances, messages.ANOTHER_AIRFLOW)
    findings += stand_still(seen, own, airflow, now)
    for run in own:
        found, kept = _nobodys(run, airflow, now)
        facts += kept
        findings += found
    findings += [messages.unreadable(each) for each in blind]
    return WatchResult(tuple(sorted(findings, key=_order)), tuple(facts))


def suspects(views: Iterable[View], airflow: AirflowView) -> list[RunInAws]:
    """What AWS has of our runs that have ended, before it is known what is kept by rule."""
    own = [run for view in views for run in runs_in(view, airflow.recorded)[0] if is_own(run, airflow)]
    return [run for run in own if not _is_active(run.key, airflow)]


def is_own(run: RunInAws, airflow: AirflowView) -> bool:
    """Whether this Airflow started the run: by the installation that the jobs name, or by the run's token."""
    if airflow.installation and run.installation == airflow.installation:
        return True
    return any(known.record and known.record.token == run.key.token for known in airflow.runs)


def by_age(
    views: Iterable[View],
    older_than: Callable[[RunInAws], dt.timedelta | None],
    now: dt.datetime,
    *,
    kept: Callable[[RunInAws], KeptJobs | None],
    files: frozenset[str],
    why: str,
) -> WatchResult:
    """What AWS alone shows: without Airflow, only the age tells whether a run may still own its instances.

    :param older_than: the age from which on a run's instances are a finding; ``None``: it is not judged
    :param kept: what the run keeps by rule, as far as its evidence says
    :param files: the ids of the DAGs whose plan files exist
    :param why: why they are a finding, as the end of a sentence; ``{age}`` is replaced
    """
    findings: list[WatchFinding] = []
    facts: list[Fact] = []
    for view in views:
        runs, unknown = runs_in(view, {})
        facts += [(each, "", "", messages.UNKNOWN_ORIGIN) for each in unknown]
        for run in runs:
            bound, began = older_than(run), run.began
            if bound is None:
                facts += _facts(run, run.instances, messages.ANOTHER_AIRFLOW)
                continue
            if began is not None and now - began <= bound:
                facts += _facts(run, run.instances, "its run may still be active")
                continue
            rest, facts_of_run = _without_kept(run, kept(run))
            facts += facts_of_run
            if rest is not None:
                remedy = messages.how_to_end(rest, has_file=run.key.dag_id in files)
                text = why.format(age=age(began, now))
                findings.append(messages.orphaned(rest, text, list(remedy), now, orphan=False))
    return WatchResult(tuple(findings), tuple(facts))


# --- runs that stand still ------------------------------------------------------------------------------


def stand_still(
    views: Sequence[View], own: Sequence[RunInAws], airflow: AirflowView, now: dt.datetime
) -> Iterator[WatchFinding]:
    """The active runs that do not go on."""
    for run in airflow.runs:
        if not run.active:
            continue
        left = next((each for each in own if run.is_run_of(each.key)), None)
        reason = why_it_stands_still(run, airflow, left, views, now)
        if reason is not None:
            why, remedy = reason
            yield messages.frozen(run, why, remedy, left, now)


def why_it_stands_still(
    run: RunInAirflow,
    airflow: AirflowView,
    left: RunInAws | None,
    views: Sequence[View],
    now: dt.datetime,
) -> tuple[str, str] | None:
    """Why an active run does not go on, and what to do; ``None`` if it goes on, as far as can be seen."""
    dag = airflow.dags.get(run.dag_id)
    if dag is not None and dag.state == "paused":
        return messages.paused(run.dag_id)
    if dag is not None and dag.state in {"stale", "removed"}:
        return messages.not_scheduled(run.dag_id, dag, left)
    for part, since in airflow.down.items():
        if part != "triggerer" or any(task.state == "deferred" for task in run.tasks):
            return messages.component_down(part, since)
    plan = run.record.read_plan() if run.record else airflow.plans.get(run.dag_id)
    for task in run.tasks if plan else ():
        assert plan is not None
        if reason := _silent(task, run, plan, views, now):
            return reason
    if not run.tasks and run.moved_at and now - run.moved_at > QUEUED:
        return messages.nothing_begins(run, run.moved_at, now)
    return None


def _silent(
    task: TaskSeen, run: RunInAirflow, plan: Plan, views: Sequence[View], now: dt.datetime
) -> tuple[str, str] | None:
    """Why one task holds the run up; ``None`` if it is within its time."""
    bound = bound_of(task.task_id, task.state, plan)
    if now - task.since > bound:
        return messages.silent(task, bound, now)
    wave = wave_of(task.task_id, plan)
    if wave is None or task.state != "deferred" or ".wait_until_" not in task.task_id:
        return None
    ended = _jobs_ended(run, wave.name, views)
    if ended is None or now - max(ended, task.since) <= QUEUED:
        return None
    return messages.not_resumed(task, ended, now)


def _jobs_ended(run: RunInAirflow, wave: str, views: Sequence[View]) -> dt.datetime | None:
    """When the last job of a run's wave ended; ``None`` if one is live, or none is known."""
    token = run.record.token if run.record else None
    jobs = [
        job
        for view in views
        for job in view.launches
        if job.tags.get(RUN_TAG) == token and job.tags.get(WAVE_TAG) == wave
    ]
    ended = [job.ended for job in jobs if job.ended is not None and not job.live]
    return max(ended) if ended and len(ended) == len(jobs) else None


# --- instances that are nobody's ------------------------------------------------------------------------


def _nobodys(run: RunInAws, airflow: AirflowView, now: dt.datetime) -> tuple[list[WatchFinding], list[Fact]]:
    """The finding about what an ended run has left, and what it keeps by rule."""
    if _is_active(run.key, airflow):
        return [], []
    known = airflow.run_of(run.key)
    rest, facts = _without_kept(run, airflow.kept.get(run.key.token))
    if rest is None:
        return [], facts
    if known is None or known.state is None:
        why = "Airflow does not know this run any more (it or its DAG was deleted), and no rule keeps them"
    else:
        why = f"the run has ended ({known.state}), and no rule keeps them"
    if doubt := airflow.doubts.get(run.key.token):
        why += f", as far as is known ({doubt.rstrip('.')})"
    remedy = list(messages.how_to_end(rest, has_file=airflow.has_file(run.key.dag_id)))
    # What is kept by rule must stay: then the watch does not end the rest either.
    return [messages.orphaned(rest, why, remedy, now, orphan=not facts)], facts


def _is_active(key: RunKey, airflow: AirflowView) -> bool:
    known = airflow.run_of(key)
    return known is not None and known.active


def _without_kept(run: RunInAws, kept: KeptJobs | None) -> tuple[RunInAws | None, list[Fact]]:
    """What of a run no rule keeps (``None`` if nothing), and the facts about what a rule keeps."""
    if kept is None:
        return run, []
    staying = [each for each in run.instances if each.record.job_id in kept.jobs]
    rest = dataclasses.replace(run, instances=tuple(each for each in run.instances if each not in staying))
    facts = _facts(run, staying, f"kept by rule: {kept.why}")
    return (rest if rest.instances or rest.launching else None), facts


def _facts(run: RunInAws, instances: Iterable[DrillInstance], why: str) -> list[Fact]:
    return [(each, plan_name(run.key.dag_id), run.key.run_id, why) for each in instances]


def _order(finding: WatchFinding) -> tuple[int, str, str]:
    place = ORDER.index(finding.code) if finding.code in ORDER else len(ORDER)
    return place, finding.dag_id, finding.run_id
