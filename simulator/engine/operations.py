"""The DRS operations that are simulated, and how a fault names operations."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator

Operation = Literal[
    "DescribeJobLogItems",
    "DescribeJobs",
    "DescribeRecoveryInstances",
    "DescribeRecoverySnapshots",
    "DescribeSourceServers",
    "GetLaunchConfiguration",
    "GetRecoveryPlanExecution",
    "GetReplicationConfiguration",
    "InitializeService",
    "ListRecoveryPlanExecutionSteps",
    "ListRecoveryPlanExecutions",
    "ListRecoveryPlans",
    "ListTagsForResource",
    "StartRecovery",
    "TagResource",
    "TerminateRecoveryInstances",
    "UntagResource",
    "UpdateLaunchConfiguration",
]

SIMULATED: Final[frozenset[str]] = frozenset(get_args(Operation))
_OF_ANOTHER_SERVICE: Final = re.compile(r"(?!drs:)[a-z0-9-]+:[A-Z][A-Za-z0-9]+")


def _checked(name: str) -> str:
    if name not in SIMULATED and not _OF_ANOTHER_SERVICE.fullmatch(name):
        raise ValueError(
            f"{name!r} is no operation. Write a simulated operation of DRS by its name, like StartRecovery, "
            "and an operation of another service with the service in front, like iam:SimulatePrincipalPolicy"
        )
    return name


OperationName = Annotated[str, AfterValidator(_checked)]
"""The name of an operation: of DRS by its name alone, of another service as ``service:Operation``."""
