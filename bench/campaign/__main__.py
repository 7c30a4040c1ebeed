"""A campaign: thousands of whole drills with seeded faults, and how many of them broke a promise.

    python -m bench.campaign [--drills 20000] [--first-seed 1] [--mix NAME] [--flow NAME] [--processes 2]
    python -m bench.campaign --seed N [--mix NAME] [--flow NAME] [--verbose]
    python -m bench.campaign --case NAME [--flow NAME] [--verbose]

Each drill runs the plugin's own tasks against the simulated DRS, in a time of its own. The command prints a
table for drs-drills and one for the guide's first flow with the same seeds. It ends with 1 if a drill of
drs-drills broke a promise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from bench.campaign.result import Result, tables
from bench.campaign.runner import GUIDE, HASH_SEED, OURS, Task, environment, run

SHOWN = 100
"""Broken promises that are listed one by one."""


def main() -> int:
    options = _options()
    if options.seed is not None or options.case is not None:
        return _replay(options)
    flows = [options.flow] if options.flow else [OURS, GUIDE]
    seeds = range(options.first_seed, options.first_seed + options.drills)
    tasks = [Task(seed, flow, options.mix) for flow in flows for seed in seeds]
    began = time.monotonic()
    results: list[Result] = []
    for result in run(tasks, options.processes):
        results.append(result)
        if len(results) % 1000 == 0:
            print(
                f"{len(results):,} of {len(tasks):,} after {time.monotonic() - began:.0f} s", file=sys.stderr
            )
    results.sort(key=lambda each: (flows.index(each.flow), each.seed))
    ours = [result for result in results if result.flow == OURS]
    bad = [result for result in ours if result.violations or result.broke]
    for result in bad[:SHOWN]:
        _describe(result)
    print(tables(results))
    print(f"\n{len(tasks):,} drills in {time.monotonic() - began:.0f} s, {options.processes} processes")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Thousands of drills with seeded faults.")
    parser.add_argument("--drills", type=int, default=20_000)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--mix", help="drill this mix only; by default each seed chooses its own")
    parser.add_argument("--flow", choices=(OURS, GUIDE), help="this tool only; by default both")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="run this one drill")
    parser.add_argument("--case", help="run this one case, of those in cases.py")
    parser.add_argument("--verbose", action="store_true", help="show the logs of its tasks, too")
    return parser.parse_args()


def _replay(options: argparse.Namespace) -> int:
    """Run one drill again, with everything that happened in it."""
    if os.environ.get(HASH_SEED) != "0":  # it counts from the start of a process on
        with environment():
            return subprocess.run(
                [sys.executable, "-m", "bench.campaign", *sys.argv[1:]], check=False
            ).returncode
    from bench.campaign import stand_ins
    from bench.campaign.drill import drill, source_of

    task = Task(options.seed or 1, options.flow or OURS, options.mix, options.case)
    with stand_ins.installed(verbose=options.verbose):
        result = drill(task.seed, source_of(task), task.flow, say=print)
    _describe(result)
    return 1 if result.violations else 0


def _describe(result: Result) -> None:
    print(
        f"seed {result.seed}, mix {result.mix!r}, plan {result.plan}: "
        f"{', '.join(result.trouble) or 'no trouble'}"
    )
    print(f"  {result.ended.splitlines()[0] if result.ended else ''}")
    for violation in result.violations:
        print(f"  BROKEN  {violation.kind}: {violation.what}")
    if result.broke:
        print(f"  the campaign itself broke: {result.broke}")
    print(f"  {result.replay}")


if __name__ == "__main__":
    sys.exit(main())
