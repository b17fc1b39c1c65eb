"""The values of fields are counted exactly, and are those that filters find."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.errors import StoppedError
from twopass.index.facets import FacetValue
from twopass.index.filters import FieldCondition, Filter, InRange, Moment, OneOf
from twopass.index.stopping import Stop

from ..conftest import StopsAfter
from ..naive_filters import keys_of, passes, reached, seconds_of

EVERY_DOCUMENT = Filter()
KINDS = ("NoneType", "bool", "number", "str")

scalars = st.sampled_from(
    [
        *(None, True, False, 0, 1, 1.0, -1, 0.5, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 1e300),
        *("", "a", "A", "ä", "1", "true", "a\0b", "🙂"),
        *("2024-01-31", "2024-01-31T23:30:00.25-02:00"),
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "y", "x.y"]), inner, max_size=2)
    ),
    max_leaves=6,
)
metadata = st.dictionaries(st.sampled_from(["x", "y", "x.y"]), values, max_size=3)
fields = st.sampled_from(["x", "y", "x.y", "x.x", '"x.y"', "y.x.y", '"x.y".x', "other"])


def kind_of(value):
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def naive(documents, field):
    """What a facet says, by plain Python: documents with the field, and each value's documents."""
    num_documents, counts = 0, Counter()
    for metadata in documents:
        there = list(reached(metadata, keys_of(field)))
        num_documents += bool(there)
        opened = [e for value in there for e in (value if isinstance(value, list) else [value])]
        counts.update({(kind_of(v), v) for v in opened if not isinstance(v, list | dict)})
    return num_documents, counts


@pytest.fixture
def facet_of(collection, make_document):
    """Writes documents with some metadata, and reads a field's facet."""

    def read(documents, field, limit=1_000, wanted=EVERY_DOCUMENT, **settings):
        if collection.num_documents:
            collection.delete([d.id for d in collection.list_page(1_000).documents]).result()
        named = [make_document(str(i), metadata=one) for i, one in enumerate(documents)]
        if named:
            collection.upsert(named).result()
        return collection.facet(wanted, field, limit, **settings)

    return read


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(metadata, max_size=8), field=fields)
def test_a_facet_says_what_plain_python_counts(facet_of, collection, documents, field):
    facet = facet_of(documents, field)
    num_documents, counts = naive(documents, field)
    assert facet.num_documents == num_documents
    assert facet.num_values == len(counts) == len(facet.values)
    assert {(kind_of(v.value), v.value): v.num_documents for v in facet.values} == counts
    numbers = [value for kind, value in counts if kind == "number"]
    texts = [value for kind, value in counts if kind == "str"]
    assert facet.numbers == ((min(numbers), max(numbers)) if numbers else None)
    assert facet.texts == ((min(texts), max(texts)) if texts else None)
    moments = [seconds for text in texts if (seconds := seconds_of(text)) is not None]
    if moments:
        earliest, latest = ((m.seconds * 10**9 + m.nanos) for m in facet.times)
        assert (earliest, latest) == (min(moments) * 10**9, max(moments) * 10**9)
    else:
        assert facet.times is None
    order = [(-v.num_documents, KINDS.index(kind_of(v.value))) for v in facet.values]
    assert order == sorted(order)
    for value in facet.values:
        equal = Filter(must=(FieldCondition(field, OneOf((value.value,))),))
        assert collection.count(equal) == value.num_documents


def test_the_most_frequent_values_come_first_and_all_are_counted(facet_of):
    documents = [{"tag": tag} for tag in "abcabcab"] + [{"tag": 1}, {"tag": True}, {"tag": None}]
    facet = facet_of(documents, "tag", limit=4)
    assert facet.values == tuple(
        FacetValue(*pair) for pair in (("a", 3), ("b", 3), ("c", 2), (None, 1))
    )
    assert (facet.num_values, facet.num_documents) == (6, 11)
    none = facet_of(documents, "tag", limit=0)
    assert (none.values, none.num_values, none.texts) == ((), 6, ("a", "c"))


def test_a_document_counts_once_for_a_value_that_it_has_several_times(facet_of):
    documents = [{"tags": ["a", "a", "b"]}, {"tags": "a"}, {"tags": []}, {"tags": [["a"], {}]}]
    facet = facet_of(documents, "tags")
    assert facet.values == (FacetValue("a", 2), FacetValue("b", 1))
    assert facet.num_documents == 4


def test_whole_numbers_are_one_value_however_they_are_stored(facet_of):
    documents = [{"n": 1}, {"n": [1.0, 1]}, {"n": 2.5}, {"n": 2**53 + 1}, {"n": True}]
    facet = facet_of(documents, "n")
    assert facet.values[0] == FacetValue(1, 2)
    assert [type(value.value) for value in facet.values] == [int, bool, float, int]
    assert facet.numbers == (1, 2**53 + 1)


def test_values_are_of_the_documents_that_pass(facet_of):
    documents = [{"n": n, "odd": n % 2 == 1, "name": f"d{n}"} for n in range(20)]
    wanted = Filter(
        must=(FieldCondition("odd", OneOf((True,))), FieldCondition("n", InRange(lt=10)))
    )
    facet = facet_of(documents, "name", wanted=wanted)
    assert {v.value for v in facet.values} == {"d1", "d3", "d5", "d7", "d9"}
    assert all(passes("", d, wanted) for d in documents if d["name"] in ("d1", "d9"))


def test_times_are_compared_as_times(facet_of):
    documents = [
        {"at": "2024-03-01T00:30:00+02:00"},
        {"at": "2024-02-29T23:00:00.123456789123Z"},
        {"at": "2024-02-30"},
        {"at": "later"},
    ]
    facet = facet_of(documents, "at")
    assert facet.times == (Moment(1_709_245_800), Moment(1_709_247_600, 123_456_789))
    assert facet.texts == ("2024-02-29T23:00:00.123456789123Z", "later")


def test_values_that_would_be_too_many_bytes_are_left_out(facet_of):
    documents = [{"t": 1_000 * "é"}, {"t": 1_000 * "é"}, {"t": "b"}, {"t": 7}]
    assert [v.num_documents for v in facet_of(documents, "t", max_bytes=2_001).values] == [2, 1, 1]
    facet = facet_of(documents, "t", max_bytes=1_999)
    assert (facet.values, facet.num_values) == ((), 3)


@pytest.mark.parametrize("field", ["x" + 40 * ".x", "never"])
def test_a_field_that_no_document_has_has_no_values(facet_of, field):
    facet = facet_of([{"x": 1}], field)
    assert (facet.num_documents, facet.num_values, facet.values) == (0, 0, ())
    assert (facet.numbers, facet.texts, facet.times) == (None, None, None)


def test_a_stopped_count_ends(facet_of, collection):
    facet_of([{"n": i} for i in range(900)], "n")
    stop = Stop()
    stop.set()
    for stopped in (stop, StopsAfter(0)):
        with pytest.raises(StoppedError):
            collection.facet(EVERY_DOCUMENT, "n", 10, stop=stopped)
