"""From a record's fields to a document."""

import pytest

from twopass.client import Document
from twopass.commands.field_mapping import FieldMapping
from twopass.commands.sources.records import Record, SourceError


def document(fields, **mapping):
    return FieldMapping(**mapping).document(Record(where="x.csv:2", fields=fields, num_bytes=0))


def test_what_has_no_place_in_a_document_is_metadata():
    fields = {"id": 7, "text": "t", "title": None, "year": 1999, "tags": ["a"]}
    assert document(fields) == Document("7", "t", "", {"year": 1999, "tags": ["a"]})


def test_fields_may_have_other_names():
    fields = {"key": "a", "body": "t", "name": "n", "id": "kept"}
    mapping = {"id": "key", "text": "body", "title": "name"}
    assert document(fields, **mapping) == Document("a", "t", "n", {"id": "kept"})


@pytest.mark.parametrize("vector", [[1, 2.5], "[1, 2.5]"])
def test_a_vector_is_a_list_or_json_of_one(vector):
    made = document({"id": "a", "text": "t", "v": vector}, vector="v")
    assert (made.vector, made.metadata) == ([1, 2.5], {})


@pytest.mark.parametrize("metadata", [{"year": 1}, '{"year": 1}'])
def test_metadata_may_be_a_field_of_its_own(metadata):
    made = document({"id": "a", "text": "t", "m": metadata, "other": 1}, metadata="m")
    assert made.metadata == {"year": 1}
    assert document({"id": "a", "text": "t", "m": None}, metadata="m").metadata == {}


def test_numbers_of_csv_are_numbers_where_it_says_so():
    made = document(
        {"id": "a", "text": "t", "n": "1.5", "zip": "01234", "m": ""}, numbers=("n", "m")
    )
    assert made.metadata == {"n": 1.5, "zip": "01234", "m": None}


@pytest.mark.parametrize(
    ("fields", "mapping", "said"),
    [
        ({"text": "t"}, {}, "x.csv:2: no field 'id'; --id-field names"),
        ({"id": "", "text": "t"}, {}, "no field 'id'"),
        ({"id": "a"}, {"vector": "v"}, "field 'v' holds no list of numbers"),
        ({"id": "a", "v": "{"}, {"vector": "v"}, "field 'v' is not JSON"),
        ({"id": "a", "m": [1]}, {"metadata": "m"}, "field 'm' holds no object"),
        ({"id": "a", "n": "x"}, {"numbers": ("n",)}, "field 'n' holds 'x', which is no number"),
    ],
)
def test_a_field_that_is_not_what_it_should_be_is_named(fields, mapping, said):
    with pytest.raises(SourceError, match=said):
        document(fields, **mapping)
