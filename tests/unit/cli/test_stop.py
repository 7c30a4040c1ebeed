"""``stop``: it ends the plan's active run, sees to it that clean-up can run, and says what is left."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from drs.cli import airflow_follow, main, stop
from drs.run.records import CleanupRecord, FailureRecord, InstanceRecord, Stop, TerminateCall
from tests.unit.cli.plan_in_airflow import WAVE_TASKS, PlanInAirflow, RunInAirflow, mid_wave
from tests.unit.drill import DATABASE, NOW, make_plan
from tests.unit.fake_airflow import fake_airflow
from tests.unit.tasks.test_closing import launch

PROVEN = CleanupRecord(
    started_at=NOW,
    jobs=("drsjob-1",),
    terminate_calls=(TerminateCall(job_id="drsjob-9", instances=("i-1",)),),
    proven=True,
)
INSTANCE = InstanceRecord(
    recovery_instance_id="i-1", ec2_instance_id="i-1", server_id=DATABASE[0], job_id="drsjob-1"
)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlanInAirflow]:
    """An Airflow with the DAG of the plan orders, which has no runs."""
    monkeypatch.setattr(airflow_follow, "LOOK_EVERY", 0.01)
    for name in ("TOKEN", "USER", "PASSWORD"):
        monkeypatch.delenv(f"DRS_AIRFLOW_{name}", raising=False)
    with fake_airflow() as fake:
        monkeypatch.setenv("DRS_AIRFLOW_URL", fake.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield PlanInAirflow(fake)


@pytest.fixture
def drill(airflow: PlanInAirflow) -> RunInAirflow:
    """A drill in its first wave, whose clean-up will terminate what it launched."""
    run = airflow.add("manual__1", airflow.record("manual__1"))
    run.ledger.save_launch("database", launch(DATABASE, "drsjob-1"))
    run.ledger.save_cleanup(PROVEN.model_copy(update={"instances": (INSTANCE,)}))
    return run


class Told:
    """The exit code and the output of one command."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *options: str) -> None:
        capsys.readouterr()
        self.code = main(["stop", "orders", *options])
        self.out, self.err = capsys.readouterr()


