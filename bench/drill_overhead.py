"""What a drill costs beyond its floor: DRS's own time and the plan's configured delays.

    python -m bench.drill_overhead [--speed 60 | --short] [--gate validated]

Three waves of two servers, gates on ``launched``, one job a server, on a real Airflow (SQLite, LocalExecutor)
and the simulated DRS. ``--speed 1`` runs DRS at its recorded times, which takes about half an hour.
``--short`` takes five minutes: a server's conversion and launch take seconds, and everything else is as with
``--speed 1``.

The floor of a wave, from the gate before it to its own: the configured delays, and DRS's time from the
creation of the wave's last job to the end of its last-ending job. What a wave takes beyond that is Airflow's
and our own. A second table says where these seconds go, by the run's records and the timestamps of its logs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.stack import REPOSITORY, Stack
from drs.aws.jobs import Job

WAVES = ("database", "application", "web")
PLAN = """\
name: measured
target: {region: us-east-1, account_id: "111122223333"}
protection_groups:
  database: {source_servers: [s-3c1730a9e0771ea14, s-3c1730a9e0771ea15]}
  application: {source_servers: [s-57eae3bdae1f0a261, s-57eae3bdae1f0a262]}
  web: {source_servers: [s-69b4a1c2d3e4f5a71, s-69b4a1c2d3e4f5a72]}
waves:
  - {name: database, protection_groups: [database], next_wave_when: GATE}
  - {name: application, protection_groups: [application], next_wave_when: GATE}
  - {name: web, protection_groups: [web], next_wave_when: GATE}
"""
SHORT = """\
timings: {linux: {conversion_wait: 1.0, conversion: 2.0, launch: 12.0}}
"""
"""What ``--short`` adds to the fleet. The time between the end of a launch and that of its job stays."""
SERVER_DELAY, WAVE_DELAY = 15.0, 30.0
RESUMES = "Pre Execute"
"""What Airflow logs first when a task's process begins."""
DAG_ID = "drs_drill__measured"


@dataclass(frozen=True)
class Span:
    """One part of the drill: how long it took, and how long it had to."""

    name: str
    wall: float
    drs: float
    delays: float

    @property
    def own(self) -> float:
        return self.wall - self.drs - self.delays

    def row(self) -> str:
        floor = self.drs + self.delays
        share = f"{100 * self.own / floor:.2f} %" if floor else "-"
        cells = (f"{seconds:.1f}" for seconds in (self.wall, self.drs, self.delays, self.own))
        return f"| {self.name} | {' | '.join(cells)} | {share} |"


def spans(stack: Stack, run_id: str, gate_name: str) -> list[Span]:
    """Cut the run at its gates."""
    run = stack.api.run(DAG_ID, run_id)
    cuts = [instant(run["queued_at"])]
    parts: list[Span] = []
    ended_preflight = next(
        instant(task["end_date"])
        for task in stack.api.task_instances(DAG_ID, run_id)
        if task["task_id"] == "preflight"
    )
    parts.append(Span("begin and preflight", (ended_preflight - cuts[0]).total_seconds(), 0.0, 0.0))
    cuts.append(ended_preflight)
    for position, wave in enumerate(WAVES):
        record = stack.api.xcom(DAG_ID, run_id, "begin", key=f"launch.{wave}")
        jobs = described(stack, {slot["job_id"] for slot in record["timeline"]["servers"]})
        gate = instant(stack.api.xcom(DAG_ID, run_id, "begin", key=f"reached.{wave}.{gate_name}"))
        drs = (max(job.ended for job in jobs if job.ended) - max(job.created for job in jobs)).total_seconds()
        delays = SERVER_DELAY * (len(jobs) - 1) + (WAVE_DELAY if position else 0.0)
        parts.append(Span(f"wave {wave}", (gate - cuts[-1]).total_seconds(), drs, delays))
        cuts.append(gate)
    cleanup = stack.api.xcom(DAG_ID, run_id, "begin", key="cleanup")
    terminating = described(stack, {call["job_id"] for call in cleanup["terminate_calls"]})
    drs = sum((job.ended - job.created).total_seconds() for job in terminating if job.ended)
    parts.append(Span("clean-up to verdict", (instant(run["end_date"]) - cuts[-1]).total_seconds(), drs, 0.0))
    return parts


