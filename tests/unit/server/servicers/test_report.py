"""What the report makes of shadows."""

from collections import Counter
from types import SimpleNamespace

import pytest

from twopass.server.servicers.report import ReportServicer
from twopass.server.shadow_spec import ShadowSpec
from twopass.server.shadowing.results import Comparison, Difference, Measure, ShadowResult
from twopass.server.telemetry.relevance import Relevance
from twopass.v1 import report_pb2


def shadow(mean: float, p_value: float, collection: str = "docs") -> ShadowResult:
    difference = Difference(
        measure=Measure.JUDGED_NDCG,
        num_searches=200,
        mean=mean,
        histogram={round(1_000 * mean): 200},
        p_value=p_value,
        num_better=120,
        num_worse=40,
    )
    comparison = Comparison(
        collection=collection,
        num_compared=300,
        equal_first=0.8,
        overlap=0.9,
        rank_biased_overlap=0.85,
        differences=(difference,),
        start_us=1_000_000,
    )
    spec = ShadowSpec(name="six", reranker="twopass-minilm-l6")
    return ShadowResult(spec=spec, counts=Counter(), comparisons=(comparison,))


class NoFeedback:
    async def tally(self, *_: object) -> None:
        return None


class OneCollection:
    async def summary(self, name: str, request: object):
        return SimpleNamespace(name="docs", sequence=SimpleNamespace(incarnation="a"))


async def report_of(*shadows: ShadowResult) -> report_pb2.Report:
    servicer = ReportServicer(OneCollection(), Relevance(), NoFeedback(), lambda: shadows)
    answer = await servicer.get_report(report_pb2.GetReportRequest(collection="live"), None)
    return answer.report


async def test_a_shadow_is_told_with_what_it_found_on_the_collection():
    report = await report_of(shadow(0.03, 0.5), shadow(0.03, 0.5, collection="other"))
    assert [each.name for each in report.shadows] == ["six"]
    assert report.shadows[0].comparisons[0].num_compared == 300
    assert not report.HasField("feedback")


async def test_a_shadow_that_feedback_finds_better_is_advised():
    report = await report_of(shadow(0.031, 0.002))
    (advice,) = report.advice
    assert advice.kind == report_pb2.ADVICE_KIND_SHADOW_BETTER
    assert "six orders better by judged_ndcg_10: +0.031 over 200 searches" in advice.text


@pytest.mark.parametrize(("mean", "p_value"), [(0.03, 0.02), (-0.03, 0.001)])
async def test_a_shadow_that_is_worse_or_undecided_is_not(mean, p_value):
    assert not (await report_of(shadow(mean, p_value))).advice
