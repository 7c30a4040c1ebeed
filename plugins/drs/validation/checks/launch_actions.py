"""The post-launch actions that DRS runs on a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drs.validation.observation import Observation, failed, not_yet, passed
from drs.validation.server import Subject


async def launch_actions(subject: Subject) -> Observation:
    """The check passes if every action has succeeded, except those that are optional in DRS.

    DRS does not repeat an action that failed, so a failure is final.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_LaunchActionsStatus.html
    """
    participant = await subject.participant() or {}
    runs = participant.get("launchActionsStatus", {}).get("runs", ())
    if not runs:
        return not_yet(
            f"job {subject.server.job_id} names no post-launch action of the server: are any active in its "
            "launch settings?"
        )
    text = "; ".join(f"{_name(run)} {run.get('status', 'unknown')}" for run in runs)
    reasons = "\n".join(f"{_name(run)}: {run['failureReason']}" for run in runs if run.get("failureReason"))
    required = [run for run in runs if not run.get("action", {}).get("optional")]
    if failures := [run for run in required if run.get("status") == "FAILED"]:
        return failed(f"{text}{_reasons(failures)}", reasons)
    if all(run.get("status") == "SUCCEEDED" for run in required):
        return passed(text, reasons)
    return not_yet(text, reasons)


def _name(run: Mapping[str, Any]) -> str:
    action = run.get("action", {})
    return str(action.get("name") or action.get("actionCode") or run.get("runId") or "an action")


def _reasons(runs: Iterable[Mapping[str, Any]]) -> str:
    reasons = "; ".join(str(run["failureReason"]) for run in runs if run.get("failureReason"))
    return f": {reasons}" if reasons else ""
