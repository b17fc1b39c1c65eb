"""Candidates as the core reads them from a request's bytes, against protobuf."""

import math
import sys
import unicodedata
from collections.abc import Sequence

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import Texts, read_candidates
from twopass.v1 import rerank_pb2
from twopass.v1.spans_pb2 import SpanOptions

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_FLOATS = st.none() | st.floats(width=32)
_CANDIDATE = st.builds(
    rerank_pb2.Candidate,
    text=_TEXT,
    title=st.just("") | _TEXT,
    id=_TEXT,
    first_pass_score=_FLOATS,
)
_REQUEST = st.builds(
    rerank_pb2.RerankRequest,
    query=_TEXT,
    candidates=st.lists(_CANDIDATE, max_size=12),
    top_n=st.integers(-(2**31), 2**31 - 1),
    model=_TEXT,
    truncation=st.integers(0, 200),
    blend=_FLOATS,
    min_score=_FLOATS,
    return_text=st.booleans(),
    instruction=_TEXT,
    query_truncation=st.integers(0, 3),
    spans=st.none() | st.builds(SpanOptions),
)
_MOST_BYTES, _MOST_ID_BYTES = 120, 60


def read(content, *, max_candidates=10, max_rest_bytes=4_096):
    return read_candidates(
        content,
        max_candidates=max_candidates,
        max_passage_bytes=_MOST_BYTES,
        max_id_bytes=_MOST_ID_BYTES,
        max_rest_bytes=max_rest_bytes,
    )


def passage_of(candidate):
    """As the servicer reads those of a message."""
    title, text = candidate.title, candidate.text
    return f"{title} {text}".strip() if title else text


def is_allowed(candidate):
    passage = passage_of(candidate)
    return (
        0 < len(passage.encode()) <= _MOST_BYTES
        and len(candidate.id.encode()) <= _MOST_ID_BYTES
        and "\0" not in candidate.title + candidate.text + candidate.id
        and math.isfinite(candidate.first_pass_score)
    )


def assert_same(found, message):
    """Whether what was read is what protobuf has read."""
    passages, ids, scores, has_score, rest = found
    candidates = message.candidates
    assert list(passages) == [passage_of(candidate) for candidate in candidates]
    assert passages.num_chars.tolist() == [len(passage) for passage in passages]
    assert list(ids) == [candidate.id for candidate in candidates]
    assert scores.tolist() == [candidate.first_pass_score for candidate in candidates]
    assert has_score.tolist() == [c.HasField("first_pass_score") for c in candidates]
    without = rerank_pb2.RerankRequest.FromString(message.SerializeToString())
    without.ClearField("candidates")
    assert rerank_pb2.RerankRequest.FromString(rest).SerializeToString() == (
        without.SerializeToString()
    )


@given(_REQUEST)
def test_what_protobuf_writes_is_read_as_protobuf_reads_it_where_all_is_allowed(message):
    found = read(message.SerializeToString())
    candidates = message.candidates
    assert (found is not None) == (0 < len(candidates) <= 10 and all(map(is_allowed, candidates)))
    if found is not None:
        assert_same(found, message)


@given(_REQUEST, st.data())
def test_of_any_bytes_nothing_is_read_or_what_protobuf_reads(message, data):
    content = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        if not content:
            break
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["change", "remove", "repeat", "insert"])):
            case "change":
                content[place] = data.draw(st.integers(0, 255))
            case "remove":
                del content[place : place + data.draw(st.integers(1, 8))]
            case "repeat":
                content[place:place] = content[place : place + data.draw(st.integers(1, 30))]
            case "insert":
                content[place:place] = data.draw(st.binary(max_size=6))
    found = read(bytes(content))
    if found is None:
        return
    try:
        expected = rerank_pb2.RerankRequest.FromString(bytes(content))
    except DecodeError:
        with pytest.raises(DecodeError):  # what the core leaves is what protobuf refuses
            rerank_pb2.RerankRequest.FromString(found[-1])
    else:
        assert_same(found, expected)


@given(
    st.lists(
        st.sampled_from(
            [
                b"a",
                b"\x80",
                b"\xbf",
                b"\xc2",
                b"\xe0\xa0",
                b"\xed",
                b"\xf0\x90",
                b"\xf4",
                b"\xc0",
                b"\xff",
                "é".encode(),
                "€".encode(),
                "😀".encode(),
            ]
        ),
        min_size=1,
        max_size=12,
    ).map(b"".join)
)
def test_texts_are_utf8_as_python_reads_it(text):
    candidate = b"\x0a" + bytes([len(text)]) + text
    found = read(b"\x12" + bytes([len(candidate)]) + candidate)
    try:
        expected = text.decode()
    except UnicodeDecodeError:
        assert found is None
    else:
        assert list(found[0]) == [expected]


