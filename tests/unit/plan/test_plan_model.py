"""A loaded plan: its defaults, order, launch settings and digest, and its JSON form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from drs.plan import Launch, Plan, ProtectionGroup, Target, Wave, load_plan

Load = Callable[..., Plan]
EXAMPLES = sorted(Path("include/plans").glob("*.yaml"))


def test_what_a_plan_leaves_out_has_the_documented_default(load: Load) -> None:
    """The smallest plan has the delays and timeouts of the documentation."""
    plan = load()
    assert (
        plan.description,
        plan.owner,
        plan.dag_tags,
        plan.schedule,
        plan.timezone,
    ) == ("", "drs-drills", (), None, "UTC")
    assert plan.target.aws_conn_id == "aws_default"
    assert plan.launch.jobs == "per_server"
    assert plan.launch.server_delay == timedelta(seconds=15)
    assert plan.launch.conflict_backoff == tuple(timedelta(seconds=n) for n in (30, 60, 120))
    assert plan.launch.conflict_timeout == timedelta(minutes=30)
    assert plan.launch.start_timeout == timedelta(minutes=5)
    assert plan.launch.job_timeout == timedelta(minutes=60)
    assert plan.waves[0].next_wave_when == "started"
    assert plan.protection_groups["web"].optional is False
    assert (plan.cleanup.when, plan.cleanup.timeout) == ("always", timedelta(hours=2))
    assert (plan.cleanup.keep_for, plan.cleanup.approval_timeout) == (timedelta(0), timedelta(hours=24))
    assert plan.checks_for("web", "web") == ()
    assert (plan.notifications.sns_topic_arn, plan.notifications.notifiers) == (None, ())


def test_a_wave_follows_the_one_above_it(load: Load) -> None:
    """Without depends_on, the waves run in the order of the file."""
    plan = load()
    assert plan.dependencies("database") == ()
    assert plan.dependencies("web") == ("database",)


def test_an_empty_depends_on_means_none(load: Load) -> None:
    """A wave can be independent of the wave above it."""
    assert load(more="    depends_on: []\n").dependencies("web") == ()


def test_a_wave_may_name_a_later_one(load: Load) -> None:
    """The order of the file is only the default."""
    plan = load(
        ("protection_groups: [database]", "protection_groups: [database]\n    depends_on: [web]"),
        more="    depends_on: []\n",
    )
    assert plan.dependencies("database") == ("web",)


def test_the_pause_before_a_wave_is_30_seconds_and_none_before_the_first(load: Load) -> None:
    """The first wave has no wave before it, so there is no pause."""
    plan = load()
    assert timedelta(0) == plan.delay_for("database")
    assert timedelta(seconds=30) == plan.delay_for("web")


def test_a_wave_that_depends_on_none_does_not_pause(load: Load) -> None:
    """The default pause only separates waves that depend on each other."""
    assert timedelta(0) == load(more="    depends_on: []\n").delay_for("web")


@pytest.mark.parametrize(("text", "delay"), [("0s", timedelta(0)), ("2m", timedelta(minutes=2))])
def test_a_pause_that_is_written_is_kept(load: Load, text: str, delay: timedelta) -> None:
    """A pause of zero is a setting and not a missing value."""
    assert delay == load(more=f"    delay_before: {text}\n").delay_for("web")


def test_a_wave_overrides_single_launch_settings(load: Load) -> None:
    """A setting that the wave does not have comes from the plan, or else is the default."""
    plan = load(
        more="    launch: {jobs: per_wave, job_timeout: 90m}\nlaunch: {server_delay: 1s, job_timeout: 2h}\n"
    )
    web = plan.launch_for("web")
    assert ("per_wave", timedelta(minutes=90)) == (web.jobs, web.job_timeout)
    assert (timedelta(seconds=1), timedelta(minutes=5)) == (web.server_delay, web.start_timeout)
    database = plan.launch_for("database")
    assert ("per_server", timedelta(hours=2)) == (database.jobs, database.job_timeout)


def test_an_unknown_wave_is_a_key_error(load: Load) -> None:
    """An unknown name raises an error at once."""
    with pytest.raises(KeyError, match="nope"):
        load().wave("nope")


def test_listed_servers_are_those_the_file_names(load: Load) -> None:
    """Servers that are found by tags are only known to DRS."""
    plan = load()
    assert plan.listed_servers("database") == ("s-3c1730a9e0771ea14", "s-3c1730a9e0771ea15")
    assert plan.listed_servers("web") == ()


def test_a_server_has_the_checks_of_its_wave_and_of_its_group(load: Load) -> None:
    """The wave's checks come first. Another group of the wave does not get this group's checks."""
    plan = load(
        (
            "web: {server_tags: {Tier: web}}",
            "web: {server_tags: {Tier: web}, validation: [{type: tcp, port: 80}]}",
        ),
        more="    validation: [{type: instance_status}]\n",
    )
    assert [check.type for check in plan.checks_for("web", "web")] == ["instance_status", "tcp"]
    assert plan.checks_for("database", "database") == ()


def test_a_plan_cannot_be_changed(load: Load) -> None:
    """The plan that was validated cannot change before it runs."""
    plan = load()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(plan, "owner", "somebody")  # noqa: B010  # mypy refuses the assignment too


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_a_plan_survives_json_unchanged(file: Path) -> None:
    """A run records its plan as JSON and reads it back unchanged."""
    plan = load_plan(file)
    again = Plan.model_validate(json.loads(json.dumps(plan.model_dump(mode="json"))))
    assert plan == again
    assert plan.digest == again.digest


def test_every_setting_survives_json(load: Load) -> None:
    """Settings that no example uses are included, such as fractions of a second."""
    plan = load(
        more="""\
    depends_on: []
    delay_before: 1h0.5s
    next_wave_when: validated
    launch: {conflict_backoff: [1s, 1m], start_timeout: PT7M}
    validation:
      - {type: instance_status, timeout: 90s}
      - {type: ssm, parameters: {commands: [uptime]}}
      - {type: http, scheme: https, port: 443, expect_body: '"ok"'}
      - {type: python, function: a.b, parameters: {c: null-ish}}
