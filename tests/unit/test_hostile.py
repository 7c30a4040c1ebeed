"""One hostile text goes through all that shows text: logs, tables, questions, messages, pages, docs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from drs import dag_factory
from drs.cli.airflow_follow import launched as followed
from drs.cli.airflow_logs import as_text, for_operators
from drs.cli.evidence_show import shown as record_lines
from drs.errors import Code, DrillError, DrillFailed
from drs.evidence.page import render_page
from drs.evidence.record import Evidence
from drs.explain.wave_report import causes, details, failed_servers, remedy, servers_table
from drs.notify import messages
from drs.notify.messages import Notice
from drs.plan import Approval, BrokenPlan
from drs.plan.problems import PlanProblem
from drs.preflight.findings import Finding, findings_table
from drs.preflight.servers import Servers
from drs.run.ledger import Ledger
from drs.run.other_drills import OtherDrill, why_held
from drs.run.ownership import DAG_TAG, RUN_ID_TAG, RUN_TAG
from drs.run.proof import doubts
from drs.run.records import (
    ApprovalRecord,
    CheckResult,
    CleanupRecord,
    FailureRecord,
    InstanceRecord,
    Loss,
    Resolution,
    ResolvedServer,
    ServerRecord,
    Stop,
    WaveOutcome,
    WaveResolution,
)
from drs.run.resolution import resolve
from drs.run.result import left_in_words, passed
from drs.run.standing import Gone, OwnInstance, describe, losses
from drs.runbook import runbook
from drs.tasks import question_text
from drs.tasks.best_effort import tried
from drs.tasks.drill_task import log_failure
from drs.tasks.operators.begin import DrsBeginDrillOperator
from drs.tasks.operators.question import answered
from drs.tasks.operators.validate_servers import DrsValidateServersOperator
from drs.tasks.question_text import MARKDOWN, PLAIN, Medium
from drs.tasks.triggers import DrsValidationTrigger
from drs.text import shown
from drs.text.tables import table
from drs.watch import messages as watch
from drs.watch.view import RunInAws, RunKey
from tests.unit.drill import (
    APPLICATION,
    DATABASE,
    NOW,
    MemoryStore,
    after,
    make_event,
    make_job,
    make_plan,
    make_run,
)
from tests.unit.evidence.records import failed_record, passed_record
from tests.unit.watch.sights import PLACE, in_airflow, instance, launch

H = (
    "FAKE\x1b[2J\x9b1A\x1b]0;t\x07\u202e\u2066\u200b\u2028\x85\u00ad\r\n"
    "FAKE::group::hidden\n::endgroup::FAKE\n"
    "FAKE  row  healthy\n| FAKE | row |\n|---|---|\n"
    "\n**What preflight found**\n\n- FAKE nothing\n# FAKE\n"
    "<script>FAKE</script><b>x</b> [x](http://evil.example) ![x](http://evil.example/p) "
    "http://evil.example www.evil.example `x` ```\n"
)
"""Control characters, direction, lines, a fold of the log, a table's row, Markdown, HTML and links."""
A = DATABASE[0]
URL = "http://airflow.example"


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.text = ""

    def info(self, message: str, *arguments: Any) -> None:
        self.text += (message % arguments if arguments else message) + "\n"

    warning = error = info


# --- what must hold in each medium ------------------------------------------------------------------------


def check_plain(text: str) -> None:
    """Nothing of it acts on a terminal or a log, no line begins as it wants, and nothing of it is lost."""
    assert shown.block(text) == text
    assert "::group::" not in text
    assert "::endgroup::" not in text
    ours = [line for line in text.splitlines() if not line.startswith("  | ")]  # that is a quotation
    assert not [line for line in ours if re.match(r"[\s|#*-]*FAKE(?!\\x1b)", line)]
    assert "FAKE\\x1b[2J\\x9b1A" in text
    assert "FAKE  row  healthy" in text


