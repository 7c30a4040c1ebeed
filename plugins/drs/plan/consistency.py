"""Checks between the parts of a plan: names refer to something, waves have an order, servers launch once.

The checks read everything that is readable, in a file's raw data as well as in a finished plan. So when one
value of a plan is wrong, the contradictions in all other places are still reported, at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic_core import PydanticCustomError

from drs.aws.quotas import MAX_JOBS_IN_PROGRESS, MAX_SERVERS_PER_JOB
from drs.errors import Code
from drs.plan import durations
from drs.plan.cycles import cycles
from drs.plan.near import Names, shown
from drs.plan.places import misplaced
from drs.plan.problems import PlanContradiction
from drs.text.tables import first_of

INCONSISTENT = "plan_inconsistent"
"""The error type under which a plan reports its contradictions to pydantic."""
APPROVAL_OF_CLEANUP = timedelta(hours=24)
"""How long people have to approve the clean-up, unless the plan says otherwise."""
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class _Wave:
    """What the checks need to know about a wave, as far as it could be read."""

    index: int
    name: str
    groups: Sequence[str]
    depends_on: Sequence[str]
    launches_jobs: object

    def at(self, *path: str | int) -> tuple[str | int, ...]:
        return ("waves", self.index, *path)


def contradictions(plan: object) -> Iterator[PlanContradiction]:
    """Every contradiction in a plan, or in the mapping from which a plan is to be made."""
    groups = _groups(plan)
    waves = _waves(plan)
    yield from _names(waves)
    yield from _group_names(plan, groups, waves)
    yield from _servers(groups, waves)
    yield from _dependencies(waves)
    yield from _limits(groups, waves)
    yield from _checks(plan, groups)
    yield from _objectives(plan)
    yield from _cleanup(plan)
    yield from _notifications(plan)
    yield from _places(plan)


def _names(waves: Sequence[_Wave]) -> Iterator[PlanContradiction]:
    first: dict[str, _Wave] = {}
    for wave in waves:
        if wave.name and first.setdefault(wave.name, wave) is not wave:
            message = (
                f"Two waves are called {shown(wave.name)}; the first is waves[{first[wave.name].index}]."
            )
            yield PlanContradiction(
                wave.at("name"), Code.INVALID_FIELD, message, "Give each wave a name of its own."
            )


def _group_names(
    plan: object, groups: Mapping[str, object], waves: Sequence[_Wave]
) -> Iterator[PlanContradiction]:
    used: dict[str, _Wave] = {}
    meant: set[str] = set()  # groups that a misspelled name most likely means: they count as used
    names = Names(groups)
    for wave in waves:
        for position, group in enumerate(wave.groups):
            path = wave.at("protection_groups", position)
            if group not in groups:
                near = names.nearest(group)
                meant.update([near] if near else [])
                remedy = f"Did you mean {near}?" if near else _known("groups", groups)
                message = (
                    f"The wave launches {shown(group)}, but protection_groups has no group of that name."
                )
                yield PlanContradiction(path, Code.INVALID_FIELD, message, remedy)
            elif group not in used:
                used[group] = wave
            else:
                message = (
                    f"The protection group {shown(group)} is already launched by the wave "
                    f"{shown(used[group].name)}."
                )
                remedy = "Launch each group in one wave: DRS runs one job at a time for a server."
                yield PlanContradiction(path, Code.SERVER_CONFLICT, message, remedy)
    # A wave that cannot be read may launch any of the groups, so none can be called unused.
    if waves and len(waves) == len(_items(_part(plan, "waves"))) and all(wave.groups for wave in waves):
        for group in groups:
            if group not in used and group not in meant:
                message = f"No wave launches the protection group {shown(group)}."
                remedy = f"Add {shown(group)} to a wave's protection_groups, or remove it."
                yield PlanContradiction(("protection_groups", group), Code.INVALID_FIELD, message, remedy)


def _servers(groups: Mapping[str, object], waves: Sequence[_Wave]) -> Iterator[PlanContradiction]:
    wave_of = {group: wave.name for wave in reversed(waves) for group in wave.groups}
    first: dict[str, str] = {}
    for group, content in groups.items():
        for position, server in enumerate(_items(_part(content, "source_servers"))):
            if not isinstance(server, str):
                continue
            if server not in first:
                first[server] = group
                continue
            path = ("protection_groups", group, "source_servers", position)
            here, there = wave_of.get(group), wave_of.get(first[server])
            if first[server] == group:
                listed = "listed twice in this group"
            elif here == there:
                listed = f"also listed in the group {shown(first[server])}"
            else:
                listed = f"also listed in the group {shown(first[server])} of the wave {shown(there)}"
            message = f"The server {shown(server)} is {listed}."
            remedy = "Keep it in one place: DRS runs one job at a time for a server."
            yield PlanContradiction(path, Code.SERVER_CONFLICT, message, remedy)


def _dependencies(waves: Sequence[_Wave]) -> Iterator[PlanContradiction]:
    by_name: dict[str, _Wave] = {}
    for wave in waves:
        by_name.setdefault(wave.name, wave)
    names = Names(by_name)
    for wave in waves:
        seen: set[str] = set()
        for position, name in enumerate(wave.depends_on):
            path = wave.at("depends_on", position)
            if name not in by_name:
                near = names.nearest(name)
                remedy = f"Did you mean {near}?" if near else _known("waves", by_name)
                message = f"The wave depends on {shown(name)}, but no wave has that name."
                yield PlanContradiction(path, Code.INVALID_FIELD, message, remedy)
            elif name in seen:
                message = f"The wave names {shown(name)} twice."
                yield PlanContradiction(path, Code.INVALID_FIELD, message, "Name it once.")
            seen.add(name)
    yield from _cycles(by_name)


def _cycles(waves: Mapping[str, _Wave]) -> Iterator[PlanContradiction]:
    for circle in cycles({name: wave.depends_on for name, wave in waves.items()}):
        # Start with the topmost wave: it depends on a later one, so the file has its depends_on.
        top = min(circle, key=lambda name: waves[name].index)
        turn = circle.index(top)
        named = [shown(name) for name in (*circle[turn:], *circle[:turn], top)]
        if len(named) > _MOST_NAMED:
            named = [*named[: _MOST_NAMED - 2], "…", named[-1]]
        yield PlanContradiction(
            waves[top].at("depends_on"),
            Code.INVALID_FIELD,
            f"Waves wait for each other: {' → '.join(named)} (each depends on the next).",
            "Remove one of these dependencies. A wave without depends_on depends on the wave above it; "
            "depends_on: [] depends on none.",
        )


def _limits(groups: Mapping[str, object], waves: Sequence[_Wave]) -> Iterator[PlanContradiction]:
    counted: set[str] = set()  # a group in two waves is a problem of its own
    for wave in waves:
        own = set(wave.groups) - counted
        counted |= own
        servers = {
            server
            for group in own
            for server in _items(_part(groups.get(group), "source_servers"))
            if isinstance(server, str)
        }
        if len(servers) > MAX_SERVERS_PER_JOB:
            message = (
                f"The wave {shown(wave.name)} has {len(servers)} servers; a job of DRS takes at most 100."
            )
            remedy = "Split the wave into waves of at most 100 servers."
            yield PlanContradiction(
                wave.at("protection_groups"), Code.WAVE_SIZE_LIMIT_EXCEEDED, message, remedy
            )
        elif len(servers) > MAX_JOBS_IN_PROGRESS and wave.launches_jobs == "per_server":
            message = (
                f"The wave {shown(wave.name)} launches {len(servers)} servers with one job each; "
                "DRS runs at most 20 jobs at a time."
            )
            remedy = "Set launch: {jobs: per_wave} in this wave, or split it."
            yield PlanContradiction(
                wave.at("protection_groups"), Code.CONCURRENT_JOBS_LIMIT_EXCEEDED, message, remedy
            )


def _checks(plan: object, groups: Mapping[str, object]) -> Iterator[PlanContradiction]:
    lists: list[tuple[tuple[str | int, ...], object]] = [
        (("waves", index), wave) for index, wave in enumerate(_items(_part(plan, "waves")))
    ]
    lists += [(("protection_groups", name), group) for name, group in groups.items()]
    for path, part in lists:
        for position, check in enumerate(_items(_part(part, "validation"))):
            if _part(check, "scheme") == "https" and _part(check, "port") in (None, 80):
                message = "The check uses https on port 80, which is the port of http (and the default)."
                place = (*path, "validation", position, "port")
                remedy = "Write port: 443, or the port at which the servers answer https."
                yield PlanContradiction(place, Code.INVALID_FIELD, message, remedy)


def _objectives(plan: object) -> Iterator[PlanContradiction]:
    objectives = _part(plan, "objectives")
    if _part(objectives, "enforce") is True and not (_part(objectives, "rto") or _part(objectives, "rpo")):
        message = "enforce has no effect without an rto or an rpo: there is nothing to enforce."
        remedy = "Add rto or rpo, or remove enforce."
        yield PlanContradiction(("objectives", "enforce"), Code.INVALID_FIELD, message, remedy)


def _cleanup(plan: object) -> Iterator[PlanContradiction]:
    """Keys of the section cleanup that have no effect with its ``when``: each promises what no run does.

    A value that equals the default counts as not written, because the plan that a run records has all
    defaults.
    """
    cleanup = _part(plan, "cleanup")
    when = _part(cleanup, "when")
    when = "always" if when is None else when
    kept = _duration(_part(cleanup, "keep_for"))
    if kept and when == "never":
        message = "keep_for has no effect with when: never, which keeps the instances for good."
        remedy = (
            "Remove keep_for, and the instances are kept for good. Or remove when: never, and they are "
            "terminated after keep_for."
        )
        yield PlanContradiction(("cleanup", "keep_for"), Code.INVALID_FIELD, message, remedy)
    elif kept and when == "after_approval":
        message = (
            "keep_for has no effect with when: after_approval, where a person decides when the instances "
            "are terminated."
        )
        remedy = "Remove keep_for. Without an answer, the instances are kept for approval_timeout."
        yield PlanContradiction(("cleanup", "keep_for"), Code.INVALID_FIELD, message, remedy)
    if when not in ("always", "on_success", "never"):
        return
    answer_within = _duration(_part(cleanup, "approval_timeout"))
    unread = {
        "approval_timeout": answer_within not in (None, APPROVAL_OF_CLEANUP),
        "approvers": bool(_items(_part(cleanup, "approvers"))),
    }
    for key, written in unread.items():
        if written:
            message = f"{key} has no effect with when: {when}, where nobody is asked."
            remedy = f"Remove {key}, or write when: after_approval."
            yield PlanContradiction(("cleanup", key), Code.INVALID_FIELD, message, remedy)


def _notifications(plan: object) -> Iterator[PlanContradiction]:
    notifications = _part(plan, "notifications")
    if _part(notifications, "aws_conn_id") and not _part(notifications, "sns_topic_arn"):
        message = "aws_conn_id has no effect without sns_topic_arn: it is only used to publish to that topic."
        remedy = "Add sns_topic_arn, or remove aws_conn_id."
        yield PlanContradiction(("notifications", "aws_conn_id"), Code.INVALID_FIELD, message, remedy)


def _places(plan: object) -> Iterator[PlanContradiction]:
    home = _part(_part(plan, "target"), "region")
    if isinstance(home, str):
        yield from misplaced(plan, home)


def _known(what: str, names: Mapping[str, object]) -> str:
    """The remedy for a name that is near none of the names that exist."""
    named = first_of([shown(name) for name in names])
    return f"The {what} of this plan are: {named}." if named else f"The plan has no {what}: define one first."


def _groups(plan: object) -> Mapping[str, object]:
    groups = _part(plan, "protection_groups")
    return groups if isinstance(groups, Mapping) else {}


def _waves(plan: object) -> Sequence[_Wave]:
    waves: list[_Wave] = []
    default = _part(_part(plan, "launch"), "jobs") or "per_server"
    above = ""
    for index, wave in enumerate(_items(_part(plan, "waves"))):
        name = _part(wave, "name")
        if not isinstance(name, str):
            above = ""
            continue
        named = _part(wave, "depends_on")
        depends_on = [above] if named is None and above else _names_in(named)
        jobs = _part(_part(wave, "launch"), "jobs") or default
        waves.append(_Wave(index, name, _names_in(_part(wave, "protection_groups")), depends_on, jobs))
        above = name
    return waves


def _part(whole: object, key: str) -> object:
    """One part of a plan, which is an object or still a mapping; None if it is absent or unreadable."""
    if isinstance(whole, Mapping):
        return whole.get(key)
    return getattr(whole, key, None)


def _duration(value: object) -> timedelta | None:
    try:
        return durations.parse(value)
    except PydanticCustomError:
        return None


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _names_in(value: object) -> Sequence[str]:
    return [item for item in _items(value) if isinstance(item, str)]
