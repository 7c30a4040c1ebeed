"""The EC2 that the engine launches into, as a protocol: the engine depends on no particular EC2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Missing = Literal["template", "subnet", "security_groups"]


class Ec2Error(Exception):
    """EC2 refused a call. The text is the raw error that DRS would write into the job's log."""


@dataclass(frozen=True)
class Placement:
    """Where a launch template puts an instance; None means EC2's default.

    :param missing: what does not exist in EC2, although the launch configuration or the template names it
    """

    subnet_id: str | None = None
    security_group_ids: tuple[str, ...] = ()
    instance_type: str = "m5.large"
    missing: tuple[Missing, ...] = ()


class Ec2(Protocol):
    """The EC2 of one account and Region."""

    def ensure_subnet(self, subnet_id: str, *, name: str | None = None, cidr: str | None = None) -> None:
        """Create the subnet if it does not exist. :raises Ec2Error: EC2 refuses the CIDR block."""

    def ensure_security_group(self, group_id: str, *, name: str | None = None) -> None:
        """Create the security group if it does not exist. :raises Ec2Error: the name is in use."""

    def create_launch_template(self, name: str, placement: Placement) -> str:
        """Create a launch template, and all that it names except for what is missing; return its id."""

    def launch(
        self,
        template_id: str,
        tags: dict[str, str],
        *,
        stopped: bool,
        at: datetime,
        private_ip: str | None = None,
    ) -> str:
        """Launch one instance with the template's default version, and return its id.

        :param private_ip: None takes a free address of the subnet
        :raises Ec2Error: EC2 refuses the launch
        """

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance. It is no error if it is already gone. :raises Ec2Error: it is protected."""

    def state(self, instance_id: str) -> str:
        """Return EC2's name for the instance's state, or ``not_found``."""

    def private_ip(self, instance_id: str) -> str | None:
        """Return the instance's private address, or None if it has none any more."""
