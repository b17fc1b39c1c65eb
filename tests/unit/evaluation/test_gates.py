"""Whether measured quality is good enough: limits, and no worse than a baseline beyond chance."""

import dataclasses
import statistics
import xml.etree.ElementTree as ElementTree

import junitparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.client import Document
from twopass.evaluation.baseline import (
    BaselineError,
    MeasuredSet,
    measured_set,
    read_baseline,
    write_baseline,
)
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.gates import (
    Gate,
    GateError,
    Limit,
    final_ways,
    judge,
    parse_limit,
)
from twopass.evaluation.junit import write_junit
from twopass.evaluation.measures import Evaluation, Quality
from twopass.evaluation.significance import holm, randomization_test


def measured(ndcg, *, name="docs", ways=("hybrid", "hybrid@50"), **changes) -> MeasuredSet:
    """A set of as many queries as there are values, all measures of all ways alike."""
    by_query = {f"q{i}": float(value) for i, value in enumerate(ndcg)}
    each = dict.fromkeys(("ndcg", "mrr", "recall", "average_precision"), by_query)
    fields = {
        "name": name,
        "corpus": "c",
        "num_candidates": 50,
        "queries": dict.fromkeys(by_query, "digest"),
        "values": dict.fromkeys(ways, each),
        "search_ms": {"hybrid": 30.0},
    }
    return MeasuredSet(**fields | changes)


def gate(*limits: str, against: MeasuredSet | None = None, **options) -> Gate:
    baseline = None if against is None else {against.name: against}
    return Gate(limits=tuple(map(parse_limit, limits)), baseline=baseline, **options)


GOOD, BAD = [0.8] * 40, [0.5] * 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ndcg@10=0.80", ((), "ndcg", 10, 0.8)),
        ("mrr@10=1", ((), "mrr", 10, 1.0)),
        ("ndcg=0", ((), "ndcg", None, 0.0)),
        ("recall@50=.9", ((), "recall", 50, 0.9)),
        ("ap=0.1", ((), "average_precision", None, 0.1)),
        ("hybrid@50:ndcg@10=0.5", (("hybrid@50",), "ndcg", 10, 0.5)),
        ("docs:hybrid:ndcg@10=0.5", (("docs", "hybrid"), "ndcg", 10, 0.5)),
    ],
)
def test_a_limit_is_read(text, expected):
    assert parse_limit(text) == Limit(text, *expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0.8", "a measure and its least value are needed, as in ndcg@10=0.80"),
        ("ndcg@10", "a measure and its least value"),
        ("ndcg@5=0.8", "ndcg@5 is not measured, ndcg@10 is"),
        ("precision@10=0.8", "precision is not measured; ndcg@10, mrr@10, recall@K and ap@K are"),
        ("ndcg@10=80", "80 is no value from 0 to 1"),
        ("ndcg@10=nan", "nan is no value from 0 to 1"),
        ("ndcg@10=high", "high is no value from 0 to 1"),
    ],
)
def test_a_limit_that_is_written_otherwise_is_refused(text, told):
    with pytest.raises(GateError, match=told):
        parse_limit(text)


def test_the_final_order_is_that_of_both_passes_at_the_greatest_depth():
    ways = ("dense", "hybrid", "hybrid@10", "hybrid@50", "hybrid@logits")
    found = measured(GOOD, ways=ways, search_ms={"dense": 1.0, "hybrid": 2.0})
    assert final_ways(found) == ["dense", "hybrid@50"]


def test_what_is_below_its_limit_fails_and_says_which_and_by_how_much():
    verdict = judge([measured(BAD)], gate("ndcg@10=0.6"))
    (check,) = verdict.failed
    assert check.problems == (
        "docs, hybrid@50: ndcg@10 is 0.5000 on 40 queries, at least 0.6 is asked for",
    )
    assert judge([measured(GOOD)], gate("ndcg@10=0.8")).failed == ()


def test_a_limit_may_be_for_one_set_or_one_way_alone():
    sets = [measured(GOOD), measured(BAD, name="hard")]
    assert len(judge(sets, gate("docs:ndcg@10=0.6")).checks) == 1
    assert [c.dataset for c in judge(sets, gate("ndcg@10=0.6")).failed] == ["hard"]
    checks = judge(sets, gate("hybrid:ndcg@10=0.1", "hard:hybrid:mrr@10=0.9")).checks
    assert [(c.dataset, c.way, c.measure) for c in checks] == [
        ("docs", "hybrid", "ndcg@10"),
        ("hard", "hybrid", "ndcg@10"),
        ("hard", "hybrid", "mrr@10"),
    ]


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("other:ndcg@10=0.5", "other was not measured; there are the test collections docs and"),
        ("hybrid@20:ndcg@10=0.5", "hybrid@20 was not measured; .* the ways hybrid, hybrid@50"),
        ("recall@20=0.5", "docs was measured with 50 candidates, so recall@50 is known"),
    ],
)
def test_a_limit_of_what_was_not_measured_is_refused(limit, told):
    with pytest.raises(GateError, match=told):
        judge([measured(GOOD)], gate(limit))


