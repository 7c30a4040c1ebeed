"""From protection groups to servers, by id and by tags, without the excluded ones. All problems are
reported together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from drs.errors import Code
from drs.run.records import Resolution
from drs.run.resolution import ResolutionProblem, resolve, server_name
from tests.unit.drill import make_plan

Groups = Mapping[str, Mapping[str, Any]]


def server(number: int) -> str:
    return f"s-{number:017x}"


def item(number: int, **tags: str) -> dict[str, Any]:
    """A server as DescribeSourceServers lists it."""
    return {"sourceServerID": server(number), "tags": tags}


def resolved(
    groups: Groups,
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
    """The order of DRS's answer does not matter."""
    resolution, problems = resolved(
        {"db": {"source_servers": [server(2), server(1)]}}, [item(1), item(2), item(3)]
    )
    assert problems == []
    assert servers_of(resolution, "db") == [server(2), server(1)]


def test_tagged_servers_must_bear_every_tag() -> None:
    """They come in the order of their ids, and may have more tags."""
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
    """A problem in a wave that is not chosen does not stop the drill."""
    groups: Groups = {"db": {"source_servers": [server(1)]}, "web": {"server_tags": {"Tier": "web"}}}
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
    """The first of these that exists is used."""
    assert server_name({"sourceServerID": "s-1", **known}) == name


def test_an_unknown_server_is_named_with_its_group() -> None:
    """The message says that this account and Region were searched."""
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
    """The key is misspelt, the value is misspelt, or no server has the combination."""
    known = [item(1, App="x", Tier="web"), item(2, App="y", Tier="db")]
    _, problems = resolved({"web": {"server_tags": wanted}}, known)
    assert hint in only_problem(problems, Code.TAG_RESOLUTION_EMPTY)


def test_a_misspelt_tag_is_corrected_in_the_plan_first() -> None:
    """To tag the servers is the second choice, and the tag that some servers have is not in question."""
    known = [item(1, App="x", Tier="web"), item(2, App="xy", Tier="db")]
    _, problems = resolved({"web": {"server_tags": {"App": "x", "Tier": "wbe"}}}, known)
    (problem,) = problems
    assert problem.error.remedy.startswith("Did you mean Tier=web? Then correct the group's server_tags in")
    assert problem.error.remedy.count("Did you mean") == 1


def test_an_optional_group_without_servers_is_a_warning_and_its_wave_left_out() -> None:
    """The rest of the drill goes on."""
    groups: Groups = {
        "db": {"source_servers": [server(1)]},
        "web": {"server_tags": {"Tier": "web"}, "optional": True},
        "old": {"source_servers": [server(2), server(9)], "optional": True},
    }
    resolution, problems = resolved(groups, [item(1), item(2)])
    assert resolution.waves["web"].left_out == "its groups contain no server"
    assert resolution.waves["old"].servers[0].optional
    assert [(problem.wave, problem.error.code, problem.optional) for problem in problems] == [
        ("web", Code.TAG_RESOLUTION_EMPTY, True),
        ("old", Code.SOURCE_SERVER_NOT_FOUND, True),
    ]


def test_a_server_in_two_waves_is_a_conflict() -> None:
    """The tags of two groups may overlap, which nobody can see in the plan itself."""
    groups = {"db": {"server_tags": {"App": "x"}}, "web": {"server_tags": {"Tier": "web"}}}
    _, problems = resolved(groups, [item(1, App="x", Tier="web")])
    assert f"{server(1)} is in wave db and also in wave web" in only_problem(problems, Code.SERVER_CONFLICT)


def test_excluded_servers_are_left_out_and_recorded() -> None:
    """A wave that loses all of its servers is left out, and the record says why."""
    groups = {"db": {"source_servers": [server(1), server(2)]}, "web": {"source_servers": [server(3)]}}
    resolution, problems = resolved(groups, [item(n) for n in (1, 2, 3)], exclude=[server(2), server(3)])
    assert problems == []
    assert servers_of(resolution, "db") == [server(1)]
    assert resolution.waves["db"].excluded == (server(2),)
    assert resolution.waves["db"].left_out is None
    assert resolution.waves["web"].left_out == "every server of it is excluded"


def test_a_server_that_is_gone_can_be_drilled_around() -> None:
    """An excluded server need not exist in DRS: in a disaster nobody wants to edit plans."""
    groups = {"db": {"source_servers": [server(1), server(2)]}}
    resolution, problems = resolved(groups, [item(1)], exclude=[server(2)])
    assert problems == []
    assert servers_of(resolution, "db") == [server(1)]
    assert resolution.waves["db"].excluded == (server(2),)


def test_a_server_excluded_in_vain_is_an_error() -> None:
    """With a misspelt id, the drill would launch the server that was meant to be left out."""
    _, problems = resolved({"db": {"source_servers": [server(1)]}}, [item(1)], exclude=[server(7)])
    text = only_problem(problems, Code.INVALID_FIELD)
    assert f"exclude_servers names {server(7)}, which no chosen wave contains" in text
    assert f"Name servers of the chosen waves: {server(1)}" in text


def test_a_drill_of_nothing_is_refused() -> None:
    """A green run that launched nothing would look like a success."""
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
    """DRS allows 20 jobs in progress and 100 servers in a job. How many servers a tag matches is known
    only now.
    """
    known = [item(n, Tier="web") for n in range(count)]
    _, problems = resolved({"web": {"server_tags": {"Tier": "web"}}}, known, jobs=jobs)
    assert [problem.error.code for problem in problems] == ([code] if code else [])


def test_excluded_servers_do_not_count_against_the_quotas() -> None:
    """They are not launched."""
    known = [item(n, Tier="web") for n in range(21)]
    _, problems = resolved({"web": {"server_tags": {"Tier": "web"}}}, known, exclude=[server(0)])
    assert problems == []


def test_every_finding_is_told_at_once() -> None:
    """So a person can fix all of them together."""
    groups: Groups = {"db": {"source_servers": [server(9)]}, "web": {"server_tags": {"Tier": "web"}}}
    _, problems = resolved(groups, [item(1)], exclude=[server(7)])
    assert [problem.error.code for problem in problems] == [
        Code.SOURCE_SERVER_NOT_FOUND,
        Code.TAG_RESOLUTION_EMPTY,
        Code.INVALID_FIELD,
    ]
