"""Which sentences of a hit answer: over Search, BatchSearch, Rerank and RerankStream."""

import grpc
import pytest

from twopass.client import CandidateSet, Client, Highlight, Passage, Rerank, Search, Spans
from twopass.v1 import collection_pb2, rerank_pb2, search_pb2, spans_pb2
from twopass.v1.document_pb2 import Document, DocumentFields
from twopass.v1.search_pb2 import RerankOptions, SearchRequest
from twopass.v1.spans_pb2 import HighlightOptions, SpanOptions

from ..waiting import wait_until
from .corpus import calibrated
from .fallback import FORBID, MAX_QUEUED, QUESTION, asking, late
from .serving import SetCall, places_taken

TITLE = "Australia"
SENTENCES = (
    "The country has six states and two large territories.",
    "Canberra is the capital city of Australia.",
    "Sydney, which many take for it, is the largest city.",
    "Sheep outnumber people there.",
)
TEXT = " ".join(SENTENCES)
FIRST = len(f"{TITLE} ")
COMPLETE = spans_pb2.SPANS_STATUS_COMPLETE
ALL = SpanOptions(min_score=0, max_spans=64)


def place(sentence):
    """Where a sentence stands in title, space and text together."""
    start = FIRST + TEXT.index(sentence)
    return start, start + len(sentence)


@pytest.fixture(scope="module")
def countries(server):
    """The name of a collection of two documents, one with a title."""
    server.collections.CreateCollection(collection_pb2.CreateCollectionRequest(name="countries"))
    documents = [
        Document(id="australia", title=TITLE, text=TEXT),
        Document(id="bread", text="Bread rises because of yeast. It is baked. It is eaten."),
    ]
    server.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(collection="countries", documents=documents)
    )
    return "countries"


@pytest.fixture(scope="module")
def client(server):
    with Client(server.target) as connected:
        yield connected


def search(server, countries, spans=None, **fields):
    asked = {"collection": countries, "query": QUESTION, "spans": spans} | fields
    return server.search(SearchRequest(**asked))


def places(hit):
    return [(each.span.start, each.span.end) for each in hit.spans]


def test_the_sentence_that_answers_comes_first(server, countries):
    response = search(server, countries, SpanOptions())
    hit = response.hits[0]
    assert (hit.id, places(hit)[0]) == ("australia", place(SENTENCES[1]))
    assert response.spans_status == COMPLETE
    assert response.timings.HasField("spans")
    assert not hit.pruned_text
    assert not hit.highlighted_text


def test_spans_are_scored_as_passages_behind_their_title_are(server, countries):
    hit = search(server, countries, ALL).hits[0]
    assert sorted(places(hit)) == [place(sentence) for sentence in SENTENCES]
    logits = [each.logit for each in hit.spans]
    assert logits == sorted(logits, reverse=True)
    for span in hit.spans:
        text = f"{TITLE} {TEXT}"[span.span.start : span.span.end]
        alone = server.rerank(
            rerank_pb2.RerankRequest(
                query=QUESTION, candidates=[rerank_pb2.Candidate(title=TITLE, text=text)]
            )
        )
        assert span.logit == alone.hits[0].logit
        assert span.score == pytest.approx(calibrated(span.logit), rel=1e-5)


def test_without_spans_nothing_is_said_of_them(server, countries):
    response = search(server, countries)
    assert response.spans_status == spans_pb2.SPANS_STATUS_UNSPECIFIED
    assert not response.timings.HasField("spans")
    assert not any(hit.spans for hit in response.hits)


def test_spans_change_neither_the_hits_nor_their_order(server, countries):
    plain, marked = search(server, countries), search(server, countries, ALL)
    assert all(hit.spans for hit in marked.hits)
    for hit in marked.hits:
        del hit.spans[:]
    assert len(plain.hits) == 2
    assert list(marked.hits) == list(plain.hits)


def test_only_the_first_hits_have_spans(server, countries):
    first, second = search(server, countries, SpanOptions(hits=1)).hits
    assert first.spans
    assert not second.spans


