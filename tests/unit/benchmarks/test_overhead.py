"""The cost of the server: the ratio of each round, its median and its spread."""

import json

import pytest

from twopass.benchmarks.overhead import Report, Round

from .made import report as latency_report


def test_the_ratio_is_the_median_of_the_rounds_and_not_of_the_medians():
    made = latency_report()
    rounds = (Round(100, 90, 90), Round(50, 50, 60), Round(200, 160, 176))
    content = Report(made.machine, made.models[0], "shape", rounds).as_json()
    content = json.loads(json.dumps(content))
    assert content["ratio"] == pytest.approx({"min": 0.8, "median": 0.9, "max": 1.0})
    assert content["in_process_median"] == 100
    assert content["through_grpc_median"] == 90
    assert content["through_http_median"] == 90
    assert content["http_ratio"] == pytest.approx({"min": 1.0, "median": 1.1, "max": 1.2})
    assert len(content["rounds"]) == 3
