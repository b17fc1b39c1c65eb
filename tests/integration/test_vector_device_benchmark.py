"""The benchmark of searches of vectors, on a collection that is none."""

import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from twopass.benchmarks.vector_device import main


@pytest.mark.slow
def test_a_small_collection_is_searched_from_end_to_end(tmp_path):
    app = Typer()
    app.command()(main)
    file = tmp_path / "rows.json"
    flags = ["--device", "cpu", "--vectors", "1000", "--kind", "exact", "--seconds", "1"]
    ended = CliRunner().invoke(app, [*flags, "--json", str(file)])
    assert ended.exit_code == 0, ended.output
    rows = json.loads(file.read_text(encoding="utf-8"))
    found = [(row["filter"], row["under way"]) for row in rows]
    assert found == [(told, n) for told in ("none", "a half", "a tenth") for n in (1, 8, 64)]
    for row in rows:
        assert row["share exact"] == 1
        assert row["recall@50"] > 0.99  # those that are equally near may be either
        assert row["searches/s"] > 0
        assert row["queries a call"] is None  # it is a CPU's
    assert "searches/s" in ended.output
