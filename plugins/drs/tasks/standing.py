"""Looks whether what a run launched is still there, and records what is not.

Called before every launch call of a later wave, before every question to a person, and when the last wave has
ended.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.call_errors import unavailable
from drs.aws.calls import PAGE, DrsCalls, chunks
from drs.cleanup.drill_instances import DescribeEc2
from drs.errors import RecoveryInstanceLost
from drs.run.ledger import Ledger
from drs.run.log import Log
from drs.run.ownership import LOOK_BEHIND
from drs.run.records import Loss, RunRecord, Stood
from drs.run.standing import (
    Gone,
    OwnInstance,
    describe,
    ec2_id,
    judge_from,
    launched_servers,
    losses,
    missing,
)
from drs.tasks.hook import DrsHook, Ec2Instances
from drs.text import shown
from drs.text.times import utc_now


def require_standing(
    ledger: Ledger, run: RunRecord, hook: DrsCalls, describe_ec2: DescribeEc2, log: Log
) -> None:
    """Check that everything that the run launched so far is still there.

    :raises RecoveryInstanceLost: the instance of a required server is gone, stopped or replaced
    """
    recorded = ledger.at_once()
    find_losses(recorded, run, hook, describe_ec2, log)
    if required := [loss for loss in recorded.losses() if not loss.optional]:
        listed = "\n".join(describe(loss) for loss in required)
        raise RecoveryInstanceLost(
            f"{len(required)} instance(s) of this run were ended by somebody else while the drill was "
            f"active:\n{listed}\nThe run launches nothing more and cleans up."
        )


def require_standing_before_question(ledger: Ledger, run: RunRecord, log: Log) -> None:
    """Check, before a person is asked, that everything that the run launched so far is still there.

    If AWS does not answer, the question is asked all the same: every launch call looks again.

    :raises RecoveryInstanceLost: the instance of a required server is gone, stopped or replaced
    """
    target = run.read_plan().target
    hook = DrsHook(aws_conn_id=target.aws_conn_id, region_name=target.region)
    try:
        require_standing(ledger, run, hook, Ec2Instances(hook=hook), log)
    except (ClientError, BotoCoreError) as error:
        if not unavailable(error):
            raise
        log.warning("AWS did not say whether the launched instances are still there: %s", shown.line(error))


def find_losses(
    ledger: Ledger, run: RunRecord, hook: DrsCalls, describe_ec2: DescribeEc2, log: Log
) -> tuple[tuple[Loss, ...], dt.datetime | None]:
    """Look once, and record the losses that the run did not know yet.

    :return: the new losses; and when to look again, if an instance is missing that DRS may only list late
    """
    known = ledger.losses()
    lost = {loss.instance_id for loss in known}
    servers = [each for each in launched_servers(ledger, run) if each.instance_id not in lost]
    if not servers:
        return (), None
    before = ledger.stood()
    gone = _missing(servers, hook, describe_ec2)
    standing = {server.instance_id for server in servers} - {each.server.instance_id for each in gone}
    ledger.save_stood(Stood(at=utc_now() - hook.clock_ahead, instances=tuple(sorted(standing))))
    if not gone:
        return (), None
    cleanup = ledger.cleanup()
    own = {call.job_id for call in cleanup.terminate_calls} if cleanup else set()
    jobs = [job for job in hook.jobs_since(run.began_at - LOOK_BEHIND) if job.job_id not in own]
    now = utc_now() - hook.clock_ahead
    new = losses(gone, jobs, before, now)
    if new:
        ledger.save_losses((*known, *new))
    for loss in new:
        (log.warning if loss.optional else log.error)("%s", describe(loss))
    again = judge_from(gone)
    return new, again + hook.clock_ahead if again and again > now else None


def _missing(servers: Sequence[OwnInstance], hook: DrsCalls, describe_ec2: DescribeEc2) -> list[Gone]:
    listed = hook.recovery_instances(server.server_id for server in servers)
    jobs = {server.job_id for server in servers}
    ids = {ec2_id(item) for item in listed if item.get("jobID") in jobs}
    ids.update(server.instance_id for server in servers)
    states = {
        item["InstanceId"]: item["State"]["Name"]
        for chunk in chunks(sorted(ids), PAGE)
        for item in describe_ec2([{"Name": "instance-id", "Values": chunk}])
    }
    return missing(servers, listed, states)
