"""`twopass report`, over a real server."""

import pytest

from twopass.client import Client, Document

from .command_line import answer, invoke
from .corpus import FACTS
from .serving import Server


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A server with one collection that was searched four times, and one that was not."""
    with Server(tmp_path_factory.mktemp("reported")) as server, Client(server.target) as client:
        for name in ("docs", "unasked"):
            client.create_collection(name)
            client.upsert(name, [Document(key, text) for key, text in FACTS.items()])
        for question in ("What is the capital of Australia?", "Why is the sky blue?", "bread"):
            client.search("docs", question, top_n=3)
        client.search("docs", "tides", rerank=False)
        yield server


@pytest.fixture(autouse=True)
def _target(reported, monkeypatch):
    monkeypatch.setenv("TWOPASS_TARGET", reported.target)


def test_a_collection_is_told_in_sentences_tables_and_advice():
    told = invoke("report", "docs", "--window", "1h")
    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith("docs, the last ")
    assert "The second pass changed the first hit in " in told.stdout
    assert "of 3 searches compared (4 searches answered)" in told.stdout
    lines = [line.split() for line in told.stdout.splitlines()]
    assert ["compared", "3", "100.0%"] in lines
    assert ["second", "pass:", "complete", "3", "75.0%"] in lines
    assert ["second", "pass:", "disabled", "1", "25.0%"] in lines
    assert any(line[:2] == ["whole", "search"] for line in lines)
    assert "What could be done:\n  3 answers were compared: too few to judge by" in told.stdout


def test_without_a_name_each_collection_that_was_searched_has_a_line():
    told = invoke("report")
    assert told.exit_code == 0, told.stderr
    head, line = told.stdout.splitlines()[:2]
    assert "first hit changed" in head
    assert line.split()[:2] == ["docs", "4"]
    assert "unasked" not in told.stdout
    assert "twopass report docs" in told.stdout


def test_a_collection_that_was_not_searched_says_so():
    told = invoke("report", "unasked")
    assert told.exit_code == 0, told.stderr
    assert "No searches were answered in this time." in told.stdout


def test_json_has_every_figure():
    told = answer("report", "docs")
    assert told["num_searches"] == 4
    assert told["order"]["num_compared"] == 3
    assert sum(each["count"] for each in told["top_scores"]["scores"]) == 3
    assert told["time"]["median_ms"] > 0
    assert told["advice"][0]["kind"] == "few_searches"
    assert [each["collection"] for each in answer("report")] == ["docs"]


def test_markdown_has_tables_that_a_page_renders():
    told = invoke("report", "docs", "--markdown")
    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith("### docs, the last ")
    assert (
        "| what the second pass changed | searches | share |\n| --- | ---: | ---: |" in told.stdout
    )
    assert "\n- 3 answers were compared" in told.stdout


@pytest.mark.parametrize("window", ["0", "30s", "25h", "1d", "-1h", "an hour"])
def test_a_time_that_is_not_counted_is_refused(window):
    told = invoke("report", "docs", f"--window={window}")
    assert told.exit_code == 2
    assert "--window" in told.stderr
    assert "1m to 24h are possible" in " ".join(told.stderr.split())


def test_two_forms_at_once_are_refused():
    assert invoke("report", "docs", "--json", "--markdown").exit_code == 2


def test_an_unknown_collection_is_told_with_what_to_do():
    told = invoke("report", "nothing")
    assert told.exit_code == 4
    assert "twopass collections list" in told.stderr
