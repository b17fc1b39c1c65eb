"""When words have to move from memory to disk, whatever the documents are like."""

import numpy as np
import pytest

from twopass.index.words.analysis import Analyser
from twopass.index.words.encoding import encode_words
from twopass.index.words.flushing import FlushPolicy
from twopass.index.words.fresh import Run
from twopass.index.words.searching import Words

POLICY = FlushPolicy(
    min_documents=10, max_postings=200, max_characters=4_000, patience=3, worth_saving=5
)


def words_of(num_documents, text):
    encoded = encode_words(Analyser(), [("", text)] * num_documents)
    run = Run.of(np.arange(1, num_documents + 1), encoded)
    return Words(None, np.empty(0, np.int64), (run,))


@pytest.mark.parametrize(
    ("num_documents", "text"),
    [
        (10, "short"),
        (2, " ".join(f"word{number}" for number in range(60))),  # words that differ
        (2, "same " * 500),  # words that are the same, of which there are few postings
    ],
    ids=["many", "different", "repeated"],
)
def test_words_are_flushed_when_documents_terms_or_characters_are_many(num_documents, text):
    assert POLICY.is_due(words_of(num_documents, text))
    assert not POLICY.is_too_much(words_of(num_documents, text))
    assert POLICY.is_too_much(words_of(3 * num_documents, text))
    assert not POLICY.is_due(words_of(1, "short"))


def test_few_documents_are_saved_at_the_end_where_analysing_them_again_would_take_long():
    assert not POLICY.is_worth_saving(words_of(1, "short"))
    assert POLICY.is_worth_saving(words_of(5, "short"))
    assert POLICY.is_worth_saving(words_of(1, "same " * 500))
