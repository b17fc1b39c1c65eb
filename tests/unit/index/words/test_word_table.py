"""The table of words, and clauses over words, in a collection on a disk."""

import pytest

from twopass.index.collection.collection import Collection
from twopass.index.documents import DocumentFields
from twopass.index.word_query import Phrase, Prefix, WordClauses

from .word_table import FOUND, FOUND_FIRST, NOT_FOUND

NO_CLAUSES = WordClauses()
TEXTS = sorted({text for text, _ in (*FOUND, *NOT_FOUND)})


@pytest.fixture
def fill(collection, make_document):
    def upsert(texts) -> Collection:
        documents = [make_document(f"{n}", text=text) for n, text in enumerate(texts) if text]
        collection.upsert(documents).result()
        return collection

    return upsert


def texts_found(collection, query, clauses=NO_CLAUSES):
    keys = collection.search_words(query, len(TEXTS), clauses=clauses).keys
    documents = collection.fetch(keys, DocumentFields(metadata=False))
    return [documents[key].text for key in keys.tolist()]


def test_queries_find_the_texts_of_the_table_and_no_others(fill):
    collection = fill(TEXTS)
    missed = [(text, query) for text, query in FOUND if text not in texts_found(collection, query)]
    wrong = [(text, query) for text, query in NOT_FOUND if text in texts_found(collection, query)]
    assert (missed, wrong) == ([], [])


@pytest.mark.parametrize(("query", "first", "second"), FOUND_FIRST)
def test_the_better_text_of_the_table_is_found_first(fill, query, first, second):
    collection = fill([second, "something else altogether", "and one more of those", first])
    assert texts_found(collection, query)[:2] == [first, second]


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("東京は日本の首都です", Phrase("首都")),
        ("東京は日本の首都です", Phrase("の首都で")),
        ("请安装Docker后运行", Phrase("docker后")),
        ("서울은 대한민국의 수도이다", Phrase("서울")),
        ("서울은 대한민국의 수도이다", Phrase("대한 민국")),
        ("เมืองหลวงของประเทศไทย", Phrase("หลวงของ")),
        ("เมืองหลวงของประเทศไทย", Prefix("เมือง")),
        ("Die Straße nach Köln", Phrase("STRASSE nach koln")),
        ("valve XR-2000/5", Phrase("xr-2000")),
        ("valve XR-2000/5", Phrase("2000/5")),
        ("valve XR-2000/5", Prefix("xr-20")),
        ("release 3.11.2", Phrase("3.11")),
        ("written in C++", Phrase("c++")),
        ("call getUserName()", Prefix("GetU")),
        ("GitHub", Phrase("github")),
        ("O\u2019Neill's", Phrase("o'neill")),
        ("हिन्दी भाषा", Prefix("हिन्")),
        ("שָׁלוֹם עוֹלָם", Phrase("שלום עולם")),
    ],
)
def test_a_clause_matches_a_text(fill, text, clause):
    collection = fill([text, "something else"])
    assert texts_found(collection, "", WordClauses(required=(clause,))) == [text]


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("日本の首都", Phrase("首日")),
        ("valve XR-2000/5", Phrase("5/2000")),
        ("valve XR-2000/5", Phrase("200")),
        ("written in C++", Phrase("c")),
        ("release 3.11.2", Phrase("11.3")),
        ("running", Phrase("run")),
        ("か", Phrase("が")),
    ],
)
def test_a_clause_does_not_match_a_text(fill, text, clause):
    collection = fill([text, "something else"])
    assert texts_found(collection, "", WordClauses(required=(clause,))) == []
