"""The record of a drill measures what DRS did, and exists however the drill ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import REPOSITORY, Stack
from drs.evidence.record import Evidence
from drs.evidence.storage import LocalStorage
from drs.evidence.store import EvidenceStore
from simulator.engine.fleet import Unknowns
from tests.e2e.plans import DATABASE, WEB, write_plan
from tests.e2e.proof import servers_of

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
OBJECTIVES = "objectives: {rto: 1h, rpo: 15m}"
SECOND = 1.0
"""The tolerance, in seconds, when the journal and the record are compared."""


def kept_in(run: DrillRun) -> Path:
    """The folder of the stack's records."""
    assert isinstance(run.stack, Stack)
    return run.stack.home / "drs-evidence"


def record_of(run: DrillRun) -> Evidence:
    """The run's record, found by what its evidence task returned."""
    store = EvidenceStore(LocalStorage(kept_in(run)))
    told = run.xcom("evidence")
    record = store.read(run.plan.name, told["id"])
    assert told["path"] == f"{store}/{run.plan.name}/{record.id}.json"
    assert told["hash"] == record.hash
    return record


def verified(run: DrillRun, *options: str) -> subprocess.CompletedProcess[str]:
    """`python -m drs evidence verify` of the run's plan."""
    where = ["--path", str(kept_in(run))]
    command = [sys.executable, "-m", "drs", "evidence", "verify", run.plan.name, *options, *where]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)


def launch_ends(run: DrillRun) -> dict[str, datetime]:
    """When each server was launched, according to the logs of DRS's jobs."""
    drs = run.stack.simulator.client("drs", run.plan.target.region)
    return {
        item["eventData"]["sourceServerID"]: datetime.fromisoformat(item["logDateTime"])
        for job in run.jobs()
        for page in drs.get_paginator("describe_job_log_items").paginate(jobID=job["jobID"])
        for item in page["items"]
        if item["event"] == "LAUNCH_END"
    }


def status_looks(run: DrillRun, instance_ids: set[str | None]) -> list[float]:
    """When EC2 was asked for the status checks of any of these instances."""
    return [
        call["time"]
        for call in run.journal(service="ec2", operation="DescribeInstanceStatus")
        if instance_ids & set(call["parameters"].get("InstanceIds", ()))
    ]


def data_of(run: DrillRun) -> dict[str, datetime]:
    """The point in time of the data that each launched instance holds."""
    drs = run.stack.simulator.client("drs", run.plan.target.region)
    servers = [server for wave in run.plan.waves for server in run.plan.listed_servers(wave.name)]
    items = drs.describe_recovery_instances(filters={"sourceServerIDs": servers})["items"]
    return {
        item["sourceServerID"]: datetime.fromisoformat(item["pointInTimeSnapshotDateTime"]) for item in items
    }


