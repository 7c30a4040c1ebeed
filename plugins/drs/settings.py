"""The only reader of Airflow's configuration: section ``[drs]``, or ``AIRFLOW__DRS__...``."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from airflow.sdk.configuration import conf
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from drs.errors import InvalidField
from drs.evidence.storage import default_evidence_folder
from drs.plan import durations
from drs.plan.model import Notifier
from drs.run.own_code import AllowedCode, require_allowed_notifier
from drs.setting_options import OPTIONS, SECTION

SHORTEST_WATCH = dt.timedelta(minutes=1)
SHORTEST_LATE_START = dt.timedelta(seconds=30)


def plans_folder() -> Path | None:
    """The folder of the recovery plans if somebody has set it. Everything else about it is in
    :mod:`drs.tasks.plans_folder`.
    """
    text = _text("plans_folder")
    return Path(text) if text else None


def dags_folder() -> Path:
    """Airflow's own DAGs folder."""
    return Path(conf.get_mandatory_value("core", "dags_folder"))


def evidence_path() -> str:
    """Where evidence records are kept: a folder or ``s3://bucket/prefix`` that every worker can reach."""
    return _text("evidence_path") or str(default_evidence_folder(os.environ))


def evidence_shared() -> bool:
    """Whether all workers mount the folder of the evidence from the same place, as an operator says."""
    return _is_on("evidence_shared")


def executors() -> str:
    """How this Airflow runs tasks: the classes of executors, as they are configured."""
    return str(conf.get("core", "executor", fallback=""))


def evidence_conn_id() -> str | None:
    """The connection to the object store of the evidence; ``None`` uses the worker's own credentials."""
    return _text("evidence_conn_id") or None


def evidence_kms_key_id() -> str | None:
    """The asymmetric key of AWS KMS that signs the records of runs; ``None``: they are not signed."""
    return _text("evidence_kms_key_id") or None


def deferrable() -> bool:
    """Whether tasks wait in the triggerer (the default) or in the worker."""
    return _is_on("deferrable")


def defer_after() -> float:
    """A wait of fewer seconds than this is made in the worker."""
    return _number("defer_after")


def poll_interval() -> float:
    """Seconds between two looks at jobs while none of them can end soon."""
    return _number("poll_interval")


def poll_interval_near() -> float:
    """Seconds between two looks at jobs while one may end soon, and between two tries of a check."""
    return _number("poll_interval_near")


def readiness_schedule() -> str:
    """When all plans are checked for readiness: a cron expression in UTC. Empty: only by hand."""
    return _text("readiness_schedule")


def late_start() -> dt.timedelta:
    """A run that no person started and that begins later than this after its tick launches nothing.

    :raises InvalidField: the setting is not a duration
    """
    text = _text("late_start") or str(OPTIONS["late_start"].default)
    return _duration("late_start", text, SHORTEST_LATE_START, remedy="Write it like this: late_start = 5m.")


def watch_interval() -> dt.timedelta | None:
    """How often the watch looks. Empty: only when it is triggered by hand.

    :raises InvalidField: the setting is not a duration
    """
    text = _text("watch_interval")
    if not text:
        return None
    remedy = "Write it like this: watch_interval = 10m. Leave it empty to run the watch only by hand."
    return _duration("watch_interval", text, SHORTEST_WATCH, remedy=remedy)


def _duration(name: str, text: str, shortest: dt.timedelta, *, remedy: str) -> dt.timedelta:
    try:
        found = durations.parse(text)
    except PydanticCustomError:
        found = dt.timedelta(0)
    if found < shortest:
        raise InvalidField(
            f"The setting {name} in section [drs] is {text!r}, not a duration of at least "
            f"{durations.render(shortest)}.",
            remedy=remedy,
        )
    return found


def watch_terminates() -> bool:
    """Whether the watch terminates orphaned drill instances."""
    return _is_on("watch_terminates")


def allowed_code() -> AllowedCode:
    """Which notifiers and checks plans may name."""
    return AllowedCode.of(_text("allowed_notifiers"), _text("allowed_checks"))


def watch_notifiers() -> tuple[Notifier, ...]:
    """Who is notified of findings whose plan is gone or names nobody: a list in JSON, as in a plan's
    ``notifications.notifiers``.

    :raises InvalidField: the setting is not such a list, or names a notifier that is not allowed
    """
    text = _text("watch_notifiers")
    try:
        named = TypeAdapter(tuple[Notifier, ...]).validate_json(text or "[]")
    except ValidationError as error:
        raise InvalidField(
            f"The setting watch_notifiers in section [drs] is not a list of notifiers in JSON: {error}",
            remedy='Write it like this: [{"notifier": "my_team.notifiers.Pager", "parameters": {}}]',
        ) from None
    for each in named:
        try:
            require_allowed_notifier(each.notifier, allowed_code())
        except InvalidField as error:
            raise InvalidField(
                f"In the setting watch_notifiers in section [drs]: {error.message}", remedy=error.remedy
            ) from None
    return named


def metrics() -> bool:
    """Whether a drill's measures are published to CloudWatch (the default)."""
    return _is_on("metrics")


def base_url() -> str:
    """The address of the Airflow UI."""
    return str(conf.get("api", "base_url", fallback="http://localhost:8080"))


def _text(name: str) -> str:
    """The text of an option; its default if nobody has set it, and empty if it has none."""
    # Airflow knows the defaults only where this package is installed, not where its folder is copied.
    return str(conf.get(SECTION, name, fallback=OPTIONS[name].default) or "").strip()


def _is_on(name: str) -> bool:
    return bool(conf.getboolean(SECTION, name, fallback=OPTIONS[name].default == "True"))


def _number(name: str) -> float:
    return float(conf.getfloat(SECTION, name, fallback=float(OPTIONS[name].default or 0)))
