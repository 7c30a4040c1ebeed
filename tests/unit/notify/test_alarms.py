"""The CloudFormation template of the alarms watches what a drill measures, by the guide's thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from drs.aws.metrics import METRICS, NAMESPACE, PLAN

TEMPLATE = Path("include/cloudwatch/alarms.yaml")


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: ``!Ref X`` is ``{"Ref": "X"}``."""


def short_form(loader: Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag == "Ref" else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {name: loader.construct_sequence(node, deep=True)}


Loader.add_multi_constructor("!", short_form)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader)
    return loaded


@pytest.fixture(scope="module")
def alarms(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert {each["Type"] for each in template["Resources"].values()} == {"AWS::CloudWatch::Alarm"}
    return {name: each["Properties"] for name, each in template["Resources"].items()}


def watched(alarm: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The metrics of an alarm, with statistic, unit and period."""
    if "Metrics" not in alarm:
        return [(alarm, alarm)]
    return [
        (each["MetricStat"]["Metric"], each["MetricStat"])
        for each in alarm["Metrics"]
        if "MetricStat" in each
    ]


def test_the_alarms_watch_what_a_drill_measures(alarms: dict[str, dict[str, Any]]) -> None:
    """Namespace, names and units are those of the code, and the dimensions are published with every value."""
    units = {metric.name: metric.unit for metric in METRICS}
    names = [metric["MetricName"] for alarm in alarms.values() for metric, _ in watched(alarm)]
    assert sorted(names) == [
        "DRS.ConflictException.Count",
        "DRS.RecoveryJob.Count",
        "DRS.RecoveryJob.Failed",
        "Orchestration.Wave.Duration",
    ]
    of_one_plan = [{"Name": PLAN, "Value": {"Ref": "Plan"}}]
    for alarm in alarms.values():
        for metric, stat in watched(alarm):
            assert metric["Namespace"] == NAMESPACE
            assert stat["Unit"] == units[metric["MetricName"]]
            assert metric["Dimensions"] == {"Fn::If": ["OfOnePlan", of_one_plan, {"Ref": "AWS::NoValue"}]}


def test_the_thresholds_are_parameters(template: dict[str, Any], alarms: dict[str, dict[str, Any]]) -> None:
    """More than 2 conflicts an hour; a wave over 5 minutes; over 10 % of the jobs failed."""
    defaults = {name: each.get("Default") for name, each in template["Parameters"].items()}
    thresholds = {name: defaults[alarm["Threshold"]["Ref"]] for name, alarm in alarms.items()}
    assert thresholds == {"Conflicts": 2, "SlowWave": 300, "FailedJobs": 10}
    assert {alarm["ComparisonOperator"] for alarm in alarms.values()} == {"GreaterThanThreshold"}
    assert (alarms["Conflicts"]["Statistic"], alarms["Conflicts"]["Period"]) == ("Sum", 3600)
    assert alarms["SlowWave"]["Statistic"] == "Maximum"
    assert defaults["TopicArn"] is None
    assert all(alarm["AlarmActions"] == [{"Ref": "TopicArn"}] for alarm in alarms.values())


def test_the_rate_of_failures_is_metric_math(alarms: dict[str, dict[str, Any]]) -> None:
    """It is in percent, has no value without jobs, and only the rate is compared."""
    metrics = {each["Id"]: each for each in alarms["FailedJobs"]["Metrics"]}
    assert metrics["rate"]["Expression"] == "IF(jobs > 0, 100 * failed / jobs, 0)"
    assert [name for name, each in metrics.items() if each.get("ReturnData", True)] == ["rate"]
    for name, metric in (("failed", "DRS.RecoveryJob.Failed"), ("jobs", "DRS.RecoveryJob.Count")):
        stat = metrics[name]["MetricStat"]
        assert (stat["Metric"]["MetricName"], stat["Stat"], stat["Period"]) == (metric, "Sum", 3600)


def test_cloudwatch_knows_every_property_of_the_alarms(alarms: dict[str, dict[str, Any]]) -> None:
    """CloudFormation passes them to PutMetricAlarm under the same names."""
    model = boto3.client("cloudwatch", region_name="us-east-1").meta.service_model
    shape = model.operation_model("PutMetricAlarm").input_shape
    assert shape is not None
    metrics: Any = shape.members["Metrics"]
    for alarm in alarms.values():
        assert set(alarm) <= set(shape.members)
        for each in alarm.get("Metrics", []):
            assert set(each) <= set(metrics.member.members)


def test_every_reference_names_something(template: dict[str, Any]) -> None:
    """A parameter, a condition, or a name of CloudFormation itself."""
    known = {*template["Parameters"], "AWS::NoValue"}
    conditions = set(template["Conditions"])

    def references(node: Any) -> None:
        if isinstance(node, dict):
            if "Ref" in node:
                assert node["Ref"] in known
            if "Fn::If" in node:
                assert node["Fn::If"][0] in conditions
            for child in node.values():
                references(child)
        elif isinstance(node, list):
            for child in node:
                references(child)

    references(template)
