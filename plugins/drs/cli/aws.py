"""How the command line reaches AWS without Airflow, and what it reports when it cannot.

The credentials come from ``--profile`` if it is given, otherwise from the plan's connection if the
environment
has it (``AIRFLOW_CONN_<ID>``), otherwise from boto3's default chain. The command line cannot see connections
in Airflow's own database, so it compares the account that it reaches with the plan's before any other call.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from drs.aws.calls import Drs
from drs.cli.common import BROKEN, UNANSWERED, USAGE, add_plans_folder, find_plan
from drs.cli.connection import Connection, variable
from drs.errors import (
    AccessDenied,
    AccountMismatch,
    CheckUnavailable,
    Code,
    DrillError,
    DrsUnavailable,
    InvalidField,
)
from drs.plan import Plan, PlanError

# boto3 takes longer to import than `validate` takes to run: it is imported where it is used.
if TYPE_CHECKING:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    from drs.aws.clients import AwsClients

CONNECT_TIMEOUT = 10
"""Seconds. It is short, because a person waits at the terminal."""
NO_AWS = "AWS does not answer, refuses the credentials, or they are for another account"
"""What the exit code 3 means in the commands that call AWS."""
_EXIT_CODES = {
    Code.INVALID_FIELD: USAGE,
    Code.RECOVERY_PLAN_NOT_FOUND: USAGE,
    Code.ACCESS_DENIED: UNANSWERED,
    Code.ACCOUNT_MISMATCH: UNANSWERED,
    Code.DRS_NOT_INITIALIZED: UNANSWERED,
    Code.CHECK_UNAVAILABLE: UNANSWERED,
    Code.DRS_UNAVAILABLE: UNANSWERED,
}


@dataclass(frozen=True)
class Identity:
    """The account and principal of the credentials, according to AWS."""

    account: str
    arn: str


class Access:
    """AWS in one Region.

    :param connection: the settings with which AWS is reached
    :param region: the Region; None means the Region of the connection or of the environment
    :param origin: where the credentials come from, as text for people
    """

    def __init__(self, connection: Connection, region: str | None, origin: str) -> None:
        self._connection = connection
        self._region = region or connection.region
        self.origin = origin

    @cached_property
    def _session(self) -> boto3.Session:
        return _session(self._connection, self._region)

    @cached_property
    def region(self) -> str:
        """The Region in which AWS is called.

        :raises InvalidField: no Region was given
        """
        if not self._session.region_name:
            raise InvalidField("No AWS Region was given.", remedy="Give one: --region NAME, or --plan PLAN.")
        return self._session.region_name

    def client(self, service: str) -> Any:
        """A boto3 client. As in Airflow, the connection's endpoint is not used for STS."""
        from botocore.config import Config

        from drs.aws.call_errors import RETRIES

        return self._session.client(
            service,  # type: ignore[call-overload]
            region_name=self.region,
            endpoint_url=None if service == "sts" else self._connection.endpoint_url,
            config=RETRIES.merge(Config(connect_timeout=CONNECT_TIMEOUT)),
        )

    @cached_property
    def drs(self) -> Drs:
        return Drs(self.client("drs"))

    @cached_property
    def identity(self) -> Identity:
        """The caller's identity, from STS."""
        reply = self.client("sts").get_caller_identity()
        return Identity(reply["Account"], reply["Arn"])

    def describe_ec2(self, filters: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The EC2 instances that match the filters."""
        for page in self.client("ec2").get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]

    def clients(self) -> AwsClients:
        """All the clients that preflight needs."""
        from drs.aws.clients import AwsClients, role_seconds

        connection = self._connection
        return AwsClients(
            drs=self.drs,
            ec2=self.client("ec2"),
            sts=self.client("sts"),
            iam=self.client("iam"),
            role_seconds=role_seconds(connection.role_arguments) if connection.role_arn else None,
        )


def add_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        metavar="NAME",
        help="use this profile of your AWS configuration instead of the plan's connection",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add ``--plan`` and ``--region``, the two ways to choose an account and Region."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--plan", metavar="PLAN", help="use this plan's account and Region")
    place.add_argument("--region", metavar="NAME", help="use this Region of the credentials' account")
    add_plans_folder(parser)
    add_profile(parser)


def access_for(plan: Plan, profile: str | None) -> Access:
    """Access to a plan's account and Region.

    :raises InvalidField: the environment has the plan's connection, but it cannot be understood
    """
    if profile:
        return Access(Connection(profile=profile), plan.target.region, f"profile {profile}")
    name = variable(plan.target.aws_conn_id)
    text = os.environ.get(name)
    if text is None:
        return Access(Connection(), plan.target.region, "boto3's default chain")
    return Access(Connection.parse(name, text), plan.target.region, name)


def checked_access(plan: Plan, profile: str | None) -> Access:
    """Access to a plan's account and Region, after a check that the credentials are for that account.

    :raises AccountMismatch: they are for another account
    """
    access = access_for(plan, profile)
    if access.identity.account != plan.target.account_id:
        raise AccountMismatch(
            f"The credentials ({access.origin}: {access.identity.arn}) lead to account "
            f"{access.identity.account}, but plan {plan.name} is for account {plan.target.account_id}. DRS "
            "was not called.",
            remedy=(
                f"Give credentials for account {plan.target.account_id} with --profile NAME or "
                f"{variable(plan.target.aws_conn_id)}, or correct target.account_id in the plan."
            ),
        )
    return access


def access_to_place(arguments: argparse.Namespace) -> Access:
    """Access to the account and Region that ``--plan`` or ``--region`` chooses."""
    if arguments.plan:
        return checked_access(find_plan(arguments.plan, arguments.plans), arguments.profile)
    profile = arguments.profile
    origin = f"profile {profile}" if profile else "boto3's default chain"
    return Access(Connection(profile=profile), arguments.region, origin)


def reporting_aws_errors(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a command: an error is printed on standard error and becomes the exit code."""

    @functools.wraps(command)
    def wrapped(arguments: argparse.Namespace) -> int:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return command(arguments)
        except PlanError as error:
            print(error, file=sys.stderr)
            codes = {problem.code for problem in error.broken.problems}
            return USAGE if Code.RECOVERY_PLAN_NOT_FOUND in codes else BROKEN
        except DrillError as error:
            print(error, file=sys.stderr)
            return _EXIT_CODES.get(error.code, BROKEN)
        except (BotoCoreError, ClientError) as error:
            print(explained(error), file=sys.stderr)
            return UNANSWERED

    return wrapped


def explained(error: BotoCoreError | ClientError) -> DrillError:
    """Explain an error of AWS to a person at a terminal, where there is no Airflow task to clear."""
    from botocore.exceptions import ClientError

    from drs.aws import call_errors

    operation = error.operation_name if isinstance(error, ClientError) else None
    found = call_errors.meaning(error)
    if call_errors.error_code(error) in call_errors.DENIED and operation == "AssumeRole":
        return AccessDenied(
            f"AWS does not let the caller assume the connection's role: {error}", remedy=found.remedy
        )
    no_credentials = not isinstance(error, ClientError) and not call_errors.unavailable(error)
    if found.kind.family == "credentials" or no_credentials:
        why = f" {found.cause} {found.remedy}" if found.kind.family == "credentials" else ""
        return AccessDenied(
            f"There are no credentials that AWS accepts: {error}",
            remedy=(
                "Give a profile (--profile NAME), log in again if the session has expired, or set the plan's "
                f"connection in the environment (AIRFLOW_CONN_<ID>).{why}"
            ),
        )
    if call_errors.unavailable(error):
        region = f"{found.remedy} " if found.kind.id == "no_such_endpoint" else ""
        return DrsUnavailable(
            f"AWS did not answer: {error}",
            remedy=f"{region}Check the network path to the endpoint and the AWS Health Dashboard, then try "
            "again.",
        )
    coded = call_errors.explain(error, f"the call {operation}")
    return coded or CheckUnavailable(f"AWS refused a call: {found.phrase}. {error}", remedy=found.remedy)


def _session(connection: Connection, region: str | None) -> boto3.Session:
    import boto3

    session = boto3.Session(
        aws_access_key_id=connection.access_key_id,
        aws_secret_access_key=connection.secret_access_key,
        aws_session_token=connection.session_token,
        profile_name=connection.profile,
        region_name=region,
    )
    return _in_role(session, connection, region) if connection.role_arn else session


def _in_role(session: boto3.Session, connection: Connection, region: str | None) -> boto3.Session:
    """A session in the connection's role. Its credentials are renewed before they expire."""
    import boto3
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.exceptions import NoCredentialsError
    from botocore.session import Session as BotocoreSession

    assert connection.role_arn is not None
    source = session.get_credentials()
    if source is None:
        raise NoCredentialsError

    def sts(service: str, **options: Any) -> Any:
        return session.client(service, region_name=region, **options)  # type: ignore[call-overload]

    fetcher = AssumeRoleCredentialFetcher(
        client_creator=sts,
        source_credentials=source,
        role_arn=connection.role_arn,
        extra_args={"RoleSessionName": "drs-drills", **connection.role_arguments},
    )

    class Role(CredentialProvider):
        METHOD = "assume-role"

        def load(self) -> DeferredRefreshableCredentials:
            return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method=self.METHOD)

    inner = BotocoreSession()
    inner.register_component("credential_provider", CredentialResolver([Role()]))
    return boto3.Session(botocore_session=inner, region_name=region)
