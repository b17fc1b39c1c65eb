"""Both passes through a server whose collections another store keeps: as with the default store."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import grpc
import pytest

from twopass.client import (
    Chunking,
    Client,
    Document,
    Feedback,
    Rerank,
    Retrieve,
    Schema,
    Search,
    SearchResult,
    TwopassError,
    UnimplementedError,
    WordClauses,
    field,
)

from ..integration.corpus import FACTS
from ..integration.serving import Server, server_process

QUESTIONS = [
    "What is the capital of Australia?",
    "How do I parse a date?",
    "Why is the sky blue?",
    "Who discovered penicillin?",
    "copy the contents of a file",
    "What pulls at the oceans?",
]
EVERY_CANDIDATE = Retrieve("hybrid", k=len(FACTS))
FILLER = "The committee met on Tuesday and adjourned without a decision. " * 40


def fill(client: Client, name: str) -> str:
    """Writes `FACTS`; returns the sequence of the last write."""
    client.create_collection(name, Schema(indexed_fields={"place": "number"}))
    documents = [
        Document(key, text, title=key.capitalize() if place % 2 else "", metadata={"place": place})
        for place, (key, text) in enumerate(FACTS.items())
    ]
    return client.upsert(name, documents).sequence


def lexical_scores(result: SearchResult) -> dict[str, float]:
    """BM25 of the hits that words have found, by id."""
    return {hit.id: hit.lexical_score for hit in result.hits if hit.lexical_score is not None}


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> Iterator[Client]:
    """A client of a server whose collections are in its folder."""
    with (
        Server(tmp_path_factory.mktemp("data"), gated=False) as server,
        Client(server.target) as client,
    ):
        fill(client, "facts")
        yield client


@pytest.fixture(scope="module")
def front(store_url, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("front") / "data"
    with Server(folder, gated=False, store=store_url) as server:
        yield server
    assert folder.exists() == (not store_url)  # a front of another store keeps nothing itself


@pytest.fixture(scope="module")
def client(front) -> Iterator[Client]:
    with Client(front.target) as connected:
        fill(connected, "facts")
        yield connected
        connected.delete_collection("facts")


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_passes_answer_as_with_the_default_store(kind, client, default, question):
    asked = {"top_n": len(FACTS), "retrieve": EVERY_CANDIDATE}
    expected = default.search("facts", question, **asked)
    answered = client.search("facts", question, **asked)
    assert (answered.retrieve_status, answered.rerank_status) == ("complete", "complete")
    of_expected = {hit.id: hit for hit in expected.hits}
    of_answered = {hit.id: hit for hit in answered.hits}
    assert of_answered.keys() == of_expected.keys() == FACTS.keys()
    # The same candidates, read by the same model, from token ids that the store gave back.
    for name, hit in of_answered.items():
        assert hit.logit == of_expected[name].logit
        assert hit.dense_score == pytest.approx(of_expected[name].dense_score, abs=1e-3)
        assert (hit.text, hit.title) == (FACTS[name], of_expected[name].title)
        assert hit.metadata == of_expected[name].metadata
    if kind.has("default_words"):
        assert lexical_scores(answered) == pytest.approx(lexical_scores(expected), rel=1e-4)
    assert answered.hits[0].id == expected.hits[0].id


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_each_way_of_finding_finds_what_the_default_store_finds(kind, client, default, mode):
    for question in QUESTIONS:
        asked = {"top_n": 3, "retrieve": Retrieve(mode, k=3), "rerank": False}
        expected = [hit.id for hit in default.search("facts", question, **asked).hits]
        answered = [hit.id for hit in client.search("facts", question, **asked).hits]
        if mode == "dense" or kind.has("default_words"):
            assert answered == expected
        else:
            assert answered[0] == expected[0]


def test_a_search_sees_the_write_before_it_and_says_so(client):
    written = client.upsert("facts", [Document("newest", "Ytterby is a village in Sweden.")])
    found = client.search("facts", "Ytterby", min_sequence=written.sequence)
    assert found.hits[0].id == "newest"
    gone = client.delete("facts", ["newest"])
    found = client.search("facts", "Ytterby", min_sequence=gone.sequence, top_n=20)
    assert "newest" not in {hit.id for hit in found.hits}


def test_filters_bound_both_passes(client):
    asked = field("place").between(gte=2, lt=6)
    found = client.search("facts", "the sky", filter=asked, top_n=12)
    assert {hit.id for hit in found.hits} == set(list(FACTS)[2:6])


def test_word_clauses_bound_both_passes(kind, client):
    words = WordClauses(excluded=("moon",), required=("oceans",))
    if not kind.has("clauses"):
        with pytest.raises(UnimplementedError, match=r"retrieve\.words"):
            client.search("facts", "tides", retrieve=Retrieve("hybrid", words=words))
        return
    found = client.search("facts", "tides", retrieve=Retrieve("hybrid", words=words))
    assert found.hits == ()
    words = WordClauses(required=("oceans",))
    found = client.search("facts", "anything", retrieve=Retrieve("hybrid", words=words))
    assert [hit.id for hit in found.hits] == ["tides"]


def test_many_searches_in_one_call_are_answered_each(client):
    outcomes = client.batch_search(
        [Search(collection="facts", query=question) for question in QUESTIONS]
    )
    best = [outcome.result().hits[0].id for outcome in outcomes]
    assert best == ["canberra", "strptime", "sky", "penicillin", "copyfile", "tides"]


def test_a_long_document_is_found_by_a_part_and_shown_with_it(client):
    client.create_collection("long", Schema(chunking=Chunking(64, 16)))
    try:
        client.upsert(
            "long", [Document(key, f"{FILLER}{text} {FILLER}") for key, text in FACTS.items()]
        )
        hit = client.search("long", QUESTIONS[0]).hits[0]
        assert hit.id == "canberra"
        assert FACTS["canberra"] in hit.text[hit.span.start : hit.span.end]
    finally:
        client.delete_collection("long")


def test_documents_are_read_counted_changed_and_listed(client):
    assert client.count("facts", filter=field("place") >= 6) == 6
    (bees,) = client.get("facts", ["bees"])
    assert (bees.text, bees.metadata) == (FACTS["bees"], {"place": 3})
    assert {document.id for document in client.documents("facts", page_size=5)} == FACTS.keys()
    client.update_metadata("facts", filter=field("place").equals(3), merge={"buzz": True})
    assert client.get("facts", ["bees"])[0].metadata == {"place": 3, "buzz": True}
    assert client.facets("facts", ["buzz"])["buzz"].num_documents == 1
    client.update_metadata("facts", filter=field("place").equals(3), merge={"buzz": None})


def test_another_front_sees_everything_at_once(kind, store_url, client, tmp_path):
    if not kind.has("fronts"):
        pytest.skip(f"{kind.title} has one server alone")
    with Server(tmp_path, gated=False, store=store_url) as other, Client(other.target) as second:
        found = second.search("facts", QUESTIONS[0], rerank=Rerank(depth=5))
        assert found.hits[0].id == "canberra"
        second.create_collection("shared")
        written = second.upsert("shared", [Document("a", "A word from the other front.")])
        try:
            seen = client.search("shared", "a word", min_sequence=written.sequence)
            assert [hit.id for hit in seen.hits] == ["a"]
            client.update_aliases({"alias-of-shared": "shared"})
            assert second.get_collection("alias-of-shared").name == "shared"
            client.update_aliases({"alias-of-shared": None})
        finally:
            client.delete_collection("shared")
        assert "shared" not in {each.name for each in second.list_collections()}


def test_feedback_of_one_front_is_known_to_all(kind, store_url, client, tmp_path):
    answer = client.search("facts", QUESTIONS[0], query_id="q", top_n=2)
    click = Feedback(document_id="canberra", search_id=answer.search_id)
    if not kind.has("feedback"):
        assert answer.search_id == ""
        with pytest.raises(UnimplementedError, match=r"not kept by the store milvus, .* table of"):
            client.record_feedback("facts", [click])
        return
    assert client.record_feedback("facts", [click]).num_recorded == 1
    ((only,), expected) = list(client.feedback("facts")), ("q", "canberra", "click", 1)
    assert (only.query_id, only.document_id, only.kind, only.rank) == expected
    assert client.report("facts").feedback.num_clicks == 1
    if kind.has("fronts"):
        with (
            Server(tmp_path, gated=False, store=store_url) as other,
            Client(other.target) as second,
        ):
            assert list(second.feedback("facts")) == [only]
            judged = Feedback(document_id="sky", query_id="q", grade=2)
            second.record_feedback("facts", [judged])
            refused = second.record_feedback("facts", [click]).refused
            assert [str(each.reason) for each in refused] == ["search_unknown"]
    assert len(list(client.feedback("facts"))) == 1 + kind.has("fronts")
    client.delete_feedback("facts", all=True)
    assert not list(client.feedback("facts"))


def test_a_front_that_is_killed_loses_no_feedback_that_it_has_acknowledged(kind, store_url, client):
    if not (kind.has("fronts") and kind.has("feedback")):
        pytest.skip(f"{kind.title} has no other front that keeps feedback")
    acknowledged: list[str] = []
    for life in range(3):
        with server_process(None, "--store", store_url, "--threads", "1") as (process, address):

            def record(first: str, target: str) -> None:
                with Client(target) as second, suppress(TwopassError):
                    for number in range(10_000):
                        key = f"{first}-{number}"
                        second.record_feedback(
                            "facts", [Feedback(document_id="sky", query_id=key, grade=1)]
                        )
                        acknowledged.append(key)

            writers = [
                threading.Thread(target=record, args=(f"{life}-{writer}", address))
                for writer in range(3)
            ]
            for writer in writers:
                writer.start()
            known = len(acknowledged)
            while len(acknowledged) < known + 60:
                assert any(writer.is_alive() for writer in writers), "they have been refused"
                time.sleep(0.001)
            process.kill()
            for writer in writers:
                writer.join()
    kept = {each.query_id for each in client.feedback("facts")}
    assert kept >= set(acknowledged)
    # What was under way when its front was killed may be there too, one call of each writer.
    assert len(kept - set(acknowledged)) <= 3 * 3
    client.delete_feedback("facts", all=True)


def test_what_the_store_lacks_is_said_and_unimplemented(kind, client):
    if not kind.has("snapshots"):
        with pytest.raises(UnimplementedError, match="snapshot") as refused:
            client.create_snapshot("facts")
        assert refused.value.code is grpc.StatusCode.UNIMPLEMENTED


def test_a_server_without_a_folder_serves_it_as_a_process(kind, store_url, client):
    if not kind.has("fronts"):
        pytest.skip(f"{kind.title} has one server alone")
    with (
        server_process(None, "--store", store_url, "--threads", "1") as (_, address),
        Client(address) as second,
    ):
        assert second.search("facts", QUESTIONS[1]).hits[0].id == "strptime"
