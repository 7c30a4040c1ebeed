"""The task that writes a run's record: what it asks, where it writes, what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from drs.errors import Code
from drs.evidence.chain import ChainProblem
from drs.evidence.record import Evidence
from drs.evidence.storage import LocalStorage
from drs.evidence.store import EvidenceStore
from drs.plan import Plan
from drs.plan.check_labels import ALWAYS
from drs.preflight import Finding
from drs.run.ledger import Ledger
from drs.run.records import CheckResult, FailureRecord, Resolution, WaveResolution, WaveValidation
from drs.run.ticks import MissedTick
from drs.tasks.operators import evidence as module
from drs.tasks.operators.evidence import DrsDrillEvidenceOperator, software
from drs.tasks.operators.verdict import DrsDrillVerdictOperator
from drs.tasks.sensors import DrsJobLaunchedSensor
from drs.text.times import utc_now
from drs.version import VERSION
from simulator.engine.faults import InternalError
from tests.unit.drill import APPLICATION, DATABASE, NOW, after, make_event, make_plan, make_run
from tests.unit.evidence.runs import GATE, SUCCEEDED
from tests.unit.simulated import SimulatedDrill
from tests.unit.task_harness import make_context

DRILLS = Asset("drs_drill__orders")
PLAN = make_plan(
    objectives={"rto": "1h", "rpo": "15m"},
    schedule="0 6 1 * *",
    launch={"jobs": "per_wave"},
    waves=[
        {"name": "database", "protection_groups": ["database"]},
        {"name": "application", "protection_groups": ["application"], "delay_before": "0s"},
    ],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configured evidence folder."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(tmp_path / "evidence"))
    return tmp_path / "evidence"


@pytest.fixture
def drilled(drill: Callable[..., Any], xcom: Any, folder: Path) -> SimulatedDrill:
    """A run that launched and judged both waves and cleaned up, against the simulated DRS."""
    run: SimulatedDrill = drill(PLAN)
    run.store = xcom
    run.ledger.save_run(run.run)
    waves = {wave: WaveResolution(servers=tuple(run.resolved(wave))) for wave in run.run.waves}
    run.ledger.save_resolution(Resolution(waves=waves))
    for wave in run.run.waves:
        run.launch(wave)
        run.finish_jobs()
        sensor = DrsJobLaunchedSensor(task_id="wait_until_launched", wave=wave)
        vars(sensor)["hook"] = run.hook
        sensor.execute(make_context())
        run.ledger.save_validation(wave, validated(run, wave))
        run.ledger.save_reached(wave, "validated", run.clock.now())
    run.clean_up()
    return run


def validated(run: SimulatedDrill, wave: str) -> WaveValidation:
    """A validation in which every server of the wave passed its check."""
    outcome, since = run.ledger.outcome(wave), run.ledger.reached(wave, "launched")
    assert outcome is not None
    assert since is not None
    results = tuple(
        CheckResult(
            check=ALWAYS,
            server_id=server.server_id,
            instance_id=server.instance_id,
            passed=True,
            seen="running",
            at=run.clock.now(),
            seconds=1,
        )
        for server in outcome.servers
    )
    return WaveValidation(began_at=since, ended_at=run.clock.now(), results=results)


def execute(
    run: SimulatedDrill | None = None, *, findings: Any = None, dag_run: Any = None, **states: str | None
) -> dict[str, Any]:
    """Run the task after the other tasks ended in these states."""
    task = DrsDrillEvidenceOperator(task_id="evidence", outlets=[DRILLS])
    if run is not None:
        vars(task)["hook"] = run.hook
    context = make_context(SUCCEEDED | states)
    context["outlet_events"] = events = OutletEventAccessors()
    context["dag_run"] = dag_run
    context["ti"].pushed["preflight", "findings"] = findings
    result: dict[str, Any] = task.execute(context)
    result["event"] = events[DRILLS].extra
    return result


def record_in(folder: Path, name: str = "orders-000001") -> Evidence:
    return EvidenceStore(LocalStorage(folder)).read("orders", name)


def test_a_drill_is_measured_by_what_drs_says(drilled: SimulatedDrill, folder: Path) -> None:
    """The record's RTO is computed from the jobs and logs in DRS."""
    told = execute(drilled)
    record = record_in(folder)
    ends = {
        event.server_id: event.at
        for job in drilled.drs.jobs.values()
        for event in drilled.hook.job_log(job.id)
        if event.event == "LAUNCH_END"
    }
    last = max(ends.values())
    assert record.result == "passed"
    assert told["rto_launched_seconds"] == (last - drilled.run.began_at).total_seconds()
    assert {server.server_id: server.launched_at for wave in record.waves for server in wave.servers} == ends
    assert record.objectives.rto_launched.met is True


