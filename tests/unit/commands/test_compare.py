"""`twopass compare`, over files such as `twopass eval --json` prints."""

import json

import pytest
from typer.testing import CliRunner

from twopass.commands.main import app


def quality(value):
    return {
        "ndcg": value,
        "mrr": value,
        "recall": 1.0,
        "average_precision": value,
        "ndcg_of": {f"q{i}": value for i in range(20)},
    }


@pytest.fixture
def measured(tmp_path):
    """Prints the file of an evaluation whose both passes reach this nDCG@10."""

    def write(name, ndcg):
        file = tmp_path / name
        one = {
            "dataset": "d",
            "mode": "hybrid",
            "num_documents": 9,
            "num_queries": 20,
            "num_candidates": 50,
            "blend": 0.5,
            "search_ms": 9.5,
            "first_pass": quality(0.25),
            "reranked": {"50": quality(ndcg)},
            "reranker": quality(ndcg),
        }
        file.write_text(json.dumps([one]))
        return str(file)

    return write


def compare(*arguments):
    return CliRunner().invoke(app, ["compare", *arguments], env={"COLUMNS": "120"})


def test_two_ways_of_one_file_or_the_same_way_of_two(measured):
    first, second = measured("first.json", 0.5), measured("second.json", 0.75)
    of_one = compare(first, "--before", "hybrid")
    assert of_one.stdout.splitlines()[-1].split() == [
        *("d", "20", "0.250", "0.500", "+0.250", "+100.0%", "<0.0001")
    ]
    (row,) = json.loads(compare(first, second, "--before", "hybrid@50", "--json").stdout)
    assert (row["before"], row["after"]) == (0.5, 0.75)
    assert 0 < row["p_value"] < 0.001


def test_what_is_wrong_is_said_in_one_sentence(measured, tmp_path):
    unmeasured = compare(measured("a.json", 0.5), "--before", "dense")
    assert unmeasured.exit_code == 1
    assert "error: dense: not measured; there are hybrid" in unmeasured.stderr
    assert compare(str(tmp_path / "none.json")).exit_code == 1
