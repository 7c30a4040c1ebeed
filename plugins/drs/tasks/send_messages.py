"""Sends notices of a run to people: by SNS, and by any Airflow notifier that the plan names.

For each event one notice is composed, and each notifier fills its own templates from it. The text of a notice
is a value in those templates and never a template itself. An event is sent once, even if its task is tried
again. A notifier that fails is noted in the run's records, and does not fail the task.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from jinja2.sandbox import ImmutableSandboxedEnvironment

from drs import settings
from drs.notify import messages
from drs.notify.messages import Notice
from drs.plan import Approval, Plan
from drs.plan.model import Notifier
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import EVIDENCE_TASK_ID, VERDICT_TASK_ID
from drs.run.records import FailureRecord, RunRecord
from drs.tasks.best_effort import attempt, never_fails, tried
from drs.tasks.own_code import notifier_class

if TYPE_CHECKING:
    from airflow.sdk import Context

TEMPLATE_NAME = "drs"
"""The name of the notice in a notifier's templates."""
SOON = 3
"""The failed try of a task after which people are notified, even if Airflow goes on trying."""
Sender = Callable[[dict[str, Any]], None]
"""Sends the notice that a context has."""
MadeNotifier = tuple[str, Callable[[], Sender]]
"""A notifier's name for people, and a function that makes it."""


@never_fails
def notify_start(context: Context, ledger: Ledger) -> None:
    """Notify people that the run has begun."""
    _notify(context, ledger, "started", lambda run, url: messages.started(run, url))


@never_fails
def notify_missed(
    context: Context, ledger: Ledger, run: RunRecord, *, why: str, remedy: str, code: str = ""
) -> None:
    """Notify people that a run which no person started launches nothing.

    :param run: the run as it would have been; a refused run has no record in the ledger
    :param code: the error code of a refusal; empty for a missed run
    """
    notice = messages.missed(run, settings.base_url(), why=why, remedy=remedy, code=code)
    parts: Any = context
    send(parts, ledger, context["ti"].task_id, "missed", notice, run)


