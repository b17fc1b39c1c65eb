"""From a record's fields to a document, or to the reason why there is none."""

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import Document
from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.transfer.field_mapping import FieldMapping
from twopass.commands.transfer.translating import Translator
from twopass.index.document_checks import encode_metadata
from twopass.index.errors import InvalidDocumentError


def translated(fields, *, dimension=0, needs_vector=False, **mapping):
    translator = Translator(FieldMapping(**mapping), dimension=dimension, needs_vector=needs_vector)
    return translator.document(Record(where="x.csv:2", fields=fields, num_bytes=0))


def test_what_has_no_place_in_a_document_is_metadata():
    fields = {"id": 7, "text": "t", "title": None, "year": 1999, "": 1, "tags": ["a"]}
    assert translated(fields) == Document("7", "t", "", {"year": 1999, "": 1, "tags": ["a"]})


def test_fields_may_have_other_names():
    fields = {"key": "a", "body": "t", "name": "n", "id": "kept"}
    mapping = {"id": "key", "text": "body", "title": "name"}
    assert translated(fields, **mapping) == Document("a", "t", "n", {"id": "kept"})


@pytest.mark.parametrize("vector", [[1, 2.5], "[1, 2.5]"])
def test_a_vector_is_a_list_or_json_of_one(vector):
    made = translated({"id": "a", "text": "t", "v": vector}, vector="v", needs_vector=True)
    assert (list(made.vector), made.metadata) == ([1, 2.5], {})


@pytest.mark.parametrize("nothing", [{}, {"v": None}, {"v": ""}])
def test_a_vector_may_be_missing_where_the_server_embeds(nothing):
    assert translated({"id": "a", "text": "t"} | nothing, vector="v").vector is None


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_vector_of_float32_is_kept_bit_for_bit(values):
    made = translated({"id": "a", "text": "t", "v": json.dumps(values)}, vector="v")
    assert bytes(made.vector) == struct.pack(f"{len(values)}f", *values)


@pytest.mark.parametrize("metadata", [{"year": 1}, '{"year": 1}'])
def test_metadata_may_be_a_field_of_its_own(metadata):
    translator = Translator(FieldMapping(metadata="m"))
    fields = {"id": "a", "text": "t", "m": metadata, "other": 1}
    made = translator.document(Record(where="x", fields=fields, num_bytes=0))
    assert made.metadata == {"year": 1}
    assert translator.unused == {"other"}
    for nothing in (None, ""):
        assert translated({"id": "a", "text": "t", "m": nothing}, metadata="m").metadata == {}


def test_numbers_of_csv_are_numbers_where_it_says_so():
    fields = {"n": "1.5", "i": " 007 ", "l": str(2**62), "zip": "01234", "m": "", "f": 2.0}
    made = translated(
        {"id": "a", "text": "t"} | fields, numbers=("n", "i", "l", "m", "f", "missing")
    )
    expected = {"n": 1.5, "i": 7, "l": 2**62, "zip": "01234", "m": None, "f": 2.0}
    assert json.dumps(made.metadata) == json.dumps(expected)


def test_a_number_may_stand_for_a_text():
    assert translated({"id": 1, "text": 1984, "title": 2.5}) == Document("1", "1984", "2.5")


def test_a_title_alone_will_do_where_the_text_is_empty_but_not_where_it_has_no_field():
    assert translated({"id": "a", "title": "T", "text": ""}) == Document("a", "", "T")
    assert translated({"id": "a", "title": "T", "body": "t"}).kind == "records without a text"


DEEP = json.loads("[" * 40 + "]" * 40)


