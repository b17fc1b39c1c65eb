"""The second pass alone, as a ranker."""

import logging
from dataclasses import replace

import pytest
from haystack import Document
from haystack_integrations.components.rankers.twopass import TwopassRanker

from twopass.client import Client, InvalidArgumentError, NotFoundError

from .corpus import ANSWER, DOCUMENTS, OTHERS, QUESTION


@pytest.fixture
def ranker(target: str) -> TwopassRanker:
    return TwopassRanker(target=target)


def test_the_answer_comes_first_with_the_scores_of_the_client(
    ranker: TwopassRanker, client: Client
) -> None:
    answer = ranker.run(QUESTION, DOCUMENTS)
    result = client.rerank(QUESTION, [document.content or "" for document in DOCUMENTS])
    assert answer["documents"][0].id == ANSWER.id
    for rank, (document, hit) in enumerate(zip(answer["documents"], result.hits, strict=True), 1):
        assert document.id == DOCUMENTS[hit.index].id
        assert document.score == hit.score
        assert document.meta["module"] == DOCUMENTS[hit.index].meta["module"]
        assert document.meta["twopass"] == {
            "rank": rank,
            "score": hit.score,
            "logit": hit.logit,
            "first_pass_rank": hit.index + 1,
            "truncated": False,
        }
    assert answer["meta"]["model"] == result.model
    assert answer["meta"]["usage"] == {"total_tokens": result.num_tokens}
    assert answer["meta"]["timings"]["rerank_ms"] > 0


def test_a_nul_in_a_text_fails_no_request(ranker: TwopassRanker) -> None:
    documents = [replace(ANSWER, content=f"{ANSWER.content}\0"), *OTHERS]
    blank = [Document(content="\0"), Document(content=" \n")]
    answer = ranker.run(QUESTION, [*documents, *blank])
    assert answer["documents"][0].content == documents[0].content
    assert len(answer["documents"]) == len(documents)


def test_given_documents_are_left_as_they_were(ranker: TwopassRanker) -> None:
    before = [replace(document) for document in DOCUMENTS]
    ranker.run(QUESTION, DOCUMENTS)
    assert before == DOCUMENTS


def test_the_best_are_returned(ranker: TwopassRanker, target: str) -> None:
    assert len(ranker.run(QUESTION, DOCUMENTS, top_k=2)["documents"]) == 2
    many = [Document(id=f"{number}", content=f"Text {number}") for number in range(12)]
    assert len(ranker.run(QUESTION, many)["documents"]) == 10
    assert len(TwopassRanker(top_k=None, target=target).run(QUESTION, many)["documents"]) == 12


def test_documents_below_the_threshold_are_left_out(ranker: TwopassRanker) -> None:
    best = ranker.run(QUESTION, DOCUMENTS)["documents"][0].score
    answer = ranker.run(QUESTION, DOCUMENTS, score_threshold=best)
    assert [document.id for document in answer["documents"]] == [ANSWER.id]
    assert answer["meta"]["num_below_min_score"] == len(DOCUMENTS) - 1


def test_of_documents_with_one_id_the_best_scored_is_ranked(ranker: TwopassRanker) -> None:
    worse, better = replace(ANSWER, score=0.1, meta={}), replace(ANSWER, score=0.9)
    (document,) = ranker.run(QUESTION, [worse, better, replace(ANSWER, score=None)])["documents"]
    assert document.meta["module"] == "datetime"


def test_fields_of_meta_are_read_before_the_content(target: str) -> None:
    ranker = TwopassRanker(meta_fields_to_embed=["title"], target=target)
    plain = Document(id="plain", content="See there.")
    titled = Document(id="titled", content="See there.", meta={"title": "How to parse a date"})
    only_titled = Document(id="only", content=None, meta={"title": "How to parse a date"})
    found = ranker.run(QUESTION, [plain, titled, only_titled])["documents"]
    assert [document.id for document in found][-1] == "plain"


def test_documents_without_text_are_left_out_and_logged(
    ranker: TwopassRanker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = ranker.run(QUESTION, [Document(id="empty", content=None), ANSWER])
    assert [document.id for document in answer["documents"]] == [ANSWER.id]
    assert "1 of 2 documents have no text" in caplog.text


def test_no_documents_make_no_call() -> None:
    assert TwopassRanker(target="localhost:1").run(QUESTION, []) == {"documents": [], "meta": {}}


def test_scores_of_the_first_pass_are_blended(target: str) -> None:
    scored = [replace(each, score=float(number)) for number, each in enumerate(DOCUMENTS[::-1])]
    answer = TwopassRanker(blend=1.0, target=target).run(QUESTION, scored)
    assert [document.id for document in answer["documents"]] == [each.id for each in DOCUMENTS]
    assert answer["meta"]["blend"] == 1.0
    with pytest.raises(InvalidArgumentError, match="first_pass_score"):
        TwopassRanker(blend=0.5, target=target).run(QUESTION, DOCUMENTS)


def test_the_best_window_of_a_long_document_is_told(target: str) -> None:
    filler = "Nothing is told here of any use. " * 120
    fact = "The password of the vault is xylophone."
    long = Document(content=f"{filler}{fact} {filler}")
    ranker = TwopassRanker(truncation="max_window", target=target)
    (document,) = ranker.run("What is the password of the vault?", [long])["documents"]
    span = document.meta["twopass"]["span"]
    assert fact in document.content[span["start"] : span["end"]]


def test_an_unknown_model_is_the_server_s_error(target: str) -> None:
    with pytest.raises(NotFoundError):
        TwopassRanker("no-such-model", target=target).run(QUESTION, DOCUMENTS)


def test_nothing_can_t_be_asked_for(ranker: TwopassRanker) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TwopassRanker(top_k=0)
    with pytest.raises(ValueError, match="at least 1"):
        ranker.run(QUESTION, DOCUMENTS, top_k=0)


async def test_async_answers_are_those_of_sync(ranker: TwopassRanker) -> None:
    await ranker.warm_up_async()
    answer = await ranker.run_async(QUESTION, DOCUMENTS, top_k=2)
    assert answer["documents"] == ranker.run(QUESTION, DOCUMENTS, top_k=2)["documents"]
    await ranker.close_async()
    ranker.close()
