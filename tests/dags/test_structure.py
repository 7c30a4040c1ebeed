"""The DAG of a plan: its tasks, what comes after what, and what runs whatever happened."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, TriggerRule
from airflow.sdk.exceptions import ParamValidationError

from drs.dag_factory import build_dags, drill_dag
from drs.plan import Plan, load_plan
from drs.plan.naming import dag_id
from drs.tasks.operators.validate_servers import DrsValidateServersOperator
from drs.tasks.sensors import DrsJobLaunchedSensor, DrsJobStartedSensor

EXAMPLES = Path("include/plans")
NAMES = ["fleet", "order-system", "single-server"]
TEARDOWNS = ["terminate", "evidence", "verdict"]


def example(name: str) -> DAG:
    return drill_dag(load_plan(EXAMPLES / f"{name}.yaml"))


def edges(dag: DAG) -> set[tuple[str, str]]:
    """The direct successors of each task, without the setup."""
    return {
        (task.task_id, below) for task in dag.tasks if not task.is_setup for below in task.downstream_task_ids
    }


def wave(name: str) -> set[tuple[str, str]]:
    """The edges within a wave, and from its end to the clean-up."""
    tasks = [
        f"wave_{name}.{task}"
        for task in ("start_recovery", "wait_until_started", "wait_until_launched", "validate")
    ]
    return {*itertools.pairwise(tasks), (tasks[-1], "terminate")}


def gate(before: str, when: str, after: str) -> tuple[str, str]:
    """An edge by which one wave waits for another's gate."""
    task = "validate" if when == "validated" else f"wait_until_{when}"
    return f"wave_{before}.{task}", f"wave_{after}.start_recovery"


ENDS = {("begin", "preflight"), ("terminate", "evidence"), ("evidence", "verdict")}
EDGES = {
    "single-server": ENDS | wave("single") | {("preflight", "wave_single.start_recovery")},
    # No wave says when it lets the next one pass: started.
    "order-system": ENDS
    | wave("database")
    | wave("application")
    | wave("web")
    | {
        ("preflight", "wave_database.start_recovery"),
        gate("database", "started", "application"),
        gate("application", "started", "web"),
    },
    # Two waves after one that must be launched, and not in the order of the file.
    "fleet": ENDS
    | wave("directory")
    | wave("database")
    | wave("reporting")
    | wave("application")
    | wave("web")
    | {
        ("preflight", "wave_directory.start_recovery"),
        gate("directory", "launched", "database"),
        gate("directory", "launched", "reporting"),
        gate("database", "started", "application"),
        gate("application", "started", "web"),
    },
}


def changed(**parts: Any) -> Plan:
    """The plan of the order system, with other parts."""
    plan = load_plan(EXAMPLES / "order-system.yaml")
    return Plan.model_validate({**plan.model_dump(mode="json", exclude_unset=True), **parts})


