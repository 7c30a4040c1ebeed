"""What people are told of a run: one notice for each event, in words. Pure."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from drs.plan import Approval
from drs.run.proof import EVIDENCE_TASK_ID, TERMINATE_TASK_ID
from drs.run.records import FailureRecord, RunRecord, WaveOutcome
from drs.tables import table
from drs.times import clock_time

Event = Literal[
    "started", "approval_wanted", "wave_completed", "task_failed", "rto_passed", "passed", "failed"
]
MAX_SUBJECT = 100
MAX_MESSAGE = 250 * 1024
"""Characters of a subject and bytes of a message: the limits of SNS (the message's attributes count too)."""
LONGEST_ESCAPE = 12
"""Bytes of one character within JSON, at most."""
CUT = "\n[...] The rest stands in the run's log."


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a run. In a notifier's templates it is called ``drs``."""

    event: Event
    subject: str
    """One line of ASCII, at most 100 characters."""
    message: str
    """All that is told, complete on its own; at most 250 KiB."""
    plan: str
    execution_type: str
    account_id: str
    region: str
    run_id: str
    link: str
    """The page of the run in the Airflow UI."""
    code: str = ""
    """Of errors.py, where the event is a failure."""
    evidence_hash: str = ""
    """At the end of a run: the SHA-256 of its record, the newest of the plan's chain."""


def started(run: RunRecord, base_url: str) -> Notice:
    """The run has begun."""
    plan = run.read_plan()
    facts = [("Waves", ", ".join(run.waves))]
    if run.exclude_servers:
        facts.append(("Excluded servers", ", ".join(run.exclude_servers)))
    if run.recovery_point:
        facts.append(("Recovery point", run.recovery_point.isoformat()))
    if plan.objectives.rto:
        facts.append(("RTO", str(plan.objectives.rto)))
    return _notice(run, base_url, "started", "begun", "has begun.", facts)


def approval_wanted(
    run: RunRecord, base_url: str, *, what: str, rule: Approval, until: dt.datetime, passes: bool, body: str
) -> Notice:
    """A person is asked.

    :param what: what is to be approved
    :param passes: what silence means
    :param body: the question as it stands in the Airflow UI
    """
    silence = f"Without an answer by {until:%Y-%m-%d} {clock_time(until)} it is "
    facts = [
        ("Wanted", f"an answer whether {what} is approved"),
        ("Until", silence + ("approved." if passes else "rejected.")),
        ("Who may answer", ", ".join(rule.approvers) or "whoever Airflow lets"),
        ("What to do", "Answer under Required Actions on the page of the run."),
        ("The question", body),
    ]
    return _notice(
        run, base_url, "approval_wanted", f"approve {what}?", f"waits for approval of {what}.", facts
    )


def wave_completed(run: RunRecord, base_url: str, wave: str, outcome: WaveOutcome) -> Notice:
    """Every required server of the wave came up."""
    launched = sum(server.launched for server in outcome.servers)
    count = f"{launched} of {len(outcome.servers)} servers"
    rows = [
        (
            server.server_id,
            server.name,
            "launched" if server.launched else f"not launched (optional): {server.error}",
            server.instance_id or "-",
            f"{server.seconds:.0f} s" if server.seconds is not None else "-",
        )
        for server in outcome.servers
    ]
    servers = table(("server", "name", "launch", "instance", "took"), rows)
    return _notice(
        run,
        base_url,
        "wave_completed",
        f"wave {wave} completed",
        f"has completed wave {wave}: {count}.",
        [("Servers", servers)],
    )


def task_failed(run: RunRecord, base_url: str, task_id: str, failure: FailureRecord) -> Notice:
    """A task failed for good, while the run goes on to its end."""
    if task_id == TERMINATE_TASK_ID:
        after = "The verdict. What clean-up left costs money until somebody terminates it."
    elif task_id == EVIDENCE_TASK_ID:
        after = "The verdict."
    elif not run.is_drill:
        after = "The verdict. Nothing that was launched is terminated."
    else:
        after = "Clean-up as the plan says, then the verdict."
    return _notice(
        run,
        base_url,
        "task_failed",
        f"{failure.code or 'failure'} in {task_id}",
        f"has failed in task {task_id}.",
        [*_why(failure), ("What follows", after)],
        code=failure.code,
    )


def rto_passed(run: RunRecord, base_url: str, objective: dt.timedelta, lacking: Sequence[str]) -> Notice:
    """The plan's RTO has gone by, and these waves are not up."""
    facts = [
        (
            "Why",
            f"{objective} after its start these waves are not launched and validated: {', '.join(lacking)}",
        ),
        ("What to do", "See on the page of the run what these waves wait for."),
    ]
    return _notice(run, base_url, "rto_passed", "RTO passed", f"has passed its RTO of {objective}.", facts)


def passed(run: RunRecord, base_url: str, text: str, evidence_hash: str) -> Notice:
    """The run proved what it set out to prove."""
    facts = [("Result", text), *_evidence(evidence_hash)]
    return _notice(run, base_url, "passed", "passed", "has passed.", facts, evidence_hash=evidence_hash)


def failed(run: RunRecord, base_url: str, failure: FailureRecord, evidence_hash: str) -> Notice:
    """The run is over, and did not pass."""
    return _notice(
        run,
        base_url,
        "failed",
        "FAILED",
        "has failed.",
        [*_why(failure), *_evidence(evidence_hash)],
        code=failure.code,
        evidence_hash=evidence_hash,
    )


def run_link(base_url: str, dag_id: str, run_id: str) -> str:
    """The page of a run in the Airflow UI."""
    return f"{base_url.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}"


def _why(failure: FailureRecord) -> list[tuple[str, str]]:
    facts = [("Why", f"[{failure.code}] {failure.message}" if failure.code else failure.message)]
    if failure.remedy:
        facts.append(("What to do", failure.remedy))
    if failure.details:
        facts.append(("Details", failure.details))
    return facts


def _evidence(evidence_hash: str) -> list[tuple[str, str]]:
    if not evidence_hash:
        return []
    return [("Evidence", f"SHA-256 {evidence_hash}; keep it: the record of this run must have it.")]


def _notice(
    run: RunRecord,
    base_url: str,
    event: Event,
    short: str,
    what: str,
    facts: Iterable[tuple[str, str]],
    *,
    code: str = "",
    evidence_hash: str = "",
) -> Notice:
    plan = run.read_plan()
    kind = "DRILL" if run.is_drill else "REAL RECOVERY"
    if run.dry_run:
        kind = f"DRY RUN of a {kind}"
    link = run_link(base_url, run.dag_id, run.run_id)
    lines = [f"{kind} of plan {plan.name} {what}"]
    if not run.is_drill and not run.dry_run:
        lines.insert(0, "THIS IS A REAL RECOVERY, NOT A DRILL.")
    where = f"account {plan.target.account_id}, Region {plan.target.region}"
    told = [
        *facts,
        ("Where", where),
        ("Begun", f"{run.began_at:%Y-%m-%d} {clock_time(run.began_at)} by {run.initiator or run.run_type}"),
        ("Reason", run.reason or "none given"),
        ("Run", f"{run.run_id}\n{link}"),
    ]
    lines += [f"\n{name}:\n{text}" if "\n" in text else f"{name}: {text}" for name, text in told]
    return Notice(
        event=event,
        subject=_one_line(f"{kind} of {plan.name}: {short}"),
        message=_cut("\n".join(lines) + "\n"),
        plan=plan.name,
        execution_type=run.execution_type,
        account_id=plan.target.account_id,
        region=plan.target.region,
        run_id=run.run_id,
        link=link,
        code=code,
        evidence_hash=evidence_hash,
    )


def _one_line(text: str) -> str:
    ascii_only = "".join(char if " " <= char <= "~" else "?" for char in text)
    return ascii_only if len(ascii_only) <= MAX_SUBJECT else f"{ascii_only[: MAX_SUBJECT - 3]}..."


def _cut(text: str) -> str:
    if _sent_bytes(text) <= MAX_MESSAGE:
        return text
    keep = len(text)
    while _sent_bytes(text[:keep] + CUT) > MAX_MESSAGE:
        keep -= max(1, (_sent_bytes(text[:keep] + CUT) - MAX_MESSAGE) // LONGEST_ESCAPE)
    return text[:keep] + CUT


def _sent_bytes(text: str) -> int:
    """What the text takes on its way: SNS gets it within JSON."""
    return len(json.dumps({"default": text}))
