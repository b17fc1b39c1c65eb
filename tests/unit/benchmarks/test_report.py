"""A report tells people and scripts the same."""

import io
import json

from rich.console import Console

from twopass.benchmarks.report import as_json, as_tables

from .made import answered, failed, report, summary

STAGES = {"total": 90, "tokenize": 5, "queue": 15, "rerank": 65}


def printed(content) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(as_tables(content))
    return console.file.getvalue()


def some(count: int = 40, **more: float):
    return [answered(100 + i / 10, 0.1 + i / 1000, **STAGES, **more) for i in range(count)]


def test_json_holds_every_figure_and_null_for_what_was_not_measured():
    content = json.loads(json.dumps(as_json(report((summary(2, some()),)))))
    (figures,) = content["closed_loop"]
    assert figures["level"] == 2
    assert figures["num_requests"] == 40
    assert figures["latency_ms"]["p95"] is not None
    assert figures["latency_ms"]["p99"] is None
    assert figures["stages_ms"]["rerank"] == 65
    assert figures["stages_ms"]["embed"] is None
    assert content["open_loop"] == []
    assert content["shape"]["num_candidates"] == 10
    assert content["models"][0]["engine"] == "cpu"


def test_tables_show_latencies_stages_and_what_it_ran_on():
    text = printed(report((summary(2, some()),), (summary(5.5, some()),)))
    assert "Rerank of 10 candidates" in text
    assert "small on cpu int8 (avx2)" in text
    assert "A CPU, 2 cores" in text
    assert "Closed loop" in text
    assert "Open loop" in text
    for column in ("p50", "p99.9", "max", "client, network", "queue", "tokenize", "rerank"):
        assert column in text
    assert "n/a: too few requests" in text
    assert "embed" not in text  # no answer had that stage


def test_a_loop_that_was_not_run_has_no_table():
    text = printed(report((summary(2, some()),)))
    assert "Open loop" not in text


def test_pairs_that_the_server_knew_are_told_with_the_way_out():
    text = printed(report((summary(2, [*some(), answered(101, 0.1, pairs=400, cached=400)]),)))
    assert "2 under way: 50% of the pairs had been scored before" in text
    assert "--score-cache-bytes 0" in text
    assert "scored before" not in printed(report((summary(2, some()),)))


def test_failures_are_told_by_status():
    samples = [*some(), failed(105, "UNAVAILABLE"), failed(106, "UNAVAILABLE")]
    assert "5.5 a second, failed: UNAVAILABLE 2" in printed(report((), (summary(5.5, samples),)))


def test_a_load_generator_that_could_not_keep_up_is_told():
    assert "late" in printed(report((), (summary(5, some(late=0.05)),))).partition("lacks")[0]
    assert "lacks" not in printed(report((), (summary(5, some(late=0.001)),)))


def test_enough_requests_leave_no_percentile_out():
    text = printed(report((summary(2000, [answered(105, 0.1, **STAGES)] * 1000),)))
    assert "n/a" not in text
    assert "2,000" in text
