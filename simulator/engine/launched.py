"""What a fleet says about a server's launched copy: its address, listeners, commands and launch actions."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from simulator.engine.timings import Seconds

_LOOPBACK: Final = IPv4Network("127.0.0.0/8")

Port = Annotated[int, Field(ge=1, le=65535)]
HttpStatus = Annotated[int, Field(ge=200, le=599)]


def _loopback(address: str) -> str:
    """Accept only loopback addresses: a fleet must not open a port to other machines."""
    try:
        if IPv4Address(address) in _LOOPBACK:
            return address
    except ValueError:
        pass
    raise ValueError(f"{address!r} is not an address of {_LOOPBACK}")


Address = Annotated[str, AfterValidator(_loopback)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listener(_Model):
    """A port that is open on the launched copy.

    :param status: the status of an HTTP answer
    :param path: the only path that is answered so, any other path gets a 404; None answers all paths
    :param body: the body of the HTTP answer; over plain TCP, what is sent before the connection closes
    """

    port: Port
    protocol: Literal["tcp", "http"]
    status: HttpStatus = 200
    path: Annotated[str, Field(pattern=r"^/[^?#\s]*$")] | None = None
    body: str = ""

    @model_validator(mode="after")
    def _speaks_http(self) -> Self:
        if self.protocol == "tcp" and self.model_fields_set & {"status", "path"}:
            raise ValueError("status and path need protocol http, but protocol is tcp")
        return self


class Commands(_Model):
    """What commands of Run Command write to standard output on the launched copy."""

    output: str = ""


class LaunchAction(_Model):
    """One of DRS's post-launch actions of a server; they run in the order of the fleet.

    :param code: the name of the Systems Manager document
    :param optional: whether the launch counts as a success even if the action fails
    :param seconds: how long it runs, in DRS time
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 /_-]{0,255}$")]
    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9-/:]+$")] = "AWS-RunShellScript"
    type: Literal["SSM_AUTOMATION", "SSM_COMMAND"] = "SSM_COMMAND"
    optional: bool = False
    seconds: Seconds = 30.0
