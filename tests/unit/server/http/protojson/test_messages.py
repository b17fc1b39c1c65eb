"""Messages from and to JSON, beside protobuf's own `json_format`."""

import json
import math
import tracemalloc
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.server.errors import InvalidRequestError
from twopass.server.http.protojson.reading import MessageReader, num_containers
from twopass.server.http.protojson.writing import MessageWriter
from twopass.v1 import (
    collection_pb2,
    document_pb2,
    embed_pb2,
    filter_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)

TYPES = [
    collection_pb2.CreateCollectionRequest,
    collection_pb2.GetCollectionResponse,
    collection_pb2.GetFacetsResponse,
    collection_pb2.UpdateMetadataRequest,
    collection_pb2.UpsertDocumentsRequest,
    embed_pb2.EmbedResponse,
    rerank_pb2.RerankRequest,
    rerank_pb2.RerankResponse,
    search_pb2.BatchSearchRequest,
    search_pb2.BatchSearchResponse,
    search_pb2.SearchRequest,
    server_pb2.GetServerInfoResponse,
]

texts = st.text(st.characters(codec="utf-8"), max_size=20)
json_numbers = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), texts, json_numbers),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return texts
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_ENUM:
            return st.sampled_from([value.number for value in field.enum_type.values])
        case FieldDescriptor.CPPTYPE_FLOAT:
            return st.floats(width=32, allow_subnormal=False).filter(
                lambda x: not 3.4e38 < abs(x) < math.inf
            )
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return st.floats()
        case FieldDescriptor.CPPTYPE_INT32:
            return st.integers(-(2**31), 2**31 - 1)
    return st.integers(-(2**63), 2**63 - 1)


@st.composite
def messages(draw: st.DrawFn, kind: Any, depth: int = 4) -> Message:
    """A message of a type with any of its fields set."""
    message = kind()
    fields = list(kind.DESCRIPTOR.fields)
    for field in draw(st.lists(st.sampled_from(fields), unique_by=lambda f: f.name, max_size=6)):
        count = draw(st.integers(0, 3)) if field.is_repeated else 1
        inner = field.message_type
        if inner is None:
            values = [draw(scalars(field)) for _ in range(count)]
            if field.is_repeated:
                getattr(message, field.name).extend(values)
            else:
                setattr(message, field.name, values[0])
        elif inner.GetOptions().map_entry:
            entries = st.dictionaries(texts, scalars(inner.fields_by_name["value"]), max_size=3)
            getattr(message, field.name).update(draw(entries))
        elif depth and inner.name != "Any":
            held = getattr(message, field.name)
            for _ in range(count):
                target = held.add() if field.is_repeated else held
                target.CopyFrom(draw(inner_messages(inner, depth - 1)))
                target.SetInParent()
    return message


def inner_messages(descriptor: Any, depth: int) -> st.SearchStrategy[Message]:
    kind = message_factory.GetMessageClass(descriptor)
    match descriptor.name:
        case "Struct" | "Value" | "ListValue":
            values = {
                "Struct": st.dictionaries(texts, json_values, max_size=3),
                "Value": json_values,
                "ListValue": st.lists(json_values, max_size=3),
            }[descriptor.name]
            return values.map(lambda value: json_format.ParseDict(value, kind()))
        case "Duration":
            return st.integers(-(10**15), 10**15).map(
                lambda n: kind(seconds=abs(n) // 10**9 * (n > 0), nanos=abs(n) % 10**9 * (n > 0))
            )
        case "Timestamp":
            return st.builds(kind, seconds=st.integers(0, 2**32), nanos=st.integers(0, 10**9 - 1))
    return messages(kind, depth)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.DESCRIPTOR.name)
@pytest.mark.parametrize("whole", [False, True], ids=["connect", "rest"])
def test_json_is_what_json_format_writes_and_reads(kind: Any, whole: bool) -> None:
    reader = MessageReader(kind.DESCRIPTOR, ignores_unknown=False)
    writer = MessageWriter(kind.DESCRIPTOR, whole=whole)

    @settings(max_examples=25, deadline=None)
    @given(messages(kind))
    def agree(message: Message) -> None:
        written = writer.write(message)
        theirs = json_format.MessageToDict(
            message,
            preserving_proto_field_name=whole,
            always_print_fields_with_no_presence=whole,
        )
        assert json.loads(written) == json.loads(json.dumps(theirs))
        assert reader.read(written) == json_format.ParseDict(theirs, kind())

    agree()


def read(kind: Any, body: str | bytes, *, ignores_unknown: bool = False) -> Any:
    content = body.encode() if isinstance(body, str) else body
    return MessageReader(kind.DESCRIPTOR, ignores_unknown=ignores_unknown).read(content)


def test_fields_are_read_by_both_of_their_names() -> None:
    for name in ("top_n", "topN"):
        assert read(rerank_pb2.RerankRequest, f'{{"{name}": 3}}').top_n == 3


def test_null_leaves_a_field_unset() -> None:
    assert read(rerank_pb2.RerankRequest, '{"query": null, "blend": null, "candidates": null}') == (
        rerank_pb2.RerankRequest()
    )


