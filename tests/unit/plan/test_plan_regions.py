"""AWS's Regions by botocore's own data, and the ARNs of a plan against the Region of its drill."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import pytest

from drs.plan import Plan, PlanProblem, regions
from drs.plan.doubts import doubts


def session() -> boto3.session.Session:
    return boto3.session.Session()


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc"])
def test_regions_and_partitions_are_botocores(partition: str) -> None:
    """Its files are read without importing it; this test compares them with what it says itself."""
    for region in session().get_available_regions("ec2", partition_name=partition):
        assert regions.is_known(region)
        assert regions.partition_of(region) == partition
        known = region in session().get_available_regions("drs", partition_name=partition)
        assert regions.has_drs(region) == known


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("EU-CENTRAL-1", ("eu-central-1",)),
        ("eu-central-1a", ("eu-central-1",)),
        ("eucentral1", ("eu-central-1",)),
        ("eu_west_2", ("eu-west-2",)),
        ("eu-wset-2", ("eu-west-2",)),
        ("eu-west-9", ("eu-west-1", "eu-west-2", "eu-west-3")),
        ("Virginia", ("us-east-1",)),
        ("Ohio", ("us-east-2",)),
        ("Europe (Frankfurt)", ("eu-central-1",)),
        ("frankfurt", ("eu-central-1",)),
        ("nowhere", ()),
    ],
)
def test_a_misspelt_region_leads_to_the_nearest(written: str, meant: tuple[str, ...]) -> None:
    """By its name for people, too."""
    assert regions.nearest_regions(written) == meant


@pytest.mark.parametrize(
    ("region", "new"),
    [
        ("eu-west-4", True),  # the next of its kind
        ("eu-west-5", False),
        ("us-south-1", True),  # the first of its kind
        ("eu-centrl-1", False),
        ("xx-west-1", False),
        ("eu-west-1", False),  # known
    ],
)
def test_only_the_next_of_its_kind_may_be_a_new_region(region: str, new: bool) -> None:
    """AWS numbers its Regions in order."""
    assert regions.may_be_new(region) == new


@pytest.fixture
def without_botocores_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        for cached in (regions._partitions, regions._known, regions._drs_regions):
            cached.cache_clear()

    monkeypatch.setattr(regions, "_data", lambda name: [])
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.mark.usefixtures("without_botocores_data")
def test_without_botocores_data_no_region_is_refused(load: Callable[..., Plan]) -> None:
    """What is not known is not called wrong."""
    assert load(("us-east-1", "eu-west-9")).target.region == "eu-west-9"


def test_a_region_that_may_be_new_is_a_warning(load: Callable[..., Plan]) -> None:
    """A recovery into a new Region must not fail because boto3 is old."""
    (doubt,) = doubts(load(("us-east-1", "us-east-3")))
    assert doubt.key == "target.region"
    assert "may be older" in doubt.message
    assert "us-east-1 or us-east-2" in doubt.remedy


def test_a_region_without_drs_is_a_warning(load: Callable[..., Plan]) -> None:
    """AWS may have brought DRS there since."""
    (doubt,) = doubts(load(("us-east-1", "cn-north-1")))
    assert "knows no DRS in cn-north-1" in doubt.message


TOPIC = "notifications:\n  sns_topic_arn: arn:{}:dr\n"
CHECK = '    validation: [{{type: ssm, document: "arn:{}:document/x"}}]\n'
NOTIFIER = (
    "notifications:\n  notifiers: [{{notifier: a.B, parameters: {{deep: [{{target: 'arn:{}:q'}}]}}}}]\n"
)


@pytest.mark.parametrize("where", [TOPIC, CHECK, NOTIFIER])
def test_an_arn_of_another_partition_is_refused_wherever_it_is(
    problems: Callable[..., tuple[PlanProblem, ...]], where: str
) -> None:
    """The remedy is the same resource's ARN in the drill's partition."""
    service = "ssm" if where == CHECK else "sns"
    (problem,) = problems(more=where.format(f"aws-us-gov:{service}:us-gov-west-1:444455556666"))
    assert "partition aws-us-gov" in problem.message
    assert f'"arn:aws:{service}:us-east-1:444455556666:' in problem.remedy


@pytest.mark.parametrize("where", [TOPIC, CHECK, NOTIFIER])
def test_an_arn_of_another_region_is_a_warning(load: Callable[..., Plan], where: str) -> None:
    """A topic may well be elsewhere, so that it works when the drill's Region does not."""
    service = "ssm" if where == CHECK else "sns"
    (doubt,) = doubts(load(more=where.format(f"aws:{service}:eu-west-1:444455556666")))
    assert doubt.message == "This is in eu-west-1, and the drill is in us-east-1."


def test_an_arn_without_a_region_is_compared_by_its_partition(
    load: Callable[..., Plan], problems: Callable[..., tuple[PlanProblem, ...]]
) -> None:
    """A role or a bucket has none."""
    role = "{{role: 'arn:{}:iam::444455556666:role/x'}}"
    text = f"notifications:\n  notifiers: [{{{{notifier: a.B, parameters: {role}}}}}]\n"
    assert doubts(load(more=text.format("aws"))) == []
    (problem,) = problems(more=text.format("aws-cn"))
    assert '"arn:aws:iam::444455556666:role/x"' in problem.remedy
