"""The end of a run: what it showed, and whether that is what it set out to show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drs.drill_task import PREFLIGHT_TASK_ID, TERMINATE_TASK_ID, coded_failures, run_ledger
from drs.errors import DrillFailed
from drs.ledger import RECOVERY_APPROVAL, ApprovalRecord, Ledger, RunRecord, WaveOutcome
from drs.tables import table

if TYPE_CHECKING:
    from airflow.sdk import Context

EVIDENCE_TASK_ID = "evidence"
VERDICT_TASK_ID = "verdict"
LAST_TASK = "wait_until_launched"


def group_id(wave: str) -> str:
    """The wave's task group; the prefix keeps a wave named ``begin`` apart from the task of that name."""
    return f"wave_{wave}"


class DrsDrillEvidenceOperator(BaseOperator):
    """Summarise what the run recorded, in the log and as XCom."""

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        ledger = run_ledger(context)
        run = ledger.begun()
        if run is None:
            raise AirflowSkipException("This run was refused before it began; there is nothing to tell.")
        if run.missed:
            raise AirflowSkipException(run.missed)
        plan = run.read_plan()
        cleanup = ledger.cleanup()
        states = task_states(context)
        waves = {
            name: [server.model_dump(mode="json") for server in outcome.servers]
            for name, outcome in outcomes(ledger, run)
        }
        failures = {
            task_id: failure.model_dump()
            for task_id, state in sorted(states.items())
            if state in {"failed", "removed"} and (failure := ledger.failure(task_id)) is not None
        }
        rows = [
            (
                name,
                server["server_id"],
                server["name"],
                "launched" if server["launched"] else "not launched",
                server["instance_id"] or "-",
                f"{server['seconds']:.0f} s" if server["seconds"] is not None else "-",
            )
            for name, servers in waves.items()
            for server in servers
        ]
        header = ("wave", "server", "name", "launch", "instance", "took")
        self.log.info("Servers of this run:\n%s", table(header, rows) if rows else "none was launched")
        objective, measured = plan.objectives.rto, recovery_time(ledger, run)
        if objective:
            self.log.info(
                "Recovery time, from the run's start to its last server: %s", judged(measured, objective)
            )
        return {
            "plan": plan.name,
            "digest": run.digest,
            "run_id": run.run_id,
            "execution_type": run.execution_type,
            "dry_run": run.dry_run,
            "initiator": run.initiator,
            "reason": run.reason,
            "account_id": plan.target.account_id,
            "region": plan.target.region,
            "began_at": run.began_at.isoformat(),
            "recovery_point": run.recovery_point.isoformat() if run.recovery_point else None,
            "approvals": {
                subject: answer.model_dump(mode="json") for subject, answer in answers(ledger, run)
            },
            "rto_seconds": objective.total_seconds() if objective else None,
            "recovery_seconds": measured.total_seconds() if measured else None,
            "waves": waves,
            "excluded": list(run.exclude_servers),
            "cleanup": cleanup.model_dump(mode="json") if cleanup else None,
            "failures": failures,
        }


class DrsDrillVerdictOperator(BaseOperator):
    """Pass the run only if it proved all that it set out to prove.

    A task that was skipped, removed or never run is not a success, whatever Airflow's own run state would be.
    """

    @coded_failures
    def execute(self, context: Context) -> str:
        ledger = run_ledger(context)
        run = ledger.begun()
        states = task_states(context)
        doubts = list(failed_tasks(ledger, states))
        if run is None:
            doubts.append("the run never began")
        elif run.missed or run.dry_run:
            doubts += doubted_idleness(ledger, run, states)
        else:
            doubts += doubted_approvals(ledger, run)
            doubts += doubted_waves(ledger, run, states)
            doubts += doubted_end(ledger, run, states)
        if run is None or doubts:
            listed = "\n".join(f"- {doubt}" for doubt in doubts)
            what = "recovery" if run and not run.is_drill else "drill"
            raise DrillFailed(
                f"The {what} did not pass:\n{listed}",
                remedy="Read the end of the log of the first task named: it says what failed and what to do.",
            )
        text = passed(ledger, run)
        self.log.info(text)
        return text


def passed(ledger: Ledger, run: RunRecord) -> str:
    """What a run that passed has done."""
    if run.missed:
        return run.missed
    if run.dry_run:
        return f"Dry run of a {run.execution_type}: preflight passed, nothing was launched."
    servers = [server for _, outcome in outcomes(ledger, run) for server in outcome.servers]
    launched = f"{sum(server.launched for server in servers)} server(s) launched in {len(run.waves)} wave(s)"
    if not run.is_drill:
        return f"The RECOVERY passed: {launched}; nothing of it is terminated."
    end = "its instances are kept, as asked" if run.keep_instances else "all of them are terminated"
    return f"The drill passed: {launched}; {end}."


def failed_tasks(ledger: Ledger, states: Mapping[str, str | None]) -> Iterator[str]:
    """The tasks that failed or were cut off, those with a reason of their own first."""
    for task_id, state in sorted(states.items()):
        if state == "failed":
            failure = ledger.failure(task_id)
            why = f"[{failure.code}] {failure.message}" if failure else "without a code; see its log"
            yield f"{task_id} failed: {why}"
    for task_id, state in sorted(states.items()):
        if state in {"upstream_failed", "removed"}:
            yield f"{task_id} did not run ({state})"


