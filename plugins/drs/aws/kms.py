"""Signs with an asymmetric key of AWS KMS, and finds out whether that will work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_kms.literals import SigningAlgorithmSpecType

ACTIONS = ("kms:GetPublicKey", "kms:Sign")


@dataclass(frozen=True, slots=True)
class KmsSignature:
    """A signature.

    :param key_arn: the key that made it
    :param algorithm: as AWS KMS names it
    """

    key_arn: str
    algorithm: str
    value: bytes


class UnfitKeyError(ValueError):
    """The key cannot sign with any of the given algorithms."""


def sign(kms: KMSClient, key_id: str, message: bytes, algorithms: Sequence[str]) -> KmsSignature:
    """Sign a message of at most 4,096 bytes with the first of these algorithms that the key knows.

    .. seealso:: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html

    :raises UnfitKeyError: the key knows none of them
    """
    chosen = _chosen(kms, key_id, algorithms)
    reply = kms.sign(KeyId=key_id, Message=message, MessageType="RAW", SigningAlgorithm=chosen)
    return KmsSignature(reply["KeyId"], reply["SigningAlgorithm"], reply["Signature"])


def try_to_sign(kms: KMSClient, key_id: str, algorithms: Sequence[str]) -> None:
    """Find out whether :func:`sign` would work now, without a signature (``DryRun``).

    :raises UnfitKeyError: the key knows none of the algorithms
    :raises ClientError: AWS KMS refuses
    """
    chosen = _chosen(kms, key_id, algorithms)
    try:
        kms.sign(KeyId=key_id, Message=b"?", MessageType="RAW", SigningAlgorithm=chosen, DryRun=True)
    except ClientError as error:
        # This error is AWS's answer that the request would have succeeded.
        if not error.response["Error"]["Code"].startswith("DryRunOperation"):
            raise


def region_of(key_id: str) -> str | None:
    """The Region in the ARN of a key or of an alias; ``None`` if this is no ARN."""
    return key_id.split(":")[3] if key_id.startswith("arn:") and key_id.count(":") >= 5 else None


def _chosen(kms: KMSClient, key_id: str, algorithms: Iterable[str]) -> SigningAlgorithmSpecType:
    reply = kms.get_public_key(KeyId=key_id)
    known = reply.get("SigningAlgorithms") or ()
    if reply["KeyUsage"] == "SIGN_VERIFY":
        for algorithm in algorithms:
            for each in known:
                if each == algorithm:
                    return each
    raise UnfitKeyError(
        f"its usage is {reply['KeyUsage']} and its algorithms are {', '.join(known) or 'none'}"
    )
