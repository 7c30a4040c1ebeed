"""EC2 in memory: what the simulated DRS launches into, with every state that an instance ever had."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator.engine.ec2 import Placement

SUBNET, VPC, GROUP = "subnet-0a1b2c3d4e5f60718", "vpc-0a1b2c3d4e5f60718", "sg-0a1b2c3d4e5f60718"


@dataclass
class Machine:
    """One EC2 instance.

    :param states: each state with the time since which it lasts, oldest first
    """

    id: str
    tags: dict[str, str]
    launched: dt.datetime
    type: str
    address: str
    states: list[tuple[dt.datetime, str]] = field(default_factory=list)

    @property
    def state(self) -> str:
        return self.states[-1][1]

    @property
    def ended(self) -> dt.datetime | None:
        at, state = self.states[-1]
        return at if state == "terminated" else None

    def state_at(self, moment: dt.datetime) -> str | None:
        """The state at that moment; ``None`` if the instance did not exist yet."""
        return next((state for since, state in reversed(self.states) if since <= moment), None)

    def describe(self, moment: dt.datetime) -> dict[str, Any]:
        """The instance as DescribeInstances shows it."""
        gone = self.state_at(moment) == "terminated"
        place = {} if gone else {"SubnetId": SUBNET, "VpcId": VPC, "PrivateIpAddress": self.address}
        return {
            "InstanceId": self.id,
            "InstanceType": self.type,
            "LaunchTime": self.launched,
            "State": {"Name": self.state_at(moment)},
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "SecurityGroups": [] if gone else [{"GroupId": GROUP, "GroupName": "drill"}],
            "NetworkInterfaces": [],
            **place,
        }


class Machines:
    """The EC2 of one account and Region. It has the methods of :class:`simulator.engine.ec2.Ec2`."""

    def __init__(self, rng: random.Random, now: Callable[[], dt.datetime]) -> None:
        self._rng = rng
        self._now = now
        self.all: dict[str, Machine] = {}
        self.templates: dict[str, Placement] = {}

    def ensure_subnet(self, subnet_id: str, *, name: str | None = None, cidr: str | None = None) -> None:
        """There is one subnet only."""

    def ensure_security_group(self, group_id: str, *, name: str | None = None) -> None:
        """There is one security group only."""

    def create_launch_template(self, name: str, placement: Placement) -> str:
        template_id = f"lt-{name.removeprefix('drs-s-')}"
        self.templates[template_id] = placement
        return template_id

    def launch(
        self,
        template_id: str,
        tags: dict[str, str],
        *,
        stopped: bool,
        at: dt.datetime,
        private_ip: str | None = None,
    ) -> str:
        instance_id = f"i-{self._rng.getrandbits(68):017x}"
        placement = self.templates[template_id]
        address = private_ip or f"10.0.{len(self.all) // 250}.{len(self.all) % 250 + 4}"
        machine = Machine(instance_id, dict(tags), at, placement.instance_type, address)
        machine.states.append((at, "stopped" if stopped else "running"))
        self.all[instance_id] = machine
        return instance_id

    def terminate(self, instance_id: str) -> None:
        self._change(instance_id, "terminated")

    def stop(self, instance_id: str) -> None:
        """Stop an instance, as a person does in the console."""
        self._change(instance_id, "stopped")

    def _change(self, instance_id: str, state: str) -> None:
        machine = self.all.get(instance_id)
        if machine and machine.state not in (state, "terminated"):
            machine.states.append((self._now(), state))

    def state(self, instance_id: str) -> str:
        return self.all[instance_id].state if instance_id in self.all else "not_found"

    def private_ip(self, instance_id: str) -> str | None:
        machine = self.all.get(instance_id)
        return None if machine is None or machine.ended else machine.address

    def matching(self, filters: Iterable[dict[str, Any]], moment: dt.datetime) -> list[Machine]:
        """The instances that the filters of DescribeInstances choose."""
        found = [each for each in self.all.values() if each.state_at(moment) is not None]
        for wanted in filters:
            name, values = wanted["Name"], set(wanted["Values"])
            found = [each for each in found if _value(each, name, moment) in values]
        return found


def _value(machine: Machine, name: str, moment: dt.datetime) -> str | None:
    if name == "instance-id":
        return machine.id
    if name == "instance-state-name":
        return machine.state_at(moment)
    if name.startswith("tag:"):
        return machine.tags.get(name.removeprefix("tag:"))
    raise NotImplementedError(f"no filter by {name}")
