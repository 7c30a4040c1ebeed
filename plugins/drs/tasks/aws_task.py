"""A task that reaches AWS through a connection, on Airflow's own operator.

The Amazon provider has bases like this one, but declares them internal: they may change in any release.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator

from drs.tasks.hook import DrsHook


class AwsTask(BaseOperator):
    """An operator or sensor with a :class:`~drs.tasks.hook.DrsHook`. It has no templates: the run's record
    says where to act.

    :param aws_conn_id: the Airflow connection; ``None`` uses boto3's default chain
    :param region_name: the Region; ``None`` uses that of the connection
    :param verify: whether TLS certificates are verified, or the file of the authorities to verify them with
    :param botocore_config: settings of botocore's client
    """

    def __init__(
        self,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    @cached_property
    def hook(self) -> DrsHook:
        """The hook, made at its first use: until then a task may choose another connection or Region."""
        return DrsHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )
