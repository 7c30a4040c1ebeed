"""``servers`` and ``groups``: they list the servers in DRS and in a plan's groups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.cli.simulated_aws import WEB
from tests.unit.drill import APPLICATION, DATABASE


def test_servers_are_listed_with_replication_and_tags(aws: Any) -> None:
    """The command lists every source server of the Region."""
    result = aws.run("servers", "--region", "us-east-1")
    assert result.code == 0
    header, _, first, *rest = result.out.splitlines()
    assert header.split("  ")[0] == "server"
    assert first.startswith(f"{APPLICATION[0]}  app   CONTINUOUS   0 s  20")
    assert first.endswith("NOT_STARTED  Tier=app")
    assert len(rest) == 5


def test_servers_can_be_chosen_by_tags(aws: Any) -> None:
    """As with a plan's server_tags, a server must have all of the tags."""
    result = aws.run("servers", "--region", "us-east-1", "--tags", "Tier=web", "--json")
    assert result.code == 0
    assert [server["server_id"] for server in json.loads(result.out)] == list(WEB)
    none = aws.run("servers", "--region", "us-east-1", "--tags", "Tier=web", "Application=x")
    assert (none.code, none.out) == (1, "DRS knows no such source server in us-east-1.\n")


def test_a_tag_has_a_key_and_a_value(aws: Any) -> None:
    """Each key may be given only once."""
    assert aws.run("servers", "--tags", "Tier").code == 2
    twice = aws.run("servers", "--region", "us-east-1", "--tags", "Tier=web", "Tier=db")
    assert twice.code == 2
    assert "A tag's key is given twice" in twice.err


def test_the_last_launch_of_a_server_is_told(aws: Any) -> None:
    """The result names the job of the last launch."""
    job = aws.launch([WEB[0]])
    result = aws.run("servers", "--region", "us-east-1", "--tags", "Tier=web", "--json")
    launched, untouched = json.loads(result.out)
    assert (launched["last_launch"], launched["last_launch_job"]) == ("SUCCEEDED", job)
    assert (untouched["last_launch"], untouched["last_launch_job"]) == ("NOT_STARTED", None)


def test_somebody_must_name_the_region(aws: Any) -> None:
    """There is no good default for the Region."""
    result = aws.run("servers")
    assert result.code == 2
    assert "No AWS Region was given" in result.err
    assert "--plan PLAN" in result.err


def test_groups_are_resolved_wave_by_wave(aws: Any, plans: Path) -> None:
    """Servers are found by ids and by tags, as a drill would find them now."""
    result = aws.run("groups", "orders", "--plans", str(plans), "--json")
    assert result.code == 0
    printed = json.loads(result.out)
    assert [(row["wave"], row["server_id"]) for row in printed["servers"]] == [
        ("database", DATABASE[0]),
        ("database", DATABASE[1]),
        ("application", APPLICATION[0]),
        ("application", APPLICATION[1]),
    ]
    assert printed["findings"] == []
    assert (
        f"application  application  {APPLICATION[0]}  app"
        in aws.run("groups", "orders", "--plans", str(plans)).out
    )


def test_an_empty_group_is_exit_code_1(aws: Any, plans: Path) -> None:
    """The message lists the values that the tag has on other servers."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("Tier: app", "Tier: ap"))
    result = aws.run("groups", str(path))
    assert result.code == 1
    assert "[TAG_RESOLUTION_EMPTY]" in result.err
    assert "app, db, web" in result.err


def test_an_empty_optional_group_is_a_warning(aws: Any, plans: Path) -> None:
    """An empty optional group does not stop a drill."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("{Tier: app}}", "{Tier: ap}, optional: true}"))
    result = aws.run("groups", str(path))
    assert result.code == 0
    assert result.err.startswith("warning: [TAG_RESOLUTION_EMPTY]")


def test_an_unknown_plan_is_exit_code_2(aws: Any, plans: Path) -> None:
    """The message lists the plans that exist. AWS is not called."""
    result = aws.run("groups", "ordres", "--plans", str(plans))
    assert result.code == 2
    assert "RECOVERY_PLAN_NOT_FOUND" in result.err
    assert "Did you mean orders?" in result.err
    assert aws.journal() == []


def test_a_broken_plan_is_exit_code_1(aws: Any, plans: Path) -> None:
    """The output has every problem, as in `validate`."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text() + "colour: red\n")
    result = aws.run("groups", "orders", "--plans", str(plans))
    assert result.code == 1
    assert "colour  [INVALID_FIELD]" in result.err
