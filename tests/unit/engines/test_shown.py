"""What `auto` believes of engines is what committed entries of the ledger say."""

import dataclasses
import json
from pathlib import Path

import pytest

from twopass.engines.base import EngineChoice
from twopass.engines.shown import LEDGER, Shown, faster_engines

_RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: f"{row.engine}-{row.device}")
def test_every_row_has_the_figures_of_its_entry(row):
    report = json.loads((_RESULTS / row.entry).read_text(encoding="utf-8"))
    major, minor = row.compute_capability
    assert report["about"]["GPU"] == f"{row.device}, compute capability {major}.{minor}"
    speeds = {
        check["name"].removeprefix("mixed lengths: "): check["rows"][0]["pairs/s"]
        for check in report["checks"]
        if check["name"].startswith("mixed lengths: ")
    }
    assert round(speeds[f"{row.engine} fp16"]) == row.pairs_per_second
    assert round(speeds["cpu int8"]) == row.core_pairs_per_second


def shown(engine, speed, capability=(8, 9), core=100):
    return Shown(engine, capability, "NVIDIA X", speed, core, "gpu-x.json")


def test_engines_come_by_speed_and_only_where_they_beat_the_core_on_that_kind_of_gpu():
    ledger = [
        shown(EngineChoice.TORCH, 200),
        shown(EngineChoice.TENSORRT, 300),
        shown(EngineChoice.ONNXRUNTIME, 50),
        shown(EngineChoice.TRANSFORMERS, 900, capability=(8, 0)),
    ]
    assert faster_engines((8, 9), ledger) == [EngineChoice.TENSORRT, EngineChoice.TORCH]
    assert faster_engines((12, 0), ledger) == []


def test_an_engine_that_was_shown_twice_is_named_once():
    twice = [shown(EngineChoice.TORCH, 200), dataclasses.replace(LEDGER[0], device="NVIDIA H100")]
    assert faster_engines((9, 0), [*twice, *LEDGER]) == [EngineChoice.TORCH]
