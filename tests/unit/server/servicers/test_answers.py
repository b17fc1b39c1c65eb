import pytest

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits
from twopass.server.servicers.answers import page_that_fits, read_max_answer_bytes, that_fit
from twopass.v1.collection_pb2 import GetDocumentsRequest, GetDocumentsResponse
from twopass.v1.document_pb2 import Document

LIMITS = Limits(
    max_candidates=1,
    max_documents=1,
    max_passage_bytes=1,
    max_query_bytes=1,
    max_message_bytes=10_000,
    max_answer_bytes=4_000,
)
DOCUMENTS = [Document(id=str(number), text="t" * 1_000) for number in range(9)]


@pytest.mark.parametrize(
    ("asked", "given"), [(0, 4_000), (1, 1), (9_999, 9_999), (10_001, 10_000), (2**62, 10_000)]
)
def test_an_answer_has_as_many_bytes_as_its_request_asks_for_within_the_servers_limit(asked, given):
    assert read_max_answer_bytes(GetDocumentsRequest(max_answer_bytes=asked), LIMITS) == given


def test_a_negative_number_of_bytes_is_refused():
    with pytest.raises(InvalidRequestError, match=r"max_answer_bytes: -1 given; 0 for 4,000"):
        read_max_answer_bytes(GetDocumentsRequest(max_answer_bytes=-1), LIMITS)


@pytest.mark.parametrize("max_bytes", range(0, 12_000, 500))
def test_what_fits_makes_an_answer_within_the_limit_and_most_of_it(max_bytes):
    fitting = that_fit(DOCUMENTS, max_bytes)
    size = GetDocumentsResponse(documents=fitting).ByteSize()
    assert not fitting or size <= max_bytes
    assert len(fitting) == len(DOCUMENTS) or size > max_bytes - 2_100  # the next, and the rest


@pytest.mark.parametrize(
    ("page_size", "max_bytes", "expected"),
    [(0, 100_000, 9), (4, 100_000, 4), (9, 100_000, 9), (0, 4_500, 3), (2, 4_500, 2), (5, 10, 1)],
)
def test_a_page_ends_at_its_size_or_where_the_next_would_not_fit(page_size, max_bytes, expected):
    page, has_more = page_that_fits(DOCUMENTS, page_size, max_bytes)
    assert page == DOCUMENTS[:expected]
    assert has_more == (expected < 9)
