"""One round trip for both lists finds what one for each finds."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.base.retrieval import HybridRetrieval
from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.retrieved import Expected
from twopass.index.word_query import Phrase, Prefix, WordClauses

from .asking import EVERYTHING, WHOLE, of_ids, scored, write

WORDS = ["sky", "skyline", "blue", "red", "the", "moon", "tide"]
VECTORS = st.lists(st.integers(-3, 3), min_size=4, max_size=4).filter(any)
CORPORA = st.dictionaries(
    st.integers(0, 15),
    st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), VECTORS),
    min_size=1,
    max_size=10,
)
CLAUSES = st.sampled_from(
    [
        WordClauses(),
        WordClauses(required=(Phrase("blue"),)),
        WordClauses(excluded=(Prefix("sky"),)),
        WordClauses(optional=(Phrase("the moon"),)),
    ]
)


@pytest.fixture
def hybrid(collection):
    if not isinstance(collection.retrieval(), HybridRetrieval):
        pytest.skip("it finds one list at a time")
    return collection


def document(number, words, vector):
    return IndexedDocument(
        id=f"d{number}",
        title=f"title {number}",
        text=" ".join(words),
        metadata={"number": number},
        vector=np.array(vector, np.float32),
        token_ids=np.arange(number + 1, dtype=np.int32),
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corpus=CORPORA,
    text=st.lists(st.sampled_from([*WORDS, "nowhere"]), max_size=4).map(" ".join),
    query=VECTORS,
    k=st.integers(1, 12),
    below=st.none() | st.integers(0, 16),
    clauses=CLAUSES,
)
async def test_both_lists_at_once_are_those_of_the_single_verbs(
    kind, hybrid, corpus, text, query, k, below, clauses
):
    if not kind.has("clauses"):
        clauses = WordClauses()
    await hybrid.delete(EVERYTHING)
    await write(hybrid, *(document(n, *rest) for n, rest in corpus.items()))
    members = None
    if below is not None:
        members = await hybrid.members(Filter(must=(FieldCondition("number", InRange(lt=below)),)))
    vector = np.array(query, np.float32)
    expected = Expected(token_ids=True, texts=True, fields=WHOLE, num_hits=3)
    together = hybrid.retrieval(expected)
    both = await together.both(vector, text, k, members, clauses)
    apart = hybrid.retrieval()
    bounded = members
    if clauses.required or clauses.excluded:
        bounded = await hybrid.members_with_words(clauses, members)
    nearest = await apart.nearest(vector, k, bounded)
    words = await apart.with_words(text, k, members, clauses)
    # Equal scores may come in another order, so that the last of them may differ.
    for one, other in ((both.nearest, nearest), (both.words, words)):
        assert one.ranked.scores.tolist() == pytest.approx(other.ranked.scores.tolist(), abs=1e-5)
        least = min(other.ranked.scores.tolist(), default=0)
        found, alone = await scored(together, one), await scored(apart, other)
        above = {name: score for name, score in alone.items() if score > least + 1e-4}
        assert above.keys() <= found.keys()
        assert {name: found[name] for name in above} == pytest.approx(above, abs=1e-5)
    beyond = await scored(together, both.beyond)
    in_nearest = await scored(together, both.nearest)
    in_words = await scored(together, both.words)
    assert beyond.keys() <= in_words.keys() - in_nearest.keys()
    similar = await together.similar(vector, both.words.ranked.keys)
    of_words = await scored(together, similar)
    assert beyond == pytest.approx({name: of_words[name] for name in beyond}, abs=1e-5)


async def test_what_was_announced_reads_as_what_was_not(hybrid):
    await write(hybrid, *(document(n, ["sky", WORDS[n % 7]], [1, n, -1, 2]) for n in range(8)))
    vector = np.array([1, 2, 0, 0], np.float32)
    read = []
    for expected in (
        Expected(token_ids=True, texts=True, fields=WHOLE),
        Expected(token_ids=False, texts=False, fields=DocumentFields(text=False, metadata=False)),
        Expected(token_ids=True, fields=DocumentFields(), num_hits=1),
    ):
        retrieval = hybrid.retrieval(expected)
        found = await retrieval.both(vector, "sky moon", 6)
        keys = np.unique(np.concatenate([found.nearest.ranked.keys, found.words.ranked.keys]))
        loaded = await retrieval.load(keys)
        tokens = {
            name: ids.tolist() for name, ids in zip(loaded.ids, loaded.token_ids, strict=True)
        }
        fetched = {
            stored.id: (stored.title, stored.text, stored.metadata, stored.vector.tolist())
            for stored in (await retrieval.fetch(keys, WHOLE)).values()
        }
        limited, bare = await retrieval.fetch_first(keys, WHOLE, 10**6)
        assert not bare
        assert {stored.id for stored in limited.values()} == fetched.keys() == tokens.keys()
        read.append((tokens, fetched))
    assert read[0] == read[1] == read[2]
    assert all(tokens == list(range(int(name[1:]) + 1)) for name, tokens in read[0][0].items())


async def test_both_lists_see_the_write_before_them(hybrid):
    for number in range(5):
        written = await write(hybrid, document(number, ["moon"], [1, 0, 0, number]))
        retrieval = hybrid.retrieval(min_sequence=str(written.sequence))
        found = await retrieval.both(np.array([1, 0, 0, number], np.float32), "moon", 10)
        assert found.nearest.sequence.position >= written.sequence.position
        assert f"d{number}" in await scored(retrieval, found.nearest)
        assert f"d{number}" in await scored(retrieval, found.words)
    await hybrid.delete(of_ids("d0"))
    retrieval = hybrid.retrieval()
    found = await retrieval.both(np.array([1, 0, 0, 0], np.float32), "moon", 10)
    assert "d0" not in await scored(retrieval, found.nearest)
    assert "d0" not in await scored(retrieval, found.words)
