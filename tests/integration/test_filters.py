"""Filters over the wire: search, listing and deletion see the same members."""

from collections.abc import Iterator

import pytest

from twopass.client import Client, Document, Schema, document_ids, field
from twopass.v1 import filter_pb2

from .serving import Server

BOOKS = {
    "emma": {"year": 1815, "tags": ["novel", "english"], "author": {"name": "Austen"}},
    "faust": {"year": 1808, "tags": ["play"], "author": {"name": "Goethe"}, "draft": True},
    "candide": {"year": 1759, "tags": [], "author": {"name": "Voltaire"}, "draft": None},
    "persuasion": {"year": 1817, "tags": ["novel"], "author": {"name": "Austen"}, "draft": False},
    "untitled": {},
}
MEMBERS = [
    (field("year").equals(1815), {"emma"}),
    (field("year").equals("1815"), set()),
    (field("year").between(gte=1808, lt=1817), {"emma", "faust"}),
    (field("tags").equals("novel"), {"emma", "persuasion"}),
    (field("tags").is_in(["play", "english"]), {"emma", "faust"}),
    (field("author.name").starts_with("A"), {"emma", "persuasion"}),
    (field("draft").exists(), {"faust", "candide", "persuasion"}),
    (field("draft").is_missing(), {"emma", "untitled"}),
    (field("draft").equals(None), {"candide"}),
    (field("draft").equals(True), {"faust"}),
    (~field("tags").equals("novel"), {"faust", "candide", "untitled"}),
    (document_ids(["emma", "nobody"]), {"emma"}),
    (field("year").between(lt=1800) | field("author.name").equals("Goethe"), {"candide", "faust"}),
    (field("tags").equals("novel") & ~document_ids(["emma"]), {"persuasion"}),
    (filter_pb2.Filter(), set(BOOKS)),
    (field("year").between(gt=2000), set()),
]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.target) as connected:
        connected.create_collection(
            "books", Schema(indexed_fields={"year": "number", "tags": "text"})
        )
        connected.upsert(
            "books", [Document(name, f"the book {name}", metadata=m) for name, m in BOOKS.items()]
        )
        yield connected
        connected.delete_collection("books")


@pytest.mark.parametrize(("wanted", "members"), MEMBERS, ids=range(len(MEMBERS)))
def test_search_and_listing_see_the_members_and_no_others(client, wanted, members):
    for mode in ("dense", "lexical", "hybrid"):
        result = client.search("books", "the book", retrieve=mode, filter=wanted, top_n=10)
        assert {hit.id for hit in result.hits} == members
        assert result.num_candidates == len(members)
    assert {document.id for document in client.documents("books", filter=wanted)} == members
    pages = [document.id for document in client.documents("books", filter=wanted, page_size=1)]
    assert sorted(pages) == sorted(members)


def test_a_search_among_none_runs_no_second_pass(client):
    result = client.search("books", "the book", filter=field("year").between(gt=2000))
    assert (result.hits, result.num_reranked, result.rerank_status) == ((), 0, "complete")


def test_deletion_takes_the_members_and_counts_them(client):
    client.create_collection("doomed")
    documents = [Document(str(i), f"number {i}", metadata={"n": i}) for i in range(20)]
    client.upsert("doomed", documents)
    deleted = client.delete("doomed", filter=field("n").between(gte=5))
    assert deleted.num_deleted == 15
    left = client.search("doomed", "number", min_sequence=deleted.sequence, top_n=20)
    assert {hit.id for hit in left.hits} == set("01234")
    assert client.delete("doomed", filter=field("n").between(gte=5)).num_deleted == 0
    client.delete_collection("doomed")
