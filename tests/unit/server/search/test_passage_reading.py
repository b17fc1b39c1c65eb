"""What is read of candidates: the same of stored tokens as of the texts that they were made of."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.base.sequences import Ragged
from twopass.index.passages import StoredPassages
from twopass.index.ranked_list import RankedList
from twopass.index.schema import Chunking, CollectionSchema
from twopass.index.stopping import NEVER
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.search.candidates import Candidates
from twopass.server.search.found import Found
from twopass.server.search.passage_reading import PassageReading

from ..scripted import NumberTokenizer, ScriptedEngine, scripted_reranker

WINDOW = 16
SCHEMA = CollectionSchema(
    dimension=2,
    encoder="numbers",
    encoder_revision="0" * 64,
    tokenizer_fingerprint=NumberTokenizer.fingerprint,
    chunking=Chunking(WINDOW, 4),
)
WHOLE = replace(SCHEMA, chunking=None)


def reading(
    passages: list[list[int]],
    windows: dict[int, tuple[int, int]],
    positions: list[int],
    *,
    truncation: Truncation = Truncation.TRUNCATE,
    schema: CollectionSchema = SCHEMA,
) -> PassageReading:
    keys = np.arange(len(passages))
    found = Found(
        best=RankedList(keys, np.zeros(len(passages), np.float32)), sequence="", windows=windows
    )
    stored = StoredPassages(keys, tuple(map(str, keys)), Ragged.from_rows(passages))
    return PassageReading(
        Candidates.of(found, stored),
        np.array(positions, np.int32),
        scripted_reranker(ScriptedEngine()),
        truncation,
        schema,
        NumberTokenizer(),
    )


def rows(ragged: Ragged) -> list[list[int]]:
    return [ragged[i].tolist() for i in range(len(ragged))]


def of_texts(wanted: PassageReading, passages: list[list[int]]) -> list[list[int]]:
    async def read() -> Ragged:
        tokenizing = Tokenizing(1)
        texts = [" ".join(map(str, passages[i])) for i in wanted.positions.tolist()]
        try:
            return await wanted.of_texts(texts, tokenizing, NEVER)
        finally:
            tokenizing.close()

    return rows(asyncio.run(read()))


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[list[int]], dict[int, tuple[int, int]], list[int]]:
    """Passages, the windows that are known of some of them, and which candidates are read."""
    lengths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=5))
    passages = [[100 * i + j for j in range(length)] for i, length in enumerate(lengths, 1)]
    windows = {}
    for key, length in enumerate(lengths):
        if length > WINDOW and draw(st.booleans()):
            head = draw(st.integers(0, 4))
            start = draw(st.integers(0, length - 1))
            windows[key] = (start, min(length, start + WINDOW - head))
    positions = draw(st.lists(st.sampled_from(range(len(lengths))), min_size=1, unique=True))
    return passages, windows, positions


@settings(max_examples=60, deadline=None)
@given(searches())
def test_texts_are_read_as_what_is_stored_of_them(search):
    passages, windows, positions = search
    wanted = reading(passages, windows, positions)
    stored = wanted.stored()
    assert stored is not None
    assert of_texts(wanted, passages) == rows(stored)


@pytest.mark.parametrize(
    ("truncation", "schema"), [(Truncation.MAX_WINDOW, SCHEMA), (Truncation.TRUNCATE, WHOLE)]
)
def test_passages_are_read_whole_where_all_windows_are_read_or_there_are_none(truncation, schema):
    passages = [list(range(1, 41)), list(range(50, 60))]
    wanted = reading(passages, {0: (20, 36)}, [1, 0], truncation=truncation, schema=schema)
    stored = wanted.stored()
    assert stored is not None
    assert rows(stored) == of_texts(wanted, passages) == [passages[1], passages[0]]


def test_what_another_tokenizer_has_made_is_not_read():
    schema = replace(SCHEMA, tokenizer_fingerprint="words")
    assert reading([[1, 2]], {}, [0], schema=schema).stored() is None
