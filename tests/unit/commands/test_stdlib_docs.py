"""The demo's documents: real, many, each with an id of its own."""

import pytest

from twopass.commands import stdlib_docs


@pytest.fixture(scope="module")
def passages():
    return stdlib_docs.passages()


@pytest.fixture(scope="module")
def documents(passages):
    return {document.id: document for document in passages}


def test_there_are_thousands_with_distinct_ids(documents, passages):
    assert len(documents) >= 5_000
    assert len(documents) == len(passages)


def test_sources_and_modules_written_in_c_are_both_there(documents):
    assert "temporary directory" in documents["tempfile.TemporaryDirectory"].text
    assert "absolute value" in documents["builtins.abs"].text


def test_no_passage_is_longer_than_the_limit_or_says_nothing(documents):
    sizes = [len(document.text) for document in documents.values()]
    assert max(sizes) <= stdlib_docs._MAX_CHARS
    assert min(sizes) > 0
