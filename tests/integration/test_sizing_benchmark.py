"""The benchmark of sizing, on a collection that is small."""

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from twopass.benchmarks.sizing import main


@pytest.mark.slow
def test_a_row_says_what_a_server_takes(tmp_path):
    app = Typer()
    app.command()(main)
    flags = ["--documents", "1000", "--index-kind", "Flat", "--seconds", "0.1"]
    ended = CliRunner().invoke(app, [*flags, "--output", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    empty, row = json.loads((tmp_path / "sizing.json").read_text(encoding="utf-8"))["rows"]
    assert empty["num_documents"] == 0
    assert (row["num_documents"], row["index_kind"]) == (1_000, "Flat")
    assert row["memory_bytes"] > empty["memory_bytes"] > 1_000_000
    assert row["written_bytes"] > 1_000_000
    assert row["disk_bytes"] > 1_000 * 384 * 4
    assert row["per_second"] > 0
