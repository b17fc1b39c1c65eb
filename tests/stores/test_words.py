"""Words are found by BM25: with the default store's own scores where a store has its analysis."""

from string import ascii_lowercase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.errors import InvalidQueryError
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.schema import CollectionSchema
from twopass.index.word_query import Phrase, Prefix, WordClauses

from .asking import EVERYTHING, of_ids, with_words, write
from .reference import Reference

WORDS = ["sky", "skyline", "blue", "red", "the", "of", "Moon", "tide", "über", "XR-2000", "東京"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=40).map(" ".join)
titles = st.just("") | st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
corpora = st.dictionaries(
    st.sampled_from([f"d{n}" for n in range(12)]), st.tuples(titles, texts), min_size=1, max_size=8
)
queries = st.lists(st.sampled_from([*WORDS, "nowhere"]), max_size=5).map(" ".join)
phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join).map(Phrase)
prefixes = st.sampled_from(["s", "sky", "XR-2", "東", "of t", "b"]).map(Prefix)
clauses = st.lists(phrases | prefixes, max_size=2).map(tuple)


@pytest.fixture
def refilled(collection, make_document):
    """Writes documents of some titles and texts in place of those that are there."""

    async def refill(first, second=None):
        await collection.delete(EVERYTHING)
        reference = Reference(collection.schema)
        for some in (first, second or {}):
            documents = [
                make_document(name, title=title, text=text, metadata={"n": int(name[1:])})
                for name, (title, text) in some.items()
            ]
            if documents:
                await write(collection, *documents)
                reference.upsert(documents)
        return collection, reference

    return refill


def agree(found, expected, k):
    """Whether a list holds the best of what is expected, with their scores, best first."""
    assert len(found) == min(k, len(expected))
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-4)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    least = min(found.values(), default=0)
    # What was not found fits no better.
    assert all(score <= least * (1 + 1e-4) for n, score in expected.items() if n not in found)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=corpora,
    second=corpora,
    deleted=st.sets(st.integers(0, 11), max_size=3),
    query=queries,
    k=st.integers(1, 14),
    below=st.none() | st.integers(0, 12),
)
async def test_scores_are_those_of_the_formula(
    kind, refilled, first, second, deleted, query, k, below
):
    collection, reference = await refilled(first, second)
    if deleted:
        gone = of_ids(*(f"d{n}" for n in deleted))
        await collection.delete(gone)
        reference.delete(gone)
    wanted = EVERYTHING if below is None else Filter(must=(FieldCondition("n", InRange(lt=below)),))
    found = await with_words(collection, query, k, wanted)
    expected = reference.words(query, wanted)
    if kind.has("default_words"):
        agree(found, expected, k)
    else:
        # The same analysis finds the same documents; the scores are by the store's own statistics.
        assert len(found) == min(k, len(expected))
        assert found.keys() <= expected.keys()
        assert list(found.values()) == sorted(found.values(), reverse=True)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=corpora, query=queries, required=clauses, excluded=clauses, optional=clauses)
async def test_clauses_bound_the_list_and_score(
    kind, refilled, corpus, query, required, excluded, optional
):
    if not kind.has("clauses"):
        pytest.skip(f"{kind.title} has no clauses")
    collection, reference = await refilled(corpus)
    asked = WordClauses(required=required, excluded=excluded, optional=optional)
    found = await with_words(collection, query, 20, clauses=asked)
    agree(found, reference.words(query, clauses=asked), 20)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=corpora, required=clauses, excluded=clauses, below=st.none() | st.integers(0, 12))
async def test_clauses_bound_the_list_of_the_nearest_too(
    kind, refilled, make_document, corpus, required, excluded, below
):
    if not kind.has("clauses"):
        pytest.skip(f"{kind.title} has no clauses")
    collection, reference = await refilled(corpus)
    asked = WordClauses(required=required, excluded=excluded)
    wanted = EVERYTHING if below is None else Filter(must=(FieldCondition("n", InRange(lt=below)),))
    members = await collection.members_with_words(asked, await collection.members(wanted))
    retrieval = collection.retrieval()
    query = make_document("q").vector
    found = await retrieval.nearest(query, 20, members)
    names = (await retrieval.load(found.ranked.keys)).ids
    assert set(names) == reference.similarities(query.tolist(), wanted, asked).keys()