def test_null_is_a_value_where_json_values_are_expected() -> None:
    condition = read(filter_pb2.FieldCondition, '{"field": "a", "equal_to": null}')
    assert condition.WhichOneof("test") == "equal_to"
    assert read(filter_pb2.Literal, '{"null": null}').WhichOneof("literal") == "null"


def test_integers_are_read_as_numbers_and_as_texts() -> None:
    for written in ("9007199254740993", '"9007199254740993"'):
        assert read(filter_pb2.Literal, f'{{"integer": {written}}}').integer == 9007199254740993
    assert read(rerank_pb2.RerankRequest, '{"topN": 1e2}').top_n == 100


def test_what_newer_clients_send_is_passed_over_where_it_must_be() -> None:
    body = '{"query": "a", "later": {"x": [{"y": 1}]}, "top_n": 2}'
    request = read(rerank_pb2.RerankRequest, body, ignores_unknown=True)
    assert (request.query, request.top_n) == ("a", 2)


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (rerank_pb2.RerankRequest, "", "body: it is empty"),
        (rerank_pb2.RerankRequest, "{", "body: no JSON"),
        (rerank_pb2.RerankRequest, "[]", "body: a list given, an object is needed"),
        (rerank_pb2.RerankRequest, b"\xff", "body: not UTF-8"),
        (rerank_pb2.RerankRequest, '{"query": 5}', "query: 5 given, a text is needed"),
        (
            rerank_pb2.RerankRequest,
            '{"candidates": [{}, {"text": true}]}',
            "candidates[1].text: true given, a text is needed",
        ),
        (rerank_pb2.RerankRequest, '{"candidates": [null]}', "candidates[0]: null given, an obj"),
        (rerank_pb2.RerankRequest, '{"top_n": 1.5}', "top_n: 1.5 given, an integer is needed"),
        (rerank_pb2.RerankRequest, '{"top_n": true}', "top_n: true given, an integer is needed"),
        (rerank_pb2.RerankRequest, '{"top_n": 2147483648}', "top_n: 2147483648 given, at least"),
        (filter_pb2.Literal, '{"integer": 9223372036854775808}', "integer: "),
        (filter_pb2.Literal, '{"integer": -9223372036854775809}', "integer: "),
        (rerank_pb2.RerankRequest, '{"blend": NaN}', "blend: NaN given, which is no JSON"),
        (rerank_pb2.RerankRequest, '{"blend": 1e39}', "blend: 1e+39 given, which is beyond"),
        (rerank_pb2.RerankRequest, '{"blend": 1e999}', "blend: Infinity given, which is beyond"),
        (rerank_pb2.RerankRequest, '{"return_text": 1}', "return_text: 1 given, true or false"),
        (rerank_pb2.RerankRequest, '{"querry": ""}', "querry: no such field; did you mean query?"),
        (rerank_pb2.RerankRequest, '{"zzz": ""}', "zzz: no such field; RerankRequest has query, "),
        (
            rerank_pb2.RerankRequest,
            '{"truncation": "max_window"}',
            'truncation: "max_window" given; did you mean TRUNCATION_MAX_WINDOW? it is one of',
        ),
        (rerank_pb2.RerankRequest, '{"query": "a", "query": "b"}', "query: given twice in one"),
        (
            rerank_pb2.RerankRequest,
            '{"top_n": 1, "topN": 1}',
            "top_n: given twice, as top_n and as topN",
        ),
        (
            rerank_pb2.RerankRequest,
            '{"candidates": [{"text": "a", "text": "b"}]}',
            "candidates[0].text: given twice in one object; leave one out",
        ),
        (
            document_pb2.Document,
            '{"metadata": {"a": [{"b": 1, "b": 2}]}}',
            "metadata.a[0].b: given twice in one object",
        ),
        (
            search_pb2.RetrieveOptions,
            '{"rrf": {}, "convex": {}}',
            "convex: given together with rrf; give one",
        ),
        (document_pb2.Vector, '{"values": [1, 2, "x"]}', 'values[2]: "x" given, a number'),
        (document_pb2.Vector, '{"values": [1, NaN]}', "values[1]: NaN given, which is no JSON"),
        (document_pb2.Vector, '{"values": [1, true]}', "values[1]: true given, a number"),
        (document_pb2.Vector, '{"values": [1e39]}', "values[0]: 1e+39 given, which is beyond"),
        (search_pb2.SearchRequest, '{"time_budget": "1"}', 'time_budget: "1" given, a duration'),
        (search_pb2.SearchRequest, '{"time_budget": 1}', "time_budget: 1 given, a duration"),
        (filter_pb2.Literal, '{"time": "yesterday"}', 'time: "yesterday" given, a time such'),
        (
            document_pb2.Document,
            '{"metadata": {"n": {"id": 9007199254740993}}}',
            "metadata.n.id: 9007199254740993 given, which no double can hold exactly",
        ),
        (rerank_pb2.RerankRequest, '{"query": "\\ud800"}', "query: half of a surrogate pair"),
        (document_pb2.Document, '{"metadata": {"a": "\\ud800"}}', "metadata.a: half of a surr"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_what_is_wrong_is_told_with_its_field(kind: Any, body: str | bytes, told: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(kind, body)
    assert str(caught.value).startswith(told)


def test_colons_and_quotes_in_texts_are_no_keys() -> None:
    text = '{"a":1,"a":2} \\":" ":'
    body = json.dumps({"query": text, "candidates": [{"text": text, "id": ":"}]})
    request = read(rerank_pb2.RerankRequest, body)
    assert request.query == request.candidates[0].text == text


@pytest.mark.parametrize("levels", [10, 90, 101, 400, 100_000], ids="levels={}".format)
@pytest.mark.parametrize("opening", ['{"a":', "["], ids=["objects", "lists"])
def test_what_is_nested_too_deep_is_refused_and_the_rest_can_be_encoded(
    levels: int, opening: str
) -> None:
    closing = "}" if opening[0] == "{" else "]"
    body = f'{{"metadata": {{"a": {opening * levels}1{closing * levels}}}}}'
    if levels == 10:
        assert read(document_pb2.Document, body).SerializeToString()
        return
    with pytest.raises(InvalidRequestError, match=r"nested (too deep|deeper than 100)"):
        read(document_pb2.Document, body)


def test_filters_inside_filters_are_read_as_deep_as_protobuf_encodes_them() -> None:
    def nested(levels: int) -> str:
        return '{"must": [{"filter": ' * levels + "{}" + "}]}" * levels

    assert read(filter_pb2.Filter, nested(45)).SerializeToString()
    with pytest.raises(InvalidRequestError, match="nested deeper than 100 messages"):
        read(filter_pb2.Filter, nested(60))


def test_bodies_of_far_too_many_objects_are_refused_before_they_are_parsed() -> None:
    body = '{"candidates": [' + ",".join(["{}"] * 250_001) + "]}"
    with pytest.raises(InvalidRequestError, match=r"body: 250,003 objects and lists"):
        read(rerank_pb2.RerankRequest, body)


def test_brackets_in_texts_are_no_objects() -> None:
    body = json.dumps({"query": "{[" * 200_000 + '\\"'})
    assert len(read(rerank_pb2.RerankRequest, body).query) == 400_002


@given(
    st.recursive(
        st.text(st.sampled_from('{}[]"\\\\a')) | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.integers(2, 40),
)
def test_objects_and_lists_are_counted_whatever_stands_in_texts(value: Any, piece: int) -> None:
    def count(of: Any) -> int:
        if isinstance(of, dict):
            of = list(of.values())
        return 1 + sum(map(count, of)) if isinstance(of, list) else 0

    assert num_containers(json.dumps(value).encode(), piece_bytes=piece) == count(value)


def test_counting_objects_takes_little_memory_beside_the_body() -> None:
    body = b'"' + b"{\\n" * 1_000_000 + b'"'
    tracemalloc.start()
    assert num_containers(body) == 0
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000


def test_numbers_of_javascript_beyond_2_to_the_53_are_read() -> None:
    # JSON.stringify(2 ** 60): the fewest digits that tell the double from others, then zeros.
    body = '{"metadata": {"n": 1152921504606847000}}'
    assert read(document_pb2.Document, body).metadata["n"] == float(2**60)


def test_details_inside_of_messages_are_for_clients_that_read_any_type_of_them() -> None:
    response = search_pb2.BatchSearchResponse()
    error = response.results.add().error
    error.code = 5
    error.details.add().Pack(error_details_pb2.ErrorInfo(reason="A"))
    kind = search_pb2.BatchSearchResponse.DESCRIPTOR
    assert json.loads(MessageWriter(kind, whole=False).write(response)) == {
        "results": [{"error": {"code": 5}}]
    }
    (result,) = json.loads(MessageWriter(kind, whole=True).write(response))["results"]
    assert result["error"]["details"] == [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "A"}
    ]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=30))
def test_vectors_come_back_bit_for_bit(values: list[float]) -> None:
    vector = document_pb2.Vector(values=values)
    for whole in (False, True):
        written = MessageWriter(document_pb2.Vector.DESCRIPTOR, whole=whole).write(vector)
        assert read(document_pb2.Vector, written) == vector


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_have_the_fewest_digits(value: float) -> None:
    hit = rerank_pb2.RerankHit(score=value)
    written = json.loads(MessageWriter(rerank_pb2.RerankHit.DESCRIPTOR, whole=True).write(hit))
    assert np.float32(written["score"]) == np.float32(value)
    assert len(Decimal(repr(written["score"])).normalize().as_tuple().digits) <= 9


def test_what_is_not_finite_is_written_as_proto_json_has_it() -> None:
    hit = rerank_pb2.RerankHit(score=math.nan, logit=-math.inf)
    written = json.loads(MessageWriter(rerank_pb2.RerankHit.DESCRIPTOR, whole=False).write(hit))
    assert written == {"score": "NaN", "logit": "-Infinity"}
