"""Tells people of a run's course: by SNS, and by any Airflow notifier that the plan names.

All of it goes one way: a notice is made, and each notifier fills its own templates from it. What a notice
says is a value in those templates and never a template itself. An event is told once, also by a task that is
tried again; a notifier that fails is remarked and fails nothing.
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from drs import settings
from drs.notify import messages
from drs.notify.messages import Notice
from drs.plan import Approval
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import EVIDENCE_TASK_ID, VERDICT_TASK_ID
from drs.run.records import FailureRecord, RunRecord
from drs.tasks.best_effort import attempt, never_fails

if TYPE_CHECKING:
    from airflow.sdk import Context

TEMPLATE_NAME = "drs"
"""What a notice is called in a notifier's templates."""


@never_fails
def announce_start(context: Context, ledger: Ledger) -> None:
    """The run has begun."""
    _tell(context, ledger, "started", lambda run, url: messages.started(run, url))


@never_fails
def announce_question(
    context: Context,
    ledger: Ledger,
    *,
    about: str,
    what: str,
    rule: Approval,
    until: dt.datetime,
    passes: bool,
    body: str,
) -> None:
    """A person is asked to approve something.

    :param about: tells this question from earlier ones of the same task
    """
    compose = partial(messages.approval_wanted, what=what, rule=rule, until=until, passes=passes, body=body)
    _tell(context, ledger, f"approval_wanted {about}", compose)


@never_fails
def announce_wave(context: Context, ledger: Ledger, wave: str) -> None:
    """A wave is completed. One that is launched anew is told of again."""
    outcome = ledger.outcome(wave)
    if outcome is not None:
        jobs = ",".join(server.job_id or "-" for server in outcome.servers)
        compose = partial(messages.wave_completed, wave=wave, outcome=outcome)
        _tell(context, ledger, f"wave_completed {jobs}", compose)


@never_fails
def announce_failure(context: Context, ledger: Ledger, failure: FailureRecord, *, retryable: bool) -> None:
    """A task failed: told if Airflow will not try it again, and not of a run that was refused."""
    ti: Any = context["ti"]
    refused = ti.task_id == BEGIN_TASK_ID
    if refused or (run := ledger.begun()) is None or not any(_notifiers(run)):
        return
    if retryable and ti.try_number <= ti.max_tries:
        return
    key = f"failed in try {ti.try_number}"
    if ti.task_id == VERDICT_TASK_ID:
        compose = partial(messages.failed, failure=failure, evidence_hash=_evidence_hash(context))
        _tell(context, ledger, key, compose)
    else:
        _tell(context, ledger, key, partial(messages.task_failed, task_id=ti.task_id, failure=failure))


@never_fails
def announce_pass(context: Context, ledger: Ledger, text: str) -> None:
    """The run passed.

    :param text: what it has done
    """
    ti: Any = context["ti"]
    compose = partial(messages.passed, text=text, evidence_hash=_evidence_hash(context))
    _tell(context, ledger, f"passed in try {ti.try_number}", compose)


def tell(
    context: Mapping[str, Any], ledger: Ledger, task_id: str, key: str, notice: Notice, run: RunRecord
) -> None:
    """Give a notice to every notifier of the run's plan, once.

    :param context: what the notifiers' templates may use besides the notice
    :param task_id: under which the event, and what fails, is recorded
    :param key: tells the event from others of this task
    """
    if key in ledger.notified(task_id):
        return
    # Before it is sent: a task that is cut off in between has told too little, not twice.
    ledger.save_notified(task_id, key)
    for name, make in _notifiers(run):
        attempt(
            ledger,
            task_id,
            f"Telling {name} of {notice.event}",
            partial(_notify, make, {**context, TEMPLATE_NAME: notice}),
        )


def _tell(context: Context, ledger: Ledger, key: str, compose: Callable[[RunRecord, str], Notice]) -> None:
    run = ledger.begun()
    if run is None or run.missed or not any(_notifiers(run)):
        return
    parts: Any = context
    tell(parts, ledger, context["ti"].task_id, key, compose(run, settings.base_url()), run)


def _notify(make: Callable[[], BaseNotifier], context: dict[str, Any]) -> None:
    make()(context)


def _notifiers(run: RunRecord) -> Iterator[tuple[str, Callable[[], BaseNotifier]]]:
    """The plan's notifiers, by name; each is made only when it is used, since its module may be broken."""
    plan = run.read_plan()
    wanted = plan.notifications
    if wanted.sns_topic_arn:
        connection = wanted.aws_conn_id or plan.target.aws_conn_id
        yield f"SNS topic {wanted.sns_topic_arn}", partial(_sns, wanted.sns_topic_arn, connection)
    for other in wanted.notifiers:
        yield f"notifier {other.notifier}", partial(_other, other.notifier, other.parameters)


def _sns(topic_arn: str, connection: str) -> BaseNotifier:
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    attributes = {name: f"{{{{ {TEMPLATE_NAME}.{name} }}}}" for name in ("event", "plan", "execution_type")}
    notifier: BaseNotifier = SnsNotifier(
        aws_conn_id=connection,
        region_name=topic_arn.split(":")[3],
        target_arn=topic_arn,
        subject=f"{{{{ {TEMPLATE_NAME}.subject }}}}",
        message=f"{{{{ {TEMPLATE_NAME}.message }}}}",
        message_attributes=attributes,
    )
    return notifier


def _other(path: str, parameters: Mapping[str, Any]) -> BaseNotifier:
    module, _, name = path.rpartition(".")
    notifier = getattr(importlib.import_module(module), name)(**parameters)
    if not isinstance(notifier, BaseNotifier):
        raise TypeError(f"{path} makes no Airflow notifier, but {type(notifier).__name__}")
    return notifier


def _evidence_hash(context: Context) -> str:
    """The hash of the run's record, if evidence was given."""
    ti: Any = context["ti"]
    given = ti.xcom_pull(task_ids=EVIDENCE_TASK_ID)
    return str(given.get("hash") or "") if isinstance(given, dict) else ""