@pytest.mark.parametrize(
    ("fields", "mapping", "said"),
    [
        ({"text": "t"}, {}, "no field 'id'; --id-field names the one with the id, here are text"),
        ({"id": "", "text": "t"}, {}, "an empty field 'id'; --id-field"),
        ({"id": None, "text": "t"}, {}, "an empty field 'id'; --id-field"),
        (
            {},
            {},
            "--id-field names the one with the id, --text-field the one with the text, here are",
        ),
        (
            {"id": "a", **dict.fromkeys("bcdefghijk", 1)},
            {},
            "no field 'text'; --text-field names the one with the text, here are "
            'id, b, c, d, e, f, g, h and 3 more (id "a")',
        ),
        ({"id": "a", "text": ""}, {}, "an empty field 'text'; --text-field"),
        ({"id": "a", "text": ["x", "y"]}, {}, "field 'text' holds a list of 2, a text is needed"),
        ({"id": "a", "text": {"x": 1}}, {}, "field 'text' holds an object of 1, a text is needed"),
        ({"id": "a", "text": "t", "title": ["x"]}, {}, "field 'title' holds a list of 1"),
        ({"id": "a", "text": True}, {}, "field 'text' holds true, a text is needed"),
        (
            {"id": ["a"], "text": "t"},
            {},
            "field 'id' holds a list of 1, an id is a text or a whole",
        ),
        ({"id": 1.5, "text": "t"}, {}, "field 'id' holds 1.5, an id is a text or a whole number"),
        ({"id": "x" * 513, "text": "t"}, {}, "an id of 513 bytes of UTF-8, at most 512"),
        ({"id": "é" * 257, "text": "t"}, {}, "an id of 514 bytes of UTF-8, at most 512"),
        ({"id": "a\tb", "text": "t"}, {}, "field 'id' holds the control character U+0009"),
        ({"id": "a\ud800", "text": "t"}, {}, "field 'id' holds half a character"),
        ({"id": "a", "text": "a\0b"}, {}, "field 'text' holds a NUL at character 1"),
        ({"id": "a", "text": "\udfff"}, {}, "field 'text' holds half a character"),
        ({"id": "a", "text": "t", "title": "x" * 8193}, {}, "8,193 bytes of UTF-8, a title has"),
        ({"id": "a", "text": "t", "x": math.nan}, {}, "field 'x' holds nan, JSON's numbers are"),
        ({"id": "a", "text": "t", "x": [{"y": math.inf}]}, {}, "field 'x[0].y' holds inf"),
        ({"id": "a", "text": "t", "x": 2**63}, {}, "field 'x' holds 9223372036854775808, integers"),
        ({"id": "a", "text": "t", "x": "\ud800"}, {}, "field 'x' holds half a character"),
        ({"id": "a", "text": "t", "x": {"\ud800": 1}}, {}, "a key of the metadata holds a lone"),
        ({"id": "a", "text": "t", "x": b"raw"}, {}, "field 'x' holds a bytes, which JSON has no"),
        ({"id": "a", "text": "t", "x": DEEP}, {}, "field 'x' nests objects and lists deeper than"),
        (
            {"id": "a", "text": "t", **{str(n): n for n in range(1_025)}},
            {},
            "metadata has more than 1,024 fields",
        ),
        ({"id": "a", "text": "t", "v": {}}, {"vector": "v"}, "field 'v' holds an object of 0, a"),
        ({"id": "a", "text": "t", "v": "{"}, {"vector": "v"}, "field 'v' is not JSON"),
        ({"id": "a", "text": "t", "v": []}, {"vector": "v"}, "field 'v' holds an empty list"),
        ({"id": "a", "text": "t", "v": [1, "2"]}, {"vector": "v"}, "field 'v' holds \"2\" among"),
        ({"id": "a", "text": "t", "v": [10**400]}, {"vector": "v"}, "field 'v' holds 1000"),
        ({"id": "a", "text": "t", "v": [1, math.nan]}, {"vector": "v"}, "'v' holds nan among its"),
        ({"id": "a", "text": "t", "v": [1e39]}, {"vector": "v"}, "field 'v' holds 1e+39 among"),
        (
            {"id": "a", "text": "t", "v": [1, 2]},
            {"vector": "v", "dimension": 3},
            "field 'v' holds 2 numbers, the collection's vectors have 3",
        ),
        (
            {"id": "a", "text": "t"},
            {"vector": "v", "needs_vector": True},
            "no field 'v'; the collection has no encoder, so every document brings its vector; "
            "here are id, text",
        ),
        ({"id": "a", "text": "t", "m": [1]}, {"metadata": "m"}, "field 'm' holds a list of 1, an"),
        ({"id": "a", "text": "t", "m": "{"}, {"metadata": "m"}, "field 'm' is not JSON"),
        ({"id": "a", "text": "t", "m": "[" * 10**5}, {"metadata": "m"}, "field 'm' is not JSON"),
        (
            {"id": "a", "text": "t", "n": "x"},
            {"numbers": ("n",)},
            "field 'n' holds \"x\", --number",
        ),
        ({"id": "a", "text": "t", "n": "nan"}, {"numbers": ("n",)}, "field 'n' holds \"nan\", --"),
        ({"id": "a", "text": "t", "n": "1e999"}, {"numbers": ("n",)}, "field 'n' holds inf, JSON"),
        ({"id": "a", "text": "t", "n": "9" * 5000}, {"numbers": ("n",)}, "field 'n' holds inf"),
        ({"id": "a", "text": "t", "n": ["1"]}, {"numbers": ("n",)}, "field 'n' holds a list of 1"),
    ],
)
def test_a_record_that_can_be_no_document_is_named_with_field_value_and_way_out(
    fields, mapping, said
):
    made = translated(fields, **mapping)
    assert isinstance(made, LeftOut)
    assert str(made).startswith("x.csv:2: ")
    assert said in made.reason
    assert len(made.reason) < 300
    if fields.get("id") == "a":
        assert made.reason.endswith('(id "a")')


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(st.characters(), max_size=4)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(), max_size=3), values, max_size=4))
def test_metadata_is_refused_where_a_server_would_refuse_it_and_nowhere_else(metadata):
    try:
        encode_metadata(metadata, "metadata")
    except InvalidDocumentError:
        is_right = False
    else:
        is_right = True
    fields = {"id": "a", "text": "t", "m": metadata}
    made = translated(fields, metadata="m")
    assert isinstance(made, Document) is is_right


@pytest.mark.parametrize("depth", [31, 32])
def test_metadata_may_be_as_deep_as_on_a_server(depth):
    inner = json.loads("[" * depth + "]" * depth)
    made = translated({"id": "a", "text": "t", "x": inner})
    assert isinstance(made, Document) is (depth < 32)
