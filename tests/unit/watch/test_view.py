"""What the watch reads of a place: drill instances of whatever origin, and the launches of drills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from drs.errors import AccessDenied, Code
from drs.watch.view import AwsPlace, Connected, Unreadable, View, confirmed, look, read, runs_in
from simulator.engine.faults import InternalError
from tests.unit.drill import DATABASE, NOW
from tests.unit.simulated import ACCOUNT, REGION, SimulatedDrill
from tests.unit.watch import sights

HERE = AwsPlace(ACCOUNT, REGION, "aws_default")


def connection(drill: SimulatedDrill, account: str = ACCOUNT) -> Connected:
    return Connected(drill.hook, drill.describe_ec2, lambda: account)


def seen(drill: SimulatedDrill) -> View:
    found = read(HERE, lambda _: connection(drill), drill.clock.now())
    assert isinstance(found, View)
    return found


def test_a_place_shows_its_drills_by_their_runs(drill: Callable[..., SimulatedDrill]) -> None:
    """With type, state and age of each instance, and with the installation that the tags name."""
    run = drill(installation="0123456789ab")
    run.launch()
    (live,) = runs_in(seen(run), {})[0]
    assert live.instances == ()
    assert {job.job_id for job in live.launching} == set(run.drs.jobs)
    run.finish_jobs()
    ((ended,), unknown) = runs_in(seen(run), {})
    assert unknown == []
    assert (ended.key.dag_id, ended.key.token) == (run.run.dag_id, run.run.token)
    assert ended.installation == "0123456789ab"
    assert {each.record.server_id for each in ended.instances} == set(DATABASE)
    assert {each.record.state for each in ended.instances} == {"running"}
    assert ended.launching == ()
    assert ended.began == min(job.created for job in ended.jobs)


def test_a_real_recovery_is_not_read(drill: Callable[..., SimulatedDrill]) -> None:
    """Nothing of it is a drill's, so it can never be called left."""
    run = drill(execution_type="RECOVERY", installation="0123456789ab")
    run.hook.start_recovery(DATABASE, tags={}, is_drill=False)
    run.finish_jobs()
    assert run.instances()
    found = seen(run)
    assert (found.instances, found.launches) == ((), ())


def test_what_ec2_has_terminated_is_gone(drill: Callable[..., SimulatedDrill]) -> None:
    """DRS may list it for a moment longer."""
    run = drill()
    run.launch()
    run.finish_jobs()
    run.describe_ec2 = lambda filters: [
        {"InstanceId": instance, "State": {"Name": "shutting-down"}} for instance in filters[0]["Values"]
    ]
    assert seen(run).instances == ()


def test_an_ec2_that_cannot_be_read_hides_nothing(drill: Callable[..., SimulatedDrill]) -> None:
    """Then only the cost is not known; the age is that of the job."""
    run = drill()
    run.launch()
    run.finish_jobs()

    def fails(filters: list[dict[str, Any]]) -> Any:
        raise EndpointConnectionError(endpoint_url="https://ec2")

    run.describe_ec2 = fails
    found = seen(run)
    assert len(found.instances) == 2
    assert found.note is not None
    assert "EC2 could not be read" in found.note
    assert all(each.job and each.since == each.job.created for each in found.instances)


def test_a_place_that_does_not_answer_is_unreadable_for_now(drill: Callable[..., SimulatedDrill]) -> None:
    """One whose credentials lead elsewhere stays unreadable, and DRS is not called."""
    run = drill()
    run.simulation.arm(InternalError(kind="internal_error", operations=["DescribeJobs"], when="before"))
    busy = read(HERE, lambda _: connection(run), run.clock.now())
    assert isinstance(busy, Unreadable)
    assert (busy.error.code, busy.passing) == (Code.DRS_UNAVAILABLE, True)
    wrong = read(HERE, lambda _: connection(run, "999988887777"), run.clock.now())
    assert isinstance(wrong, Unreadable)
    assert (wrong.error.code, wrong.passing) == (Code.ACCOUNT_MISMATCH, False)


def test_one_of_several_connections_to_a_place_is_enough(drill: Callable[..., SimulatedDrill]) -> None:
    """Each instance is read once. If none of them works, the place is one finding."""
    run = drill()
    run.launch()
    run.finish_jobs()
    places = [HERE, HERE._replace(aws_conn_id="aaa_broken"), HERE._replace(region="eu-central-1")]

    def connect(place: AwsPlace) -> Connected:
        if place.aws_conn_id == "aaa_broken" or place.region != REGION:
            raise NoCredentialsError if place.region == REGION else AccessDenied("No.", remedy="Log in.")
        return connection(run)

    views, unreadable = look(places, connect, NOW)
    assert [(view.place, len(view.instances)) for view in views] == [(HERE, 2)]
    assert [blind.place.region for blind in unreadable] == ["eu-central-1"]


def test_only_what_two_looks_show_is_confirmed() -> None:
    """As the second shows it: a job that was live may have ended."""
    live, ended = sights.launch(status="STARTED", ended=None), sights.launch()
    first = sights.view(sights.instance("i-1"), sights.instance("i-2"), jobs=(live,))
    jobs = (ended, sights.launch("drsjob-2"))
    second = sights.view(sights.instance("i-2"), sights.instance("i-3"), jobs=jobs)
    both = confirmed(first, second)
    assert [each.record.recovery_instance_id for each in both.instances] == ["i-2"]
    assert both.launches == (ended,)
