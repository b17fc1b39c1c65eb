"""Collapsing and diversity against plain references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.documents import StoredDocument
from twopass.index.errors import StoppedError
from twopass.index.stopping import Stop
from twopass.server.search.collapse import CollapseReason, CollapseSettings, collapse, unit_vectors
from twopass.server.search.diversity import diversified, within_unit


def document(number, text="", value=None, vector=None, metadata=None):
    return StoredDocument(
        key=number,
        id=str(number),
        title="",
        text=text,
        metadata={"of": value} if metadata is None else metadata,
        vector=None if vector is None else np.array(vector, np.float32),
    )


documents = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([None, 1, 1.0, True, "x", ["x"]]),
        st.sampled_from([None, (1, 0), (0, 1), (3, 3), (1, 0.1), (-1, 0)]),
    ).map(lambda made: (made[0], made[1], made[2])),
    max_size=12,
).map(lambda made: [document(i, *each) for i, each in enumerate(made)])
ways = st.builds(
    CollapseSettings,
    similarity=st.sampled_from([None, 0.5, 0.99, 1.0]),
    equal_text=st.booleans(),
    field=st.sampled_from(["", "of", "missing"]),
    max_per_value=st.integers(1, 3),
)


def cosine(a, b):
    if a.vector is None or b.vector is None:
        return 0.0
    return float(a.vector @ b.vector / np.linalg.norm(a.vector) / np.linalg.norm(b.vector))


def value_of(each, name):
    value = each.metadata.get(name) if name else None
    return None if value is None else (isinstance(value, bool), str(value).removesuffix(".0"))


@given(documents, ways)
def test_a_document_collapses_exactly_where_a_better_one_is_like_it(found, settings):
    kept, groups = collapse(found, settings)
    staying = []
    for each in found:
        value = value_of(each, settings.field)
        has_value = [k for k in staying if value_of(k, settings.field) == value]
        of_value = [] if value is None else has_value
        is_like = (
            any(settings.equal_text and k.text == each.text for k in staying)
            or any(
                settings.similarity and cosine(k, each) >= settings.similarity - 1e-6
                for k in staying
            )
            or len(of_value) >= settings.max_per_value
        )
        if not is_like:
            staying.append(each)
    assert [found[place].id for place in kept] == [each.id for each in staying]
    within = [each.place for group in groups.values() for each in group.collapsed]
    assert sorted([*kept.tolist(), *within]) == list(range(len(found)))
    for place, group in groups.items():
        for each in group.collapsed:
            hit, gone = found[place], found[each.place]
            assert place < each.place
            match each.reason:
                case CollapseReason.EQUAL_TEXT:
                    assert hit.text == gone.text
                case CollapseReason.NEAR_DUPLICATE:
                    assert each.similarity == pytest.approx(cosine(hit, gone), abs=1e-5)
                case CollapseReason.SAME_VALUE:
                    assert value_of(hit, settings.field) == value_of(gone, settings.field)


def test_whole_numbers_are_compared_exactly():
    settings, large = CollapseSettings(field="of"), 2**62
    found = [document(i, "", each) for i, each in enumerate([large, large + 1, 7, 7.0, large])]
    kept, groups = collapse(found, settings)
    assert kept.tolist() == [0, 1, 2]
    assert groups[1].value == large + 1


def test_what_is_stopped_ends():
    stop, found = Stop(), [document(0, "a", 1, (1, 0))]
    stop.set()
    with pytest.raises(StoppedError):
        collapse(found, CollapseSettings(similarity=0.5), stop)
    with pytest.raises(StoppedError):
        diversified(np.ones(1, np.float32), unit_vectors(found), 0.5, stop)


def test_what_is_gone_or_not_known_is_like_nothing():
    settings = CollapseSettings(similarity=0.5, equal_text=True, field="of")
    found = [document(0, "a", 1, (1, 0)), None, None]
    kept, groups = collapse(found, settings)
    assert kept.tolist() == [0, 1, 2]
    assert groups[0].value == 1


def naive_order(scores, vectors, weight):
    left, chosen = list(range(len(scores))), []
    relevance = within_unit(scores)
    while left:

        def value(i, chosen=tuple(chosen)):
            near = max((float(vectors[i] @ vectors[j]) for j in chosen), default=0.0)
            return weight * relevance[i] - (1 - weight) * near

        best = max(left, key=lambda i: (round(value(i), 5), -i))
        chosen.append(best)
        left.remove(best)
    return chosen


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, (1, 0), (0, 1), (1, 1), (2, 1)]))),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
def test_what_comes_next_has_the_highest_marginal_relevance(made, weight):
    made.sort(key=lambda each: -each[0])
    scores = np.array([score for score, _ in made], np.float32)
    vectors = unit_vectors([document(i, vector=vector) for i, (_, vector) in enumerate(made)])
    order, values = diversified(scores, vectors, weight)
    assert sorted(order.tolist()) == list(range(len(made)))
    assert len(values) == len(made)
    expected = naive_order(scores, vectors, weight)
    # Values that differ by less than rounding may stand in either order.
    relevance, chosen = within_unit(scores), []
    for place, value in zip(order.tolist(), values.tolist(), strict=True):
        near = max((float(vectors[place] @ vectors[j]) for j in chosen), default=0.0)
        assert value == pytest.approx(weight * relevance[place] - (1 - weight) * near, abs=1e-5)
        chosen.append(place)
    if weight == 1:
        assert order.tolist() == list(range(len(made))) == expected


def test_a_duplicate_falls_behind_what_is_less_relevant_and_new():
    vectors = unit_vectors([document(i, vector=v) for i, v in enumerate([(1, 0), (1, 0), (0, 1)])])
    order, values = diversified(np.array([3, 2.9, 2], np.float32), vectors, 0.5)
    assert order.tolist() == [0, 2, 1]
    assert values.tolist() == pytest.approx([0.5, 0.0, 0.45 - 0.5])
