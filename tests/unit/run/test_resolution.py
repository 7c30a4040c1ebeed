"""From protection groups to servers: by id and by tags, without the excluded, with every finding at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from drs.errors import Code
from drs.run.records import Resolution
from drs.run.resolution import ResolutionProblem, resolve, server_name
from tests.unit.drill import make_plan


def server(number: int) -> str:
    return f"s-{number:017x}"


def item(number: int, **tags: str) -> dict[str, Any]:
    """What DescribeSourceServers says of a server."""
    return {"sourceServerID": server(number), "tags": tags}


def resolved(
    groups: Mapping[str, Mapping[str, Any]],
    known: Sequence[Mapping[str, Any]],
    *,
    exclude: Sequence[str] = (),
    only: Sequence[str] | None = None,
    jobs: str = "per_server",
) -> tuple[Resolution, list[ResolutionProblem]]:
    """Resolve a plan that has one wave, of the same name, for each group."""
    plan = make_plan(
        protection_groups=groups,
        waves=[{"name": name, "protection_groups": [name]} for name in groups],
        launch={"jobs": jobs},
    )
    return resolve(plan, list(groups) if only is None else only, exclude, known)


def servers_of(resolution: Resolution, wave: str) -> list[str]:
    return [each.server_id for each in resolution.waves[wave].servers]


def only_problem(problems: Sequence[ResolutionProblem], code: Code) -> str:
    """The text of the one problem."""
    (problem,) = problems
    assert problem.error.code is code
    return str(problem.error)


def test_listed_servers_keep_the_order_of_the_plan() -> None:
    """Not that of DRS's answer."""
    resolution, problems = resolved(
        {"db": {"source_servers": [server(2), server(1)]}}, [item(1), item(2), item(3)]
    )
    assert problems == []
    assert servers_of(resolution, "db") == [server(2), server(1)]


def test_tagged_servers_must_bear_every_tag() -> None:
    """In the order of their ids; further tags do not matter."""
    known = [
        item(3, App="x", Tier="web", Name="web-3"),
        item(1, App="x", Tier="web"),
        item(2, App="x", Tier="db"),
        {"sourceServerID": server(4)},
    ]
    resolution, problems = resolved({"web": {"server_tags": {"App": "x", "Tier": "web"}}}, known)
    assert problems == []
    assert servers_of(resolution, "web") == [server(1), server(3)]


def test_only_the_chosen_waves_are_resolved() -> None:
    """What is wrong in a wave left out does not stop the drill."""
    groups = {"db": {"source_servers": [server(1)]}, "web": {"server_tags": {"Tier": "web"}}}
    resolution, problems = resolved(groups, [item(1)], only=["db"])
    assert problems == []
    assert list(resolution.waves) == ["db"]


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ({"tags": {"Name": "db-1"}, "sourceProperties": {"identificationHints": {"hostname": "h"}}}, "db-1"),
        ({"tags": {}, "sourceProperties": {"identificationHints": {"hostname": "h"}}}, "h"),
        ({"sourceProperties": {}}, "s-1"),
    ],
)
def test_a_server_is_called_by_its_name_tag_its_host_or_its_id(known: dict[str, Any], name: str) -> None:
    """The first that there is."""
    assert server_name({"sourceServerID": "s-1", **known}) == name


def test_an_unknown_server_is_named_with_its_group() -> None:
    """With what the plan is compared: this account and Region."""
    _, problems = resolved({"db": {"source_servers": [server(1), server(9)]}}, [item(1)])
    text = only_problem(problems, Code.SOURCE_SERVER_NOT_FOUND)
    assert f"Group db names {server(9)}, which DRS does not know" in text


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ({"Layer": "web"}, "no server has a tag Layer (tags there are: App, Tier)"),
        ({"Tier": "wbe"}, "no server has Tier=wbe (values there are: db, web)"),
        ({"App": "y", "Tier": "web"}, "each tag exists, but no server has all of them"),
    ],
)
def test_tags_that_match_nothing_are_told_with_what_there_is(wanted: dict[str, str], hint: str) -> None:
    """A misspelt key, a misspelt value, or a combination that no server has."""
    known = [item(1, App="x", Tier="web"), item(2, App="y", Tier="db")]
    _, problems = resolved({"web": {"server_tags": wanted}}, known)
    assert hint in only_problem(problems, Code.TAG_RESOLUTION_EMPTY)


