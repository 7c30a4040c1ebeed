"""The EC2 that the engine launches into: a port, so that the engine knows no particular EC2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Missing = Literal["template", "subnet", "security_groups"]


class Ec2Error(Exception):
    """EC2 refused; the text is what DRS would write as a job log's raw error."""


@dataclass(frozen=True)
class Placement:
    """Where a launch template puts an instance; None is EC2's default.

    :param missing: what EC2 does not have, though the launch configuration or the template names it
    """

    subnet_id: str | None = None
    security_group_ids: tuple[str, ...] = ()
    instance_type: str = "m5.large"
    missing: tuple[Missing, ...] = ()


class Ec2(Protocol):
    """The EC2 of one account and Region."""

    def ensure_subnet(self, subnet_id: str, *, name: str | None = None, cidr: str | None = None) -> None:
        """Make sure that there is a subnet of this id, if need be a new one. :raises Ec2Error: the block."""

    def ensure_security_group(self, group_id: str, *, name: str | None = None) -> None:
        """Make sure that there is a security group of this id. :raises Ec2Error: the name is taken."""

    def create_launch_template(self, name: str, placement: Placement) -> str:
        """Create a launch template and what it names, but for what is missing; return its id."""

    def launch(
        self,
        template_id: str,
        tags: dict[str, str],
        *,
        stopped: bool,
        at: datetime,
        private_ip: str | None = None,
    ) -> str:
        """Launch one instance by the template's default version; return its id. :raises Ec2Error:

        :param private_ip: absent, one of the subnet's
        """

    def terminate(self, instance_id: str) -> None:
        """Terminate; an instance that is gone already is no error. :raises Ec2Error: it is protected."""

    def state(self, instance_id: str) -> str:
        """EC2's name of the instance's state, or ``not_found``."""

    def private_ip(self, instance_id: str) -> str | None:
        """The instance's private address, as long as it has one."""