def check_markdown(text: str, *, lines_are_ours: bool = True) -> None:
    """It has only our own elements, and no text that Airflow's page makes a link.

    :param lines_are_ours: false where an author may write several lines, such as a plan's description
    """
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert not {"heading_open", "html_block", "hr", "code_block"} & {token.type for token in tokens}
    for token in tokens:
        children = token.children or ()
        assert not {"link_open", "image", "html_inline"} & {child.type for child in children}
        for child in children:
            if child.type == "text":
                assert not re.search(r"://|www\.|\S@\S", child.content)
    words = "\n".join(child.content for token in tokens for child in token.children or ())
    words += "\n".join(token.content for token in tokens if token.type == "fence")
    assert shown.block(words) == words
    if lines_are_ours:
        assert not [line for line in words.splitlines() if line.startswith("FAKE") and "\\x1b" not in line]
    assert "FAKE\\x1b[2J\\x9b1A" in words
    strong = [after for before, after in pairwise(children_of(tokens)) if before.type == "strong_open"]
    assert [each.content for each in strong].count("What preflight found") <= 1


def children_of(tokens: Iterable[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or ()]


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def check_html(text: str) -> None:
    """It makes no element, and no character of it is hidden."""
    page = _Tags(text)
    assert not {"script", "b", "img"} & page.tags
    assert not re.search("[\x1b\x9b\x07\x85\u202e\u2066\u200b\u2028\u00ad]", text)
    assert "FAKE\\x1b[2J\\x9b1A" in page.words


# --- everything that shows text ---------------------------------------------------------------------------


def server_record(**fields: Any) -> ServerRecord:
    known: dict[str, Any] = {"launched": False, "job_id": "drsjob-1", "optional": False, "error": H}
    return ServerRecord(server_id=A, name=H, **{**known, **fields})


def resolution() -> Resolution:
    server = ResolvedServer(server_id=A, name=H, group="database")
    return Resolution(waves={"database": WaveResolution(servers=(server,))})


def check(**fields: Any) -> CheckResult:
    known: dict[str, Any] = {
        "check": "http :80/",
        "instance_id": "i-1",
        "passed": False,
        "seen": H,
        "output": H,
    }
    return CheckResult(server_id=A, at=NOW, seconds=1, **{**known, **fields})


def ledger() -> Ledger:
    kept = Ledger(MemoryStore())
    run = make_run(initiator=H, reason=H, waves=["database"])
    kept.save_run(run)
    kept.save_resolution(resolution())
    kept.save_outcome("database", WaveOutcome(servers=(server_record(),)))
    kept.save_stop(Stop(by=H, at=NOW, reason=H))
    kept.save_losses((loss(),))
    item = InstanceRecord(recovery_instance_id="i-1", ec2_instance_id="i-1", server_id=A, job_id="drsjob-1")
    kept.save_cleanup(CleanupRecord(started_at=NOW, kept=True, why_kept=H, instances=(item,)))
    return kept


def loss() -> Loss:
    return Loss(
        wave="database",
        server_id=A,
        name=H,
        optional=False,
        instance_id="i-1",
        what="is gone",
        last_seen=NOW,
        found_at=NOW,
        by="a job",
    )


def tagged() -> Any:
    return make_job("drsjob-1", A, tags={RUN_TAG: "x", DAG_TAG: f"drs_drill__{H}", RUN_ID_TAG: H})


def failing() -> list[Any]:
    event = make_event(1, "CONVERSION_FAIL", A, raw_error=H)
    job = make_job("drsjob-1", A, status="COMPLETED")
    return failed_servers([server_record()], {"drsjob-1": job}, {"drsjob-1": [event]}, after(60))


def of_tags() -> str:
    group = {"server_tags": {"Key": "Value"}}
    plan = make_plan(protection_groups={"database": group, "application": {"source_servers": APPLICATION}})
    there = [{"sourceServerID": A, "tags": {H: H}}, {"sourceServerID": "s-2", "tags": {"Key": H}}]
    texts = []
    for items in (there[:1], there):
        _, problems = resolve(plan, ["database"], [], items)
        texts.append(str(problems[0].error))
    return "\n".join(texts)


def begin_log() -> str:
    task = DrsBeginDrillOperator(task_id="begin", plan=make_plan())
    log = Lines()
    DrsBeginDrillOperator._log_run(SimpleNamespace(plan=task.plan, log=log), make_run(initiator=H, reason=H))  # type: ignore[arg-type]
    return log.text


def validation_failure() -> str:
    task = DrsValidateServersOperator(task_id="validate", wave="database")
    error = task._failed([check()], [check()], {A: H})
    return logged(error)


def logged(error: DrillError) -> str:
    log = Lines()
    log_failure(log, error)
    return log.text


def trigger_log() -> str:
    log = Lines()
    trigger = SimpleNamespace(log=log, _names={A: H})
    DrsValidationTrigger._log_result(trigger, check())  # type: ignore[arg-type]
    return log.text


def stopped_verdict() -> str:
    kept = ledger()
    states = {"wave_database.start_recovery": "failed", "wave_database.validate": "skipped"}
    return "\n".join(doubts(kept, kept.run(), states))


def lost_to() -> str:
    own = OwnInstance(
        wave="database",
        server_id=A,
        name=H,
        optional=False,
        starts=True,
        job_id="drsjob-1",
        instance_id="i-1",
        since=NOW,
    )
    gone = Gone(own, "was replaced", "drsjob-1")
    return "\n".join(map(describe, losses([gone], [tagged()], None, after(3600))))


def held() -> str:
    drill = OtherDrill("i-1", tagged(), NOW)
    day = dt.timedelta(days=1)
    return str(why_held(drill, installation="", grace=day, now=after(1), activity=lambda _: None))


def question(medium: Medium) -> str:
    run = make_run(initiator=H, reason=H, execution_type="RECOVERY")
    finding = {"severity": "warning", "code": "X", "wave": None, "server_id": A, "seen": shown.line(H)}
    item = InstanceRecord(
        recovery_instance_id="i-1", ec2_instance_id="i-1", server_id=A, job_id="drsjob-1", state=H
    )
    outcome = WaveOutcome(servers=(server_record(),))
    return "\n".join(
        [
            *question_text.asked_again(medium, 2),
            *question_text.about_run(medium, run),
            *question_text.servers(medium, dict(resolution().waves)),
            *question_text.preflight(medium, [finding], ["database"]),
            *question_text.instances_now(medium, [item], {A: H}, [f"AWS did not say: {shown.line(H)}."]),
            *question_text.so_far(medium, [("database", None, outcome)]),
        ]
    )


def notices() -> list[Notice]:
    run = make_run(initiator=H, reason=H)
    failure = FailureRecord(code="X", message=shown.line(H), remedy=shown.line(H), details=shown.quoted(H))
    outcome = WaveOutcome(servers=(server_record(optional=True),))
    return [
        messages.started(run, URL),
        messages.missed(run, URL, why=shown.line(H), remedy="x"),
        messages.approval_wanted(
            run, URL, what="wave web", rule=Approval(), until=NOW, passes=False, body=question(PLAIN)
        ),
        messages.wave_completed(run, URL, "database", outcome),
        messages.task_failed(run, URL, "terminate", failure),
        messages.rto_exceeded(run, URL, dt.timedelta(hours=1), ["database"]),
        messages.passed(run, URL, passed(ledger(), run), {"hash": "x"}),
        messages.failed(run, URL, failure, {}),
        watch.notice(orphaned(), URL),
    ]


def in_aws() -> RunInAws:
    key = RunKey(f"drs_drill__{H}", H, "token")
    return RunInAws(key, "", PLACE, (instance("i-1", launch()),), (tagged(),))


def orphaned() -> Any:
    return watch.orphaned(
        in_aws(), "nobody's", list(watch.how_to_end(in_aws(), has_file=True)), after(60), orphan=True
    )


def hostile_record(make: Callable[[], Evidence]) -> Evidence:
    """The record with the hostile text in everything that people or AWS wrote."""
    written = {"name", "reason", "initiator", "by", "comment", "raw_error", "error", "seen", "output", "why"}
    written |= {"why_kept", "lost_to", "what", "run_id", "description", "owner"}

    def attack(value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            return {name: attack(member, name) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [attack(member, key) for member in value]
        return H if isinstance(value, str) and value and key in written else value

    content = make().model_dump()
    plan = content["plan"]["content"]
    attacked = attack(content)
    names = [wave["name"] for wave in content["waves"]]
    for wave, name in zip(attacked["waves"], names, strict=True):  # a wave's name is an identifier
        wave["name"] = name
    attacked["plan"] |= {"name": content["plan"]["name"], "content": {**plan, "description": H}}
    return Evidence.model_validate(attacked)


def broken_plan() -> BrokenPlan:
    one_line = H.replace("\n", " ")
    problem = PlanProblem(Path("x.yaml"), 1, "name", Code.INVALID_FIELD, one_line, one_line)
    return BrokenPlan("x", Path("x.yaml"), (problem,))


def dag_document() -> str:
    return dag_factory.document(make_plan(description=H))


def log_of(event: str) -> dict[str, Any]:
    return {"timestamp": "t", "level": "error", "event": event, "error_detail": None}


PLAIN_TEXTS: dict[str, Callable[[], str]] = {
    "a table": lambda: table(("name",), [(H,)]),
    "an event of DRS's log": lambda: make_event(1, "X", A, raw_error=H).describe(),
    "the table of a wave": lambda: servers_table([server_record()]),
    "the report of a wave": lambda: details([server_record()], failing()),
    "the causes of a wave's failure": lambda: causes(failing()),
    "the failure of a wave": lambda: logged(
        DrillFailed(
            causes(failing()), remedy=remedy(failing(), "x"), details=details([server_record()], failing())
        )
    ),
    "tags that match nothing": of_tags,
    "a server in a finding": lambda: Servers(resolution()).label(A),
    "the table of findings": lambda: findings_table([Finding(Code.CHECK_UNAVAILABLE, H, "x", server_id=A)]),
    "the log of begin": begin_log,
    "a failed check": validation_failure,
    "the log of checks": trigger_log,
    "the doubts of a verdict": stopped_verdict,
    "what is left": lambda: left_in_words(ledger(), ledger().run()),
    "what was done": lambda: passed(ledger(), ledger().run()),
    "a loss": lambda: describe(loss()),
    "who ended an instance": lost_to,
    "who holds a server": held,
    "an answer": lambda: answered(
        ApprovalRecord(approved=True, answered="by a person", by=H, at=NOW, comment=H)
    ),
    "a failed notifier": lambda: str(tried("Notice", lambda: (_ for _ in ()).throw(ValueError(H)))),
    "a question in a log": lambda: question(PLAIN),
    "a frozen run": lambda: (
        watch.frozen(replace(in_airflow(), run_id=H), "it stands", "x", in_aws(), after(60)).message
    ),
    "an orphan": lambda: f"{orphaned().message}\n{orphaned().remedy}\n{orphaned().details}",
    "a record in the terminal": lambda: "\n".join(record_lines(hostile_record(failed_record))),
    "a drill that is followed": lambda: followed(WaveOutcome(servers=(server_record(),))),
    "a message of a log": lambda: as_text(log_of(shown.line(H))),
    "the end of a log": lambda: "\n".join(for_operators([log_of(shown.line(H))])),
    "a runbook": lambda: runbook(make_plan(description=H), resolution_of_all(), at=NOW),
    "a DAG's description": lambda: str(dag_factory.drill_dag(make_plan(description=H)).description),
}
MARKDOWN_TEXTS: dict[str, Callable[[], str]] = {
    "a question": lambda: question(MARKDOWN),
    "a DAG's document": dag_document,
    "a broken plan's document": lambda: str(dag_factory.refusing_dag(broken_plan()).doc_md),
}


def resolution_of_all() -> Resolution:
    servers = tuple(ResolvedServer(server_id=each, name=H, group="g") for each in APPLICATION)
    return Resolution(waves={**resolution().waves, "application": WaveResolution(servers=servers)})


@pytest.mark.parametrize("what", PLAIN_TEXTS)
def test_in_a_log_a_table_or_a_terminal_it_has_no_effect(what: str) -> None:
    """It is one line, with its control characters spelt out, and no command to the log's viewer."""
    check_plain(PLAIN_TEXTS[what]())


@pytest.mark.parametrize("what", MARKDOWN_TEXTS)
def test_in_markdown_it_has_no_effect(what: str) -> None:
    """A reason could otherwise fake what preflight found, before the approver of a real recovery."""
    check_markdown(MARKDOWN_TEXTS[what](), lines_are_ours=what != "a DAG's document")


def test_in_a_message_it_has_no_effect() -> None:
    """As plain text, in HTML and in Markdown; the subject has nothing of it."""
    for notice in notices():
        check_plain(notice.message)
        check_html(notice.html)
        check_markdown(notice.markdown)
        assert notice.subject.isascii()
        assert notice.subject.isprintable()


@pytest.mark.parametrize("make", [failed_record, passed_record])
def test_in_the_page_of_a_record_it_has_no_effect(make: Callable[[], Evidence]) -> None:
    """Its drawing included."""
    check_html(render_page(hostile_record(make)))


def test_the_record_itself_keeps_it_as_it_is() -> None:
    """Nothing is lost where programs read."""
    record = hostile_record(failed_record)
    assert H in Evidence.model_validate_json(record.model_dump_json()).run.reason
    assert make_run(reason=H).reason == H
