"""Finds out before a drill whether its record can be signed when it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.access_denied import statement
from drs.aws.call_errors import DENIED, error_code
from drs.aws.kms import ACTIONS, UnfitKeyError, try_to_sign
from drs.errors import Code
from drs.preflight.findings import Finding

_UNFIT = frozenset(
    {
        "DisabledException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
        "UnsupportedOperationException",
        "ValidationException",
    }
)
"""AWS KMS's errors that say that this key cannot sign."""


def signing_key(kms: Any, key_id: str, algorithms: Sequence[str]) -> list[Finding]:
    """What is wrong with the key that signs the records; empty if a record could be signed now.

    :param kms: a client of AWS KMS
    :param key_id: the value of the setting ``evidence_kms_key_id``
    :param algorithms: the algorithms that may be used
    """
    try:
        try_to_sign(kms, key_id, algorithms)
    except UnfitKeyError as error:
        return [_unfit(key_id, str(error))]
    except (ClientError, BotoCoreError) as error:
        code = error_code(error)
        if code in _UNFIT:
            return [_unfit(key_id, str(error))]
        if code in DENIED:
            return [_denied(key_id, error)]
        return [unreachable(key_id, str(error))]
    return []


def unreachable(key_id: str, why: str) -> Finding:
    """The warning that AWS KMS could not be asked."""
    return Finding(
        code=Code.CHECK_UNAVAILABLE,
        seen=f"It is not known whether records can be signed with the key {key_id}: {why}.",
        remedy="Check the network path to AWS KMS, the credentials, and the Region of the key. A record that "
        "cannot be signed is not written, and its run ends with EVIDENCE_INCOMPLETE.",
        severity="warning",
    )


def _unfit(key_id: str, why: str) -> Finding:
    return Finding(
        code=Code.INVALID_FIELD,
        seen=f"The setting evidence_kms_key_id in section [drs] names {key_id}, which cannot sign records: "
        f"{why}.",
        remedy="Name an enabled asymmetric key of AWS KMS with the usage SIGN_VERIFY, of an elliptic curve "
        "or of RSA, by its ARN. Or leave the setting empty: then records are not signed.",
    )


def _denied(key_id: str, error: Exception) -> Finding:
    return Finding(
        code=Code.ACCESS_DENIED,
        seen=f"Records cannot be signed with the key {key_id}: {error}.",
        remedy="Add include/iam/evidence-signing.json, with the ARN of the key in it, to the role whose "
        f"credentials sign ({statement(ACTIONS)}), and allow that role in the policy of the key. Without it, "
        "the record is not written, and the run ends with EVIDENCE_INCOMPLETE.",
    )
