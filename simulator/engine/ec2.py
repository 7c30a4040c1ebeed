"""The EC2 that the engine launches into: a port, so that the engine knows no particular EC2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Ec2Error(Exception):
    """EC2 refused; the text is what DRS would write as a job log's raw error."""


@dataclass(frozen=True)
class Placement:
    """Where a launch template puts an instance; None is EC2's default."""

    subnet_id: str | None = None
    security_group_ids: tuple[str, ...] = ()
    instance_type: str = "m5.large"


class Ec2(Protocol):
    """The EC2 of one account and Region."""

    def create_launch_template(self, name: str, placement: Placement) -> str:
        """Create a launch template; return its id."""

    def launch(self, template_id: str, tags: dict[str, str], *, stopped: bool, at: datetime) -> str:
        """Launch one instance by the template's default version; return its id. :raises Ec2Error:"""

    def terminate(self, instance_id: str) -> None:
        """Terminate; an instance that is gone already is no error. :raises Ec2Error: it is protected."""

    def state(self, instance_id: str) -> str:
        """EC2's name of the instance's state, or ``not_found``."""

    def private_ip(self, instance_id: str) -> str | None:
        """The instance's private address, as long as it has one."""
