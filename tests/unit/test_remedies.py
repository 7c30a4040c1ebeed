"""Every code has a remedy. If it says to clear, start or run something, a test does so and sees it help."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import drs
from drs.errors import Code, error_class

PACKAGE = Path(next(iter(drs.__path__)))
PAGE = Path("docs/errors.md")
HEAD = """\
What the message says to do is tried: where it says to clear a task, to start a new run or to run a command, a
test does exactly that and sees it help. `...` is text that differs from case to case. The tests are below
`tests/unit`.

| code | the remedy, as it is told | the test that follows it |
|---|---|---|
"""
DOES = re.compile(r"\bclear\b|(start|trigger) a new run|`(python -m drs|aws) ", re.IGNORECASE)
NOTHING_TO_DO = "-"

PREFLIGHT, LAUNCH, TASKS = "preflight/test_remedies.py", "launch/test_wave_launch.py", "tasks"
ROWS: dict[Code, tuple[str, tuple[str, ...]]] = {
    Code.MISSING_FIELD: ("", ()),
    Code.INVALID_FIELD: ("", ()),
    Code.INVALID_EXECUTION_TYPE: (
        "To recover for real, write `allow_recovery: true` into the plan's file, then trigger a new run.",
        ("run/test_request.py::test_a_plan_that_allows_a_recovery_is_recovered_by_a_new_run",),
    ),
    Code.RECOVERY_PLAN_NOT_FOUND: ("", ()),
    Code.PLAN_HAS_NO_WAVES: ("", (f"{PREFLIGHT}::test_a_run_without_any_server_chooses_one",)),
    Code.PLAN_ALREADY_EXECUTING: (
        "Wait for ... to end, or stop it with `python -m drs stop ... --run ...` (or mark it failed in the "
        "Airflow "
        "UI)",
        (
            f"{TASKS}/test_begin.py::test_a_plan_is_free_once_its_active_run_has_ended",
            "cli/test_stop.py::test_only_the_run_that_is_named_is_stopped",
        ),
    ),
    Code.PLAN_CHANGED: ("", (f"{TASKS}/test_begin.py::test_a_free_plan_is_claimed",)),
    Code.ACCOUNT_MISMATCH: (
        "Give the connection ... a role in ..., or correct target.account_id or target.aws_conn_id in the "
        "plan.",
        (f"{PREFLIGHT}::test_a_connection_to_the_wrong_account_is_corrected",),
    ),
    Code.DRS_NOT_INITIALIZED: ("", (f"{PREFLIGHT}::test_drs_is_initialised_with_the_command_of_the_remedy",)),
    Code.DRS_UNAVAILABLE: ("", (f"{LAUNCH}::test_a_launch_that_was_refused_is_repeated_as_its_remedy_says",)),
    Code.AIRFLOW_UNAVAILABLE: (
        "",
        (f"{TASKS}/test_drill_task.py::test_a_task_that_is_cleared_once_airflow_answers_succeeds",),
    ),
    Code.ACCESS_DENIED: (
        "Add this statement to the policy of the role that the plan's connection uses: ...",
        (
            f"{PREFLIGHT}::test_a_new_run_after_what_was_refused_is_allowed",
            f"{LAUNCH}::test_a_launch_that_was_refused_is_repeated_as_its_remedy_says",
            f"{TASKS}/test_sensors.py::test_a_failed_launch_is_repeated_as_its_remedy_says",
            "cleanup/test_clean_up.py::test_clean_up_is_cleared_once_it_has_the_permission",
        ),
    ),
    Code.CHECK_UNAVAILABLE: ("", (f"{PREFLIGHT}::test_a_new_run_after_what_was_refused_is_allowed",)),
    Code.SOURCE_SERVER_NOT_FOUND: (
        "",
        (f"{PREFLIGHT}::test_a_server_that_drs_does_not_know_is_corrected_in_the_plan",),
    ),
    Code.TAG_RESOLUTION_EMPTY: (
        "Tag the source servers themselves, not their EC2 instances: `aws drs tag-resource --resource-arn "
        "ARN --tags ...`, with the ARN of each server of the group (`aws drs describe-source-servers` lists "
        "them). Or correct the group's server_tags in the plan. Then start a new run.",
        (f"{PREFLIGHT}::test_source_servers_are_tagged_as_the_remedy_says",),
    ),
    Code.SERVER_CONFLICT: (
        "",
        (
            f"{PREFLIGHT}::test_a_new_run_after_the_holding_job_has_ended",
            f"{LAUNCH}::test_a_server_given_up_is_tried_again_when_the_wave_is_cleared",
        ),
    ),
    Code.WAVE_SIZE_LIMIT_EXCEEDED: ("", (f"{PREFLIGHT}::test_a_wave_of_more_than_100_servers_is_split",)),
    Code.CONCURRENT_JOBS_LIMIT_EXCEEDED: (
        "",
        (
            f"{PREFLIGHT}::test_a_wave_of_30_servers_is_launched_in_one_job",
            f"{PREFLIGHT}::test_a_listed_wave_of_30_servers_is_launched_in_one_job",
            f"{PREFLIGHT}::test_a_wave_of_30_servers_is_split",
            f"{PREFLIGHT}::test_waves_that_do_not_fit_together_wait_for_each_other",
            "cli/test_jobs.py::test_active_jobs_are_those_that_hold_servers",
        ),
    ),
    Code.UNHEALTHY_SERVER_REPLICATION: (
        "",
        (f"{PREFLIGHT}::test_a_server_is_left_out_with_exclude_servers",),
    ),
    Code.AGENT_NOT_REPORTING: ("", (f"{PREFLIGHT}::test_a_server_is_left_out_with_exclude_servers",)),
    Code.RECOVERY_INSTANCE_EXISTS: ("", (f"{PREFLIGHT}::test_a_server_is_left_out_with_exclude_servers",)),
    Code.LEFTOVER_DRILL_INSTANCE: (
        "... `python -m drs cleanup ... --run ...`.",
        (
            f"{PREFLIGHT}::test_a_leftover_of_a_run_names_the_command_that_removes_it",
            "cli/test_cleanup.py::test_one_run_can_be_chosen",
            f"{PREFLIGHT}::test_a_leftover_of_nobody_s_run_is_removed_in_drs",
        ),
    ),
    Code.LAUNCH_CONFIGURATION_INVALID: ("", ()),
    Code.RECOVERY_POINT_NOT_FOUND: (
        "Trigger a new run with recovery_point ... or later, or `latest`.",
        (f"{PREFLIGHT}::test_a_run_names_the_recovery_point_that_the_remedy_names",),
    ),
    Code.APPROVAL_REJECTED: (
        "",
        (f"{TASKS}/test_approve.py::test_after_a_no_or_no_answer_a_new_run_asks_again",),
    ),
    Code.APPROVAL_TIMEOUT: (
        "",
        (f"{TASKS}/test_approve.py::test_after_a_no_or_no_answer_a_new_run_asks_again",),
    ),
    Code.RECOVERY_INSTANCE_LOST: (
        "",
        (f"{TASKS}/test_sensors.py::test_a_new_run_is_started_after_somebody_has_ended_an_instance",),
    ),
    Code.JOB_START_TIMEOUT: (
        "",
        (f"{TASKS}/test_sensors.py::test_a_new_run_is_started_once_a_late_job_has_ended",),
    ),
    Code.JOB_TIMEOUT: (
        "",
        (f"{TASKS}/test_sensors.py::test_a_new_run_is_started_once_a_late_job_has_ended",),
    ),
    Code.SERVER_LAUNCH_FAILED: (
        "",
        (
            f"{TASKS}/test_sensors.py::test_a_failed_launch_is_repeated_as_its_remedy_says",
            f"{LAUNCH}::test_a_cleared_wave_launches_just_the_servers_that_failed",
        ),
    ),
    Code.VALIDATION_FAILED: (
        "",
        (f"{TASKS}/test_validate.py::test_a_validation_that_was_cleared_after_its_end_begins_again",),
    ),
    Code.CLEANUP_INCOMPLETE: (
        "Then clear the task 'terminate' to try again. Or terminate the instances by hand...",
        ("cleanup/test_clean_up.py::test_a_cleared_clean_up_tries_a_survivor_again",),
    ),
    Code.EVIDENCE_INCOMPLETE: (
        "",
        (f"{TASKS}/test_evidence.py::test_evidence_is_written_by_the_cleared_task_once_its_place_is_there",),
    ),
    Code.CLOCK_SKEW: ("", ("preflight/test_clock.py::test_a_clock_that_is_nearly_right_is_no_finding",)),
    Code.RTO_MISSED: ("", ()),
    Code.RPO_MISSED: ("", ()),
    Code.STOPPED_BY_HAND: (
        "",
        (f"{TASKS}/test_begin.py::test_a_plan_is_free_once_its_active_run_has_ended",),
    ),
    Code.DRILL_FROZEN: (
        "Unpause the DAG ... in the UI: the run goes on where it stopped.",
        (
            f"{TASKS}/test_watch.py::"
            "test_a_paused_dag_is_red_until_it_is_unpaused_and_people_are_notified_once",
        ),
    ),
    Code.ORPHANED_DRILL_INSTANCE: (
        "`python -m drs cleanup ...` lists the instances, and terminates them after you agree.",
        ("cli/test_cleanup.py::test_one_run_can_be_chosen",),
    ),
    Code.DRILL_FAILED: ("", ()),
}
"""The remedy of each code, where its class has none, and the tests below ``tests/unit`` that follow it."""


def told(code: Code) -> str:
    """The remedy of the code: its class's own, or the one that is given where the failure is raised."""
    return ROWS[code][0] or error_class(code).remedy


