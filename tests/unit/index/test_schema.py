"""What may be created, and that it comes back from its JSON as it was."""

import json
from dataclasses import replace

import pytest

from twopass.index.errors import InvalidSchemaError
from twopass.index.schema import (
    Chunking,
    CollectionSchema,
    FieldType,
    IndexedField,
    LexicalTokenizer,
    Metric,
    check_name,
)

ENCODED = CollectionSchema(
    dimension=384,
    metric=Metric.INNER_PRODUCT,
    encoder="all-MiniLM-L6-v2",
    encoder_revision="ab" * 32,
    tokenizer_fingerprint="cd" * 32,
    indexed_fields=(IndexedField("author.name"), IndexedField("year", FieldType.NUMBER)),
    lexical_tokenizer=LexicalTokenizer.PORTER,
)


@pytest.mark.parametrize("schema", [ENCODED, CollectionSchema(dimension=1, client_vectors=True)])
def test_a_schema_comes_back_from_its_json(schema: CollectionSchema) -> None:
    assert CollectionSchema.from_json(schema.to_json()) == schema


def test_a_schema_of_an_older_server_has_no_language() -> None:
    fields = json.loads(ENCODED.to_json())
    del fields["language"]
    assert CollectionSchema.from_json(json.dumps(fields)).language == ""


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dimension": 3}'])
def test_what_is_no_schema_is_not_read_as_one(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        CollectionSchema.from_json(text)


def test_a_field_of_a_later_version_is_not_ignored() -> None:
    later = json.loads(ENCODED.to_json()) | {"quantised_twice": True}
    with pytest.raises(TypeError, match="quantised_twice"):
        CollectionSchema.from_json(json.dumps(later))


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"dimension": 0}, "schema.dimension", "1 to 8,192, 0 given"),
        ({"dimension": 8_193}, "schema.dimension", "8,193 given"),
        ({"index_kind": "HNSW 32"}, "schema.index_kind", "'HNSW 32' given; .* such as Flat"),
        ({"index_kind": ""}, "schema.index_kind", "Flat"),
        ({"language": "xx"}, "schema.language", "'xx' given; one of ar, ca"),
        ({"language": "de"}, "schema.language", "'de' given together with the tokenizer 'porter'"),
        ({"chunking": Chunking(15)}, "schema.chunking.window_tokens", "at least 16, 15 given"),
        ({"chunking": Chunking(33, 17)}, "schema.chunking.overlap_tokens", "0 to 16, .* 17 given"),
        ({"chunking": Chunking(16, -1)}, "schema.chunking.overlap_tokens", "-1 given"),
        (
            {"chunking": Chunking(16), "client_vectors": True, "encoder": ""},
            "schema.chunking",
            "together with client_vectors",
        ),
        ({"client_vectors": True}, "schema.encoder", "together with client_vectors"),
        ({"encoder": ""}, "schema.encoder", "needed unless client_vectors"),
        ({"encoder_revision": ""}, "schema.encoder", "revision ''"),
        ({"indexed_fields": (IndexedField(""),)}, "schema.indexed_fields[0].field", "non-empty"),
        ({"indexed_fields": (IndexedField("a..b"),)}, "schema.indexed_fields[0].field", "'a..b'"),
        ({"indexed_fields": (IndexedField('"a.b'),)}, "schema.indexed_fields[0].field", "quote"),
        (
            {"indexed_fields": (IndexedField("a.b"), IndexedField('"a"."b"'))},
            "schema.indexed_fields[1].field",
            "given twice",
        ),
        (
            {"indexed_fields": (IndexedField("a"), IndexedField("a", FieldType.BOOL))},
            "schema.indexed_fields[1].field",
            "twice",
        ),
    ],
)
def test_a_schema_that_breaks_a_rule_is_refused_by_field(
    changes: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(InvalidSchemaError, match=said) as refused:
        replace(ENCODED, **changes)  # type: ignore[arg-type]
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "x" * 64])
def test_names_that_are_allowed(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", ".a", "A", "a b", "a/b", "ä", "a\n", "x" * 65])
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(InvalidSchemaError, match="1 to 64"):
        check_name(name)
