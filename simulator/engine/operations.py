"""The DRS operations that are simulated."""

from __future__ import annotations

from typing import Final, Literal, get_args

Operation = Literal[
    "DescribeJobLogItems",
    "DescribeJobs",
    "DescribeRecoveryInstances",
    "DescribeRecoverySnapshots",
    "DescribeSourceServers",
    "GetLaunchConfiguration",
    "GetReplicationConfiguration",
    "InitializeService",
    "ListTagsForResource",
    "StartRecovery",
    "TagResource",
    "TerminateRecoveryInstances",
    "UntagResource",
    "UpdateLaunchConfiguration",
]

SIMULATED: Final[frozenset[str]] = frozenset(get_args(Operation))
