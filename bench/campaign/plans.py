"""The plans that a campaign drills, each with its DAG, its fleet and the parameters of a run."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.campaign.aws import ACCOUNT, REGION
from bench.campaign.machines import GROUP, SUBNET
from bench.campaign.rules import Node, nodes_of
from drs.dag_factory import drill_dag
from drs.plan import Plan
from drs.plan.naming import dag_id
from simulator.engine.fleet import Fleet

SERVERS = tuple(f"s-{number:017x}" for number in range(0x3C1730A9E0771E01, 0x3C1730A9E0771E0B))
"""The source servers of the account."""


@dataclass(frozen=True)
class Shape:
    """One plan, ready to be drilled.

    :param nodes: the tasks of its DAG
    :param params: the default parameters of a run
    """

    plan: Plan
    nodes: Mapping[str, Node]
    params: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def dag_id(self) -> str:
        return dag_id(self.plan.name)

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers of all waves, in their order."""
        return tuple(server for wave in self.plan.waves for server in self.plan.listed_servers(wave.name))

    @property
    def required(self) -> tuple[str, ...]:
        """The servers that a green run must have launched."""
        groups = [
            self.plan.protection_groups[name] for wave in self.plan.waves for name in wave.protection_groups
        ]
        return tuple(
            server for group in groups if not group.optional for server in group.source_servers or ()
        )


def _plan(name: str, groups: Mapping[str, Any], waves: list[dict[str, Any]], **parts: Any) -> dict[str, Any]:
    return {
        "name": name,
        "target": {"region": REGION, "account_id": ACCOUNT},
        "network": {"allowed_subnets": [SUBNET], "allowed_security_groups": [GROUP]},
        "protection_groups": {
            group: {"source_servers": list(servers)} if isinstance(servers, tuple) else servers
            for group, servers in groups.items()
        },
        "waves": waves,
        **parts,
    }


def _wave(name: str, **parts: Any) -> dict[str, Any]:
    return {"name": name, "protection_groups": [name], **parts}


_COMMAND = {
    "type": "ssm",
    "document": "AWS-RunShellScript",
    "parameters": {"commands": ["systemctl is-active postgresql"]},
}
_STATUS = [{"type": "instance_status", "timeout": "10m"}]
DOCUMENTS = (
    _plan(
        "started",
        {"database": SERVERS[0:2], "application": SERVERS[2:3], "web": SERVERS[4:5]},
        [_wave("database"), _wave("application"), _wave("web")],
    ),
    _plan(
        "launched",
        {"database": SERVERS[1:2], "application": SERVERS[2:4], "web": SERVERS[4:5]},
        [
            _wave("database", next_wave_when="launched"),
            _wave("application", next_wave_when="validated", validation=_STATUS),
            _wave("web"),
        ],
        cleanup={"keep_for": "10m"},
    ),
    _plan(
        "together",
        {"database": SERVERS[0:3], "application": SERVERS[3:6]},
        [_wave("database", next_wave_when="launched"), _wave("application", validation=_STATUS)],
        launch={"jobs": "per_wave"},
    ),
    _plan(
        "approved",
        {"database": SERVERS[0:2], "web": SERVERS[4:5]},
        [_wave("database", next_wave_when="launched"), _wave("web", approval={"timeout": "2h"})],
        cleanup={"when": "after_approval", "approval_timeout": "1h"},
    ),
    _plan(
        "checked",
        {"database": SERVERS[1:2], "web": SERVERS[6:7]},
        [
            _wave(
                "database", next_wave_when="validated", validation=[_COMMAND, {"type": "tcp", "port": 5432}]
            ),
            _wave(
                "web",
                validation=[{"type": "http", "port": 80, "path": "/health"}, {"type": "launch_actions"}],
            ),
        ],
        objectives={"rto": "1h", "rpo": "15m"},
    ),
    _plan(
        "parallel",
        {
            "database": SERVERS[0:2],
            "application": SERVERS[2:3],
            "extra": {"source_servers": list(SERVERS[4:5]), "optional": True},
        },
        [
            _wave("database"),
            _wave("application", depends_on=[]),
            _wave("extra", depends_on=["database"], next_wave_when="validated"),
        ],
        cleanup={"when": "on_success"},
    ),
)
NEIGHBOUR = _plan("neighbour", {"shared": SERVERS[1:2], "own": SERVERS[8:9]}, [_wave("shared"), _wave("own")])
"""A plan that shares a server with each of the others."""


@functools.cache
def shapes() -> tuple[Shape, ...]:
    """The plans among which the seed chooses."""
    return tuple(shape_of(document) for document in DOCUMENTS)


def shape_named(name: str) -> Shape:
    """The plan of that name. :raises KeyError: there is none"""
    return {shape.name: shape for shape in shapes()}[name]


@functools.cache
def neighbour() -> Shape:
    return shape_of(NEIGHBOUR)


def shape_of(document: Mapping[str, Any]) -> Shape:
    """A plan, ready to be drilled."""
    plan = Plan.model_validate(document)
    dag = drill_dag(plan)
    return Shape(plan, nodes_of(dag), dict(dag.params.dump()))


@functools.cache
def fleet() -> Fleet:
    """The servers of the account."""
    servers: list[dict[str, Any]] = [
        {
            "id": server,
            "hostname": f"server-{n}",
            "address": f"127.1.0.{n}",
            "listeners": [
                {"port": 5432, "protocol": "tcp"},
                {"port": 80, "protocol": "http", "path": "/health"},
            ],
        }
        for n, server in enumerate(SERVERS, 1)
    ]
    servers[6]["launch_actions"] = [{"name": "join the domain"}]
    document = {"accounts": {ACCOUNT: {"regions": {REGION: {"servers": servers}}}}}
    return Fleet.parse(document, "campaign")
