"""DRS through an Airflow connection."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import FrameType
from typing import TYPE_CHECKING, Any

import botocore.session
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.sdk import BaseOperator
from botocore.config import Config
from botocore.loaders import Loader

from drs.aws.call_errors import ONCE, RETRIES
from drs.aws.calls import DrsCalls
from drs.compat import in_thread

if TYPE_CHECKING:
    from mypy_boto3_drs.client import DrsClient

MODELS = Loader()
"""Reads the service models for all clients of a process."""


def read_models_ahead() -> None:
    """Read what the making of a client reads. A process that forks its tasks spares each of them a part of a
    second by this.
    """
    session = botocore.session.Session()
    session.set_credentials("none", "none")
    session.register_component("data_loader", MODELS)
    for service in ("drs", "ec2", "cloudwatch"):
        session.create_client(service, region_name="us-east-1")
        session.get_paginator_model(service)


class DrsHook(AwsBaseHook, DrsCalls):
    """Interact with AWS Elastic Disaster Recovery.

    Additional arguments (such as ``aws_conn_id``) are passed down to the underlying AwsBaseHook.

    .. seealso::
        - `DRS API reference <https://docs.aws.amazon.com/drs/latest/APIReference/Welcome.html>`__
    """

    once: bool = False
    """Whether the client sends each request once, without retries."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "drs"
        super().__init__(*args, **kwargs)

    @property
    def config(self) -> Config:
        """An explicit retry mode, overridden by the connection's botocore configuration."""
        config: Config = RETRIES.merge(super().config)
        return config.merge(ONCE) if self.once else config

    @cached_property
    def _session(self) -> Any:
        session: Any = super().get_session(region_name=self.region_name)
        session._session.register_component("data_loader", MODELS)
        return session

    @cached_property
    def unrepeated(self) -> DrsClient:
        client: DrsClient = self.get_client_type(config=self.config.merge(ONCE))
        return client

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """A session of the connection. In a worker, all clients of this hook share one: to make one takes
        time, and each session of a role assumes the role once more. For the triggerer, it has read the
        client's service model already. All sessions of a process share the service models.

        The session of an assumed role expires, by default after an hour, and botocore renews it when the next
        call is made. The provider's renewal blocks. In the triggerer that would stop every other trigger
        while STS is slow, so the renewal runs in a thread there.
        """
        if not deferrable and region_name in {None, self.region_name}:
            return self._session
        session: Any = super().get_session(region_name=region_name, deferrable=deferrable)
        if deferrable:
            from aiobotocore.credentials import AioRefreshableCredentials  # not needed in a worker

            # Otherwise the event loop would read megabytes of JSON while the client is made.
            session.register_component("data_loader", MODELS)
            read_model(str(self.client_type))
            credentials: Any = session._credentials
            if isinstance(session._credentials, AioRefreshableCredentials):
                renew = credentials._refresh_using
                credentials._refresh_using = lambda: in_thread(renew)
        return session

    def _get_caller(self, *_: str) -> str:
        """The class of the task, for the user agent, where it ends up in CloudTrail. The provider reads the
        source of every function on the stack to find it, which takes a quarter of a second for each client.
        """
        frame: FrameType | None = sys._getframe()
        while frame:
            if isinstance(task := frame.f_locals.get("self"), BaseOperator):
                return type(task).__name__
            frame = frame.f_back
        return "Unknown"

    @cached_property
    def ec2(self) -> Any:
        """A boto3 client of EC2."""
        return self.client_of("ec2")

    def client_of(self, service: str) -> Any:
        """A client of another service, with the hook's credentials, account and Region.

        :param service: the service, by boto3's name
        """
        return self.get_session().client(
            service_name=service,
            endpoint_url=self.conn_config.get_service_endpoint_url(service),
            config=self.config,
            verify=self.verify,
        )


def read_model(service: str) -> None:
    """Read all files from which a client of this service is made. aiobotocore has such a function too, but
    its versions that Airflow 3.2 is installed with lack it.
    """
    for name in ("_retry", "endpoints", "partitions", "sdk-default-configuration"):
        MODELS.load_data_with_path(name)
    for part in ("service-2", "endpoint-rule-set-1", "paginators-1"):
        MODELS.load_service_model(service, part, api_version=None)


class Ec2Instances:
    """Lists EC2 instances.

    :param hook: has the client, which is made at the first call
    """

    def __init__(self, *, hook: DrsHook) -> None:
        self._hook = hook

    def __call__(self, filters: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The instances of all reservations in DescribeInstances."""
        for page in self._hook.ec2.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]
