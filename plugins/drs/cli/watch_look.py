"""One look of the watch from the command line: AWS by the plans' credentials, Airflow by its REST API.

Not imported before a command needs it: it imports botocore, which is slow.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from drs.cli.airflow_api import AirflowApi
from drs.cli.aws import Access, access_for, explained
from drs.cli.watch_airflow import AirflowByApi, Plans, kept_by_evidence
from drs.errors import EvidenceIncomplete
from drs.evidence.store import EvidenceStore
from drs.plan import Plan
from drs.plan.naming import dag_id
from drs.text.times import duration, utc_now
from drs.watch.airflow_view import KeptJobs
from drs.watch.bounds import longest_drill
from drs.watch.compare import WatchResult, by_age, compare, suspects
from drs.watch.findings import WatchFinding
from drs.watch.view import (
    AwsPlace,
    Connected,
    RunInAws,
    Unreadable,
    look,
    look_again,
    read,
)


class Aws:
    """AWS in the places of the plans.

    :param profile: a profile of the AWS configuration, in place of the plans' connections
    """

    def __init__(self, plans: Iterable[Plan], profile: str | None) -> None:
        self._plans = {AwsPlace.of(plan): plan for plan in plans}
        self._profile = profile

    @property
    def places(self) -> list[AwsPlace]:
        return list(self._plans)

    def connect(self, place: AwsPlace) -> Connected:
        """The calls that read a place.

        :raises InvalidField: the plan's connection in the environment cannot be understood
        """
        access = access_for(self._plans[place], self._profile)
        return connected(access)


def connected(access: Access) -> Connected:
    return Connected(access.drs, access.describe_ec2, lambda: access.identity.account, explained)


@dataclass(frozen=True)
class CommandLook:
    """The result of one look.

    :param places: the places that could be read
    :param blind: the places that could not be read
    :param active: how many runs are active; ``None`` if Airflow was not asked
    :param notes: what could not be asked, one sentence each
    """

    comparison: WatchResult
    places: tuple[AwsPlace, ...]
    blind: tuple[Unreadable, ...]
    active: int | None
    notes: tuple[str, ...] = ()


def look_by_age(
    plans: Plans,
    profile: str | None,
    store: EvidenceStore,
    older_than: dt.timedelta,
    installation: str | None,
) -> CommandLook:
    """Ask AWS alone. Only the age of a run's jobs tells whether the run may still be active.

    :param installation: judge only what this Airflow started, by its id; ``None``: judge all
    """
    now = utc_now()
    aws = Aws(plans.valid.values(), profile)
    views, blind = look(aws.places, aws.connect, now)
    notes: list[str] = []

    def kept(run: RunInAws) -> KeptJobs | None:
        try:
            return kept_by_evidence(store, run.key, run.began)
        except EvidenceIncomplete as error:
            notes.append(f"{error.message} So it is not known whether a rule keeps instances.")
            return None

    def bound(run: RunInAws) -> dt.timedelta | None:
        return older_than if installation in (None, run.installation) else None

    span = duration(older_than.total_seconds())
    comparison = by_age(
        views,
        bound,
        now,
        kept=kept,
        files=plans.files,
        why=f"the run began {{age}} ago, more than {span}, and no evidence says that a rule keeps them",
    )
    notes += [view.note for view in views if view.note]
    return CommandLook(
        comparison, tuple(view.place for view in views), tuple(blind), None, tuple(dict.fromkeys(notes))
    )


def left_by_drills(plan: Plan, access: Access, store: EvidenceStore) -> list[WatchFinding]:
    """What runs of this plan have left that are older than a drill of it can be, as far as AWS shows."""
    now, longest = utc_now(), longest_drill(plan)
    view = read(AwsPlace.of(plan), lambda _: connected(access), now)
    if isinstance(view, Unreadable):
        return []  # preflight says so

    def kept(run: RunInAws) -> KeptJobs | None:
        try:
            return kept_by_evidence(store, run.key, run.began)
        except EvidenceIncomplete:
            return None

    comparison = by_age(
        [view],
        lambda run: longest if run.key.dag_id == dag_id(plan.name) else None,
        now,
        kept=kept,
        files=frozenset({dag_id(plan.name)}),
        why=f"the run began {{age}} ago, and a drill of this plan takes {duration(longest.total_seconds())} "
        "at the most. So the run stands still, or has ended without terminating them, and no evidence says "
        "that a rule keeps them",
    )
    return list(comparison.findings)


def look_with_airflow(
    api: AirflowApi, plans: Plans, profile: str | None, store: EvidenceStore, *, ask_aws: bool = True
) -> CommandLook:
    """Compare what AWS has with what Airflow knows. AWS is read first, and again where something seems left.

    :raises AirflowError: Airflow cannot be asked
    """
    now = utc_now()
    reader = AirflowByApi(api, plans, store)
    records = reader.last_runs()
    known = {**{record.dag_id: record.read_plan() for record in records}, **plans.valid}
    aws = Aws([*(record.read_plan() for record in records), *plans.valid.values()], profile)
    views, blind = look(aws.places, aws.connect, now) if ask_aws else ([], [])
    airflow = dataclasses.replace(reader.read(views), plans=known, files=plans.files)
    seen, lost = look_again(views, suspects(views, airflow), aws.connect, now)
    airflow = reader.with_kept(airflow, suspects(seen, airflow))
    notes = [*reader.notes, *(view.note for view in seen if view.note)]
    return CommandLook(
        compare(seen, (), airflow, now),
        tuple(view.place for view in seen),
        (*blind, *lost),
        sum(run.active for run in airflow.runs),
        tuple(notes),
    )
