"""The sockets of running instances. They are opened when an instance runs, and closed when it stops running.

Only the server has sockets. Under ``mock_aws`` an instance has its address, but nothing listens there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from simulator.engine.instances import OpenPort

_PATIENCE: Final = 10.0
"""How many seconds a client may take to send its request."""

Key = tuple[str, int]


class Listeners:
    """All open sockets. It is not safe for several threads, so hold the simulation's lock."""

    def __init__(self) -> None:
        self._open: dict[Key, _Socket] = {}
        self._failed: dict[Key, str] = {}
        self._wanted: list[OpenPort] = []

    def match(self, wanted: Iterable[OpenPort]) -> None:
        """Open and close ports until exactly the ``wanted`` ones are open.

        If a port cannot be opened, it is reported once and tried again at the next call.
        """
        self._wanted = list(wanted)
        by_key = {port.key: port for port in self._wanted}
        for key in self._open.keys() - by_key:
            self._open.pop(key).close()
        for key in self._failed.keys() - by_key:
            del self._failed[key]
        for key, port in by_key.items():
            if key in self._open:
                self._open[key].port = port
            else:
                self._try(key, port)

    def describe(self) -> list[dict[str, Any]]:
        """Describe each port that should be open, with the error if it is not open."""
        return [
            {
                "address": port.address,
                "port": port.listener.port,
                "protocol": port.listener.protocol,
                "sourceServerID": port.server_id,
                "instanceID": port.instance_id,
                "error": self._failed.get(port.key),
            }
            for port in self._wanted
        ]

    def _try(self, key: Key, port: OpenPort) -> None:
        try:
            self._open[key] = _Socket(port)
        except OSError as error:
            reason = f"cannot listen on {port.address}:{port.listener.port}: {os.strerror(error.errno or 0)}"
            if self._failed.get(key) != reason:
                sys.stderr.write(f"simulator: {reason}; it is for {port.instance_id} of {port.server_id}\n")
            self._failed[key] = reason
        else:
            self._failed.pop(key, None)


class _Socket:
    """One open port, with its own threads. :raises OSError: it cannot be opened."""

    def __init__(self, port: OpenPort) -> None:
        self.port = port
        self._listening = socket.create_server(port.key)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close at once. Every new connection is then refused."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts connections
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, client = self._listening.accept()
            except OSError:  # the socket was closed
                return
            threading.Thread(target=self._serve, args=(connection, client), daemon=True).start()

    def _serve(self, connection: socket.socket, client: Any) -> None:
        with connection:
            connection.settimeout(_PATIENCE)
            try:
                if self.port.listener.protocol == "http":
                    _Request(connection, client, self)  # type: ignore[arg-type]  # its server is this socket
                else:
                    connection.sendall(self.port.listener.body.encode())
            except OSError:
                return  # the client has gone away


class _Request(BaseHTTPRequestHandler):
    """Answers an HTTP request as the fleet says, or as an armed fault says."""

    timeout = _PATIENCE

    def do_GET(self) -> None:
        socket_: Any = self.server
        port: OpenPort = socket_.port
        listener = port.listener
        status, body = listener.status, listener.body.encode()
        if listener.path not in (None, self.path.partition("?")[0]):
            status, body = 404, b""
        if port.status:
            status, body = port.status, b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Log nothing."""
