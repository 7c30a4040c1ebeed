"""A client of Airflow's public REST API. It gives what Airflow answers, and says clearly what it did not.

    AirflowError
    ├── Unreachable   no answer, or a server error that lasts
    ├── NotAllowed    401 and 403: no login, or one that may not do this
    ├── NotFound      404
    └── Refused       any other 4xx: what was asked for is wrong

A GET is repeated when its reply is lost. Nothing else is: a run is triggered under an id that is known
before, so that after a lost reply Airflow can be asked whether the run is there.

.. seealso:: https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict
from urllib.parse import quote

import httpx

from drs.cli.common import UNANSWERED, USAGE

FINISHED = frozenset({"success", "failed"})
"""The states in which a DAG run has ended."""

PAUSES = (0.5, 1.5)
"""Seconds before each repetition of a GET."""
LONGEST_DETAIL = 1000
"""Characters of a refusal that are passed on."""
PAGE = 100
"""Entries in one answer: Airflow's own limit by default."""


class AirflowError(Exception):
    """Airflow did not do what was asked.

    :param message: what was asked, and what came of it
    :param remedy: what to do now
    """

    exit_code: ClassVar[int] = UNANSWERED

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\nWhat to do: {self.remedy}" if self.remedy else self.message


class Unreachable(AirflowError):
    """No answer, or a server error that lasts."""


class NotAllowed(AirflowError):
    """No login, or one that may not do this."""


class NotFound(AirflowError):
    """Airflow does not know what was named."""

    exit_code = USAGE


class Refused(AirflowError):
    """What was asked for is wrong."""

    exit_code = USAGE


class Dag(TypedDict):
    """The fields of a DAG that are used here."""

    dag_id: str
    is_paused: bool
    is_stale: bool
    file_token: str


class DagRun(TypedDict):
    """The fields of a DAG run that are used here; times are ISO 8601."""

    dag_run_id: str
    dag_id: str
    state: str
    run_type: str
    run_after: str
    queued_at: str | None
    start_date: str | None
    end_date: str | None
    triggering_user_name: str | None
    conf: dict[str, Any] | None


class TaskInstance(TypedDict):
    """The fields of a task instance that are used here; times are ISO 8601."""

    id: str
    task_id: str
    map_index: int
    rendered_map_index: str
    state: str | None
    try_number: int
    start_date: str | None
    end_date: str | None


class ImportFailure(TypedDict):
    """A DAG file that could not be built, or our list of broken plans."""

    filename: str
    stack_trace: str
    timestamp: str


@dataclass(frozen=True)
class Login:
    """Who asks. Without any of it: everybody, where Airflow lets everybody be its administrator."""

    token: str | None = None
    user: str | None = None
    password: str | None = None


