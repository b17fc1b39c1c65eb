"""Long documents in a collection that splits them: found by any part, answered once, with it."""

from collections.abc import Iterator

import pytest

from twopass.client import (
    Chunking,
    Client,
    Document,
    Fields,
    InvalidArgumentError,
    Rerank,
    Schema,
    field,
)

from .corpus import FACTS

FILLER = "The committee met on Tuesday and adjourned without a decision. " * 40
QUESTION = "What is the capital of Australia?"


def long(answer: str) -> str:
    return FILLER + answer + " " + FILLER


@pytest.fixture(scope="module")
def client(server) -> Iterator[Client]:
    with Client(server.target) as connected:
        schema = Schema(chunking=Chunking(64, 16), indexed_fields={"place": "number"})
        created = connected.create_collection("long", schema)
        assert created.schema.chunking == Chunking(64, 16)
        connected.upsert(
            "long",
            [
                Document(name, long(text), title=name.capitalize(), metadata={"place": place})
                for place, (name, text) in enumerate(FACTS.items())
            ],
        )
        yield connected
        connected.delete_collection("long")


def spanned(hit) -> str:
    passage = f"{hit.title} {hit.text}" if hit.title else hit.text
    return passage[hit.span.start : hit.span.end]


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
@pytest.mark.parametrize("rerank", [True, False])
def test_the_part_that_answers_is_found_and_shown(client, mode, rerank):
    result = client.search("long", QUESTION, retrieve=mode, rerank=rerank)
    assert result.num_candidates == len(FACTS)
    assert len({hit.id for hit in result.hits}) == len(result.hits) == 10
    best = result.hits[0]
    assert best.id == "canberra"
    assert FACTS["canberra"] in spanned(best)
    assert len(spanned(best)) < 600
    assert not best.truncated


@pytest.mark.parametrize("mode", ["dense", "hybrid", "lexical"])
def test_a_question_longer_than_models_read_is_answered_with_a_part_too(client, mode):
    result = client.search("long", f"{QUESTION} {'So is it? ' * 90}", retrieve=mode)
    assert result.query_truncated
    assert result.rerank_status == "complete"
    assert result.hits[0].id == "canberra"
    assert 0 < len(spanned(result.hits[0])) < 600
    assert not client.search("long", QUESTION, retrieve=mode).query_truncated


def test_the_second_pass_reads_the_part_that_was_found(client):
    result = client.search("long", QUESTION, rerank=Rerank(blend=0.0), top_n=2)
    best, other = result.hits
    assert best.id == "canberra"
    assert best.logit > other.logit + 2


def test_all_windows_are_read_where_that_is_asked_for(client):
    whole = Rerank(truncation="max_window", depth=2)
    result = client.search("long", QUESTION, retrieve="lexical", rerank=whole, top_n=1, timeout=120)
    assert result.hits[0].id == "canberra"
    assert FACTS["canberra"] in spanned(result.hits[0])


def test_words_find_documents_whole(client):
    hits = client.search("long", "penicillin", retrieve="lexical", rerank=False).hits
    assert [hit.id for hit in hits] == ["penicillin"]
    everything = client.search("long", "committee", retrieve="lexical", rerank=False, top_n=50)
    assert len(everything.hits) == len(FACTS)


def test_filters_hold_for_documents_and_so_for_their_windows(client):
    wanted = field("place").between(gte=3, lt=6)
    for mode in ("dense", "lexical", "hybrid"):
        result = client.search("long", "committee", retrieve=mode, filter=wanted, top_n=50)
        assert {hit.metadata["place"] for hit in result.hits} == {3, 4, 5}


def test_a_replaced_document_is_found_by_its_new_parts_alone(client):
    client.upsert("long", [Document("extra", long("Wellington is the capital of New Zealand."))])
    count = client.get_collection("long").num_documents
    client.upsert("long", [Document("extra", "short")])
    assert client.get_collection("long").num_documents == count == len(FACTS) + 1
    question = "What is the capital of New Zealand?"
    hits = client.search("long", question, retrieve="dense", rerank=False, top_n=50).hits
    (extra,) = [hit for hit in hits if hit.id == "extra"]
    assert extra.span is None
    assert client.delete("long", ["extra"]).num_deleted == 1


@pytest.mark.parametrize("reranks", [False, True])
def test_a_part_is_read_after_its_documents_title(notes, reranks):
    told = long("Around 460,000 people live in the city, most of them in its suburbs.")
    cities = ["Wellington", "Canberra", "Ottawa", "Nairobi"]
    notes.upsert("notes", [Document(city, told, title=city) for city in cities])
    for city in cities:
        found = notes.search(
            "notes",
            f"How many people live in {city}?",
            retrieve="dense",
            rerank=Rerank(blend=0.0) if reranks else False,
        )
        best = found.hits[0]
        assert best.id == city
        assert "460,000" in spanned(best)


