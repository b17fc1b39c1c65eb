"""BM25 against the formula, and queries that are words and nothing else."""

import math
import re
from collections import Counter

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.errors import InvalidQueryError
from twopass.index.schema import CollectionSchema, LexicalTokenizer
from twopass.index.store.store import CollectionStore
from twopass.index.words import lexical

from ..conftest import DIMENSION, LANES

WORDS = ["sky", "blue", "red", "the", "of", "Moon", "tide", "über"]


def found(collection, query, k=100):
    """Ids and scores, best first."""
    ranked = collection.search_words(query, k)
    documents = collection.fetch(ranked.keys, DocumentFields(text=False, metadata=False))
    ids = [documents[key].id for key in ranked.keys.tolist()]
    return list(zip(ids, ranked.scores.tolist(), strict=True))


def words_of(text):
    return re.findall(r"\w+", text.lower().replace("ü", "u"))


def bm25(texts, query):
    """Robertson's BM25 as FTS5 has it: k1 1.2, b 0.75, an idf of at least 1e-6."""
    bags = {name: Counter(words_of(text)) for name, text in texts.items()}
    average = sum(bag.total() for bag in bags.values()) / len(bags)
    scores = Counter()
    for word in set(words_of(query)):
        holders = [name for name, bag in bags.items() if word in bag]
        idf = math.log((len(bags) - len(holders) + 0.5) / (len(holders) + 0.5))
        for name in holders:
            count, length = bags[name][word], bags[name].total()
            norm = count + 1.2 * (0.25 + 0.75 * length / average)
            scores[name] += max(idf, 1e-6) * count * 2.2 / norm
    return scores


@pytest.fixture
def fill(collection, make_document):
    def upsert(**texts):
        collection.upsert([make_document(name, text=text) for name, text in texts.items()]).result()
        return collection

    return upsert


passages = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


@settings(max_examples=60)
@given(
    texts=st.lists(passages, min_size=1, max_size=12),
    query=st.lists(st.sampled_from([*WORDS, "nowhere"]), min_size=1, max_size=5).map(" ".join),
)
def test_scores_are_those_of_the_formula(tmp_path_factory, texts, query):
    named = {f"d{i}": text for i, text in enumerate(texts)}
    with CollectionStore(tmp_path_factory.mktemp("bm25"), LANES) as store:
        collection = store.create(
            "notes", CollectionSchema(dimension=DIMENSION, client_vectors=True)
        )
        one, none = np.ones(DIMENSION, np.float32), np.empty(0, np.int32)
        collection.upsert(
            [
                IndexedDocument(id=name, text=text, vector=one, token_ids=none)
                for name, text in named.items()
            ]
        ).result()
        ranked = found(collection, query)
    expected = bm25(named, query)
    assert dict(ranked) == pytest.approx(expected, rel=1e-5)
    assert [score for _, score in ranked] == sorted((s for _, s in ranked), reverse=True)


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


def test_frequent_words_are_dropped_where_rarer_ones_are_there(fill, monkeypatch):
    collection = fill(a="the sky", b="the sea", c="the moon", d="the sky")
    everything = {name for name, _ in found(collection, "the sky sea")}
    assert everything == {"a", "b", "c", "d"}
    # sea is in 1 document, sky in 2, the in 4
    monkeypatch.setattr(collection._lexical, "_max_postings", 3)
    assert {name for name, _ in found(collection, "the sky sea")} == {"a", "b", "d"}
    monkeypatch.setattr(collection._lexical, "_max_postings", 2)
    assert {name for name, _ in found(collection, "the sky sea")} == {"b"}
    assert {name for name, _ in found(collection, "the")} == everything  # the rarest there is


def test_of_a_long_query_the_rarest_words_are_searched(fill):
    collection = fill(**{f"d{i}": f"word{i} common" for i in range(100)})
    query = "common " + " ".join(f"word{i}" for i in range(100))
    assert len(found(collection, query)) == lexical.MAX_TERMS
    matches = collection.search_words(query, 1)
    assert matches.num_words_dropped == len(set(query.split())) - lexical.MAX_TERMS
    assert collection.search_words(query.split()[0], 1).num_words_dropped == 0


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
    blocker.execute("INSERT INTO passages (passages, rank) VALUES ('integrity-check', 1)")
    blocker.close()