class AirflowApi:
    """Speaks to one API server.

    :param http: its base URL is Airflow's, a path prefix included
    :param login: who asks
    :param sleep: waits before a repetition
    """

    def __init__(
        self, http: httpx.Client, login: Login, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.url = str(http.base_url).rstrip("/")
        self._http = http
        self._login = login
        self._token = login.token
        self._sleep = sleep

    def version(self) -> str:
        """The version of Airflow."""
        return str(self._json("GET", "/version")["version"])

    def health(self) -> dict[str, Any]:
        """The state and the last heartbeat of every component, as the API server sees them. Needs no login;
        asked once, since whoever looks at health wants to know of a missing answer.
        """
        return _object(_judged(self._once("GET", "/api/v2/monitor/health"), "GET /monitor/health"))

    def dag(self, dag_id: str) -> Dag | None:
        """One DAG, or None while the DAG processor has not built it."""
        return self._json_or_none(f"/dags/{_part(dag_id)}")  # type: ignore[return-value]

    def dags(self) -> list[Dag]:
        """All DAGs that can run, stale ones left out."""
        return self._list("/dags", "dags")

    def import_errors(self) -> list[ImportFailure]:
        """Every DAG file that could not be built."""
        return self._list("/importErrors", "import_errors")

    def unpause(self, dag_id: str) -> None:
        """Let runs of this DAG start."""
        self._request("PATCH", f"/dags/{_part(dag_id)}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run by hand, and give its id.

        :raises Unreachable: the reply was lost and the run is not there, or nobody can say whether it is
        """
        # Airflow's own form, in microseconds and with a tail: two drills may be asked for in one moment.
        run_id = f"manual__{dt.datetime.now(dt.UTC).isoformat()}_{uuid.uuid4().hex[:8]}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        try:
            self._request("POST", f"/dags/{_part(dag_id)}/dagRuns", json=body)
        except Unreachable as error:
            if not self._has_run(dag_id, run_id, error):
                raise Unreachable(
                    f"Airflow did not confirm run {run_id} of {dag_id}, nor does it list it. {error.message}",
                    remedy=_LOOK_FIRST,
                ) from error
        return run_id

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One DAG run."""
        return self._json("GET", _run_path(dag_id, run_id))  # type: ignore[return-value]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run: queued, running, success or failed."""
        return self.run(dag_id, run_id)["state"]

    def runs(
        self, *, dag_id: str = "~", limit: int, state: str | None = None, **filters: str
    ) -> list[DagRun]:
        """The last runs, newest first.

        :param dag_id: of this DAG; by default of all
        :param filters: further parameters of the request, such as ``dag_id_prefix_pattern``
        """
        parameters: dict[str, Any] = {"order_by": "-run_after", "limit": limit, **filters}
        if state:
            parameters["state"] = state
        return list(self._json("GET", f"/dags/{_part(dag_id)}/dagRuns", params=parameters)["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Every task instance of a run, the indices of mapped tasks included."""
        return self._list(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances")

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """What a task left for others, or None if it left nothing under this key."""
        path = f"{_task_path(dag_id, run_id, task_id)}/xcomEntries/{_part(key)}"
        entry = self._json_or_none(path, map_index=map_index, deserialize=True)
        return None if entry is None else entry["value"]

    def task_messages(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """The log of one try of a task: messages with `timestamp`, `level`, `event` and their own fields."""
        path = f"{_task_path(dag_id, run_id, task_id)}/logs/{try_number}"
        log = self._json_or_none(path, map_index=map_index, full_content=True)
        content = [] if log is None else log["content"]
        return [{"event": message} if isinstance(message, str) else message for message in content]

    def run_link(self, dag_id: str, run_id: str) -> str:
        """Where a browser shows the run."""
        return f"{self.url}/dags/{_part(dag_id)}/runs/{_part(run_id)}"

    def answer_link(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Where a person answers what the task asks."""
        return f"{self.run_link(dag_id, run_id)}/tasks/{_part(task_id)}/required_actions"

    def _has_run(self, dag_id: str, run_id: str, lost: Unreachable) -> bool:
        try:
            return self._json_or_none(_run_path(dag_id, run_id)) is not None
        except Unreachable:
            raise Unreachable(
                f"Airflow did not confirm run {run_id} of {dag_id}, and cannot be asked whether it began. "
                f"{lost.message}",
                remedy=_LOOK_FIRST,
            ) from lost

    def _list(self, path: str, key: str) -> list[Any]:
        items: list[Any] = []
        while True:
            page = self._json("GET", path, params={"limit": PAGE, "offset": len(items)})
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def _json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        return _object(self._request(method, path, **arguments))

    def _json_or_none(self, path: str, **parameters: Any) -> dict[str, Any] | None:
        try:
            return self._json("GET", path, params=parameters)
        except NotFound:
            return None

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = self._as_somebody(method, path, **arguments)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._login.token is None:
            self._token = None  # one that was fetched here lasts for a day; a drill may wait longer
            response = self._as_somebody(method, path, **arguments)
        return _judged(response, f"{method} {path}")

    def _as_somebody(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if self._token is None:
            self._token = self._fetch_token()
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._answer(method, f"/api/v2{path}", headers=headers, **arguments)

    def _fetch_token(self) -> str:
        if self._login.user is None:
            response = self._answer("GET", "/auth/token")
        else:
            named = {"username": self._login.user, "password": self._login.password}
            response = self._answer("POST", "/auth/token", json=named)
        if response.is_client_error:
            who = f"user {self._login.user}" if self._login.user else "anybody without a login"
            raise NotAllowed(
                f"Airflow at {self.url} gives no token to {who}: {response.status_code}, {_detail(response)}",
                remedy=LOGIN_REMEDY,
            )
        try:
            return str(_object(response)["access_token"])
        except KeyError:
            raise _not_airflow(response) from None

    def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        for pause in PAUSES if method == "GET" else ():
            try:
                return self._once(method, path, **arguments)
            except Unreachable:
                self._sleep(pause)
        return self._once(method, path, **arguments)

    def _once(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            problem = f"{method} {path}: {error or type(error).__name__}"
        else:
            if not response.is_server_error:
                return response
            problem = f"{method} {path} was answered with {response.status_code}: {_detail(response)}"
        raise Unreachable(f"Airflow at {self.url} cannot be asked: {problem}", remedy=URL_REMEDY)


LOGIN_REMEDY = (
    "Set DRS_AIRFLOW_TOKEN, or DRS_AIRFLOW_USER and DRS_AIRFLOW_PASSWORD, to those of an Airflow user."
)
URL_REMEDY = "See that Airflow's API server runs, and name its address with --airflow-url or DRS_AIRFLOW_URL."
_LOOK_FIRST = "Look whether the run is there (`python -m drs runs`) before you trigger another."


def _judged(response: httpx.Response, asked: str) -> httpx.Response:
    if response.is_success:
        return response
    told = f"{asked} was answered with {response.status_code}: {_detail(response)}"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise NotAllowed(f"Airflow does not accept this login. {told}", remedy=LOGIN_REMEDY)
    if response.status_code == httpx.codes.FORBIDDEN:
        remedy = "Ask Airflow's administrator for this permission, or log in as another user."
        raise NotAllowed(f"Airflow does not let this user do that. {told}", remedy=remedy)
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(told)
    if response.is_client_error:
        raise Refused(told)
    raise _not_airflow(response)


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError:
        raise _not_airflow(response) from None
    if not isinstance(value, dict):
        raise _not_airflow(response)
    return value


def _not_airflow(response: httpx.Response) -> AirflowError:
    seen = str(response.status_code)
    if elsewhere := response.headers.get("location"):
        seen += f", to {elsewhere}"
    return AirflowError(
        f"{response.request.url} does not answer as the API of Airflow 3 does ({seen}).", remedy=URL_REMEDY
    )


def _detail(response: httpx.Response) -> str:
    """What Airflow says was wrong, which stands in the body."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text
    return str(detail)[:LONGEST_DETAIL]


def _part(text: str) -> str:
    """One part of a path. Airflow's own ids need no quoting; what a person types may."""
    return quote(text, safe="~:+")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{_part(dag_id)}/dagRuns/{_part(run_id)}"


def _task_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{_part(task_id)}"