schedule: "@monthly"
timezone: Asia/Kolkata
dag_tags: [a, b]
cleanup: {when: after_approval, timeout: 3h, approval_timeout: 30m, approvers: [alice]}
notifications:
  sns_topic_arn: arn:aws:sns:us-east-1:111122223333:drills
  notifiers: [{notifier: a.B, parameters: {text: "{{ drs.message }}", more: [1, {b: true}]}}]
"""
    )
    assert plan == Plan.model_validate(plan.model_dump(mode="json"))
    assert plan == Plan.model_validate_json(plan.model_dump_json())


SAME_DRILL = {
    "another order of keys": lambda text: text.replace(
        'region: us-east-1\n  account_id: "111122223333"', 'account_id: "111122223333"\n  region: us-east-1'
    ),
    "comments": lambda text: "# hello\n" + text.replace("region: us-east-1", "region: us-east-1  # Virginia"),
    "another layout": lambda text: text.replace("[web]", "\n      - web"),
    "a default that is written": lambda text: text + "owner: drs-drills\nlaunch: {server_delay: PT15S}\n",
    "another notation of a duration": lambda text: text + "launch: {job_timeout: 60m}\n",
    "another order of groups": lambda text: text.replace("  web: {server_tags: {Tier: web}}\n", "").replace(
        "protection_groups:\n", "protection_groups:\n  web: {server_tags: {Tier: web}}\n", 1
    ),
}


@pytest.mark.parametrize("change", SAME_DRILL.values(), ids=SAME_DRILL.keys())
def test_the_digest_does_not_depend_on_how_the_file_is_laid_out(
    load: Load, good: str, change: Callable[[str], str]
) -> None:
    """The digest changes only if the drill changes."""
    text = change(good)
    assert text != good
    assert load().digest == load(text=text).digest


@pytest.mark.parametrize(
    "edit",
    [
        ("us-east-1", "us-east-2"),
        ("s-3c1730a9e0771ea15", "s-3c1730a9e0771ea16"),
        ("{Tier: web}", "{Tier: front}"),
        ("{Tier: web}}", "{Tier: web}, optional: true}"),
        ("protection_groups: [web]", "protection_groups: [web]\n    delay_before: 31s"),
    ],
)
def test_the_digest_changes_with_the_drill(load: Load, edit: tuple[str, str]) -> None:
    """A changed plan has another digest."""
    assert load().digest != load(edit).digest


def test_the_digest_is_sha256_in_hex(load: Load) -> None:
    """The digest can be used in a DAG's documentation and in a file's name."""
    assert re.fullmatch("[0-9a-f]{64}", load().digest)


def test_a_plan_made_in_python_keeps_the_same_rules() -> None:
    """Contradictions are found in every plan, not only in plans from files."""
    with pytest.raises(ValidationError, match="SERVER_CONFLICT"):
        Plan(
            name="billing",
            target=Target(region="us-east-1", account_id="111122223333"),
            protection_groups={"database": ProtectionGroup(source_servers=("s-3c1730a9e0771ea14",))},
            launch=Launch(),
            waves=(
                Wave(name="one", protection_groups=("database",)),
                Wave(name="two", protection_groups=("database",)),
            ),
        )
