"""The guards: in every case but one, a real recovery ends before DRS is called."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from drs.errors import ApprovalRejected, InvalidExecutionType
from drs.run.records import RECOVERY_APPROVAL, ApprovalRecord
from tests.unit.drill import NOW, make_plan
from tests.unit.simulated import SimulatedDrill

MakeDrill = Callable[..., SimulatedDrill]

RUN_TYPES = ["manual", "scheduled", "backfill", "operator_triggered", "asset_triggered"]
ANSWERS = {
    "none": None,
    "no": {"approved": False, "answered": "by a person"},
    "by time-out": {"approved": True, "answered": "by time-out"},
    "skipped": {"approved": True, "answered": "skipped"},
    "of a wave": {"about": "database", "approved": True, "answered": "by a person"},
    "yes": {"approved": True, "answered": "by a person"},
}
RIGHT = ("RECOVERY", "manual", True, "yes")


def asked_of_drs(drill: SimulatedDrill) -> list[bool]:
    """The ``isDrill`` of each job that DRS made."""
    return [job.is_drill for job in drill.drs.jobs.values()]


def save_answer(drill: SimulatedDrill, fields: dict[str, Any] | None) -> None:
    if fields is not None:
        about = fields.get("about", RECOVERY_APPROVAL)
        record = {"at": NOW, "by": "ada", **{key: fields[key] for key in ("approved", "answered")}}
        drill.ledger.save_approval(about, ApprovalRecord.model_validate(record))


@pytest.mark.parametrize(
    ("execution_type", "run_type", "allowed", "answer"),
    [
        pytest.param(*case, id="-".join(map(str, case)))
        for case in itertools.product(["DRILL", "RECOVERY"], RUN_TYPES, [True, False], ANSWERS)
    ],
)
def test_one_way_alone_leads_to_a_real_recovery(
    drill: MakeDrill, execution_type: str, run_type: str, allowed: bool, answer: str
) -> None:
    """A person starts it by hand, its plan allows it, and a person approves it. A drill stays a drill
    whatever else is true, and a recovery that is not allowed does not become a drill.
    """
    run = drill(make_plan(allow_recovery=allowed), execution_type=execution_type, run_type=run_type)
    save_answer(run, ANSWERS[answer])
    if (execution_type, run_type, allowed, answer) == RIGHT:
        run.launch()
        assert asked_of_drs(run) == [False, False]
    elif execution_type == "DRILL":
        run.launch()
        assert asked_of_drs(run) == [True, True]
    else:
        with pytest.raises(InvalidExecutionType):
            run.launch()
        assert asked_of_drs(run) == []


def test_all_that_a_recovery_lacks_is_told_at_once(drill: MakeDrill) -> None:
    """The error lists everything that is missing, and the remedy says how to do it."""
    run = drill(execution_type="RECOVERY", run_type="scheduled")
    with pytest.raises(InvalidExecutionType) as refused:
        run.launch()
    for told in ("not started by hand but scheduled", "allow_recovery", "no person has approved it"):
        assert told in refused.value.message
    assert "with execution_type RECOVERY and a reason" in refused.value.remedy


def test_an_approval_that_is_taken_back_stops_the_rest_of_a_recovery(drill: MakeDrill) -> None:
    """Somebody clears the question during the launch. The guard checks before every call, not once for a
    wave.
    """
    run = drill(make_plan(allow_recovery=True), execution_type="RECOVERY")
    save_answer(run, ANSWERS["yes"])
    launch = run.start_launch()
    launch.advance()
    run.ledger.forget_approval(RECOVERY_APPROVAL)
    with pytest.raises(InvalidExecutionType):
        run.finish_launch(launch)
    assert asked_of_drs(run) == [False]


# --- a wave's approval ------------------------------------------------------------------------------------


def wants(**approval: Any) -> Any:
    """A plan whose first wave wants an approval."""
    return make_plan(
        allow_recovery=True,
        waves=[
            {"name": "database", "protection_groups": ["database"], "approval": approval},
            {"name": "application", "protection_groups": ["application"]},
        ],
    )


def save_wave_answer(run: SimulatedDrill, answered: str, *, approved: bool = True) -> None:
    run.ledger.save_approval(
        "database", ApprovalRecord.model_validate({"approved": approved, "answered": answered, "at": NOW})
    )


@pytest.mark.parametrize(
    ("approval", "run_fields", "answered"),
    [
        ({}, {}, "by a person"),
        ({"on_timeout": "approve"}, {}, "by time-out"),
        ({"skippable": True}, {"skip_approvals": True}, "skipped"),
    ],
)
def test_a_wave_is_launched_once_it_is_approved_as_its_plan_has_it(
    drill: MakeDrill, approval: dict[str, Any], run_fields: dict[str, Any], answered: str
) -> None:
    """A person approved it, the time-out did, or the run skipped the approval."""
    run = drill(wants(**approval), **run_fields)
    save_wave_answer(run, answered)
    run.launch()
    assert asked_of_drs(run) == [True, True]


@pytest.mark.parametrize(
    ("approval", "run_fields", "answered"),
    [
        ({}, {}, None),
        ({}, {}, "by time-out"),
        ({}, {"skip_approvals": True}, "skipped"),
        ({"skippable": True}, {}, "skipped"),
    ],
    ids=["not asked", "silence means no", "not skippable", "nobody asked to skip"],
)
def test_a_wave_without_its_approval_is_not_launched(
    drill: MakeDrill, approval: dict[str, Any], run_fields: dict[str, Any], answered: str | None
) -> None:
    """The task 'approve' may be green all the same, because somebody marked it as success."""
    run = drill(wants(**approval), **run_fields)
    if answered:
        save_wave_answer(run, answered)
    with pytest.raises(ApprovalRejected, match="Wave database needs an approval"):
        run.launch()
    assert asked_of_drs(run) == []


def test_a_no_stays_a_no(drill: MakeDrill) -> None:
    """A rejection on record is not passed over."""
    run = drill(wants())
    save_wave_answer(run, "by a person", approved=False)
    with pytest.raises(ApprovalRejected):
        run.launch()
    assert asked_of_drs(run) == []


def test_silence_approves_no_wave_of_a_real_recovery(drill: MakeDrill) -> None:
    """The same plan lets the time-out approve the wave of a drill."""
    run = drill(wants(on_timeout="approve"), execution_type="RECOVERY")
    save_answer(run, ANSWERS["yes"])
    save_wave_answer(run, "by time-out")
    with pytest.raises(ApprovalRejected):
        run.launch()
    assert asked_of_drs(run) == []
    save_wave_answer(run, "by a person")
    run.launch()
    assert asked_of_drs(run) == [False, False]


# --- clean-up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
def test_nothing_of_a_real_recovery_is_ever_terminated(
    drill: MakeDrill, keep: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """With or without ``keep_instances``, clean-up starts no job and logs what keeps running."""
    run = drill(make_plan(allow_recovery=True), execution_type="RECOVERY", keep_instances=keep)
    save_answer(run, ANSWERS["yes"])
    launched = run.launch()
    run.finish_jobs()
    before = run.instances()
    assert len(before) == 2
    with caplog.at_level("WARNING"):
        record = run.clean_up()
    assert (record.kept, record.proven) == (True, False)
    assert frozenset(record.jobs) == launched.all_job_ids
    assert run.instances() == before
    assert len(run.drs.jobs) == 2
    assert "This is a real recovery: nothing is terminated" in caplog.text


def test_the_clean_up_of_a_real_recovery_waits_for_nothing(drill: MakeDrill) -> None:
    """Somebody marked the run as failed while a job was live, and clean-up does not wait for it."""
    run = drill(make_plan(allow_recovery=True), execution_type="RECOVERY")
    save_answer(run, ANSWERS["yes"])
    run.launch()
    began = run.clock.now()
    assert run.clean_up().kept
    assert run.clock.now() == began


def test_a_wave_without_its_approval_says_which_task_to_clear(drill: MakeDrill) -> None:
    """The run can go on once somebody has answered."""
    with pytest.raises(ApprovalRejected) as refused:
        drill(wants()).launch()
    assert "'approve'" in refused.value.remedy
