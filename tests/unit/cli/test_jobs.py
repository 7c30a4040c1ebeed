"""``jobs`` and ``job``: they list DRS jobs and explain one job."""

from __future__ import annotations

import json
from typing import Any

from drs.explain import explain_failure
from tests.unit.cli.simulated_aws import REGION
from tests.unit.drill import APPLICATION, DATABASE


def test_jobs_are_listed_newest_first_with_their_run(aws: Any) -> None:
    """The plan and the run come from the tags of the job."""
    first = aws.launch(DATABASE, run="manual__1")
    second = aws.launch(APPLICATION)
    result = aws.run("jobs", "--region", REGION)
    assert result.code == 0
    newest, oldest = result.out.splitlines()[2:]
    assert newest.startswith(f"{second}  START_DRILL   COMPLETED")
    assert oldest.startswith(first)
    assert "2 LAUNCHED     orders manual__1" in oldest


def test_active_jobs_are_those_that_hold_servers(aws: Any) -> None:
    """With --active, jobs that have ended are left out."""
    aws.launch(APPLICATION)
    aws.arm(kind="stuck_conversion", servers=[DATABASE[0]])
    held = aws.start(DATABASE)
    result = aws.run("jobs", "--region", REGION, "--active", "--json")
    assert [job["job_id"] for job in json.loads(result.out)] == [held]
    aws.disarm()


def test_since_is_a_duration(aws: Any) -> None:
    """Without a job in that time, the command says so."""
    assert aws.run("jobs", "--since", "1").code == 2
    result = aws.run("jobs", "--region", REGION, "--since", "7d")
    assert (result.code, result.out) == (0, f"There is no DRS job of the last 7d in {REGION}.\n")


def test_a_job_that_launched_its_servers_is_explained(aws: Any) -> None:
    """The output has the job's servers with their instances, and the meaning of each event."""
    job = aws.launch(DATABASE, run="manual__1")
    result = aws.run("job", job, "--region", REGION)
    assert result.code == 0
    assert result.out.startswith(f"{job}: LAUNCH by START_DRILL, COMPLETED")
    assert "started by run manual__1 of plan orders" in result.out
    assert result.out.count("  launched\n") == 2
    assert "CONVERSION_END" in result.out
    assert "the disks are bootable" in result.out


def test_a_server_that_failed_makes_the_job_bad(aws: Any) -> None:
    """The server failed although the job is COMPLETED.

    The output has the policy statement that allows the denied action.
    """
    error = "UnauthorizedOperation: You are not authorized to perform: ec2:RunInstances"
    aws.arm(kind="launch_failed", servers=[DATABASE[1]], raw_error=error)
    job = aws.launch(DATABASE)
    result = aws.run("job", job, "--region", REGION)
    assert result.code == 1
    assert f"{DATABASE[1]} was not launched: {error}" in result.out
    assert '{"Effect": "Allow", "Action": ["ec2:RunInstances"], "Resource": "*"}' in result.out
    printed = json.loads(aws.run("job", job, "--region", REGION, "--json").out)
    assert [it["verdict"] for it in printed["outcomes"]] == ["launched", "NOT LAUNCHED"]


def test_a_cause_is_explained_as_in_a_drill_s_log(aws: Any) -> None:
    """Text and JSON have DRS's own error, its cause, what to do, and whether a retry is safe."""
    aws.arm(kind="launch_failed", servers=[DATABASE[1]], raw_error="InsufficientInstanceCapacity")
    job = aws.launch(DATABASE)
    result = aws.run("job", job, "--region", REGION)
    assert result.code == 1
    explanation = explain_failure("InsufficientInstanceCapacity", [])
    assert result.out.endswith(
        f"{DATABASE[1]} was not launched: InsufficientInstanceCapacity\n"
        f"Cause: {explanation.cause}\nWhat to do: {explanation.remedy}\nRetry: {explanation.retry}.\n"
    )
    printed = json.loads(aws.run("job", job, "--region", REGION, "--json").out)
    assert [it["explanation"] and it["explanation"]["pattern"] for it in printed["outcomes"]] == [
        None,
        "no_capacity",
    ]


def test_a_live_job_is_not_judged(aws: Any) -> None:
    """The output says that the live job holds its servers."""
    aws.arm(kind="stuck_conversion", servers=[DATABASE[0]])
    result = aws.run("job", aws.start(DATABASE), "--region", REGION)
    assert result.code == 0
    assert "The job holds its servers" in result.out
    assert "in progress" in result.out
    aws.disarm()


def test_a_server_that_was_terminated_since_was_launched(aws: Any) -> None:
    """After clean-up, the server's status is TERMINATED. Neither this nor the TERMINATE job is a failure."""
    job = aws.launch(DATABASE)
    instances = [item["instanceID"] for item in aws.instances() if item["jobID"] == job]
    ending = aws.drs.terminate_recovery_instances(recoveryInstanceIDs=instances)["job"]["jobID"]
    aws.wait_until_ended(ending)
    result = aws.run("job", job, "--region", REGION)
    assert result.code == 0
    assert "launched, then terminated" in result.out
    assert aws.run("job", ending, "--region", REGION).code == 0


def test_a_job_that_drs_does_not_know_is_exit_code_2(aws: Any) -> None:
    """A text that is not a job id is refused with the same exit code."""
    result = aws.run("job", "drsjob-00000000000000000", "--region", REGION)
    assert result.code == 2
    assert (
        "DRS does not know the job drsjob-00000000000000000 in us-east-1 of account 111122223333"
        in result.err
    )
    assert aws.run("job", "i-0123").code == 2
