"""Queries come from a file, or from a collection's own documents."""

import pytest

from twopass.benchmarks.queries import QueriesError, queries_of_collection, queries_of_file
from twopass.client import Document


class Collection:
    """A client whose only collection has these texts."""

    def __init__(self, *texts):
        self._texts = texts

    async def documents(self, collection):
        for text in self._texts:
            yield Document(id="d", text=text)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "queries.jsonl"


def test_a_line_names_its_query_or_else_its_text(file):
    file.write_text('{"query": "a", "text": "not this"}\n\n{"_id": "2", "text": "b"}\n')
    assert queries_of_file(file) == ["a", "b"]


@pytest.mark.parametrize("line", ["{", "[1]", '"a"', '{"query": 3}', '{"query": " "}', "{}"])
def test_a_line_that_has_none_is_named(file, line):
    file.write_text('{"query": "a"}\n' + line + "\n")
    with pytest.raises(QueriesError, match=r"queries\.jsonl:2"):
        queries_of_file(file)


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff"])
def test_a_file_that_has_none_is_an_error(file, content):
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(QueriesError, match=r"queries\.jsonl"):
        queries_of_file(file)


async def test_the_first_words_of_documents_are_queries():
    long = "one two three four five six seven eight nine ten eleven"
    queries = await queries_of_collection(Collection("a  b", "", long), "docs")
    assert queries == ["a b", "one two three four five six seven eight nine ten"]


async def test_a_thousand_queries_are_enough():
    queries = await queries_of_collection(Collection(*map(str, range(1_500))), "docs")
    assert queries == list(map(str, range(1_000)))


async def test_a_collection_without_text_is_an_error():
    with pytest.raises(QueriesError, match="docs"):
        await queries_of_collection(Collection("", " "), "docs")
