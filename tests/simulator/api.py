"""boto3 against a simulation under mock_aws, with every answer held against botocore's model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import simulator
from simulator.engine.clock import ManualClock
from simulator.engine.operations import SIMULATED
from tests.simulator.conftest import REGION, START, server_id
from tests.simulator.shapes import MODEL, deviations, unmodelled

# botocore checks minimum lengths itself; here the service is to do it.
ONE_TRY = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


class Api:
    """boto3 against a simulation whose clock stands still, with every response checked."""

    def __init__(self, content: Any) -> None:
        self.clock = ManualClock(START)
        self.simulation = simulator.seed(content, clock=self.clock)
        self.client = boto3.client("drs", region_name=REGION, config=ONE_TRY)
        self.seen: set[str] = set()
        self.client.meta.events.register("before-parse.drs", self._check_raw)

    def _check_raw(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        if response_dict["status_code"] < 300:
            assert operation_model.http.get("responseCode", 200) == response_dict["status_code"]
            body = json.loads(response_dict["body"] or "{}")
            assert unmodelled(operation_model.name, body) == []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = self.client.meta.method_to_api_mapping[name]

        def call(**parameters: Any) -> Any:
            response = getattr(self.client, name)(**parameters)
            assert deviations(operation, response) == []
            self.seen.add(operation)
            return response

        return call

    def drill(self, *numbers: int, **more: Any) -> Any:
        wanted = [{"sourceServerID": server_id(number)} for number in numbers]
        return self.start_recovery(sourceServers=wanted, isDrill=True, **more)["job"]

    def refusal(self, name: str, **parameters: Any) -> tuple[str, int, dict[str, Any]]:
        """Code, HTTP status and content of the error; both are the model's where it has the error."""
        operation = self.client.meta.method_to_api_mapping[name]
        with pytest.raises(ClientError) as error:
            getattr(self.client, name)(**parameters)
        response: Any = error.value.response
        code, status = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
        assert MODEL.shape_for(code).metadata["error"]["httpStatusCode"] == status
        declared = {shape.name for shape in MODEL.operation_model(operation).error_shapes}
        assert code in declared or (code, operation) in UNDECLARED
        return code, status, response


# What DRS answers though its model does not say so: AccessDenied and validation errors occur on every
# operation, and an unknown server or instance must be answered somehow.
UNDECLARED = {
    *(
        (code, operation)
        for code in ("AccessDeniedException", "ValidationException")
        for operation in SIMULATED
    ),
    ("ResourceNotFoundException", "StartRecovery"),
    ("ResourceNotFoundException", "TerminateRecoveryInstances"),
}
