"""The notices that people get of a run, one for each event, in words. Pure."""

from __future__ import annotations

import datetime as dt
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from drs.evidence.summary import objectives_in_words
from drs.plan import Approval
from drs.run.proof import EVIDENCE_TASK_ID, TERMINATE_TASK_ID
from drs.run.records import FailureRecord, RunRecord, WaveOutcome
from drs.run.scope import part_of_run, scope_in_words, scope_of_run
from drs.text import shown
from drs.text.tables import table
from drs.text.times import clock_time, duration

Event = Literal[
    "started",
    "missed",
    "approval_wanted",
    "wave_completed",
    "task_failed",
    "rto_passed",
    "passed",
    "failed",
    "watch",
]
MAX_SUBJECT = 100
MAX_MESSAGE = 250 * 1024
"""The limits of SNS: characters of a subject, bytes of a message (its attributes count too)."""
LONGEST_ESCAPE = 12
"""The most bytes that one character takes in JSON."""
CUT = "\n[...] The rest is in the run's log."


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a run. Its name in a notifier's templates is ``drs``."""

    event: Event
    subject: str
    """One line of ASCII, at most 100 characters."""
    message: str
    """The whole message, complete on its own; at most 250 KiB."""
    plan: str
    execution_type: str
    account_id: str
    region: str
    run_id: str
    link: str
    """The page of the run in the Airflow UI."""
    code: str = ""
    """The error code, if the event is a failure that has one."""
    evidence_hash: str = ""
    """At the end of a run: the SHA-256 of its record, which is the newest in the plan's chain."""

    @property
    def html(self) -> str:
        """The message for a notifier that sends HTML, in which it would otherwise be interpreted."""
        return f"<pre>{html.escape(self.message)}</pre>"

    @property
    def markdown(self) -> str:
        """The message for a notifier whose service interprets Markdown, as a block of code."""
        return shown.markdown_block(self.message.rstrip("\n"))


def started(run: RunRecord, base_url: str) -> Notice:
    """The run has begun."""
    plan = run.read_plan()
    facts = [("Waves", ", ".join(run.waves))]
    if run.exclude_servers:
        facts.append(("Excluded servers", ", ".join(run.exclude_servers)))
    if run.recovery_point:
        facts.append(("Recovery point", run.recovery_point.isoformat()))
    if plan.objectives.rto:
        facts.append(("RTO", _span(plan.objectives.rto)))
    return _notice(run, base_url, "started", "begun", "has begun.", facts)


def missed(run: RunRecord, base_url: str, *, why: str, remedy: str, code: str = "") -> Notice:
    """A run that no person started launches nothing.

    :param code: the error code of a refusal; empty for a missed run
    """
    short, what = (f"refused, {code}", "was refused") if code else ("missed", "was missed")
    failure = FailureRecord(code=code, message=why, remedy=remedy)
    return _notice(run, base_url, "missed", short, f"{what}: it launched nothing.", _why(failure), code=code)


def approval_wanted(
    run: RunRecord, base_url: str, *, what: str, rule: Approval, until: dt.datetime, passes: bool, body: str
) -> Notice:
    """A question waits for a person's answer.

    :param what: what is to be approved
    :param passes: whether no answer means approval
    :param body: the question as the Airflow UI shows it
    """
    silence = f"Without an answer by {until:%Y-%m-%d} {clock_time(until)} {what} is "
    facts = [
        ("Wanted", f"the approval or rejection of {what}"),
        ("Deadline", silence + ("approved." if passes else "rejected.")),
        ("Who may answer", ", ".join(map(shown.line, rule.approvers)) or "anyone with permission in Airflow"),
        ("What to do", "Answer under Required Actions on the page of the run."),
        ("The question", body),
    ]
    return _notice(
        run, base_url, "approval_wanted", f"approve {what}?", f"waits for approval of {what}.", facts
    )


