"""Filters over the wire: search, listing and deletion see the same members."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from twopass.client import (
    Client,
    Document,
    InvalidArgumentError,
    Schema,
    Search,
    document_ids,
    field,
)
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
    (field("born").equals("1815"), set()),
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
        assert result.exact is (None if mode == "lexical" else True)
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


LARGE = {
    "a": 2**53,
    "b": 2**53 + 1,
    "c": 2**63 - 1,
    "d": -(2**63),
    "e": [1, 2**53 + 3],
    "f": float(2**53),
    "g": 1.5,
    "h": str(2**53 + 1),
}


@pytest.fixture(scope="module", params=[True, False], ids=["declared", "undeclared"])
def accounts(server: Server, request) -> Iterator[Client]:
    with Client(server.target) as connected:
        declared = {"n": "number", "at": "time", "tags.name": "text", '"a.b".c': "text"}
        connected.create_collection(
            "accounts", Schema(indexed_fields=declared if request.param else {})
        )
        times = {"a": "2024-01-31", "b": "2024-02-01T00:30:00+01:00", "c": "soon", "d": 2024}
        connected.upsert(
            "accounts",
            [
                Document(
                    name,
                    f"account {name}",
                    metadata={
                        "n": n,
                        "at": times.get(name),
                        "tags": [{"name": name, "n": n}, {"name": "x"}] if name < "e" else {},
                        "a.b": {"c": name},
                    },
                )
                for name, n in LARGE.items()
            ],
        )
        yield connected
        connected.delete_collection("accounts")


@pytest.mark.parametrize(
    ("wanted", "members"),
    [
        (field("n").equals(2**53 + 1), "b"),
        (field("n").equals(2**53), "af"),
        (field("n").is_in([2**53 + 1, 2**53 + 3, 1.5]), "beg"),
        (field("n").between(2**53 + 1, 2**53 + 2), "b"),
        (field("n") > 2**53, "bce"),
        (field("n") >= 2**63 - 1, "c"),
        (field("n") <= -(2**63), "d"),
        (~field("n").equals(2**53 + 1), "acdefgh"),
        (field("at").between(date(2024, 1, 31), date(2024, 1, 31)), "ab"),
        (field("at").after(datetime(2024, 1, 31, 23, 29, tzinfo=UTC)), "b"),
        (field("at").equals(datetime(2024, 1, 31, 23, 30)), "b"),
        (field("at").between("2024-01-01", "2024-01-31"), "a"),
        (field("at").between("2024-02", "t"), "bc"),
        (field("tags.name").equals("a"), "a"),
        (field("tags.name").equals("x"), "abcd"),
        (field("tags.name").exists(), "abcd"),
        (field("tags.name").is_missing(), "efgh"),
        (field("tags.n").equals(2**53 + 1), "b"),
        (field('"a.b".c').equals("c"), "c"),
        (field("a.b.c").exists(), ""),
    ],
    ids=str,
)
def test_numbers_times_and_paths_are_exact(accounts, wanted, members):
    listed = accounts.documents("accounts", filter=wanted)
    assert "".join(sorted(document.id for document in listed)) == members


def test_metadata_comes_back_with_every_integer(accounts):
    found = accounts.search("accounts", "account", top_n=10, retrieve="lexical")
    got = accounts.get("accounts", list(LARGE))
    for read in (found.hits, got, accounts.documents("accounts")):
        assert {document.id: document.metadata["n"] for document in read} == LARGE


def test_deletion_by_an_integer_leaves_its_neighbours(client):
    client.create_collection("ledger")
    client.upsert("ledger", [Document(n, n, metadata={"account": v}) for n, v in LARGE.items()])
    assert client.delete("ledger", filter=field("account").equals(2**53 + 1)).num_deleted == 1
    assert {document.id for document in client.documents("ledger")} == set("acdefgh")
    client.delete_collection("ledger")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (field("tags") > 5, "filter.must[0].field: 'tags' is compared with number, but .* text"),
        (~field("year").starts_with("x"), "must_not[0].field: 'year' .* text, but .* number"),
        (
            field("x").exists() & (field("y").exists() | field("year").after(date.min)),
            "must[1].filter.should[1].field: 'year' is compared with time, but .* number",
        ),
    ],
    ids=["text", "number", "nested"],
)
def test_a_test_that_no_value_of_a_declared_type_passes_is_refused(client, wanted, said):
    message = said.replace("[", "\\[").replace("]", "\\]")
    for use in (
        lambda: client.search("books", "the book", filter=wanted),
        lambda: list(client.documents("books", filter=wanted)),
        lambda: client.delete("books", filter=wanted),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            use()


def test_values_of_several_types_are_no_mistake_where_one_fits(client):
    some = field("tags").is_in([1, "play"]) | field("year").is_in([None, "x"])
    assert {document.id for document in client.documents("books", filter=some)} == {"faust"}


def test_a_search_of_a_batch_fails_alone_for_its_filter(client):
    bad, good = client.batch_search(
        [
            Search(collection="books", query="the book", filter=field("tags") > 5),
            Search(collection="books", query="the book", filter=field("tags").equals("play")),
        ]
    )
    assert isinstance(bad.error, InvalidArgumentError)
    assert "'tags' is compared with number" in str(bad.error)
    assert [hit.id for hit in good.result().hits] == ["faust"]


def test_metadata_is_changed_with_every_integer_exact(client):
    client.create_collection("changed")
    client.upsert("changed", [Document("a", "x", metadata={"n": 2**53 + 1, "m": {"k": 0.5}})])
    client.update_metadata("changed", ["a"], merge={"m": {"large": 2**63 - 1}})
    assert client.get("changed", ["a"])[0].metadata == {
        "n": 2**53 + 1,
        "m": {"k": 0.5, "large": 2**63 - 1},
    }
    client.update_metadata("changed", filter=field("m.large") > 2**62, replace={"n": -(2**63)})
    assert client.get("changed", ["a"])[0].metadata == {"n": -(2**63)}
    client.delete_collection("changed")
