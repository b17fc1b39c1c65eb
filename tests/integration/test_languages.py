"""A collection's language decides which forms of a word find each other."""

import pytest

from twopass.client import Client, Document, InvalidArgumentError, Schema


@pytest.fixture(scope="module")
def client(server):
    with Client(server.target) as client:
        yield client


@pytest.fixture
def holds(client):
    """Whether a word finds a text by words alone, in a collection of a schema."""
    names = []

    def run(text: str, word: str, schema: Schema) -> bool:
        name = f"language-{len(names)}"
        client.create_collection(name, schema)
        names.append(name)
        client.upsert(name, [Document(id="only", text=text)])
        return bool(client.search(name, word, retrieve="lexical", rerank=False).hits)

    yield run
    for name in names:
        client.delete_collection(name)


def test_endings_of_english_words_are_removed_by_default(client, holds):
    assert holds("It connects the pumps.", "pump connecting", Schema())
    assert client.get_collection("language-0").schema.language == "en"


def test_words_stand_as_they_are_without_a_language(client, holds):
    assert not holds("It connects the pumps.", "pump connecting", Schema(language="none"))
    assert client.get_collection("language-0").schema.language == "none"


def test_a_language_removes_its_own_endings(holds):
    assert holds("Die alten Häuser", "Haus", Schema(language="de"))
    assert not holds("Die alten Häuser", "Haus", Schema())


def test_porters_stems_are_english_and_name_no_language(client, holds):
    assert holds("It connects the pumps.", "pump", Schema(lexical_tokenizer="porter"))
    assert client.get_collection("language-0").schema.language == ""


def test_a_described_schema_makes_the_same_collection_again(client, holds):
    for language in ("none", "de"):
        holds("It connects the pumps.", "pump", Schema(language=language))
    for name in ("language-0", "language-1"):
        schema = client.get_collection(name).schema
        again = client.create_collection("language-again", schema)
        client.delete_collection("language-again")
        assert again.schema == schema


def test_an_unknown_language_is_refused_with_those_that_are_known(client):
    with pytest.raises(
        InvalidArgumentError, match=r"schema\.language: 'xx' given; one of ar, .*none"
    ):
        client.create_collection("language-xx", Schema(language="xx"))