@never_fails
def notify_question(
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
    """Notify people that something waits for approval.

    :param about: distinguishes this question from earlier ones of the same task
    """
    compose = partial(messages.approval_wanted, what=what, rule=rule, until=until, passes=passes, body=body)
    _notify(context, ledger, f"approval_wanted {about}", compose)


@never_fails
def notify_wave(context: Context, ledger: Ledger, wave: str) -> None:
    """Notify people that a wave is completed; once more if the wave is launched again."""
    outcome = ledger.outcome(wave)
    if outcome is not None:
        jobs = ",".join(server.job_id or "-" for server in outcome.servers)
        compose = partial(messages.wave_completed, wave=wave, outcome=outcome)
        _notify(context, ledger, f"wave_completed {jobs}", compose)


@never_fails
def notify_failure(context: Context, ledger: Ledger, failure: FailureRecord, *, retryable: bool) -> None:
    """Notify people that a task failed, unless the run was refused at its start.

    A failure that Airflow retries is sent after the last try, and already after :data:`SOON`: the tries of
    clean-up go on for 20 minutes, in which a person may remove the cause.
    """
    ti: Any = context["ti"]
    refused = ti.task_id == BEGIN_TASK_ID
    if refused or (run := ledger.begun()) is None or not any(plan_notifiers(run.read_plan())):
        return
    if retryable and ti.try_number <= ti.max_tries:
        if ti.try_number != SOON or ti.task_id == VERDICT_TASK_ID:
            return
        more = f"{failure.remedy} Airflow tries this task again by itself, up to try {ti.max_tries + 1}."
        failure = failure.model_copy(update={"remedy": more.strip()})
    key = f"failed in try {ti.try_number}"
    if ti.task_id == VERDICT_TASK_ID:
        compose = partial(messages.failed, failure=failure, evidence=told(context))
        _notify(context, ledger, key, compose)
    else:
        _notify(context, ledger, key, partial(messages.task_failed, task_id=ti.task_id, failure=failure))


@never_fails
def notify_pass(context: Context, ledger: Ledger, text: str, missed: Sequence[str] = ()) -> None:
    """Notify people that the run passed. Of a missed run they were notified when it began.

    :param text: what the run has done
    :param missed: the objectives that it missed, each as a clause
    """
    if (run := ledger.begun()) is None or run.missed:
        return
    ti: Any = context["ti"]
    compose = partial(messages.passed, text=text, missed=missed, evidence=told(context))
    _notify(context, ledger, f"passed in try {ti.try_number}", compose)


def send(
    context: Mapping[str, Any], ledger: Ledger, task_id: str, key: str, notice: Notice, run: RunRecord
) -> None:
    """Send a notice by every notifier of the run's plan, once.

    :param context: what the notifiers' templates may use in addition to the notice
    :param task_id: the task under which the event and any failure to send are recorded
    :param key: distinguishes the event from others of this task
    """
    if key in ledger.notified(task_id):
        return
    # Recorded before it is sent: a task that is cut off in between sends nothing, rather than twice.
    ledger.save_notified(task_id, key)
    for name, make in plan_notifiers(run.read_plan()):
        attempt(
            ledger,
            task_id,
            f"Notice {notice.event!r} by {name}",
            partial(_call, make, {**context, TEMPLATE_NAME: notice}),
        )


def _notify(context: Context, ledger: Ledger, key: str, compose: Callable[[RunRecord, str], Notice]) -> None:
    run = ledger.begun()
    if run is None or not any(plan_notifiers(run.read_plan())):
        return
    parts: Any = context
    send(parts, ledger, context["ti"].task_id, key, compose(run, settings.base_url()), run)


def _call(make: Callable[[], Sender], context: dict[str, Any]) -> None:
    make()(context)


def deliver(notice: Notice, notifiers: Iterable[MadeNotifier]) -> list[str]:
    """Send a notice that belongs to no run, by each of these notifiers.

    :return: a sentence on each notifier that failed
    """
    failures = [
        tried(f"Notice {notice.event!r} by {name}", partial(_call, make, {TEMPLATE_NAME: notice}))
        for name, make in notifiers
    ]
    return [failure for failure in failures if failure]


def plan_notifiers(plan: Plan) -> Iterator[MadeNotifier]:
    """The plan's notifiers by name. Each is made only when it is used, because its module may be broken."""
    wanted = plan.notifications
    if wanted.sns_topic_arn:
        connection = wanted.aws_conn_id or plan.target.aws_conn_id
        yield f"SNS topic {wanted.sns_topic_arn}", partial(_sns, wanted.sns_topic_arn, connection)
    yield from named_notifiers(wanted.notifiers)


def named_notifiers(wanted: Iterable[Notifier]) -> Iterator[MadeNotifier]:
    """Airflow notifiers that are named by their dotted paths."""
    for other in wanted:
        yield f"notifier {other.notifier}", partial(_other, other.notifier, other.parameters)


def _sns(topic_arn: str, connection: str) -> Sender:
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    attributes = {name: f"{{{{ {TEMPLATE_NAME}.{name} }}}}" for name in ("event", "plan", "execution_type")}
    notifier = SnsNotifier(
        aws_conn_id=connection,
        region_name=topic_arn.split(":")[3],
        target_arn=topic_arn,
        subject=f"{{{{ {TEMPLATE_NAME}.subject }}}}",
        message=f"{{{{ {TEMPLATE_NAME}.message }}}}",
        message_attributes=attributes,
    )
    return partial(_send_by, notifier)


def _other(path: str, parameters: Mapping[str, Any]) -> Sender:
    return partial(_send_by, notifier_class(path, settings.allowed_code())(**parameters))


def _send_by(notifier: BaseNotifier, context: dict[str, Any]) -> None:
    """Fill the notifier's templates, and have it send.

    The templates come from the plan. So they see only texts: objects of Airflow, such as ``conn``, ``ti`` and
    ``macros``, lead to passwords, to the run's records and to any Python module. The notifier itself is code,
    and gets the whole context.
    """
    texts: Any = {name: value for name, value in context.items() if isinstance(value, str | Notice)}
    notifier.render_template_fields(texts, ImmutableSandboxedEnvironment(cache_size=0))
    given: Any = context
    notifier.notify(given)


def told(context: Context) -> Mapping[str, Any]:
    """The run's evidence record in short, as its task returned it; empty if none was written."""
    ti: Any = context["ti"]
    given = ti.xcom_pull(task_ids=EVIDENCE_TASK_ID)
    return given if isinstance(given, dict) else {}
