"""A simulated AWS in its own process.

The command line reaches it through the environment, as in real life.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from demo.simulator_client import Simulator
from drs.cli import main
from drs.run.ownership import job_tags
from drs.run.records import RunRecord
from tests.unit.drill import APPLICATION, DATABASE, make_plan, make_run

ROOT = Path(__file__).parents[3]
ACCOUNT, REGION = "111122223333", "us-east-1"
KEY = "AKIASIMULATOR1111222"
OTHER_ACCOUNT, OTHER_REGION = "444455556666", "eu-central-1"
WEB = ("s-69b4a1c2d3e4f5a71", "s-69b4a1c2d3e4f5a72")
FLEET = {
    "accounts": {
        ACCOUNT: {
            "access_key_id": KEY,
            "regions": {
                REGION: {
                    "servers": [
                        *({"id": server, "hostname": "db", "tags": {"Tier": "db"}} for server in DATABASE),
                        *(
                            {"id": server, "hostname": "app", "tags": {"Tier": "app"}}
                            for server in APPLICATION
                        ),
                        *({"id": server, "hostname": "web", "tags": {"Tier": "web"}} for server in WEB),
                    ]
                }
            },
        },
        OTHER_ACCOUNT: {
            "access_key_id": "AKIASIMULATOR4444555",
            "role": {"name": "drs-drills", "external_id": "seven-stones"},
            "regions": {OTHER_REGION: {"servers": [{"id": "s-8e21d5f309ba20001", "hostname": "eu"}]}},
        },
    }
}


class Server:
    """``python -m simulator`` on a free port. Its jobs are 3000 times as fast as those of DRS."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [sys.executable, "-m", "simulator", "--port", "0", "--speed", "3000"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().split()[-1]

    def stop(self) -> None:
        self.process.kill()  # it has nothing to save, and an orderly end takes longer
        self.process.communicate()


@dataclass(frozen=True)
class Result:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


class Aws(Simulator):
    """A client of the simulator that also runs commands of the command line against it."""

    _capsys: pytest.CaptureFixture[str]

    def __init__(self, url: str) -> None:
        super().__init__(url, KEY)

    def begin(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Begin a test: the simulator gets the fleet above and nothing else."""
        self._capsys = capsys
        self._send("POST", "/fleet", params={"mode": "replace"}, json=FLEET)
        self.clear_journal()

    def run(self, *argv: str) -> Result:
        """Run a command in this process."""
        self._capsys.readouterr()
        try:
            code = main(argv)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self._capsys.readouterr()
        return Result(code, out, err)

    @property
    def drs(self) -> Any:
        return self.client("drs", REGION)

    def launch(
        self, servers: Sequence[str], run: str | None = None, plan: str = "orders", installation: str = ""
    ) -> str:
        """Launch a drill of these servers and wait for its end.

        :param run: the id of the run that launches it; without one, the job has no tags of a run
        :param installation: the id of the Airflow that the job's tags name
        :return: the id of the job
        """
        job_id = self.start(servers, run, plan, installation)
        self.wait_until_ended(job_id)
        return job_id

    def start(
        self, servers: Sequence[str], run: str | None = None, plan: str = "orders", installation: str = ""
    ) -> str:
        tags = {}
        if run is not None:
            tags = job_tags(run_of(plan, run, installation), "database")
        named = [{"sourceServerID": server} for server in servers]
        reply = self.drs.start_recovery(isDrill=True, sourceServers=named, tags=tags)
        return str(reply["job"]["jobID"])

    def wait_until_ended(self, job_id: str) -> None:
        @retry(stop=stop_after_delay(30), wait=wait_fixed(0.05), retry=retry_if_result(lambda live: live))
        def live() -> bool:
            job = self.drs.describe_jobs(filters={"jobIDs": [job_id]})["items"][0]
            return bool(job["status"] != "COMPLETED")

        live()

    def left(self, *jobs: str) -> int:
        """How many EC2 instances that DRS launched (in these jobs, or in all) are still running."""
        running = [item for item in self.instances() if item["ec2State"] == "running"]
        return len([item for item in running if not jobs or item["jobID"] in jobs])


def run_of(plan: str, run_id: str, installation: str = "") -> RunRecord:
    """The record of the run whose jobs :meth:`Aws.start` starts."""
    token = f"token-of-{plan}-{run_id}"
    return make_run(make_plan(name=plan), run_id=run_id, token=token, installation=installation)


def plan_text(name: str = "orders", **target: str) -> str:
    """The text of a plan with two waves; the servers of the second are found by tags."""
    account, region = target.get("account", ACCOUNT), target.get("region", REGION)
    connection = target.get("connection", "aws_default")
    return f"""\
name: {name}
target: {{region: {region}, account_id: "{account}", aws_conn_id: {connection}}}
protection_groups:
  database: {{source_servers: [{", ".join(DATABASE)}]}}
  application: {{server_tags: {{Tier: app}}}}
launch: {{server_delay: 1s}}
waves:
  - {{name: database, protection_groups: [database]}}
  - {{name: application, protection_groups: [application], delay_before: 1s}}
"""