async def test_a_clause_without_a_word_is_refused(kind, collection, make_document):
    if not kind.has("clauses"):
        pytest.skip(f"{kind.title} has no clauses")
    await write(collection, make_document("a"))
    for asked, field in (
        (WordClauses(required=(Phrase("..."),)), r"retrieve\.words\.required\[0\]\.phrase"),
        (WordClauses(optional=(Phrase("a"), Prefix("!"))), r"words\.optional\[1\]\.prefix"),
    ):
        with pytest.raises(InvalidQueryError, match=field):
            await with_words(collection, "text", 5, clauses=asked)
    with pytest.raises(InvalidQueryError, match=r"words\.excluded\[0\]\.prefix"):
        await collection.members_with_words(WordClauses(excluded=(Prefix("-"),)))
    with pytest.raises(InvalidQueryError, match=r"retrieve\.k"):
        await with_words(collection, "text", 0)


ODD_QUERIES = [
    "",
    "   ",
    "?!",
    "text' OR 1=1 --",
    'text" AND (',
    "text:* & | ! <->",
    "a\x00b text",
    "%_text\\",
    "🙂 text",
    "text " * 2_000,
]


@pytest.mark.parametrize("query", ODD_QUERIES, ids=range(len(ODD_QUERIES)))
async def test_a_query_is_never_syntax(collection, make_document, query):
    await write(collection, *map(make_document, "abc"))
    found = await with_words(collection, query, 5)
    assert found.keys() == (set("abc") if "text" in query else set())


async def test_titles_count_and_words_of_all_scripts_are_found(collection, make_document):
    await write(
        collection,
        make_document("en", title="The Moon", text="It pulls at the oceans."),
        make_document("de", text="Die Straße führt über den Fluß."),
        make_document("ja", text="東京は日本の首都です。"),
        make_document("ru", text="Москва — столица России."),
    )
    for query, name in (("moon", "en"), ("über", "de"), ("Москва", "ru"), ("oceans", "en")):
        assert next(iter(await with_words(collection, query, 4))) == name


@pytest.mark.parametrize("language", ["en", "de"])
async def test_endings_of_words_are_removed_where_the_language_is_told(
    kind, store, make_document, language
):
    schema = CollectionSchema(dimension=4, client_vectors=True, language=language)
    await store.create("stemmed", schema)
    lease = await store.acquire("stemmed")
    documents = [
        make_document("d0", title="Running", text="The runners ran; running dogs jumped over."),
        make_document("d1", text="Die Häuser der Stadt laufen nicht davon."),
        make_document("d2", text="Das Haus läuft."),
    ]
    await write(lease.collection, *documents)
    reference = Reference(schema)
    reference.upsert(documents)
    for query in ("runs jump dog", "Hause", "häuser lief"):
        found = await with_words(lease.collection, query, 5)
        if kind.has("default_words"):
            agree(found, reference.words(query), 5)
    if language == "en":
        assert list(await with_words(lease.collection, "dog", 5)) == ["d0"]
    lease.release()


async def test_of_very_many_words_the_rarest_are_searched_and_the_rest_counted(
    collection, make_document
):
    words = " ".join(f"{one}{other}x" for one in ascii_lowercase for other in ascii_lowercase)
    await write(collection, make_document("a", text=words), make_document("b", text="abx other"))
    retrieval = collection.retrieval()
    found = await retrieval.with_words(words, 5)
    assert found.ranked.num_words_dropped in (0, 26 * 26 - 512)
    assert (await retrieval.load(found.ranked.keys)).ids[0] == "a"
    found = await retrieval.with_words("abx other", 5)
    assert found.ranked.num_words_dropped == 0
