"""Records are signed with a key of AWS KMS, and the signature is checked offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from drs.aws import kms
from drs.errors import Code, EvidenceIncomplete
from drs.evidence.signatures import ALGORITHMS, load_public_key
from drs.evidence.store import EvidenceStore
from drs.preflight.signing_key import signing_key
from drs.tasks import signing
from drs.tasks.operators.evidence import store
from tests.unit.evidence.test_store import run

REGION = "eu-central-1"
IAM = Path(__file__).parents[3] / "include" / "iam"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's AWS KMS. Its Region is not the worker's."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield boto3.client("kms", region_name=REGION)


def make_key(aws: Any, spec: str = "ECC_NIST_P256", usage: str = "SIGN_VERIFY") -> str:
    return str(aws.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"])


@pytest.fixture
def records(aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvidenceStore:
    """The store that the configuration names, with a key that signs."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_KMS_KEY_ID", make_key(aws))
    return store()


def public_key(aws: Any, key_id: str) -> Any:
    return load_public_key(aws.get_public_key(KeyId=key_id)["PublicKey"])


def test_a_record_is_signed_and_its_signature_is_checked_offline(records: EvidenceStore, aws: Any) -> None:
    """The public key is all that the check needs. The key's own Region is used."""
    record = records.keep(run(0)).record
    assert record.signature is not None
    key = public_key(aws, record.signature.key_id)
    with mock_aws():  # another AWS, which knows no such key
        assert records.examine("orders", keys=[key]).problems == []


def test_records_are_not_signed_without_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is made."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(tmp_path))
    assert signing.signer() is None
    assert store().keep(run(0)).record.signature is None


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "RSA_2048"])
def test_each_kind_of_key_signs_with_its_first_algorithm(aws: Any, spec: str) -> None:
    """Without a setting for the algorithm."""
    made = signing.sign(make_key(aws, spec), "0" * 64)
    expected = {"ECC_NIST_P256": "ECDSA_SHA_256", "ECC_NIST_P384": "ECDSA_SHA_384"}
    assert made.algorithm == expected.get(spec, "RSASSA_PSS_SHA_256")


def test_only_the_calls_of_the_policy_are_made(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """include/iam/evidence-signing.json has exactly the calls that were made."""
    called: list[str] = []
    aws.meta.events.register("before-call.kms", lambda model, **_: called.append(f"kms:{model.name}"))
    key_id = make_key(aws)
    called.clear()
    monkeypatch.setattr(signing, "kms_client", lambda _: aws)
    signing.sign(key_id, "0" * 64)
    assert signing_key(aws, key_id, ALGORITHMS) == []
    (statement,) = json.loads((IAM / "evidence-signing.json").read_text())["Statement"]
    assert sorted(set(called)) == sorted(statement["Action"])


def test_a_record_that_cannot_be_signed_is_not_written(
    aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task fails with a code and is tried again. The message names the key, and the remedy the policy."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_KMS_KEY_ID", "alias/nobody")
    records = store()
    with pytest.raises(EvidenceIncomplete, match="alias/nobody") as failed:
        records.keep(run(0))
    assert failed.value.retryable
    assert "include/iam/evidence-signing.json" in failed.value.remedy
    assert records.ids("orders") == []


@pytest.mark.parametrize(
    ("spec", "usage"), [("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("RSA_2048", "ENCRYPT_DECRYPT")]
)
def test_a_key_that_cannot_sign_is_found_before_a_drill(aws: Any, spec: str, usage: str) -> None:
    """A key for encryption is the usual mistake."""
    key_id = make_key(aws, spec, usage)
    (finding,) = signing_key(aws, key_id, ALGORITHMS)
    assert (finding.code, finding.severity) == (Code.INVALID_FIELD, "error")
    assert key_id in finding.seen
    assert "SIGN_VERIFY" in finding.remedy


def test_a_key_that_does_not_exist_is_found_before_a_drill(aws: Any) -> None:
    (finding,) = signing_key(aws, "alias/nobody", ALGORITHMS)
    assert (finding.code, finding.severity) == (Code.INVALID_FIELD, "error")


class Refusing:
    """An AWS KMS that signs nothing.

    :param error: its answer to Sign
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_public_key(self, **_: Any) -> Any:
        return {"KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": ["ECDSA_SHA_256"]}

    def sign(self, **_: Any) -> Any:
        raise self._error


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Sign")


def test_aws_says_that_it_would_sign_by_an_error() -> None:
    """The answer to a request with DryRun that would have succeeded."""
    assert signing_key(Refusing(refusal("DryRunOperationException")), "key", ALGORITHMS) == []


def test_a_denial_names_the_policy() -> None:
    """Both actions, and the policy of the key."""
    (finding,) = signing_key(Refusing(refusal("AccessDeniedException")), "key", ALGORITHMS)
    assert (finding.code, finding.severity) == (Code.ACCESS_DENIED, "error")
    assert "include/iam/evidence-signing.json" in finding.remedy
    assert '"kms:GetPublicKey", "kms:Sign"' in finding.remedy


@pytest.mark.parametrize(
    "error", [refusal("ThrottlingException"), EndpointConnectionError(endpoint_url="https://kms")]
)
def test_a_kms_that_does_not_answer_is_a_warning(error: Exception) -> None:
    """Until the end of the drill it may answer again."""
    (finding,) = signing_key(Refusing(error), "key", ALGORITHMS)
    assert (finding.code, finding.severity) == (Code.CHECK_UNAVAILABLE, "warning")


def test_a_connection_that_is_missing_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection of the evidence store is used, if there is one."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_CONN_ID", "nowhere")
    (finding,) = signing.key_findings("alias/drills")
    assert (finding.code, finding.severity) == (Code.CHECK_UNAVAILABLE, "warning")


@pytest.mark.parametrize(
    ("key_id", "region"),
    [
        ("arn:aws:kms:eu-west-1:111122223333:key/1234", "eu-west-1"),
        ("arn:aws:kms:eu-west-1:111122223333:alias/drills", "eu-west-1"),
        ("alias/drills", None),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", None),
        ("arn:nonsense", None),
    ],
)
def test_the_region_is_that_of_the_key(key_id: str, region: str | None) -> None:
    assert kms.region_of(key_id) == region
