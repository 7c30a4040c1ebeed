"""Keys that sign records as AWS KMS does, and their public halves."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from drs.evidence.record import Signature

KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CURVES: dict[str, ec.EllipticCurve] = {
    "ECDSA_SHA_256": ec.SECP256R1(),
    "ECDSA_SHA_384": ec.SECP384R1(),
    "ECDSA_SHA_512": ec.SECP521R1(),
}


@functools.cache
def private_key(algorithm: str = "ECDSA_SHA_256", number: int = 0) -> PrivateKey:
    """A key that can sign with this algorithm of AWS KMS.

    :param number: another number gives another key
    """
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    return _rsa(number)


@functools.cache
def _rsa(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def signing(key: PrivateKey, algorithm: str = "ECDSA_SHA_256") -> Callable[[str], Signature]:
    """Signs a record's hash."""
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[-3:]]

    def sign(record_hash: str) -> Signature:
        data = record_hash.encode()
        if isinstance(key, ec.EllipticCurvePrivateKey):
            value = key.sign(data, ec.ECDSA(digest))
        elif "PSS" in algorithm:
            value = key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        else:
            value = key.sign(data, padding.PKCS1v15(), digest)
        return Signature(key_id=KEY, algorithm=algorithm, value=base64.b64encode(value).decode())

    return sign


def public_file(key: PrivateKey, encoding: Encoding = Encoding.PEM) -> bytes:
    """The content of a file with the public key."""
    return key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