def causes(stack: Stack, run_id: str, gate_name: str) -> list[tuple[str, str, float]]:
    """Where the seconds of our own go: the part, what happens in it, and how long that takes."""
    tasks = {task["task_id"]: task for task in stack.api.task_instances(DAG_ID, run_id)}

    def xcom(key: str) -> Any:
        return stack.api.xcom(DAG_ID, run_id, "begin", key=key)

    found: list[tuple[str, str, float]] = []

    def cut(part: str, what: str, begin: dt.datetime, end: dt.datetime, due: float = 0.0) -> dt.datetime:
        found.append((part, what, (end - begin).total_seconds() - due))
        return end

    run = stack.api.run(DAG_ID, run_id)
    at = instant(run["queued_at"])
    for name in ("begin", "preflight"):
        at = cut("begin and preflight", f"until {name} starts", at, instant(tasks[name]["start_date"]))
        at = cut("begin and preflight", name, at, instant(tasks[name]["end_date"]))
    gate = at
    for position, wave in enumerate(WAVES):
        part, group = f"wave {wave}", f"wave_{wave}"
        record = xcom(f"launch.{wave}")
        calls = sorted(instant(call["at"]) for call in record["calls"])
        jobs = described(stack, {call["job_id"] for call in record["calls"]})
        ended = max(job.ended for job in jobs if job.ended)
        cut(part, "first call late", gate, calls[0], WAVE_DELAY if position else 0.0)
        cut(part, "next call late", calls[0], calls[-1], SERVER_DELAY * (len(calls) - 1))
        cut(part, "last call until DRS makes its job", calls[-1], max(job.created for job in jobs))
        messages = stack.api.task_messages(DAG_ID, run_id, f"{group}.wait_until_launched")
        seen = max((when for when, text in timed(messages) if "JOB_END" in text), default=ended)
        launched = instant(xcom(f"reached.{wave}.launched"))
        resumed = min(
            (when for when, text in timed(messages) if when > seen and RESUMES in text), default=seen
        )
        at = cut(part, "end of the last job until it is seen", ended, seen)
        at = cut(part, "until the task resumes", at, resumed)
        at = gate = cut(part, "until the gate is launched", at, launched)
        if gate_name == "validated":
            validate = tasks[f"{group}.validate"]
            at = cut(part, "until validate starts", at, instant(validate["start_date"]))
            at = gate = cut(
                part, "until the gate is validated", at, instant(xcom(f"reached.{wave}.validated"))
            )
    end = "clean-up to verdict"
    last = tasks[f"wave_{WAVES[-1]}.validate"]
    at = cut(end, "until validate has ended", gate, instant(last["end_date"]))
    at = cut(end, "until terminate starts", at, instant(tasks["terminate"]["start_date"]))
    cleanup = xcom("cleanup")
    terminating = described(stack, {call["job_id"] for call in cleanup["terminate_calls"]})
    cut(end, "until DRS makes the TERMINATE job", at, min(job.created for job in terminating))
    at = max(job.ended for job in terminating if job.ended)
    at = cut(end, "end of that job until clean-up is proven", at, instant(cleanup["ended_at"]))
    at = cut(end, "until terminate has ended", at, instant(tasks["terminate"]["end_date"]))
    for name in ("evidence", "verdict"):
        at = cut(end, f"until {name} starts", at, instant(tasks[name]["start_date"]))
        at = cut(end, name, at, instant(tasks[name]["end_date"]))
    cut(end, "until the run has ended", at, instant(run["end_date"]))
    return found


def timed(messages: list[dict[str, Any]]) -> list[tuple[dt.datetime, str]]:
    """The messages of a log that have a time."""
    return [(instant(each["timestamp"]), str(each["event"])) for each in messages if each.get("timestamp")]


def described(stack: Stack, job_ids: set[str]) -> list[Job]:
    items = stack.simulator.client("drs", "us-east-1").describe_jobs(filters={"jobIDs": sorted(job_ids)})[
        "items"
    ]
    return [Job.from_api(item) for item in items]


def instant(text: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of a drill beyond its floor.")
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--short", action="store_true", help="speed 1, with short conversions and launches")
    parser.add_argument("--gate", choices=("launched", "validated"), default="launched")
    options = parser.parse_args()
    speed = 1.0 if options.short else options.speed
    with tempfile.TemporaryDirectory() as scratch:
        plans = Path(scratch) / "plans"
        plans.mkdir()
        (plans / "measured.yaml").write_text(PLAN.replace("GATE", options.gate))
        fleet = Path(scratch) / "fleet.yaml"
        known = (REPOSITORY / "include/fleets/default.yaml").read_text()
        fleet.write_text(known + SHORT if options.short else known)
        home = Path(scratch) / "home"
        home.mkdir()
        with Stack(home, plans=plans, fleet=fleet, speed=speed) as stack:
            stack.api.wait_for_dag(DAG_ID)
            stack.api.unpause(DAG_ID)
            run_id = stack.api.trigger(DAG_ID, {"reason": "measurement"})
            state = stack.api.wait_for_run(DAG_ID, run_id, timeout=3600)
            assert state == "success", stack.describe()
            parts = spans(stack, run_id, options.gate)
            where = causes(stack, run_id, options.gate)
    total = Span(
        "whole drill",
        sum(part.wall for part in parts),
        sum(part.drs for part in parts),
        sum(part.delays for part in parts),
    )
    short = ", short launches" if options.short else ""
    print(f"3 waves of 2 servers, gates on {options.gate}, speed {speed:g}{short}; seconds\n")
    print("| part | wall | DRS | delays | own | own / floor |\n|---|---|---|---|---|---|")
    for part in [*parts, total]:
        print(part.row())
    print("\n| part | where our own seconds go | s |\n|---|---|---|")
    for name, what, seconds in where:
        print(f"| {name} | {what} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
