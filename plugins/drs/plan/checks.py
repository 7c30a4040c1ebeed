"""The checks of launched servers that a plan may ask for: one model for each kind, told apart by ``type``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from drs.plan.durations import PositiveDuration
from drs.plan.fields import DottedPath

CheckTimeout = Annotated[
    PositiveDuration,
    Field(
        description="How long the check is tried, from the moment when the wave's servers are launched.",
        examples=["5m"],
    ),
]
Address = Annotated[
    Literal["private_ip", "public_ip", "dns"],
    Field(description="Which of the instance's addresses is called."),
]
Port = Annotated[int, Field(strict=True, ge=1, le=65535, description="The TCP port.", examples=[5432])]


class _Check(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InstanceStatusCheck(_Check):
    """EC2's two status checks, of the system and of the instance, are passed."""

    type: Literal["instance_status"]
    timeout: CheckTimeout = timedelta(minutes=10)

    @property
    def label(self) -> str:
        return "instance_status"


class SsmCheck(_Check):
    """A Run Command document succeeds on the instance, which needs no route to it."""

    type: Literal["ssm"]
    document: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9_.:/-]{3,128}$",
            description="The Systems Manager document.",
            examples=["AWS-RunShellScript"],
        ),
    ] = "AWS-RunShellScript"
    parameters: Annotated[
        Mapping[str, tuple[str, ...]],
        Field(
            description="The document's parameters, each a list of texts.",
            examples=[{"commands": ["systemctl is-active postgresql"]}],
        ),
    ] = {}
    timeout: CheckTimeout = timedelta(minutes=10)

    @property
    def label(self) -> str:
        return f"ssm {self.document}"


class TcpCheck(_Check):
    """A TCP connection to the port is accepted."""

    type: Literal["tcp"]
    address: Address = "private_ip"
    port: Port
    timeout: CheckTimeout = timedelta(minutes=5)

    @property
    def label(self) -> str:
        return f"tcp :{self.port}"


class HttpCheck(_Check):
    """An HTTP GET is answered as expected. A certificate is not verified: it is not made for this address."""

    type: Literal["http"]
    address: Address = "private_ip"
    scheme: Annotated[Literal["http", "https"], Field(description="The scheme of the URL.")] = "http"
    port: Port = 80
    path: Annotated[
        str, Field(pattern=r"^/\S*$", description="Path and query of the URL.", examples=["/health"])
    ] = "/"
    expect_status: Annotated[
        int, Field(strict=True, ge=100, le=599, description="The status of the answer.", examples=[200])
    ] = 200
    expect_body: Annotated[
        str | None,
        Field(
            min_length=1,
            description="A regular expression that must match somewhere in the answer's body.",
            examples=['"status": *"ok"'],
        ),
    ] = None
    timeout: CheckTimeout = timedelta(minutes=5)

    @property
    def label(self) -> str:
        return f"{self.scheme} :{self.port}{self.path}"


class LaunchActionsCheck(_Check):
    """DRS's own post-launch actions have all succeeded."""

    type: Literal["launch_actions"]
    timeout: CheckTimeout = timedelta(minutes=30)

    @property
    def label(self) -> str:
        return "launch_actions"


class PythonCheck(_Check):
    """A check of one's own: a Python function, which gets the launched server and says what it saw."""

    type: Literal["python"]
    function: DottedPath
    parameters: Annotated[
        Mapping[str, JsonValue],
        Field(description="Further keyword arguments of the function.", examples=[{"table": "orders"}]),
    ] = {}
    timeout: CheckTimeout = timedelta(minutes=5)

    @property
    def label(self) -> str:
        return f"python {self.function}"


Check = Annotated[
    InstanceStatusCheck | SsmCheck | TcpCheck | HttpCheck | LaunchActionsCheck | PythonCheck,
    Field(discriminator="type"),
]
Validation = Annotated[
    tuple[Check, ...],
    Field(
        description="What every launched server must pass, beside the checks that are always made.",
        examples=[[{"type": "instance_status"}]],
    ),
]
