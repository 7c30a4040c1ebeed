"""Everything that can be wrong within a plan: one problem each, with its line, key, code, message and remedy.

In the tables, ``# <-`` in the changed text marks the line that the problem must name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from drs.errors import Code
from drs.plan import Plan, PlanError, PlanProblem

Problems = Callable[..., tuple[PlanProblem, ...]]

REGION = "region: us-east-1"
ACCOUNT = 'account_id: "111122223333"'
SERVERS = "{source_servers: [s-3c1730a9e0771ea14, s-3c1730a9e0771ea15]}"
TAGS = "{server_tags: {Tier: web}}"
LAST = "protection_groups: [web]"


class Case(NamedTuple):
    """A change to the valid plan, and the one problem that it must cause."""

    old: str
    new: str
    key: str
    message: str
    remedy: str
    code: Code = Code.INVALID_FIELD


def top(line: str) -> tuple[str, str]:
    """A change that adds one line at the top level."""
    return "target:\n", f"{line}  # <-\ntarget:\n"


def launch(line: str) -> tuple[str, str]:
    """A change that adds one launch setting."""
    return "waves:\n", f"launch:\n  {line}  # <-\nwaves:\n"


def wave(line: str) -> tuple[str, str]:
    """A change that adds one key to the last wave."""
    return LAST, f"{LAST}\n    {line}  # <-"


UNKNOWN_AND_MISSING = {
    "an unknown key": Case(*top("colour: red"), "colour", "no key colour", "name, description, owner"),
    "a misspelt key": Case(*top("ownr: me"), "ownr", "no key ownr", "Did you mean owner?"),
    "a misspelt key of the target": Case(
        ACCOUNT,
        f"{ACCOUNT}\n  aws_con_id: x  # <-",
        "target.aws_con_id",
        "no key",
        "Did you mean aws_conn_id?",
    ),
    "a misspelt key of a wave": Case(
        *wave("dependson: []"), "waves[1].dependson", "no key dependson", "Did you mean depends_on?"
    ),
    "a misspelt key of launch": Case(
        *launch("server_dely: 5s"), "launch.server_dely", "no key", "Did you mean server_delay?"
    ),
    "a misspelt key of a wave's launch": Case(
        *wave("launch: {job_timout: 5m}"), "waves[1].launch.job_timout", "no key", "Did you mean job_timeout?"
    ),
    "no region": Case(
        f"target:\n  {REGION}",
        "target:  # <-",
        "target.region",
        "region is missing",
        "Add region: The AWS Region of the drill",
        Code.MISSING_FIELD,
    ),
    "no account": Case(
        f"target:\n  {REGION}\n  {ACCOUNT}",
        f"target:  # <-\n  {REGION}",
        "target.account_id",
        "account_id is missing",
        "Add account_id: The AWS account of the drill: 12 digits, in quotes",
        Code.MISSING_FIELD,
    ),
    "no name": Case("name: billing\n", "", "name", "name is missing", "name: billing", Code.MISSING_FIELD),
    "a wave without a name": Case(
        "  - name: web\n    protection_groups: [web]",
        "  - protection_groups: [web]  # <-",
        "waves[1].name",
        "name is missing",
        "Add name: The wave's name",
        Code.MISSING_FIELD,
    ),
    "a group without servers or tags": Case(
        TAGS, "{}  # <-", "protection_groups.web", "neither", "source_servers: [<ids", Code.MISSING_FIELD
    ),
    "recovery": Case(*top("allow_recovery: maybe"), "allow_recovery", "true or false", "true"),
    "objective": Case(*top("objectives: {rpo: 15}"), "objectives.rpo", "15 has no unit", "15s"),
    "no time for recovery": Case(
        *top("objectives: {rto: 0s}"), "objectives.rto", "is zero", "a longer duration"
    ),
    "subnet": Case(
        *top("network: {allowed_subnets: [vpc-1]}"),
        "network.allowed_subnets[0]",
        "It is the id of a VPC. Wanted: The id of an EC2 subnet",
        "Wanted: The id of an EC2 subnet",
    ),
    "security group": Case(
        *top("network: {allowed_security_groups: sg-1}"),
        "network.allowed_security_groups",
        "a list",
        "allowed_security_groups: [sg-1]",
    ),
    "approval": Case(
        *wave("approval: {on_timeout: pass}"),
        "waves[1].approval.on_timeout",
        "is not one of the allowed values",
        "reject or approve",
    ),
    "approval without a limit": Case(
        *wave("approval: {timeout: 0s}"), "waves[1].approval.timeout", "is zero", "the default is 4h"
    ),
}

CHECKS = {
    "a check without a type": Case(
        *wave("validation: [{port: 80}]"),
        "waves[1].validation[0].type",
        "type is missing",
        "type: http or instance_status or",
        Code.MISSING_FIELD,
    ),
    "a check of an unknown type": Case(
        *wave("validation: [{type: htp}]"),
        "waves[1].validation[0].type",
        "htp is not one of the allowed values",
        "Did you mean http?",
    ),
    "a check whose type is no text": Case(
        *wave("validation: [{type: on}]"),
        "waves[1].validation[0].type",
        "on is not one of the allowed values",
        "Write http or instance",
    ),
    "a check whose type is a list": Case(
        *wave("validation: [{type: [tcp]}]"),
        "waves[1].validation[0].type",
        "is not one of the allowed values",
        "tcp? Write http",
    ),
    "a check's type without a value": Case(
        *wave("validation: [{type: }]"), "waves[1].validation[0].type", "no value", "Write a value"
    ),
    "a check that is only a word": Case(
        *wave("validation: [http]"),
        "waves[1].validation[0]",
        "a mapping of keys to values, but it is text",
        "{type: http}",
    ),
    "one check instead of a list": Case(
        *wave("validation: {type: http}"),
        "waves[1].validation",
        "a list, but it is a map",
        "validation: [{type",
    ),
    "a key of another kind of check": Case(
        *wave("validation: [{type: tcp, port: 80, path: /}]"),
        "waves[1].validation[0].path",
        "no key path",
        "allowed here are: type, address, port, timeout",
    ),
    "a misspelt key of a check": Case(
        *wave("validation: [{type: http, expect_statsu: 200}]"),
        "waves[1].validation[0].expect_statsu",
        "no key",
        "Did you mean expect_status?",
    ),
    "a check without its port": Case(
        *wave("validation: [{type: tcp}]"),
        "waves[1].validation[0].port",
        "port is missing",
        "Add port: The TCP port",
        Code.MISSING_FIELD,
    ),
    "a port in quotes": Case(
        *wave('validation: [{type: tcp, port: "80"}]'),
        "waves[1].validation[0].port",
        "a whole number",
        "port: 80, without quotes",
    ),
    "a port that is true": Case(
        *wave("validation: [{type: tcp, port: on}]"),
        "waves[1].validation[0].port",
        "on as true",
        "a whole number from 1 to 65535",
    ),
    "a port beyond all ports": Case(
        *wave("validation: [{type: tcp, port: 65536}]"),
        "waves[1].validation[0].port",
        "65536 is not from 1 to 65535",
        "a number from 1 to 65535",
    ),
    "a check without time": Case(
        *wave("validation: [{type: instance_status, timeout: 0s}]"),
        "waves[1].validation[0].timeout",
        "is zero",
        "the default is 10m",
    ),
    "a path that is none": Case(
        *wave("validation: [{type: http, path: health}]"),
        "waves[1].validation[0].path",
        '"health" is not allowed',
        "path: /health",
    ),
    "an unknown address": Case(
        *wave("validation: [{type: http, address: public}]"),
        "waves[1].validation[0].address",
        "public is not one of the allowed values",
        "Did you mean public_ip?",
    ),
    "a body that is no expression": Case(
        *wave("validation: [{type: http, expect_body: 'ok ('}]"),
        "waves[1].validation[0].expect_body",
        '"ok (" is not a regular expression that RE2 can match: missing )',
        "backslash",
    ),
    "a body that looks ahead": Case(
        *wave("validation: [{type: http, expect_body: 'up(?=.*ready)'}]"),
        "waves[1].validation[0].expect_body",
        '"up(?=.*ready)" is not a regular expression that RE2 can match: ',
        "no look-ahead",
    ),
    "an empty body": Case(
        *wave('validation: [{type: http, expect_body: ""}]'),
        "waves[1].validation[0].expect_body",
        "empty",
        "remove the key",
    ),
    "https on the port of http": Case(
        *wave("validation: [{type: http, scheme: https}]"),
        "waves[1].validation[0].port",
        "https on port 80",
        "port: 443",
    ),
    "a command that is no list": Case(
        *wave("validation: [{type: ssm, parameters: {commands: uptime}}]"),
        "waves[1].validation[0].parameters.commands",
        "a list, but it is text",
        "commands: [uptime]",
    ),
    "a command that is a number": Case(
        *wave("validation: [{type: ssm, parameters: {commands: [12]}}]"),
        "waves[1].validation[0].parameters.commands[0]",
        "the number 12",
        '"12"',
    ),
    "a parameter without a name": Case(
        *wave('validation: [{type: ssm, parameters: {"": [x]}}]'),
        "waves[1].validation[0].parameters.",
        '"" is not allowed as a key',
        "A parameter's name",
    ),
    "a function that has no path": Case(
        *wave("validation: [{type: python, function: orders}]"),
        "waves[1].validation[0].function",
        '"orders" is not allowed',
        "function: <module>.orders",
    ),
    "a group's check": Case(
        TAGS,
        "{server_tags: {Tier: web}, validation: [{type: tcp, port: 0}]}  # <-",
        "protection_groups.web.validation[0].port",
        "0 is not from 1 to 65535",
        "a number from 1 to 65535",
    ),
}

CLEANUP = {
    "an unknown end": Case(
        *top("cleanup: {when: on_succes}"), "cleanup.when", "on_succes", "Did you mean on"
    ),
    "objectives enforced, and none given": Case(
        *top("objectives: {enforce: true}"), "objectives.enforce", "no effect", "Add rto or rpo"
    ),
    "kept for a while, and for good": Case(
        *top("cleanup: {when: never, keep_for: 10m}"),
        "cleanup.keep_for",
        "no effect with when: never",
        "Remove",
    ),
    "kept for a while, and until somebody agrees": Case(
        *top("cleanup: {when: after_approval, keep_for: 10m}"),
        "cleanup.keep_for",
        "no effect",
        "approval_timeout",
    ),
    "a time to answer, and no question": Case(
        *top("cleanup: {approval_timeout: 1h}"),
        "cleanup.approval_timeout",
        "no effect with when: always",
        "when: after_approval",
    ),
    "approvers, and no question": Case(
        *top("cleanup: {when: on_success, approvers: [alice]}"),
        "cleanup.approvers",
        "no effect with when: on_success",
        "Remove approvers",
    ),
    "an unknown end beside approvers": Case(
        *top("cleanup: {when: [], approvers: [alice]}"),
        "cleanup.when",
        "is not one of the allowed values",
        "Write always",
    ),
}

NOTIFICATIONS = {
    "a topic that is none": Case(
        *top("notifications: {sns_topic_arn: dr-drills}"),
        "notifications.sns_topic_arn",
        '"dr-drills" is not allowed',
        "arn:<partition>:sns:<Region>:<account>:<name of the topic>",
    ),
    "a topic that wants messages in groups": Case(
        *top("notifications: {sns_topic_arn: 'arn:aws:sns:us-east-1:111122223333:drills.fifo'}"),
        "notifications.sns_topic_arn",
        "is not allowed here",
        "a standard topic",
    ),
    "a connection that publishes to nothing": Case(
        *top("notifications: {aws_conn_id: ops}"),
        "notifications.aws_conn_id",
        "no effect without sns_topic_arn",
        "Add sns_topic_arn",
    ),
    "a notifier without a module": Case(
        *top("notifications: {notifiers: [{notifier: Pager}]}"),
        "notifications.notifiers[0].notifier",
        '"Pager" is not allowed',
        "notifier: <module>.Pager",
    ),
    "a notifier that is not named": Case(
        *top("notifications: {notifiers: [{parameters: {}}]}"),
        "notifications.notifiers[0].notifier",
        "notifier is missing",
        "Add notifier: The dotted path",
        Code.MISSING_FIELD,
    ),
    "a parameter that YAML takes for a date": Case(
        *top("notifications: {notifiers: [{notifier: a.B, parameters: {x: {dict: [2026-01-31]}}}]}"),
        "notifications.notifiers[0].parameters.x.dict[0]",
        "as the date 2026-01-31",
        '"2026-01-31"',
    ),
    "a parameter that JSON does not know": Case(
        *top("notifications: {notifiers: [{notifier: a.B, parameters: {x: .inf}}]}"),
        "notifications.notifiers[0].parameters.x",
        "not finite",
        "a finite number",
    ),
}

VALUES = {
    "a Region that is none": Case(
        REGION, "region: Virginia  # <-", "target.region", '"Virginia" is not allowed', "region: us-east-1"
    ),
    "an account of 11 digits": Case(
        ACCOUNT,
        'account_id: "11112222333"  # <-',
        "target.account_id",
        "12 digits",
        "all 12 digits, in quotes: these are 11",
    ),
    "an empty connection": Case(
        ACCOUNT,
        f'{ACCOUNT}\n  aws_conn_id: ""  # <-',
        "target.aws_conn_id",
        "empty",
        "Without the key, it is aws_default",
    ),
    "a server id that is none": Case(
        SERVERS,
        "{source_servers: [s-3C1730A9E0771EA14]}  # <-",
        "protection_groups.database.source_servers[0]",
        '"s-3C1730A9E0771EA14" is not allowed',
        "s-3c1730a9e0771ea14",
    ),
    "an empty list of servers": Case(
        SERVERS,
        "{source_servers: []}  # <-",
        "protection_groups.database.source_servers",
        "no servers",
        "Add servers, or remove the group",
    ),
    "empty tags": Case(
        TAGS,
        "{server_tags: {}}  # <-",
        "protection_groups.web.server_tags",
        "no servers",
        "Add servers, or remove the group",
    ),
    "servers and tags in one group": Case(
        TAGS,
        "{server_tags: {Tier: web}, source_servers: [s-57eae3bdae1f0a261]}  # <-",
        "protection_groups.web",
        "both",
        "Keep one",
    ),
    "an empty tag key": Case(
        TAGS,
        '{server_tags: {"": web}}  # <-',
        "protection_groups.web.server_tags.",
        '"" is not allowed as a key',
        "1 to 128 characters",
    ),
    "a tag that is a list": Case(
        TAGS,
        "{server_tags: {Tier: [web]}}  # <-",
        "protection_groups.web.server_tags.Tier",
        "a list",
        "Tier: web",
    ),
    "optional that is text": Case(
        TAGS,
        '{server_tags: {Tier: web}, optional: "yes"}  # <-',
        "protection_groups.web.optional",
        "must be true or false",
        "optional: true",
    ),
    "a wave's name with a space": Case(
        "name: web", "name: web tier  # <-", "waves[1].name", '"web tier" is not allowed', "name: web-tier"
    ),
    "a wave's name beyond 64 characters": Case(
        "name: web", f"name: {'w' * 65}  # <-", "waves[1].name", "65 characters; 64", "Shorten"
    ),
    "a wave without groups": Case(
        "web: {server_tags: {Tier: web}}\nwaves:",
        "web: {server_tags: {Tier: web}}\nwaves:\n  - {name: none, protection_groups: []}  # <-",
        "waves[0].protection_groups",
        "no servers",
        "remove the wave",
    ),
    "an unknown gate": Case(
        *wave("next_wave_when: lunched"), "waves[1].next_wave_when", "lunched", "Did you mean launched?"
    ),
    "an unknown way to launch": Case(*launch("jobs: 3"), "launch.jobs", "3 is not", "per_server or per_wave"),
    "a list where text is meant": Case(
        *top("owner: [me]"), "owner", "must be text, but it is a list", "owner: me"
    ),
    "text where a list is meant": Case(
        *top("dag_tags: tier-1"), "dag_tags", "must be a list, but it is text", "dag_tags: [tier-1]"
    ),
    "text where a mapping is meant": Case(
        *top("launch: per_wave"),
        "launch",
        "must be a mapping of keys to values, but it is text",
        "launch: {jobs: per_wave}",
    ),
    "a wave that is only a name": Case(
        "waves:\n",
        "waves:\n  - first  # <-\n",
        "waves[0]",
        "must be a mapping of keys to values, but it is text",
        "{name: first}, and add protection_groups",
    ),
    "an empty tag of the DAG": Case(*top('dag_tags: [""]'), "dag_tags[0]", "empty", "Remove it"),
}

DURATIONS = {
    "a number without a unit": Case(
        *launch("server_delay: 15"), "launch.server_delay", "15 has no unit", "Write 15s for seconds"
    ),
    "a fraction without a unit": Case(
        *launch("server_delay: 1.5"), "launch.server_delay", "no unit", "1.5m for minutes (1m30s)"
    ),
    "base 60": Case(
        *launch("job_timeout: 12:30"),
        "launch.job_timeout",
        "YAML reads 12:30 as the number 750 (base 60)",
        "Write 12h30m or 12m30s",
    ),
    "base 60 with seconds": Case(
        *launch("job_timeout: 1:30:00"),
        "launch.job_timeout",
        "1:30:00 as the number 5400",
        "job_timeout: 1h30m",
    ),
    "text that is no duration": Case(
        *launch("job_timeout: soon"), "launch.job_timeout", '"soon" is not a duration', "PT30S"
    ),
    "a negative duration": Case(
        *launch("server_delay: -5s"), "launch.server_delay", "-5s is negative", "server_delay: 5s"
    ),
    "a negative number": Case(
        *launch("server_delay: -5"), "launch.server_delay", "-5 is negative", "with its unit"
    ),
    "a word that YAML takes for true": Case(
        *launch("server_delay: on"),
        "launch.server_delay",
        "on as true; this must be a duration",
        "with its unit",
    ),
    "a date": Case(
        *launch("job_timeout: 2026-01-01"), "launch.job_timeout", "as the date 2026-01-01", "with its unit"
    ),
    "a job that may not take any time": Case(
        *launch("job_timeout: 0s"), "launch.job_timeout", "0s is zero", "the default is 1h"
    ),
    "a start without time": Case(*launch("start_timeout: 0m"), "launch.start_timeout", "is zero", "5m"),
    "a pause of nothing between retries": Case(
        *launch("conflict_backoff: [0s]"), "launch.conflict_backoff[0]", "is zero", "a longer duration"
    ),
    "no pause between retries": Case(
        *launch("conflict_backoff: []"),
        "launch.conflict_backoff",
        "empty",
        "Without the key, it is [30s, 1m, 2m]",
    ),
    "clean-up without time": Case(
        *top("cleanup: {timeout: PT0S}"), "cleanup.timeout", "is zero", "the default is 2h"
    ),
}

TRAPS = {
    "an account without quotes": Case(
        ACCOUNT,
        "account_id: 111122223333  # <-",
        "target.account_id",
        "YAML reads 111122223333 as the number 111122223333; this must be text",
        'account_id: "111122223333"',
    ),
    "an account that YAML reads as octal": Case(
        ACCOUNT,
        "account_id: 011122223333  # <-",
        "target.account_id",
        "YAML reads 011122223333 as the number 1229530843",
        'account_id: "011122223333"',
    ),
    "a tag value that is true": Case(
        TAGS,
        "{server_tags: {Tier: on}}  # <-",
        "protection_groups.web.server_tags.Tier",
        "on as true",
        'Tier: "on"',
    ),
    "a tag value that is false": Case(
        TAGS,
        "{server_tags: {Tier: No}}  # <-",
        "protection_groups.web.server_tags.Tier",
        "No as false",
        '"No"',
    ),
    "a tag value that is a date": Case(
        TAGS,
        "{server_tags: {Since: 2026-01-31}}  # <-",
        "protection_groups.web.server_tags.Since",
        "as the date 2026-01-31",
        'Since: "2026-01-31"',
    ),
    "a tag value that is no date after all": Case(
        TAGS,
        "{server_tags: {Since: 2026-13-31}}  # <-",
        "protection_groups.web.server_tags.Since",
        "looks like a date or number but is not a valid one",
        '"2026-13-31"',
    ),
    "a tag value in base 60": Case(
        TAGS,
        "{server_tags: {Window: 12:30}}  # <-",
        "protection_groups.web.server_tags.Window",
        "12:30 as the number 750",
        'Window: "12:30"',
    ),
    "a version that is a number": Case(
        *top("description: 1.10"), "description", "1.10 as the number 1.1", '"1.10"'
    ),
    "an item that is a number": Case(
        *top("dag_tags: [2026]"), "dag_tags[0]", "the number 2026", 'quotes: "2026"'
    ),
    "a key without a value": Case(*top("schedule:"), "schedule", "no value", "remove the key"),
    "a wave's key without a value": Case(
        *wave("depends_on:"), "waves[1].depends_on", "no value", "remove the key"
    ),
    "a required key without a value": Case(
        REGION, "region:  # <-", "target.region", "no value", "Write a value"
    ),
    "a key that YAML takes for true": Case(
        TAGS,
        "{server_tags: {Tier: web, on: x}}  # <-",
        "protection_groups.web.server_tags",
        "does not read the key on as text",
        '"on":',
    ),
}

CALENDAR = {
    "words for a schedule": Case(
        *top("schedule: monthly"), "schedule", "five fields", 'Did you mean "@monthly"?'
    ),
    "cron with seconds": Case(
        *top('schedule: "0 0 6 1 * *"'), "schedule", "five fields", 'Write "0 6 1 * *": minute, hour'
    ),
    "a field out of range": Case(
        *top('schedule: "0 25 1 * *"'), "schedule", "25 for the hour", "numbers from 0 to 23 for the hour"
    ),
    "letters for fields": Case(*top('schedule: "a b c d e"'), "schedule", "not a cron expression", '"0 6 1'),
    "a date that never comes": Case(*top('schedule: "0 6 31 2 *"'), "schedule", "never comes", "Name a day"),
    "a random time": Case(*top('schedule: "R R 1 * *"'), "schedule", "random", "Name the minute"),
    "a hashed time": Case(*top('schedule: "H H 1 * *"'), "schedule", "not a cron expression", '"0 6 1'),
    "an unknown preset": Case(*top('schedule: "@once"'), "schedule", "@once is not a schedule", "@monthly"),
    "a misspelt time zone": Case(
        *top("timezone: Europe/Berln"), "timezone", "not a time zone", "Did you mean Europe/Berlin?"
    ),
    "a time zone that is none": Case(*top("timezone: xyzzy"), "timezone", "not a time zone", "IANA"),
    "a folder of time zones": Case(*top("timezone: America"), "timezone", "not a time zone", ""),
    "a path for a time zone": Case(*top("timezone: ../../etc/passwd"), "timezone", "not a time zone", "IANA"),
}

BETWEEN_PARTS = {
    "an unknown group": Case(
        LAST,
        "protection_groups: [web, cache]  # <-",
        "waves[1].protection_groups[1]",
        "no group",
        "database, web",
    ),
    "a misspelt group, which is then not unused as well": Case(
        LAST, "protection_groups: [wbe]  # <-", "waves[1].protection_groups[0]", "wbe", "Did you mean web?"
    ),
    "a group that no wave launches": Case(
        "waves:\n",
        "  spare: {server_tags: {Tier: spare}}  # <-\nwaves:\n",
        "protection_groups.spare",
        "No wave launches the protection group spare",
        "Add spare to a wave",
    ),
    "a group in two waves": Case(
        LAST,
        "protection_groups: [web, database]  # <-",
        "waves[1].protection_groups[1]",
        "database is already launched by the wave database",
        "one wave",
        Code.SERVER_CONFLICT,
    ),
    "a group twice in a wave": Case(
        LAST,
        "protection_groups: [web, web]  # <-",
        "waves[1].protection_groups[1]",
        "already launched by the wave web",
        "one wave",
        Code.SERVER_CONFLICT,
    ),
    "a server in two waves": Case(
        TAGS,
        "{source_servers: [s-57eae3bdae1f0a261, s-3c1730a9e0771ea15]}  # <-",
        "protection_groups.web.source_servers[1]",
        "s-3c1730a9e0771ea15 is also listed in the group database of the wave database",
        "one place",
        Code.SERVER_CONFLICT,
    ),
    "a server twice in a group": Case(
        TAGS,
        "{source_servers: [s-57eae3bdae1f0a261, s-57eae3bdae1f0a261]}  # <-",
        "protection_groups.web.source_servers[1]",
        "s-57eae3bdae1f0a261 is listed twice in this group",
        "one place",
        Code.SERVER_CONFLICT,
    ),
    "a server in two groups of a wave": Case(
        f"{TAGS}\nwaves:\n  - name: database\n    protection_groups: [database]",
        f"{TAGS}\n  more: {{source_servers: [s-3c1730a9e0771ea14]}}  # <-\n"
        "waves:\n  - name: database\n    protection_groups: [database, more]",
        "protection_groups.more.source_servers[0]",
        "is also listed in the group database",
        "one place",
        Code.SERVER_CONFLICT,
    ),
    "two waves of one name": Case(
        "name: web",
        "name: database  # <-",
        "waves[1].name",
        "Two waves are called database",
        "a name of its own",
    ),
    "an unknown wave": Case(
        *wave("depends_on: [cache]"), "waves[1].depends_on[0]", "no wave has that name", "database, web"
    ),
    "a misspelt wave": Case(
        *wave("depends_on: [databse]"), "waves[1].depends_on[0]", "no wave", "Did you mean database?"
    ),
    "a wave named twice": Case(
        *wave("depends_on: [database, database]"), "waves[1].depends_on[1]", "database twice", "once"
    ),
    "a wave that waits for itself": Case(
        *wave("depends_on: [web]"), "waves[1].depends_on", "web → web", "Remove one of these"
    ),
    "waves that wait for each other": Case(
        "protection_groups: [database]\n",
        "protection_groups: [database]\n    depends_on: [web]  # <-\n",
        "waves[0].depends_on",
        "database → web → database",
        "A wave without depends_on depends on the wave above it",
    ),
}

CASES = (
    UNKNOWN_AND_MISSING
    | CHECKS
    | CLEANUP
    | NOTIFICATIONS
    | VALUES
    | DURATIONS
    | TRAPS
    | CALENDAR
    | BETWEEN_PARTS
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_one_problem_with_line_key_code_message_and_remedy(
    problems: Problems, good: str, case: Case
) -> None:
    """Each mistake gives exactly one problem: with the place, what is wrong, and what to write."""
    text = good.replace(case.old, case.new)
    (problem,) = problems((case.old, case.new))
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "# <-" in line]
    if marked:
        assert problem.line == marked[0]
    assert problem.file.name == "billing.yaml"
    assert (problem.key, problem.code) == (case.key, case.code)
    assert case.message in problem.message
    assert case.remedy in problem.remedy


@pytest.mark.parametrize("waves", ["", "waves: []\n"])
def test_a_plan_without_waves_is_told_so(problems: Problems, good: str, waves: str) -> None:
    """Missing and empty waves have the same code, and the remedy has an example of a wave."""
    text = good[: good.index("waves:")] + waves
    (problem,) = problems(text=text)
    assert (problem.key, problem.code) == ("waves", Code.PLAN_HAS_NO_WAVES)
    assert "waves: [{name: database" in problem.remedy


def servers(number: int) -> str:
    """A YAML list with this number of server ids."""
    return ", ".join(f"s-{n:017x}" for n in range(number))


@pytest.mark.parametrize(
    ("number", "jobs", "code"),
    [
        (20, "per_server", None),
        (21, "per_server", Code.CONCURRENT_JOBS_LIMIT_EXCEEDED),
        (21, "per_wave", None),
        (100, "per_wave", None),
        (101, "per_wave", Code.WAVE_SIZE_LIMIT_EXCEEDED),
        (101, "per_server", Code.WAVE_SIZE_LIMIT_EXCEEDED),
    ],
)
@pytest.mark.parametrize("where", ["plan", "wave"])
def test_a_wave_beyond_the_quotas_of_drs_is_refused(
    load: Callable[..., Plan], problems: Problems, number: int, jobs: str, code: Code | None, where: str
) -> None:
    """The limits are 20 jobs at a time and 100 servers in a job. The plan or the wave may set `jobs`."""
    edits = [(SERVERS, f"{{source_servers: [{servers(number)}]}}")]
    if where == "wave":
        edits.append(("groups: [database]", f"groups: [database]\n    launch: {{jobs: {jobs}}}"))
    more = f"launch: {{jobs: {jobs}}}\n" if where == "plan" else ""
    if code is None:
        load(*edits, more=more)
        return
    (problem,) = problems(*edits, more=more)
    assert (problem.code, problem.key) == (code, "waves[0].protection_groups")
    assert str(number) in problem.message
    assert ("per_wave" in problem.remedy) == (code is Code.CONCURRENT_JOBS_LIMIT_EXCEEDED)


def test_servers_of_several_groups_count_together(problems: Problems) -> None:
    """The quotas apply to the wave, not to each group."""
    (problem,) = problems(
        (SERVERS, f"{{source_servers: [{servers(20)}]}}\n  one: {{source_servers: [s-3c1730a9e0771ea14]}}"),
        ("groups: [database]", "groups: [database, one]"),
    )
    assert problem.code is Code.CONCURRENT_JOBS_LIMIT_EXCEEDED


def test_a_long_circle_is_named_whole(problems: Problems) -> None:
    """Dependencies that only come from the order of the file are part of the cycle too."""
    (problem,) = problems(
        ("groups: [database]", "groups: [database]\n    depends_on: [last]"),
        ("{Tier: web}}", "{Tier: web}}\n  last: {server_tags: {Tier: last}}"),
        more="  - {name: last, protection_groups: [last]}\n",
    )
    assert "database → last → web → database" in problem.message


def test_two_circles_are_two_problems(problems: Problems) -> None:
    """After one cycle is fixed, no new one may appear."""
    found = problems(
        ("groups: [database]", "groups: [database]\n    depends_on: [database]"),
        more="    depends_on: [web]\n",
    )
    assert {"waves[0].depends_on", "waves[1].depends_on"} == {problem.key for problem in found}


def test_all_problems_of_a_plan_are_told_at_once(problems: Problems) -> None:
    """Flaws of the YAML, wrong values and contradictions are reported together, in the order of the file."""
    found = problems(
        (REGION, "region: Virginia"),
        (ACCOUNT, f"{ACCOUNT}\n  {ACCOUNT}"),
        ("name: web", "name: database"),
        (LAST, "protection_groups: [wbe]"),
        more="    validation: [{type: htp}]\nowner:\ncolour: red\n",
    )
    assert [(problem.line, problem.key) for problem in found] == [
        (3, "target.region"),
        (5, "target.account_id"),
        (12, "waves[1].name"),
        (13, "waves[1].protection_groups[0]"),
        (14, "waves[1].validation[0].type"),
        (15, "owner"),
        (16, "colour"),
    ]


def test_a_key_that_stands_twice_is_still_checked(problems: Problems) -> None:
    """After the second key is removed, no new problem may appear."""
    found = problems((REGION, f"region: Virginia\n  {REGION}"))
    assert [(problem.line, problem.key) for problem in found] == [(3, "target.region"), (4, "target.region")]


def test_a_circle_is_told_beside_an_unknown_wave(problems: Problems) -> None:
    """Neither problem hides the other."""
    found = problems(more="    depends_on: [web, cache]\n")
    assert {"waves[1].depends_on", "waves[1].depends_on[1]"} == {problem.key for problem in found}


def test_wrong_items_do_not_make_a_list_empty(problems: Problems) -> None:
    """A wave with a mistake still counts as a wave."""
    found = problems(("[s-3c1730a9e0771ea14, s-3c1730a9e0771ea15]", "[one]"))
    assert [problem.key for problem in found] == ["protection_groups.database.source_servers[0]"]


ODD = [
    "on",
    "12:30",
    "2026-01-31",
    "-1",
    "1.5",
    "~",
    '""',
    "text",
    "[]",
    "[[]]",
    "{}",
    "{a: b}",
    '"no"',
    '"1"',
    f'"{"x" * 300}"',
]


def variants(data: Any, odd: object) -> Iterator[Any]:
    """The data, each time with one other part replaced."""
    yield odd
    if isinstance(data, dict):
        for key, value in data.items():
            yield from ({**data, key: changed} for changed in variants(value, odd))
            yield {**{other: data[other] for other in data if other != key}, str(odd): value}
    if isinstance(data, list):
        for index, value in enumerate(data):
            yield from ([*data[:index], changed, *data[index + 1 :]] for changed in variants(value, odd))


OWN = """\
name: p01
owner: x
dag_tags: [a]
schedule: "@daily"
timezone: Asia/Tokyo
allow_recovery: false
target: {region: ap-northeast-1, account_id: "999988887777", aws_conn_id: dr}
objectives: {rto: 7h, rpo: 7m, enforce: false}
network: {allowed_subnets: [subnet-ffffffff], allowed_security_groups: [sg-ffffffff]}
protection_groups:
  db: {source_servers: [s-ffffffffffffffff1], optional: false}
  app: {server_tags: {Tier: app}, validation: [{type: tcp, port: 81, address: dns}]}
