"""A server in the place of Airflow's API, for answers that a test cannot get from a real one."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

Answer = tuple[int, Any]


class FakeAirflow:
    """Gives a token and the answers that a test puts into ``answers``; remembers every request.

    An answer's key is a path, or a method and a path.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Callable[[dict[str, list[str]]], Answer]] = {
            "/auth/token": lambda _: (201, {"access_token": "secret"})
        }
        self.asked: list[tuple[str, str, str | None, Any]] = []
        """Method, path, Authorization and body of each request."""

    def answer(self, method: str, url: str, token: str | None, body: Any) -> Answer:
        parts = urlsplit(url)
        self.asked.append((method, parts.path, token, body))
        for key in (f"{method} {parts.path}", parts.path):
            if key in self.answers:
                return self.answers[key](parse_qs(parts.query))
        return 404, {"detail": f"{parts.path} not found"}


@contextlib.contextmanager
def fake_airflow() -> Iterator[FakeAirflow]:
    """The server, on a free port."""
    fake = FakeAirflow()

    @Request.application
    def application(request: Request) -> Response:
        body = json.loads(request.get_data() or "null")
        status, answer = fake.answer(
            request.method, request.full_path, request.headers.get("Authorization"), body
        )
        if isinstance(answer, Response):
            return answer
        return Response(answer if isinstance(answer, str) else json.dumps(answer), status=status)

    server = make_server("127.0.0.1", 0, application, threaded=True)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    # Often: each test waits for the end of its server.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
