"""Both benchmarks, for a second, against a real server."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from twopass.benchmarks.summary import PERCENTILES, STAGES
from twopass.commands.main import app


def invoke(server, *arguments: str):
    brief = ("--seconds", "0.6", "--warm-up", "0.2", "--target", server.target)
    return CliRunner().invoke(app, ["bench", *arguments, *brief], env={"COLUMNS": "200"})


def report(server, *arguments: str):
    ended = invoke(server, *arguments, "--json")
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)


def check(figures, *, pairs_a_request: int) -> None:
    """What must hold of every load that a server keeps up with."""
    assert figures["num_requests"] > 0
    assert figures["errors"] == {}
    assert set(figures["latency_ms"]) == set(PERCENTILES)
    assert 0 < figures["mean_ms"] <= figures["max_ms"]
    assert figures["pairs_per_second"] == pytest.approx(
        pairs_a_request * figures["requests_per_second"]
    )
    assert set(figures["stages_ms"]) == set(STAGES)
    ran = [ms for ms in figures["stages_ms"].values() if ms is not None]
    assert sum(ran) == pytest.approx(figures["mean_ms"])


def test_reranking_under_both_kinds_of_load_ends_in_json_and_a_picture(server, tmp_path):
    file = tmp_path / "load.png"
    told = report(
        server, "-c", "1,2", "-r", "5", "-k", "3", "--passage-tokens", "12", "--picture", str(file)
    )
    assert told["shape"]["rpc"] == "Rerank"
    assert [figures["level"] for figures in told["closed_loop"]] == [1, 2]
    assert [figures["level"] for figures in told["open_loop"]] == [5]
    for figures in (*told["closed_loop"], *told["open_loop"]):
        check(figures, pairs_a_request=3)
        assert figures["stages_ms"]["rerank"] > 0
        assert figures["stages_ms"]["embed"] is None
    assert {model["kind"] for model in told["models"]} == {"encoder", "reranker"}
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_searching_a_collection_measures_both_passes(server, facts):
    told = report(server, facts, "-c", "2", "-k", "4")
    assert told["shape"]["rpc"] == "Search"
    assert told["open_loop"] == []
    (figures,) = told["closed_loop"]
    check(figures, pairs_a_request=4)
    assert all(figures["stages_ms"][stage] > 0 for stage in ("retrieve", "load"))
    # Few queries come again and again, and the report says that their pairs are known.
    assert figures["stages_ms"]["rerank"] is not None
    assert figures["cached_share"] > 0.5
    assert figures["stages_ms"]["embed"] >= 0  # questions that come again are remembered


def test_searches_may_take_their_queries_from_a_file(server, facts, tmp_path):
    file = tmp_path / "queries.jsonl"
    file.write_text('{"query": "Why is the sky blue?"}\n')
    told = report(server, facts, "-r", "5", "--queries", str(file))
    assert "1 queries in turn" in told["shape"]["description"]
    assert told["closed_loop"] == []


def test_people_get_tables(server):
    ended = invoke(server, "-c", "1", "-k", "2", "--passage-tokens", "8")
    assert ended.exit_code == 0, ended.stderr
    assert "Closed loop" in ended.stdout
    assert "Where the time went" in ended.stdout


def test_a_collection_that_does_not_exist_is_one_sentence(server):
    ended = invoke(server, "nowhere")
    assert ended.exit_code == 4
    assert "'nowhere' does not exist" in " ".join(ended.stderr.split())
    assert "twopass index" in ended.stderr
    assert "Traceback" not in ended.output


def test_an_empty_collection_is_one_sentence(server, collection):
    ended = invoke(server, collection)
    assert ended.exit_code == 1
    assert "no document" in ended.stderr


def test_a_request_that_is_refused_ends_it_with_the_servers_reason(server):
    ended = invoke(server, "-k", "20000", "--passage-tokens", "4")
    assert ended.exit_code == 1
    assert "10,000" in ended.stderr


def test_the_cost_of_the_server_is_measured_on_both_sides():
    command = [sys.executable, "-m", "twopass.benchmarks.overhead", "--json"]
    command += ["--rounds", "2", "--requests", "3", "--candidates", "4", "--passage-tokens", "8"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert len(told["rounds"]) == 2
    assert told["ratio"]["min"] <= told["ratio"]["median"] <= told["ratio"]["max"]
    assert told["model"]["kind"] == "reranker"
    assert "3 requests in a turn" in told["shape"]
