"""Which test runs each command of README.md, CONTRIBUTING.md and docs/*.md.

``python -m tests.unit.repository.documented_commands`` prints the list. A command of ``python -m drs`` needs
no entry: the tests of the documentation run it. Any other command needs one, or the test fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.unit.repository.documented_pages import Block, Command, documented

HERE = "tests/unit/repository/test_documented_commands.py::test_each_command_does_what_its_page_says"
STACK = "tests/e2e/test_documented_commands.py::test_each_command_does_what_its_page_says"
PLAN = "tests/unit/repository/test_documented_commands.py::test_each_plan_of_the_pages_is_a_plan"


@dataclass(frozen=True)
class By:
    """Another test runs it. ``also`` says what is checked here in addition."""

    test: str
    also: str = ""

    def __str__(self) -> str:
        return f"{self.test}{f' ({self.also})' if self.also else ''}"


@dataclass(frozen=True)
class NotRun:
    """No test can run it; the reason, and what is checked in its place."""

    why: str

    def __str__(self) -> str:
        return f"not run: {self.why}"


@dataclass(frozen=True)
class Run:
    """The tests of the documentation run it: in process, or against the stack."""

    test: str

    def __str__(self) -> str:
        return self.test


How = By | NotRun | Run

NEEDS_AIRFLOW = frozenset({"drill", "stop", "runs", "logs", "status"})
IN_AIRFLOW = {
    "airflow": STACK,
    "a drill that fails": STACK,
    "a drill that passes": "tests/e2e/test_commands.py::test_a_drill_is_followed_to_its_good_end",
    "a frozen drill": "tests/e2e/test_stop.py::test_a_frozen_drill_is_stopped_and_cleaned_up",
    "no triggerer": "tests/e2e/test_commands.py::test_status_names_the_part_that_is_down",
}
"""The situations of the stack, each with the test that makes it."""
NAME_ONLY = frozenset({"cleanup", "doctor", "drill", "evidence", "groups", "job", "logs", "runbook", "stop"})
"""Commands that want arguments: without any, running text only names them."""


def by(file: str, test: str, also: str = "") -> By:
    return By(f"tests/{file}::{test}", also)


_MODEL = "operation and options are compared with AWS's service model"
_TARGET = "target and variables exist"
_MODULE = "module and options exist"
_NAMES = by("unit/cli/test_help.py", "test_each_command_has_its_section", "the command exists")
_NEW_ENV = by(
    "unit/repository/test_compose.py", "test_new_env_makes_a_secret_of_its_own_for_each_of_the_example"
)
_BY_HAND = by("simulator/test_server.py", "test_a_whole_drill_by_hand")

TABLE: dict[str, How] = {
    r"python -m drs( COMMAND)?": _NAMES,
    r"python -m drs (cleanup|stop) \.\.\..*": by(
        "unit/cli/test_cleanup.py", "test_one_run_can_be_chosen", "the dots are a plan's name or a run"
    ),
    # make
    r"make drill( PLAN=fleet SPEED=120)?": by(
        "e2e/test_demo.py", "test_a_drill_that_succeeds_leaves_nothing_behind", _TARGET
    ),
    r"make airflow": by("e2e/test_demo.py", "test_ctrl_c_ends_every_process_of_airflow", _TARGET),
    r"make simulator PORT=5777 SPEED=60": by(
        "simulator/test_server.py", "test_a_signal_ends_it_at_once_and_quietly", _TARGET
    ),
    r"make campaign( DRILLS=2000 MIX='workers fail')?": by(
        "campaign/test_campaign.py",
        "test_no_drill_breaks_a_promise_and_recoverable_faults_are_recovered_from",
        _TARGET,
    ),
    r"make (test|check|lint|format)": NotRun(f"CI runs the same linters and all tests; {_TARGET}"),
    r"make (venv|services)( PYTHON=\S+)?": NotRun(f"CI begins with it; {_TARGET}"),
    r"make test-airflow VERSION=\S+": NotRun(f"CI runs it for each version of Airflow; {_TARGET}"),
    r"make clean": NotRun(f"it would remove the environment of the tests; {_TARGET}"),
    r"make (requirements|release)": NotRun(f"it changes the repository; {_TARGET}"),
    r"make digests": by(
        "unit/repository/test_compose.py", "test_base_images_are_pinned_to_the_digests_of_their_tags", _TARGET
    ),
    r"make mwaa( EVIDENCE=\S+)?": by(
        "unit/repository/test_platforms.py", "test_mwaa_gets_these_files_and_no_others", _TARGET
    ),
    r"make mutation( MODULE=timeline)?": NotRun(f"it takes hours; {_TARGET}"),
    # other parts of this repository
    r"python -m tests\.unit\.repository\.documented_commands": by(
        "unit/repository/test_documented_commands.py", "test_every_command_and_block_is_run_by_a_test"
    ),
    r"python -m simulator( .*)?": by(
        "simulator/test_server.py", "test_a_signal_ends_it_at_once_and_quietly", "its options exist"
    ),
    r"python -m bench\.campaign .*": by("campaign/test_cases.py", "test_no_promise_is_broken", _MODULE),
    r"python -m bench\.\w+( .*)?": NotRun(f"it measures for minutes; {_MODULE}"),
    r"bash deploy/compose/new-env\.sh( simulator)?": _NEW_ENV,
    r"grep ADMIN_PASSWORD \.env": _NEW_ENV,
    r"(POLL=5 )?bash order-system\.sh": by(
        "unit/cli/test_runbook.py", "test_the_script_drills_the_plan_and_cleans_up"
    ),
    # AWS
    r"export AIRFLOW_CONN_AWS_BILLING=.*": by(
        "e2e/test_accounts.py", "test_two_accounts_at_once_do_not_mix", "the connection is understood"
    ),
    r"export AWS_.*": _BY_HAND,
    r"aws cloudformation deploy .*": by(
        "unit/notify/test_alarms.py",
        "test_cloudwatch_knows_every_property_of_the_alarms",
        "the template and its parameter exist",
    ),
    r"aws drs start-recovery .*": By(_BY_HAND.test, _MODEL),
    r"aws .*": NotRun(f"it changes or asks an account of AWS; {_MODEL}"),
    # other programs
    r"(jq|openssl) .*": NotRun("`evidence verify --public-key` does the same"),
    r"python -m drs evidence verify --public-key .*": by(
        "unit/cli/test_evidence.py", "test_signatures_are_checked_with_a_public_key"
    ),
    r"python -m drs doctor( billing)? --role ARN": by(
        "unit/cli/test_readonly.py", "test_doctor_rehearses_another_role_for_those_who_only_look"
    ),
    r"AIRFLOW__DRS__ALLOWED_NOTIFIERS=.*": by(
        "unit/tasks/test_own_code.py", "test_a_notifier_that_is_not_allowed_is_an_error"
    ),
    r"airflow .*": Run(
        "tests/unit/repository/test_documented_commands.py::test_each_command_of_airflow_is_understood_by_it"
    ),
    r"docker compose .*": NotRun(
        "it needs Docker; tests/e2e/compose runs the services of docker-compose.yaml without it"
    ),
    r"git (clone|pull)\b.*": NotRun("it needs the network"),
    r"git (checkout v\S+|tag)": NotRun("it changes the clone, or shows what is in it"),
    r"git .*": Run(
        "tests/unit/repository/test_documented_commands.py::test_the_commands_of_git_roll_a_plan_back"
    ),
    r"export AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=.*": by(
        "unit/repository/test_platforms.py", "test_each_bundle_of_the_page_can_be_made"
    ),
    r"uv build --wheel": by("unit/repository/test_platforms.py", "test_mwaa_gets_these_files_and_no_others"),
    r"(docker (build|push)|helm|kubectl|astro) .*": NotRun(
        "it needs Docker, a cluster or Astro; tests/unit/repository/test_platforms.py reads the files in it"
    ),
    r"cat deploy/astro/requirements\.txt >> requirements\.txt|mkdir .*": NotRun("the shell does it"),
    r"python3 -m venv airflow|export AIRFLOW_HOME=\S+": NotRun("Python and the shell do it"),
    r"airflow/bin/airflow standalone": NotRun(
        "it runs until it is ended; tests/e2e start the same parts one by one"
    ),
    r"ssh -L 8080:localhost:8080 HOST": NotRun("it needs a second host"),
    r"python -m drs files .*--to FOLDER": by(
        "unit/cli/test_shipped_files.py", "test_they_are_copied_with_their_paths"
    ),
    r"pip install drs-drills(\[airflow\])?": by(
        "unit/repository/test_package.py",
        "test_the_core_needs_no_airflow",
        "`make release` installs the wheel",
    ),
    r"pip install --require-hashes -r requirements\.txt": NotRun(
        "`make release` runs it in a new environment"
    ),
    r"(airflow/bin/)?pip install (--upgrade )?\"?drs-drills.*": NotRun(
        "it needs the network; `make mwaa` installs the wheel in new environments"
    ),
    r"pre-commit install": by("unit/cli/test_published_hook.py", "test_a_broken_plan_stops_the_commit"),
    r"uv lock": NotRun("it changes the repository; `make lint` compares its result with requirements.txt"),
}
"""What runs a command that is not ``python -m drs`` with arguments. The first pattern that fits counts."""

_THREE_LINES = by(
    "unit/repository/test_platforms.py", "test_the_dag_file_of_the_pages_gives_every_dag", "it is Python"
)
OTHER_BLOCKS: dict[tuple[str, str], How] = {
    ("README.md", "# dags/recovery_plans.py"): _THREE_LINES,
    ("docs/platforms.md", "# dags/recovery_plans.py"): _THREE_LINES,
    ("docs/commands.md", "repos:"): by(
        "unit/cli/test_published_hook.py", "test_a_broken_plan_stops_the_commit"
    ),
    ("docs/configuration.md", "from airflow.sdk import DAG"): by(
        "dags/test_dag_file.py", "test_three_lines_give_all_dags", "the same lines"
    ),
    ("docs/evidence.md", "import hashlib, json"): by(
        "unit/repository/test_documented_commands.py",
        "test_the_hash_of_a_record_is_computed_as_the_page_says",
    ),
    ("docs/evidence.md", "page = open("): by(
        "unit/repository/test_documented_commands.py",
        "test_the_hash_of_a_record_is_computed_as_the_page_says",
    ),
    ("docs/evidence.md", "@dag(schedule="): by(
        "e2e/test_evidence.py", "test_what_a_drill_measured_is_what_the_journal_says", "it is Python"
    ),
    ("docs/plans.md", "      At 06:00, on day 1"): by(
        "unit/cli/test_plans.py", "test_a_schedule_is_told_in_words_with_its_next_runs"
    ),
    ("docs/plans.md", "Recovery plan billing cannot"): by(
        "unit/plan/test_plan_docs.py", "test_the_error_text_of_the_reference_is_the_real_one"
    ),
    ("docs/simulator.md", "defaults:"): by("simulator/test_docs.py", "test_the_fleet_of_the_page_is_a_fleet"),
    ("docs/simulator.md", "import boto3"): by("simulator/test_docs.py", "test_the_example_of_the_page_runs"),
    ("docs/simulator.md", '{"n": 6'): by("simulator/test_server.py", "test_the_journal_tells_of_every_call"),
    ("docs/validation.md", "# orders_checks.py, in the plugins folder"): by(
        "unit/validation/test_python.py",
        "test_what_the_function_returns_is_what_was_seen",
        "it is Python",
    ),
    ("docs/watch.md", "AIRFLOW__DRS__WATCH_NOTIFIERS="): by(
        "unit/test_settings.py", "test_its_notifiers_are_written_as_in_a_plan"
    ),
}
"""Blocks that are no command and no plan, by their page and their first words."""


class UnknownCommandError(Exception):
    """A page has a command or a block that no test looks at."""


def how(command: Command) -> How:
    """What runs this command.

    :raises UnknownCommandError: nothing does
    """
    if command.inline and command.plain == f"python -m drs {command.name}" and command.name in NAME_ONLY:
        return _NAMES
    for pattern, found in TABLE.items():
        if re.fullmatch(pattern, command.plain):
            return found
    if command.name:
        return Run(_test_of(command))
    raise UnknownCommandError(
        f"{command.place}: no test runs `{command.text}`. Name the test that does, or the reason why none "
        "can, in TABLE of tests/unit/repository/documented_commands.py."
    )


def _test_of(command: Command) -> str:
    if command.situation in IN_AIRFLOW:
        return IN_AIRFLOW[command.situation]
    if command.name in NEEDS_AIRFLOW and command.situation == "good" and not is_only_understood(command):
        return STACK
    return HERE


def is_only_understood(command: Command) -> bool:
    """Whether a command starts a drill that no output on the page is about: a drill takes seconds."""
    return command.name == "drill" and command.inline


def how_block(block: Block) -> How:
    """What checks a block that has no command; a plan, or a part of one, is loaded.

    :raises UnknownCommandError: nothing does
    """
    for (page, beginning), found in OTHER_BLOCKS.items():
        if block.page == page and block.text.startswith(beginning):
            return found
    if block.language == "yaml":
        return Run(PLAN)
    raise UnknownCommandError(
        f"{block.place}: no test looks at this block of {block.language or 'no language'}. Name one in "
        "OTHER_BLOCKS of tests/unit/repository/documented_commands.py."
    )


def listing() -> Iterator[tuple[str, str, str]]:
    """Each command and block: where it is, what it is, and the test."""
    commands, blocks = documented()
    for command in commands:
        yield command.place, command.text, str(how(command))
    for block in blocks:
        first = block.text.partition("\n")[0]
        yield block.place, f"[{block.language or 'text'}] {first}", str(how_block(block))


if __name__ == "__main__":
    for row in listing():
        print("\t".join(row))
