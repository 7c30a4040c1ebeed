"""The client of Airflow's REST API, with what the demo and the tests do besides as a user does in the UI."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import httpx
import tenacity

from drs.cli import airflow_api as shared
from drs.cli.airflow_logs import texts
from drs.plan.naming import DAG_ID_PREFIX


class AirflowApi(shared.AirflowApi):
    """Speaks to the API server at `url`, by default as the administrator that everybody is in this stack."""

    def __init__(self, url: str, login: shared.Login = shared.Login()) -> None:  # noqa: B008 (it is frozen)
        super().__init__(httpx.Client(base_url=url, timeout=30, trust_env=False), login)

    def delete_dag(self, dag_id: str) -> None:
        """Delete a DAG as a user does in the UI: its runs go with it."""
        self._request("DELETE", f"/dags/{dag_id}")

    def set_variable(self, key: str, value: str) -> None:
        """Change an Airflow Variable."""
        self._request("PATCH", f"/variables/{key}", json={"key": key, "value": value})

    def task_state(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """The state of one task, which costs Airflow less than those of all; None before it is scheduled."""
        task = self._json_or_none(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")
        return task["state"] if task else None

    def question(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """What a task asks a person, as the UI shows it under Required Actions, and the answer."""
        return self._json("GET", _question_path(dag_id, run_id, task_id))

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, comment: str = "") -> None:
        """Answer a task's question."""
        body = {"chosen_options": [option], "params_input": {"comment": comment}}
        self._request("PATCH", _question_path(dag_id, run_id, task_id), json=body)

    def asset_events(self, asset: str) -> list[dict[str, Any]]:
        """What happened to an asset, newest first: each event with its `extra` and `source_run_id`."""
        parameters = {"name_pattern": asset, "order_by": "-timestamp"}
        events: list[dict[str, Any]] = self._json("GET", "/assets/events", params=parameters)["asset_events"]
        return events

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: list[str],
        *,
        downstream: bool = True,
        only_failed: bool = False,
    ) -> list[str]:
        """Clear tasks of a run, which runs them again, and give the ids of all that were cleared."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": task_ids,
            "include_downstream": downstream,
            "only_failed": only_failed,
            "reset_dag_runs": True,
        }
        cleared = self._json("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
        return [instance["task_id"] for instance in cleared["task_instances"]]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """The log of one try of a task as text, one message a line, exceptions below their message."""
        messages = self.task_messages(dag_id, run_id, task_id, try_number, map_index)
        return "\n".join(texts(messages))

    def plugins(self) -> list[dict[str, Any]]:
        """The plugins that the API server has loaded."""
        return list(self._json("GET", "/plugins")["plugins"])

    def plugin_import_errors(self) -> list[dict[str, Any]]:
        """The plugins that it could not load, or met twice."""
        return list(self._json("GET", "/plugins/importErrors")["import_errors"])

    def reparse_plans(self) -> bool:
        """Have the plans' DAGs built again, as the button in the UI does; False while there is no DAG yet."""
        files = {dag["file_token"] for dag in self.dags() if dag["dag_id"].startswith(DAG_ID_PREFIX)}
        for file in files:
            self._request("PUT", f"/parseDagFile/{file}")
        return bool(files)

    def wait_for_dag(self, dag_id: str, timeout: float = 60, *, digest: str = "") -> None:
        """Wait until the DAG processor has built a DAG.

        :param digest: that of the plan as it is now; a DAG of an older plan is not the one.
        :raises TimeoutError: it has not, with the import errors that say why.
        """

        def missing() -> str:
            errors = "\n".join(
                f"{error['filename']}:\n{error['stack_trace']}" for error in self.import_errors()
            )
            known = ", ".join(sorted(dag["dag_id"] for dag in self.dags())) or "none"
            errors = errors or "No import errors."
            wanted = f"{dag_id} of plan digest {digest}" if digest else dag_id
            return f"There is no DAG {wanted} after {timeout:g} s. DAGs: {known}.\n{errors}"

        self._wait(lambda: self._is_built(dag_id, digest), timeout, missing)

    def _is_built(self, dag_id: str, digest: str) -> bool:
        dag = self.dag(dag_id)
        if dag is None or dag["is_stale"]:
            return False
        return not digest or digest in self._json("GET", f"/dags/{dag_id}/details")["doc_md"]

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float) -> str:
        """Wait until a run has ended, and give its state.

        :raises TimeoutError: it has not, with the states of its tasks.
        """

        def still_running() -> str:
            states = ", ".join(
                f"{ti['task_id']}: {ti['state']}" for ti in self.task_instances(dag_id, run_id)
            )
            return f"Run {run_id} of {dag_id} has not ended after {timeout:g} s. {states}"

        self._wait(lambda: self.run_state(dag_id, run_id) in shared.FINISHED, timeout, still_running)
        return self.run_state(dag_id, run_id)

    def wait_for_new_run(self, dag_id: str, known: Collection[str], timeout: float) -> str:
        """Wait until the scheduler has made a run besides those that are known, and give its id.

        :raises TimeoutError: it has made none.
        """

        def new() -> list[str]:
            ids = [run["dag_run_id"] for run in self.runs(dag_id=dag_id, limit=len(known) + 1)]
            return [run_id for run_id in ids if run_id not in known]

        self._wait(lambda: bool(new()), timeout, lambda: f"No new run of {dag_id} after {timeout:g} s.")
        return new()[0]

    @staticmethod
    def _wait(condition: Callable[[], bool], timeout: float, describe: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(describe())
            time.sleep(0.2)

    @tenacity.retry(
        retry=tenacity.retry_if_exception(lambda error: _database_was_busy(error)),
        wait=tenacity.wait_fixed(0.5),
        stop=tenacity.stop_after_delay(30),
        reraise=True,
    )
    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return super()._request(method, path, **arguments)


def _question_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"


def _database_was_busy(error: BaseException) -> bool:
    """Whether SQLite, which has one writer at a time, was too busy: the request was rolled back."""
    return isinstance(error, shared.Unreachable) and "Database error" in error.message
