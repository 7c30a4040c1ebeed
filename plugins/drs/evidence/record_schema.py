"""The JSON Schema of a run's record, made from its model, for programs that read records."""

from __future__ import annotations

import json

from pydantic.json_schema import GenerateJsonSchema

from drs.evidence.record import SCHEMA_ID, Evidence


class _EvidenceSchema(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False


def evidence_schema_text() -> str:
    """The schema (draft 2020-12), as text of its file."""
    generated = Evidence.model_json_schema(schema_generator=_EvidenceSchema, mode="serialization")
    schema = {
        "$schema": _EvidenceSchema.schema_dialect,
        **generated,
        "title": f"The record of a run ({SCHEMA_ID})",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
