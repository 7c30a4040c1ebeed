"""Which plans share servers, as far as the plan files show. A server takes part in one drill at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product

from drs.plan.model import Plan


@dataclass(frozen=True)
class Overlap:
    """Two plans of one account and Region that share servers, or may share them.

    :param plans: the names of the two plans
    :param servers: the servers that both plans list
    :param groups: every pair of groups, one of each plan, whose tags one and the same server may have; only
        DRS knows whether there is such a server
    """

    plans: tuple[str, str]
    servers: tuple[str, ...]
    groups: tuple[tuple[str, str], ...]


def overlaps(plans: Iterable[Plan]) -> Iterator[Overlap]:
    """Every pair of plans that share servers or may share them."""
    for one, other in combinations({plan.name: plan for plan in plans}.values(), 2):
        here, there = ((plan.target.account_id, plan.target.region) for plan in (one, other))
        if here != there:
            continue
        servers = tuple(sorted(_listed(one) & _listed(other)))
        groups = tuple(_compatible_groups(one, other))
        if servers or groups:
            yield Overlap((one.name, other.name), servers, groups)


def _listed(plan: Plan) -> set[str]:
    return {server for wave in plan.waves for server in plan.listed_servers(wave.name)}


def _compatible_groups(one: Plan, other: Plan) -> Iterator[tuple[str, str]]:
    for (name, tags), (other_name, other_tags) in product(_selectors(one), _selectors(other)):
        if all(other_tags.get(key, value) == value for key, value in tags.items()):
            yield name, other_name


def _selectors(plan: Plan) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The groups that find their servers by tags, each with its tags."""
    for name, group in plan.protection_groups.items():
        if group.server_tags is not None:
            yield name, group.server_tags
