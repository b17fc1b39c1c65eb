import numpy as np
import pytest

from twopass.v1 import embed_pb2, rerank_pb2
from twopass.v1.rerank_pb2 import Candidate, RerankRequest

from .corpus import BLEND, FACTS, RERANKER, calibrated
from .serving import Server, SetCall

QUESTION = "How do I parse a date from a string?"
# Scores of a pair differ with the shape of the batch it is in, by float32's rounding.
BATCH_MATES = {"abs": 5e-5}

# Golden numbers are float32's, from -8 to 9; the server computes in int8. That each text meets its
# number is at stake here; how near they come, in the engine's own tests.
INT8_LOGITS = 1.0
INT8_EMBEDDINGS = 0.05


def candidates(**fields) -> list[Candidate]:
    return [Candidate(text=text, **fields) for text in FACTS.values()]


def test_the_best_candidate_comes_first(server):
    response = server.rerank(RerankRequest(query=QUESTION, candidates=candidates(), top_n=2))
    assert response.hits[0].index == list(FACTS).index("strptime")
    assert len(response.hits) == 2
    assert response.hits[0].logit > response.hits[1].logit
    for hit in response.hits:
        assert hit.score == pytest.approx(calibrated(hit.logit), rel=1e-5)
        assert (hit.text, hit.title, hit.id, hit.truncated) == ("", "", "", False)
    assert response.model == RERANKER
    assert response.num_tokens > 0
    for stage in ("total", "tokenize", "queue", "rerank"):
        assert response.timings.HasField(stage)
    assert not response.timings.HasField("retrieve")


def test_logits_are_those_that_torch_computed(tmp_path, golden):
    with Server(tmp_path, reranker="twopass-minilm-l6") as server:  # the one that torch computed
        check_logits(server, golden)


def check_logits(server, golden):
    queries = list(dict.fromkeys(query for query, _ in golden.pairs))
    passages = [passage for query, passage in golden.pairs if query == queries[0]]
    for i, query in enumerate(queries):
        texts = [Candidate(text=passage) for passage in passages]
        hits = server.rerank(RerankRequest(query=query, candidates=texts)).hits
        logits = [hit.logit for hit in sorted(hits, key=lambda hit: hit.index)]
        expected = golden.logits[i * len(passages) : (i + 1) * len(passages)]
        # The last is read to its 240th token here, to the end of the sequence there.
        np.testing.assert_allclose(logits[:-1], expected[:-1], atol=INT8_LOGITS)
        assert [hit.index for hit in hits if hit.truncated] == [len(passages) - 1]


def test_hits_repeat_what_was_asked_for(server):
    given = [Candidate(text="text", title="Title", id="x"), Candidate(title="only a title")]
    response = server.rerank(RerankRequest(query="q", candidates=given, return_text=True))
    hits = sorted(response.hits, key=lambda hit: hit.index)
    assert [(h.id, h.title, h.text) for h in hits] == [
        ("x", "Title", "text"),
        ("", "only a title", ""),
    ]


def test_a_title_is_read_before_the_text(server):
    given = [Candidate(text="Canberra is a city.", title="Australia"),
             Candidate(text="Australia Canberra is a city.")]  # fmt: skip
    first, second = server.rerank(RerankRequest(query=QUESTION, candidates=given)).hits
    assert first.logit == pytest.approx(second.logit, **BATCH_MATES)


def test_ties_keep_their_order(server):
    given = [Candidate(text="the same text")] * 5
    response = server.rerank(RerankRequest(query=QUESTION, candidates=given))
    assert [hit.index for hit in response.hits] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("blend", "applied"), [(None, BLEND), (0.0, 0.0), (1.0, 1.0)])
def test_blend_is_the_requests_else_the_models_where_all_carry_a_score(server, blend, applied):
    given = candidates()
    for i, candidate in enumerate(given):
        candidate.first_pass_score = i
    response = server.rerank(RerankRequest(query=QUESTION, candidates=given, blend=blend))
    assert response.blend == pytest.approx(applied)
    if applied == 1:
        assert [hit.index for hit in response.hits] == list(range(len(FACTS)))[::-1]
    assert server.rerank(RerankRequest(query=QUESTION, candidates=candidates())).blend == 0


