"""What a search answers where its store has no room for a read between the passes, or can't do it.

The lists are found in every case: what is missing is left out and told, or the search is refused
where `fallback` forbids that.
"""

from collections.abc import Callable

import grpc
import pytest

from twopass.index.errors import LaneFullError, StorageError
from twopass.index.sqlite.retrieval import SqliteRetrieval
from twopass.v1 import search_pb2, spans_pb2
from twopass.v1.document_pb2 import DocumentFields
from twopass.v1.search_pb2 import (
    RerankOptions,
    RetrieveOptions,
    SearchResponse,
    WordClause,
    WordClauses,
)
from twopass.v1.spans_pb2 import SpanOptions

from .corpus import FACTS
from .fallback import FORBID, asking, failure_of

NO_RERANK = RerankOptions(enabled=False)
# The first of the list of words, which a question about Australia is not near to.
OF_CHESS = WordClauses(
    optional=[WordClause(phrase=word) for word in ("chess", "bishop", "moves", "diagonals")]
)
TWO_LISTS = {"retrieve": RetrieveOptions(k=2, words=OF_CHESS), "rerank": NO_RERANK}
WITHOUT_TEXTS = DocumentFields(text=False, metadata=True)
PROBLEMS = {
    "OVERLOAD": (LaneFullError("reads", 1_024, 0.5), grpc.StatusCode.RESOURCE_EXHAUSTED),
    "FAILED": (StorageError("the disk hums"), grpc.StatusCode.UNAVAILABLE),
}

every_problem = pytest.mark.parametrize("what", PROBLEMS)


@pytest.fixture
def failing(monkeypatch) -> Callable[..., None]:
    """Lets one step of all searches raise, or only where it is asked for some fields."""

    def fail(step: str, error: Exception, fields: Callable | None = None) -> None:
        whole = getattr(SqliteRetrieval, step)

        async def failing_step(self, keys, *asked, **named):
            if fields is None or fields(*asked):
                raise error
            return await whole(self, keys, *asked, **named)

        monkeypatch.setattr(SqliteRetrieval, step, failing_step)

    return fail


def refused(small, asked: dict) -> grpc.StatusCode:
    code: grpc.StatusCode = failure_of(small.search, asking(fallback=FORBID, **asked)).code()
    return code


def texts_alone(fields, *_) -> bool:
    """Whether texts are read that hits do not carry: those of spans."""
    return fields.text and not fields.metadata


@every_problem
def test_lists_are_joined_without_similarities_that_can_not_be_read(small, failing, what):
    error, code = PROBLEMS[what]
    failing("similar", error)
    response = small.search(asking(**TWO_LISTS))
    expected = search_pb2.RetrieveStatus.Value(f"RETRIEVE_STATUS_FUSED_{what}")
    assert response.retrieve_status == expected
    assert [hit.id for hit in response.hits if not hit.HasField("dense_rank")] == ["chess"]
    assert all(hit.HasField("fused_score") for hit in response.hits)
    assert refused(small, TWO_LISTS) is code


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("OVERLOAD", search_pb2.RERANK_STATUS_SKIPPED_OVERLOAD),
        ("FAILED", search_pb2.RERANK_STATUS_FAILED),
    ],
)
def test_candidates_that_can_not_be_read_are_answered_in_first_pass_order(
    small, failing, what, status
):
    error, code = PROBLEMS[what]
    in_order = small.search(asking(rerank=NO_RERANK))
    failing("load", error)
    response = small.search(asking())
    assert response.rerank_status == status
    assert ids(response) == ids(in_order)
    assert all(hit.text == FACTS[hit.id] for hit in response.hits)
    assert refused(small, {}) is code


@every_problem
def test_without_a_second_pass_nothing_is_missing_where_candidates_can_not_be_read(
    small, failing, what, caplog
):
    failing("load", PROBLEMS[what][0])
    response = small.search(asking(rerank=NO_RERANK))
    assert "not reranked" not in caplog.text
    assert response.rerank_status == search_pb2.RERANK_STATUS_DISABLED
    assert response.hits[0].text


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("OVERLOAD", spans_pb2.SPANS_STATUS_SKIPPED_OVERLOAD),
        ("FAILED", spans_pb2.SPANS_STATUS_FAILED),
    ],
)
def test_hits_come_without_spans_where_their_texts_can_not_be_read(small, failing, what, status):
    error, code = PROBLEMS[what]
    asked = {"spans": SpanOptions(), "fields": WITHOUT_TEXTS}
    plain = small.search(asking(fields=WITHOUT_TEXTS))
    failing("fetch_first", error, texts_alone)
    response = small.search(asking(**asked))
    assert response.spans_status == status
    assert ids(response) == ids(plain)
    assert not any(hit.spans for hit in response.hits)
    assert refused(small, asked) is code


@every_problem
def test_texts_that_hits_carry_have_spans_whatever_else_can_not_be_read(small, failing, what):
    failing("fetch_first", PROBLEMS[what][0], texts_alone)
    response = small.search(asking(spans=SpanOptions()))
    assert response.spans_status == spans_pb2.SPANS_STATUS_COMPLETE
    assert response.hits[0].spans


@every_problem
def test_what_hits_carry_is_never_left_out_for_that(small, failing, what):
    """An answer without it is none, whatever `fallback` says: the caller is to try again."""
    error, code = PROBLEMS[what]
    failing("fetch_first", error)
    assert failure_of(small.search, asking()).code() is code


def ids(response: SearchResponse) -> list[str]:
    return [hit.id for hit in response.hits]
