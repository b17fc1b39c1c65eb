"""Filters as one types them."""

from datetime import UTC, datetime

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
    "id=9007199254740993": field("id").is_in([2**53 + 1]),
    "id>-9223372036854775808": field("id").between(gt=-(2**63)),
    "date>=2026-01-31": field("date").between(gte="2026-01-31"),
    'date<"2026-01-31T00:00:00Z"': field("date").between(lt="2026-01-31T00:00:00Z"),
    "at<2026-01-31T01:30:00.25+01:30": field("at").between(
        lt=datetime(2026, 1, 31, 0, 0, 0, 250_000, UTC)
    ),
    "name>=soon": field("name").between(gte="soon"),
    "tags.name=x": field("tags.name").is_in(["x"]),
    '"a=b.c".d=1': field('"a=b.c".d').is_in([1]),
    '"a.b"': field('"a.b"').exists(),
    '!"a!b".c': field('"a!b".c').is_missing(),
    "name=NaN": field("name").is_in(["NaN"]),
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


def test_any_number_of_conditions_stands_side_by_side():
    every = parsed([f"f{n}>{n}" for n in range(200)])
    assert [condition.field.field for condition in every.message.filter.must] == [
        f"f{n}" for n in range(200)
    ]


def test_the_contracts_own_json_is_read():
    given = '{"must": [{"field": {"field": "year", "range": {"gte": 1990}}}]}'
    assert list(parsed([given]).message.filter.must) == [MEANT["year>=1990"].message]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("year>=true", "'true' is no bound"),
        ("year>=", "'' is no bound"),
        ("at>2026-02-31T00:00:00Z", "is no time"),
        ("year=1" + "0" * 400, "year: a whole number of 1,329 bits given"),
        ("year>1" + "0" * 400, "year.gt: a whole number of 1,329 bits given"),
        ("year=1e400", "finite"),
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
