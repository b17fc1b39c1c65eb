"""What a search by words finds, and queries that are words and nothing else."""

from itertools import islice, product

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.documents import DocumentFields
from twopass.index.errors import InvalidQueryError
from twopass.index.schema import CollectionSchema, LexicalTokenizer
from twopass.index.store.store import CollectionStore
from twopass.index.words.searching import MAX_TERMS

from ..conftest import DIMENSION, LANES


def found(collection, query, k=100):
    """Ids and scores, best first."""
    ranked = collection.search_words(query, k)
    documents = collection.fetch(ranked.keys, DocumentFields(text=False, metadata=False))
    ids = [documents[key].id for key in ranked.keys.tolist()]
    return list(zip(ids, ranked.scores.tolist(), strict=True))


@pytest.fixture
def fill(collection, make_document):
    def upsert(**texts):
        collection.upsert([make_document(name, text=text) for name, text in texts.items()]).result()
        return collection

    return upsert


def test_title_and_text_both_count_the_title_more(collection, make_document):
    collection.upsert(
        [
            make_document("in-title", title="tides", text="of the sea"),
            make_document("in-text", title="sea", text="of the tides"),
            make_document("in-none"),
        ]
    ).result()
    assert [name for name, _ in found(collection, "tides")] == ["in-title", "in-text"]


def test_equal_scores_come_by_key_and_k_bounds_them(fill):
    collection = fill(b="sky", a="sky", c="sky", d="sea")
    assert [name for name, _ in found(collection, "sky", k=2)] == ["b", "a"]


def test_words_are_folded_in_case_and_accents(fill):
    collection = fill(a="Die Häuser", b="CAFÉ")
    assert [name for name, _ in found(collection, "HAUSER")] == ["a"]
    assert [name for name, _ in found(collection, "café")] == ["b"]


def test_porter_finds_what_has_another_ending(store, make_document):
    for tokenizer, expected in [
        (LexicalTokenizer.PORTER, ["a"]),
        (LexicalTokenizer.UNICODE, []),
    ]:
        schema = CollectionSchema(
            dimension=DIMENSION, client_vectors=True, lexical_tokenizer=tokenizer
        )
        collection = store.create(tokenizer.value, schema)
        collection.upsert([make_document("a", text="generalizations of tides")]).result()
        assert [name for name, _ in found(collection, "generalized")] == expected
        assert [name for name, _ in found(collection, "generalizations")] == ["a"]


def test_the_language_removes_endings(store, make_document):
    for language, expected in [("de", ["a"]), ("", [])]:
        schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, language=language)
        collection = store.create(f"of-{language or 'none'}", schema)
        collection.upsert([make_document("a", text="Die Häuser am Meer")]).result()
        assert [name for name, _ in found(collection, "Haus")] == expected


@pytest.mark.parametrize(
    "query",
    ['"', "sky AND", "sky NOT sky", "NEAR(sky, 2)", "title : sky", "sky*", "^sky", "-sky", "(sky",
     "{text} : sky", "sky + sky", "'; DROP TABLE documents; --sky", 'sky" OR "'],
)  # fmt: skip
def test_a_query_is_words_whatever_its_punctuation(fill, query):
    collection = fill(a="sky", b="sea")
    assert [name for name, _ in found(collection, query)] == (["a"] if "sky" in query else [])


@given(query=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_no_text_is_an_error(shared, query):
    shared.search_words(query, 10)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with CollectionStore(tmp_path_factory.mktemp("shared"), LANES) as store:
        yield store.create("notes", CollectionSchema(dimension=DIMENSION, client_vectors=True))


@pytest.mark.parametrize("query", ["", " ", "?!", "nowhere"])
def test_a_query_without_a_known_word_finds_nothing(fill, query):
    assert found(fill(a="sky"), query) == []


def test_of_a_very_long_query_the_rarest_words_are_searched(fill):
    collection = fill(a="common", b="common rare")
    unknown = ["".join(letters) for letters in islice(product("bcdfgh", repeat=4), MAX_TERMS)]
    matches = collection.search_words(" ".join([*unknown, "common", "rare"]), 10)
    assert len(matches.keys) == 2
    assert matches.num_words_dropped == 0  # a word that no document holds is not missed
    fill(**{word: word for word in unknown})
    query = " ".join(["common", *unknown, "rare"])
    assert collection.search_words(query, 2_000).num_words_dropped == 2
    assert collection.search_words("common rare", 1).num_words_dropped == 0


def test_what_is_replaced_or_deleted_is_not_found(fill):
    collection = fill(a="sky", b="sky")
    fill(a="sea")
    assert [name for name, _ in found(collection, "sky")] == ["b"]
    collection.delete(["b"]).result()
    assert found(collection, "sky") == []
    assert [name for name, _ in found(collection, "sea")] == ["a"]


def test_a_k_that_is_none_is_refused(collection):
    with pytest.raises(InvalidQueryError) as refused:
        collection.search_words("sky", 0)
    assert refused.value.field == "retrieve.k"


def test_a_batch_that_failed_leaves_no_words(fill, database, make_document):
    collection = fill(a="sky")
    blocker = apsw.Connection(str(database))
    blocker.set_busy_timeout(10_000)
    blocker.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON documents WHEN new.id = 'bad' "
        "BEGIN SELECT raise(ABORT, 'refused'); END"
    )
    with pytest.raises(Exception, match="refused"):
        collection.upsert([make_document("c", text="sky"), make_document("bad")]).result()
    assert [name for name, _ in found(collection, "sky")] == ["a"]
    blocker.close()