def test_a_stopped_drill_is_followed_to_its_proof(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what happens from now on is told; the records say who stopped the run, and why."""
    told = Told(capsys, "--reason", "the wrong fleet")
    assert told.code == 0, told.err
    assert airflow.marked() == ["manual__1"]
    assert "marked as failed: it launches nothing more" in told.out
    assert "begin: success" not in told.out
    assert "terminate: success" in told.out
    assert "Run manual__1 is over (failed): 1 instance launched, all gone." in told.out
    record = drill.ledger.stop()
    assert record is not None
    assert record.by.startswith("ada (")
    assert record.reason == "the wrong fleet"
    assert not [body for _, _, _, body in airflow.fake.asked if body and "is_paused" in body]


def test_a_paused_dag_is_unpaused_after_the_mark_and_paused_again_at_the_end(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between mark and unpause nothing can be launched. A paused DAG would not clean up."""
    airflow.paused = True
    told = Told(capsys)
    assert told.code == 0, told.err
    sent = [body for method, _, _, body in airflow.fake.asked if method == "PATCH"]
    assert sent == [{"state": "failed"}, {"is_paused": False}, {"is_paused": True}]
    assert "It is unpaused until the run has ended" in told.out
    assert "the plan's schedule, if it has one, is active too" in told.out
    assert "is paused again" in told.out
    assert drill.state == "failed"


def test_a_dag_is_not_paused_again_while_another_run_needs_it(
    airflow: PlanInAirflow,
    drill: RunInAirflow,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The schedule has started a run in the meantime. Paused, it would neither go on nor clean up."""
    monkeypatch.setattr(stop, "OTHERS_END", 0.05)
    airflow.paused = True
    patch_dag = airflow.fake.answers[f"PATCH {airflow.path}"]

    def scheduled(query: Any) -> Any:
        airflow.add("scheduled__2", airflow.record("scheduled__2"), stays=True)
        return patch_dag(query)

    airflow.fake.answers[f"PATCH {airflow.path}"] = scheduled
    told = Told(capsys)
    assert told.code == 0
    assert not airflow.paused
    assert "stays unpaused: to pause it now would freeze scheduled__2" in told.out
    assert airflow.marked() == ["manual__1"]


def test_a_run_that_airflow_catches_up_on_is_waited_for(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused or missed, ends by itself, and only then is the DAG paused."""
    airflow.paused = True
    looks = iter(range(3))
    list_runs = airflow.fake.answers[f"GET {airflow.path}/dagRuns"]

    def caught_up(query: Any) -> Any:
        if drill.state == "failed" and next(looks, None) is not None:
            return 200, {"dag_runs": [airflow._json(drill)], "total_entries": 1}
        return list_runs(query)

    airflow.fake.answers[f"GET {airflow.path}/dagRuns"] = caught_up
    assert Told(capsys).code == 0
    assert airflow.paused
    assert next(looks, None) is None


def test_a_queued_run_that_never_began_still_gets_its_verdict(
    airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """If its first task were skipped, Airflow would skip the verdict too, and the run would be green."""
    run = airflow.add("manual__1", state="queued", tasks=dict.fromkeys(mid_wave()))
    told = Told(capsys)
    assert told.code == 0, told.err
    assert (run.tasks["open"], run.tasks["begin"], run.state) == ("success", "skipped", "failed")
    assert "it had not begun, and launched nothing" in told.out


def test_a_first_task_that_succeeds_in_the_meantime_is_no_error(
    airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    run = airflow.add("manual__1", state="queued", tasks=dict.fromkeys(mid_wave()))
    mark = airflow.fake.answers[f"PATCH {airflow.path}/dagRuns/manual__1/taskInstances/open"]

    def too_late(query: Any) -> Any:
        run.tasks["open"] = "success"
        return mark(query)

    airflow.fake.answers[f"PATCH {airflow.path}/dagRuns/manual__1/taskInstances/open"] = too_late
    assert Told(capsys).code == 0
    assert airflow.marked() == ["manual__1"]


def test_every_active_run_is_stopped(airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs were triggered on a paused DAG. Unpaused for the first one, it would start the others."""
    airflow.paused = True
    for run_id in ("manual__1", "manual__2"):
        airflow.add(run_id, state="queued", tasks=dict.fromkeys(mid_wave()))
    told = Told(capsys, "--json")
    assert told.code == 0, told.err
    assert airflow.marked() == ["manual__1", "manual__2"]
    result = json.loads(told.out)
    assert (result["plan"], result["was_paused"]) == ("orders", True)
    assert [(run["run_id"], run["state"], run["nothing_left"]) for run in result["runs"]] == [
        ("manual__1", "failed", True),
        ("manual__2", "failed", True),
    ]


def test_one_run_of_a_paused_dag_is_not_stopped_if_that_starts_others(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.paused = True
    airflow.add("manual__2", state="queued", tasks=dict.fromkeys(mid_wave()))
    told = Told(capsys, "--run", "manual__1")
    assert told.code == 2
    assert "may launch servers: manual__2" in told.err
    assert (airflow.marked(), airflow.paused) == ([], True)


def test_only_the_run_that_is_named_is_stopped(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.add("manual__2", state="queued", tasks=dict.fromkeys(mid_wave()))
    assert Told(capsys, "--run", "manual__1").code == 0
    assert airflow.marked() == ["manual__1"]


# --- what is left -----------------------------------------------------------------------------------------


def test_instances_that_a_rule_keeps_are_named(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1: they cost money."""
    drill.ledger.save_run(airflow.record("manual__1", keep_instances=True))
    why = "the run was asked to keep them (keep_instances)"
    kept = {"instances": (INSTANCE,), "kept": True, "proven": False, "why_kept": why}
    drill.ledger.save_cleanup(PROVEN.model_copy(update=kept))
    told = Told(capsys)
    assert told.code == 1
    assert f"1 instance kept, and costing money: {why}." in told.out
    assert f"i-1 of {DATABASE[0]}" in told.out
    assert "python -m drs cleanup orders --run manual__1" in told.out


def test_a_clean_up_without_proof_says_why(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    drill.ends = {"terminate": "failed"}
    drill.ledger.save_cleanup(PROVEN.model_copy(update={"instances": (INSTANCE,), "proven": False}))
    drill.ledger.save_failure("terminate", FailureRecord(code="CLEANUP_INCOMPLETE", message="i-1 is left."))
    told = Told(capsys, "--json")
    assert told.code == 1
    (run,) = json.loads(told.out)["runs"]
    assert run["what"] == (
        f"clean-up is not proven complete; these may still run: i-1 of {DATABASE[0]}; "
        "these jobs were not seen to end: drsjob-1; [CLEANUP_INCOMPLETE] i-1 is left."
    )
    assert (run["nothing_left"], run["instances"]) == (False, ["i-1"])


def test_a_run_without_records_proves_nothing(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody deleted its XComs."""
    drill.store.values.clear()
    airflow.fake.answers = {key: value for key, value in airflow.fake.answers.items() if "xcomE" not in key}
    told = Told(capsys)
    assert told.code == 1
    assert "its records are gone from Airflow" in told.out


def test_a_job_that_may_be_the_run_s_is_named(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    drill.ledger.save_cleanup(PROVEN.model_copy(update={"unsure": ("drsjob-9",)}))
    told = Told(capsys)
    assert told.code == 1
    assert "perhaps launched by this run, and not touched: drsjob-9" in told.out


def test_records_of_another_version_prove_nothing(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """They have keys that this version does not know. The run is stopped all the same."""
    drill.store.set("run", {**drill.store.get("run"), "new": 1})
    told = Told(capsys)
    assert (told.code, airflow.marked()) == (1, ["manual__1"])
    assert "another version of drs-drills wrote its records" in told.out


def test_a_dry_run_has_nothing_to_leave(airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = mid_wave() | {"preflight": "running"} | dict.fromkeys(WAVE_TASKS)
    airflow.add("manual__1", airflow.record("manual__1", dry_run=True), tasks=tasks)
    told = Told(capsys)
    assert (told.code, "it was not to launch anything" in told.out) == (0, True)


# --- a run that needs no stop -----------------------------------------------------------------------------


def test_no_active_run_is_exit_code_0(airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """A script wants just that. The message says how the last run ended, and how to look in AWS."""
    assert Told(capsys).out == "Nothing to stop: no run of plan orders is active.\n"
    airflow.add("manual__1", state="failed")
    told = Told(capsys)
    assert told.code == 0
    assert told.out.splitlines() == [
        "Nothing to stop: no run of plan orders is active.",
        "Run manual__1 ended at 2026-03-01 06:30:00 UTC: failed.",
        "To see whether an instance of it is left in AWS: python -m drs cleanup orders --run manual__1",
    ]
    assert json.loads(Told(capsys, "--json").out)["last_run"]["dag_run_id"] == "manual__1"
    assert Told(capsys, "--run", "manual__1").code == 0
    assert Told(capsys, "--run", "manual__2").code == 2
    assert airflow.marked() == []


def keeping(airflow: PlanInAirflow) -> RunInAirflow:
    """A drill that passed, and keeps its instances for 10 minutes."""
    tasks = dict.fromkeys(mid_wave(), "success") | {
        "terminate": "deferred",
        "evidence": None,
        "verdict": None,
    }
    plan = make_plan(cleanup={"keep_for": "10m"})
    ends = {"verdict": "success"}
    return airflow.add("manual__1", airflow.record("manual__1", of=plan), tasks=tasks, ends=ends)


def test_a_run_whose_waves_have_ended_is_followed_and_not_marked(
    airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mark would cut nothing off, and a drill that passed stays green."""
    run = keeping(airflow)
    told = Told(capsys, "--no-wait")
    assert (told.code, airflow.marked(), run.ledger.stop()) == (0, [], None)
    assert "waits until the plan's cleanup.keep_for has passed" in told.out
    assert "python -m drs cleanup orders --run manual__1" in told.out
    run.ledger.save_cleanup(CleanupRecord(started_at=NOW, proven=True))
    told = Told(capsys)
    assert (told.code, run.state) == (0, "success")
    assert "keep_for" not in told.out


# --- a real recovery --------------------------------------------------------------------------------------


@pytest.fixture
def recovery(airflow: PlanInAirflow) -> RunInAirflow:
    plan = make_plan(allow_recovery=True)
    record = airflow.record("manual__1", of=plan, execution_type="RECOVERY", reason="fire")
    run = airflow.add("manual__1", record)
    run.ledger.save_launch("database", launch(DATABASE, "drsjob-1"))
    run.ledger.save_cleanup(CleanupRecord(started_at=NOW, kept=True, why_kept="this is a real recovery"))
    return run


def test_a_real_recovery_is_only_stopped_by_somebody_who_agrees(
    airflow: PlanInAirflow,
    recovery: RunInAirflow,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a terminal nobody is asked. The exit code is 1, for it was not stopped."""
    told = Told(capsys)
    assert (told.code, airflow.marked()) == (1, [])
    assert "what it has launched keeps running" in told.err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert (Told(capsys).code, airflow.marked()) == (1, [])
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    told = Told(capsys)
    assert (told.code, airflow.marked()) == (1, ["manual__1"])
    assert "this is a real recovery: what its 1 job launched runs on (drsjob-1)" in told.out
    assert "drs cleanup" not in told.out


def test_a_recovery_that_has_not_begun_is_known_by_its_parameters(
    airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    run = airflow.add("manual__1", state="queued", tasks=dict.fromkeys(mid_wave()))
    run.conf = {"execution_type": "RECOVERY"}
    assert (Told(capsys, "--json").code, airflow.marked()) == (1, [])
    assert (Told(capsys, "--yes").code, airflow.marked()) == (0, ["manual__1"])


# --- what Airflow does not do -----------------------------------------------------------------------------


def test_a_stale_dag_has_no_clean_up(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is marked, so that it launches nothing when the file is back. The command does not wait."""
    airflow.stale = True
    told = Told(capsys)
    assert (told.code, airflow.marked()) == (1, ["manual__1"])
    assert "Airflow schedules nothing of drs_drill__orders" in told.err
    assert "python -m drs cleanup orders --run manual__1 --force" in told.err


def test_a_plan_without_a_dag_is_exit_code_2(
    airflow: PlanInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.fake.answers[f"GET {airflow.path}"] = lambda _: (404, {"detail": "not found"})
    airflow.fake.answers["/api/v2/dags"] = lambda _: (200, {"dags": [], "total_entries": 0})
    told = Told(capsys)
    assert told.code == 2
    assert "RECOVERY_PLAN_NOT_FOUND" in told.err


def test_a_user_who_may_not_mark_a_run_stops_nothing(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then nothing is written down either: nobody has stopped the run."""
    airflow.fake.answers[f"PATCH {airflow.path}/dagRuns/manual__1"] = lambda _: (403, {"detail": "Forbidden"})
    told = Told(capsys)
    assert told.code == 3
    assert "does not let this user do that" in told.err
    assert drill.ledger.stop() is None


def test_a_user_who_may_not_write_xcoms_stops_the_run_all_the_same(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"POST {airflow.path}/dagRuns/manual__1/taskInstances/begin/xcomEntries"
    airflow.fake.answers[path] = lambda _: (403, {"detail": "Forbidden"})
    told = Told(capsys)
    assert (told.code, drill.state) == (0, "failed")
    assert "its records will not say who stopped it" in told.out


def test_a_user_who_may_not_unpause_is_told_what_the_clean_up_waits_for(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.paused = True
    airflow.fake.answers[f"PATCH {airflow.path}"] = lambda _: (403, {"detail": "Forbidden"})
    told = Told(capsys)
    assert (told.code, airflow.marked()) == (3, ["manual__1"])
    assert "The clean-up waits until somebody does." in told.err


def test_the_first_stop_is_the_one_on_record(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    drill.ledger.save_stop(Stop(by="bob", at=NOW))
    told = Told(capsys)
    assert told.code == 0
    assert "bob had already stopped it, at 06:00:00 UTC" in told.out


def test_an_airflow_that_does_not_say_who_is_logged_in(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """The user of this machine is on record."""
    del airflow.fake.answers["/ui/auth/me"]
    assert Told(capsys).code == 0
    record = drill.ledger.stop()
    assert record is not None
    assert " on " in record.by
    assert "(" not in record.by


@pytest.mark.parametrize("part", ["scheduler", "triggerer"])
def test_a_part_of_airflow_that_is_down_is_named(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    """Without it the clean-up would be waited for without an end."""
    up = {
        "scheduler": {"status": "healthy"},
        "triggerer": {"status": "healthy"},
        part: {"status": "unhealthy"},
    }
    airflow.fake.answers["/api/v2/monitor/health"] = lambda _: (200, up)
    assert f"Airflow's {part} does not run" in Told(capsys).out


# --- the end of the command before that of the run --------------------------------------------------------


def test_when_the_timeout_has_passed_the_dag_stays_unpaused(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paused, the run would not clean up."""
    airflow.paused, drill.stays = True, True
    told = Told(capsys, "--timeout", "1s")
    assert told.code == 4
    assert "The --timeout has passed. The clean-up goes on in Airflow:" in told.err
    assert "manual__1: http" in told.err
    assert "stays unpaused, because the clean-up needs that" in told.err
    assert not airflow.paused


def test_without_waiting_the_dag_stays_unpaused(
    airflow: PlanInAirflow, drill: RunInAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.paused = True
    told = Told(capsys, "--no-wait", "--json")
    assert (told.code, airflow.paused, drill.state) == (0, False, "running")
    assert "pause it again when the run has ended" in told.err
    (run,) = json.loads(told.out)["runs"]
    assert (run["state"], run["nothing_left"], run["stop"]["by"][:3]) == (None, None, "ada")


def test_ctrl_c_says_that_the_clean_up_goes_on(
    airflow: PlanInAirflow,
    drill: RunInAirflow,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(airflow_follow.Follower, "follow", interrupt)
    told = Told(capsys)
    assert told.code == 130
    assert "The clean-up goes on in Airflow" in told.err


def test_an_airflow_that_goes_away_is_exit_code_3(
    airflow: PlanInAirflow,
    drill: RunInAirflow,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run was stopped, and it is not known what is left."""
    monkeypatch.setattr(airflow_follow, "SILENCE", -1.0)
    monkeypatch.setattr("drs.cli.airflow_api.PAUSES", ())
    original = airflow.fake.answer

    def answer(method: str, url: str, token: str | None, body: Any) -> Any:
        gone = airflow.marked() and url.startswith(f"{airflow.path}/dagRuns/manual__1?")
        return (503, "gone") if gone and method == "GET" else original(method, url, token, body)

    airflow.fake.answer = answer  # type: ignore[method-assign]
    told = Told(capsys)
    assert told.code == 3
    assert "does not know how the clean-up ends" in told.err
