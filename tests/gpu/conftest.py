"""What tests on a GPU share. All of them are marked `gpu`; run them alone by `pytest -m gpu`."""

from contextlib import contextmanager

import numpy as np
import pytest

from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.engines.errors import EngineUnavailableError


@pytest.fixture(scope="session")
def golden_pairs(golden, reranker) -> TokenBatch:
    """Every golden pair, long ones too."""
    separator = reranker.tokenizer.template.separator[0]
    query_lengths = [ids.index(separator) + 1 for ids in golden.pair_ids]
    ragged = Ragged.from_rows(golden.pair_ids)
    return TokenBatch(ragged.token_ids, ragged.offsets, np.array(query_lengths, np.int32))


@pytest.fixture(scope="session")
def golden_texts(golden, encoder) -> TokenBatch:
    """Every golden text, as an encoder reads it."""
    template = encoder.tokenizer.single
    texts = encoder.tokenizer.encode(golden.texts, 256 - template.num_tokens)
    rows = [[*template.prefix, *texts[i], *template.suffix] for i in range(len(texts))]
    ragged = Ragged.from_rows(rows)
    return TokenBatch(ragged.token_ids, ragged.offsets, ragged.lengths)


@pytest.fixture
def open_engine():
    """Makes an engine for a test, or skips it with the sentence that says what is missing."""
    with _opening() as open_engine:
        yield open_engine


@pytest.fixture(scope="session")
def open_engine_once():
    """The same of an engine that several tests share."""
    with _opening() as open_engine:
        yield open_engine


@contextmanager
def _opening():
    engines = []

    def open_engine(kind, folder, **options):
        try:
            engines.append(kind(folder, **options))
        except EngineUnavailableError as error:
            pytest.skip(str(error))
        return engines[-1]

    try:
        yield open_engine
    finally:
        for engine in engines:
            engine.close()
