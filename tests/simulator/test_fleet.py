"""Fleet files: what they may say, and how their errors read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drs.aws.states import LaunchDisposition, ReplicationState
from simulator.engine.fleet import Fleet, FleetError, Server
from simulator.engine.simulation import Simulation
from simulator.engine.timings import OperatingSystem
from tests.simulator.conftest import ACCOUNT, REGION, Engine, MemoryEc2, fleet, server_id, servers

DEFAULT = Path(__file__).parents[2] / "include" / "fleets" / "default.yaml"


def _servers(content: Fleet, account: str = ACCOUNT, region: str = REGION) -> list[Server]:
    entries = content.accounts[account].regions[region].servers
    return [entry for entry in entries if isinstance(entry, Server)]


def _errors(document: dict[str, Any]) -> list[str]:
    with pytest.raises(FleetError) as refusal:
        Fleet.parse(document, "f.yaml")
    return str(refusal.value).splitlines()


def _document(*entries: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"accounts": {ACCOUNT: {"regions": {REGION: {"servers": list(entries)}}}}, **rest}


def test_a_series_is_counted_out() -> None:
    """Ids go on in hexadecimal digits; {n} is the number."""
    series = {"count": 500, "id_prefix": "s-7de4f3a2b1c0", "hostname": "web-{n}", "tags": {"Name": "web-{n}"}}
    web = _servers(fleet([series]))
    assert len({server.id for server in web}) == 500
    assert (
        web[15].id,
        web[15].hostname,
        web[15].tags,
    ) == ("s-7de4f3a2b1c000010", "web-16", {"Name": "web-16"})


def test_defaults_hold_unless_a_server_says_otherwise() -> None:
    """Key by key, nested mappings included."""
    defaults = {"tags": {"Env": "test"}, "replication": {"state": "STALLED", "lag": "5m"}}
    own = {**servers(1)[0], "tags": {"Name": "db"}, "replication": {"lag": "1h"}}
    (server,) = _servers(Fleet.parse(_document(own, defaults=defaults), "f.yaml"))
    assert server.tags == {"Env": "test", "Name": "db"}
    assert (
        server.replication.state,
        server.replication.lag.total_seconds(),
    ) == (ReplicationState.STALLED, 3600)


def test_timings_differ_by_system_and_by_server() -> None:
    """A phase that is left out keeps its recorded time."""
    slow = {**servers(2)[1], "timings": {"launch": 999}}
    world = Engine(fleet([servers(1)[0], slow], timings={"linux": {"conversion": 10}}), speed=1)
    first, second = (world.drs.servers[server_id(n)].timings for n in (1, 2))
    assert (first.conversion, first.launch, second.conversion, second.launch) == (10, 279.52, 10, 999)
    assert first.snapshot == 0.191


def test_an_earlier_recovery_instance_stands_in_drs_and_ec2() -> None:
    """With the completed job that launched it."""
    world = Engine(fleet(servers(1, recovery_instance={"is_drill": False, "age": "2d"})), speed=1)
    (instance,) = world.drs.recovery_instances.values()
    assert not instance.is_drill
    assert world.ec2.state(instance.id) == "running"
    job = world.drs.jobs[instance.job_id]
    assert not job.live
    assert (world.clock.now() - job.created).days == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"id": server_id(1), "hostnam": "a"}, "servers[0].hostname: required key is missing"),
        ({"id": server_id(1), "hostnam": "a"}, "servers[0].hostnam: unknown key"),
        ({"id": "s-1", "hostname": "a"}, "servers[0].id: String should match pattern"),
        ({**servers(1)[0], "os": "plan9"}, "servers[0].os: Input should be 'linux' or 'windows'"),
        ({**servers(1)[0], "replication": {"lag": "soon"}}, "replication.lag: 'soon' is not a duration"),
        ({"count": 0, "id_prefix": "s-a", "hostname": "a"}, "servers[0].count: Input should be greater"),
        ({**servers(1)[0], "timings": {"lunch": 3}}, "servers[0].timings.lunch"),
    ],
)
def test_an_error_names_file_key_and_reason(entry: dict[str, Any], message: str) -> None:
    """Down to the place in a list."""
    errors = _errors(_document(entry))
    assert any(message in error for error in errors), errors
    assert all(error.startswith(f"f.yaml: accounts.{ACCOUNT}.regions.{REGION}.") for error in errors)


def test_all_errors_are_told_at_once() -> None:
    """One a line."""
    document = _document({"id": "s-1", "hostname": "a"}, faults=[{"kind": "throttle", "often": 1}], speed=3)
    errors = _errors(document)
    assert [e.split(" ", 1)[1] for e in errors[1:]] == ["faults[0].often: unknown key", "speed: unknown key"]


def test_a_server_cannot_stand_twice_in_a_region() -> None:
    """In one file, or in a fleet that is added to another."""
    (error,) = _errors(_document(*servers(1), *servers(1)))
    assert f"server {server_id(1)} is listed twice" in error
    simulation = Simulation(lambda account, region: MemoryEc2())
    simulation.load(fleet(servers(1)))
    with pytest.raises(FleetError, match="already"):
        simulation.load(fleet(servers(1)))


def test_a_key_cannot_stand_twice() -> None:
    """YAML would silently take the last one."""
    with pytest.raises(FleetError, match=r"f\.yaml: not readable as YAML: .*'accounts' is there twice"):
        Fleet.from_yaml("accounts: {}\naccounts: {}\n", "f.yaml")


@pytest.mark.parametrize("text", ["", "[]", "accounts: {", "accounts: {}"])
def test_what_is_no_fleet_is_refused(text: str) -> None:
    """Nothing, a list, broken YAML, no account."""
    with pytest.raises(FleetError, match=r"^f\.yaml: "):
        Fleet.from_yaml(text, "f.yaml")


def test_a_missing_file_is_named() -> None:
    """With the reason."""
    with pytest.raises(FleetError, match=r"nope\.yaml: cannot read the fleet file: No such file"):
        Fleet.load("nope.yaml")


def test_a_fleets_faults_are_armed_from_the_start() -> None:
    """A fault that cannot be armed refuses the fleet."""
    world = Engine(fleet(servers(1), faults=[{"kind": "throttle"}]), speed=1)
    assert [armed.describe()["kind"] for armed in world.simulation.world.faults] == ["throttle"]
    with pytest.raises(FleetError, match=server_id(9)):
        Engine(fleet(servers(1), faults=[{"kind": "stuck_pending", "servers": [server_id(9)]}]), speed=1)


def test_clearing_forgets_everything_and_terminates_what_was_launched(engine: Any) -> None:
    """Faults included."""
    world = engine()
    world.drilled(1)
    world.simulation.clear()
    assert {"terminated"} == set(world.ec2.states.values())
    assert not world.drs.initialized
    assert not world.drs.servers


def test_the_default_fleet_is_the_one_of_the_examples() -> None:
    """Orders in three tiers, an estate found by tags with one Windows server, a second account."""
    content = Fleet.load(DEFAULT)
    everything = _servers(content)
    tiers: dict[tuple[str, str], int] = {}
    for server in everything:
        key = server.tags["Application"], server.tags["Tier"]
        tiers[key] = tiers.get(key, 0) + 1
    assert tiers == {
        ("orders", "database"): 2,
        ("orders", "application"): 2,
        ("orders", "web"): 2,
        ("fleet", "directory"): 2,
        ("fleet", "database"): 6,
        ("fleet", "application"): 10,
        ("fleet", "web"): 12,
        ("fleet", "reporting"): 2,
    }
    assert [s.os for s in everything if s.os is not OperatingSystem.LINUX] == [OperatingSystem.WINDOWS]
    assert {"eu-central-1", "us-east-1"} == set(content.accounts["444455556666"].regions)
    assert all(server.launch.disposition is LaunchDisposition.STARTED for server in everything)
