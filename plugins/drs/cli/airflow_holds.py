"""Whether the runs that launched some instances are still active, according to Airflow.

The tags of a job name the run, by its token and its id. Several Airflows may work in one account, so a run
that this Airflow does not know may be active in another one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass

from drs.cli.airflow_access import active_runs, connect
from drs.cli.airflow_api import FINISHED, AirflowApi, AirflowError, Dag, DagRun, NotFound
from drs.cli.airflow_end import how_to_look, in_keep_for
from drs.cli.airflow_records import RunLedger, UnreadableRecordError
from drs.plan.naming import dag_id
from drs.run.ownership import tag_value
from drs.run.proof import TERMINATE_TASK_ID
from drs.run.records import RunRecord


@dataclass(frozen=True)
class Owner:
    """A run that launched instances, by the tags of its jobs."""

    token: str
    run_id: str


@dataclass(frozen=True)
class Hold:
    """What Airflow says about a run.

    :param active: ``None`` if that is not known
    :param why: why it is not known, or why the instances of an active run are not to be terminated, as a
        sentence; empty if they may be
    """

    active: bool | None
    why: str = ""

    @property
    def refused(self) -> bool:
        """Whether the instances are terminated only by force."""
        return bool(self.active and self.why)


NOT_ASKED = Hold(None)
"""Of an instance whose run is not known."""


def holds(
    arguments: argparse.Namespace, plan: str, owners: Iterable[Owner], named: str | None
) -> dict[str, Hold]:
    """What Airflow says about each of these runs, by the run's token.

    :param named: the run that the user named; it may be in its ``keep_for``, which the user then ends
    """
    wanted = list(dict.fromkeys(owners))
    api = connect(arguments)
    try:
        api.health()  # not repeated, so an Airflow that is down answers at once
        return _Airflow(api, plan, named).holds(wanted)
    except AirflowError as error:
        return {owner.token: Hold(None, error.message) for owner in wanted}


class _Airflow:
    """The runs of one plan in one Airflow."""

    def __init__(self, api: AirflowApi, plan: str, named: str | None) -> None:
        self._api = api
        self._plan = plan
        self._named = named
        self._dag_id = dag_id(plan)

    def holds(self, owners: Iterable[Owner]) -> dict[str, Hold]:
        dag = self._api.dag(self._dag_id)
        if dag is None:
            why = f"Airflow at {self._api.url} has no DAG {self._dag_id}."
            return {owner.token: Hold(None, why) for owner in owners}
        active = [(run, self._begun(run["dag_run_id"])) for run in active_runs(self._api, self._dag_id)]
        return {owner.token: self._hold(owner, dag, active) for owner in owners}

    def _hold(self, owner: Owner, dag: Dag, active: Iterable[tuple[DagRun, RunRecord | None]]) -> Hold:
        for run, begun in active:
            if _is(owner, run, begun):
                return self._active(run["dag_run_id"], dag)
        try:
            state = self._api.run_state(self._dag_id, owner.run_id)
        except NotFound:
            return Hold(
                None,
                f"Airflow at {self._api.url} does not know run {owner.run_id}: it was deleted, or "
                "it is a run of another Airflow.",
            )
        begun = self._begun(owner.run_id)
        if state not in FINISHED or (begun is not None and begun.token != owner.token):
            return Hold(
                None, f"Run {owner.run_id} in Airflow at {self._api.url} is another run of that name."
            )
        return Hold(False)

    def _active(self, run_id: str, dag: Dag) -> Hold:
        ledger = RunLedger(self._api, self._dag_id, run_id)
        states = {one["task_id"]: one["state"] for one in self._api.task_instances(self._dag_id, run_id)}
        stop = f"python -m drs stop {self._plan}"
        if in_keep_for(ledger, states):
            if self._named in {run_id, tag_value(run_id)}:
                return Hold(True)
            return Hold(
                True,
                f"Run {run_id} keeps them until its cleanup.keep_for has passed. To terminate "
                f"them now: {how_to_look(self._dag_id, run_id)}",
            )
        if dag["is_stale"]:
            return Hold(
                True,
                f"Run {run_id} is active but does not go on: the plan's file is gone, or Airflow "
                "cannot import its DAGs. Put the file back, and the run cleans up by itself.",
            )
        if dag["is_paused"]:
            return Hold(
                True,
                f"Run {run_id} is active but does not go on, because its DAG is paused. To end it "
                f"with its own clean-up: {stop}",
            )
        if states.get(TERMINATE_TASK_ID) is not None:
            return Hold(True, f"Run {run_id} is cleaning up: it terminates them itself.")
        return Hold(
            True,
            f"Run {run_id} is active, and fails without them (RECOVERY_INSTANCE_LOST). To end it "
            f"with its own clean-up: {stop}",
        )

    def _begun(self, run_id: str) -> RunRecord | None:
        try:
            return RunLedger(self._api, self._dag_id, run_id).begun()
        except UnreadableRecordError:
            return None


def _is(owner: Owner, run: DagRun, begun: RunRecord | None) -> bool:
    """Whether this is the run that launched: by its token, or by its id if it has no record."""
    if begun is not None:
        return begun.token == owner.token
    return tag_value(run["dag_run_id"]) == owner.run_id