def test_hits_below_min_score_are_left_out_and_counted(server):
    response = server.rerank(
        RerankRequest(query=QUESTION, candidates=candidates(), min_score=1.5, top_n=3)
    )
    assert not response.hits
    assert response.num_below_min_score == len(FACTS)


def test_what_was_cut_is_marked_or_refused(server):
    given = [Candidate(text="short"), Candidate(text="a long passage " * 400)]
    hits = server.rerank(RerankRequest(query=QUESTION, candidates=given)).hits
    assert {hit.index: hit.truncated for hit in hits} == {0: False, 1: True}


def test_a_set_in_pieces_is_answered_as_one_that_is_whole(server):
    whole = server.rerank(RerankRequest(query=QUESTION, candidates=candidates(), top_n=4))
    call = SetCall(server)
    texts = list(FACTS.values())
    call.send("a", *texts[:5], query=QUESTION, num_candidates=len(texts), top_n=4)
    call.send("a")  # a piece may be empty
    call.send("a", *texts[5:])
    (answer,) = call.end()
    assert [hit.index for hit in answer.result.hits] == [hit.index for hit in whole.hits]
    for streamed, unary in zip(answer.result.hits, whole.hits, strict=True):
        assert streamed.logit == pytest.approx(unary.logit, **BATCH_MATES)
    assert answer.result.num_tokens == whole.num_tokens


def test_interleaved_sets_are_answered_as_each_is_done(server):
    call = SetCall(server)
    call.send("slow", "one", num_candidates=3)
    call.send("quick", "two", num_candidates=2)
    call.send("slow", "three")
    call.send("quick", "four")
    assert call.next().set_id == "quick"
    call.send("slow", "five")
    answer = call.next()
    assert (answer.set_id, len(answer.result.hits)) == ("slow", 3)
    assert call.end() == []


def test_one_bad_set_harms_no_other_and_its_name_may_be_used_again(server):
    call = SetCall(server)
    call.send("good", "one", num_candidates=2)
    call.send("bad", "one", num_candidates=1, query=" ")
    answer = call.next()
    assert (answer.set_id, answer.error.code) == ("bad", 3)
    assert answer.error.message.startswith("set.query: empty")
    call.send("bad", "one", num_candidates=1)
    assert call.next().result.hits[0].index == 0
    call.send("good", "two")
    assert len(call.next().result.hits) == 2
    assert call.end() == []


def test_many_sets_of_one_call_are_all_answered(server):
    call = SetCall(server)
    for i in range(50):
        call.send(f"set {i}", *[f"passage {j}" for j in range(i % 4 + 1)], num_candidates=i % 4 + 1)
    answers = {answer.set_id: answer.result for answer in call.end()}
    assert answers.keys() == {f"set {i}" for i in range(50)}
    assert all(len(answers[f"set {i}"].hits) == i % 4 + 1 for i in range(50))


def test_a_set_that_the_client_does_not_finish_is_answered_so(server):
    call = SetCall(server)
    call.send("a", "one", num_candidates=2)
    (answer,) = call.end()
    assert answer.error.code == 3
    assert "candidates: 1 have come of the 2 declared" in answer.error.message


def test_a_call_without_sets_has_no_answers(server):
    assert SetCall(server).end() == []


def test_embeddings_are_those_that_torch_computed(server, golden):
    response = server.embed(embed_pb2.EmbedRequest(texts=golden.texts))
    vectors = [embedding.vector.values for embedding in response.embeddings]
    np.testing.assert_allclose(vectors, golden.embeddings, atol=INT8_EMBEDDINGS)
    truncated = [i for i, embedding in enumerate(response.embeddings) if embedding.truncated]
    assert truncated == [len(golden.texts) - 1]
    assert response.model == "all-MiniLM-L6-v2"
    assert response.num_tokens > 256
    assert response.timings.HasField("embed")


def test_queries_are_embedded_as_search_embeds_them(server):
    role = embed_pb2.EMBED_ROLE_QUERY
    response = server.embed(embed_pb2.EmbedRequest(texts=["one", "two"], role=role))
    assert len(response.embeddings) == 2
    assert not any(embedding.truncated for embedding in response.embeddings)


def test_stream_and_unary_results_are_one_message():
    fields = rerank_pb2.RerankStreamResponse.DESCRIPTOR.fields_by_name
    assert fields["result"].message_type is rerank_pb2.RerankResponse.DESCRIPTOR
