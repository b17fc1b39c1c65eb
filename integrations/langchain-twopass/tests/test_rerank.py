"""The compressor: the second pass over what others have found."""

import uuid

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import CallbackManager
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from langchain_twopass import TwopassRerank
from twopass.client import Client, InvalidArgumentError, Passage, UnavailableError

QUESTION = "Which city is the capital of Australia?"
DOCUMENTS = [
    Document(id="bees", page_content="Bees make honey.", metadata={"year": 1900, "bm25": 1.5}),
    Document(id="empty", page_content=" ", metadata={"title": "Capital", "bm25": 0.5}),
    Document(page_content="Canberra is the capital city of Australia.", metadata={"bm25": 1.0}),
    Document(id="sky", page_content="The sky is blue.", metadata={"bm25": 2.5}),
]


class Fixed(BaseRetriever):
    documents: list[Document]

    def _get_relevant_documents(self, query, *, run_manager):
        return self.documents


@pytest.fixture
def rerank(target: str) -> TwopassRerank:
    return TwopassRerank(target=target, top_n=None)


def test_documents_come_in_the_order_of_the_rerankers_logits(rerank, client: Client):
    read = [document for document in DOCUMENTS if document.page_content.strip()]
    expected = client.rerank(QUESTION, [document.page_content for document in read])
    reranked = rerank.compress_documents(DOCUMENTS, QUESTION)
    assert [each.page_content for each in reranked] == [
        read[hit.index].page_content for hit in expected.hits
    ]
    for rank, (document, hit) in enumerate(zip(reranked, expected.hits, strict=True), start=1):
        told = document.metadata["twopass"]
        assert document.metadata["relevance_score"] == told["score"] == hit.score
        assert told["logit"] == hit.logit
        assert told["rank"] == rank
        assert DOCUMENTS[told["first_pass_rank"] - 1].page_content == document.page_content
        assert told["reranker"] == expected.model
        assert told["timings"]["rerank_ms"] > 0


async def test_asyncio_gives_the_same(rerank):
    awaited = await rerank.acompress_documents(DOCUMENTS, QUESTION)
    reranked = rerank.compress_documents(DOCUMENTS, QUESTION)
    assert [each.metadata["relevance_score"] for each in awaited] == [
        each.metadata["relevance_score"] for each in reranked
    ]


def test_the_documents_given_are_left_as_they_are(rerank):
    before = [document.model_copy(deep=True) for document in DOCUMENTS]
    reranked = rerank.compress_documents(DOCUMENTS, QUESTION)
    assert before == DOCUMENTS
    assert {each.id for each in reranked} == {"bees", None, "sky"}
    assert next(each for each in reranked if each.id == "bees").metadata["year"] == 1900


@pytest.mark.parametrize("documents", [[], [Document(page_content="")]])
async def test_where_there_is_nothing_to_read_nobody_is_asked(documents):
    nowhere = TwopassRerank(target="localhost:1")
    assert nowhere.compress_documents(documents, QUESTION) == []
    assert await nowhere.acompress_documents(documents, QUESTION) == []


async def test_a_nul_in_a_text_fails_no_request(target):
    found = [Document(page_content="Bees\0 make honey."), Document(page_content="\0")]
    rerank = TwopassRerank(target=target)
    (best,) = rerank.compress_documents(found, "honey")
    assert best.page_content == found[0].page_content
    assert len(await rerank.acompress_documents(found, "honey")) == 1


def test_the_best_few_and_those_above_a_threshold(target):
    best = TwopassRerank(target=target, top_n=1).compress_documents(DOCUMENTS, QUESTION)
    assert [each.page_content[:8] for each in best] == ["Canberra"]
    above = TwopassRerank(target=target, score_threshold=0.5).compress_documents(
        DOCUMENTS, QUESTION
    )
    assert [each.page_content[:8] for each in above] == ["Canberra"]
    assert above[0].metadata["twopass"]["num_below_min_score"] == 2


def test_a_title_is_read_before_the_text(target, client: Client):
    titled = [Document(page_content="It is a capital.", metadata={"title": "Canberra"})]
    (document,) = TwopassRerank(target=target, title_key="title").compress_documents(
        titled, QUESTION
    )
    hit = client.rerank(QUESTION, [Passage("It is a capital.", title="Canberra")]).hits[0]
    assert document.metadata["twopass"]["logit"] == hit.logit


def test_scores_of_the_first_pass_are_blended(target, client: Client):
    read = [document for document in DOCUMENTS if document.page_content.strip()]
    expected = client.rerank(
        QUESTION,
        [Passage(each.page_content, first_pass_score=each.metadata["bm25"]) for each in read],
        blend=1.0,
    )
    rerank = TwopassRerank(target=target, blend=1.0, first_pass_score_key="bm25")
    reranked = rerank.compress_documents(DOCUMENTS, QUESTION)
    assert [each.page_content for each in reranked] == [
        read[hit.index].page_content for hit in expected.hits
    ]
    assert reranked[0].id == "sky"
    assert reranked[0].metadata["twopass"]["blend"] == 1.0


def test_a_blend_without_scores_says_what_is_missing(target):
    with pytest.raises(InvalidArgumentError, match="first_pass_score"):
        TwopassRerank(target=target, blend=0.5).compress_documents(DOCUMENTS, QUESTION)


def test_metadata_has_the_relevance_alone_where_no_more_is_wanted(target):
    rerank = TwopassRerank(target=target, details_key=None, top_n=1)
    (document,) = rerank.compress_documents(DOCUMENTS, QUESTION)
    assert document.metadata.keys() == {"bm25", "relevance_score"}


def test_the_request_bears_the_id_of_the_run_it_is_a_part_of(rerank):
    run = uuid.uuid4()
    manager = CallbackManager(handlers=[], parent_run_id=run)
    first, *_ = rerank.compress_documents(DOCUMENTS, QUESTION, callbacks=manager)
    assert first.metadata["twopass"]["request_id"] == str(run)


async def test_it_compresses_what_another_retriever_has_found(target):
    retriever = ContextualCompressionRetriever(
        base_compressor=TwopassRerank(target=target, top_n=2),
        base_retriever=Fixed(documents=DOCUMENTS),
    )
    found = retriever.invoke(QUESTION)
    assert len(found) == 2
    assert found[0].page_content.startswith("Canberra")
    assert [each.page_content for each in await retriever.ainvoke(QUESTION)] == [
        each.page_content for each in found
    ]


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(UnavailableError, match="localhost:1"):
        TwopassRerank(target="localhost:1").compress_documents(DOCUMENTS, QUESTION)
