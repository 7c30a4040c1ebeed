"""One launched server, and what its checks can find out about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from drs.aws.clients import AsyncAwsClients
from drs.validation.wave_reader import WaveReader
from drs.validation.wave_to_check import ServerToCheck, WaveToCheck

AddressKind = Literal["private_ip", "public_ip", "dns"]


@dataclass(frozen=True, slots=True)
class LaunchedServer:
    """What a check of type ``python`` gets about its server.

    :param server_id: the id of the source server in DRS
    :param name: the name of the source server
    :param instance_id: the EC2 instance that was launched from it
    :param private_ip: the private address of the instance, from EC2
    :param public_ip: the public address of the instance
    :param dns: the public DNS name of the instance, or its private one if there is no public one
    :param job_id: the DRS job that launched the instance
    :param is_drill: false in a real recovery
    :param region: the Region of the instance
    :param aws_conn_id: the Airflow connection that the plan names
    """

    plan: str
    wave: str
    group: str
    server_id: str
    name: str
    instance_id: str
    private_ip: str | None
    public_ip: str | None
    dns: str | None
    job_id: str
    is_drill: bool
    region: str
    aws_conn_id: str


class Subject:
    """One server of the wave, and what AWS says about it.

    :param wave: the wave
    :param server: the server
    :param reader: reads what AWS says about the wave's servers
    """

    def __init__(self, wave: WaveToCheck, server: ServerToCheck, reader: WaveReader) -> None:
        self.wave = wave
        self.server = server
        self._reader = reader

    @property
    def clients(self) -> AsyncAwsClients:
        """Gives the clients of AWS."""
        return self._reader.clients

    async def recovery_instance(self) -> Mapping[str, Any] | None:
        """The recovery instance in DRS that the run's own job launched from the server."""
        return (await self._reader.recovery_instances()).get((self.server.job_id, self.server.server_id))

    async def instance_id(self) -> str:
        """The id of the server's instance in EC2."""
        return await self._reader.instance_id(self.server)

    async def instance(self) -> Mapping[str, Any] | None:
        """The description of the instance by EC2."""
        return (await self._reader.instances()).get(await self.instance_id())

    async def status(self) -> Mapping[str, Any] | None:
        """The status checks of the instance by EC2."""
        return (await self._reader.statuses()).get(await self.instance_id())

    async def participant(self) -> Mapping[str, Any] | None:
        """The server's entry in its job."""
        job = (await self._reader.jobs()).get(self.server.job_id, {})
        return next(
            (
                each
                for each in job.get("participatingServers", ())
                if each.get("sourceServerID") == self.server.server_id
            ),
            None,
        )

    async def address(self, kind: AddressKind) -> str | None:
        """The instance's address of this kind, or ``None`` if EC2 names none."""
        launched = await self.launched()
        return {"private_ip": launched.private_ip, "public_ip": launched.public_ip, "dns": launched.dns}[kind]

    async def launched(self) -> LaunchedServer:
        """What a check of type ``python`` gets about the server."""
        wave, server = self.wave, self.server
        instance = await self.instance() or {}
        return LaunchedServer(
            plan=wave.plan,
            wave=wave.wave,
            group=server.group,
            server_id=server.server_id,
            name=server.name,
            instance_id=await self.instance_id(),
            private_ip=instance.get("PrivateIpAddress") or None,
            public_ip=instance.get("PublicIpAddress") or None,
            dns=instance.get("PublicDnsName") or instance.get("PrivateDnsName") or None,
            job_id=server.job_id,
            is_drill=wave.is_drill,
            region=wave.region,
            aws_conn_id=wave.aws_conn_id,
        )
