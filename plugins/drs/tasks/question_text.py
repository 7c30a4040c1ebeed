"""The parts of a question to a person, in Markdown for the Airflow UI and plain for logs and messages.

A value that others wrote is a quotation in both, and cannot look like a part of the question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.cleanup.prices import COST_HEADER, basis, cost_cells, total
from drs.run.records import InstanceRecord, LaunchRecord, RunRecord, WaveOutcome, WaveResolution
from drs.text import shown
from drs.text.tables import markdown_table, table
from drs.text.times import utc_now

WaveSoFar = tuple[str, LaunchRecord | None, WaveOutcome | None]
"""A wave's name, its launch and how that ended, as far as there are records of it."""
Rows = Iterable[Sequence[str]]


@dataclass(frozen=True)
class Medium:
    """Where a question is shown.

    :param value: shows a value that others wrote
    :param sentence: shows a sentence of ours that may contain such values
    :param strong: shows a sentence of ours that must not be overlooked
    :param heading: shows the heading of what follows
    :param table: shows a header and rows; the third argument names the columns that hold sentences of ours
    """

    value: Callable[[object], str]
    sentence: Callable[[object], str]
    strong: Callable[[str], str]
    heading: Callable[[str], str]
    table: Callable[[Sequence[str], Rows, Collection[str]], str]


MARKDOWN = Medium(
    value=shown.markdown,
    sentence=shown.markdown_sentence,
    strong="**{}**\n".format,
    heading="\n**{}**\n".format,
    table=lambda header, rows, sentences: f"{markdown_table(header, rows, sentences=sentences)}\n",
)
PLAIN = Medium(
    value=shown.line,
    sentence=shown.line,
    strong="{}\n".format,
    heading="\n{}:".format,
    table=lambda header, rows, _: table(header, rows),
)


def asked_again(medium: Medium, try_number: int) -> Iterator[str]:
    """That an earlier answer is void: its task was tried again, or somebody cleared it."""
    if try_number > 1:
        yield medium.strong(
            f"This question is asked again (try {try_number}). An answer that was given before does not "
            "count: Airflow lost it, or somebody cleared the task."
        )


def about_run(medium: Medium, run: RunRecord) -> Iterator[str]:
    """Who started the run and why, and the account and Region in which it acts."""
    target = run.read_plan().target
    if not run.is_drill:
        yield medium.strong(
            "This is a real recovery (isDrill false). DRS cleans up earlier recovery instances of these "
            "servers, and this run terminates none of the instances that it launches."
        )
    yield f"- Started by {medium.value(run.started_by)}."
    yield f"- Reason: {medium.value(run.reason) if run.reason else 'none given'}."
    yield f"- Account {target.account_id}, Region {target.region}."
    point = run.recovery_point
    yield f"- Recovery point: {f'at or before {point:%Y-%m-%dT%H:%M:%SZ}' if point else 'the latest state'}."


def servers(medium: Medium, waves: Mapping[str, WaveResolution | None]) -> Iterator[str]:
    """The servers of these waves."""
    yield medium.heading("Servers")
    rows = [
        (name, each.server_id, each.name, "optional" if each.optional else "")
        for name, wave in waves.items()
        for each in (wave.servers if wave else ())
    ]
    yield medium.table(("wave", "server", "name", ""), rows, ()) if rows else "- none"


def preflight(medium: Medium, findings: Sequence[Mapping[str, Any]], waves: Sequence[str]) -> Iterator[str]:
    """What preflight found about these waves and about the run as a whole."""
    concerned = [finding for finding in findings if finding["wave"] is None or finding["wave"] in waves]
    yield medium.heading("What preflight found")
    if not concerned:
        yield "- nothing"
        return
    rows = [
        (each["severity"], each["code"], each["wave"] or "the run", each["server_id"] or "", each["seen"])
        for each in concerned
    ]
    yield medium.table(("severity", "code", "wave", "server", "seen"), rows, ("seen",))


def so_far(medium: Medium, waves: Iterable[WaveSoFar]) -> Iterator[str]:
    """How the launch of each wave ended, by the run's records."""
    yield medium.heading("So far")
    nothing = True
    for name, launch, outcome in waves:
        nothing = nothing and launch is None
        if outcome:
            launched = sum(server.launched for server in outcome.servers)
            yield f"- wave {name}: {launched} of {len(outcome.servers)} servers launched"
            for each in outcome.servers:
                if not each.launched:
                    server = f"{each.server_id} ({medium.value(each.name)})"
                    yield f"- wave {name}: {server} {each.result}: {medium.value(each.error or 'no error')}"
        elif launch:
            yield f"- wave {name}: {len(launch.jobs)} launch job(s) started, not ended yet"
    if nothing:
        yield "- nothing has been launched"


def instances_now(
    medium: Medium, instances: Sequence[InstanceRecord], names: Mapping[str, str], notes: Iterable[str]
) -> Iterator[str]:
    """The run's instances as AWS has them at this moment, with what they cost.

    :param names: the names of the servers, by id
    :param notes: what could not be read, and what may still be launched; a sentence each
    """
    now = utc_now()
    yield medium.heading(f"Instances as they are now ({now:%Y-%m-%d %H:%M:%S} UTC)")
    if instances:
        rows = [
            (
                each.server_id,
                names.get(each.server_id, ""),
                each.ec2_instance_id,
                each.state or "not known",
                *cost_cells(each, now),
            )
            for each in instances
        ]
        yield medium.table(("server", "name", "instance", "state", *COST_HEADER), rows, ())
        yield medium.sentence(total(instances, now))
        yield medium.sentence(basis(instances))
    else:
        yield "- none yet"
    yield from map(medium.sentence, notes)