def test_slow_searches_fail():
    assert judge([measured(GOOD)], gate(max_ms=30.0)).failed == ()
    (check,) = judge([measured(GOOD)], gate(max_ms=29.0)).failed
    assert "takes 30.0 ms at the median, at most 29 are asked for" in check.problems[0]


def test_a_fall_beyond_chance_fails_with_its_figures():
    verdict = judge([measured(BAD)], gate(against=measured(GOOD)))
    (check,) = verdict.failed
    assert check.change.is_significant
    assert check.problems[0].startswith(
        "docs, hybrid@50: ndcg@10 fell from 0.8000 to 0.5000 on 40 queries (p "
    )


def test_a_fall_that_chance_explains_passes():
    before = [0.5] * 40
    after = [*[0.2] * 11, *[0.8] * 9, *[0.5] * 20]
    verdict = judge([measured(after)], gate(against=measured(before)))
    assert verdict.checks[0].change.after < verdict.checks[0].change.before
    assert verdict.failed == ()


def test_a_significant_fall_within_the_tolerance_passes():
    before, after = [0.8] * 40, [0.79] * 40
    assert judge([measured(after)], gate(against=measured(before))).failed
    assert not judge([measured(after)], gate(against=measured(before), tolerance=0.02)).failed


def test_a_rise_passes():
    assert judge([measured(GOOD)], gate(against=measured(BAD))).failed == ()


def test_a_first_pass_alone_may_become_worse_unless_a_limit_names_it():
    before = measured(GOOD)
    after = measured(GOOD, values=before.values | {"hybrid": measured(BAD).values["hybrid"]})
    assert judge([after], gate(against=before)).failed == ()
    assert len(judge([after], gate("hybrid:ndcg@10=0.1", against=before)).failed) == 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_single_comparison_is_the_paired_test_itself(pairs):
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    (check,) = judge([measured(after)], gate(against=measured(before))).checks
    p_value = randomization_test(after, before)
    assert check.change.p_value == pytest.approx(p_value)
    worse = statistics.fmean(after) < statistics.fmean(before)
    assert check.has_passed == (not (worse and p_value < 0.05))


def test_several_comparisons_need_more_evidence_each():
    before = [0.5] * 12
    after = [*[0.4] * 6, *before[6:]]  # p = 0.03 alone
    one = judge([measured(after)], gate(against=measured(before)))
    assert one.failed
    sets = [measured(after), *(measured(before, name=f"other-{i}") for i in range(4))]
    same = {each.name: dataclasses.replace(measured(before), name=each.name) for each in sets}
    assert judge(sets, Gate(baseline=same)).failed == ()


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=20))
def test_adjusted_p_values_agree_with_the_definition(p_values):
    m = len(p_values)
    adjusted = holm(p_values)
    for i, p in enumerate(p_values):
        below = sorted(p_values)[: sorted(p_values).index(p) + 1]
        expected = max(min(1.0, (m - rank) * q) for rank, q in enumerate(below))
        assert adjusted[i] == pytest.approx(expected)


def test_changed_queries_are_left_out_and_said():
    before = measured([*GOOD, 0.0])
    after = measured(GOOD)
    verdict = judge([after], gate(against=before))
    assert verdict.checks[0].change.num_queries == 40
    assert verdict.notes == (
        "docs: compared on the 40 queries that have the same text and judgements in the baseline, "
        "of 40 now and 41 then",
    )
    judged_anew = measured(GOOD, queries=after.queries | {"q0": "another"})
    assert judge([judged_anew], gate(against=after)).checks[0].change.num_queries == 39


def test_too_few_queries_in_common_are_refused():
    other = measured(GOOD, queries=dict.fromkeys(measured(GOOD).queries, "another"))
    with pytest.raises(BaselineError, match="0 of 40 queries have the text and the judgements"):
        judge([other], gate(against=measured(GOOD)))


