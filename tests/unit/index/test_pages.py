"""A page's token belongs to one listing: of a collection, with a filter."""

import pytest

from twopass.index.errors import InvalidQueryError
from twopass.index.filters import FieldCondition, Filter, IdCondition, InRange, OneOf, StartsWith
from twopass.index.pages import key_before, page_token

LIFE, OTHER_LIFE = "0" * 31 + "a", "0" * 31 + "b"
EVERYTHING = Filter()
FILTERS = [
    EVERYTHING,
    Filter(must=(IdCondition(("a", "b")),)),
    Filter(must_not=(IdCondition(("a", "b")),)),
    Filter(must=(IdCondition(("a, b",)),)),
    Filter(must=(FieldCondition("n", OneOf((1.0,))),)),
    Filter(must=(FieldCondition("n", OneOf(("1.0",))),)),
    Filter(must=(FieldCondition("n", OneOf((True,))),)),
    Filter(must=(FieldCondition("n", InRange(gt=1.0)),)),
    Filter(must=(FieldCondition("n", InRange(gte=1.0)),)),
    Filter(must=(FieldCondition("n", StartsWith("\ud800")),)),
    Filter(must=(Filter(must=(IdCondition(("a",)),)),)),
]


def test_a_token_tells_where_its_own_listing_goes_on_and_no_other():
    for given in FILTERS:
        token = page_token(LIFE, 12, given)
        for sent in FILTERS:
            if sent is given:
                assert key_before(token, LIFE, sent) == 12
            else:
                with pytest.raises(InvalidQueryError, match=r"page_token: .* another filter; send"):
                    key_before(token, LIFE, sent)


def test_a_token_of_another_life_of_the_collection_is_refused():
    for given in FILTERS:
        with pytest.raises(InvalidQueryError, match="no listing of this collection"):
            key_before(page_token(OTHER_LIFE, 12, given), LIFE, given)


def test_an_empty_token_begins_any_listing():
    assert [key_before("", LIFE, given) for given in FILTERS] == [0] * len(FILTERS)


def test_a_token_that_an_older_server_gave_out_goes_on_without_a_filter_only():
    assert key_before(f"{LIFE}@12", LIFE, EVERYTHING) == 12
    with pytest.raises(InvalidQueryError, match="begin with an empty token"):
        key_before(f"{LIFE}@12", LIFE, FILTERS[1])


@pytest.mark.parametrize("token", ["x", f"{LIFE}@0", f"{LIFE}@12.", f"{LIFE}@12.xyz", f"{LIFE}@1 "])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(InvalidQueryError, match="begin with an empty one"):
        key_before(token, LIFE, EVERYTHING)
