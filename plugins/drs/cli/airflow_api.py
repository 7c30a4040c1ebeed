"""A client of Airflow's public REST API. It returns Airflow's answers, and raises these errors:

    AirflowError
    ├── Unreachable   no answer, or repeated server errors
    │   └── ServerFailed  Airflow answered, with a server error
    ├── NotAllowed    401 and 403: no login, or a login without this permission
    ├── NotFound      404
    └── Refused       any other 4xx: the request is wrong

When a reply is lost, only a request that may be made twice is repeated: a GET, or one that sets the state of
a DAG or a run. A run is triggered with an id that the client chooses, so that after a lost reply the client
can ask Airflow whether the run exists.

.. seealso:: https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict
from urllib.parse import quote

import httpx

from drs.cli.common import UNANSWERED, USAGE

FINISHED = frozenset({"success", "failed"})
"""The states in which a DAG run has ended."""

PAUSES = (0.5, 1.5)
"""Seconds before each repetition of a request."""
LONGEST_DETAIL = 1000
"""The longest part of Airflow's own error message that is shown, in characters."""
PAGE = 100
"""Entries in one answer; it is Airflow's default limit."""


class AirflowError(Exception):
    """Airflow did not do what it was asked to do.

    :param message: the request, and how Airflow answered
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
    """No answer, or repeated server errors."""


class ServerFailed(Unreachable):
    """Airflow answered, with a server error."""


class NotAllowed(AirflowError):
    """No login, or a login without this permission."""


class NotFound(AirflowError):
    """Airflow does not know the DAG, run or task that was named."""

    exit_code = USAGE


class Refused(AirflowError):
    """The request is wrong."""

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
    queued_when: str | None
    scheduled_when: str | None


class ImportFailure(TypedDict):
    """A DAG file that Airflow could not import, or the list of broken plans that this package reports."""

    filename: str
    stack_trace: str
    timestamp: str


@dataclass(frozen=True)
class Login:
    """Who makes the requests.

    Without token and user: anybody, if Airflow makes everybody its administrator.
    """

    token: str | None = None
    user: str | None = None
    password: str | None = None


class AirflowApi:
    """A client of one API server.

    :param http: a client whose base URL is Airflow's, including a path prefix
    :param login: who makes the requests
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
        """The state and the last heartbeat of every component, as the API server sees them.

        It needs no login. The request is not repeated: a missing answer is part of the health report.
        """
        return _object(_checked(self._once("GET", "/api/v2/monitor/health"), "GET /monitor/health"))

    def dag(self, dag_id: str) -> Dag | None:
        """One DAG, or None if the DAG processor has not read it yet."""
        return self._json_or_none(f"/dags/{_part(dag_id)}")  # type: ignore[return-value]

    def parameters(self, dag_id: str) -> dict[str, Any]:
        """The parameters of a DAG's runs, each with its default ``value`` and its JSON ``schema``."""
        return self._json("GET", f"/dags/{_part(dag_id)}/details")["params"] or {}

    def dags(self) -> list[Dag]:
        """All DAGs except stale ones, which cannot run."""
        return self._list("/dags", "dags")

    def import_errors(self) -> list[ImportFailure]:
        """Every DAG file that could not be imported."""
        return self._list("/importErrors", "import_errors")

    def unpause(self, dag_id: str) -> None:
        """Let runs of this DAG start."""
        self._set(f"/dags/{_part(dag_id)}", is_paused=False)

    def pause(self, dag_id: str) -> None:
        """Schedule nothing more of this DAG: no run, and no task of a run that is active."""
        self._set(f"/dags/{_part(dag_id)}", is_paused=True)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger a run by hand.

        :return: the id of the run
        :raises Unreachable: the reply was lost, and the run is not listed or cannot be asked about
        """
        # The form of Airflow's own ids, with a random tail: two drills may be triggered at the same moment.
        run_id = f"manual__{dt.datetime.now(dt.UTC).isoformat()}_{uuid.uuid4().hex[:8]}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        try:
            self._request("POST", f"/dags/{_part(dag_id)}/dagRuns", json=body)
        except Unreachable as error:
            if not self._has_run(dag_id, run_id, error):
                raise Unreachable(
                    f"Airflow did not confirm run {run_id} of {dag_id}, and does not list it. "
                    f"{error.message}",
                    remedy=_LOOK_FIRST,
                ) from error
        return run_id

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One DAG run."""
        return self._json("GET", _run_path(dag_id, run_id))  # type: ignore[return-value]

    def run_or_none(self, dag_id: str, run_id: str) -> DagRun | None:
        """One DAG run, or None if Airflow does not know it."""
        return self._json_or_none(_run_path(dag_id, run_id))  # type: ignore[return-value]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run: queued, running, success or failed."""
        return self.run(dag_id, run_id)["state"]

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run, as a user does in the UI.

        Airflow ends the tasks that run, and skips those that have not begun. The teardown tasks still run,
        and the run ends after them.
        """
        self._set(_run_path(dag_id, run_id), state=state)

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task, as a user does in the UI."""
        self._request("PATCH", _task_path(dag_id, run_id, task_id), json={"new_state": state})

    def runs(
        self,
        *,
        dag_id: str = "~",
        limit: int,
        state: str | None = None,
        beginning: Mapping[str, str] | None = None,
        **filters: str,
    ) -> list[DagRun]:
        """The last runs, newest first.

        :param dag_id: only runs of this DAG (default: of all DAGs)
        :param beginning: how the runs' ``dag_id`` or ``run_id`` begins. Airflow may find a few others too.
        :param filters: additional parameters of the request
        """
        parameters: dict[str, Any] = {"order_by": "-run_after", "limit": limit, **filters}
        for field, text in (beginning or {}).items():
            parameters |= _beginning(field, text)
        if state:
            parameters["state"] = state
        return list(self._json("GET", f"/dags/{_part(dag_id)}/dagRuns", params=parameters)["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Every task instance of a run, including each index of mapped tasks."""
        return self._list(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances")

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """The XCom value that a task stored under this key, or None if it stored none."""
        path = f"{_task_path(dag_id, run_id, task_id)}/xcomEntries/{_part(key)}"
        entry = self._json_or_none(path, map_index=map_index, deserialize=True)
        return None if entry is None else entry["value"]

    def add_xcom(self, dag_id: str, run_id: str, task_id: str, key: str, value: Any) -> None:
        """Store an XCom value of a task.

        :raises Refused: the task has a value under this key
        """
        path = f"{_task_path(dag_id, run_id, task_id)}/xcomEntries"
        self._request("POST", path, json={"key": key, "value": value})

    def user_name(self) -> str | None:
        """The name of the user who is logged in, or None if this version of Airflow does not say."""
        try:
            return str(_object(self._request("GET", "/auth/me", root="/ui"))["username"])
        except (NotFound, KeyError):
            return None

    def task_messages(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """The log of one try of a task: messages with `timestamp`, `level`, `event` and additional fields."""
        path = f"{_task_path(dag_id, run_id, task_id)}/logs/{try_number}"
        log = self._json_or_none(path, map_index=map_index, full_content=True)
        content = [] if log is None else log["content"]
        return [{"event": message} if isinstance(message, str) else message for message in content]

    def variable(self, key: str) -> str | None:
        """The value of an Airflow Variable, or None if there is no such Variable.

        Airflow replaces values under keys such as ``token`` by ``***``.
        """
        found = self._json_or_none(f"/variables/{_part(key)}")
        return None if found is None else found["value"]

    def variables(self, prefix: str) -> dict[str, str]:
        """The values of all Variables whose keys begin so."""
        found = self._list("/variables", "variables", **_beginning("variable_key", prefix))
        return {item["key"]: item["value"] for item in found if item["key"].startswith(prefix)}

    def run_link(self, dag_id: str, run_id: str) -> str:
        """The address of the run's page in Airflow."""
        return f"{self.url}/dags/{_part(dag_id)}/runs/{_part(run_id)}"

    def answer_link(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The address of the page on which a person answers the task's question."""
        return f"{self.run_link(dag_id, run_id)}/tasks/{_part(task_id)}/required_actions"

    def _has_run(self, dag_id: str, run_id: str, lost: Unreachable) -> bool:
        try:
            return self._json_or_none(_run_path(dag_id, run_id)) is not None
        except Unreachable:
            raise Unreachable(
                f"Airflow did not confirm run {run_id} of {dag_id}, and cannot be asked whether the run "
                f"exists. {lost.message}",
                remedy=_LOOK_FIRST,
            ) from lost

    def _set(self, path: str, **fields: Any) -> None:
        self._request("PATCH", path, repeat=True, json=fields)

    def _list(self, path: str, key: str, **filters: str) -> list[Any]:
        items: list[Any] = []
        while True:
            page = self._json("GET", path, params={"limit": PAGE, "offset": len(items), **filters})
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

    def _request(self, method: str, path: str, *, root: str = "/api/v2", **arguments: Any) -> httpx.Response:
        response = self._logged_in(method, root + path, **arguments)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._login.token is None:
            self._token = None  # a fetched token is valid for a day, and a drill may take longer
            response = self._logged_in(method, root + path, **arguments)
        if response.status_code in _REFUSED_LOGIN:
            self._require_database(f"{method} {path} was answered with {response.status_code}")
        return _checked(response, f"{method} {path}")

    def _logged_in(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if self._token is None:
            self._token = self._fetch_token()
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._answer(method, path, headers=headers, **arguments)

    def _fetch_token(self) -> str:
        if self._login.user is None:
            response = self._answer("GET", "/auth/token")
        else:
            named = {"username": self._login.user, "password": self._login.password}
            response = self._answer("POST", "/auth/token", json=named)
        if response.is_client_error:
            self._require_database(f"it gave no token and answered {response.status_code}")
            who = f"user {self._login.user}" if self._login.user else "clients without a login"
            raise NotAllowed(
                f"Airflow at {self.url} gives no token to {who}: {response.status_code}, {_detail(response)}",
                remedy=LOGIN_REMEDY,
            )
        try:
            return str(_object(response)["access_token"])
        except KeyError:
            raise _not_airflow(response) from None

    def _answer(self, method: str, path: str, *, repeat: bool = False, **arguments: Any) -> httpx.Response:
        for pause in PAUSES if repeat or method == "GET" else ():
            try:
                return self._once(method, path, **arguments)
            except Unreachable:
                self._sleep(pause)
        try:
            return self._once(method, path, **arguments)
        except ServerFailed as error:
            self._require_database(error.message)
            raise

    def _require_database(self, seen: str) -> None:
        """Check that Airflow's database answers. Without it, some of Airflow's auth managers answer that a
        login is wrong, because they find no user.

        :param seen: what suggests that it does not
        :raises Unreachable: it does not
        """
        try:
            report = self.health().get("metadatabase") or {}
        except AirflowError:
            return  # then it is not known, and what was seen is reported as it is
        if report.get("status") == "unhealthy":
            raise Unreachable(
                f"Airflow at {self.url} runs, but does not reach its database ({seen}).",
                remedy="Start Airflow's database, or repair the way to it from the API server, whose log has "
                "the reason. This says nothing about your login.",
            )

    def _once(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            problem = f"{method} {path}: {error or type(error).__name__}"
        else:
            if not response.is_server_error:
                return response
            raise ServerFailed(
                f"Airflow at {self.url} failed: {method} {path} was answered with {response.status_code}: "
                f"{_detail(response)}",
                remedy="Look at the log of Airflow's API server. `python -m drs status` shows which parts of "
                "Airflow run.",
            )
        raise Unreachable(f"Airflow at {self.url} cannot be reached: {problem}", remedy=URL_REMEDY)


_REFUSED_LOGIN = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
LOGIN_REMEDY = (
    "Set DRS_AIRFLOW_TOKEN, or DRS_AIRFLOW_USER and DRS_AIRFLOW_PASSWORD, to the login of an Airflow user."
)
URL_REMEDY = (
    "Check that Airflow's API server runs, and give its address with --airflow-url or DRS_AIRFLOW_URL."
)
_LOOK_FIRST = "Check whether the run exists (`python -m drs runs`) before you trigger another."


def _checked(response: httpx.Response, request: str) -> httpx.Response:
    """Return the response if it is a success; raise the right error otherwise."""
    if response.is_success:
        return response
    answer = f"{request} was answered with {response.status_code}: {_detail(response)}"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise NotAllowed(f"Airflow does not accept this login. {answer}", remedy=LOGIN_REMEDY)
    if response.status_code == httpx.codes.FORBIDDEN:
        remedy = "Ask Airflow's administrator for this permission, or log in as another user."
        raise NotAllowed(f"Airflow does not let this user do that. {answer}", remedy=remedy)
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(answer)
    if response.is_client_error:
        raise Refused(answer)
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
    """Airflow's own explanation, from the body of its answer."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text
    return str(detail)[:LONGEST_DETAIL]


def _beginning(field: str, text: str) -> dict[str, str]:
    """Parameters that ask for a field that begins so. Airflow 3.2 knows only the first one, which looks for
    the text anywhere, and ignores the second one, which is exact.
    """
    return {f"{field}_pattern": text, f"{field}_prefix_pattern": text}


def _part(text: str) -> str:
    """One part of a path, quoted. Airflow's own ids need no quoting, but a person may type anything."""
    return quote(text, safe="~:+")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{_part(dag_id)}/dagRuns/{_part(run_id)}"


def _task_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{_part(task_id)}"
