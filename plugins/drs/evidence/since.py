"""What has changed in a plan, or in the servers of its waves, since the plan last passed a full drill.

A partial run or a dry run is never a pass of the plan.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterator, Mapping

from pydantic import ValidationError

from drs.evidence.record import Evidence
from drs.evidence.store import EvidenceStore
from drs.evidence.summary import passed_in_full
from drs.plan import Plan
from drs.plan.changes import changes
from drs.run.records import Resolution
from drs.text.tables import first_of

LOOK_BACK = 50
"""How many of a plan's newest records are read for its last full pass, since reading may be slow."""


def last_full_pass(store: EvidenceStore, plan: str, limit: int = LOOK_BACK) -> Evidence | None:
    """The newest record of a full drill that passed; ``None`` if the newest ``limit`` records have none."""
    for _, record in itertools.islice(store.newest_first(plan), limit):
        if not isinstance(record, str) and passed_in_full(record):
            return record
    return None


def changed_keys(record: Evidence, plan: Plan) -> list[str]:
    """The keys of the plan that have changed since the record was written.

    The content in the record is read as today's plan first, so that a key which this version added with its
    default does not count as a change.
    """
    then: Mapping[str, object] = record.plan.content
    with contextlib.suppress(ValidationError):  # a key that this version does not know any more is a change
        then = Plan.model_validate(then).model_dump(mode="json")
    return changes(then, plan.model_dump(mode="json"))


def changed_servers(
    record: Evidence, plan: Plan, resolution: Resolution, troubled: Collection[str]
) -> list[str]:
    """The servers that the plan's tags put into each wave since the record was written, or no longer do.

    Servers that the plan lists by id are not compared here: they are keys of the plan. Preflight leaves out
    an optional server that it finds a problem with, so a server that preflight names now, or named then, does
    not count as added or removed.

    :param resolution: the servers of each wave now
    :param troubled: the servers that preflight's findings name now
    """
    listed = {server for wave in plan.waves for server in plan.listed_servers(wave.name)}
    listed |= _listed(record.plan.content)
    named_then = {finding.server_id for finding in record.findings}
    then = {wave.name: {server.server_id for server in wave.servers} - listed for wave in record.waves}
    now = {
        name: {server.server_id for server in wave.servers} - listed
        for name, wave in resolution.waves.items()
    }
    return list(_compared(then, now, named_then, set(troubled)))


def _compared(
    then: Mapping[str, set[str]],
    now: Mapping[str, set[str]],
    named_then: Collection[str | None],
    named_now: Collection[str],
) -> Iterator[str]:
    for wave in dict.fromkeys([*now, *then]):
        before, after = then.get(wave, set()), now.get(wave, set())
        if came := sorted(server for server in after - before if server not in named_then):
            yield f"wave {wave}: added {first_of(came)}"
        if went := sorted(server for server in before - after if server not in named_now):
            yield f"wave {wave}: removed {first_of(went)}"


def _listed(content: Mapping[str, object]) -> set[str]:
    """The servers that a recorded plan lists by id."""
    groups = content.get("protection_groups")
    found: set[str] = set()
    for group in groups.values() if isinstance(groups, Mapping) else ():
        found.update(group.get("source_servers") or ())
    return found
