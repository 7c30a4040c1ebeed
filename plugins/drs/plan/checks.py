"""The checks of launched servers that a plan can ask for: one model for each ``type``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from drs.plan import expressions
from drs.plan.durations import PositiveDuration
from drs.plan.fields import DOCUMENT_PATTERN, PATH_PATTERN, DottedPath, ParameterName, Parameters
from drs.plan.near import shown

BAD_EXPRESSION = "plan_expression"
"""The error type of a text that is not a regular expression that RE2 can match."""


def checked_expression(value: str) -> str:
    """Return the value if it is a regular expression that RE2 can match.

    :raises PydanticCustomError: it is not; the context holds ``message`` and ``remedy``
    """
    try:
        expressions.check(value)
    except expressions.ExpressionError as error:
        message = f'"{shown(value)}" is not a regular expression that RE2 can match: {error.why}'
        context = {"message": message, "remedy": error.remedy}
        raise PydanticCustomError(BAD_EXPRESSION, "{message}", context) from None
    return value


Kind = Field(description="The kind of the check.")

CheckTimeout = Annotated[
    PositiveDuration,
    Field(
        description="How long the check is repeated until it passes, counted from the start of the wave's "
        "validation.",
        examples=["5m"],
    ),
]
Address = Annotated[
    Literal["private_ip", "public_ip", "dns"],
    Field(description="The address of the instance to which the check connects."),
]
Port = Annotated[int, Field(strict=True, ge=1, le=65535, description="The TCP port.", examples=[5432])]

DocumentParameter = Annotated[
    tuple[Annotated[str, Field(examples=["systemctl is-active postgresql"])], ...],
    Field(examples=[["systemctl is-active postgresql"]]),
]


class _Check(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InstanceStatusCheck(_Check):
    """EC2's two status checks pass: the system status and the instance status."""

    type: Annotated[Literal["instance_status"], Kind]
    timeout: CheckTimeout = timedelta(minutes=10)

    @property
    def label(self) -> str:
        return "instance_status"


class SsmCheck(_Check):
    """A Systems Manager Run Command document succeeds on the instance.

    Airflow needs no route to the instance.
    """

    type: Annotated[Literal["ssm"], Kind]
    document: Annotated[
        str,
        Field(
            pattern=DOCUMENT_PATTERN,
            description="The Systems Manager document.",
            examples=["AWS-RunShellScript"],
        ),
    ] = "AWS-RunShellScript"
    parameters: Annotated[
        Mapping[ParameterName, DocumentParameter],
        Field(
            description="The document's parameters; each value is a list of texts.",
            examples=[{"commands": ["systemctl is-active postgresql"]}],
        ),
    ] = {}
    timeout: CheckTimeout = timedelta(minutes=10)

    @property
    def label(self) -> str:
        return f"ssm {self.document}"


class TcpCheck(_Check):
    """The server accepts a TCP connection on the port."""

    type: Annotated[Literal["tcp"], Kind]
    address: Address = "private_ip"
    port: Port
    timeout: CheckTimeout = timedelta(minutes=5)

    @property
    def label(self) -> str:
        return f"tcp :{self.port}"


class HttpCheck(_Check):
    """An HTTP GET gets the expected answer.

    Certificates are not verified: they are not issued for this address.
    """

    type: Annotated[Literal["http"], Kind]
    address: Address = "private_ip"
    scheme: Annotated[Literal["http", "https"], Field(description="The scheme of the URL.")] = "http"
    port: Port = 80
    path: Annotated[
        str, Field(pattern=PATH_PATTERN, description="Path and query of the URL.", examples=["/health"])
    ] = "/"
    expect_status: Annotated[
        int, Field(strict=True, ge=100, le=599, description="The expected HTTP status code.", examples=[200])
    ] = 200
    expect_body: Annotated[
        Annotated[str, AfterValidator(checked_expression)] | None,
        Field(
            min_length=1,
            description="A regular expression (in the syntax of RE2) that must match somewhere in the first "
            "64 KiB of the answer's body.",
            examples=['"status": *"ok"'],
        ),
    ] = None
    timeout: CheckTimeout = timedelta(minutes=5)

    @property
    def label(self) -> str:
        return f"{self.scheme} :{self.port}{self.path}"


class LaunchActionsCheck(_Check):
    """All of DRS's own post-launch actions succeeded."""

    type: Annotated[Literal["launch_actions"], Kind]
    timeout: CheckTimeout = timedelta(minutes=30)

    @property
    def label(self) -> str:
        return "launch_actions"


class PythonCheck(_Check):
    """A check of your own: a Python function that receives the launched server and reports what it saw."""

    type: Annotated[Literal["python"], Kind]
    function: Annotated[
        DottedPath,
        Field(
            description="The dotted path of a function that is marked with @drs_check, and that Airflow's "
            "processes can import.",
            examples=["my_team.checks.orders_table"],
        ),
    ]
    parameters: Annotated[
        Parameters,
        Field(description="Additional keyword arguments of the function.", examples=[{"table": "orders"}]),
    ] = {}
    timeout: CheckTimeout = timedelta(minutes=5)

    @property
    def label(self) -> str:
        return f"python {self.function}"


Check = Annotated[
    InstanceStatusCheck | SsmCheck | TcpCheck | HttpCheck | LaunchActionsCheck | PythonCheck,
    Field(discriminator="type", examples=[{"type": "instance_status"}]),
]
Validation = Annotated[
    tuple[Check, ...],
    Field(
        description="The checks that every launched server must pass, in addition to those that are always "
        "made.",
        examples=[[{"type": "instance_status"}]],
    ),
]
