"""The rules for documents, each refused by field, and how what passes is stored."""

import json
from dataclasses import replace

import numpy as np
import pytest

from twopass.index.collection.encoding import encode_documents
from twopass.index.errors import InvalidDocumentError
from twopass.index.filters import Exists, FieldCondition, Filter
from twopass.index.metric import MAX_NORM
from twopass.index.schema import Metric
from twopass.index.words.analysis import Analyser

ANALYSER = Analyser()


def nested(depth):
    """A list in a list, and so on, `depth` of them."""
    value = 1
    for _ in range(depth):
        value = [value]
    return value


NESTED = nested(100_000)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"id": ""}, "id", "1 to 512 bytes of UTF-8, 0 given"),
        ({"id": "x" * 513}, "id", "513 given"),
        ({"id": "ä" * 257}, "id", "514 given"),
        ({"id": "a\nb"}, "id", r"U\+000A given at character 1"),
        ({"id": "a\x7f"}, "id", r"U\+007F"),
        ({"id": "a\x85"}, "id", r"U\+0085"),
        ({"id": "a\ud800"}, "id", "lone surrogate at character 1"),
        ({"title": "", "text": ""}, "text", "both empty"),
        ({"text": "\udfff"}, "text", "lone surrogate"),
        ({"title": "a\udfff"}, "title", "lone surrogate"),
        ({"metadata": [1]}, "metadata", "JSON object, list given"),
        ({"metadata": {"x": float("nan")}}, "metadata", "JSON"),
        ({"metadata": {"x": object()}}, "metadata", "object"),
        ({"metadata": {"x": 2**63}}, "metadata", r"an integer of 64 bits given, .* 2\^63 - 1"),
        ({"metadata": {"x": [{"y": -(2**63) - 1}]}}, "metadata", "of 64 bits given"),
        ({"metadata": {"x": 10**5_000}}, "metadata", "of 16,610 bits given"),
        ({"metadata": {"x": "\ud800"}}, "metadata", "lone surrogate"),
        ({"metadata": {"x": NESTED}}, "metadata", "nested deeper than 32 levels"),
        ({"metadata": {"x": nested(32)}}, "metadata", "nested deeper than 32 levels"),
        ({"metadata": {"x": "y" * 65_529}}, "metadata", "65,537 bytes as JSON.*at most 65,536"),
        ({"metadata": {"x": "ä" * 32_765}}, "metadata", "65,538 bytes as JSON"),
        ({"metadata": {str(n): n for n in range(1_025)}}, "metadata", "more than 1,024 fields"),
        ({"metadata": {"x": [{"y": n} for n in range(1_024)]}}, "metadata", "1,024 fields"),
        ({"title": "x" * 8_193}, "title", "8,193 bytes of UTF-8 given, at most 8,192"),
        ({"title": "ä" * 4_097}, "title", "8,194 bytes"),
        ({"vector": np.ones(3, np.float32)}, "vector", "3 components given.*dimension is 4"),
        ({"vector": np.ones((1, 4), np.float32)}, "vector", "4 components given"),
        ({"vector": np.array([1, np.nan, 0, 0], np.float32)}, "vector", "finite, nan given"),
        ({"vector": np.array([1, -np.inf, 0, 0], np.float32)}, "vector", "finite, -inf given"),
        ({"vector": np.zeros(4, np.float32)}, "vector", "all components are 0"),
    ],
)
def test_a_document_that_breaks_a_rule_is_refused_by_field(
    make_document, schema, fields, field, said
):
    good, bad = make_document("good"), replace(make_document("bad"), **fields)
    with pytest.raises(InvalidDocumentError, match=said) as refused:
        encode_documents([good, bad], schema, ANALYSER)
    assert refused.value.field == f"documents[1].{field}"


def test_an_id_given_twice_is_named(make_document, schema):
    with pytest.raises(InvalidDocumentError, match=r"documents\[2\].id: 'a' .*documents\[0\]"):
        encode_documents([make_document(name) for name in "aba"], schema, ANALYSER)


def test_no_documents_are_refused(schema):
    with pytest.raises(InvalidDocumentError, match="at least 1"):
        encode_documents([], schema, ANALYSER)


@pytest.mark.parametrize("name", ["x", "ä" * 256, "\u00a0 .%/'\"", "x" * 512])
def test_ids_at_the_edge_are_allowed(make_document, schema, name):
    assert encode_documents([make_document(name)], schema, ANALYSER).rows[0][0] == name


@pytest.mark.parametrize("fields", [{"title": "t", "text": ""}, {"title": "", "text": "t"}])
def test_title_or_text_is_enough(make_document, schema, fields):
    encode_documents([make_document("a", **fields)], schema, ANALYSER)


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "ä" * 4_096},
        {"metadata": {"x": nested(31)}},
        {"metadata": {"x": [2**63 - 1, -(2**63)]}},
        {"metadata": {"x": "y" * 65_528}},
        {"metadata": {str(n): n for n in range(1_024)}},
        {"metadata": {"x": [{"y": n} for n in range(1_023)]}},
        {"metadata": {"x": list(range(10_000))}},
    ],
    ids=["title", "depth", "integers", "size", "fields", "nested fields", "a list"],
)
def test_what_is_just_within_a_limit_is_stored_and_can_be_filtered_by(
    collection, make_document, fields
):
    collection.upsert([make_document("a", **fields), make_document("b")]).result()
    (stored,) = collection.get(["a"])
    assert all(getattr(stored, name) == value for name, value in fields.items())
    there = Filter(must=(FieldCondition("x", Exists()),))
    has_it = "x" in fields.get("metadata", {})
    assert collection.matching(there).tolist() == ([stored.key] if has_it else [])


def test_metadata_is_stored_as_json(make_document, schema):
    metadata = {"ü": [1, 2.5, None, True, {"deep": "🙂"}], "huge": 2**63 - 1}
    (row,) = encode_documents([make_document("a", metadata=metadata)], schema, ANALYSER).rows
    assert json.loads(row[5]) == metadata


@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1.0, 3e38])
def test_cosine_normalises_whatever_the_length(make_document, schema, scale):
    vector = np.array([0, scale, 0, 0], np.float32)
    vectors = encode_documents([make_document("a", vector=vector)], schema, ANALYSER).vectors
    np.testing.assert_array_equal(vectors, np.array([[0, 1, 0, 0]], np.float32))


def test_inner_product_stores_vectors_as_given(make_document, schema):
    by_product = replace(schema, metric=Metric.INNER_PRODUCT)
    vectors = np.array([[0, 0, 0, 0], [1, -2, 3, 4]], np.float32)
    documents = [make_document(name, vector=v) for name, v in zip("ab", vectors, strict=True)]
    np.testing.assert_array_equal(
        encode_documents(documents, by_product, ANALYSER).vectors, vectors
    )


def test_inner_product_refuses_vectors_whose_products_could_overflow(make_document, schema):
    by_product = replace(schema, metric=Metric.INNER_PRODUCT)
    longest = make_document("a", vector=np.array([MAX_NORM * 0.999, 0, 0, 0], np.float32))
    encode_documents([longest], by_product, ANALYSER)
    with pytest.raises(InvalidDocumentError, match="norm must be at most 1e"):
        encode_documents([replace(longest, vector=longest.vector * 2)], by_product, ANALYSER)
