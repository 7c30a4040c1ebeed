"""AWS as preflight asks it, through an Airflow connection: one session, so that a role is assumed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drs.calls import Drs
from drs.hook import DrsHook
from drs.preflight import Clients


def connect(parameters: Mapping[str, Any]) -> Clients:
    """The clients of a connection in a Region.

    :param parameters: ``aws_conn_id``, ``region_name``, ``verify`` and ``botocore_config``
    :raises botocore.exceptions.ClientError: STS refuses the connection's role
    """
    config = dict(parameters)
    hook = DrsHook(config=config.pop("botocore_config"), **config)
    session = hook.get_session(region_name=hook.region_name)

    def client(service: str) -> Any:
        return session.client(
            service,
            endpoint_url=hook.conn_config.get_service_endpoint_url(service),
            config=hook.config,
            verify=hook.verify,
        )

    return Clients(drs=Drs(client("drs")), ec2=client("ec2"), sts=client("sts"), iam=client("iam"))
