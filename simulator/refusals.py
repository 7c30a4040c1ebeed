"""The refusals of the server itself, in the words and the protocol of the called service."""

from __future__ import annotations

import json
import warnings
from typing import Final

from moto.core.exceptions import ServiceException
from moto.core.request import Request, determine_request_protocol
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from simulator.engine.errors import AccessDeniedError, DrsError, InternalServerError, ThrottlingError
from simulator.traffic import AwsCall, Reply

_JSON: Final = {
    AccessDeniedError.code: ("AccessDeniedException", 400),
    ThrottlingError.code: ("ThrottlingException", 400),
    InternalServerError.code: ("InternalServerError", 500),
}
_XML: Final = {
    AccessDeniedError.code: ("AccessDenied", 403),
    ThrottlingError.code: ("Throttling", 400),
    InternalServerError.code: ("InternalFailure", 500),
}
_EC2: Final = {
    AccessDeniedError.code: ("UnauthorizedOperation", 403),
    ThrottlingError.code: ("RequestLimitExceeded", 503),
    InternalServerError.code: ("InternalError", 500),
}
_BY_PROTOCOL: Final = {"ec2": _EC2, "json": _JSON, "query": _XML, "rest-json": _JSON, "rest-xml": _XML}


class _Refusal(ServiceException):
    """An error of no moto service. moto finds an error's service by the module of its class."""


def refuse(call: AwsCall, request: Request, error: DrsError) -> Reply:
    """Return the reply with which a fault refuses a call of a service other than DRS."""
    code, status = _BY_PROTOCOL[_protocol(call, request)][error.code]
    return _reply(call, request, _Refusal(code, error.message), status)


def not_implemented(call: AwsCall, request: Request, message: str) -> Reply:
    """Answer with HTTP 501 what moto does not have. botocore does not retry a 501."""
    if call.operation is None:
        body = json.dumps({"__type": "NotImplemented", "message": message}).encode()
        return 501, [("Content-Type", "application/json")], body
    return _reply(call, request, _Refusal("NotImplemented", message), 501)


def _reply(call: AwsCall, request: Request, refusal: _Refusal, status: int) -> Reply:
    operation = get_service_model(call.service).operation_model(call.operation)
    serializer = get_serializer_class(call.service, _protocol(call, request))(operation)
    with warnings.catch_warnings():
        # moto warns about codes that a service's model does not list, and it does not list these.
        warnings.simplefilter("ignore")
        reply = serializer.serialize(refusal)
    body = reply["body"]
    return status, list(reply["headers"].items()), body if isinstance(body, bytes) else body.encode()


def _protocol(call: AwsCall, request: Request) -> str:
    return determine_request_protocol(get_service_model(call.service), request.content_type)
