"""What defaults believe of engines is what committed entries of the ledger say."""

import dataclasses
import itertools
from pathlib import Path

import pytest

from twopass.benchmarks.gpu.entry import faults
from twopass.benchmarks.gpu.report import read_report
from twopass.benchmarks.gpu.shown_by import shown_by
from twopass.engines import shown as module
from twopass.engines.base.engine import EngineChoice
from twopass.engines.errors import ModelError
from twopass.engines.gpu.launch_paths import LaunchPath, variable_of
from twopass.engines.shown import (
    Shown,
    ShownPath,
    faster_engines,
    paths_by_default,
    paths_on,
    read_ledger,
)

_RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
_ENTRIES = sorted(_RESULTS.glob("gpu-*.json"))
GRAPHS, FUSED = LaunchPath.CUDA_GRAPHS, LaunchPath.FUSED_KERNELS


@pytest.mark.parametrize("file", _ENTRIES, ids=lambda file: file.stem)
def test_every_entry_is_one_and_what_it_shows_is_told(file):
    entry = read_report(file)
    assert list(faults(entry)) == []
    ledger = read_ledger()
    shown = shown_by(entry, file.name)
    assert [row for row in ledger.engines if row.entry == file.name] == [*shown.engines]
    assert [row for row in ledger.paths if row.entry == file.name] == [*shown.paths]


def test_every_row_is_of_an_entry_that_is_there():
    ledger = read_ledger()
    named = {row.entry for row in itertools.chain(ledger.engines, ledger.paths)}
    assert named <= {file.name for file in _ENTRIES}


def shown(engine, speed, capability=(8, 9), core=100):
    return Shown(
        engine=engine,
        compute_capability=capability,
        device="NVIDIA X",
        pairs_per_second=speed,
        core_pairs_per_second=core,
        entry="gpu-x.json",
    )


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
    row = shown(EngineChoice.TORCH, 200)
    assert faster_engines((8, 9), [row, dataclasses.replace(row, device="NVIDIA Y")]) == [
        EngineChoice.TORCH
    ]


def path(path=GRAPHS, beside=(), **others):
    return dataclasses.replace(
        ShownPath(
            path=path,
            beside=beside,
            compute_capability=(9, 0),
            device="NVIDIA X",
            is_alike=True,
            p50_us=800,
            p50_us_without=2_700,
            pairs_per_second=50_000,
            pairs_per_second_without=45_000,
            entry="gpu-x.json",
        ),
        **others,
    )


def test_with_no_entry_nothing_is_on():
    assert paths_by_default((9, 0), []) == frozenset()


def test_what_an_entry_shows_alike_and_faster_is_on_for_that_kind_of_gpu_alone():
    assert paths_by_default((9, 0), [path()]) == {GRAPHS}
    assert paths_by_default((8, 9), [path()]) == frozenset()


@pytest.mark.parametrize(
    "changed",
    [
        {"is_alike": False},
        {"p50_us": 2_700, "pairs_per_second": 45_000},
        {"p50_us": 2_690, "pairs_per_second": 45_100},
        {"p50_us": 3_000},
        {"pairs_per_second": 40_000},
    ],
    ids=["results differ", "as fast", "faster by noise", "slower alone", "slower in all"],
)
def test_what_is_shown_unlike_or_no_faster_stays_off(changed):
    assert paths_by_default((9, 0), [path(**changed)]) == frozenset()


def test_a_gain_at_one_end_is_enough_where_the_other_loses_no_more_than_noise():
    assert paths_by_default((9, 0), [path(pairs_per_second=44_500)]) == {GRAPHS}
    assert paths_by_default((9, 0), [path(p50_us=2_720)]) == {GRAPHS}


def test_a_path_is_on_beside_those_that_it_was_shown_with_alone():
    beside = path(FUSED, (GRAPHS,))
    assert paths_by_default((9, 0), [path(), beside]) == {GRAPHS, FUSED}
    assert paths_by_default((9, 0), [beside]) == frozenset()
    assert paths_by_default((9, 0), [path(is_alike=False), beside]) == frozenset()


def test_two_entries_that_disagree_leave_it_off():
    assert paths_by_default((9, 0), [path(), path(p50_us=3_000)]) == frozenset()


@pytest.fixture
def nothing_told(monkeypatch):
    for each in LaunchPath:
        monkeypatch.delenv(variable_of(each), raising=False)


def test_where_nobody_has_said_the_ledger_decides_by_kind_of_gpu(monkeypatch, nothing_told):
    monkeypatch.setattr(
        module, "paths_by_default", lambda kind: frozenset({GRAPHS} if kind == (9, 0) else ())
    )
    assert paths_on((9, 0)) == {GRAPHS}
    assert paths_on((8, 9)) == frozenset()
    monkeypatch.setenv("TWOPASS_CUDA_GRAPHS", "0")
    monkeypatch.setenv("TWOPASS_FUSED_KERNELS", "1")
    assert paths_on((9, 0)) == {FUSED}


def test_as_the_ledger_stands_nothing_is_on_that_nobody_asked_for(nothing_told):
    shown_on = {path for path in LaunchPath for row in read_ledger().paths if row.path is path}
    if not shown_on:
        assert paths_on((9, 0)) == frozenset()


def test_what_is_neither_on_nor_off_is_refused(monkeypatch, nothing_told):
    monkeypatch.setenv("TWOPASS_CUDA_GRAPHS", "maybe")
    with pytest.raises(ModelError, match="TWOPASS_CUDA_GRAPHS: maybe given; it is 0 or 1"):
        paths_on((9, 0))
