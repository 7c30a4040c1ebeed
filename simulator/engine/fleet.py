"""A fleet file: accounts, their Regions and source servers, the faults and the timings of a simulation.

It is read strictly: an unknown key, a key that is there twice or a wrong value is an error that names the
file and the key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from drs.aws.states import LaunchDisposition, ReplicationState
from simulator.engine.durations import Duration
from simulator.engine.ec2 import Missing, Placement
from simulator.engine.faults import AccountId, AnyFault, ServerId
from simulator.engine.launched import Address, Commands, LaunchAction, Listener
from simulator.engine.timings import RECORDED_PENDING, OperatingSystem, Seconds, TimingOverrides

SubnetId = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")]
SecurityGroupId = Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8,17}$")]
RegionName = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]


class FleetError(Exception):
    """A fleet cannot be used. The message has one line for each problem."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Replication(_Model):
    """How the server replicates. ``last_contact``: how long the agent has been silent (None: it reports)."""

    state: ReplicationState = ReplicationState.CONTINUOUS
    lag: Duration = timedelta(0)
    last_contact: Duration | None = None


class LaunchSettings(_Model):
    """Launch settings of DRS and of the EC2 launch template. Without a subnet, EC2's default one is used.

    :param missing: what is named here but does not exist in EC2
    """

    disposition: LaunchDisposition = LaunchDisposition.STARTED
    subnet: SubnetId | None = None
    security_groups: tuple[SecurityGroupId, ...] = ()
    instance_type: str = "m5.large"
    missing: tuple[Missing, ...] = ()
    copy_tags: bool = False
    fast: bool = False

    @model_validator(mode="after")
    def _misses_what_it_names(self) -> Self:
        for name in ("subnet", "security_groups"):
            if name in self.missing and not getattr(self, name):
                raise ValueError(f"{name} is in missing but not set: name the one that EC2 does not have")
        return self

    def placement(self) -> Placement:
        return Placement(self.subnet, self.security_groups, self.instance_type, self.missing)


class ExistingRecoveryInstance(_Model):
    """A recovery instance that a drill or a real recovery had left before the simulation began."""

    is_drill: bool
    age: Duration = timedelta(hours=6)


class ServerTraits(_Model):
    """The keys that a server may have, and that ``defaults`` may have for all servers."""

    os: OperatingSystem = OperatingSystem.LINUX
    tags: dict[str, str] = {}
    replication: Replication = Replication()
    launch: LaunchSettings = LaunchSettings()
    timings: TimingOverrides = {}
    listeners: tuple[Listener, ...] = ()
    commands: Commands = Commands()
    launch_actions: tuple[LaunchAction, ...] = ()


class Server(ServerTraits):
    """One source server.

    :param address: the private address of the server's launched copy
    """

    id: ServerId
    hostname: str
    address: Address | None = None
    recovery_instance: ExistingRecoveryInstance | None = None

    @model_validator(mode="after")
    def _listens_somewhere(self) -> Self:
        if self.listeners and not self.address:
            raise ValueError("listeners need an address: give the server one of 127.0.0.0/8")
        if len({listener.port for listener in self.listeners}) < len(self.listeners):
            raise ValueError("two listeners have the same port")
        return self


class ServerSeries(ServerTraits):
    """A series of ``count`` similar servers. ``{n}`` in host name, tags and address is the number, from 1 on.

    ``id_prefix`` is completed to a whole id with that number in hexadecimal digits.
    """

    count: Annotated[int, Field(ge=1, le=4000)]
    id_prefix: Annotated[str, Field(pattern=r"^s-[0-9a-zA-Z]{1,13}$")]
    hostname: str
    address: Annotated[str, Field(pattern=r"^127\.\d{1,3}\.\d{1,3}\.\{n\}$")] | None = None

    @model_validator(mode="after")
    def _has_addresses_enough(self) -> Self:
        if self.address and self.count > 254:
            raise ValueError("an address that ends in {n} is enough for 254 servers")
        return self

    def servers(self) -> Iterator[dict[str, Any]]:
        own = {"count", "id_prefix", "hostname", "tags", "address"}
        traits = self.model_dump(exclude_unset=True, exclude=own)
        width = len("s-") + 17 - len(self.id_prefix)
        for n in range(1, self.count + 1):
            yield {
                "id": f"{self.id_prefix}{n:0{width}x}",
                "hostname": self.hostname.replace("{n}", str(n)),
                "tags": {key: value.replace("{n}", str(n)) for key, value in self.tags.items()},
                **({"address": self.address.replace("{n}", str(n))} if self.address else {}),
                **traits,
            }


def _entry_kind(entry: Any) -> str:
    series = "count" in entry if isinstance(entry, dict) else isinstance(entry, ServerSeries)
    return "series" if series else "server"


class Subnet(_Model):
    """A subnet of EC2's default VPC, with an id of the fleet. Without ``cidr`` it gets a free block."""

    id: SubnetId
    name: str | None = None
    cidr: str | None = None


class SecurityGroup(_Model):
    """A security group of EC2's default VPC, with an id that the fleet chooses."""

    id: SecurityGroupId
    name: str | None = None


