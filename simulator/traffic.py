"""Reads requests to AWS services and their responses, with botocore's models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.awsrequest import HeadersDict
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from botocore.parsers import create_parser
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

# Services whose name in the signature differs from botocore's name.
_BY_SIGNING_NAME: Final = {"monitoring": "cloudwatch"}
_LONGEST_TEXT: Final = 2000

Reply = tuple[int, list[tuple[str, str]], bytes]
"""The status, headers and body of a response."""


def is_operation(service: str, operation: str) -> bool:
    """Whether botocore knows a service of that name, and the service has the operation."""
    try:
        return operation in get_service_model(service).operation_names
    except UnknownServiceError:
        return False


@dataclass(frozen=True)
class Signature:
    """The credential scope of a signed request."""

    access_key_id: str | None
    region: str
    service: str

    @classmethod
    def of(cls, request: Request) -> Signature:
        """Read the signature from the Authorization header, or from the query of a presigned URL."""
        header = request.headers.get("Authorization", "")
        _, _, credential = header.partition("Credential=")
        scope = (credential.split(",")[0] or request.args.get("X-Amz-Credential", "")).split("/")
        if len(scope) != 5:
            return cls(None, "us-east-1", "unsigned")
        return cls(scope[0], scope[2], _BY_SIGNING_NAME.get(scope[3], scope[3]))


@dataclass(frozen=True)
class AwsCall:
    """An operation with its parameters. Both are empty if botocore's models do not describe the request."""

    service: str
    operation: str | None
    parameters: dict[str, Any]

    @classmethod
    def of(cls, service: str, request: Request) -> AwsCall:
        try:
            model = get_service_model(service)
            protocol = determine_request_protocol(model, request.content_type)
            name, labels = _operation(service, request)
            operation = model.operation_model(name)
        except (UnknownServiceError, OperationNotFoundError, NotFound, NotImplementedError):
            return cls(service, None, {})
        parameters = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.get_data(),
                "url_path": request.path,
                "url_params": labels,
            }
        )
        return cls(service, name, _plain(parameters))

    def read_reply(self, request: Request, reply: Reply) -> tuple[str | None, dict[str, Any]]:
        """Return the reply's error code, if it is an error, and a short summary of its content."""
        status, headers, body = reply
        if self.operation is None or (status < 300 and self.service != "drs"):
            return None, {}
        model = get_service_model(self.service)
        parser = create_parser(determine_request_protocol(model, request.content_type))
        shape = model.operation_model(self.operation).output_shape
        content = {"status_code": status, "headers": HeadersDict(headers), "body": body}
        parsed = parser.parse(content, shape)
        if status >= 300:
            return parsed.get("Error", {}).get("Code"), {}
        return None, _summary(parsed)


def _operation(service: str, request: Request) -> tuple[str, dict[str, Any]]:
    """Return the operation's name, and the parts of the path that are parameters."""
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2], {}
    if action := request.values.get("Action"):
        return action, {}
    operation, labels = get_service_router(service).match(request)
    return str(operation.name), dict(labels)


def _summary(parsed: dict[str, Any]) -> dict[str, Any]:
    """Summarise a response: job ids and states as they are, and the length of each list."""
    summary: dict[str, Any] = {}
    for name, value in parsed.items():
        if name == "job":
            summary |= {key: value[key] for key in ("jobID", "type", "initiatedBy", "status")}
        elif isinstance(value, list):
            summary[name] = len(value)
        elif isinstance(value, str | int | bool):
            summary[name] = value
    return summary


def _plain(value: Any) -> Any:
    """Return ``value`` in a form that JSON can represent, with long texts cut."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bytes():
            return f"<{len(value)} bytes>"
        case str() if len(value) > _LONGEST_TEXT:
            return f"{value[:_LONGEST_TEXT]}… <{len(value)} characters>"
        case datetime():
            return value.isoformat()
        case None | str() | int() | float() | bool():
            return value
        case _:
            return str(value)
