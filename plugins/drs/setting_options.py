"""The options of section ``[drs]`` in Airflow's configuration: the one place that names them.

``settings.py`` takes defaults from here, Airflow shows the options by :mod:`drs.entry.provider_info`, and a
test compares them with docs/configuration.md. It imports nothing, since every process of Airflow reads it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

SECTION = "drs"


class Option(NamedTuple):
    """One option.

    :param default: ``None``: the option has no value unless somebody sets it
    :param since: the version of this package that brought it
    """

    description: str
    type: Literal["string", "boolean", "float"] = "string"
    default: str | None = None
    example: str | None = None
    since: str = "0.1.0"


OPTIONS: dict[str, Option] = {
    "plans_folder": Option(
        "Where the recovery plans are. If it is not set: the folder that the DAG file names, beside "
        "that file (``plans``), or else ``include/plans`` beside the DAGs folder.",
        example="/opt/airflow/include/plans",
    ),
    "evidence_path": Option(
        "Where the records of runs are kept: a folder that every worker reaches, or "
        "``s3://bucket/prefix``. If it is not set: ``drs-evidence`` in Airflow's home.",
        example="s3://my-bucket/evidence",
    ),
    "evidence_shared": Option(
        "True: all workers mount the folder evidence_path from the same place, such as a shared volume. "
        "Otherwise preflight warns of a local folder if tasks run on several machines or in pods.",
        type="boolean",
        default="False",
    ),
    "evidence_conn_id": Option(
        "The Airflow connection that is used to reach the bucket of the records. If it is not set: "
        "the worker's own credentials.",
        example="aws_default",
    ),
    "evidence_kms_key_id": Option(
        "The ARN of an asymmetric key of AWS KMS that signs the records. If it is not set, they are "
        "not signed.",
        example="arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
    "allowed_notifiers": Option(
        "The notifiers that plans and watch_notifiers may name: dotted paths between commas, ``*`` "
        "for any text. Empty: none.",
        default="airflow.providers.*, airflow.*",
        example="airflow.*, my_team.notifiers.Pager",
    ),
    "allowed_checks": Option(
        "The functions that plans may name in checks of type python, in addition to those that are "
        "marked with ``@drs_check``: dotted paths between commas, ``*`` for any text.",
        example="my_team.checks.*",
    ),
    "deferrable": Option(
        "True: tasks wait in the triggerer, where they take no worker slot. False: they wait in the worker.",
        type="boolean",
        default="True",
    ),
    "defer_after": Option(
        "Seconds. A wait that is shorter than this is made in the worker, the others in the triggerer. "
        "With KubernetesExecutor, where each resumption of a task is a pod: 60.",
        type="float",
        default="0",
    ),
    "poll_interval": Option(
        "Seconds between two looks at jobs when none of them can end soon.",
        type="float",
        default="15",
    ),
    "poll_interval_near": Option(
        "Seconds between two looks at jobs when one of them can end soon, and between two tries of "
        "one check.",
        type="float",
        default="3",
    ),
    "readiness_schedule": Option(
        "When readiness checks all plans: a cron expression in UTC. Empty: only when it is triggered "
        "by hand.",
        default="0 5 * * *",
    ),
    "late_start": Option(
        "A run that no person started and that begins later than this after its time launches "
        "nothing. At least 30s.",
        default="5m",
    ),
    "watch_interval": Option(
        "How often the watch looks, at least 1m. Empty: only when it is triggered by hand.",
        default="10m",
    ),
    "watch_terminates": Option(
        "Whether the watch terminates drill instances that it has seen left for an hour.",
        type="boolean",
        default="False",
    ),
    "watch_notifiers": Option(
        "Who is notified of findings whose plan file is gone or names nobody: a list in JSON, as in a"
        " plan's notifications.notifiers.",
        example='[{"notifier": "my_team.notifiers.Pager", "parameters": {}}]',
    ),
    "metrics": Option(
        "Whether the measures of each drill are sent to CloudWatch.",
        type="boolean",
        default="True",
    ),
}