def test_spans_are_found_without_a_second_pass_too(server, countries):
    asked = search(server, countries, ALL, rerank=RerankOptions(enabled=False))
    ranked = search(server, countries, ALL)
    assert asked.rerank_status == search_pb2.RERANK_STATUS_DISABLED
    assert asked.reranker == ranked.reranker != ""
    assert {hit.id: places(hit) for hit in asked.hits} == {
        hit.id: places(hit) for hit in ranked.hits
    }
    with pytest.raises(grpc.RpcError, match="query: empty, but spans"):
        search(
            server,
            countries,
            ALL,
            query="",
            vector={"values": [1.0] * 384},
            rerank=RerankOptions(enabled=False),
        )


def test_pruned_text_is_what_answers_even_where_the_text_is_not_asked_for(server, countries):
    spans = SpanOptions(pruned_text=True)
    hit = search(server, countries, spans, fields=DocumentFields(text=False)).hits[0]
    assert hit.text == hit.title == ""
    assert SENTENCES[1] in hit.pruned_text
    assert SENTENCES[3] not in hit.pruned_text


def test_pruned_text_is_never_empty_and_may_keep_neighbors(server, countries):
    nothing = SpanOptions(pruned_text=True, min_score=2)
    hit = search(server, countries, nothing).hits[0]
    assert (list(hit.spans), hit.pruned_text) == ([], SENTENCES[1])
    nothing.neighbors = 1
    hit = search(server, countries, nothing).hits[0]
    assert hit.pruned_text == " ".join(SENTENCES[:3])
    everything = SpanOptions(pruned_text=True, min_score=0, max_spans=1)
    hit = search(server, countries, everything).hits[0]
    assert (len(hit.spans), hit.pruned_text) == (1, TEXT)


def test_highlighted_text_is_the_text_with_tags_around_the_spans(server, countries):
    highlight = HighlightOptions()
    hit = search(server, countries, SpanOptions(max_spans=1, highlight=highlight)).hits[0]
    assert hit.highlighted_text == TEXT.replace(SENTENCES[1], f"<mark>{SENTENCES[1]}</mark>")
    highlight = HighlightOptions(pre_tag="", post_tag=" <-")
    hit = search(server, countries, SpanOptions(max_spans=1, highlight=highlight)).hits[0]
    assert hit.highlighted_text == TEXT.replace(SENTENCES[1], f"{SENTENCES[1]} <-")


def test_windows_are_whole_sentences_in_a_row(server, countries):
    asked = SpanOptions(
        unit=spans_pb2.SPAN_UNIT_WINDOW, window_tokens=24, min_score=0, max_spans=64
    )
    hit = search(server, countries, asked).hits[0]
    starts = {place(sentence)[0] for sentence in SENTENCES}
    ends = {place(sentence)[1] for sentence in SENTENCES}
    found = sorted(places(hit))
    assert 1 < len(found) < len(SENTENCES)
    assert all(start in starts and end in ends for start, end in found)
    whole = SpanOptions(unit=spans_pb2.SPAN_UNIT_WINDOW, window_tokens=512)
    (only,) = search(server, countries, whole).hits[0].spans
    assert (only.span.start, only.span.end) == (FIRST, FIRST + len(TEXT))


def test_an_answer_without_room_leaves_the_texts_out_and_keeps_the_spans(server, countries):
    spans = SpanOptions(pruned_text=True, highlight=HighlightOptions())
    whole = search(server, countries, spans)
    response = search(server, countries, spans, max_answer_bytes=700)
    hit = response.hits[0]
    assert hit.content_omitted
    assert response.spans_status == spans_pb2.SPANS_STATUS_COMPLETE
    assert places(hit) == places(whole.hits[0])
    assert not hit.pruned_text
    assert not hit.highlighted_text


