"""What a drill costs beyond its floor: DRS's own time and the plan's configured delays.

    python -m bench.drill_overhead [--speed 60]

Three waves of two servers, gates on ``launched``, one job a server, on a real Airflow (SQLite, LocalExecutor)
and the simulated DRS. ``--speed 1`` runs DRS at its recorded times, which takes about half an hour.

The floor of a wave, from the gate before it to its own: the configured delays, and DRS's time from the
creation of the wave's last job to the end of its last-ending job. What a wave takes beyond that is Airflow's
and our own.
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
  - {name: database, protection_groups: [database], next_wave_when: launched}
  - {name: application, protection_groups: [application], next_wave_when: launched}
  - {name: web, protection_groups: [web], next_wave_when: launched}
"""
SERVER_DELAY, WAVE_DELAY = 15.0, 30.0
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


def spans(stack: Stack, run_id: str) -> list[Span]:
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
        gate = instant(stack.api.xcom(DAG_ID, run_id, "begin", key=f"reached.{wave}.launched"))
        drs = (max(job.ended for job in jobs if job.ended) - max(job.created for job in jobs)).total_seconds()
        delays = SERVER_DELAY * (len(jobs) - 1) + (WAVE_DELAY if position else 0.0)
        parts.append(Span(f"wave {wave}", (gate - cuts[-1]).total_seconds(), drs, delays))
        cuts.append(gate)
    cleanup = stack.api.xcom(DAG_ID, run_id, "begin", key="cleanup")
    terminating = described(stack, {call["job_id"] for call in cleanup["terminate_calls"]})
    drs = sum((job.ended - job.created).total_seconds() for job in terminating if job.ended)
    parts.append(Span("clean-up to verdict", (instant(run["end_date"]) - cuts[-1]).total_seconds(), drs, 0.0))
    return parts


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
    speed = parser.parse_args().speed
    with tempfile.TemporaryDirectory() as scratch:
        plans = Path(scratch) / "plans"
        plans.mkdir()
        (plans / "measured.yaml").write_text(PLAN)
        home = Path(scratch) / "home"
        home.mkdir()
        with Stack(home, plans=plans, fleet=REPOSITORY / "include/fleets/default.yaml", speed=speed) as stack:
            stack.api.wait_for_dag(DAG_ID)
            stack.api.unpause(DAG_ID)
            run_id = stack.api.trigger(DAG_ID, {"reason": "measurement"})
            state = stack.api.wait_for_run(DAG_ID, run_id, timeout=3600)
            assert state == "success", stack.describe()
            parts = spans(stack, run_id)
    total = Span(
        "whole drill",
        sum(part.wall for part in parts),
        sum(part.drs for part in parts),
        sum(part.delays for part in parts),
    )
    print(f"3 waves of 2 servers, gates on launched, speed {speed:g}; seconds\n")
    print("| part | wall | DRS | delays | own | own / floor |\n|---|---|---|---|---|---|")
    for part in [*parts, total]:
        print(part.row())


if __name__ == "__main__":
    main()