launch: {jobs: per_wave, server_delay: 1s, conflict_backoff: [1s], job_timeout: 7h}
waves:
  - name: db
    protection_groups: [db]
    approval: {timeout: 7h, on_timeout: reject, approvers: [eve], skippable: false}
  - name: app
    protection_groups: [app]
    depends_on: []
    next_wave_when: launched
    launch: {start_timeout: 1s}
    validation:
      - {type: ssm, document: Look, parameters: {commands: [x]}}
      - {type: http, scheme: https, port: 444, path: /x, expect_status: 201, expect_body: y, timeout: 7m}
      - {type: python, function: a.b, parameters: {c: 1}}
cleanup: {when: after_approval, timeout: 7h, approval_timeout: 7h, approvers: [eve]}
notifications:
  sns_topic_arn: "arn:aws:sns:ap-northeast-1:999988887777:x"
  aws_conn_id: x
  notifiers: [{notifier: a.B, parameters: {c: d}}]
"""
OF_EXAMPLES = [
    "s-3c17",
    "111122223333",
    "us-east-1",
    "eu-central-1",
    "Berlin",
    "subnet-0a",
    "sg-0a",
    "billing",
    "Billing",
    "tier-1",
    "alice",
    "dr-drills",
    "my_team",
    "orders_table",
    "Slack",
    "Pager",
    "systemctl",
    "postgresql",
    "5432",
    "/health",
]
"""Values of the examples that editors offer."""


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:10])
def test_each_odd_value_has_a_remedy_without_an_examples_value(load: Callable[..., Plan], odd: str) -> None:
    """If one file made the loader fail, no other plan of the folder would be loaded. No remedy names the
    account, Region or server of an example, and none makes true what was not written as true.
    """
    said: list[PlanProblem] = []
    refused = 0
    for changed in variants(yaml.safe_load(OWN), "ODD"):
        try:
            load(text=yaml.safe_dump(changed, sort_keys=False).replace("ODD", odd), name="p01.yaml")
        except PlanError as error:
            refused += 1
            said += error.broken.problems
    assert refused > 80
    assert [problem for problem in said if not (problem.message and problem.remedy)] == []
    assert [problem for problem in said for value in OF_EXAMPLES if value in str(problem)] == []
    assert not any("failed at this file" in problem.message for problem in said)
    true = re.compile(r"Write (allow_recovery|optional|skippable|enforce): true")
    assert any(true.search(problem.remedy) for problem in said) == (odd == '"1"')