def test_a_document_that_brings_a_vector_is_stored_whole(client):
    vector = [0.0] * 383 + [1.0]
    summary = client.upsert("long", [Document("v", long("text"), vector=vector)])
    assert (summary.num_inserted, summary.num_split) == (1, 0)
    (stored,) = client.get("long", ["v"], fields=Fields(vector=True))
    assert stored.vector == tuple(vector)
    (hit,) = client.search("long", vector=vector, retrieve="dense", top_n=1, rerank=False).hits
    assert (hit.id, hit.span) == ("v", None)
    client.delete("long", ["v"])


@pytest.fixture
def notes(server) -> Iterator[Client]:
    """A client of a collection with all defaults."""
    with Client(server.target) as connected:
        connected.create_collection("notes")
        yield connected
        connected.delete_collection("notes")


def fifty_kilobytes(answer: str) -> str:
    """A document of 50 KB about much, with an answer in its middle."""
    told = [f"In part {n} {fact}" for n in range(20) for fact in FACTS.values()]
    others = [line for line in told if "Canberra" not in line]
    text = "\n".join(others)
    return f"{text[:25_000]} {answer} {text[-25_000:]}"


def test_documents_are_split_by_default_where_the_encoder_would_cut_them(notes):
    schema = notes.get_collection("notes").schema
    assert schema.chunking is not None
    assert schema.chunking.window_tokens == 254
    assert 0 < schema.chunking.overlap_tokens <= 127
    assert not schema.whole_documents
    seen = []
    summary = notes.upsert(
        "notes",
        [Document("short", "A short one."), Document("long", fifty_kilobytes("It rained."))],
        on_progress=seen.append,
    )
    assert (summary.num_inserted, summary.num_split, seen[-1].num_split) == (2, 1, 1)
    assert notes.get_collection("notes").num_split == 1
    notes.upsert("notes", [Document("long", "Short now.")])
    assert notes.get_collection("notes").num_split == 0


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_a_fact_in_the_middle_of_fifty_kilobytes_is_found_and_read(notes, mode):
    fact = "The lighthouse keeper of Skerryvore was called Archibald MacEachern."
    text = fifty_kilobytes(fact)
    others = [Document(name, fact) for name, fact in FACTS.items()]
    notes.upsert("notes", [*others, Document("long", text)])
    question = "Who was the lighthouse keeper of Skerryvore?"
    for rerank in (Rerank(blend=0.0), False):
        hits = notes.search("notes", question, retrieve=mode, rerank=rerank, top_n=3).hits
        best = hits[0]
        assert best.id == "long"
        if rerank or mode != "lexical":
            assert fact in spanned(best)
            assert len(spanned(best)) < 2_500
        if rerank:
            assert all(best.logit > other.logit + 2 for other in hits[1:])


def test_whole_documents_are_not_split_where_the_collection_says_so(server):
    with Client(server.target) as client:
        created = client.create_collection("whole", Schema(whole_documents=True))
        assert created.schema.whole_documents
        assert created.schema.chunking is None
        again = client.create_collection("whole-too", created.schema)
        assert again.schema == created.schema
        summary = client.upsert("whole", [Document("long", fifty_kilobytes("It rained."))])
        assert summary.num_split == 0
        assert client.get_collection("whole").num_split == 0
        both = Schema(whole_documents=True, chunking=Chunking(64))
        with pytest.raises(InvalidArgumentError, match=r"schema\.whole_documents: true, but"):
            client.create_collection("both", both)
        for name in ("whole", "whole-too"):
            client.delete_collection(name)


def test_a_schema_that_was_answered_makes_such_a_collection_again(notes):
    schema = notes.get_collection("notes").schema
    assert notes.create_collection("notes-too", schema).schema == schema
    notes.delete_collection("notes-too")


def test_a_document_of_too_many_windows_is_refused_by_name(server):
    with Client(server.target) as client:
        client.create_collection("tiny", Schema(chunking=Chunking(16, 8)))
        text = "a " * 80_100
        with pytest.raises(
            InvalidArgumentError, match=r"documents\[1\]\.text: 10,01. windows .* at most 10,000"
        ):
            client.upsert("tiny", [Document("a", "b"), Document("c", text)])
        assert client.get_collection("tiny").num_documents == 0
        client.delete_collection("tiny")
