"""A command that Systems Manager runs on the instance, once."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.call_errors import error_code, reply_unknown
from drs.plan.checks import SsmCheck
from drs.text.times import SEARCH_CLOCK_SKEW
from drs.validation.observation import Observation, failed, first_line, not_yet, passed
from drs.validation.server import Subject

DELIVERY = 30
"""Seconds for the delivery of a command: the smallest value that Systems Manager accepts."""
COMMENT = 100
"""Characters in a command's comment: Systems Manager's limit."""
_RUNNING = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})


class SsmCommand:
    """Sends the command once, and reads its result.

    SendCommand has no client token. Therefore the comment of the command contains a mark of the run, the
    wave, the check and this validation. If a command with this mark exists already, its result is read, and
    the command is not sent again. The client must not repeat requests by itself.

    .. seealso:: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html

    :param check: the check
    :param label: the check's name, which no other check of the server has
    :param subject: the server
    """

    def __init__(self, check: SsmCheck, label: str, subject: Subject) -> None:
        self._check = check
        self._subject = subject
        wave = subject.wave
        marked = f"{wave.token}/{wave.wave}/{label}/{wave.began_at.isoformat()}"
        self._mark = f"drs-drills {hashlib.sha256(marked.encode()).hexdigest()[:32]}"
        self._command_id: str | None = None
        self._may_be_sent = True
        """Whether there may be a command that this object does not know: an earlier process may have sent it,
        or a call whose reply was lost."""

    async def __call__(self) -> Observation:
        instance_id = await self._subject.instance_id()
        ssm = await self._subject.clients("ssm")
        if self._command_id is None and self._may_be_sent:
            self._command_id = await self._find(ssm, instance_id)
            self._may_be_sent = False
        if self._command_id is None and (refused := await self._send(ssm, instance_id)):
            return refused
        return await self._result(ssm, instance_id)

    async def _find(self, ssm: Any, instance_id: str) -> str | None:
        since = (self._subject.wave.began_at - SEARCH_CLOCK_SKEW).astimezone(dt.UTC)
        pages = ssm.get_paginator("list_commands").paginate(
            InstanceId=instance_id,
            Filters=[{"key": "InvokedAfter", "value": since.strftime("%Y-%m-%dT%H:%M:%SZ")}],
        )
        async for page in pages:
            for command in page["Commands"]:
                if str(command.get("Comment", "")).startswith(self._mark):
                    return str(command["CommandId"])
        return None

    async def _send(self, ssm: Any, instance_id: str) -> Observation | None:
        """Send the command. If it cannot be sent yet, return what was seen."""
        wave, check = self._subject.wave, self._check
        self._may_be_sent = True  # until there is a reply
        try:
            reply = await ssm.send_command(
                InstanceIds=[instance_id],
                DocumentName=check.document,
                Parameters={name: list(values) for name, values in check.parameters.items()},
                Comment=f"{self._mark} {wave.plan}/{wave.wave}"[:COMMENT],
                TimeoutSeconds=max(DELIVERY, round(check.timeout.total_seconds())),
            )
        except (ClientError, BotoCoreError) as error:
            self._may_be_sent = reply_unknown(error)
            if error_code(error) == "InvalidInstanceId":
                return not_yet(
                    f"{instance_id} is not registered with Systems Manager: its agent has not reported yet"
                )
            raise
        self._command_id = str(reply["Command"]["CommandId"])
        return None

    async def _result(self, ssm: Any, instance_id: str) -> Observation:
        assert self._command_id is not None
        named = f"{self._check.document} ({self._command_id})"
        try:
            reply = await ssm.get_command_invocation(CommandId=self._command_id, InstanceId=instance_id)
        except ClientError as error:
            if error_code(error) == "InvocationDoesNotExist":
                return not_yet(f"{named} was sent, but is not delivered yet")
            raise
        status = str(reply.get("StatusDetails") or reply.get("Status"))
        output = _output(reply)
        if reply.get("Status") in _RUNNING:
            return not_yet(f"{named} is {status}", output)
        if reply.get("Status") == "Success":
            return passed(f"{named}: {status}{_first_words(output)}", output)
        return failed(
            f"{named}: {status}, exit code {reply.get('ResponseCode', 'unknown')}{_first_words(output)}",
            output,
        )


def _output(reply: Any) -> str:
    out = str(reply.get("StandardOutputContent") or "").strip()
    err = str(reply.get("StandardErrorContent") or "").strip()
    return "\n".join(part for part in (out, f"stderr: {err}" if err else "") if part)


def _first_words(output: str) -> str:
    line = first_line(output)
    return f"; it said: {line}" if line else ""