def test_white_space_around_title_and_text_is_what_python_strips():
    for number in range(1, sys.maxunicode + 1):
        character = chr(number)
        is_space = character.isspace()
        if unicodedata.category(character) == "Cs" or (not is_space and number > 0x3100):
            continue
        message = rerank_pb2.RerankRequest()
        message.candidates.add(title=f"{character}{character}t", text=f"x{character}{character}")
        (passages, *_) = read(message.SerializeToString())
        expected = f"{character}{character}t x{character}{character}".strip()
        assert passages[0] == expected, hex(number)


def test_nothing_is_left_of_title_and_text_of_white_space_alone():
    message = rerank_pb2.RerankRequest()
    message.candidates.add(title="\u3000 \u2028", text="\x85\t")
    assert read(message.SerializeToString()) is None


def test_of_a_field_that_comes_again_the_last_counts():
    first = rerank_pb2.Candidate(text="one", id="a", first_pass_score=1.0).SerializeToString()
    then = rerank_pb2.Candidate(text="two", title="t", first_pass_score=0.0).SerializeToString()
    candidate = first + then
    found = read(b"\x12" + bytes([len(candidate)]) + candidate)
    assert list(found[0]) == ["t two"]
    assert list(found[1]) == ["a"]
    assert (found[2].tolist(), found[3].tolist()) == ([0.0], [True])


@pytest.mark.parametrize(
    "unknown",
    [
        b"\x28\x01",
        b"\x2a\x01x",
        b"\x2d1234",
        b"\x2912345678",
        b"\x0b\x0c",
        b"\x08\x01",
        b"\x22\x00",
    ],
    ids=["varint", "bytes", "fixed32", "fixed64", "group", "text as a number", "score as bytes"],
)
def test_an_unknown_field_of_a_candidate_is_left_to_protobuf(unknown):
    candidate = rerank_pb2.Candidate(text="text").SerializeToString() + unknown
    content = b"\x12" + bytes([len(candidate)]) + candidate
    assert rerank_pb2.RerankRequest.FromString(content).candidates[0].text == "text"
    assert read(content) is None


def test_unknown_fields_of_the_request_are_kept_for_protobuf():
    known = rerank_pb2.RerankRequest(query="q")
    known.candidates.add(text="text")
    unknown = b"\xf8\x07\x05" + b"\xfa\x07\x02ab" + b"\xfd\x071234" + b"\xf9\x0712345678"
    found = read(unknown + known.SerializeToString() + unknown)
    assert found[-1] == unknown + rerank_pb2.RerankRequest(query="q").SerializeToString() + unknown


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("candidates", rerank_pb2.RerankRequest(candidates=[rerank_pb2.Candidate(text="a")] * 11)),
        ("rest", rerank_pb2.RerankRequest(query="q" * 5_000)),
        ("none", rerank_pb2.RerankRequest(query="q")),
    ],
    ids=["too many", "other fields too long", "none"],
)
def test_what_breaks_a_limit_is_left_to_protobuf(limit, message):
    if limit == "rest":
        message.candidates.add(text="a")
    assert read(message.SerializeToString()) is None


def test_texts_are_a_sequence_that_outlives_what_it_was_read_from():
    message = rerank_pb2.RerankRequest()
    for i in range(5):
        message.candidates.add(text=f"text {i}", title="title" if i % 2 else "")
    passages = read(message.SerializeToString())[0]
    del message
    expected = ["text 0", "title text 1", "text 2", "title text 3", "text 4"]
    assert isinstance(passages, Texts)
    assert isinstance(passages, Sequence)
    assert (len(passages), list(passages), passages[-1]) == (5, expected, "text 4")
    assert "text 2" in passages
    for wrong in (5, -6):
        with pytest.raises(IndexError):
            passages[wrong]


@given(st.slices(5) | st.builds(slice, *[st.none() | st.integers(-9, 9)] * 2))
def test_a_slice_of_texts_is_texts(places):
    texts = [f"text {i}" for i in range(5)]
    message = rerank_pb2.RerankRequest()
    for text in texts:
        message.candidates.add(text=text)
    part = read(message.SerializeToString())[0][places]
    del message
    assert isinstance(part, Texts)
    assert list(part) == texts[places]
    assert part.num_chars.tolist() == [len(text) for text in texts[places]]
