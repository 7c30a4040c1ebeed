"""Checks that are Python functions of the plan's author."""

from __future__ import annotations

import threading
import time

import pytest

from drs.run.own_code import AllowedCode
from drs.validation import LaunchedServer
from tests.unit.validation import own_checks
from tests.unit.validation.aws import JOB, A, FakeAws, instance, look, make_wave, validate

OWN = "tests.unit.validation.own_checks"


def named(name: str, **fields: object) -> dict[str, object]:
    return {"type": "python", "function": f"{OWN}.{name}", **fields}


def test_what_the_function_returns_is_what_was_seen(aws: FakeAws) -> None:
    """This holds for plain and for asynchronous functions, which get the plan's parameters."""
    seen = look(aws, named("says", parameters={"text": "1000 orders"}))
    assert (seen.passed, seen.text) == (True, "db-1: 1000 orders")
    seen = look(aws, named("says_later", parameters={"text": "1000 orders"}))
    assert (seen.passed, seen.text) == (True, "i-a: 1000 orders")
    assert look(aws, named("says_nothing")).text == f"{OWN}.says_nothing returned and said nothing"


def test_the_function_gets_the_launched_server(aws: FakeAws) -> None:
    """It gets everything that it needs to reach the server."""
    aws.instances = [instance(A, PublicIpAddress="192.0.2.1", PublicDnsName="db.example.com")]
    own_checks.asked.clear()
    look(aws, named("says"))
    assert own_checks.asked == [
        LaunchedServer(
            plan="orders",
            wave="database",
            group="database",
            server_id=A,
            name="db-1",
            instance_id="i-a",
            private_ip="127.0.0.1",
            public_ip="192.0.2.1",
            dns="db.example.com",
            job_id=JOB,
            is_drill=True,
            region="us-east-1",
            aws_conn_id="aws_dr",
        )
    ]


def test_what_the_function_raises_is_what_was_seen_and_may_pass_later(aws: FakeAws) -> None:
    """The first line is in the text, and the whole message in the output."""
    seen = look(aws, named("finds_fault"))
    assert (seen.passed, seen.final) == (False, False)
    assert seen.text == "LookupError: 42 orders are missing"
    assert seen.output == "LookupError: 42 orders are missing\nof 1000"


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("nowhere.to_be.found", "ModuleNotFoundError"),
        (f"{OWN}.forgotten", "AttributeError"),
    ],
)
def test_a_function_that_cannot_be_imported_fails_at_once(aws: FakeAws, function: str, why: str) -> None:
    """The text names the function and the error."""
    seen = look(aws, {"type": "python", "function": function})
    assert (seen.passed, seen.final) == (False, True)
    assert seen.text.startswith(f"{function} cannot be imported here: {why}: ")


@pytest.mark.parametrize("name", ["drops_the_table", "not_callable"])
def test_what_is_not_marked_as_a_check_is_not_called(aws: FakeAws, name: str) -> None:
    """It fails at once, and says how to allow it."""
    own_checks.asked.clear()
    seen = look(aws, named(name))
    assert (seen.passed, seen.final, own_checks.asked) == (False, True, [])
    assert seen.text.startswith(f"it was not called: {OWN}.{name} is not a")


def test_a_function_of_the_standard_library_is_not_called(aws: FakeAws) -> None:
    """``os.abort`` would end the process."""
    assert "standard library" in look(aws, {"type": "python", "function": "os.abort"}).text


def test_the_setting_allows_a_function_that_is_not_marked(aws: FakeAws) -> None:
    """For functions of others, which cannot be marked."""
    allowed = AllowedCode(checks=(f"{OWN}.drops_*",))
    assert look(aws, named("drops_the_table"), allowed=allowed).text == "dropped"


def test_a_function_that_hangs_is_given_up_at_its_time_out(aws: FakeAws) -> None:
    """It delays neither the other checks nor the end of the process, because nothing waits for its thread."""
    own_checks.never.clear()
    begun = time.monotonic()
    _, hung = validate(aws, make_wave(named("hangs", timeout="1m"), servers=1))
    assert time.monotonic() - begun < 30
    assert (hung.passed, hung.seen) == (False, "no answer within 1 min (tried for 1 min)")
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "drs-check"] == [True]
    own_checks.never.set()
