"""The simulator's own HTTP interface, ``/_simulator/``: journal, faults, instances, listeners, fleet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from simulator import registration
from simulator.callers import account_of
from simulator.drs.models import current_simulation
from simulator.engine.faults import FAULT
from simulator.engine.fleet import Fleet, FleetError
from simulator.engine.journal import Entry, Journal
from simulator.engine.simulation import FaultError, LaunchedInstance
from simulator.listeners import Listeners

PREFIX: Final = "/_simulator"

_URLS: Final = Map(
    [
        Rule(f"{PREFIX}/health", endpoint="health", methods=["GET"]),
        Rule(f"{PREFIX}/journal", endpoint="read_journal", methods=["GET"]),
        Rule(f"{PREFIX}/journal", endpoint="clear_journal", methods=["DELETE"]),
        Rule(f"{PREFIX}/faults", endpoint="list_faults", methods=["GET"]),
        Rule(f"{PREFIX}/faults", endpoint="arm_faults", methods=["POST"]),
        Rule(f"{PREFIX}/faults", endpoint="disarm_faults", methods=["DELETE"]),
        Rule(f"{PREFIX}/faults/<fault_id>", endpoint="disarm_faults", methods=["DELETE"]),
        Rule(f"{PREFIX}/instances", endpoint="list_instances", methods=["GET"]),
        Rule(f"{PREFIX}/listeners", endpoint="list_listeners", methods=["GET"]),
        Rule(f"{PREFIX}/fleet", endpoint="load_fleet", methods=["POST"]),
    ]
)


class Control:
    """A WSGI application. It answers in JSON; an error is ``{"error": message}``."""

    def __init__(self, journal: Journal, listeners: Listeners) -> None:
        self._journal = journal
        self._listeners = listeners

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        try:
            endpoint, arguments = _URLS.bind_to_environ(environ).match()
            action: Callable[..., Any] = getattr(self, endpoint)
            response = _json(action(request, **arguments), 200)
        except HTTPException as error:
            response = _json({"error": error.description}, error.code or 500)
        return response(environ, start_response)

    def health(self, _request: Request) -> Any:
        simulation = current_simulation()
        return {"status": "ok", "speed": simulation.world.speed, "accounts": simulation.accounts}

    def read_journal(self, request: Request) -> Any:
        known = {field.name for field in fields(Entry)}
        for name in request.args:
            if name not in known:
                raise BadRequest(f"the journal has no member {name!r}; it has {', '.join(sorted(known))}")
        return {"entries": self._journal.read(request.args.to_dict())}

    def clear_journal(self, _request: Request) -> Any:
        return {"deleted": self._journal.clear()}

    def list_faults(self, _request: Request) -> Any:
        with current_simulation().lock:
            return {"faults": [armed.describe() for armed in current_simulation().world.faults]}

    def arm_faults(self, request: Request) -> Any:
        """Arm one fault or a list of faults. All are parsed before the first is armed."""
        body = _body(request)
        try:
            faults = [FAULT.validate_python(item) for item in (body if isinstance(body, list) else [body])]
            registration.refuse_unknown_operations(faults)
            return {"faults": [current_simulation().arm(fault).describe() for fault in faults]}
        except ValidationError as error:
            problems = (f"{_key(problem['loc'])}: {problem['msg']}" for problem in error.errors())
            raise BadRequest("; ".join(problems)) from None
        except FaultError as error:
            raise BadRequest(str(error)) from None

    def disarm_faults(self, _request: Request, fault_id: str | None = None) -> Any:
        count = current_simulation().disarm(fault_id)
        if fault_id and not count:
            raise NotFound(f"there is no fault {fault_id!r}")
        return {"disarmed": count}

    def list_instances(self, _request: Request) -> Any:
        simulation = current_simulation()
        with simulation.lock:
            simulation.tick()
            return {"instances": [_instance(each) for each in simulation.launched_instances()]}

    def list_listeners(self, _request: Request) -> Any:
        simulation = current_simulation()
        with simulation.lock:
            simulation.tick()
            self._listeners.match(simulation.open_ports())
            return {"listeners": self._listeners.describe()}

    def load_fleet(self, request: Request) -> Any:
        mode = request.args.get("mode", "add")
        if mode not in ("add", "replace"):
            raise BadRequest(f"mode is 'add' or 'replace', not {mode!r}")
        simulation = current_simulation()
        try:
            fleet = Fleet.from_yaml(request.get_data(as_text=True), "request")
            with simulation.lock:
                change = registration.replace if mode == "replace" else registration.add
                change(simulation, fleet)
        except FleetError as error:
            raise BadRequest(str(error)) from None
        return {"accounts": simulation.accounts}


def account_for(access_key_id: str | None) -> str | None:
    """Return the account of a call: that of its key, or the first account of the fleet."""
    return account_of(access_key_id) or next(iter(current_simulation().accounts), None)


def _instance(instance: LaunchedInstance) -> dict[str, Any]:
    service = current_simulation().service(instance.account, instance.region)
    return {
        "instanceID": instance.instance_id,
        "account": instance.account,
        "region": instance.region,
        "sourceServerID": instance.server_id,
        "jobID": instance.job_id,
        "isDrill": instance.is_drill,
        "ec2State": service.ec2.state(instance.instance_id),
        "drsState": "present" if instance.instance_id in service.recovery_instances else "gone",
    }


def _body(request: Request) -> Any:
    try:
        return json.loads(request.get_data())
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "fault"


def _json(content: Any, status: int) -> Response:
    return Response(json.dumps(content, indent=1) + "\n", status, content_type="application/json")
