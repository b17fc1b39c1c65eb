import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import CandidateSet, InvalidArgumentError, Passage, Span
from twopass.client._channel import STREAMED_MESSAGE_BYTES
from twopass.client._rerank import pieces
from twopass.v1 import rerank_pb2
from twopass.v1.rerank_pb2_grpc import RerankServiceServicer


class Reranks(RerankServiceServicer):
    """Answers every request alike and keeps the requests."""

    def __init__(self, response=None) -> None:
        self.requests = []
        self.response = response or rerank_pb2.RerankResponse()

    def Rerank(self, request, context):
        self.requests.append(request)
        return self.response


def test_passages_are_texts_or_have_more_to_say(serve, connect):
    reranks = Reranks()
    first = Passage("one", title="T", id="a", first_pass_score=0.0)
    connect(serve(reranks)).rerank("q", [first, "two"])
    assert reranks.requests == [
        rerank_pb2.RerankRequest(
            query="q",
            candidates=[
                rerank_pb2.Candidate(text="one", title="T", id="a", first_pass_score=0.0),
                rerank_pb2.Candidate(text="two"),
            ],
        )
    ]
    given_score, no_score = reranks.requests[0].candidates
    assert given_score.HasField("first_pass_score")
    assert not no_score.HasField("first_pass_score")


def test_every_option_of_a_rerank_reaches_the_server(serve, connect):
    reranks = Reranks()
    connect(serve(reranks)).rerank(
        "q",
        ["one"],
        top_n=5,
        model="mini",
        blend=0.0,
        truncation="reject",
        min_score=0.5,
        return_text=True,
        query_truncation="reject",
    )
    assert reranks.requests == [
        rerank_pb2.RerankRequest(
            query="q",
            candidates=[rerank_pb2.Candidate(text="one")],
            top_n=5,
            model="mini",
            blend=0.0,
            truncation=rerank_pb2.TRUNCATION_REJECT,
            min_score=0.5,
            return_text=True,
            query_truncation=rerank_pb2.QUERY_TRUNCATION_REJECT,
        )
    ]


def test_a_result_has_every_field_of_the_answer(serve, connect):
    hit = {"index": 1, "id": "b", "score": 0.5, "logit": -2.0, "truncated": True, "text": "two"}
    answer = {
        "hits": [hit | {"title": "T", "window": {"start": 2, "end": 5}}, {"index": 0}],
        "model": "mini",
        "blend": 0.25,
        "numBelowMinScore": 3,
        "numTokens": "70",
        "timings": {"total": "0.25s"},
    }
    response = ParseDict(answer, rerank_pb2.RerankResponse())
    result = connect(serve(Reranks(response))).rerank("q", ["one", "two"])
    best, other = result.hits
    assert (best.index, best.id, best.score, best.logit) == (1, "b", 0.5, -2.0)
    assert (best.title, best.text, best.truncated) == ("T", "two", True)
    assert best.window == Span(2, 5)
    assert other.window is None
    assert (result.model, result.blend, result.num_below_min_score) == ("mini", 0.25, 3)
    assert (result.num_tokens, result.timings.total_ms) == (70, 250)


@pytest.mark.parametrize("passages", ["a text", b"bytes", Passage("one")], ids=repr)
def test_one_passage_in_place_of_several_is_a_type_error(serve, connect, passages):
    reranks = Reranks()
    with pytest.raises(TypeError, match="passages: several are needed, a single"):
        connect(serve(reranks)).rerank("q", passages)
    assert reranks.requests == []


def test_a_bad_set_fails_where_it_is_made():
    with pytest.raises(InvalidArgumentError, match=r"passages\[1\]: holds a lone surrogate"):
        CandidateSet("s", "q", ["fine", "\ud800"])
    with pytest.raises(InvalidArgumentError, match=r"passages\[0\].title: .* at character 2"):
        CandidateSet("s", "q", [Passage("x", title="ab\udfff")])
    with pytest.raises(InvalidArgumentError, match="truncation: 'cut' given, one of truncate, "):
        CandidateSet("s", "q", ["x"], truncation="cut")
    with pytest.raises(TypeError, match=r"first_pass_score: a number is needed, str given"):
        CandidateSet("s", "q", [Passage("x", first_pass_score="0.5")])
    with pytest.raises(TypeError, match=r"passages\[0\]: a str is needed, int given"):
        CandidateSet("s", "q", [1])
    with pytest.raises(TypeError):
        CandidateSet("s", "q", ["x"], running="yes")


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=12), st.integers(1, 14))
def test_pieces_carry_the_set_once_and_every_candidate_in_order(texts, piece_size):
    sent = list(pieces(CandidateSet("s", "q", texts, top_n=2), piece_size))
    assert [c.text for piece in sent for c in piece.candidates] == texts
    assert all(len(piece.candidates) <= piece_size for piece in sent)
    assert all(len(piece.candidates) == piece_size for piece in sent[:-1])
    assert {piece.set_id for piece in sent} == {"s"}
    assert sent[0].set == rerank_pb2.RerankSet(query="q", num_candidates=len(texts), top_n=2)
    assert not any(piece.HasField("set") for piece in sent[1:])


def test_pieces_are_cut_by_size_too_and_a_large_passage_travels_alone():
    small, large = "s" * (STREAMED_MESSAGE_BYTES // 3), "l" * (2 * STREAMED_MESSAGE_BYTES)
    sent = list(pieces(CandidateSet("s", "q", [small, small, small, large, small]), 1_000))
    assert [len(piece.candidates) for piece in sent] == [2, 1, 1, 1]
