"""Queries that a model does not read whole, cut before a measurement begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.model.decoder import PASSAGE, QUERY, PromptLayout
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.long_queries import QueryReader, cut_queries

from ..engines.small_decoders import save_tokenizer


@pytest.fixture(scope="module")
def reader():
    return QueryReader.of("twopass-minilm-l6")


def num_tokens(reader, text):
    return len(reader.tokenizer.encode([text], 10_000)[0])


def test_only_queries_that_are_too_long_are_cut_and_they_are_counted(reader):
    limit = reader.spec.max_query_tokens
    queries = {"short": "why is the sky blue", "at": "sky " * limit, "over": "sky " * (limit + 1)}
    cut = cut_queries(Dataset("d", (), queries, {}), [reader])
    assert cut.num_cut == 1
    assert cut.dataset.queries["short"] == queries["short"]
    assert cut.dataset.queries["at"] == queries["at"]
    assert num_tokens(reader, cut.dataset.queries["over"]) == limit


@given(words=st.lists(st.text("abcxyzéß-#漢 ", min_size=1, max_size=12), min_size=90, max_size=300))
def test_a_cut_query_is_a_beginning_that_the_model_reads(reader, words):
    query = " ".join(words)
    kept = reader.cut(query)
    assert query.startswith(kept)
    assert num_tokens(reader, kept) <= reader.spec.max_query_tokens
    if num_tokens(reader, query) <= reader.spec.max_query_tokens:
        assert kept == query


@pytest.mark.parametrize("num_words", [1, 253, 254, 255, 256, 257, 300])
def test_a_decoders_queries_are_counted_as_they_stand_in_its_prompt(reader, tmp_path, num_words):
    """A line break after a query is tokenised with it, as the server does."""
    save_tokenizer(tmp_path)
    layout = PromptLayout((f"Q: {QUERY}\n\nD: {PASSAGE} yes?",))
    prompt = DecoderTokenizer(tmp_path / "tokenizer.json", layout)
    tokenizer = HuggingFaceTokenizer(tmp_path / "tokenizer.json", shares_queries=True)
    decoders = QueryReader(reader.spec, tokenizer, prompt)
    query = "a" + " it" * (num_words - 1)

    def count(text):
        return len(prompt.encode_queries([text], 1_000)[0])

    kept = decoders.cut(query)
    assert query.startswith(kept)
    assert count(kept) == min(count(query), reader.spec.max_query_tokens)
