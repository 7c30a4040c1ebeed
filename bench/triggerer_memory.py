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
RUNNER, SUPERVISOR, LOG_SERVER = "runner, which runs our triggers", "supervisor", "log server"

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


def memory(session: int) -> dict[str, float]:
    """Proportional set size in MB of each of the triggerer's three processes."""
    parent = psutil.Process(session)
    sizes = {SUPERVISOR: parent.memory_full_info().pss / 1e6}
    for child in parent.children(recursive=True):
        name = LOG_SERVER if "serve-logs" in " ".join(child.cmdline()) else RUNNER
        sizes[name] = child.memory_full_info().pss / 1e6
    return sizes


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
            peak = before
            for _ in range(30):
                now = memory(pid)
                peak = max(peak, now, key=lambda sizes: sum(sizes.values()))
                time.sleep(1)
            live = stack.simulator.live_jobs("us-east-1")
            assert len(live) == PLANS
            print(f"{len(live)} jobs of {SERVERS} servers live, {PLANS} waves waiting in one triggerer\n")
            print(f"| process | idle | {PLANS} waves waiting, peak of 30 s |\n|---|---|---|")
            for name in (RUNNER, SUPERVISOR, LOG_SERVER):
                print(f"| {name} | {before[name]:.0f} MB | {peak[name]:.0f} MB |")
            print(f"| all three | {sum(before.values()):.0f} MB | {sum(peak.values()):.0f} MB |")


if __name__ == "__main__":
    main()
