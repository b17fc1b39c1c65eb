import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.edge import messages
from twopass.server.edge.messages import (
    Decoder,
    encode_large,
    ensure_fits,
    is_large,
    is_large_answer,
)
from twopass.server.errors import InvalidRequestError, ResponseTooLargeError
from twopass.v1 import collection_pb2, document_pb2, rerank_pb2, search_pb2

RERANK = Decoder(rerank_pb2.RerankRequest.DESCRIPTOR)
UPSERT = Decoder(collection_pb2.UpsertDocumentsRequest.DESCRIPTOR)
# Every kind of field: numbers, texts, bytes packed and not, messages, maps, and messages in maps.
DOCUMENTS = st.builds(
    document_pb2.Document,
    id=st.text(max_size=20),
    text=st.text(max_size=300),
    vector=st.builds(
        document_pb2.Vector, values=st.lists(st.floats(width=32, allow_nan=False), max_size=40)
    ),
)
METADATA = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=40),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        ),
        max_leaves=8,
    ),
    max_size=6,
)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(messages, "_PIECE_BYTES", 16)
    monkeypatch.setattr(messages, "_PIECE_FIELDS", 3)
    monkeypatch.setattr(messages, "_MIN_CUT_ELEMENTS", 2)


@given(documents=st.lists(st.tuples(DOCUMENTS, METADATA), max_size=5))
def test_a_message_read_in_pieces_is_the_message_read_at_once(documents):
    request = collection_pb2.UpsertDocumentsRequest(collection="c")
    for document, metadata in documents:
        document.metadata.update(metadata)
        request.documents.append(document)
    content = request.SerializeToString()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "_PIECE_BYTES", 16)
        patch.setattr(messages, "_PIECE_FIELDS", 3)
        assert asyncio.run(UPSERT.decode_large(content)) == request


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused_in_pieces_as_at_once(content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "_PIECE_BYTES", 8)
        try:
            expected = UPSERT.decode(content)
        except InvalidRequestError:
            expected = None
        try:
            received = asyncio.run(UPSERT.decode_large(content))
        except InvalidRequestError:
            return  # groups, which no message of ours has, are refused in pieces alone
        assert received == expected


async def test_what_a_message_repeats_of_one_field_is_merged(small_pieces):
    first = search_pb2.SearchRequest(query="a" * 40, rerank={"depth": 3})
    second = search_pb2.SearchRequest(rerank={"model": "m" * 40})
    content = first.SerializeToString() + second.SerializeToString()
    decoder = Decoder(search_pb2.SearchRequest.DESCRIPTOR)
    message = await decoder.decode_large(content)
    assert message == search_pb2.SearchRequest.FromString(content)
    assert message.rerank.depth == 3


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a\x05ab",
        b"\xff\xff\xff\xff",
        b"\x0a\x01\xff",
        b"\x0b",
        b"\x0a" + b"\x80" * 11,
        b"\x00\x00",
    ],
    ids=["cut short", "no field", "no UTF-8", "a group", "an endless number", "number 0"],
)
async def test_bytes_that_are_no_message_are_refused_in_pieces_too(small_pieces, content):
    with pytest.raises(InvalidRequestError, match=r"not a twopass\.v1\.RerankRequest"):
        await RERANK.decode_large(content)


async def test_more_fields_than_any_request_has_are_refused_before_they_are_objects():
    """Two bytes of a message become an object of a hundred: 64 MB would take gigabytes."""
    content = rerank_pb2.RerankRequest(candidates=[{}] * 1_000).SerializeToString() * 1_000
    with pytest.raises(InvalidRequestError, match="more than 281,250 fields"):
        await RERANK.decode_large(content)


async def test_any_number_of_documents_with_as_many_fields_as_they_may_have_is_decoded():
    document = document_pb2.Document(text="word")
    document.metadata.update({f"key {i}": [1.0] * 6 for i in range(1_024)})
    request = collection_pb2.UpsertDocumentsRequest(documents=[document] * 260)
    assert await UPSERT.decode_large(request.SerializeToString()) == request


async def test_a_text_that_no_setting_allows_is_refused_by_its_length():
    content = rerank_pb2.RerankRequest(query="x" * 2**24).SerializeToString()
    with pytest.raises(InvalidRequestError, match="query: 16,777,216 bytes, at most 8,388,608"):
        await RERANK.decode_large(content)
    allowing = Decoder(rerank_pb2.RerankRequest.DESCRIPTOR, max_value_bytes=2**24)
    assert len((await allowing.decode_large(content)).query) == 2**24


async def test_nesting_without_end_is_refused(small_pieces):
    content = b"x" * 100
    inner = search_pb2.SearchRequest.DESCRIPTOR.fields_by_name["filter"].message_type
    must = inner.fields_by_name["must"]
    nested = must.message_type.fields_by_name
    filter_field = next(f for f in nested.values() if f.message_type is inner)
    decoder = Decoder(inner)
    for _ in range(60):
        for number in (filter_field.number, must.number):
            content = (
                messages._varint_bytes(number << 3 | 2)
                + messages._varint_bytes(len(content))
                + content
            )
    with pytest.raises(InvalidRequestError, match="nested too deep"):
        await decoder.decode_large(content)


async def test_the_loop_has_its_turns_while_a_large_message_is_decoded_and_encoded():
    request = rerank_pb2.RerankRequest(query="q")
    request.candidates.extend([rerank_pb2.Candidate(text="sky " * 1_000)] * 8_000)
    content = request.SerializeToString()
    assert is_large(content)
    assert is_large_answer(request)

    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    message = await RERANK.decode_large(content)
    turns_decoding, turns = turns, 0
    encoded = await encode_large(message)
    counting.cancel()
    # 32 MB take some 30 ms on a quiet machine; one that is busy gives more turns, not fewer.
    assert turns_decoding > 5
    assert turns > 5
    assert rerank_pb2.RerankRequest.FromString(encoded) == request


@given(texts=st.lists(st.text(max_size=40), max_size=6))
def test_an_answer_written_in_pieces_reads_as_one_written_at_once(texts):
    response = rerank_pb2.RerankResponse(model="m", hits=[{"text": text} for text in texts])
    expected = response.SerializeToString()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "_PIECE_BYTES", 16)
        patch.setattr(messages, "_MIN_CUT_ELEMENTS", 2)
        encoded = asyncio.run(encode_large(response))
    assert rerank_pb2.RerankResponse.FromString(encoded) == rerank_pb2.RerankResponse.FromString(
        expected
    )


def test_an_answer_that_grpc_would_not_send_is_an_error_with_a_way_out():
    ensure_fits(b"x" * 10, 10)
    with pytest.raises(ResponseTooLargeError, match=r"11 bytes, at most 10 .* ask for fewer"):
        ensure_fits(b"x" * 11, 10)