def test_other_documents_are_refused_unless_they_are_allowed():
    other = measured(GOOD, corpus="d")
    with pytest.raises(BaselineError, match="its documents are not those of the baseline"):
        judge([other], gate(against=measured(GOOD)))
    verdict = judge([other], gate(against=measured(GOOD), allow_other_corpus=True))
    assert verdict.notes == ("docs: the documents are not those of the baseline",)


def test_a_set_that_is_not_in_the_baseline_is_refused():
    with pytest.raises(BaselineError, match="new: not in the baseline, which has docs"):
        judge([measured(GOOD, name="new")], gate(against=measured(GOOD)))


def test_a_way_that_is_not_in_the_baseline_is_said():
    verdict = judge([measured(GOOD, ways=("hybrid", "hybrid@20"))], gate(against=measured(GOOD)))
    assert verdict.notes == (
        "docs: hybrid@20 is not in the baseline, so it is compared with nothing",
    )
    assert verdict.checks[0].change is None


def dataset(*, text="why?", grade=1, document="Because.") -> Dataset:
    return Dataset("docs", (Document("a", document),), {"q": text}, {"q": {"a": grade}})


def evaluated(value: float) -> Evaluation:
    by_query = {"q": value}
    quality = Quality(value, value, value, value, by_query, by_query, by_query, by_query)
    return Evaluation("docs", "hybrid", 1, 1, 50, quality, {50: quality}, quality, 0.5, 12.0)


def test_a_baseline_is_read_back_as_it_was_written(tmp_path):
    found = measured_set(dataset(), [evaluated(0.25)])
    assert set(found.values) == {"hybrid", "hybrid@50", "hybrid@logits"}
    write_baseline(tmp_path / "b.json", [found])
    assert read_baseline(tmp_path / "b.json") == {"docs": found}
    assert [file.name for file in tmp_path.iterdir()] == ["b.json"]


def test_a_digest_follows_text_judgements_and_documents():
    known = measured_set(dataset(), [evaluated(1)])
    assert measured_set(dataset(text="how?"), [evaluated(1)]).queries != known.queries
    assert measured_set(dataset(grade=2), [evaluated(1)]).queries != known.queries
    assert measured_set(dataset(document="So."), [evaluated(1)]).corpus != known.corpus
    assert measured_set(dataset(), [evaluated(0)]).queries == known.queries


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "sets": [{}]}', '{"sets": []}'])
def test_a_file_of_something_else_is_named(tmp_path, content):
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(BaselineError, match=r"b\.json: not what `twopass eval --save-baseline`"):
        read_baseline(tmp_path / "b.json")


def test_a_missing_baseline_or_one_of_another_form_is_named(tmp_path):
    with pytest.raises(BaselineError, match="`twopass eval --save-baseline` makes one"):
        read_baseline(tmp_path / "none.json")
    (tmp_path / "b.json").write_text('{"format": 2, "sets": []}')
    with pytest.raises(BaselineError, match="in form 2, this twopass reads form 1"):
        read_baseline(tmp_path / "b.json")


def test_what_junit_reads_is_what_the_gate_says(tmp_path):
    sets = [measured(GOOD), measured(BAD, name="hard <&> \x1b")]
    verdict = judge(sets, gate("ndcg@10=0.6", max_ms=100.0))
    write_junit(tmp_path / "gates.xml", verdict)
    suites = junitparser.JUnitXml.fromfile(str(tmp_path / "gates.xml"))
    assert (suites.tests, suites.failures, suites.errors) == (4, 1, 0)
    assert [(suite.name, suite.tests, suite.failures) for suite in suites] == [
        ("docs", 2, 0),
        ("hard <&> \ufffd", 2, 1),
    ]
    cases = {(case.classname, case.name): case for suite in suites for case in suite}
    failed = cases["hard <&> \ufffd.hybrid@50", "ndcg@10"]
    assert "ndcg@10 is 0.5000 on 40 queries, at least 0.6" in failed.result[0].message
    assert cases["docs.hybrid@50", "ndcg@10"].is_passed


def test_junit_has_the_attributes_that_strict_readers_ask_for(tmp_path):
    write_junit(tmp_path / "gates.xml", judge([measured(GOOD)], gate("ndcg@10=0.6")))
    root = ElementTree.parse(tmp_path / "gates.xml").getroot()
    assert root.tag == "testsuites"
    for suite in root:
        assert {"name", "tests", "failures", "errors", "time"} <= suite.attrib.keys()
        assert all({"name", "classname", "time"} <= case.attrib.keys() for case in suite)
