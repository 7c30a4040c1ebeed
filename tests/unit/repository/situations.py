"""What the pages' commands are run against: a simulated AWS, plans and records, and what went wrong there."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from drs.evidence.page import render_page
from drs.evidence.storage import LocalStorage
from drs.evidence.store import EvidenceStore
from tests.unit.cli.simulated_aws import Aws
from tests.unit.cli.test_evidence import drill
from tests.unit.cli.test_watch import HERE, Airflow
from tests.unit.drill import make_plan
from tests.unit.fake_airflow import fake_airflow

ROOT = Path(__file__).resolve().parents[3]
DATABASE = ("s-3c1730a9e0771ea14", "s-3c1730a9e0771ea15")
WEB = ("s-69b4a1c2d3e4f5a71", "s-69b4a1c2d3e4f5a72")
FLEET_WEB = tuple(f"s-7de4f3a2b1c0{n:05x}" for n in range(1, 13))
FLEET_APPLICATION = tuple(f"s-7da9b8c7d6e5{n:05x}" for n in range(1, 11))
RUN = "manual__2026-11-27T06:00:00+00:00"
NO_CAPACITY = (
    "An error occurred (InsufficientInstanceCapacity) when calling the RunInstances operation: We currently "
    "do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a)."
)


class World(Aws):
    """The simulated AWS with the default fleet, and a folder that looks like a clone of the repository."""

    def __init__(self, url: str, records: Path) -> None:
        super().__init__(url)
        self.records = records
        self.fleet = yaml.safe_load((ROOT / "include" / "fleets" / "default.yaml").read_text())
        self.job = "drsjob-00000000000000000"
        self.opened = contextlib.ExitStack()
        """What a situation has opened, until the next one."""

    def become(
        self,
        situation: str,
        folder: Path,
        environment: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Make the situation, in a folder that holds nothing yet. It becomes the working folder."""
        self.opened.close()
        self._capsys = capsys
        self.folder, self.environment = folder, environment
        self._send("POST", "/fleet", params={"mode": "replace"}, json=self.fleet)
        shutil.copytree(ROOT / "include", folder / "include")
        environment.chdir(folder)
        environment.setenv("AWS_ENDPOINT_URL", self.url)
        environment.setenv("DRS_AIRFLOW_URL", "http://127.0.0.1:9")
        environment.setenv("NO_PROXY", "127.0.0.1")
        for name in ("TOKEN", "USER", "PASSWORD"):
            environment.delenv(f"DRS_AIRFLOW_{name}", raising=False)
        environment.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(self.records))
        environment.setattr("drs.cli.airflow_api.PAUSES", ())
        self.add_plan_of_the_readme()
        SITUATIONS[situation](self)

    def add_plan_of_the_readme(self) -> None:
        """Save billing as the README says, and its server, if the fleet has none there."""
        text = re.search(
            r"```yaml\n(# include/plans/billing\.yaml.*?)```", (ROOT / "README.md").read_text(), re.S
        )
        assert text
        self.plan("billing").write_text(text[1])
        regions = self.fleet["accounts"]["111122223333"]["regions"]
        if "eu-central-1" not in regions:
            tags = {"Application": "billing", "Tier": "web"}
            servers = [
                {"id": DATABASE[0], "hostname": "billing-db-1"},
                {"id": WEB[0], "hostname": "web", "tags": tags},
            ]
            self.add_fleet(
                {"accounts": {"111122223333": {"regions": {"eu-central-1": {"servers": servers}}}}}
            )

    def plan(self, name: str) -> Path:
        return self.folder / "include" / "plans" / f"{name}.yaml"

    def edit(self, name: str, old: str, new: str) -> None:
        """Edit a plan, in which the text is there once."""
        text = self.plan(name).read_text()
        assert text.count(old) == 1
        self.plan(name).write_text(text.replace(old, new))


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def keep_records(folder: Path) -> Path:
    """Three drills of the plan orders and one of order-system, as the pages show them."""
    store = EvidenceStore(LocalStorage(folder), render_page)
    measured = drill(0).objectives  # of the other months they would be wrong
    for number, by in enumerate(("ada (manual)", "scheduled", "ada (manual)")):
        record = drill(number, failed=number == 2)
        run = record.run.model_copy(update={"initiator": by})
        objectives = record.objectives if number == 2 else measured
        store.keep(record.model_copy(update={"run": run, "objectives": objectives}))
    store.keep(drill(0, plan="order-system"))
    return folder