def test_what_a_drill_measured_is_what_the_journal_says(plans: Path, stack: Stack, run_drill: Drill) -> None:
    """RPO and RTO-to-launched of the record, by wave and in all, equal those computed from the calls that
    reached DRS and from what DRS says of jobs and instances; to the second. RTO-to-validated is the moment at
    which EC2 was first asked for the status of instances that were sound, within a poll interval.
    """
    waves = [("database", DATABASE[:2]), ("web", WEB[:1])]
    checks = "validation: [{type: instance_status}]"
    write_plan(
        plans,
        "measured",
        waves,
        top=OBJECTIVES,
        first_wave_extra=checks,
        wave_extra=f"delay_before: 1s, {checks}",
    )
    # Kept, so that what was launched can still be asked for its data.
    run = run_drill("measured", {"keep_instances": True})
    assert run.state() == "success", run.describe()
    record = record_of(run)

    began = datetime.fromisoformat(run.xcom("begin", "run")["began_at"])
    requested = {
        server: call["time"] for call in run.journal(operation="StartRecovery") for server in servers_of(call)
    }
    ends, data = launch_ends(run), data_of(run)
    rpo = {server: max(0.0, at - data[server].timestamp()) for server, at in requested.items()}
    rto = {server: (end - began).total_seconds() for server, end in ends.items()}
    assert set(rpo) == set(rto) == {*DATABASE[:2], WEB[0]}

    objectives = record.objectives
    assert objectives.rto_launched.measured_seconds == pytest.approx(max(rto.values()), abs=SECOND)
    assert objectives.rpo.measured_seconds == pytest.approx(max(rpo.values()), abs=SECOND)
    assert (objectives.rto_launched.met, objectives.rpo.met) == (True, True)
    for wave, servers in waves:
        (of,) = [each for each in record.waves if each.name == wave]
        assert of.rto_launched_seconds == pytest.approx(max(rto[server] for server in servers), abs=SECOND)
        assert of.rpo_seconds == pytest.approx(max(rpo[server] for server in servers), abs=SECOND)
        for server in of.servers:
            assert server.rpo_seconds == pytest.approx(rpo[server.server_id], abs=SECOND)
        sound = max(rto[server] for server in servers) + Unknowns().status_check_seconds / stack.speed
        asked = [
            at - began.timestamp() for at in status_looks(run, {each.instance_id for each in of.servers})
        ]
        assert of.rto_validated_seconds is not None
        first = min(at for at in asked if at >= sound)
        poll = float(stack.environment["AIRFLOW__DRS__POLL_INTERVAL_NEAR"])
        assert first <= of.rto_validated_seconds <= first + poll
    validated = [each.rto_validated_seconds or 0.0 for each in record.waves]
    assert objectives.rto_validated.measured_seconds == max(validated)

    told = run.xcom("evidence")
    assert told["rpo_seconds"] == objectives.rpo.measured_seconds
    log = run.log("evidence")
    assert f"Evidence SHA-256: {record.hash}" in log
    (event,) = [each for each in stack.api.asset_events(run.dag_id) if each["source_run_id"] == run.run_id]
    assert (event["extra"]["result"], event["extra"]["hash"]) == ("passed", record.hash)
    assert event["extra"]["rto_launched_seconds"] == objectives.rto_launched.measured_seconds

    assert verified(run, "--hash", record.hash).returncode == 0
    path = Path(told["path"])
    path.write_bytes(path.read_bytes().replace(b'"passed"', b'"failed"', 1))
    changed = verified(run)
    assert changed.returncode == 1
    assert f"{record.id}  changed" in changed.stdout
    end_by_hand(run)


def end_by_hand(run: DrillRun) -> None:
    """Terminate what the run kept."""
    drs = run.stack.simulator.client("drs", run.plan.target.region)
    drs.terminate_recovery_instances(recoveryInstanceIDs=[each.instance_id for each in run.instances()])


def test_a_drill_ended_by_hand_in_mid_wave_is_clean_red_and_on_record(
    plans: Path, stack: Stack, start_drill: Drill
) -> None:
    """Its launch jobs are live, and DRS cannot cancel them: clean-up waits for them, then terminates. No task
    judged the servers; the record says, by what DRS reports, what was launched and that it is gone.
    """
    write_plan(plans, "ended", [("database", DATABASE[:2]), ("web", WEB[:1])], top=OBJECTIVES)
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0]], seconds=15)
    run = start_drill("ended", {"reason": "to be ended by hand"})
    run.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    assert "STARTED" in {job["status"] for job in run.jobs()}, "a launch job is live"
    run.mark("failed")
    assert run.wait(timeout=150) == "failed", run.describe()

    instances = run.instances()
    assert {instance.server_id for instance in instances} >= set(DATABASE[:2])
    assert {instance.state for instance in instances} == {"terminated"}, run.describe()
    assert run.task_states()["evidence"] == "success"

    record = record_of(run)
    assert (record.result, record.run.reason) == ("failed", "to be ended by hand")
    assert record.reasons
    assert record.cleanup is not None
    assert record.cleanup.proven
    assert {item.ec2_instance_id for item in record.cleanup.instances} == {
        instance.instance_id for instance in instances
    }
    assert all(item.gone and item.terminate_jobs for item in record.cleanup.instances)
    database = record.waves[0]
    assert (database.name, database.state) == ("database", "failed")
    assert {server.launched_at for server in database.servers} == {
        end for server, end in launch_ends(run).items() if server in DATABASE[:2]
    }
    assert all(server.launched for server in database.servers)
    assert record.objectives.rto_validated.measured_seconds is None
    assert verified(run).returncode == 0