def test_every_example_is_a_dag() -> None:
    """The DAG is named after the plan."""
    assert list(build_dags(EXAMPLES)) == [f"drs_drill__{name}" for name in NAMES]
    assert set(EDGES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_waves_follow_each_other_through_their_gates(name: str) -> None:
    """Only preflight follows begin, so a failure before it launches nothing."""
    assert edges(example(name)) == EDGES[name]


def test_a_wave_s_approval_comes_after_every_gate_and_before_its_launch() -> None:
    """The other waves have none. If the question need not be asked, its task is skipped and the launch still
    runs.
    """
    waves = [
        {"name": "database", "protection_groups": ["database"]},
        {"name": "application", "protection_groups": ["application"], "depends_on": []},
        {
            "name": "web",
            "protection_groups": ["web"],
            "depends_on": ["database", "application"],
            "approval": {},
        },
    ]
    dag = drill_dag(changed(waves=waves))
    assert [task.task_id for task in dag.tasks if "approve" in task.task_id] == ["wave_web.approve"]
    approve = dag.get_task("wave_web.approve")
    assert approve.upstream_task_ids == {
        "wave_database.wait_until_started",
        "wave_application.wait_until_started",
    }
    assert approve.downstream_task_ids == {"wave_web.start_recovery"}
    assert approve.trigger_rule == TriggerRule.NONE_FAILED
    assert dag.get_task("wave_web.start_recovery").upstream_task_ids == {"wave_web.approve"}


def test_a_plan_that_allows_a_recovery_asks_between_preflight_and_the_first_waves() -> None:
    """Every wave that follows no other wave waits for the answer, directly or through its own approval."""
    waves = [
        {"name": "database", "protection_groups": ["database"]},
        {"name": "application", "protection_groups": ["application"], "depends_on": [], "approval": {}},
        {"name": "web", "protection_groups": ["web"]},
    ]
    dag = drill_dag(changed(waves=waves, allow_recovery=True))
    assert dag.get_task("preflight").downstream_task_ids == {"approve_recovery"}
    assert dag.get_task("approve_recovery").downstream_task_ids == {
        "wave_database.start_recovery",
        "wave_application.approve",
    }
    assert "approve_recovery" not in drill_dag(changed(waves=waves)).task_ids


def test_a_plan_that_cleans_up_after_an_approval_asks_when_every_wave_has_ended() -> None:
    """However they ended, also after a failure. Clean-up and the rest come after the question."""
    dag = drill_dag(changed(cleanup={"when": "after_approval"}))
    ask = dag.get_task("approve_cleanup")
    assert ask.upstream_task_ids == {f"wave_{name}.validate" for name in ("database", "application", "web")}
    assert ask.trigger_rule == TriggerRule.ALL_DONE
    assert not ask.is_teardown
    assert ask.downstream_task_ids == {"terminate"}
    assert dag.get_task("terminate").upstream_task_ids == {"open", "approve_cleanup"}
    assert [task.task_id for task in dag.leaves] == ["verdict"]


@pytest.mark.parametrize("when", ["always", "on_success", "never"])
def test_other_rules_of_clean_up_ask_nobody(when: str, serialized_dag: Callable[[DAG], str]) -> None:
    """Apart from the digest, their DAG is the same as that of a plan without a rule."""
    dag = drill_dag(changed(cleanup={"when": when}))
    assert "approve_cleanup" not in dag.task_ids
    assert len(serialized_dag(dag)) == len(serialized_dag(drill_dag(changed())))


def test_a_wave_may_depend_on_several_and_on_none() -> None:
    """It waits for each one's gate; a wave without dependencies follows preflight."""
    waves = [
        {"name": "database", "protection_groups": ["database"], "next_wave_when": "launched"},
        {
            "name": "application",
            "protection_groups": ["application"],
            "depends_on": [],
            "next_wave_when": "validated",
        },
        {"name": "web", "protection_groups": ["web"], "depends_on": ["database", "application"]},
    ]
    found = edges(drill_dag(changed(waves=waves)))
    assert ("preflight", "wave_application.start_recovery") in found
    assert {edge for edge in found if edge[1] == "wave_web.start_recovery"} == {
        gate("database", "launched", "web"),
        gate("application", "validated", "web"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_end_runs_whatever_happened(name: str) -> None:
    """One setup, the very first task, has three teardowns; only the verdict decides the state of the run."""
    dag = example(name)
    (setup,) = [task for task in dag.tasks if task.is_setup]
    assert setup.upstream_task_ids == set()
    assert [task.task_id for task in dag.tasks if task.is_teardown] == TEARDOWNS
    for task_id in TEARDOWNS:
        task = dag.get_task(task_id)
        assert setup.task_id in task.upstream_task_ids
        assert task.trigger_rule == TriggerRule.ALL_DONE_SETUP_SUCCESS
        assert task.on_failure_fail_dagrun is (task_id == "verdict")
    assert [task.task_id for task in dag.leaves] == ["verdict"]


@pytest.mark.parametrize("name", NAMES)
def test_a_wave_left_out_lets_the_next_one_pass(name: str) -> None:
    """The wave is skipped and later waves still run; after a failed wave they do not. Within a wave every
    task needs the one before.
    """
    for task in example(name).tasks:
        if task.task_id.startswith("wave_"):
            starts = task.task_id.endswith(".start_recovery")
            assert task.trigger_rule == (TriggerRule.NONE_FAILED if starts else TriggerRule.ALL_SUCCESS)


def shortest_pauses(task: object) -> timedelta:
    """What the pauses between a task's tries add up to at least: Airflow adds up to as much again to each."""
    assert isinstance(task, BaseOperator)
    assert task.retries is not None
    longest = timedelta.max if task.max_retry_delay is None else task.max_retry_delay
    assert isinstance(longest, timedelta)
    factor = float(task.retry_exponential_backoff or 1)
    pauses = (min(task.retry_delay * factor**number, longest) for number in range(task.retries))
    return sum(pauses, timedelta(0))


@pytest.mark.parametrize("name", NAMES)
def test_tasks_are_tried_for_longer_than_three_minutes(name: str) -> None:
    """A worker may die, and a part of Airflow may be away for minutes: the wave goes on after it."""
    for task in example(name).tasks:
        if task.task_id not in TEARDOWNS:
            launched = task.task_id.startswith("wave_")
            assert shortest_pauses(task) >= timedelta(minutes=3 if launched else 1)
            assert task.retry_delay == timedelta(seconds=15)


@pytest.mark.parametrize("name", NAMES)
def test_the_closing_tasks_are_tried_for_longer_than_airflow_may_be_away(name: str) -> None:
    """Clean-up, record and verdict come about even if a part of Airflow is away for 15 minutes."""
    dag = example(name)
    for task in map(dag.get_task, TEARDOWNS):
        assert shortest_pauses(task) > timedelta(minutes=15)
        assert isinstance(task.max_retry_delay, timedelta)
        assert task.max_retry_delay <= timedelta(minutes=5)


def test_each_wave_s_tasks_know_their_wave() -> None:
    """They know nothing else: the run's record says what to launch and where."""
    dag = example("fleet")
    for name in ("directory", "database", "reporting", "application", "web"):
        tasks = {task.task_id: task for task in dag.tasks if task.task_id.startswith(f"wave_{name}.")}
        assert {getattr(task, "wave", None) for task in tasks.values()} == {name}
        assert isinstance(tasks[f"wave_{name}.wait_until_started"], DrsJobStartedSensor)
        assert isinstance(tasks[f"wave_{name}.wait_until_launched"], DrsJobLaunchedSensor)
        assert isinstance(tasks[f"wave_{name}.validate"], DrsValidateServersOperator)


def test_waves_named_like_other_tasks_stay_apart() -> None:
    """A wave may be called begin, preflight or terminate."""
    waves = [
        {"name": name, "protection_groups": [group]}
        for name, group in (("begin", "database"), ("terminate", "application"), ("verdict", "web"))
    ]
    dag = drill_dag(changed(waves=waves))
    assert {"begin", "wave_begin.start_recovery", "terminate", "wave_terminate.start_recovery"} <= {
        task.task_id for task in dag.tasks
    }


def test_begin_runs_once_at_a_time() -> None:
    """So two runs that start together cannot both pass it."""
    assert example("order-system").get_task("begin").max_active_tis_per_dag == 1


@pytest.mark.parametrize("name", NAMES)
def test_no_run_is_ever_ended_without_its_clean_up(name: str) -> None:
    """A dagrun_timeout would skip the teardowns, and a start_date would start a missed drill when the DAG is
    unpaused.
    """
    dag = example(name)
    assert (dag.dagrun_timeout, dag.start_date, dag.catchup) == (None, None, False)
    assert {task.start_date for task in dag.tasks} == {None}
    assert {task.execution_timeout for task in dag.tasks} == {None}


def test_a_plan_without_a_schedule_starts_by_hand() -> None:
    """Every new DAG is paused."""
    dag = example("order-system")
    assert dag.schedule is None
    assert dag.is_paused_upon_creation


def test_a_schedule_runs_in_the_plan_s_time_zone() -> None:
    """06:00 in Berlin, in summer and winter."""
    dag = drill_dag(changed(schedule="0 6 1 * *", timezone="Europe/Berlin"))
    assert isinstance(dag.timetable, CronTriggerTimetable)
    assert dag.timetable.expression == "0 6 1 * *"
    assert str(getattr(dag.timetable.timezone, "name", dag.timetable.timezone)) == "Europe/Berlin"


def test_owner_tags_and_description_are_the_plan_s() -> None:
    """Airflow's list shows them; all drills share one tag."""
    dag = example("order-system")
    assert {task.owner for task in dag.tasks} == {"dr-team"}
    assert dag.tags == {"drs-drill", "tier-1"}
    assert dag.description == "The order system: database, application, web"
    assert drill_dag(changed(description="")).description == "Disaster-recovery drill of order-system"


# --- parameters -------------------------------------------------------------------------------------------


def test_without_parameters_everything_is_drilled_and_cleaned_up() -> None:
    """A scheduled run has only the defaults: all waves of the plan, in its order."""
    assert example("order-system").params.dump() == {
        "execution_type": "DRILL",
        "waves": ["database", "application", "web"],
        "exclude_servers": None,
        "recovery_point": None,
        "dry_run": False,
        "keep_instances": False,
        "skip_approvals": False,
        "reason": None,
    }


@pytest.mark.parametrize("name", ["fleet", "order-system", "single-server"])
def test_the_parameters_are_valid_as_they_stand(name: str) -> None:
    """A scheduled run has no others, and building a DAG does not check them."""
    example(name).params.validate()


@pytest.mark.parametrize("allowed", [False, True])
def test_the_form_offers_a_recovery_where_the_plan_allows_it(allowed: bool) -> None:
    """Airflow accepts other values too; begin refuses them and says what is allowed."""
    params = drill_dag(changed(allow_recovery=allowed)).params
    offered = params.get_param("execution_type").schema["examples"]
    assert offered == (["DRILL", "RECOVERY"] if allowed else ["DRILL"])
    params["execution_type"] = "FAILOVER"
    params.validate()


@pytest.mark.parametrize("name", ["exclude_servers", "recovery_point", "reason"])
def test_what_may_stay_empty_does_not_block_the_form(name: str) -> None:
    """Airflow's form cannot be sent while a field is empty whose type does not allow null."""
    assert "null" in example("order-system").params.get_param(name).schema["type"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("waves", ["mail"]),
        ("waves", "database"),
        ("exclude_servers", ["orders-db-1"]),
        ("recovery_point", 1500),
        ("dry_run", 1),
        ("keep_instances", "yes"),
        ("skip_approvals", "all"),
        ("reason", "x" * 501),
    ],
)
def test_airflow_itself_refuses_wrong_parameters(key: str, value: object) -> None:
    """By the rules of the form, before a run exists."""
    params = example("order-system").params
    with pytest.raises(ParamValidationError):
        params[key] = value


def test_tasks_do_not_copy_the_parameters() -> None:
    """They belong to the DAG; a copy in each task would make it three times as large."""
    assert {len(task.params) for task in example("fleet").tasks} == {0}


def test_a_plan_s_dag_stays_small(serialized_dag: Callable[[DAG], str]) -> None:
    """Airflow reads it at every step of a run: at most 14 KiB for three waves, including an RTO."""
    objectives = {"rto": "1h", "rpo": "15m"}
    plain = len(serialized_dag(drill_dag(changed(objectives=objectives))))
    assert plain <= 14 * 1024
    *first, last = [wave.model_dump(mode="json", exclude_unset=True) for wave in changed().waves]
    asking = {"allow_recovery": True, "cleanup": {"when": "after_approval"}}
    dag = drill_dag(changed(objectives=objectives, waves=[*first, last | {"approval": {}}], **asking))
    questions = 3
    assert len(serialized_dag(dag)) <= plain + questions * 450


# --- the doc, and versions --------------------------------------------------------------------------------


def test_the_doc_tells_where_and_in_which_order() -> None:
    """It names account, Region and connection, and for each wave the waves before it."""
    doc = example("fleet").doc_md or ""
    assert "Account 111122223333, Region us-east-1, connection `aws_default`" in doc
    assert "| directory | - | directory | per_wave | launched |" in doc
    assert "| application | database | application | per_wave | started |" in doc


@pytest.mark.parametrize(
    "parts",
    [
        {"launch": {"server_delay": "20s"}},
        {"cleanup": {"timeout": "3h"}},
        {"target": {"region": "us-west-2", "account_id": "111122223333"}},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_a_changed_plan_is_another_version_of_its_dag(
    parts: dict[str, Any], serialized: Callable[[DAG], str]
) -> None:
    """Even if no task changes, because the digest is in the DAG's doc. An unchanged plan gives the same DAG
    to the byte.
    """
    plan, other = changed(), changed(**parts)
    assert f"Plan digest: `{plan.digest}`" in (drill_dag(plan).doc_md or "")
    assert serialized(drill_dag(plan)) == serialized(drill_dag(changed()))
    assert serialized(drill_dag(plan)) != serialized(drill_dag(other))


@pytest.fixture
def serialized_dag() -> Callable[[DAG], str]:
    """A DAG as Airflow stores it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return lambda dag: json.dumps(DagSerialization.to_dict(dag))


@pytest.fixture
def serialized() -> Callable[[DAG], str]:
    """The hash by which Airflow tells versions of a DAG apart."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    return lambda dag: SerializedDagModel.hash(DagSerialization.to_dict(dag))


def test_the_dag_of_a_plan_is_known_by_its_name() -> None:
    """A prefix keeps it apart from all other DAGs of the installation."""
    assert dag_id("billing") == "drs_drill__billing"