def wave_completed(run: RunRecord, base_url: str, wave: str, outcome: WaveOutcome) -> Notice:
    """Every required server of the wave was launched and validated."""
    launched = sum(server.launched for server in outcome.servers)
    count = f"{launched} of {len(outcome.servers)} servers"
    rows = [
        (
            server.server_id,
            server.name,
            server.result if server.launched else f"{server.result} (optional): {server.error}",
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
    """A task failed and will not be retried; the run continues to its end."""
    if task_id == TERMINATE_TASK_ID:
        after = (
            "The run ends with its verdict. Instances that clean-up left cost money until somebody "
            "terminates them."
        )
    elif task_id == EVIDENCE_TASK_ID:
        after = "The run ends with its verdict."
    elif not run.is_drill:
        after = "The run ends with its verdict. It terminates nothing that it launched."
    else:
        after = "The run cleans up by the plan's rule, then ends with its verdict."
    return _notice(
        run,
        base_url,
        "task_failed",
        f"{failure.code or 'failure'} in {task_id}",
        f"has failed in task {task_id}.",
        [*_why(failure), ("What follows", after)],
        code=failure.code,
    )


def rto_exceeded(run: RunRecord, base_url: str, objective: dt.timedelta, lacking: Sequence[str]) -> Notice:
    """The plan's RTO is over, and these waves are not launched and validated. The event keeps its first name,
    ``rto_passed``, because subscriptions filter by it.
    """
    facts = [
        (
            "Why",
            f"{_span(objective)} after the run's start these waves are not launched and validated: "
            f"{', '.join(lacking)}",
        ),
        ("What to do", "Open the page of the run: it shows what these waves are waiting for."),
    ]
    return _notice(
        run, base_url, "rto_passed", "RTO exceeded", f"has exceeded its RTO of {_span(objective)}.", facts
    )


def passed(
    run: RunRecord, base_url: str, text: str, evidence: Mapping[str, Any], missed: Sequence[str] = ()
) -> Notice:
    """The run passed.

    :param text: what the run has done
    :param evidence: the run's record in short, as the task ``evidence`` returned it
    :param missed: the objectives that it missed, each as a clause
    """
    facts = [("Result", text), *result_facts(run, evidence)]
    short, what = "passed", "has passed."
    if missed:
        short = f"passed, but {' and '.join(each.partition(':')[0] for each in missed)}"
        what = f"has passed, but {' and '.join(missed)}."
    return _notice(run, base_url, "passed", short, what, facts, evidence_hash=str(evidence.get("hash") or ""))


def failed(run: RunRecord, base_url: str, failure: FailureRecord, evidence: Mapping[str, Any]) -> Notice:
    """The run is over and did not pass.

    :param failure: that of the verdict. The first line of its message names the cause, and its details tell
        whether everything is terminated
    :param evidence: the run's record in short, as the task ``evidence`` returned it
    """
    cause = failure.message.partition("\n")[0].partition("did not pass: ")[2]
    details = [("", failure.details)] if failure.details else record_facts(evidence)
    why = _why(failure.model_copy(update={"details": ""}))
    return _notice(
        run,
        base_url,
        "failed",
        f"FAILED: {cause.rstrip('.') or failure.code}".removesuffix(": "),
        "has failed.",
        [*why, *details],
        code=failure.code,
        evidence_hash=str(evidence.get("hash") or ""),
    )


def result_facts(run: RunRecord, evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to know of a run that passed: the measures with their targets, scope and record.

    :param evidence: the run's record in short, as the task ``evidence`` returned it
    """
    measures = [] if run.dry_run else objectives_in_words(evidence)
    return [*measures, ("Scope", scope_in_words(run)), *record_facts(evidence)]


def record_facts(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the run's record is, and its hash."""
    if not evidence.get("hash"):
        return [("Record", "none was written; the log of the task evidence says why")]
    keep = "(keep it: it proves that the record is unchanged)"
    return [
        ("Record", f"{evidence.get('id') or 'its id is not known'} in {evidence.get('path') or 'the store'}"),
        ("Evidence SHA-256", f"{evidence['hash']} {keep}"),
    ]


def watch_found(
    *,
    code: str,
    title: str,
    text: str,
    plan: str,
    execution_type: str,
    account_id: str,
    region: str,
    run_id: str,
    link: str,
) -> Notice:
    """The watch found a run that stands still, something that a run has left, or a place that it cannot read.

    :param title: the finding in a few words
    :param text: the finding, what to do, and where it is; complete on its own
    """
    return Notice(
        event="watch",
        subject=_one_line(f"{code}: {title}"),
        message=_cut(shown.block(text)),
        plan=plan,
        execution_type=execution_type,
        account_id=account_id,
        region=region,
        run_id=run_id,
        link=link,
        code=code,
    )


def run_link(base_url: str, dag_id: str, run_id: str) -> str:
    """The page of a run in the Airflow UI."""
    return f"{base_url.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}"


def _span(span: dt.timedelta) -> str:
    return duration(span.total_seconds())


def _why(failure: FailureRecord) -> list[tuple[str, str]]:
    facts = [("Why", f"[{failure.code}] {failure.message}" if failure.code else failure.message)]
    if failure.remedy:
        facts.append(("What to do", failure.remedy))
    if failure.details:
        facts.append(("Details", failure.details))
    return facts


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
    kind = _kind(run)
    link = run_link(base_url, run.dag_id, run.run_id)
    part = f" ({part_of_run(run)})" if scope_of_run(run) == "partial" else ""
    lines = [f"{kind} of plan {plan.name}{part} {what}"]
    if not run.is_drill and not run.dry_run:
        lines.insert(0, "THIS IS A REAL RECOVERY, NOT A DRILL.")
    where = f"account {plan.target.account_id}, Region {plan.target.region}"
    all_facts = [
        *facts,
        ("Where", where),
        ("Begun", f"{run.began_at:%Y-%m-%d} {clock_time(run.began_at)} by {run.started_by}"),
        ("Reason", shown.line(run.reason or "none given")),
        ("Run", f"{shown.line(run.run_id)}\n{link}"),
    ]
    lines += [_told(name, text) for name, text in all_facts]
    return Notice(
        event=event,
        subject=_one_line(f"{kind} of {plan.name}: {short}"),
        message=_cut(shown.block("\n".join(lines)) + "\n"),
        plan=plan.name,
        execution_type=run.execution_type,
        account_id=plan.target.account_id,
        region=plan.target.region,
        run_id=run.run_id,
        link=link,
        code=code,
        evidence_hash=evidence_hash,
    )


def _told(name: str, text: str) -> str:
    """One fact. A text of several lines comes below its name; one without a name tells its facts itself."""
    if not name:
        return text
    return f"\n{name}:\n{text}" if "\n" in text else f"{name}: {text}"


def _kind(run: RunRecord) -> str:
    """The kind of run. A real recovery always begins with these words, unless it is a dry run."""
    kind = "DRILL" if run.is_drill else "REAL RECOVERY"
    match scope_of_run(run):
        case "dry_run":
            return f"DRY RUN of a {kind}"
        case "partial":
            return f"PARTIAL {kind}" if run.is_drill else f"{kind} (PARTIAL)"
        case "full":
            return kind


def _one_line(text: str) -> str:
    ascii_only = shown.ascii_line(text)
    return ascii_only if len(ascii_only) <= MAX_SUBJECT else f"{ascii_only[: MAX_SUBJECT - 3]}..."


def _cut(text: str) -> str:
    if _sent_bytes(text) <= MAX_MESSAGE:
        return text
    keep = len(text)
    while _sent_bytes(text[:keep] + CUT) > MAX_MESSAGE:
        keep -= max(1, (_sent_bytes(text[:keep] + CUT) - MAX_MESSAGE) // LONGEST_ESCAPE)
    return text[:keep] + CUT


def _sent_bytes(text: str) -> int:
    """The size of the text as it is sent: SNS gets it within JSON."""
    return len(json.dumps({"default": text}))
