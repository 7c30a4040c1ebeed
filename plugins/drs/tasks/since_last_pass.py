"""Says in readiness's log what has changed since a plan last passed a full drill."""

from __future__ import annotations

from collections.abc import Iterator

from drs.evidence.since import LOOK_BACK, changed_keys, changed_servers, last_full_pass
from drs.plan import Plan
from drs.preflight import Report
from drs.tasks.operators.evidence import store
from drs.text.times import minute


def since_last_full_pass(plan: Plan, report: Report) -> list[str]:
    """When the plan last passed a full drill, and what has changed in it or in its servers since then.

    It is information only. If the records cannot be read, it says so, and readiness goes on.
    """
    try:
        return list(_since(plan, report))
    except Exception as error:  # every kind of store raises its own errors
        return [f"Whether the plan has changed since its last full pass is not known: {error}"]


def _since(plan: Plan, report: Report) -> Iterator[str]:
    record = last_full_pass(store(), plan.name)
    if record is None:
        yield f"None of the plan's last {LOOK_BACK} records is of a full drill that passed."
        return
    yield f"Last full pass: {minute(record.run.began_at)} ({record.id})."
    keys = changed_keys(record, plan)
    if keys:
        yield f"The plan's file has changed since then: {', '.join(keys)}."
    servers: list[str] = []
    if report.resolution is None:
        yield "Whether its servers have changed since then is not known: preflight could not resolve them."
    else:
        troubled = {finding.server_id for finding in report.findings if finding.server_id}
        servers = changed_servers(record, plan, report.resolution, troubled)
        if servers:
            yield f"The servers that its tags match have changed since then: {'; '.join(servers)}."
    if report.resolution is not None and not keys and not servers:
        yield "Neither the plan nor the servers that its tags match have changed since then."
