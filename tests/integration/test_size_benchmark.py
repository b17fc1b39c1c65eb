"""The benchmark of size, on a collection that is none."""

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from twopass.benchmarks.size.__main__ import main


@pytest.mark.slow
def test_a_small_collection_is_measured_from_end_to_end(tmp_path):
    app = Typer()
    app.command()(main)
    flags = ["--documents", "1000", "--dimension", "16", "--queries", "20"]
    flags += ["--index-kind", "IVF4,Flat", "--output", str(tmp_path)]
    ended = CliRunner().invoke(app, flags)
    assert ended.exit_code == 0, ended.output
    content = json.loads((tmp_path / "size.json").read_text(encoding="utf-8"))
    (kind,) = content["kinds"]
    assert kind["index_kind"] == "IVF4,Flat"
    assert kind["searches"][-1]["recall"] > 0.7
    assert kind["index_bytes"] > 1_000 * 16 * 4
    assert content["ingest"]["through_grpc"] > 0
    assert (tmp_path / "size.png").stat().st_size > 10_000
