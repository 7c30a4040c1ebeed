"""What a check of a plan's records covers beyond their chain: their pages and signatures. Pure.

Records of earlier versions cover no page, and were not signed. They are no problem, but it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drs.evidence import covered_page
from drs.evidence.chain import Chain, ChainProblem
from drs.evidence.signatures import is_signed_by

if TYPE_CHECKING:
    from drs.evidence.signatures import PublicKey


@dataclass(frozen=True, slots=True)
class Examined:
    """The result of a check of a plan's records.

    :param problems: what is wrong
    :param notes: what the check did not cover, one sentence each
    """

    problems: list[ChainProblem]
    notes: list[str]


def examine(
    plan: str,
    files: Mapping[str, bytes],
    head: bytes | None,
    pages: Mapping[str, bytes],
    *,
    sent: str | None = None,
    keys: Sequence[PublicKey] = (),
) -> Examined:
    """Check the records of a plan: their chain, their pages, and, if keys are given, their signatures.

    :param files: the content of the records' files, by record id
    :param head: the content of the head's file
    :param pages: the content of the pages' files, by record id
    :param sent: a hash that was sent elsewhere and must be in the chain
    :param keys: the public keys of those who may have signed the records
    """
    chain = Chain(plan, files)
    problems = [*chain.all_problems(head, sent), *_page_problems(chain, pages)]
    if keys:
        problems += _signature_problems(chain, keys)
    return Examined(problems, [*_page_notes(chain), *_signature_notes(chain, checked=bool(keys))])


def _page_problems(chain: Chain, pages: Mapping[str, bytes]) -> Iterator[ChainProblem]:
    for sequence, content in sorted(chain.contents.items()):
        if not content.get("page_hash"):
            continue
        name = f"{chain.id(sequence)}.html"
        page = pages.get(chain.id(sequence))
        if page is None:
            yield ChainProblem(
                name,
                "missing",
                "The record's HTML page is missing. The record itself is there: `python -m drs evidence "
                f"export {chain.id(sequence)} --format html --to FILE` makes a page from it.",
            )
        elif not covered_page.is_covered(content, page):
            yield ChainProblem(
                name,
                "changed",
                f"The HTML page was changed: it is not the page that record {chain.id(sequence)} names. Do "
                "not rely on what it shows. The record itself was not changed.",
            )


def _signature_problems(chain: Chain, keys: Sequence[PublicKey]) -> Iterator[ChainProblem]:
    first = _first_signed(chain)
    if first is None:
        if chain.present:
            says = f"No record of plan {chain.plan} is signed, although a public key was given."
            yield ChainProblem(chain.plan, "not signed", says)
        return
    for sequence, content in sorted(chain.contents.items()):
        if sequence < first:
            continue
        if not content.get("signature"):
            yield ChainProblem(
                chain.id(sequence),
                "not signed",
                f"The record is not signed, although {chain.id(first)} before it is: it was written without "
                "the setting evidence_kms_key_id, or by somebody who may not use the key.",
            )
        elif not any(is_signed_by(content, key) for key in keys):
            yield ChainProblem(
                chain.id(sequence),
                "wrong signature",
                f"The signature is by none of the given public keys. The record says that {_signer(content)} "
                "made it.",
            )


def _page_notes(chain: Chain) -> Iterator[str]:
    bare = [chain.id(number) for number, each in sorted(chain.contents.items()) if not each.get("page_hash")]
    if bare:
        yield f"Not covered: the HTML pages of {_span(bare)}, whose records do not name the hash of a page."


def _signature_notes(chain: Chain, *, checked: bool) -> Iterator[str]:
    first = _first_signed(chain)
    if first is None:
        if chain.present and not checked:
            yield (
                "Not covered: who wrote the records. None is signed (see the setting evidence_kms_key_id in "
                "docs/evidence.md)."
            )
        return
    if not checked:
        signers = sorted({_signer(each) for each in chain.contents.values() if each.get("signature")})
        yield (
            f"Not covered: who wrote the records. Their signatures, by {', '.join(signers)}, were not "
            "checked: give the public key with --public-key."
        )
    elif before := [chain.id(number) for number in sorted(chain.contents) if number < first]:
        yield (
            f"Not signed: {_span(before)}, written before {chain.id(first)}, the first signed record. Its "
            "signature covers them as they were when it was made."
        )


def _first_signed(chain: Chain) -> int | None:
    return min((number for number, each in chain.contents.items() if each.get("signature")), default=None)


def _signer(content: Mapping[str, Any]) -> str:
    signature = content.get("signature")
    if not isinstance(signature, dict):
        return "an unknown key"
    # An ARN is ASCII. Whatever else a forger writes is shown as escape sequences, and cut.
    return str(signature.get("key_id")).encode("unicode_escape").decode()[:200]


def _span(ids: Sequence[str]) -> str:
    """``orders-000001``, or the first and the last of several, with their number"""
    return ids[0] if len(ids) == 1 else f"{len(ids)} records, {ids[0]} to {ids[-1]}"
