"""Whether a run that a command follows can go on. It cannot while its DAG is paused or gone, or while no
scheduler runs.

Airflow shows such a run as running for as long as it lasts, so that to follow it would have no end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drs.cli.airflow_api import AirflowApi, AirflowError
from drs.errors import Code
from drs.plan.naming import plan_name

CHECK_EVERY = 10.0
"""Seconds between two checks."""
STILL = 120.0
"""Seconds without any change after which following ends. A restart of Airflow's scheduler takes less."""


@dataclass(frozen=True)
class Cause:
    """Why a run does not go on.

    :param what: the cause, as a clause
    :param remedy: what to do, in sentences
    """

    what: str
    remedy: str


class StandsStillError(AirflowError):
    """The run does not go on by itself."""


class Stillness:
    """Looks from time to time whether one run can go on, and reports each change.

    :param say: reports a change
    :param clock: seconds, monotonic
    """

    def __init__(
        self,
        api: AirflowApi,
        dag_id: str,
        run_id: str,
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._say = say
        self._clock = clock
        self._next_check = clock()
        self._since: float | None = None
        self._causes: tuple[Cause, ...] = ()

    def look(self, *, moved: bool, deferred: bool) -> None:
        """Check whether the run can go on, if a check is due.

        :param moved: whether a task has changed since the last call
        :param deferred: whether a task waits in the triggerer
        :raises StandsStillError: it cannot, and nothing has changed for :data:`STILL` seconds
        """
        now = self._clock()
        if moved:
            self._since = now
        if now < self._next_check:
            return
        self._next_check = now + CHECK_EVERY
        found = causes(self._api, self._dag_id, deferred=deferred)
        if found is not None and found != self._causes:
            self._report(found)
            self._since, self._causes = now, found
        if self._causes and self._since is not None and now - self._since >= STILL:
            whats = "; ".join(cause.what for cause in self._causes)
            raise StandsStillError(
                f"[{Code.DRILL_FROZEN}] Run {self._run_id} does not go on, and nothing of it has changed for "
                f"{now - self._since:.0f} s: {whats}.",
                remedy=" ".join(cause.remedy for cause in self._causes),
            )

    def _report(self, found: tuple[Cause, ...]) -> None:
        whats = "; ".join(cause.what for cause in found)
        self._say(f"the run does not go on: {whats}" if found else "the run goes on")


def causes(api: AirflowApi, dag_id: str, *, deferred: bool) -> tuple[Cause, ...] | None:
    """Why Airflow begins no further task of the DAG's runs; empty if it does; ``None`` if that is not known.

    :param deferred: whether a task waits in the triggerer
    """
    try:
        dag, health = api.dag(dag_id), api.health()
    except AirflowError:
        return None  # following reports it if it lasts
    found = []
    if dag is not None and dag["is_stale"]:
        found.append(
            Cause(
                f"Airflow has no DAG {dag_id} any more: the plan's file is gone or cannot be imported",
                "Put the plan's file back, and the run goes on (`python -m drs status` shows import errors).",
            )
        )
    elif dag is not None and dag["is_paused"]:
        found.append(
            Cause(
                f"the DAG {dag_id} is paused, so Airflow begins no further task of it, clean-up included",
                "Unpause the DAG in Airflow, and the run goes on. To end it with its own clean-up: "
                f"python -m drs stop {plan_name(dag_id)}",
            )
        )
    for part in ("scheduler", "triggerer") if deferred else ("scheduler",):
        if (health.get(part) or {}).get("status") != "healthy":
            found.append(
                Cause(
                    f"Airflow's {part} does not run",
                    f"Start `airflow {part}`, and the run goes on where it stopped.",
                )
            )
    return tuple(found)
