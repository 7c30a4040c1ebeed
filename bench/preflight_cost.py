"""What preflight asks of AWS for a plan of 500 servers, and how long that takes.

    python -m bench.preflight_cost

Five waves of 100 servers, one job a wave, the groups once by tags and once by ids, against the simulated DRS
over HTTP. The calls are counted from the simulator's journal. The plain loop makes the same calls with the
same parameters, one after the other; a pass is one read of all source servers, which any tool makes that
finds its servers by tags. All three are measured in the same run, as medians of five rounds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore import xform_name

from demo.processes import Processes
from demo.settings import HOST, clean_environment
from demo.simulator_client import Simulator
from demo.stack import START_TIMEOUT, free_ports
from drs.aws.calls import Drs
from drs.aws.clients import AwsClients
from drs.plan import Plan
from drs.preflight import PreflightInputs, inspect

WAVES, SERVERS = 5, 100
ROUNDS = 5
ACCOUNT, REGION, ACCESS_KEY = "111122223333", "us-east-1", "AKIASIMULATOR1111222"
NAMES = [f"wave-{number}" for number in range(1, WAVES + 1)]

FLEET = f"""\
accounts:
  "{ACCOUNT}":
    access_key_id: {ACCESS_KEY}
    regions:
      {REGION}:
        servers:
"""
SERIES = """\
          - {{count: {servers}, id_prefix: s-{number:012x}, hostname: "{name}-{{n}}", tags: {{Wave: {name}}}}}
"""


def fleet() -> str:
    series = (
        SERIES.format(servers=SERVERS, number=number, name=name) for number, name in enumerate(NAMES, start=1)
    )
    return FLEET + "".join(series)


def plan(group: Callable[[int, str], dict[str, Any]]) -> Plan:
    """The plan, with each wave's group as it is told."""
    return Plan.model_validate(
        {
            "name": "measured",
            "target": {"region": REGION, "account_id": ACCOUNT},
            "launch": {"jobs": "per_wave"},
            "protection_groups": {name: group(number, name) for number, name in enumerate(NAMES, start=1)},
            "waves": [{"name": name, "protection_groups": [name]} for name in NAMES],
        }
    )


PLANS = {
    "by tags": plan(lambda _, name: {"server_tags": {"Wave": name}}),
    "by ids": plan(
        lambda number, _: {"source_servers": [f"s-{number:012x}{n:05x}" for n in range(1, SERVERS + 1)]}
    ),
}


def timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(simulator: Simulator, measured: Plan) -> tuple[Counter[str], dict[str, float]]:
    """The calls of one preflight, and medians in seconds."""
    ec2, sts, iam, drs = (simulator.client(service, REGION) for service in ("ec2", "sts", "iam", "drs"))
    clients = AwsClients(drs=Drs(drs), ec2=ec2, sts=sts, iam=iam)

    def look() -> None:
        report = inspect(PreflightInputs.whole(measured), clients)
        assert report.findings == (), report.findings
        assert report.resolution
        assert {len(wave.servers) for wave in report.resolution.waves.values()} == {SERVERS}

    simulator.clear_journal()
    look()
    calls = simulator.journal()

    def repeat() -> None:
        for call in calls:
            client = simulator.client(call["service"], REGION)
            getattr(client, xform_name(call["operation"]))(**call["parameters"])

    def read_servers() -> None:
        for _ in Drs(drs).source_servers():
            pass

    works = {"preflight": look, "plain loop": repeat, "one pass": read_servers}
    rounds = [{name: timed(work) for name, work in works.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in works}
    return Counter(f"{call['service']}:{call['operation']}" for call in calls), medians


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "fleet.yaml").write_text(fleet())
        (port,) = free_ports(1)
        processes = Processes(scratch / "logs", {**clean_environment(), "PYTHONPATH": ":".join(sys.path)})
        simulator = Simulator(f"http://{HOST}:{port}", ACCESS_KEY)
        try:
            arguments = ["--port", str(port), "--fleet", str(scratch / "fleet.yaml")]
            processes.start("simulator", [sys.executable, "-m", "simulator", *arguments])
            processes.wait("simulator", simulator.is_healthy, START_TIMEOUT, "become healthy")
            counted = {name: measure(simulator, measured) for name, measured in PLANS.items()}
        finally:
            processes.stop()
    operations = sorted({operation for calls, _ in counted.values() for operation in calls})
    print(f"{WAVES} waves of {SERVERS} servers\n")
    print(f"| calls | {' | '.join(counted)} |\n|---|---|---|")
    for operation in operations:
        print(f"| {operation} | {' | '.join(str(calls[operation]) for calls, _ in counted.values())} |")
    print(f"| all | {' | '.join(str(calls.total()) for calls, _ in counted.values())} |\n")
    print("| groups | preflight | plain loop | ratio | one pass | ratio |\n|---|---|---|---|---|---|")
    for name, (_, seconds) in counted.items():
        whole, loop, once = seconds["preflight"], seconds["plain loop"], seconds["one pass"]
        print(
            f"| {name} | {whole:.2f} s | {loop:.2f} s | {whole / loop:.2f} "
            f"| {once:.2f} s | {whole / once:.1f} |"
        )


if __name__ == "__main__":
    main()