# --- the situations -------------------------------------------------------------------------------------


def good(world: World) -> None:
    """Nothing is wrong."""


def held(world: World) -> None:
    """A job that somebody started in the console holds orders-db-1."""
    world.arm(kind="stuck_conversion", servers=[DATABASE[0]])
    world.job = world.start([DATABASE[0]])


def wrong_account(world: World) -> None:
    """The credentials are those of the fleet's second account."""
    world.environment.setenv("AWS_ACCESS_KEY_ID", "AKIASIMULATOR4444555")


def denied(world: World) -> None:
    """The role may not list source servers."""
    world.arm(kind="access_denied", operations=["DescribeSourceServers"])


def full(world: World) -> None:
    """Others have 20 jobs in progress."""
    for server in (*FLEET_WEB, *FLEET_APPLICATION)[:20]:
        world.arm(kind="foreign_job", servers=[server], seconds=600)


def wrong_tag(world: World) -> None:
    """A tag in the plan fleet is misspelt."""
    world.edit("fleet", "Tier: web}", "Tier: wbe}")


def wrong_plan(world: World) -> None:
    """A wave of order-system names a group that the plan does not have."""
    world.edit("order-system", "protection_groups: [web]", "protection_groups: [wbe]")


def stalled(world: World) -> None:
    """Replication of orders-web-1 has stopped."""
    world.arm(kind="replication", servers=[WEB[0]], state="STALLED", lag="3h")


def left(world: World) -> None:
    """A run of order-system has left two drill instances."""
    world.job = world.launch(DATABASE, run=RUN, plan="order-system")
    world.environment.setattr("sys.stdin", Terminal("no\n"))


def failed_launch(world: World) -> None:
    """EC2 had no capacity for orders-db-1."""
    world.arm(kind="launch_failed", servers=[DATABASE[0]], raw_error=NO_CAPACITY)
    world.job = world.launch([DATABASE[0]], run=RUN, plan="order-system")


def edited_plan(world: World) -> None:
    """The plans are in git, and the last commit broke order-system."""
    with git(world.folder) as run:
        run("init", "--quiet")
        run("add", ".")
        run("commit", "--quiet", "--message", "Order system: three waves")
        wrong_plan(world)
        run("commit", "--quiet", "--all", "--message", "Order system: another group")


def edited_orders(world: World) -> None:
    """The plan orders is not what its last full drill drilled: it has another wave and time-out."""
    plan = make_plan(objectives={"rto": "15m", "rpo": "1m"}, schedule="0 6 1 * *")
    text = plan.model_dump(mode="json", exclude_unset=True)
    text["launch"] = {"job_timeout": "90m"}
    text["protection_groups"]["web"] = {"source_servers": list(WEB)}
    text["waves"] = [*text["waves"], {"name": "web", "protection_groups": ["web"]}]
    world.plan("orders").write_text(yaml.safe_dump(text))


def deleted_run(world: World) -> None:
    """A run has left an instance, and Airflow does not know the run any more."""
    airflow = Airflow(world.opened.enter_context(fake_airflow()))
    world.environment.setenv("DRS_AIRFLOW_URL", airflow.fake.url)
    world.job = world.launch(DATABASE[:1], run=RUN, plan="order-system", installation=HERE)


@contextlib.contextmanager
def git(folder: Path) -> Iterator[Callable[..., str]]:
    """A function that runs git in a folder, without the settings of the user."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "ada", f"GIT_{who}_EMAIL": "ada@example.com"}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run


SITUATIONS: dict[str, Callable[[World], Any]] = {
    "good": good,
    "held": held,
    "another account": wrong_account,
    "denied": denied,
    "quota used up": full,
    "wrong tag": wrong_tag,
    "wrong plan": wrong_plan,
    "stalled": stalled,
    "left": left,
    "failed launch": failed_launch,
    "edited orders": edited_orders,
    "deleted run": deleted_run,
    "no Airflow": good,
    "edited plan": edited_plan,
}
"""Of the simulated AWS; those of a running stack are in tests/e2e/test_documented_commands.py."""
