"""One port for the simulated DRS and moto's other services, with a journal of every call."""

from __future__ import annotations

import io
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from moto.core.request import Request
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.serving import make_server

from simulator.callers import caller_arn
from simulator.control import PREFIX, Control, account_for
from simulator.drs.models import current_simulation
from simulator.engine.errors import ConnectionDroppedError, DrsError
from simulator.engine.fault_plan import Call
from simulator.engine.journal import Journal
from simulator.listeners import Listeners
from simulator.principals import check_assumption
from simulator.refusals import not_implemented, refuse
from simulator.traffic import AwsCall, Reply, Signature

_STEP: Final = 0.2
"""While nobody calls, seconds between two checks of what is due."""


class _Dispatcher(DomainDispatcherApplication):
    def __init__(self) -> None:
        super().__init__(create_backend_app)
        # moto lists its own folder for this on every request, but the answer never changes.
        self.get_backend_for_host = cache(super().get_backend_for_host)  # type: ignore[method-assign]


class Application:
    """The whole server as one WSGI application."""

    def __init__(self) -> None:
        self._journal = Journal()
        self._listeners = Listeners()
        self._control = Control(self._journal, self._listeners)
        self._aws = _Dispatcher()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            if environ["PATH_INFO"].startswith(PREFIX):
                answer: Iterable[bytes] = self._control(environ, start_response)
            else:
                answer = self._answer_aws(environ, start_response)
        except ConnectionDroppedError as dropped:
            time.sleep(dropped.silence)  # the journal has the call; others are answered meanwhile
            raise
        self._match_listeners()  # before the answer is sent, so that what it says about an instance is true
        return answer

    def keep_up(self) -> None:
        """Run what is due, for ever, so that sockets open and close even if nobody calls."""
        while True:
            current_simulation().tick()
            self._match_listeners()
            time.sleep(_STEP)

    def _match_listeners(self) -> None:
        simulation = current_simulation()
        with simulation.lock:
            self._listeners.match(simulation.open_ports())

    def _answer_aws(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        at = datetime.now(UTC)
        request = _readable_twice(environ)
        signature = Signature.of(request)
        account = account_for(signature.access_key_id)
        if account:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
        call = AwsCall.of(signature.service, request)
        caller = _caller(signature.access_key_id, account)
        status: int | None = None
        headers: list[tuple[str, str]] = []
        body = b""
        error: str | None = None
        result: dict[str, Any] = {}
        try:
            reply = self._reply(environ, request, call, _seen_by_faults(call, signature, account, caller))
            status, headers, body = reply
            error, result = call.read_reply(request, reply)
        except ConnectionError:
            error = "ConnectionDropped"
            raise
        except NotImplementedError as missing:
            status, headers, body = not_implemented(call, request, str(missing))
            error = "NotImplemented"
        except Exception:
            status, error = 500, "InternalFailure"
            raise
        finally:
            self._journal.write(
                at,
                service=call.service,
                operation=call.operation,
                account=account or "",
                region=signature.region,
                caller=caller,
                user_agent=request.headers.get("User-Agent", ""),
                parameters=call.parameters,
                status=status,
                error=error,
                result=result,
            )
        start_response(f"{status} {HTTP_STATUS_CODES.get(status, 'Unknown')}", headers)
        return [body]

    def _reply(self, environ: dict[str, Any], request: Request, call: AwsCall, seen: Call | None) -> Reply:
        """Return moto's reply, or a fault's refusal. The simulated DRS checks the faults of its own calls."""
        if seen is None:
            return self._ask_moto(environ)
        simulation = current_simulation()
        with simulation.lock:
            faults = simulation.world.faults
            try:
                faults.strike(seen, "before")
                if seen.operation == "sts:AssumeRole":
                    role, external_id = (call.parameters.get(name) for name in ("RoleArn", "ExternalId"))
                    check_assumption(simulation.roles, seen.caller_arn, role or "", external_id)
                reply = self._ask_moto(environ)
                faults.strike(seen, "after")
            except DrsError as error:
                return refuse(call, request, error)
            return reply

    def _ask_moto(self, environ: dict[str, Any]) -> Reply:
        environ["wsgi.input"].seek(0)
        started: list[tuple[str, list[tuple[str, str]]]] = []
        simulation = current_simulation()
        # Only one call at a time, because moto's EC2 cannot be read while DRS launches into it. The tick lets
        # every service see what DRS has launched by now.
        with simulation.lock:
            simulation.tick()
            chunks = self._aws(environ, lambda status, headers, *_: started.append((status, headers)))
            body = b"".join(chunks)
        status, headers = started[-1]
        return int(status.split()[0]), headers, body


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. When it is ready, it says so on standard output.

    :param host: the address to listen on.
    :param port: 0 picks a free one.
    :raises OSError: the port cannot be opened.
    """
    listening = socket.create_server((host, port), backlog=128)
    port = listening.getsockname()[1]
    application = Application()
    server = make_server(
        host, port, application, threaded=True, request_handler=_QuietHandler, fd=listening.fileno()
    )
    threading.Thread(target=application.keep_up, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    sys.stdout.write(f"simulator ready on http://{host}:{port}\n")
    sys.stdout.flush()
    server.serve_forever()


class _QuietHandler(MotoRequestHandler):
    def log_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Log nothing: the journal has every request."""

    def connection_dropped(self, *_args: Any, **_kwargs: Any) -> None:
        """Close the connection; otherwise the server would wait for another request on it."""
        self.close_connection = True


def _readable_twice(environ: dict[str, Any]) -> Request:
    """Return the request with its body in memory, so that both the journal and moto can read it."""
    body = Request(environ).get_data(cache=False)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    request = Request(environ)
    request.get_data(parse_form_data=True)
    return request


def _caller(access_key_id: str | None, account: str | None) -> dict[str, str | None]:
    arn = caller_arn(access_key_id, account) if access_key_id and account else None
    return {"access_key_id": access_key_id, "arn": arn}


def _seen_by_faults(
    call: AwsCall, signature: Signature, account: str | None, caller: dict[str, str | None]
) -> Call | None:
    """Return a call of a service other than DRS as the faults see it; None for any other call."""
    if call.operation is None or call.service == "drs":
        return None
    name = f"{call.service}:{call.operation}"
    return Call(name, account or "", signature.region, caller["arn"] or "anonymous")
