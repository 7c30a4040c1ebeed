"""The triggerer's memory while 20 waves of 25 servers wait to be launched: all that DRS's quotas allow.

    python -m bench.triggerer_memory

Twenty plans of one wave each, `per_wave`, against the simulated DRS at its recorded speed. Measured is the
memory of the triggerer's processes (PSS: what they share is counted once), before the first wave waits and
when all of them do.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil

from demo.drill_run import DrillRun
from demo.stack import Stack

PLANS = 20
SERVERS = 25
WAITING_TASK = "wave_all.wait_until_launched"

PLAN = """\
name: {name}
target: {{region: us-east-1, account_id: "111122223333"}}
protection_groups:
  all: {{server_tags: {{Plan: {name}}}}}
launch: {{jobs: per_wave}}
waves:
  - {{name: all, protection_groups: [all]}}
"""
SERIES = """\
          - count: {servers}
            id_prefix: s-{number:012x}
            hostname: "{name}-{{n}}"
            tags: {{Plan: {name}}}
"""


def write(scratch: Path) -> tuple[Path, Path, list[str]]:
    """The plans, and a fleet for them."""
    names = [f"waits-{number:02d}" for number in range(PLANS)]
    plans = scratch / "plans"
    plans.mkdir()
    for name in names:
        (plans / f"{name}.yaml").write_text(PLAN.format(name=name))
    series = "".join(
        SERIES.format(servers=SERVERS, number=number, name=name) for number, name in enumerate(names, start=1)
    )
    fleet = scratch / "fleet.yaml"
    fleet.write_text(
        'accounts:\n  "111122223333":\n    access_key_id: AKIASIMULATOR1111222\n    regions:\n'
        f"      us-east-1:\n        servers:\n{series}"
    )
    return plans, fleet, names


def memory(pid: int) -> float:
    """Proportional set size of a process and all its children, in MB."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return float(sum(each.memory_full_info().pss for each in family)) / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        plans, fleet, names = write(scratch)
        home = scratch / "home"
        home.mkdir()
        with Stack(home, plans=plans, fleet=fleet, speed=1.0) as stack:
            pid = stack.processes.session("triggerer")
            before = memory(pid)
            for name in names:  # one after the other: SQLite has one writer at a time
                DrillRun.trigger(stack, plans / f"{name}.yaml").wait_for_task(WAITING_TASK, "deferred")
            peak = 0.0
            for _ in range(30):
                peak = max(peak, memory(pid))
                time.sleep(1)
            items = stack.simulator.client("drs", "us-east-1").describe_jobs(filters={})["items"]
            live = [item for item in items if item["status"] != "COMPLETED"]
            assert len(live) == PLANS
            print(f"{len(live)} jobs of {SERVERS} servers live, {PLANS} waves waiting in one triggerer\n")
            print("| triggerer | memory |\n|---|---|")
            print(f"| idle | {before:.0f} MB |\n| {PLANS} waves waiting, peak of 30 s | {peak:.0f} MB |")


if __name__ == "__main__":
    main()