def doubted_idleness(ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Iterator[str]:
    """What speaks against a run that was to launch nothing."""
    if run.dry_run and not run.missed:
        if ledger.resolution() is None:
            yield "preflight has resolved no servers"
        if states.get(PREFLIGHT_TASK_ID) not in {"success", "failed", "upstream_failed"}:
            yield f"{PREFLIGHT_TASK_ID} is {states.get(PREFLIGHT_TASK_ID) or 'without a state'}"
    for name in run.waves:
        if ledger.launch(name) is not None:
            yield f"wave {name} has a record of a launch, and nothing was to be launched"


def doubted_approvals(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """Approvals that the run needed and has no record of."""
    if not run.is_drill and not _approved(ledger.approval(RECOVERY_APPROVAL)):
        yield "nobody has approved the recovery"
    for wave in run.read_plan().waves:
        if wave.approval and ledger.launch(wave.name) and not _approved(ledger.approval(wave.name)):
            yield f"nobody has approved wave {wave.name}"


def _approved(answer: ApprovalRecord | None) -> bool:
    return answer is not None and answer.approved


def doubted_waves(ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Iterator[str]:
    """What is lacking of proof that every server of every chosen wave was launched.

    A task's state alone proves nothing, since a person can set it; nor does a record alone, since it may be
    of an earlier try.
    """
    resolution = ledger.resolution()
    if resolution is None:
        yield "preflight has resolved no servers"
        return
    none_launched = True
    for name in run.waves:
        wave = resolution.waves.get(name)
        if wave is not None and wave.left_out:
            continue
        outcome, launch = ledger.outcome(name), ledger.launch(name)
        if wave is None or outcome is None or launch is None:
            yield f"wave {name} has no record of its servers being launched"
            continue
        last = f"{group_id(name)}.{LAST_TASK}"
        if states.get(last) not in {"success", "failed", "upstream_failed"}:
            yield f"{last} is {states.get(last) or 'without a state'}"
        judged = {server.server_id: server for server in outcome.servers}
        none_launched = none_launched and not any(server.launched for server in outcome.servers)
        for server in wave.servers:
            record = judged.get(server.server_id)
            if server.optional or (
                record is not None
                and record.launched
                and record.job_id == launch.timeline.slot(server.server_id).job_id
            ):
                continue
            yield f"wave {name}: server {server.server_id} ({server.name}) is not proven launched"
    if none_launched:
        yield "not one server was launched"


def doubted_end(ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Iterator[str]:
    """What the records lack of proof that clean-up covered everything, and that evidence was given."""
    cleanup = ledger.cleanup()
    launches = [record for name in run.waves if (record := ledger.launch(name)) is not None]
    made = frozenset[str]().union(*(record.all_job_ids for record in launches))
    if cleanup is None or not (cleanup.proven or cleanup.kept):
        yield "clean-up is not proven complete"
    elif uncovered := made - set(cleanup.jobs):
        yield f"clean-up did not see job(s) {', '.join(sorted(uncovered))}"
    for task_id in (TERMINATE_TASK_ID, EVIDENCE_TASK_ID):
        if states.get(task_id) not in {"success", "failed", "upstream_failed"}:
            yield f"{task_id} is {states.get(task_id) or 'without a state'}"


def answers(ledger: Ledger, run: RunRecord) -> Iterator[tuple[str, ApprovalRecord]]:
    """The answers to the run's questions, by what they are about."""
    for subject in (RECOVERY_APPROVAL, *run.waves):
        if (answer := ledger.approval(subject)) is not None:
            yield subject, answer


def recovery_time(ledger: Ledger, run: RunRecord) -> dt.timedelta | None:
    """From the run's start to the moment when its last wave was launched; ``None`` unless all were."""
    resolution = ledger.resolution()
    if resolution is None:
        return None
    left_out = {name for name, wave in resolution.waves.items() if wave.left_out}
    wanted = [name for name in run.waves if name not in left_out]
    reached = [at for name in wanted if (at := ledger.reached(name, "launched")) is not None]
    return max(reached) - run.began_at if reached and len(reached) == len(wanted) else None


def judged(measured: dt.timedelta | None, objective: dt.timedelta) -> str:
    """The measured time against the RTO, as a person reads it."""
    if measured is None:
        return f"not measured, for not every wave was launched (RTO {objective})"
    seconds = dt.timedelta(seconds=round(measured.total_seconds()))
    return f"{seconds}, {'within' if measured <= objective else 'beyond'} the RTO of {objective}"


def outcomes(ledger: Ledger, run: RunRecord) -> Iterator[tuple[str, WaveOutcome]]:
    """How each chosen wave ended, for those that did."""
    for name in run.waves:
        if (outcome := ledger.outcome(name)) is not None:
            yield name, outcome


def task_states(context: Context) -> dict[str, str | None]:
    """The state of every task of the run, by task id."""
    ti: Any = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])
    return dict(states.get(ti.run_id, {}))
