"""The report on a failed wave: the message is short, and the details above it are complete."""

from __future__ import annotations

from collections.abc import Sequence

from drs.aws.access_denied import statement
from drs.aws.jobs import LogEvent, Participant
from drs.explain import explain_failure
from drs.explain.wave_report import (
    FailedServer,
    causes,
    details,
    failed_servers,
    remedy,
    servers_table,
)
from drs.run.records import ServerRecord
from tests.unit.drill import APPLICATION, DATABASE, after, make_event, make_job

JOB = "drsjob-1"
THEN = "Then launch again."
DENIED = "You are not authorized to perform: {}"


def server(server_id: str, error: str | None = None) -> ServerRecord:
    return ServerRecord(
        server_id=server_id,
        name=f"name of {server_id}",
        job_id=JOB,
        launched=error is None,
        optional=False,
        error=error,
    )


def failed(*raw_errors: str) -> list[FailedServer]:
    """Servers of one job that failed with these errors."""
    ids = [f"s-{number:017x}" for number in range(len(raw_errors))]
    log: Sequence[LogEvent] = [
        make_event(number, "LAUNCH_FAILED", server_id, raw_error=raw_error)
        for number, (server_id, raw_error) in enumerate(zip(ids, raw_errors, strict=True))
    ]
    job = make_job(JOB, *(Participant(each, "FAILED") for each in ids), status="COMPLETED", ended=after(600))
    servers = [server(each, raw) for each, raw in zip(ids, raw_errors, strict=True)]
    return failed_servers(servers, {JOB: job}, {JOB: log}, after(600))


def test_missing_permissions_become_one_statement() -> None:
    """The statement covers all servers, so that a person changes the policy only once."""
    text = remedy(failed(DENIED.format("ec2:RunInstances"), DENIED.format("ec2:CreateVolume")), THEN)
    assert statement(["ec2:CreateVolume", "ec2:RunInstances"]) in text
    assert text.count("Effect") == 1


def test_an_explicit_deny_has_no_statement_to_add() -> None:
    """No Allow overrides a Deny."""
    raw = DENIED.format("ec2:RunInstances with an explicit deny in a service control policy")
    assert remedy(failed(raw), THEN) == f"{explain_failure(raw, []).remedy}\n{THEN}"


def test_many_remedies_are_cut_and_the_rest_is_said_to_be_above() -> None:
    """The message has three remedies, each once, and the number of the others."""
    raws = ("VcpuLimitExceeded", "InsufficientInstanceCapacity", "OptInRequired", "InvalidIPAddress.InUse")
    text = remedy(failed(*raws, *raws), THEN).splitlines()
    assert text == [explain_failure(raw, []).remedy for raw in raws[:3]] + [
        "The log above shows all remedies (1 more).",
        THEN,
    ]


def test_a_message_names_five_servers_of_a_cause() -> None:
    """It also says how many more there are."""
    text = causes(failed(*["VcpuLimitExceeded"] * 7))
    assert text.count(f"in job {JOB}") == 5
    assert " and 2 more: the account's vCPU quota is used up (VcpuLimitExceeded)" in text


def test_the_table_tells_a_live_job_from_a_failed_launch() -> None:
    """A server whose job has not ended may still launch."""
    live = server(DATABASE[1], "its job is still live").model_copy(update={"live": True})
    rows = servers_table(
        [
            server(DATABASE[0]),
            live,
            live.model_copy(update={"optional": True}),
            server(APPLICATION[0], "no capacity"),
        ]
    ).splitlines()[2:]
    for row, words in zip(
        rows, ("launched", "STILL LAUNCHING", "STILL LAUNCHING (optional)", "FAILED"), strict=True
    ):
        assert f"  {words}  " in row


def test_a_long_error_is_cut_in_the_message_and_whole_in_the_details() -> None:
    """An encoded authorization message has about a thousand characters."""
    raw = "UnauthorizedOperation: Encoded authorization failure message: " + "x" * 1000
    (each,) = failed(raw)
    assert raw not in causes([each])
    assert raw in details([each.server], [each])


def test_a_failure_shows_its_own_events_and_the_job_s() -> None:
    """It does not show the events of other servers."""
    log = [
        make_event(0, "JOB_START"),
        make_event(1, "SNAPSHOT_START", DATABASE[0]),
        make_event(2, "LAUNCH_END", APPLICATION[0]),
        make_event(3, "JOB_END"),
    ]
    job = make_job(JOB, Participant(DATABASE[0], "FAILED"), status="COMPLETED", ended=after(3))
    (each,) = failed_servers([server(DATABASE[0], "?")], {JOB: job}, {JOB: log}, after(3))
    assert [line.split()[-1] for line in each.lines() if " UTC  " in line] == [
        "JOB_START",
        "SNAPSHOT_START",
        "JOB_END",
    ]
