"""`twopass bench` says what is wrong before it spends minutes."""

import sys

import pytest
from typer.testing import CliRunner

from twopass.commands.main import app


def invoke(*arguments: str):
    # Wide enough that no message is broken into lines.
    return CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "300"})


@pytest.mark.parametrize("option", ["--concurrency", "--rate"])
@pytest.mark.parametrize("value", ["", "x", "1,,2", "0", "-1", "1,nan", "1e9", "inf"])
def test_levels_that_are_no_numbers_above_0_are_refused(option, value):
    ended = invoke(f"{option}={value}")
    assert ended.exit_code == 2
    assert option in ended.stderr
    assert repr(value) in ended.stderr
    assert "such as 1,2,4" in ended.stderr


def test_concurrency_is_a_whole_number():
    assert invoke("-c", "1.5").exit_code == 2


def test_queries_need_a_collection():
    ended = invoke("--queries", "queries.jsonl")
    assert ended.exit_code == 2
    assert "none is named" in ended.stderr


def test_queries_that_are_missing_are_told():
    ended = invoke("docs", "--queries", "missing.jsonl")
    assert ended.exit_code == 1
    assert "missing.jsonl" in ended.stderr


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [n for n in sys.modules if n.startswith(("matplotlib.", "twopass.benchmarks.pic"))]:
        monkeypatch.delitem(sys.modules, name)
    ended = invoke("--picture", "load.png")
    assert ended.exit_code == 1
    assert "pip install 'matplotlib>=" in ended.stderr


def test_a_picture_needs_a_folder(tmp_path):
    pytest.importorskip("matplotlib")
    ended = invoke("--picture", str(tmp_path / "missing" / "load.png"))
    assert ended.exit_code == 1
    assert f"there is no folder {tmp_path / 'missing'}" in ended.stderr


def test_a_server_that_is_not_there_is_one_sentence():
    ended = invoke("--target", "127.0.0.1:1")
    assert ended.exit_code == 3
    assert "is a server running at 127.0.0.1:1?" in ended.stderr
    assert "twopass serve" in ended.stderr
    assert "Traceback" not in ended.output


def test_help_tells_both_loops_apart():
    text = invoke("--help").stdout
    assert "closed loop" in text
    assert "open loop" in text
    assert "twopass bench docs --picture docs.png" in text
