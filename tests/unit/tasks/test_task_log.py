"""A task's log: what Airflow adds below an explained failure, noise, and text that would act on the log."""

from __future__ import annotations

import contextvars
import json
import logging
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import structlog
from airflow.sdk._shared.logging.structlog import structlog_processors
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from drs.errors import DrillFailed, DrsUnavailable
from drs.run.ledger import Ledger
from drs.tasks import task_log
from drs.tasks.drill_task import coded_failures
from tests.unit.drill import make_run
from tests.unit.task_harness import make_context

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def noisy_process() -> Iterator[None]:
    """This process is no task's: other tests have made it quiet."""
    task_log._quiet_process.clear()
    yield
    task_log._quiet_process.clear()


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log of a task as its process sends it to Airflow's supervisor: the records so far."""
    out = BytesIO()
    before = structlog.get_config()
    shared, _, writer = structlog_processors(json_output=True)
    structlog.configure(
        processors=[*shared, writer],
        logger_factory=structlog.BytesLoggerFactory(out),
        cache_logger_on_first_use=False,
    )

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in out.getvalue().splitlines()]

    yield read
    structlog.configure(**before)


class Task:
    """A task that logs something and then does what a test wants."""

    def __init__(self, work: Callable[[Any], object]) -> None:
        self.log = structlog.get_logger("drs.task")
        self._work = work

    @coded_failures
    def execute(self, context: Any) -> object:
        return self._work(self.log)


def run(work: Callable[[Any], object], try_number: int = 1) -> None:
    """Run a task as Airflow's task runner does: in a context of its own, which has ended when it logs how the
    task ended.
    """

    context = make_context()
    context["ti"].try_number = try_number
    airflow = structlog.get_logger("task")
    try:
        contextvars.copy_context().run(Task(work).execute, context)
    except AirflowSkipException as skipped:
        airflow.info("::group::Post Execute")
        airflow.info("Skipping task.", reason=skipped.args[0])
    except Exception:
        airflow.exception("Task failed with exception")


def raising(error: Exception) -> Callable[[Any], object]:
    def work(log: Any) -> object:
        raise error

    return work


def test_below_a_coded_failure_there_is_no_traceback_and_nothing_is_said_twice(
    ledger: Ledger, lines: Lines
) -> None:
    """The answer comes first, then what was seen, then how to go on; the last line says what Airflow does."""
    ledger.save_run(make_run())
    run(raising(DrillFailed("Server s-1 fell.\nIt was new.", remedy="Lift it.", details="a table")))
    log = lines()
    assert [each["event"] for each in log] == [
        "[DRILL_FAILED] Server s-1 fell.",
        "It was new.",
        "a table",
        "What to do: Lift it.",
        "Task failed: DRILL_FAILED. Airflow does not try the task again: the result would be the same.",
    ]
    assert {each["level"] for each in log} == {"error"}
    assert not any("exception" in each or "exc_info" in each for each in log)


@pytest.mark.parametrize(
    ("try_number", "then"),
    [
        (1, "Airflow tries the task again by itself (this was try 1 of 3)."),
        (3, "This was the last try."),
    ],
)
def test_the_last_line_says_whether_airflow_tries_again(
    ledger: Ledger, lines: Lines, try_number: int, then: str
) -> None:
    """A reader need not guess whether to act."""
    ledger.save_run(make_run())
    run(raising(DrsUnavailable("no answer")), try_number)
    assert lines()[-1]["event"] == f"Task failed: DRS_UNAVAILABLE. {then}"


def test_an_error_without_a_code_keeps_its_traceback(ledger: Ledger, lines: Lines) -> None:
    """It is a bug, or Airflow's own, and nobody has explained it."""
    ledger.save_run(make_run())
    run(raising(ZeroDivisionError("a bug")))
    (record,) = lines()
    assert record["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_a_skipped_task_says_why_once(ledger: Ledger, lines: Lines) -> None:
    """In its own log and not only in Airflow's folded end."""
    ledger.save_run(make_run())
    run(raising(AirflowSkipException("Wave web was not chosen for this run.")))
    assert [each["event"] for each in lines()] == [
        "Skipped: Wave web was not chosen for this run.",
        "::group::Post Execute",
    ]


def test_what_would_act_on_the_log_is_shown(ledger: Ledger, lines: Lines) -> None:
    """No matter who wrote it. The groups of Airflow itself stay."""
    ledger.save_run(make_run())
    run(lambda log: log.info("name: \x1b[2J ::group::gone"))
    assert lines()[0]["event"] == "name: \\x1b[2J \\x3a:group::gone"


def test_noise_about_credentials_and_endpoints_is_left_out(ledger: Ledger, lines: Lines) -> None:
    """Warnings of the same loggers stay, and so does all of it at the level DEBUG."""
    ledger.save_run(make_run())
    connection = "airflow.providers.amazon.aws.utils.connection_wrapper.AwsConnectionWrapper"

    def work(_: Any) -> None:
        log = structlog.get_logger(logger_name=connection)
        log.info("AWS Connection (conn_id='aws_default') credentials retrieved from extra.")
        log.warning("a warning")

    run(work)
    run(lambda _: threads(work))
    assert [each["event"] for each in lines()] == ["a warning"] * 2


def threads(work: Callable[[Any], None]) -> None:
    """Do the work in a thread, as a task sends messages and measures."""
    thread = threading.Thread(target=work, args=(None,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("name", "level", "quiet", "root", "written"),
    [
        ("botocore.credentials", logging.INFO, True, logging.INFO, False),
        ("aiobotocore.credentials", logging.INFO, True, logging.INFO, False),
        ("botocore.configprovider", logging.INFO, True, logging.INFO, False),
        ("botocore.credentials", logging.WARNING, True, logging.INFO, True),
        ("botocore.credentials", logging.INFO, False, logging.INFO, True),
        ("botocore.credentials", logging.INFO, True, logging.DEBUG, True),
        ("botocore.hooks", logging.INFO, True, logging.INFO, True),
    ],
)
def test_only_a_drill_s_own_task_is_quiet(
    name: str, level: int, quiet: bool, root: int, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the triggerer, the tasks of other DAGs log as before."""
    monkeypatch.setattr(logging.getLogger(), "level", root)
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign, assignment]
    logger = logging.getLogger(name)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    logger.addHandler(handler)

    def work() -> None:
        if quiet:
            task_log.quiet_trigger()
        logger.log(level, "Found credentials in environment variables.")

    try:
        contextvars.copy_context().run(work)
    finally:
        logger.removeHandler(handler)
        logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]
    assert bool(seen) == written


def test_airflow_s_classes_are_those_that_it_handles() -> None:
    """A mark on an exception changes neither its class nor its text."""
    for made in (AirflowFailException("x"), AirflowException("x"), AirflowSkipException("x")):
        marked = task_log.explained(made, "rest")
        assert marked is made
        assert (str(marked), task_log.is_explained(marked)) == ("x", True)