class Region(_Model):
    initialized: bool = True
    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    servers: tuple[
        Annotated[
            Annotated[Server, Tag("server")] | Annotated[ServerSeries, Tag("series")],
            Discriminator(_entry_kind),
        ],
        ...,
    ] = ()


class Role(_Model):
    """The only role of an account that may be assumed, from any account.

    :param external_id: the external id that AssumeRole must give; None accepts any
    """

    name: Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,64}$")]
    external_id: Annotated[str, Field(pattern=r"^[\w+=,.@:/-]+$", min_length=2, max_length=1224)] | None = (
        None
    )


class Account(_Model):
    """An account, the access key with which its callers sign, and their IAM policies (None: all is allowed).

    :param role: the only role that may be assumed; None allows any role of the account
    """

    access_key_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{20}$")] | None = None
    role: Role | None = None
    policies: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)] | None = None
    regions: Annotated[dict[RegionName, Region], Field(min_length=1)]


class Unknowns(_Model):
    """What DRS does not document. A fleet can change these values."""

    pending_seconds: Seconds = RECORDED_PENDING
    terminate_seconds: Seconds = 60.0
    terminate_jobs_count: bool = True
    terminate_conflict_message: str = (
        "One or more of the Source Servers included in API call are currently being processed by a Job"
    )
    status_check_seconds: Seconds = 120.0
    agent_seconds: Seconds = 90.0
    invocation_seconds: Seconds = 1.0
    command_seconds: Seconds = 3.0
    launch_actions_hold_job: bool = False
    failed_action_fails_launch: bool = False


class Fleet(_Model):
    """A whole fleet file. Every server is complete: series are expanded and defaults are filled in."""

    timings: dict[OperatingSystem, TimingOverrides] = {}
    unknowns: Unknowns = Unknowns()
    accounts: Annotated[dict[AccountId, Account], Field(min_length=1)]
    faults: tuple[AnyFault, ...] = ()

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        addresses: set[str] = set()
        for account_id, account in self.accounts.items():
            for region_name, region in account.regions.items():
                seen: set[str] = set()
                for server in region.servers:
                    assert isinstance(server, Server)
                    if server.id in seen:
                        raise ValueError(f"server {server.id} is listed twice in {account_id}/{region_name}")
                    if server.address in addresses:
                        raise ValueError(f"two servers have the address {server.address}")
                    seen.add(server.id)
                    if server.address:  # an address of this machine, so it must be unique in all accounts
                        addresses.add(server.address)
        return self

    @classmethod
    def parse(cls, document: object, source: str) -> Fleet:
        """Build a fleet from plain data.

        :param source: the file's name, for the messages.
        :raises FleetError: it names every problem.
        """
        try:
            return cls.model_validate(_completed(_Document.model_validate(document)))
        except ValidationError as error:
            raise FleetError("\n".join(_describe(source, problem) for problem in error.errors())) from None

    @classmethod
    def from_yaml(cls, text: str, source: str) -> Fleet:
        """Build a fleet from YAML (or JSON, which is YAML). :raises FleetError: it names every problem."""
        try:
            document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
        except yaml.YAMLError as error:
            raise FleetError(f"{source}: not readable as YAML: {' '.join(str(error).split())}") from None
        return cls.parse(document, source)

    @classmethod
    def load(cls, path: Path | str) -> Fleet:
        """Read a fleet file. :raises FleetError: it is missing, unreadable or wrong."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise FleetError(f"{path}: cannot read the fleet file: {error.strerror}") from None
        return cls.from_yaml(text, str(path))


class _Document(Fleet):
    """The file as it is written: with ``defaults``, and with series that are not yet expanded."""

    defaults: ServerTraits = ServerTraits()

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        return self


def _completed(document: _Document) -> dict[str, Any]:
    defaults = document.defaults.model_dump(exclude_unset=True)
    whole = document.model_dump(exclude_unset=True, exclude={"defaults"}, by_alias=True)
    for account_id, account in document.accounts.items():
        for name, region in account.regions.items():
            whole["accounts"][account_id]["regions"][name]["servers"] = [
                _over(defaults, server) for entry in region.servers for server in _counted_out(entry)
            ]
    return whole


def _counted_out(entry: Server | ServerSeries) -> Iterator[dict[str, Any]]:
    if isinstance(entry, ServerSeries):
        yield from entry.servers()
    else:
        yield entry.model_dump(exclude_unset=True)


def _over(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return ``defaults`` with the values of ``own`` in their place. Mappings are merged key by key."""
    merged = dict(defaults)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def _describe(source: str, problem: Any) -> str:
    """Describe a problem on one line: the file, the key, what is wrong."""
    path: list[str] = []
    location = problem["loc"]
    for place, part in enumerate(location):
        if isinstance(part, int):
            path[-1] += f"[{part}]"
        elif not (place >= 2 and isinstance(location[place - 1], int)):
            path.append(part)
        # After an index, pydantic names the kind by which it chose the model. The file does not contain it.
    reason = {"extra_forbidden": "unknown key", "missing": "required key is missing"}.get(
        problem["type"], problem["msg"].removeprefix("Value error, ")
    )
    return f"{source}: {'.'.join(path) or 'top level'}: {reason}"


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a mapping with the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
