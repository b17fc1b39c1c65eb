"""Clauses over the words of documents bound what is found, by words and by meaning."""

import pytest

from twopass.client import (
    Client,
    Document,
    InvalidArgumentError,
    Phrase,
    Prefix,
    Retrieve,
    WordClauses,
    field,
)

TEXTS = {
    "user-name": "The user name is shown on top of the page.",
    "name-user": "Name the user who shall receive the page.",
    "error": "An error of the pump stops the motor.",
    "errand": "He went on an errand to the village.",
    "café": "The Café Müller opens at eight.",
    "english": "Coffee is served from eight until noon.",
}


@pytest.fixture(scope="module")
def client(server):
    with Client(server.target) as client:
        yield client


@pytest.fixture(scope="module")
def notes(client):
    client.create_collection("notes-of-clauses")
    documents = [
        Document(id=key, text=text, metadata={"place": i})
        for i, (key, text) in enumerate(TEXTS.items())
    ]
    client.upsert("notes-of-clauses", documents)
    yield "notes-of-clauses"
    client.delete_collection("notes-of-clauses")


@pytest.fixture
def found(client, notes):
    def run(mode, query="", *, passing=None, vector=None, top_n=10, **clauses) -> list[str]:
        retrieve = Retrieve(mode, words=WordClauses(**clauses))
        hits = client.search(
            notes,
            query,
            vector=vector,
            retrieve=retrieve,
            rerank=False,
            filter=passing,
            top_n=top_n,
        ).hits
        return [hit.id for hit in hits]

    return run


MODES = ("dense", "lexical", "hybrid")
ANY = "user name error errand café coffee"


@pytest.mark.parametrize("mode", MODES)
def test_required_words_bound_every_retriever(found, mode):
    assert set(found(mode, ANY, required=["user"])) == {"user-name", "name-user"}
    assert found(mode, ANY, required=["user name"]) == ["user-name"]
    assert found(mode, ANY, required=[Phrase("user"), "top"]) == ["user-name"]
    assert found(mode, ANY, required=["nowhere"]) == []


@pytest.mark.parametrize("mode", MODES)
def test_excluded_words_bound_every_retriever(found, mode):
    every = set(found(mode, ANY))
    assert every == set(TEXTS)
    assert set(found(mode, ANY, excluded=["user name", "eight"])) == every - {
        "user-name",
        "café",
        "english",
    }
    assert found(mode, ANY, required=["user"], excluded=["page"]) == []


@pytest.mark.parametrize("mode", MODES)
def test_the_beginning_of_a_word_is_enough_where_a_prefix_is_required(found, mode):
    assert set(found(mode, ANY, required=[Prefix("err")])) == {"error", "errand"}
    assert found(mode, ANY, required=[Prefix("erra")]) == ["errand"]
    assert set(found(mode, ANY, excluded=[Prefix("e")])) == {"user-name", "name-user"}


@pytest.mark.parametrize("mode", MODES)
def test_clauses_and_a_filter_hold_together(found, mode):
    first = field("place").between(lte=0)
    assert found(mode, ANY, passing=first, required=["user"]) == ["user-name"]


def test_clauses_are_compared_as_words_are(found):
    assert found("lexical", required=["CAFE MULLER"]) == ["café"]
    assert found("lexical", required=["user, name!"]) == ["user-name"]


def test_clauses_alone_find_by_words(found):
    assert set(found(None, required=["page"])) == {"user-name", "name-user"}
    assert set(found("lexical", optional=["page", "eight"])) == {
        "user-name",
        "name-user",
        "café",
        "english",
    }


def test_an_optional_clause_raises_what_matches_it(found):
    assert found("lexical", "user", optional=["name the"])[0] == "name-user"
    assert found("lexical", "user", optional=["user name"])[0] == "user-name"


def test_a_vector_and_clauses_need_no_query(found):
    vector = [1.0] * 384
    assert set(found(None, vector=vector, required=["eight"])) == {"café", "english"}
    assert set(found("hybrid", vector=vector, optional=["eight"])) == set(TEXTS)


@pytest.mark.parametrize(
    ("mode", "query", "clauses", "problem"),
    [
        ("dense", "q", {"optional": ["a"]}, r"words.optional: given, but DENSE"),
        ("hybrid", "", {"required": ["a"]}, r"query: empty, and there is no vector, but HYBRID"),
        ("lexical", "", {"excluded": ["a"]}, r"query: empty, and there is no vector and no"),
        ("lexical", "q", {"required": ["!?"]}, r"words.required\[0\].*no word"),
        ("dense", "q", {"excluded": ["a", ""]}, r"words.excluded\[1\].*no word"),
        ("lexical", "q", {"required": [Prefix("two words")]}, r"required\[0\].prefix: 'two words'"),
        ("lexical", "q", {"required": ["x" * 1_025]}, r"required\[0\].phrase: 1,025 bytes"),
        ("lexical", "q", {"excluded": [Prefix("x" * 257)]}, r"excluded\[0\].prefix: 257 bytes"),
        ("lexical", "q", {"optional": ["a"] * 65}, r"words: 65 clauses given, at most 64"),
    ],
)
def test_what_is_wrong_with_a_clause_is_said(found, mode, query, clauses, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        found(mode, query, **clauses)


def test_a_text_in_place_of_a_list_of_clauses_is_refused(found):
    with pytest.raises(TypeError, match=r"retrieve\.words\.required"):
        found("lexical", required="user")
