"""Checks the signatures of records offline, with the public key of the AWS KMS key that made them. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

# `cryptography` takes 40 ms to import, and most commands check no signature.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = EllipticCurvePublicKey | RSAPublicKey

ALGORITHMS = (
    "ECDSA_SHA_256",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_256",
)
"""The algorithms of AWS KMS that are used here, the preferred one first."""


class NotAKeyError(ValueError):
    """A file is not a public key that can check signatures of these algorithms."""


def load_public_key(data: bytes) -> PublicKey:
    """The public key in a file: PEM, or DER as AWS KMS gives it (SubjectPublicKeyInfo).

    :raises NotAKeyError: it is neither, or a key of another kind
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    try:
        key = load_pem_public_key(data) if data.lstrip().startswith(b"-----") else load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotAKeyError(f"it is no public key in PEM or DER: {error}") from error
    if not isinstance(key, EllipticCurvePublicKey | RSAPublicKey):
        raise NotAKeyError("it is a public key, but neither of an elliptic curve nor of RSA")
    return key


def is_signed_by(content: Mapping[str, Any], key: PublicKey) -> bool:
    """Whether the record's signature is that of its hash by the owner of this key."""
    signature = content.get("signature")
    if not isinstance(signature, dict):
        return False
    try:
        value = base64.b64decode(str(signature.get("value")), validate=True)
    except binascii.Error:
        return False
    return _verifies(key, str(signature.get("algorithm")), value, str(content.get("hash")).encode())


def _verifies(key: PublicKey, algorithm: str, value: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    digests = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    if algorithm not in ALGORITHMS or isinstance(key, ec.EllipticCurvePublicKey) != algorithm.startswith(
        "EC"
    ):
        return False
    digest = digests[algorithm[-3:]]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(value, signed, ec.ECDSA(digest))
        elif "PSS" in algorithm:
            pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
            key.verify(value, signed, pss, digest)
        else:
            key.verify(value, signed, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True
