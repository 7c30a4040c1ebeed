"""Errors of AWS, told by one table: by the code in every spelling, then by AWS's words, never by a name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from drs.aws.access_denied import statement
from drs.aws.refusals import DENIED, KINDS, UNKNOWN, Denier, ErrorKind, codes_of, meaning_of, meaning_of_reply
from drs.aws.refusals.operations import SERVICES
from drs.explain import explain_failure
from tests.unit.versions import UNKNOWN_OPERATIONS

HERE = Path(__file__).parent
USER = "User: arn:aws:sts::111122223333:assumed-role/drs/airflow is not authorized to perform: "
CODES = {code: kind for kind in KINDS for code in kind.codes}
SURE = sorted(code for code in CODES if re.fullmatch(r"[A-Z]\w+(\.[A-Z]\w+)?", code))


def cases() -> Iterator[Mapping[str, str]]:
    """Errors of launches: whether the same may be tried again, and what the explanation must (not) say."""
    for name in ("launch_errors.tsv", "more_errors.tsv"):
        with (HERE / name).open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: str(case["raw_error"])[:60])
def test_an_error_of_a_launch_is_explained(case: Mapping[str, str]) -> None:
    """The explanation names the cause and no other, and says rightly whether a retry makes sense."""
    found = explain_failure(case["raw_error"], [])
    told = f"{found.cause}\n{found.remedy}"
    assert re.search(case["must_name"], told), (found.pattern, told)
    assert not re.search(case["must_not_say"], f"{told}\n{found.phrase}"), (found.pattern, told)
    assert found.retry_is_safe is (case["retry_as_it_is"] == "yes"), found.pattern


@pytest.mark.parametrize(
    "spelling",
    [
        "{}",
        "{}: no",
        "Client.{}: no",
        "Server.{}",
        "[{}] no",
        "Launch failed: {}: no",
        "The launch failed ({})",
        "An error occurred ({}): no",
        "An error occurred ({}) when calling the RunInstances operation (reached max retries: 4): no",
        "botocore.exceptions.ClientError: An error occurred ({}) when calling the X operation: no",
        "no (Service: AmazonEC2; Status Code: 400; Error Code: {}; Request ID: 1; Proxy: null)",
        "operation error EC2: RunInstances, https response error StatusCode: 400, api error {}: no",
        "<Error><Code>{}</Code><Message>no</Message></Error>",
        '{{"__type": "com.amazonaws.x#{}", "message": "no"}}',
        'Failed to launch: {{"errorCode": "{}"}}',
    ],
)
def test_a_code_is_read_in_every_spelling(spelling: str) -> None:
    """Every code of the table means the same however it is written."""
    for code in SURE:
        if "." in code and code.split(".")[0] in ("Client", "Server"):
            continue
        if f"Client.{code}" in CODES and spelling.startswith("Client."):
            continue
        assert meaning_of(spelling.format(code)).kind is CODES[code], code


def test_a_code_means_one_kind() -> None:
    """No code is in two rows of the table, whatever its case."""
    codes = [code.casefold() for kind in KINDS for code in (*kind.codes, *kind.vague_codes)]
    assert sorted(set(codes)) == sorted(codes)
    assert not {code.casefold() for code in DENIED} & set(codes)


SAYS = {
    Denier.IDENTITY: ("an identity-based policy", "no identity-based policy", "explicit_deny", "permission"),
    Denier.SERVICE_CONTROL: (
        "a service control policy",
        "no service control policy",
        *["service_control_policy"] * 2,
    ),
    Denier.RESOURCE_CONTROL: (
        "a resource control policy",
        "no resource control policy",
        *["resource_control_policy"] * 2,
    ),
    Denier.BOUNDARY: ("a permissions boundary", "no permissions boundary", *["permissions_boundary"] * 2),
    Denier.SESSION: ("a session policy", "no session policy", *["session_policy"] * 2),
    Denier.ENDPOINT: ("a VPC endpoint policy", "no VPC endpoint policy", *["vpc_endpoint_policy"] * 2),
    Denier.RESOURCE: ("a resource-based policy", "no resource-based policy", *["resource_policy"] * 2),
    Denier.TRUST: ("the role trust policy", "no role trust policy", *["assume_role"] * 2),
}


@pytest.mark.parametrize(
    "resource", ["", " on resource: arn:aws:ec2:us-east-1:111122223333:instance/service-control"]
)
@pytest.mark.parametrize("denier", SAYS, ids=str)
def test_who_denies_is_read_from_aws_s_sentence(denier: Denier, resource: str) -> None:
    """Only an Allow that is missing in the role's own policy is added there."""
    explicit, implicit, denied, missing = SAYS[denier]
    action = "ec2:RunInstances"
    for sentence, explicitly, kind in (
        (f"with an explicit deny in {explicit}", True, denied),
        (
            f"with an explicit deny in {explicit}: arn:aws:iam::111122223333:policy/session-boundary",
            True,
            denied,
        ),
        (f"because {implicit} allows the {action} action", False, missing),
    ):
        found = meaning_of(f"{USER}{action}{resource} {sentence}")
        assert found.denial is not None
        assert (found.denial.action, found.denial.denier, found.denial.explicit) == (
            action,
            denier,
            explicitly,
        )
        assert found.kind.id == kind
        assert (statement([action]) in found.remedy) is (kind == "permission")
        assert action in found.cause
        if explicitly and "arn" in sentence.split("deny")[1]:
            assert "policy/session-boundary" in found.cause