def test_an_optional_group_without_servers_is_a_warning_and_its_wave_left_out() -> None:
    """The rest of the drill goes on."""
    groups = {
        "db": {"source_servers": [server(1)]},
        "web": {"server_tags": {"Tier": "web"}, "optional": True},
        "old": {"source_servers": [server(2), server(9)], "optional": True},
    }
    resolution, problems = resolved(groups, [item(1), item(2)])
    assert resolution.waves["web"].left_out == "its groups hold no server"
    assert resolution.waves["old"].servers[0].optional
    assert [(problem.wave, problem.error.code, problem.optional) for problem in problems] == [
        ("web", Code.TAG_RESOLUTION_EMPTY, True),
        ("old", Code.SOURCE_SERVER_NOT_FOUND, True),
    ]


def test_a_server_in_two_waves_is_a_conflict() -> None:
    """Two groups' tags may overlap, which the plan itself cannot show."""
    groups = {"db": {"server_tags": {"App": "x"}}, "web": {"server_tags": {"Tier": "web"}}}
    _, problems = resolved(groups, [item(1, App="x", Tier="web")])
    assert f"{server(1)} is in wave db and again in wave web" in only_problem(problems, Code.SERVER_CONFLICT)


def test_excluded_servers_are_left_out_and_recorded() -> None:
    """A wave that loses all of its servers is left out, and says why."""
    groups = {"db": {"source_servers": [server(1), server(2)]}, "web": {"source_servers": [server(3)]}}
    resolution, problems = resolved(groups, [item(n) for n in (1, 2, 3)], exclude=[server(2), server(3)])
    assert problems == []
    assert servers_of(resolution, "db") == [server(1)]
    assert resolution.waves["db"].excluded == (server(2),)
    assert resolution.waves["db"].left_out is None
    assert resolution.waves["web"].left_out == "every server of it is excluded"


def test_a_server_that_is_gone_can_be_drilled_around() -> None:
    """Excluded, it need not be known: in a disaster nobody wants to edit plans."""
    groups = {"db": {"source_servers": [server(1), server(2)]}}
    resolution, problems = resolved(groups, [item(1)], exclude=[server(2)])
    assert problems == []
    assert servers_of(resolution, "db") == [server(1)]
    assert resolution.waves["db"].excluded == (server(2),)


def test_a_server_excluded_in_vain_is_an_error() -> None:
    """A typing error there would launch the very server that was to be left out."""
    _, problems = resolved({"db": {"source_servers": [server(1)]}}, [item(1)], exclude=[server(7)])
    text = only_problem(problems, Code.INVALID_FIELD)
    assert f"exclude_servers names {server(7)}, which no chosen wave holds" in text
    assert f"Name servers of the chosen waves: {server(1)}" in text


def test_a_drill_of_nothing_is_refused() -> None:
    """Green, with nothing launched, it would look like a success."""
    _, problems = resolved({"db": {"source_servers": [server(1)]}}, [item(1)], exclude=[server(1)])
    only_problem(problems, Code.PLAN_HAS_NO_WAVES)


@pytest.mark.parametrize(
    ("count", "jobs", "code"),
    [
        (20, "per_server", None),
        (21, "per_server", Code.CONCURRENT_JOBS_LIMIT_EXCEEDED),
        (100, "per_wave", None),
        (101, "per_wave", Code.WAVE_SIZE_LIMIT_EXCEEDED),
        (101, "per_server", Code.WAVE_SIZE_LIMIT_EXCEEDED),
    ],
)
def test_a_wave_must_fit_drs_s_quotas(count: int, jobs: str, code: Code | None) -> None:
    """20 jobs in progress, 100 servers in a job; what tags resolve to is known only now."""
    known = [item(n, Tier="web") for n in range(count)]
    _, problems = resolved({"web": {"server_tags": {"Tier": "web"}}}, known, jobs=jobs)
    assert [problem.error.code for problem in problems] == ([code] if code else [])


def test_excluded_servers_do_not_count_against_the_quotas() -> None:
    """They are not launched."""
    known = [item(n, Tier="web") for n in range(21)]
    _, problems = resolved({"web": {"server_tags": {"Tier": "web"}}}, known, exclude=[server(0)])
    assert problems == []


def test_every_finding_is_told_at_once() -> None:
    """A person mends all of them in one go."""
    groups = {"db": {"source_servers": [server(9)]}, "web": {"server_tags": {"Tier": "web"}}}
    _, problems = resolved(groups, [item(1)], exclude=[server(7)])
    assert [problem.error.code for problem in problems] == [
        Code.SOURCE_SERVER_NOT_FOUND,
        Code.TAG_RESOLUTION_EMPTY,
        Code.INVALID_FIELD,
    ]
