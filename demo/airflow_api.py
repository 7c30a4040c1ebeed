"""A client of Airflow's public REST API: what the demo and the end-to-end tests do as a user would."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import tenacity

FINISHED = frozenset({"success", "failed"})
"""The states in which a DAG run has ended."""

_REPEATED = frozenset(
    {"ti_id", "dag_id", "run_id", "task_id", "map_index", "try_number", "logger", "filename", "lineno"}
)
"""Fields that every message of a task's log carries; they say nothing that the request did not."""


class AirflowApi:
    """Speaks to the API server at `url`, as the administrator that everybody is in this stack."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def health(self) -> dict[str, Any]:
        """The state and the last heartbeat of every component, as the API server sees them."""
        return self._client.get("/api/v2/monitor/health").raise_for_status().json()  # type: ignore[no-any-return]

    def warm_up(self) -> None:
        """Make the API server import what tasks ask of it, so that the first task need not wait for that."""
        self._client.get("/execution/health").raise_for_status()

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """One DAG, or None while the DAG processor has not built it."""
        response = self._request("GET", f"/dags/{dag_id}", missing_ok=True)
        return None if response is None else response.json()

    def dags(self) -> list[dict[str, Any]]:
        """All DAGs that can run, stale ones left out."""
        return self._list("/dags", "dags")

    def import_errors(self) -> list[dict[str, Any]]:
        """Every DAG file that could not be built, with its `filename` and `stack_trace`."""
        return self._list("/importErrors", "import_errors")

    def unpause(self, dag_id: str) -> None:
        """Let runs of this DAG start."""
        self._request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run by hand, and give its id."""
        body = {"logical_date": None, "conf": conf or {}}
        return self._json("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]  # type: ignore[no-any-return]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One DAG run."""
        return self._json("GET", f"/dags/{dag_id}/dagRuns/{run_id}")

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run: queued, running, success or failed."""
        return self.run(dag_id, run_id)["state"]  # type: ignore[no-any-return]

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run as a user does in the UI."""
        self._request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run, the indices of mapped tasks included."""
        return self._list(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task as a user does in the UI."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self._request("PATCH", path, json={"new_state": state})

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

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """What a task left for others, or None if it left nothing under this key."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        parameters = {"map_index": map_index, "deserialize": True}
        response = self._request("GET", path, params=parameters, missing_ok=True)
        return None if response is None else response.json()["value"]

    def task_messages(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """The log of one try of a task: messages with `timestamp`, `level`, `event` and their own fields."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        parameters = {"map_index": map_index, "full_content": True}
        response = self._request("GET", path, params=parameters, missing_ok=True)
        content = [] if response is None else response.json()["content"]
        return [{"event": message} if isinstance(message, str) else message for message in content]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """The log of one try of a task as text, one message a line, exceptions below their message."""
        messages = self.task_messages(dag_id, run_id, task_id, try_number, map_index)
        return "\n".join(as_text(message) for message in messages)

    def wait_for_dag(self, dag_id: str, timeout: float = 60) -> None:
        """Wait until the DAG processor has built a DAG.

        :raises TimeoutError: it has not, with the import errors that say why.
        """

        def missing() -> str:
            errors = "\n".join(
                f"{error['filename']}:\n{error['stack_trace']}" for error in self.import_errors()
            )
            known = ", ".join(sorted(dag["dag_id"] for dag in self.dags())) or "none"
            errors = errors or "No import errors."
            return f"There is no DAG {dag_id} after {timeout:g} s. DAGs: {known}.\n{errors}"

        self._wait(lambda: self.dag(dag_id) is not None, timeout, missing)

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float) -> str:
        """Wait until a run has ended, and give its state.

        :raises TimeoutError: it has not, with the states of its tasks.
        """

        def still_running() -> str:
            states = ", ".join(
                f"{ti['task_id']}: {ti['state']}" for ti in self.task_instances(dag_id, run_id)
            )
            return f"Run {run_id} of {dag_id} has not ended after {timeout:g} s. {states}"

        self._wait(lambda: self.run_state(dag_id, run_id) in FINISHED, timeout, still_running)
        return self.run_state(dag_id, run_id)

    @staticmethod
    def _wait(condition: Callable[[], bool], timeout: float, describe: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(describe())
            time.sleep(0.2)

    def _list(self, path: str, key: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        while True:
            page = self._json("GET", path, params={"limit": 100, "offset": len(items)})
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def _json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        response = self._request(method, path, **arguments)
        assert response is not None
        return response.json()  # type: ignore[no-any-return]

    @tenacity.retry(
        retry=tenacity.retry_if_exception(lambda error: _database_was_busy(error)),
        wait=tenacity.wait_fixed(0.5),
        stop=tenacity.stop_after_delay(30),
        reraise=True,
    )
    def _request(
        self, method: str, path: str, *, missing_ok: bool = False, **arguments: Any
    ) -> httpx.Response | None:
        if "Authorization" not in self._client.headers:
            token = self._client.get("/auth/token").raise_for_status().json()["access_token"]
            self._client.headers["Authorization"] = f"Bearer {token}"
        response = self._client.request(method, f"/api/v2{path}", **arguments)
        if missing_ok and response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.is_error:  # Airflow says in the body what was wrong with the request
            raise httpx.HTTPStatusError(
                f"{method} {path} answered {response.status_code}: {response.text}",
                request=response.request,
                response=response,
            )
        return response


def _database_was_busy(error: BaseException) -> bool:
    """Whether SQLite, which has one writer at a time, was too busy: the request was rolled back."""
    return isinstance(error, httpx.HTTPStatusError) and "Database error" in error.response.text


def as_text(message: dict[str, Any]) -> str:
    """One message of a task's log as a line, with exceptions below it."""
    head = " ".join(str(message[key]) for key in ("timestamp", "level", "event") if message.get(key))
    shown = _REPEATED | {"timestamp", "level", "event", "error_detail"}
    fields = "".join(f" {key}={value!r}" for key, value in message.items() if key not in shown)
    causes = "".join(
        f"\n{cause['exc_type']}: {cause['exc_value']}" for cause in message.get("error_detail") or ()
    )
    return f"{head}{fields}{causes}"