def row(code: Code) -> str:
    """The row of the page."""
    tests = "<br>".join(f"`{test}`" for test in ROWS[code][1])
    remedy = told(code) or "in the message: the value to write, and where"
    return f"| {code} | {remedy} | {tests or NOTHING_TO_DO} |"


def test_the_page_has_every_code_with_its_remedy_and_its_tests() -> None:
    """In the order of the codes."""
    assert list(ROWS) == list(Code)
    rows = PAGE.read_text().split(HEAD)[1].splitlines()
    assert rows == [row(code) for code in Code]


@pytest.mark.parametrize("code", list(Code))
def test_a_remedy_that_says_what_to_do_is_followed_by_a_test(code: Code) -> None:
    """The tests exist; a remedy that is not a class's own is one that the package writes."""
    remedy, tests = ROWS[code]
    assert tests or not DOES.search(told(code))
    for test in tests:
        path, _, name = test.partition("::")
        assert name in functions(Path(__file__).parent / path), test
    if remedy:
        parts = [re.escape(part) for part in remedy.split("...")]
        assert any(re.search(r"[\s\S]*".join(parts), text) for text in texts()), remedy


@functools.cache
def functions(path: Path) -> frozenset[str]:
    return frozenset(
        node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
    )


@functools.cache
def texts() -> tuple[str, ...]:
    """Every text in the package; what is filled in is a dot."""
    return tuple(text for path in PACKAGE.rglob("*.py") for text in _texts(ast.parse(path.read_text())))


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "." for part in node.values)
