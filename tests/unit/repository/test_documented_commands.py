"""Every command, plan and quoted output of the pages is what the code does."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

from drs.cli import GROUPS
from drs.cli.common import UNANSWERED
from drs.cli.connection import Connection
from drs.plan import Plan, load_plan
from drs.plan.model import Wave
from tests.unit.cli.simulated_aws import Result, Server
from tests.unit.repository.documented_commands import (
    HERE,
    IN_AIRFLOW,
    OTHER_BLOCKS,
    PLAN,
    STACK,
    TABLE,
    By,
    Run,
    UnknownCommandError,
    how,
    how_block,
    is_only_understood,
    listing,
)
from tests.unit.repository.documented_pages import PAGES, ROOT, Block, Command, documented, read
from tests.unit.repository.quoted_output import is_quoted_from
from tests.unit.repository.situations import DATABASE, SITUATIONS, World, git, keep_records

COMMANDS, BLOCKS = documented()


def places(listed: list[Any]) -> list[str]:
    return [f"{each.place} {getattr(each, 'plain', '')[:60]}" for each in listed]


def headed(head: str) -> list[Command]:
    return [command for command in COMMANDS if command.plain.startswith(head)]


def run_here() -> list[Command]:
    """The commands of ``python -m drs`` that are run here. What is named often is run once."""
    chosen: dict[tuple[str, str, int | None, str], Command] = {}
    for command in COMMANDS:
        if command.name and how(command) == Run(HERE):
            chosen.setdefault((command.plain, command.situation, command.exit_code, command.quoted), command)
    return list(chosen.values())


# --- commands of python -m drs ----------------------------------------------------------------------------

EXIT_CODES = {
    "python -m drs report": 1,  # single-server was never drilled
    "python -m drs report orders": 1,  # its last drill failed
    "python -m drs cleanup order-system": 0,
}
"""The exit codes of commands that find something although nothing is wrong in AWS."""

WORDS = {
    "PLAN": "order-system",
    "RUN": "manual__2026-11-27T06:00:00+00:00",
    "FOLDER": "include/plans",
    "TIME": "2026-11-27T03:00Z",
}
"""What the pages write for a value of the reader's own."""


def arguments(command: Command, world: World) -> list[str]:
    """The arguments of the command, with values for the words that the page leaves open."""
    words = {
        **WORDS,
        "JOB": world.job,
        "HASH": newest_hash(world),
        "ID": "orders-000001",
    }
    given = shlex.split(command.plain, comments=True)[3:]
    return [world.job if word.startswith("drsjob-") else words.get(word, word) for word in given]


def expected_code(command: Command) -> int:
    if is_only_understood(command):
        return UNANSWERED
    return EXIT_CODES.get(command.plain, 0) if command.exit_code is None else command.exit_code


