"""A record as text for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from drs.cli.common import counted
from drs.cli.screen import fitted, terminal_width
from drs.evidence.record import CleanupEvidence, Evidence, ServerEvidence, WaveEvidence
from drs.evidence.summary import judged, kind, mark, not_met, part, seconds
from drs.evidence.texts import fate, fates
from drs.run.records import started_by
from drs.text.shown import block, line
from drs.text.times import instant, stamp

RESULT_HEADER = ("began (UTC)", "kind", "result", "RTO", "validated", "RPO")


def result_cells(record: Evidence) -> tuple[str, ...]:
    """The cells of a table's row that give the result of a run, below :data:`RESULT_HEADER`."""
    objectives = record.objectives
    return (
        instant(record.run.began_at, "-"),
        kind(record),
        record.result,
        mark(objectives.rto_launched),
        mark(objectives.rto_validated),
        mark(objectives.rpo),
    )


def shown(record: Evidence) -> Iterator[str]:
    """The lines that show a record."""
    run, target, objectives = record.run, record.target, record.objectives
    yield f"{record.id}: {kind(record)} of {record.plan.name}, {record.result}"
    yield block(record.summary)
    if record.scope == "partial":
        yield f"  covered   {part(record)}: not a pass of the whole plan"
    for each in not_met(record):
        yield f"  missed    {each.says}"
    if run.stop:
        why = f": {line(run.stop.reason)}" if run.stop.reason else ""
        yield f"  stopped   by {line(run.stop.by)} at {stamp(run.stop.at)}{why}"
    by = started_by(run.initiator, run.run_type, record.plan.content)
    yield f"  run       {line(run.run_id)}, began {stamp(run.began_at, '-')}, by {by}"
    if run.reason:
        yield f"  reason    {line(run.reason)}"
    yield f"  target    account {target.account_id}, {target.region}"
    yield f"  plan      digest {record.plan.digest}"
    if run.url:
        yield f"  in Airflow  {line(run.url)}"
    yield f"  RTO       to launched: {judged(objectives.rto_launched)}"
    yield f"            to validated: {judged(objectives.rto_validated)}"
    yield f"  RPO       {judged(objectives.rpo)}"
    for about, answer in record.approvals.items():
        word = "approved" if answer.approved else "rejected"
        said = f"{answer.answered} {answer.by} at {stamp(answer.at)} {answer.comment}".rstrip()
        yield f"  {word}  {about}: {line(said)}"
    yield ""
    yield from _waves(record)
    for title, lines in (
        ("Why it did not pass", [*record.reasons]),
        ("Preflight", [f"{each.severity} {each.code}: {each.seen}" for each in record.findings]),
        ("Instances that somebody else ended during the drill", [*_losses(record)]),
        (
            "Scheduled runs since the previous record that launched nothing",
            [f"{stamp(tick.due)} {tick.fate}: {tick.why}" for tick in record.missed_before],
        ),
        ("Excluded servers", [f"{each.server_id}: {each.why}" for each in record.excluded]),
        ("Notes", [*record.remarks]),
    ):
        if lines:
            yield f"\n{title}:"
            yield from (f"- {line(each)}" for each in lines)
    yield f"\nClean-up: {_cleaned(record)}"
    yield f"Evidence SHA-256: {record.hash}"
    if record.signature:
        yield f"Signed with: {record.signature.key_id} ({record.signature.algorithm}); `verify` checks it"
    before = record.previous
    yield f"Previous record: {before.id} {before.hash}" if before else "This is the first record of its plan."


def _losses(record: Evidence) -> Iterator[str]:
    for loss in record.losses:
        optional = ", optional" if loss.optional else ""
        yield (
            f"{loss.instance_id} of {loss.server_id} ({loss.name}, wave {loss.wave}{optional}) {loss.what}: "
            f"{loss.by}; last seen as it should be at {instant(loss.last_seen, '-')}"
        )


def _waves(record: Evidence) -> Iterator[str]:
    rows = [
        (
            wave.name,
            server.server_id,
            server.name,
            _launch(server, wave),
            {True: "valid", False: "NOT valid", None: "-"}[server.valid],
            seconds(server.launch_seconds),
            seconds(server.rpo_seconds),
            server.job_id or "-",
        )
        for wave in record.waves
        for server in wave.servers
    ]
    if rows:
        header = ("wave", "server", "name", "launch", "checks", "took", "data age", "job")
        yield fitted(header, rows, below=("job", "name", "wave"), width=terminal_width())
    for wave in record.waves:
        if wave.state in {"left_out", "not_reached"}:
            yield f"Wave {wave.name} was {wave.state.replace('_', ' ')}: {line(wave.why or 'not known')}"


def _launch(server: ServerEvidence, wave: WaveEvidence) -> str:
    if server.launched:
        return "launched"
    if server.live:
        return "still launching"
    return "optional" if server.optional else wave.state


def _cleaned(record: Evidence) -> str:
    cleanup = record.cleanup
    if cleanup is None:
        return "there was nothing to terminate."
    return "\n- ".join([_end(cleanup), *_exceptions(cleanup)])


def _end(cleanup: CleanupEvidence) -> str:
    lost = any(item.fate == "lost" for item in cleanup.instances)
    if cleanup.kept:
        kept = f"the instances were kept. {line(cleanup.why_kept)}".rstrip()
        return f"{kept} ({fates(cleanup)})" if lost else kept
    if not cleanup.proven:
        return f"NOT proven. Instances: {fates(cleanup)}"
    if lost:
        return f"all proven gone in DRS and EC2, but not all by this run. Instances: {fates(cleanup)}"
    return f"{counted(len(cleanup.instances), 'instance')} launched, all proven gone in DRS and EC2."


def _exceptions(cleanup: CleanupEvidence) -> Iterator[str]:
    """The instances that were lost, and those that are left."""
    for item in cleanup.instances:
        if item.fate == "lost" or not (item.gone or cleanup.kept):
            yield f"{item.recovery_instance_id} of {item.server_id}: {line(fate(item, cleanup)[1])}"
