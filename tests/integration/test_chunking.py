"""Long documents in a collection that splits them: found by any part, answered once, with it."""

from collections.abc import Iterator

import pytest

from twopass.client import Chunking, Client, Document, InvalidArgumentError, Rerank, Schema, field

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
    assert spanned(extra) == "short"
    assert client.delete("long", ["extra"]).num_deleted == 1


def test_a_document_may_not_bring_a_vector(client):
    with pytest.raises(
        InvalidArgumentError, match=r"documents\[0\]\.vector: given, but collection"
    ):
        client.upsert("long", [Document("v", "text", vector=[0.1] * 384)])