def newest_hash(world: World) -> str:
    return str(json.loads((world.records / "orders" / "head.json").read_text())["hash"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = Server()
    made = World(server.url, keep_records(tmp_path_factory.mktemp("evidence")))
    yield made
    made.opened.close()
    server.stop()


@pytest.mark.parametrize("command", run_here(), ids=places(run_here()))
def test_each_command_does_what_its_page_says(
    command: Command,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It ends with the exit code of the page, and prints what the page quotes, times and ids apart.

    A drill is only started to the point at which Airflow cannot be reached: its options are understood.
    """
    world.become(command.situation, tmp_path, monkeypatch, capsys)
    if command.name == "job" and command.situation == "good":
        world.job = world.launch(DATABASE)
    result: Result = world.run(*arguments(command, world))
    expected = expected_code(command)
    assert result.code == expected, result
    assert is_quoted_from(command.quoted, result.out + result.err), f"{result.out}{result.err}"


def test_exit_codes_are_those_of_documented_commands() -> None:
    assert not EXIT_CODES.keys() - {command.plain for command in COMMANDS}


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a command and of its actions."""
    options = {option for action in parser._actions for option in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            options = options.union(*(options_of(each) for each in action.choices.values()))
    return options


def test_every_option_that_a_page_names_exists() -> None:
    """In the section of a command it is that command's; elsewhere it is one of some command."""
    listed = argparse.ArgumentParser().add_subparsers()
    for group in GROUPS:
        group.add_commands(listed)
    known = {name: options_of(parser) for name, parser in listed.choices.items()}
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "bench").glob("*.py")]
    measuring = {option for source in sources for option in re.findall(r'"(--[a-z-]+)"', source)}
    unknown = []
    for page in PAGES:
        command = ""
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                command = line.removeprefix("### ") if page == "docs/commands.md" else ""
            options = known.get(command) or set().union(*known.values(), SIMULATOR, measuring)
            unknown += [(page, named) for named in re.findall(r"`(--[a-z-]+)", line) if named not in options]
    assert unknown == []


SIMULATOR = {"--host", "--port", "--fleet", "--speed"}
"""The options of ``python -m simulator``."""


@pytest.mark.parametrize("command", headed("python -m bench."), ids=places(headed("python -m bench.")))
def test_each_measurement_exists_with_its_options(command: Command) -> None:
    module, *given = shlex.split(command.plain)[2:]
    spec = importlib.util.find_spec(module)
    assert spec
    assert spec.origin
    source = (
        Path(spec.origin).with_name("__main__.py") if spec.submodule_search_locations else Path(spec.origin)
    )
    assert all(f'"{word}"' in source.read_text() for word in given if word.startswith("--"))


def test_the_simulator_has_the_options_of_the_pages() -> None:
    commands = headed("python -m simulator")
    assert commands
    for command in commands:
        assert {word for word in command.plain.split() if word.startswith("--")} <= SIMULATOR


# --- other commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", headed("make "), ids=places(headed("make ")))
def test_each_target_of_make_exists_with_its_variables(command: Command) -> None:
    """`make -n` shows what it would run; a variable is one that the help of the target names."""
    target, *variables = shlex.split(command.plain)[1:]
    shown = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    recipe = re.search(rf"^{target}:(.*(?:\n\t.*)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    for variable in variables:
        name = variable.partition("=")[0]
        assert name in recipe[1] or (target, name) == ("venv", "PYTHON")


@pytest.mark.parametrize("command", headed("aws "), ids=places(headed("aws ")))
def test_each_call_of_the_aws_cli_is_one_of_aws(command: Command) -> None:
    """The operation exists and has these options, by the service model that AWS publishes."""
    service, operation, *given = shlex.split(command.plain)[1:]
    if (service, operation) == ("cloudformation", "deploy"):  # a command that only the CLI has
        template = (ROOT / given[given.index("--template-file") + 1]).read_text()
        assert f"\n  {given[given.index('--parameter-overrides') + 1].partition('=')[0]}:" in template
        return
    if service == "s3":  # the CLI's own commands; what is uploaded is what `make mwaa` writes
        assert operation in {"sync", "cp"}
        assert given[0].removeprefix("dist/mwaa/") in {
            "dags",
            "plugins.zip",
            "requirements.txt",
            "startup.sh",
        }
        return
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[operation]).input_shape
    assert shape
    options = {f"--{xform_name(member, '-')}" for member in shape.members} | {
        "--region",
        "--query",
        "--output",
    }
    assert {word.partition("=")[0] for word in given if word.startswith("--")} <= options


@pytest.mark.parametrize("command", headed("airflow "), ids=places(headed("airflow ")))
def test_each_command_of_airflow_is_understood_by_it(command: Command) -> None:
    from airflow.cli import cli_parser

    cli_parser.get_parser().parse_args(shlex.split(command.plain)[1:])


@pytest.mark.parametrize(
    "command", headed("export AIRFLOW_CONN_"), ids=places(headed("export AIRFLOW_CONN_"))
)
def test_each_connection_is_understood(command: Command) -> None:
    name, _, value = shlex.split(command.plain)[1].partition("=")
    assert Connection.parse(name, value).role_arn


def test_each_service_of_docker_compose_exists() -> None:
    """In the commands that run in a container, and in those of docker compose itself."""
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"].keys()
    inside = {command.service for command in COMMANDS if command.service}
    own = {
        word.partition("=")[0]
        for command in headed("docker compose ")
        for word in command.plain.split()
        if word.startswith("airflow-") or word in {"postgres", "redis"}
    }
    assert inside
    assert inside | own <= services


def test_the_commands_of_git_roll_a_plan_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In their order: they find the commit that broke it, and bring the plan from before it back."""
    world.become("edited plan", tmp_path, monkeypatch, capsys)
    commands = [command for command in headed("git ") if isinstance(how(command), Run)]
    assert world.run("validate").code == 1
    with git(tmp_path) as run:
        for command in commands:
            printed = run(*(word.replace("COMMIT", "HEAD") for word in shlex.split(command.plain)[1:]))
            quoted = re.sub(r"^[0-9a-f]{7} ", "… ", command.quoted, flags=re.MULTILINE)
            assert is_quoted_from(quoted, printed), printed
    assert world.run("validate").code == 0


# --- plans and other blocks -----------------------------------------------------------------------------


def is_plan(block: Block) -> bool:
    return how_block(block) == Run(PLAN)


MINIMAL = {
    "name": "minimal",
    "target": {"region": "us-east-1", "account_id": "111122223333"},
    "protection_groups": {"servers": {"source_servers": ["s-3c1730a9e0771ea14"]}},
    "waves": [{"name": "only", "protection_groups": ["servers"]}],
}
PLANS = [block for block in BLOCKS if block.language == "yaml" and is_plan(block)]


def whole(text: str) -> str:
    """The plan in which a part of one stands: with a minimal plan's keys for those that it lacks."""
    part = yaml.safe_load(text) or {}
    if part.keys() <= Wave.model_fields.keys() - Plan.model_fields.keys():
        waves = yaml.safe_dump({"waves": MINIMAL["waves"]})
        rest = {key: value for key, value in MINIMAL.items() if key != "waves"}
        return yaml.safe_dump(rest) + waves + "".join(f"  {line}\n" for line in text.splitlines())
    rest = {key: value for key, value in MINIMAL.items() if key not in part}
    if "protection_groups" in part and "waves" not in part:
        rest["waves"] = [{"name": "only", "protection_groups": list(part["protection_groups"])}]
    return yaml.safe_dump(rest) + text if rest else text


@pytest.mark.parametrize("block", PLANS, ids=places(PLANS))
def test_each_plan_of_the_pages_is_a_plan(block: Block, tmp_path: Path) -> None:
    """A part of a plan is put into a minimal one."""
    text = whole(block.text)
    path = tmp_path / f"{yaml.safe_load(text)['name']}.yaml"
    path.write_text(text, encoding="utf-8")
    assert isinstance(load_plan(path), Plan)


PYTHON = [block for block in BLOCKS if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=places(PYTHON))
def test_each_piece_of_python_is_python(block: Block) -> None:
    compile(block.text, block.place, "exec")


def test_the_hash_of_a_record_is_computed_as_the_page_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, object] = {}
    monkeypatch.chdir(world.records / "orders")
    record, page = (each.text for each in PYTHON if "orders-000007" in each.text)
    exec(record.replace("orders-000007", "orders-000003"), names)
    exec(page.replace("orders-000007", "orders-000003"), names)


# --- the table ------------------------------------------------------------------------------------------


def test_every_command_and_block_is_run_by_a_test() -> None:
    """The list is what ``python -m tests.unit.repository.documented_commands`` prints."""
    listed = {(place, what) for place, what, _ in listing()}
    assert ("README.md", "make drill") in {(place.partition(":")[0], what) for place, what in listed}
    assert len(listed) > 150


def named_tests() -> set[str]:
    entries = [*TABLE.values(), *OTHER_BLOCKS.values()]
    return {entry.test for entry in entries if isinstance(entry, By | Run)} | {
        HERE,
        STACK,
        PLAN,
        *IN_AIRFLOW.values(),
    }


@pytest.mark.parametrize("test", sorted(named_tests()))
def test_the_tests_of_the_table_exist(test: str) -> None:
    file, _, name = test.partition("::")
    functions = [
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if hasattr(node, "name")
    ]
    assert name in functions


def test_no_entry_of_the_table_is_without_a_command() -> None:
    """An entry whose command has left the pages would hide that a test is no longer needed."""
    used = [next((key for key in TABLE if re.fullmatch(key, each.plain)), "") for each in COMMANDS]
    assert TABLE.keys() <= set(used)
    for page, beginning in OTHER_BLOCKS:
        assert [each for each in BLOCKS if each.page == page and each.text.startswith(beginning)], page


def test_every_situation_is_on_a_page() -> None:
    used = {command.situation for command in COMMANDS}
    assert used == SITUATIONS.keys() | IN_AIRFLOW.keys()


# --- what would fail ------------------------------------------------------------------------------------


def test_a_command_without_an_entry_fails() -> None:
    (command,), _ = read("docs/x.md", "Run `make coffee` first.\n")
    with pytest.raises(UnknownCommandError, match=r"docs/x\.md:1: no test runs `make coffee`"):
        how(command)
    _, (block,) = read("docs/x.md", "```toml\nx = 1\n```\n")
    with pytest.raises(UnknownCommandError, match="this block of toml"):
        how_block(block)


def test_a_misspelt_option_fails(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,), _ = read("docs/x.md", "```console\n$ python -m drs servers --regoin us-east-1\n```\n")
    assert how(command) == Run(HERE)
    world.become(command.situation, tmp_path, monkeypatch, capsys)
    assert world.run(*arguments(command, world)).code == 2


def test_commands_are_found_with_their_output() -> None:
    """Over several lines, without comments, and each with the lines that follow it."""
    page = (
        "<!-- situation: held; exit code 1 -->\n```console\n$ a 'b\n   c' \\\n  d    # why\nsaid\n$ e\n```\n"
    )
    commands, _ = read("docs/x.md", page)
    assert [(each.line, each.text, each.quoted) for each in commands] == [
        (3, "a 'b c' d", "said"),
        (7, "e", ""),
    ]
    assert {(each.situation, each.exit_code) for each in commands} == {("held", 1)}


def test_quoted_output_may_differ_in_times_and_ids_only() -> None:
    printed = "job                       took\n------------------------  ----\n"
    printed += "drsjob-0b0d42f9182d1afdb  12 s\n2 errors.\n"
    assert is_quoted_from("job  took\n---  ---\ndrsjob-00000000000000000  9 s\n", printed)
    assert is_quoted_from("job  took\n...\n2 errors.", printed)
    assert not is_quoted_from("job  took\n...\n1 error.", printed)
    assert not is_quoted_from("job  took\n2 errors.", printed)
