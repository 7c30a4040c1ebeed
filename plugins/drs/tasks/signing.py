"""Signs records with the key of AWS KMS that the setting ``evidence_kms_key_id`` names.

AWS KMS is called with the credentials that also reach the evidence store: the connection
``evidence_conn_id``, or the worker's own.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.config import Config

from drs import settings
from drs.aws import kms
from drs.aws.call_errors import RETRIES
from drs.errors import EvidenceIncomplete
from drs.evidence.record import Signature
from drs.evidence.signatures import ALGORITHMS
from drs.preflight.findings import Finding
from drs.preflight.signing_key import signing_key, unreachable

PATIENCE = 10
"""Seconds for each try of a call. By default botocore waits a minute, and preflight would wait with it."""


def signer() -> Callable[[str], Signature] | None:
    """Signs the hash of a record; ``None`` if records are not signed."""
    key_id = settings.evidence_kms_key_id()
    return partial(sign, key_id) if key_id else None


def sign(key_id: str, record_hash: str) -> Signature:
    """The signature of a record's hash.

    :raises EvidenceIncomplete: AWS KMS does not sign
    """
    try:
        made = kms.sign(kms_client(key_id), key_id, record_hash.encode(), ALGORITHMS)
    except Exception as error:  # a missing connection, no credentials, no answer, a key of another kind
        raise EvidenceIncomplete(
            f"The record was not written, because it could not be signed with the key {key_id}: "
            f"{type(error).__name__}: {error}",
            remedy=(
                "Make sure that evidence_kms_key_id (section [drs] of Airflow's configuration) names an "
                "enabled key with the usage SIGN_VERIFY, and that the worker's role has "
                "include/iam/evidence-signing.json and is allowed by the key's policy. Then clear the task "
                "'evidence': it assembles, signs and writes the record again."
            ),
        ) from error
    return Signature(
        key_id=made.key_arn, algorithm=made.algorithm, value=base64.b64encode(made.value).decode()
    )


def key_findings(key_id: str) -> list[Finding]:
    """What would keep a record from being signed now."""
    try:
        client = kms_client(key_id)
    except Exception as error:  # a missing connection, no credentials
        return [unreachable(key_id, f"{type(error).__name__}: {error}")]
    return signing_key(client, key_id, ALGORITHMS)


def kms_client(key_id: str) -> Any:
    """A client of AWS KMS, in the Region of the key's ARN or else of the connection."""
    hook: Any = AwsBaseHook(
        aws_conn_id=settings.evidence_conn_id(),
        client_type="kms",
        region_name=kms.region_of(key_id),
        config=RETRIES.merge(Config(connect_timeout=PATIENCE, read_timeout=PATIENCE)),
    )
    return hook.conn
