"""What the words of the dialects mean, and how much room a component may take in an answer."""

import asyncio

import numpy as np
import pytest

from twopass.engines.base.sequences import Side
from twopass.server.errors import InvalidRequestError
from twopass.server.http.dialects.embedding import (
    component_bytes,
    max_texts,
    read_cutting,
    read_is_query,
    read_vector_type,
    texts_of,
    told_of_cuts,
    written,
)
from twopass.server.http.vectors import VectorType
from twopass.server.models.passages import Limits, Overlong
from twopass.server.models.texts import EmbeddedTexts


def embedded(vectors: np.ndarray, truncated: list[bool]) -> EmbeddedTexts:
    lengths = np.full(len(vectors), 3, np.int32)
    return EmbeddedTexts(vectors, np.array(truncated, np.bool_), lengths, 3 * len(vectors), "model")


@pytest.mark.parametrize(
    ("max_documents", "expected"), [(5, 5), (999, 999), (1_000, 2_048), (9_000, 9_000)]
)
def test_as_many_texts_may_come_as_openai_takes_unless_the_operator_allows_fewer(
    max_documents, expected
):
    limits = Limits(
        max_candidates=1, max_documents=max_documents, max_passage_bytes=1, max_query_bytes=1
    )
    assert max_texts(limits) == expected


@pytest.mark.parametrize("kind", ["query", "search_query", "retrieval.query"])
def test_queries_are_named_in_many_words(kind):
    assert read_is_query("input_type", kind)


@pytest.mark.parametrize(
    "kind", [None, "", "passage", "document", "search_document", "clustering", "retrieval.passage"]
)
def test_all_other_words_and_none_mean_passages(kind):
    assert not read_is_query("input_type", kind)


def test_a_word_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(InvalidRequestError, match=r"task: 'x+' given, it is query"):
        read_is_query("task", "x" * 100)
    with pytest.raises(InvalidRequestError, match="one of float, int8, uint8, binary, ubinary"):
        read_vector_type("output_dtype", "float64")
    with pytest.raises(InvalidRequestError, match="one of NONE, START, END"):
        read_cutting("truncate", "MIDDLE")


@pytest.mark.parametrize(
    ("stated", "overlong", "side"),
    [
        (None, Overlong.CUT, Side.END),
        ("END", Overlong.CUT, Side.END),
        ("end", Overlong.CUT, Side.END),
        ("START", Overlong.CUT, Side.START),
        ("NONE", Overlong.REFUSE, Side.END),
    ],
)
def test_long_texts_are_cut_at_their_end_unless_a_request_says_otherwise(stated, overlong, side):
    cutting = read_cutting("truncate", stated)
    assert (cutting.overlong, cutting.side) == (overlong, side)
    assert cutting.to_cut == "set truncate to END"


def test_token_ids_are_refused_with_the_way_out():
    assert texts_of("input", ["a", {"text": "b"}]) == ["a", "b"]
    for ids in ([1, 2], [[1], [2]], ["a", [3]]):
        with pytest.raises(InvalidRequestError, match="check_embedding_ctx_length=False"):
            texts_of("input", ids)


@pytest.mark.parametrize("kind", VectorType)
@pytest.mark.parametrize("is_base64", [False, True], ids=["numbers", "base64"])
def test_no_answer_is_larger_than_was_foreseen(kind, is_base64):
    """The longest numbers: nine digits, an exponent, a sign."""
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((20, 96)).astype(np.float32) * np.float32(1.2345678e-9)
    vectors[0] = np.float32(-1.17549435e-38)
    rows = asyncio.run(written(embedded(vectors, [False] * 20), kind, is_base64=is_base64))
    most = component_bytes(kind, is_base64=is_base64) * vectors.shape[1] + 16
    assert max(len(bytes(row)) for row in rows) <= most


def test_the_header_counts_the_texts_that_were_cut():
    vectors = np.zeros((3, 2), np.float32)
    assert told_of_cuts(embedded(vectors, [False, False, False])) == ()
    told = told_of_cuts(embedded(vectors, [True, False, True]))
    assert told == (("x-twopass-texts-truncated", "2"),)
