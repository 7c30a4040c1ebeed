"""What ten drills at once cost each other: the time of the slowest over that of one alone.

    python -m bench.ten_drills

docker-compose.yaml, run natively: CeleryExecutor with two workers, PostgreSQL, Redis, the simulated DRS at 60
times its speed. Each plan has three waves of one server of its own and gates on ``launched``; what
DRS and the delays of a plan take is the same for all.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

from demo.compose_stack import ComposeStack, new_project
from demo.drill_run import DrillRun

DRILLS = 10
WAVES = ("database", "application", "web")
FLEET = """\
accounts:
  "111122223333":
    access_key_id: AKIASIMULATOR1111222
    regions:
      us-east-1:
        servers:
"""
PLAN = """\
name: {name}
target: {{region: us-east-1, account_id: "111122223333"}}
protection_groups:
"""


def server(plan: int, wave: int) -> str:
    return f"s-7e57{plan:05x}{wave:08x}"


def write_fleet(path: Path) -> None:
    lines = [
        f"          - {{id: {server(plan, wave)}, hostname: plan-{plan}-{name}}}\n"
        for plan in range(DRILLS)
        for wave, name in enumerate(WAVES)
    ]
    path.write_text(FLEET + "".join(lines))


def write_plan(folder: Path, plan: int) -> Path:
    path = folder / f"measured-{plan}.yaml"
    text = PLAN.format(name=path.stem)
    for wave, name in enumerate(WAVES):
        text += f"  {name}: {{source_servers: [{server(plan, wave)}]}}\n"
    text += "waves:\n"
    for name in WAVES:
        text += f"  - {{name: {name}, protection_groups: [{name}], next_wave_when: launched}}\n"
    path.write_text(text)
    return path


def seconds(run: DrillRun) -> float:
    """From the trigger to the end of the run, which must be green."""
    assert run.wait(timeout=1800) == "success", run.describe()
    told = run.stack.api.run(run.dag_id, run.run_id)
    begun, ended = (dt.datetime.fromisoformat(str(told[key])) for key in ("queued_at", "end_date"))
    return (ended - begun).total_seconds()


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "project").mkdir()
        project = new_project(Path(scratch) / "project")
        write_fleet(project / "include" / "fleets" / "default.yaml")
        plans = project / "include" / "plans"
        for plan in plans.glob("*.yaml"):
            plan.unlink()
        files = [write_plan(plans, plan) for plan in range(DRILLS)]
        with ComposeStack(Path(scratch) / "home", project) as stack:
            for file in files:
                stack.api.wait_for_dag(f"drs_drill__{file.stem}")
            seconds(DrillRun.trigger(stack, files[0]))  # workers import what a drill needs
            alone = seconds(DrillRun.trigger(stack, files[0]))
            runs = [DrillRun.trigger(stack, file) for file in files]
            together = sorted(seconds(run) for run in runs)
            assert not any(instance.is_left for instance in runs[0].instances())
    print("| drills at once | all green | fastest | slowest | slowest / one alone |\n|---|---|---|---|---|")
    print(f"| 1 | yes | {alone:.1f} s | {alone:.1f} s | 1 |")
    print(f"| {DRILLS} | yes | {together[0]:.1f} s | {together[-1]:.1f} s | {together[-1] / alone:.2f} |")


if __name__ == "__main__":
    main()
