"""A worker whose clock is wrong: a warning, and an error if it is so wrong that times mean nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from email.utils import format_datetime

import pytest

from drs.errors import Code
from drs.preflight import reading
from tests.unit.preflight.account import Account, Make, only

EXPIRED = {"Code": "SignatureDoesNotMatch", "Message": "Signature expired: 20260301T060000Z is now earlier"}
Look = Callable[..., Account]


class _Refused:
    status_code = 403


@pytest.fixture
def look(account: Make, monkeypatch: pytest.MonkeyPatch) -> Look:
    """An account as a worker sees it whose clock is so many seconds ahead of AWS's."""

    def look(seconds: float, *, refused: bool = False) -> Account:
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        headers = {"date": format_datetime(now - dt.timedelta(seconds=seconds), usegmt=True)}
        monkeypatch.setattr(reading, "utc_now", lambda: now)
        worker = account()
        if refused:
            reply = {"Error": EXPIRED, "ResponseMetadata": {"HTTPStatusCode": 403, "HTTPHeaders": headers}}
            worker.on("before-call.sts.GetCallerIdentity", lambda **_: (_Refused(), reply))
        else:
            worker.on(
                "after-call.sts.GetCallerIdentity",
                lambda parsed, **_: parsed["ResponseMetadata"].update(HTTPHeaders=headers),
            )
        return worker

    return look


@pytest.mark.parametrize("seconds", [0, 20, -20])
def test_a_clock_that_is_nearly_right_is_no_finding(look: Look, seconds: float) -> None:
    """Up to 20 s change nothing."""
    assert look(seconds).look().findings == ()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(21, "21 s ahead of"), (-21, "21 s behind"), (300, "5 min ahead of"), (-300, "5 min behind")],
)
def test_a_clock_that_is_wrong_is_a_warning(look: Look, seconds: float, told: str) -> None:
    """The run goes on. Measured times are wrong by as much, and the reader learns in which way."""
    report = look(seconds).look()
    finding = only(report)
    assert (finding.code, finding.severity) == (Code.CLOCK_SKEW, "warning")
    assert f"The clock of this worker is {told} AWS's clock" in finding.seen
    assert report.resolution is not None


@pytest.mark.parametrize(("seconds", "told"), [(301, "5 min 1 s ahead of"), (-301, "5 min 1 s behind")])
def test_a_clock_that_is_wrong_by_more_than_five_minutes_stops_the_run(
    look: Look, seconds: float, told: str
) -> None:
    """No time of DRS could be compared with it. It does not heal by itself."""
    finding = only(look(seconds).look())
    assert (finding.code, finding.severity, finding.heals) == (Code.CLOCK_SKEW, "error", False)
    assert told in finding.seen
    assert "chrony or NTP" in finding.remedy


@pytest.mark.parametrize(("seconds", "told"), [(1800, "30 min ahead of"), (-1800, "30 min behind")])
def test_a_clock_for_which_aws_refuses_every_request_is_named(look: Look, seconds: float, told: str) -> None:
    """AWS only says that the signature is expired, which a reader would take for wrong credentials."""
    report = look(seconds, refused=True).look()
    finding = only(report)
    assert (finding.code, finding.severity) == (Code.CLOCK_SKEW, "error")
    assert told in finding.seen
    assert report.resolution is None


@pytest.mark.parametrize("seconds", [0, 300])
def test_a_signature_that_is_refused_at_the_right_time_has_wrong_credentials(
    look: Look, seconds: float
) -> None:
    """AWS accepts the time of such a request."""
    assert only(look(seconds, refused=True).look()).code == Code.ACCESS_DENIED
