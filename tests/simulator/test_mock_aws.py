"""The simulated DRS under moto's mock_aws: its two hooks, its reset, its accounts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import moto.backend_index
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.backends import get_backend
from moto.core.base_backend import BackendDict

import simulator
from simulator.engine.faults import AccessDenied
from simulator.engine.fleet import Fleet, FleetError
from tests.simulator.conftest import ACCOUNT, REGION, fleet, servers

ROOT = Path(__file__).parents[2]
KEYS = {"111122223333": "AKIASIMULATOR1111222", "444455556666": "AKIASIMULATOR4444555"}


def _client(service: str, access_key: str, region: str = REGION) -> Any:
    make: Any = boto3.client  # typed for services that are named in the code
    return make(service, region_name=region, aws_access_key_id=access_key, aws_secret_access_key="secret")


def test_both_hooks_into_moto_are_what_moto_looks_at() -> None:
    """moto imports ``moto.<service>`` for the backends, and finds the service by URL."""
    assert simulator.register()
    assert simulator.register()
    by_name: Any = get_backend  # typed for the services that moto itself has
    backends = by_name("drs")
    assert isinstance(backends, BackendDict)
    assert backends.backend.__module__ == "simulator.drs.models"
    patterns = [pattern for name, pattern in moto.backend_index.backend_url_patterns if name == "drs"]
    assert len(patterns) == 1
    for host in ("drs.us-east-1.amazonaws.com", "drs-fips.us-east-1.amazonaws.com", "drs.us-east-1.api.aws"):
        assert patterns[0].match(f"https://{host}/DescribeJobs")


def test_a_drs_of_motos_own_is_left_alone() -> None:
    """In a process of its own: the first registration is what counts."""
    code = (
        "import sys, types, moto.backend_index as index\n"
        "own = sys.modules['moto.drs'] = types.ModuleType('moto.drs')\n"
        "before = list(index.backend_url_patterns)\n"
        "import simulator\n"
        "assert simulator.register() is False\n"
        "assert sys.modules['moto.drs'] is own and index.backend_url_patterns == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_engine_needs_neither_moto_nor_boto() -> None:
    """It is pure: a state machine, with EC2 behind a port."""
    code = (
        "import sys, simulator.engine.simulation, simulator.engine.journal\n"
        "assert not {'moto', 'boto3', 'botocore', 'airflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.usefixtures("mocked")
def test_a_simulation_ends_with_its_mock() -> None:
    """Servers, jobs and faults of one test do not reach the next, and registration outlives them."""
    simulation = simulator.seed(fleet(servers(1)))
    simulation.arm(AccessDenied())
    with pytest.raises(ClientError, match="AccessDeniedException"):
        boto3.client("drs", region_name=REGION).describe_jobs()
    mock = mock_aws()
    mock.reset()
    with pytest.raises(ClientError, match="UninitializedAccountException"):
        boto3.client("drs", region_name=REGION).describe_jobs()
    simulator.seed(fleet(servers(2)))
    assert len(boto3.client("drs", region_name=REGION).describe_source_servers()["items"]) == 2


@mock_aws
def test_two_accounts_and_regions_do_not_mix() -> None:
    """Told apart by access key and Region, in DRS, EC2 and STS alike; a role leads into another account."""
    simulator.register()
    simulation = simulator.seed(ROOT / "include" / "fleets" / "default.yaml", speed=1e6)
    orders, billing = (_client("drs", key) for key in KEYS.values())
    assert [len(each.describe_source_servers()["items"]) for each in (orders, billing)] == [38, 2]
    europe = _client("drs", KEYS["444455556666"], "eu-central-1").describe_source_servers()["items"]
    assert [server["tags"]["Name"] for server in europe] == ["billing-eu-db-1", "billing-eu-web-1"]
    wanted = [{"sourceServerID": "s-3c1730a9e0771ea14"}]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        billing.start_recovery(sourceServers=wanted)
    job = orders.start_recovery(sourceServers=wanted, isDrill=True)["job"]
    while orders.describe_jobs()["items"][0]["status"] != "COMPLETED":
        simulation.tick()
    assert f":{ACCOUNT}:job/" in job["arn"]
    assert billing.describe_jobs()["items"] == []
    assert [len(_client("ec2", key).describe_instances()["Reservations"]) for key in KEYS.values()] == [1, 0]
    for account, key in KEYS.items():
        assert account == _client("sts", key).get_caller_identity()["Account"]
    role = _client("sts", KEYS[ACCOUNT]).assume_role(
        RoleArn="arn:aws:iam::444455556666:role/drill", RoleSessionName="drill"
    )["Credentials"]
    assert len(_client("drs", role["AccessKeyId"]).describe_source_servers()["items"]) == 2


@mock_aws
def test_an_operation_that_is_not_simulated_says_so() -> None:
    """It names itself, and what is simulated."""
    simulator.register()
    with pytest.raises(ClientError, match=r"DescribeSourceNetworks is not simulated.*DescribeJobs") as error:
        _client("drs", KEYS[ACCOUNT]).describe_source_networks()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert error.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_a_region_that_drs_does_not_have_is_refused() -> None:
    """By its key in the fleet."""
    simulator.register()
    content = Fleet.parse({"accounts": {ACCOUNT: {"regions": {"us-nowhere-7": {}}}}}, "test")
    with mock_aws(), pytest.raises(FleetError, match=r"regions\.us-nowhere-7"):
        simulator.seed(content)
