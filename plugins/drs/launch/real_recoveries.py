"""Finds the servers that a drill must not launch now, because they run in a real recovery or start one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drs.aws.calls import DrsCalls
from drs.aws.jobs import Job, live_holders
from drs.aws.states import InitiatedBy


@dataclass(frozen=True)
class RealRecoveries:
    """What DRS shows of real recoveries of some servers.

    :param starting: the live job of a real recovery that holds a server, by server id
    :param running: why a server must not be launched, as a clause, by server id: it has an instance that is
        not a drill's
    """

    starting: Mapping[str, Job]
    running: Mapping[str, str]


def find_real_recoveries(hook: DrsCalls, server_ids: Sequence[str], *, is_drill: bool) -> RealRecoveries:
    """Look for real recoveries of these servers, right before they are launched.

    DRS terminates the recovery instance that a server has when it launches the server again. Preflight looked
    too, but an approval, a delay or a wait may have passed since. Jobs are read before instances: a real
    recovery that ends between the two is then seen by its instance.

    :param is_drill: a drill also keeps away from a real recovery that has not ended: DRS would accept the
        drill's call as soon as it does
    """
    live = hook.live_jobs() if is_drill else ()
    instances = hook.recovery_instances(server_ids)
    recoveries = [job for job in live if job.initiated_by == InitiatedBy.START_RECOVERY]
    return RealRecoveries(
        starting=live_holders(recoveries, server_ids),
        running={
            item[
                "sourceServerID"
            ]: f"it runs in recovery: {item['recoveryInstanceID']} is no drill's, and DRS "
            "would terminate it when the server is launched"
            for item in instances
            if item.get("isDrill") is not True
        },
    )
