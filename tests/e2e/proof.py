"""What DRS did for each server of a drill: how often it was asked, how many jobs it made, what is left."""

from __future__ import annotations

from collections import Counter
from typing import Any

from demo.drill_run import DrillRun
from drs.text.tables import table


def start_calls(run: DrillRun) -> list[dict[str, Any]]:
    """The journal's StartRecovery calls for servers of the run's plan, in the order of their answers."""
    servers = set(_servers(run))
    return [call for call in run.journal(operation="StartRecovery") if set(servers_of(call)) <= servers]


def answers(run: DrillRun) -> list[str | None]:
    """How DRS answered each of these calls: an error code, or None where it made a job and said so."""
    return [call["error"] for call in start_calls(run)]


def servers_of(call: dict[str, Any]) -> list[str]:
    """The servers that a StartRecovery call names."""
    return [server["sourceServerID"] for server in call["parameters"]["sourceServers"]]


def jobs_made(run: DrillRun) -> Counter[str]:
    """How many jobs DRS made of each server as a drill, said so or not.

    The journal cannot tell: a call whose reply was lost may have made its job.
    """
    drills = [job for job in run.jobs() if job["initiatedBy"] == "START_DRILL"]
    made = Counter(server["sourceServerID"] for job in drills for server in job["participatingServers"])
    return Counter({server: made[server] for server in _servers(run)})


def assert_launched_once(run: DrillRun, *, state: str = "success", ends: str = "terminated") -> None:
    """DRS made one job of each of the run's servers, the run ended as expected, and so did its instances.

    The counts are printed.

    :param ends: EC2's state of every instance in the end
    """
    servers = _servers(run)
    instances = [instance for instance in run.instances() if instance.server_id in servers]
    made = jobs_made(run)
    rows = [
        (
            server,
            str(sum(server in servers_of(call) for call in start_calls(run))),
            str(made[server]),
            str(sum(instance.server_id == server for instance in instances)),
            str(sum(instance.server_id == server and instance.is_left for instance in instances)),
        )
        for server in servers
    ]
    print(f"\n{run.plan.name}: {', '.join(answer or 'job' for answer in answers(run))}")
    print(table(("server", "calls", "jobs", "launched", "left"), rows))
    assert run.state() == state, run.describe()
    assert made == dict.fromkeys(servers, 1), run.describe()
    assert {instance.server_id for instance in instances} == set(servers), run.describe()
    assert {instance.state for instance in instances} == {ends}, run.describe()


def _servers(run: DrillRun) -> list[str]:
    return [server for wave in run.plan.waves for server in run.plan.listed_servers(wave.name)]
