"""What the processes of a job need from the account and Region in which they work."""

from __future__ import annotations

from typing import Protocol

from drs.aws.states import LaunchStatus
from simulator.engine.ec2 import Ec2
from simulator.engine.model import Job, Participant, RecoveryInstance, SourceServer
from simulator.engine.replication import ReplicationStatus
from simulator.engine.world import World


class Estate(Protocol):
    """The account and Region in which a job works."""

    account: str
    region: str
    world: World
    ec2: Ec2
    servers: dict[str, SourceServer]
    recovery_instances: dict[str, RecoveryInstance]

    def replication(self, server_id: str) -> ReplicationStatus:
        """Return how the server replicates now."""

    def earlier_instances(self, server_id: str) -> list[RecoveryInstance]:
        """Return the recovery instances that the server has."""

    def add_instance(self, instance: RecoveryInstance) -> None:
        """Add a recovery instance that was launched."""

    def forget_instance(self, instance: RecoveryInstance) -> None:
        """Remove a recovery instance that is gone, also from the server and from its LAUNCH job."""

    def set_launch_status(self, job: Job, participant: Participant, status: LaunchStatus) -> None:
        """Record a server's launch status in the job, and in the server if this is its last job."""

    def arn(self, kind: str, resource_id: str) -> str:
        """Return the ARN of one of this estate's resources."""
