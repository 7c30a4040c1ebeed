"""A client of the simulator's control paths, and boto3 clients of the services that it simulates."""

from __future__ import annotations

from typing import Any

import boto3
import httpx
from botocore.config import Config

from demo.settings import ANY_SIGNING_KEY

OBSERVER = "drs-drills-observer"
"""Stands in the user agent of our own calls: a journal tells them from those of the drill."""


class Simulator:
    """Speaks to the simulator at `url`.

    :param access_key_id: the key that the fleet file gives to the account that the boto3 clients belong to.
    """

    def __init__(self, url: str, access_key_id: str) -> None:
        self.url = url
        self.access_key_id = access_key_id
        self._clients: dict[tuple[str, str], Any] = {}
        self._http = httpx.Client(base_url=f"{url}/_simulator", timeout=30, trust_env=False)

    def is_healthy(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get("/health").is_success
        except httpx.TransportError:
            return False

    def journal(self, **filters: str) -> list[dict[str, Any]]:
        """Every AWS call so far, refused ones included, e.g. `journal(operation="StartRecovery")`."""
        return self._send("GET", "/journal", params=filters)["entries"]  # type: ignore[no-any-return]

    def clear_journal(self) -> None:
        """Forget the calls so far."""
        self._send("DELETE", "/journal")

    def arm(self, **fault: Any) -> dict[str, Any]:
        """Arm a fault; its fields are those of the fleet file."""
        return self._send("POST", "/faults", json=fault)["faults"][0]  # type: ignore[no-any-return]

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are armed."""
        return self._send("GET", "/faults")["faults"]  # type: ignore[no-any-return]

    def disarm(self) -> None:
        """Take all faults away."""
        self._send("DELETE", "/faults")

    def add_fleet(self, fleet: dict[str, Any]) -> None:
        """Add servers to what is there; the document is that of a fleet file."""
        self._send("POST", "/fleet", json=fleet)

    def instances(self) -> list[dict[str, Any]]:
        """Every EC2 instance that DRS launched, with its state in EC2 and in DRS."""
        return self._send("GET", "/instances")["instances"]  # type: ignore[no-any-return]

    def live_jobs(self, region: str) -> list[str]:
        """The ids of the DRS jobs that hold servers now, of the account that the clients belong to."""
        pages = self.client("drs", region).get_paginator("describe_jobs").paginate(filters={})
        return [job["jobID"] for page in pages for job in page["items"] if job["status"] != "COMPLETED"]

    def client(self, service: str, region: str) -> Any:
        """A boto3 client of one service, with the credentials of the fleet's first account."""
        if (service, region) not in self._clients:  # to make one takes longer than most calls do
            self._clients[service, region] = boto3.client(
                service,  # type: ignore[call-overload]
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id=self.access_key_id,
                aws_secret_access_key=ANY_SIGNING_KEY,
                config=Config(user_agent_extra=OBSERVER, proxies={}, retries={"mode": "standard"}),
            )
        return self._clients[service, region]

    def _send(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._http.request(method, path, **arguments)
        if response.is_error:
            raise ValueError(
                f"The simulator refused {method} {path} ({response.status_code}): {response.text}"
            )
        return response.json()