def test_where_aws_does_not_say_who_denies_the_remedy_says_so() -> None:
    """The role's own policy comes first, and the others are named."""
    found = meaning_of(f"{USER}ec2:RunInstances")
    assert statement(["ec2:RunInstances"]) in found.remedy
    assert "If the role has this permission already, another policy denies it" in found.remedy


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("RunInstances", "ec2:RunInstances"),
        ("DescribeJobs", "drs:DescribeJobs"),
        ("SimulatePrincipalPolicy", "iam:SimulatePrincipalPolicy"),
        ("PutMetricData", "cloudwatch:PutMetricData"),
        ("Decrypt", "kms:Decrypt"),
        ("TagResource", None),
        ("ListPipelines", None),
    ],
)
def test_the_action_of_a_call_has_the_prefix_of_its_own_service(operation: str, action: str | None) -> None:
    """An operation that several services have is not guessed."""
    found = meaning_of_reply("AccessDeniedException", "no", operation=operation)
    assert found.action == action
    assert "drs:" not in found.remedy or (action or "").startswith("drs:")


def test_operations_belong_to_the_services_that_have_them() -> None:
    """According to botocore's models."""
    import botocore.session

    session = botocore.session.get_session()
    models = {"elasticloadbalancing": "elbv2"}
    only_in_iam = {"PassRole", "CreateRecoveryInstanceForDrs"}
    for service in sorted(set(SERVICES.values())):
        known = set(session.get_service_model(models.get(service, service)).operation_names)
        named = {operation for operation, of in SERVICES.items() if of == service}
        assert named - only_in_iam - UNKNOWN_OPERATIONS <= known, service


NAMES = (
    "marketplace uefi tpm licence capacity explicit-deny service-control-policy conversion snapshot-failed"
)


@pytest.mark.parametrize("name", NAMES.split())
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("An error occurred (InvalidKeyPair.NotFound): The key pair '{}' does not exist", "key_pair"),
        (
            "User: arn:aws:sts::111122223333:assumed-role/{}/x is not authorized to perform: "
            "ec2:RunInstances",
            "permission",
        ),
        (
            "AccessDenied: not authorized to perform: s3:GetObject on resource: arn:aws:s3:::{}/x",
            "permission",
        ),
        ("NoSuchEntity: The role with name {}-role cannot be found.", "role_missing"),
        ("InvalidParameterValue: Value ({}) for parameter x is invalid", "value_refused"),
        ('Something odd happened to "{}"', "unknown"),
        ("Something odd happened to the launch template {}-1", "unknown"),
    ],
)
def test_a_name_is_never_a_symptom(error: str, kind: str, name: str) -> None:
    """Whatever a role, a key pair, a bucket or a template is called."""
    assert meaning_of(error.format(name)).kind.id == kind


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.family == "passing"], ids=lambda kind: str(kind.id)
)
def test_a_failure_on_aws_s_side_may_be_tried_again(kind: ErrorKind) -> None:
    """Capacity, too many calls, and servers that failed; nothing else is of that family."""
    assert kind.retry_is_safe


def test_a_request_that_is_refused_is_not_tried_again_as_it_is() -> None:
    """Except where the state of something passes, or where the fault lies in a job that DRS gave up."""
    safe = {kind.id for kind in KINDS if kind.retry_is_safe and kind.family != "passing"}
    assert safe == {"instance_state", "post_launch_action", "snapshot_timeout", "conversion_error"}


@pytest.mark.parametrize("code", ["AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"])
def test_credentials_that_are_not_accepted_may_mean_the_region(code: str) -> None:
    """An opt-in Region, another partition, or a token of STS's global endpoint."""
    found = meaning_of_reply(code, "no")
    for words in ("opt-in Region", "partition", "global endpoint"):
        assert words in found.cause


def test_an_error_that_nobody_knows_is_said_to_be_unknown_with_its_own_words_first() -> None:
    """Also where only the form of its code says of what kind it is."""
    for raw, kind in (
        ("Something odd", UNKNOWN.id),
        ("FrobnicatorNotFound: no", "not_found"),
        ("Server.FrobnicatorBroke: no", "aws_failed"),
        ("FrobnicationThrottled: no", "throttled"),
        ("InsufficientFrobnicatorCapacity: no", "no_capacity"),
    ):
        found = meaning_of(raw)
        assert found.kind.id == kind
        assert found.cause.startswith(f'"{raw}": ')
        assert "unknown to this package" in found.cause


def test_a_long_error_is_looked_at_in_part() -> None:
    """An encoded message of megabytes costs no time, and is cut in the explanation."""
    found = meaning_of("UnauthorizedOperation: " + "explicit deny in 'a " * 200_000)
    assert found.kind.family == "denied"
    assert len(meaning_of("x" * 1_000_000).cause) < 500


def test_families_of_codes() -> None:
    """What callers ask of the table."""
    assert {"ExpiredTokenException", "AuthFailure", "NoCredentialsError"} <= codes_of("credentials")
    assert "AccessDenied" not in codes_of("credentials", "account", "passing", "request")
