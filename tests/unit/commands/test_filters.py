"""Filters as one types them."""

import pytest
import typer

from twopass.client import field
from twopass.commands.filters import parsed

MEANT = {
    "year=1990": field("year").is_in([1990]),
    "year = 1990": field("year").is_in([1990]),
    'year="1990"': field("year").is_in(["1990"]),
    "title=two words": field("title").is_in(["two words"]),
    "title=a=b": field("title").is_in(["a=b"]),
    "draft=true": field("draft").is_in([True]),
    "draft=null": field("draft").is_in([None]),
    "draft!=true": ~field("draft").is_in([True]),
    'tags=["a", 1]': field("tags").is_in(["a", 1]),
    "year>=1990": field("year").between(gte=1990),
    "year>1990.5": field("year").between(gt=1990.5),
    "year<=-1": field("year").between(lte=-1),
    "year<1e3": field("year").between(lt=1000),
    "author.name^=Aus": field("author.name").starts_with("Aus"),
    "code^=12": field("code").starts_with("12"),
    "draft": field("draft").exists(),
    "!draft": field("draft").is_missing(),
}


@pytest.mark.parametrize("typed", MEANT)
def test_a_condition_is_read(typed):
    assert parsed([typed]).message == MEANT[typed].message


def test_all_conditions_must_hold():
    both = field("a").exists() & field("b").is_missing()
    assert parsed(["a", "!b"]).message == both.message
    assert parsed([]) is None


def test_the_contracts_own_json_is_read():
    given = '{"must": [{"field": {"field": "year", "range": {"gte": 1990}}}]}'
    assert list(parsed([given]).message.filter.must) == [MEANT["year>=1990"].message]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("year>=soon", "'soon' is no number"),
        ("=x", "no condition"),
        ("", "no condition"),
        ("a=[[1]]", "fields are compared with text"),
        ('{"must": 1}', "no Filter of the contract"),
    ],
)
def test_what_is_no_condition_ends_the_command(typed, said, capsys):
    with pytest.raises(typer.Exit):
        parsed([typed])
    assert said in " ".join(capsys.readouterr().err.split())