def test_the_log_tells_servers_measures_path_and_hash(
    drilled: SimulatedDrill, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log names the same hash as the message."""
    told = execute(drilled)
    log = capsys.readouterr().out
    for said in (
        *DATABASE,
        "RTO, to the last server launched: ",
        "within the target of 3600 s",
        "RTO, to the last wave validated: ",
        "RPO, of the worst server: ",
        f"Evidence: {folder}/orders/orders-000001.json",
        f"Evidence SHA-256: {told['hash']}",
    ):
        assert said in log, said


def test_xcom_and_asset_event_are_small_and_say_how_it_ended(drilled: SimulatedDrill, folder: Path) -> None:
    """Other DAGs can be scheduled by drills and read their measures."""
    told = execute(drilled)
    event = told.pop("event")
    record = record_in(folder)
    assert (told["id"], told["hash"], told["result"]) == (record.id, record.hash, "passed")
    assert told["path"] == f"{folder}/orders/orders-000001.json"
    assert (told["failures"], told["cleanup"]) == ([], {"proven": True, "kept": False})
    assert len(json.dumps(told)) < 2000
    assert event == {
        "id": record.id,
        "hash": record.hash,
        "run_id": record.run.run_id,
        "execution_type": "DRILL",
        "dry_run": False,
        "scope": "full",
        "result": "passed",
        "rto_target_seconds": 3600.0,
        "rto_launched_seconds": told["rto_launched_seconds"],
        "rto_validated_seconds": told["rto_validated_seconds"],
        "rpo_target_seconds": 900.0,
        "rpo_seconds": told["rpo_seconds"],
        "not_met": [],
    }


@pytest.mark.parametrize("enforce", [False, True])
def test_a_missed_objective_is_told_to_the_verdict(
    drilled: SimulatedDrill, folder: Path, *, enforce: bool
) -> None:
    """By code and words, and to other DAGs by code. Record and verdict agree on the result."""
    objectives = {"rto": "1s", "rpo": "15m", "enforce": enforce}
    plan = Plan.model_validate({**PLAN.model_dump(mode="json"), "objectives": objectives})
    run = drilled.run.model_copy(update={"plan": plan.model_dump(mode="json")})
    drilled.ledger.save_run(run)
    told = execute(drilled)
    (missed,) = told["not_met"]
    assert missed["code"] == "RTO_MISSED"
    assert missed["says"].startswith("the RTO was missed by ")
    assert told["event"]["not_met"] == ["RTO_MISSED"]
    assert told["result"] == ("failed" if enforce else "passed")
    assert record_in(folder).reasons == ((missed["says"],) if enforce else ())
    assert missed["says"] in told["summary"]
    context = make_context(SUCCEEDED | {"evidence": "success"})
    context["ti"].xcom["evidence"] = told
    verdict = DrsDrillVerdictOperator(task_id="verdict")
    if enforce:
        with pytest.raises(AirflowFailException, match="RTO_MISSED"):
            verdict.execute(context)
    else:
        assert verdict.execute(context) == told["summary"]


def test_instances_that_no_clean_up_looked_for_are_asked_of_drs(
    drilled: SimulatedDrill, folder: Path
) -> None:
    """Somebody marked terminate as success. Here DRS lists none of them any more."""
    store: Any = drilled.store
    del store.values["cleanup"]
    assert execute(drilled)["result"] == "failed"
    record = record_in(folder)
    assert record.cleanup is not None
    assert record.cleanup.started_at is None
    assert [item.fate for item in record.cleanup.instances] == ["lost"] * len([*DATABASE, *APPLICATION])


def test_the_record_names_the_run_in_airflow_and_the_next_one(drilled: SimulatedDrill, folder: Path) -> None:
    """It also names the software versions."""
    execute(drilled)
    run = record_in(folder).run
    assert run.url == "http://localhost:8080/dags/drs_drill__orders/runs/run-1"
    assert run.next_run is not None
    assert (run.next_run.day, run.next_run.hour) == (1, 6)
    assert record_in(folder).software["drs-drills"] == VERSION
    assert set(software()) > {"apache-airflow", "boto3", "python"}


def test_a_task_that_is_tried_again_writes_no_second_record(
    drilled: SimulatedDrill, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It finds its own record and says so."""
    assert execute(drilled)["hash"] == execute(drilled)["hash"]
    assert sorted(path.name for path in (folder / "orders").glob("*.json")) == [
        "head.json",
        "orders-000001.json",
    ]
    assert "Evidence (already written before): " in capsys.readouterr().out


def test_preflights_findings_are_in_the_record(ledger: Ledger, folder: Path) -> None:
    """The run was refused and launched nothing, so DRS is not asked at all."""
    ledger.save_run(make_run())
    ledger.save_failure("preflight", FailureRecord(code="SERVER_CONFLICT", message="Held."))
    finding = Finding(Code.SERVER_CONFLICT, "Held.", "Wait.", wave="database")
    told = execute(findings=[{**vars_of(finding), "code": "SERVER_CONFLICT"}], preflight="failed")
    assert (told["result"], told["event"]["result"]) == ("failed", "failed")
    assert [failure["code"] for failure in told["failures"]] == ["SERVER_CONFLICT"]
    assert [each.seen for each in record_in(folder).findings] == ["Held."]


def vars_of(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in Finding.__dataclass_fields__}


def test_a_drs_that_does_not_answer_does_not_cost_the_record(
    drilled: SimulatedDrill, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record is written from the ledger, and notes that DRS did not answer."""
    drilled.simulation.arm(InternalError(operations=("DescribeJobs",)))
    assert execute(drilled)["result"] == "passed"
    record = record_in(folder)
    assert record.jobs
    assert {job.status for job in record.jobs} == {None}
    (note,) = record.remarks
    assert note.startswith("The jobs' logs could not be read from DRS: ")
    assert note in capsys.readouterr().out


def test_what_is_left_of_an_incomplete_clean_up_is_asked_of_drs(
    drilled: SimulatedDrill, folder: Path
) -> None:
    """An instance that DRS no longer lists is gone, even if others are left."""
    cleanup = drilled.ledger.cleanup()
    assert cleanup is not None
    assert len(cleanup.instances) == len(DATABASE) + len(APPLICATION)
    drilled.ledger.save_cleanup(cleanup.model_copy(update={"proven": False}))
    assert execute(drilled, terminate="failed")["result"] == "failed"
    told = record_in(folder).cleanup
    assert told is not None
    assert (told.proven, {item.gone for item in told.instances}) == (False, {True})


def test_a_failed_launch_is_explained_as_in_the_log_of_its_wave() -> None:
    """It explains DRS's error in the job's log; without the log, the error in the record."""
    raw = "InsufficientInstanceCapacity: no m5.large in us-east-1a"
    event = make_event(30, "LAUNCH_FAILED", DATABASE[0], raw_error=raw)
    by_log = module.explained("it failed", [event], "COMPLETED", "FAILED")
    assert by_log == module.explained(raw, [], None, None)
    assert "no capacity for this instance type" in by_log.cause
    assert by_log.remedy


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/proc/nowhere", "could not be written to /proc/nowhere/orders"),
        ("nothing://evidence", "nothing://evidence cannot be reached: ValueError"),
    ],
)
def test_evidence_that_cannot_be_written_fails_the_task(
    drilled: SimulatedDrill, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    """The failure has the code, the path and the cause, and Airflow retries the task."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", path)
    with pytest.raises(AirflowException, match="EVIDENCE_INCOMPLETE") as failed:
        execute(drilled)
    assert said in str(failed.value)
    assert not isinstance(failed.value, AirflowFailException)
    failure = drilled.ledger.failure("wave_database.start_recovery")  # the id of every task in these tests
    assert failure is not None
    assert failure.code == "EVIDENCE_INCOMPLETE"


def test_evidence_is_written_by_the_cleared_task_once_its_place_is_there(
    drilled: SimulatedDrill, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the remedy says."""
    with monkeypatch.context() as wrong:
        wrong.setenv("AIRFLOW__DRS__EVIDENCE_PATH", "/proc/nowhere")
        with pytest.raises(AirflowException, match="Then clear the task 'evidence'"):
            execute(drilled)
    assert execute(drilled)["result"] == "passed"
    assert record_in(folder).result == "passed"


def test_a_chain_that_was_touched_fails_the_task_at_once(drilled: SimulatedDrill, folder: Path) -> None:
    """The record is written, and a retry cannot hide the problem."""
    execute(drilled)
    path = folder / "orders" / "orders-000001.json"
    path.write_bytes(path.read_bytes().replace(b"111122223333", b"111122223334"))
    with pytest.raises(AirflowFailException, match="chain before it is broken: orders-000001"):
        execute(drilled, **{GATE["database"]: "failed"})
    problems: list[ChainProblem] = EvidenceStore(LocalStorage(folder)).verify("orders")
    assert [(problem.id, problem.kind) for problem in problems] == [("orders-000001", "changed")]
    assert record_in(folder, "orders-000002").result == "failed"


def test_a_run_that_never_began_gives_no_evidence(ledger: Ledger, folder: Path) -> None:
    """It was refused and changed nothing, so it is not one of the plan's drills."""
    with pytest.raises(AirflowSkipException, match="refused before it began"):
        execute(begin="failed")
    assert not folder.exists()


def scheduled(run_id: str = "scheduled__1", run_type: str = "scheduled") -> Any:
    """Airflow's run for the tick at 06:00."""
    return SimpleNamespace(dag_id="drs_drill__orders", run_id=run_id, run_type=run_type, run_after=NOW)


def test_a_missed_run_gives_no_evidence_but_a_tick(ledger: Ledger, folder: Path) -> None:
    """It was not a drill. The task is skipped, so no asset event is emitted. A second try writes nothing."""
    store = EvidenceStore(LocalStorage(folder))
    ledger.save_run(
        make_run(run_type="scheduled", missed="Missed. It was due at 06:00.", began_at=after(900))
    )
    for _ in range(2):
        with pytest.raises(AirflowSkipException, match="Missed"):
            execute(dag_run=scheduled(), begin="skipped")
    (tick,) = store.ticks("orders")
    assert tick == MissedTick(
        run_id="scheduled__1",
        run_type="scheduled",
        due=NOW,
        at=after(900),
        why="It was due at 06:00.",
    )
    assert store.ids("orders") == []
    assert store.verify("orders") == []


@pytest.mark.parametrize(("run_type", "kept"), [("scheduled", 1), ("manual", 0)])
def test_a_refused_tick_is_kept_with_its_code(
    ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch, run_type: str, kept: int
) -> None:
    """A run that a person triggered is no tick."""
    monkeypatch.setattr(module, "utc_now", lambda: after(5))
    failure = FailureRecord(code="PLAN_ALREADY_EXECUTING", message="Run run-0 is active.")
    ledger.save_failure("begin", failure)
    with pytest.raises(AirflowSkipException, match="refused before it began"):
        execute(dag_run=scheduled(run_type=run_type), begin="failed")
    ticks = list(EvidenceStore(LocalStorage(folder)).ticks("orders"))
    assert [tick.model_dump() for tick in ticks if isinstance(tick, MissedTick)] == [
        {
            "run_id": "scheduled__1",
            "run_type": "scheduled",
            "due": NOW,
            "at": after(5),
            "code": "PLAN_ALREADY_EXECUTING",
            "why": "Run run-0 is active.",
        }
    ] * kept


def test_the_next_record_lists_the_ticks_since_the_last_one(drilled: SimulatedDrill, folder: Path) -> None:
    """Written again, the record is the same. The record after it does not list them again."""
    store = EvidenceStore(LocalStorage(folder))
    tick = MissedTick(run_id="scheduled__1", run_type="scheduled", due=NOW, at=utc_now(), why="Missed.")
    store.keep_tick("orders", tick)
    execute(drilled)
    assert record_in(folder).missed_before == (tick,)
    execute(drilled)
    assert store.ids("orders") == ["orders-000001"]
    drilled.ledger.save_run(drilled.run.model_copy(update={"run_id": "run-2"}))
    execute(drilled)
    assert record_in(folder, "orders-000002").missed_before == ()


def test_ticks_that_cannot_be_read_do_not_cost_the_record(
    drilled: SimulatedDrill, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record says so."""

    def denied(*_: Any) -> Any:
        raise PermissionError("ticks/")

    monkeypatch.setattr(EvidenceStore, "ticks_before", denied)
    execute(drilled)
    assert any("Missed runs before this one could not be read" in note for note in record_in(folder).remarks)


def test_a_bucket_is_reached_as_airflow_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the connection that is configured for it."""
    asked: list[Any] = []

    class StoragePath:
        fs, path = "fs", "bucket/drills"

        def __init__(self, path: str, conn_id: str | None) -> None:
            asked.append((path, conn_id))

    monkeypatch.setattr(module, "ObjectStoragePath", StoragePath)
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", "s3://bucket/drills")
    assert str(module.store()) == "s3://bucket/drills"
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_CONN_ID", "audit")
    module.store()
    assert asked == [("s3://bucket/drills", None), ("s3://bucket/drills", "audit")]
