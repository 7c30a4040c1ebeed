"""``accounts`` and ``quotas``: the accounts that plans' credentials reach, and the use of DRS's quotas."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drs.aws.jobs import Job
from drs.aws.quotas import (
    MAX_JOBS_IN_PROGRESS,
    MAX_REPLICATING_SERVERS,
    MAX_SERVERS_IN_JOBS,
    MAX_SERVERS_PER_JOB,
    MAX_SOURCE_SERVERS,
)
from drs.aws.states import ReplicationState
from drs.cli.aws import (
    NO_AWS,
    access_for,
    access_to_place,
    add_place,
    add_profile,
    explained,
    reporting_aws_errors,
)
from drs.cli.common import (
    BROKEN,
    OK,
    UNANSWERED,
    add_json,
    add_parser,
    add_plans_folder,
    find_plan,
    print_json,
)
from drs.cli.screen import show_table
from drs.errors import DrillError, RecoveryPlanNotFound
from drs.plan import BrokenPlan, Plan, load_folder

if TYPE_CHECKING:
    from drs.cli.aws import Access

NOT_REPLICATING = frozenset({ReplicationState.STOPPED, ReplicationState.DISCONNECTED})


def add_commands(commands: Any) -> None:
    accounts = add_parser(
        commands,
        "accounts",
        help="show the account that each plan's credentials reach",
        description="Ask AWS which account each plan's credentials reach, and compare it with the plan's "
        "account.",
        exit_codes={
            0: "each plan's credentials reach its account",
            1: "some credentials reach another account, or a plan is broken",
            2: "wrong usage, or there is no such plan",
            3: "AWS could not be reached for some of the plans",
        },
    )
    accounts.add_argument(
        "named", nargs="*", metavar="PLAN", help="plans, by name or file (default: all plans of the folder)"
    )
    add_plans_folder(accounts)
    add_profile(accounts)
    add_json(accounts)
    accounts.set_defaults(run=reporting_aws_errors(_accounts))

    quotas = add_parser(
        commands,
        "quotas",
        help="show DRS's quotas, and how much of each is in use",
        description=(
            "Show DRS's quotas in a Region and how much of each is in use. The limits are AWS's defaults. "
            "AWS can raise the marked ones on request, so they may be higher in this account."
        ),
        exit_codes={
            0: "no quota is used up",
            1: "a quota is used up",
            2: "wrong usage, or there is no such plan",
            3: NO_AWS,
        },
    )
    add_place(quotas)
    add_json(quotas)
    quotas.set_defaults(run=reporting_aws_errors(_quotas))


@dataclass(frozen=True)
class Reached:
    """The account that the credentials of one plan reach."""

    plan: str
    connection: str
    origin: str
    region: str
    wanted_account: str
    account: str | None
    arn: str | None

    @property
    def matches(self) -> bool:
        return self.account == self.wanted_account


def _accounts(arguments: argparse.Namespace) -> int:
    plans, broken = _plans(arguments)
    reached: list[Reached] = []
    unanswered = False
    for plan in plans:
        place, error = _reach(plan, arguments.profile)
        reached.append(place)
        if error is not None:
            unanswered = True
            print(f"{plan.name}: {error}", file=sys.stderr)
    for plan_file in broken:
        print(plan_file.describe(), file=sys.stderr)
    if arguments.json:
        print_json([{**asdict(place), "matches": place.matches} for place in reached])
    else:
        _show_reached(reached)
    if unanswered:
        return UNANSWERED
    return BROKEN if broken or not all(place.matches for place in reached) else OK


def _plans(arguments: argparse.Namespace) -> tuple[list[Plan], list[BrokenPlan]]:
    if arguments.named:
        return [find_plan(name, arguments.plans) for name in arguments.named], []
    found = load_folder(arguments.plans)
    if not found:
        # A check of nothing must not pass.
        raise RecoveryPlanNotFound(
            f"The folder {arguments.plans} holds no recovery plan.",
            remedy="Name the folder of your plans: --plans FOLDER.",
        )
    return (
        [plan for plan in found if isinstance(plan, Plan)],
        [plan for plan in found if isinstance(plan, BrokenPlan)],
    )


def _reach(plan: Plan, profile: str | None) -> tuple[Reached, DrillError | None]:
    from botocore.exceptions import BotoCoreError, ClientError

    origin, identity, failure = "-", None, None
    try:
        access = access_for(plan, profile)
        origin = access.origin
        identity = access.identity
    except DrillError as error:
        failure = error
    except (BotoCoreError, ClientError) as error:
        failure = explained(error)
    reached = Reached(
        plan=plan.name,
        connection=plan.target.aws_conn_id,
        origin=origin,
        region=plan.target.region,
        wanted_account=plan.target.account_id,
        account=identity.account if identity else None,
        arn=identity.arn if identity else None,
    )
    return reached, failure


def _show_reached(reached: Iterable[Reached]) -> None:
    rows = [
        (
            place.plan,
            place.connection,
            place.origin,
            place.region,
            place.wanted_account,
            place.account or "-",
            place.arn or "-",
            "ok" if place.matches else ("not known" if place.account is None else "ANOTHER ACCOUNT"),
        )
        for place in reached
    ]
    header = ("plan", "connection", "credentials from", "region", "plan's account", "reached", "as", "result")
    show_table(header, rows, below=("as", "credentials from", "connection", "region"))


@dataclass(frozen=True)
class Quota:
    """One quota of DRS in a Region."""

    name: str
    code: str
    limit: int
    adjustable: bool
    used: int

    @property
    def used_up(self) -> bool:
        return self.used >= self.limit


def _quotas(arguments: argparse.Namespace) -> int:
    access = access_to_place(arguments)
    quotas, largest = _in_use(access)
    if arguments.json:
        listed = [{**asdict(quota), "used_up": quota.used_up} for quota in quotas]
        print_json({"region": access.region, "quotas": listed, "largest_job_in_progress": largest})
    else:
        _show_quotas(quotas)
        print(
            f"\nA job holds at most {MAX_SERVERS_PER_JOB} servers; the largest in progress holds {largest}."
        )
    return BROKEN if any(quota.used_up for quota in quotas) else OK


def _in_use(access: Access) -> tuple[list[Quota], int]:
    jobs: Sequence[Job] = access.drs.live_jobs()
    servers = list(access.drs.source_servers())
    replicating = [
        item
        for item in servers
        if item.get("dataReplicationInfo", {}).get("dataReplicationState") not in NOT_REPLICATING
    ]
    in_jobs = sum(len(job.participants) for job in jobs)
    quotas = [
        Quota("jobs in progress", "L-D88FAC3A", MAX_JOBS_IN_PROGRESS, False, len(jobs)),
        Quota("servers in all jobs", "L-05AFA8C6", MAX_SERVERS_IN_JOBS, False, in_jobs),
        Quota("replicating servers", "L-C1D14A2B", MAX_REPLICATING_SERVERS, False, len(replicating)),
        Quota("source servers", "L-E28BE5E0", MAX_SOURCE_SERVERS, True, len(servers)),
    ]
    return quotas, max((len(job.participants) for job in jobs), default=0)


def _show_quotas(quotas: Iterable[Quota]) -> None:
    rows = [
        (
            quota.name,
            str(quota.used),
            str(quota.limit),
            quota.code,
            "on request" if quota.adjustable else "no",
            "USED UP" if quota.used_up else "",
        )
        for quota in quotas
    ]
    header = ("quota", "in use", "limit", "code", "can be raised", "state")
    show_table(header, rows, below=("can be raised",))
