"""What is found by which words: texts, and queries that find them or must not."""

import pytest

from twopass.index.words.analysis import Analyser


def meets(text: str, query: str, language: str = "") -> bool:
    analyser = Analyser(language)
    return not set(analyser.query_terms(query)).isdisjoint(analyser.terms(text))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("東京は日本の首都です", "首都"),
        ("서울은 한국의 수도입니다", "서울"),
        ("เมืองหลวงของประเทศไทย", "เมืองหลวง"),
        ("请安装Docker后运行", "docker"),
        ("Er wohnt in der Goethestraße", "GOETHESTRASSE"),
        ("getUserName()", "user name"),
    ],
)
def test_a_query_finds_a_text(text, query):
    assert meets(text, query)