def test_a_text_that_is_longer_than_the_answer_may_be_has_spans_all_the_same(server):
    schema = collection_pb2.CollectionSchema(whole_documents=True)
    server.collections.CreateCollection(
        collection_pb2.CreateCollectionRequest(name="long", schema=schema)
    )
    text = f"{TEXT} {'The committee met on Tuesday and adjourned. ' * 40}"
    written = [Document(id="australia", title=TITLE, text=text)]
    server.collections.UpsertDocuments(
        collection_pb2.UpsertDocumentsRequest(collection="long", documents=written)
    )
    whole = search(server, "long", SpanOptions())
    response = search(server, "long", SpanOptions(), max_answer_bytes=1_000)
    (hit,) = response.hits
    assert hit.content_omitted
    assert response.spans_status == spans_pb2.SPANS_STATUS_COMPLETE
    assert places(hit) == places(whole.hits[0]) != []


def test_every_search_of_a_batch_has_its_spans(server, countries):
    asked = [
        SearchRequest(collection=countries, query=QUESTION, spans=SpanOptions()),
        SearchRequest(collection=countries, query=QUESTION),
    ]
    first, second = server.batch_search(search_pb2.BatchSearchRequest(searches=asked)).results
    assert places(first.response.hits[0])[0] == place(SENTENCES[1])
    assert not second.response.hits[0].spans


def test_a_rerank_has_spans_of_its_hits(server):
    candidates = [
        rerank_pb2.Candidate(text="Sheep eat grass. They sleep."),
        rerank_pb2.Candidate(text=TEXT, title=TITLE),
    ]
    spans = SpanOptions(pruned_text=True, highlight=HighlightOptions(), max_spans=1)
    request = rerank_pb2.RerankRequest(query=QUESTION, candidates=candidates)
    plain = server.rerank(request)
    request.spans.CopyFrom(spans)
    response = server.rerank(request)
    hit = response.hits[0]
    assert (hit.index, places(hit)) == (1, [place(SENTENCES[1])])
    assert hit.highlighted_text == TEXT.replace(SENTENCES[1], f"<mark>{SENTENCES[1]}</mark>")
    assert SENTENCES[1] in hit.pruned_text
    assert response.spans_status == COMPLETE
    assert response.num_tokens > plain.num_tokens
    assert [each.logit for each in response.hits] == [each.logit for each in plain.hits]


def test_a_set_of_a_stream_has_spans_and_another_has_none(server):
    call = SetCall(server)
    call.send("a", num_candidates=2, query=QUESTION, spans=SpanOptions())
    call.send("a", *SENTENCES[2:3])
    call.send("a", TEXT)
    call.send("b", TEXT, num_candidates=1, query=QUESTION)
    call.send("c", TEXT, num_candidates=1, query=QUESTION, spans=SpanOptions(hits=101))
    answers = {answer.set_id: answer for answer in call.end()}
    assert answers["a"].result.spans_status == COMPLETE
    assert all(hit.spans for hit in answers["a"].result.hits)
    assert not answers["b"].result.hits[0].spans
    assert "set.spans.hits: 101 given, 1 to 100" in answers["c"].error.message


def test_in_windows_the_sentences_of_the_best_window_are_looked_at(server):
    padding = "The weather was fine that day. " * 60
    request = rerank_pb2.RerankRequest(
        query=QUESTION,
        candidates=[rerank_pb2.Candidate(text=padding + TEXT)],
        truncation=rerank_pb2.TRUNCATION_MAX_WINDOW,
        spans=SpanOptions(max_spans=1),
    )
    (hit,) = server.rerank(request).hits
    start = len(padding) + TEXT.index(SENTENCES[1])
    assert places(hit) == [(start, start + len(SENTENCES[1]))]


def test_python_clients_ask_for_spans_and_read_them(client, countries):
    spans = Spans(max_spans=1, pruned_text=True, highlight=Highlight(pre_tag="[", post_tag="]"))
    result = client.search(countries, QUESTION, spans=spans)
    (span,) = result.hits[0].spans
    assert (span.start, span.end) == place(SENTENCES[1])
    assert f"[{SENTENCES[1]}]" in result.hits[0].highlighted_text
    assert result.spans_status == "complete"
    assert result.timings.spans_ms is not None
    batch = client.batch_search([Search(collection=countries, query=QUESTION, spans=True)])
    assert batch[0].result().hits[0].spans
    ranked = client.rerank(QUESTION, [Passage(TEXT, title=TITLE)], spans=True)
    assert ranked.hits[0].spans[0].start == place(SENTENCES[1])[0]
    (streamed,) = client.rerank_stream([CandidateSet("a", QUESTION, [TEXT], spans=True)])
    assert streamed.result().hits[0].spans
    unasked = client.search(countries, QUESTION, rerank=Rerank(depth=1))
    assert (unasked.spans_status, unasked.hits[0].spans) == (None, ())


# --- where there is no time or room ---------------------------------------------------------------


def test_without_room_hits_come_without_spans_and_the_answer_says_so(small):
    with places_taken(small, MAX_QUEUED - 12):
        response = small.search(asking(spans=SpanOptions(hits=100), top_n=12))
    # Its dozen sentences would fit where its dozen candidates did: they take places one after the
    # other.
    assert response.spans_status == COMPLETE
    with places_taken(small, MAX_QUEUED):
        full = small.search(asking(spans=SpanOptions(), rerank=RerankOptions(enabled=False)))
    assert full.spans_status == spans_pb2.SPANS_STATUS_SKIPPED_OVERLOAD
    assert full.hits
    assert not any(hit.spans for hit in full.hits)


def test_a_set_that_fills_the_queue_leaves_its_places_to_its_sentences(small):
    candidates = [rerank_pb2.Candidate(text=TEXT)] * MAX_QUEUED
    request = rerank_pb2.RerankRequest(
        query=QUESTION, candidates=candidates, top_n=1, spans=SpanOptions()
    )
    assert small.rerank(request).spans_status == COMPLETE


def test_long_texts_are_marked_as_short_ones_are(server):
    """In a thread, so that nobody else waits."""
    text = f"{TEXT} {'<p> ' * 16_000}"
    candidates = [rerank_pb2.Candidate(text=text)] * 5
    spans = SpanOptions(max_spans=1, highlight=HighlightOptions(escape_html=True))
    request = rerank_pb2.RerankRequest(query=QUESTION, candidates=candidates, spans=spans)
    response = server.rerank(request)
    assert response.spans_status == COMPLETE
    for hit in response.hits:
        assert f"<mark>{SENTENCES[1]}</mark>" in hit.highlighted_text
        assert hit.highlighted_text.endswith("&lt;p&gt; " * 16_000)


def test_where_fallback_is_forbidden_missing_spans_are_an_error(small):
    request = asking(spans=SpanOptions(), rerank=RerankOptions(enabled=False), fallback=FORBID)
    with places_taken(small, MAX_QUEUED), pytest.raises(grpc.RpcError) as raised:
        small.search(request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_failed_reranker_leaves_hits_without_spans(small, broken):
    broken(small.reranker)
    request = asking(spans=SpanOptions(), rerank=RerankOptions(enabled=False))
    response = small.search(request)
    assert response.spans_status == spans_pb2.SPANS_STATUS_FAILED
    assert len(response.hits) == 10


def test_spans_that_are_late_leave_the_hits(small, held):
    request = asking(spans=SpanOptions(), rerank=RerankOptions(enabled=False))
    response = late(small, request, held.entered.is_set).result()
    assert response.spans_status == spans_pb2.SPANS_STATUS_SKIPPED_DEADLINE
    assert len(response.hits) == 10


def test_a_rerank_is_answered_before_its_deadline_without_the_spans_that_would_be_late(small, held):
    request = rerank_pb2.RerankRequest(
        query=QUESTION, candidates=[rerank_pb2.Candidate(text=TEXT)], spans=SpanOptions()
    )
    held.passing.release()  # the batch of the candidate
    response = small.rerank(request, timeout=2)
    assert response.spans_status == spans_pb2.SPANS_STATUS_SKIPPED_DEADLINE
    assert [hit.index for hit in response.hits] == [0]


def test_nothing_works_for_spans_once_the_caller_is_gone(small, held):
    request = asking(spans=SpanOptions(), rerank=RerankOptions(enabled=False))
    call = small.search.future(request)
    assert held.entered.wait(60)
    call.cancel()
    wait_until(lambda: not small._app._arbiter.num_admitted)
