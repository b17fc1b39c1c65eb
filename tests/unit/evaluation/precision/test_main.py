"""The command, over a collection of a few sentences with the shipped models."""

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from twopass.evaluation.precision.__main__ import main

PASSAGES = {
    "date": "datetime.strptime(date_string, format) returns a datetime parsed from a string.",
    "capital": "Canberra is the capital city of Australia.",
    "sky": "Rayleigh scattering of sunlight by the air favours short wavelengths: blue.",
    "tides": "The Moon's gravity raises the oceans on either side of the Earth twice a day.",
}
QUERIES = {
    "date": "How do I parse a date from a string?",
    "capital": "capital of Australia",
    "sky": "Why is the sky blue?",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "few"
    folder.mkdir()

    def write(name, texts):
        rows = (json.dumps({"_id": key, "text": text}) for key, text in texts.items())
        (folder / name).write_text("\n".join(rows) + "\n")

    write("corpus.jsonl", PASSAGES)
    write("queries.jsonl", QUERIES)
    judgements = "".join(f"{key}\t{key}\t1\n" for key in QUERIES)
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + judgements)
    return folder


def run(*arguments: str):
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, [*arguments, "--threads", "1"])


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_both_precisions_find_what_answers(folder, precision):
    ran = run(str(folder), "--json", "--precision", precision)
    assert ran.exit_code == 0, ran.output
    (result,) = json.loads(ran.stdout)
    assert (result["num_documents"], result["num_queries"]) == (4, 3)
    assert result["first_pass"] == result["reranked"] == {"exact": 1.0, "lower": 1.0}
    assert result["holds"] is True
    # It is another precision that was measured, and not by far.
    assert 0 < result["largest_logit_difference"] < 1


def test_f32_beside_itself_differs_in_nothing(folder):
    ran = run(str(folder), "--json", "--precision", "f32", "--queries", "2", "--depth", "3")
    (result,) = json.loads(ran.stdout)
    assert result["num_queries"] == 2
    assert (result["kendall_tau"], result["largest_logit_difference"]) == (1.0, 0.0)


def test_a_table_says_whether_the_gate_holds(folder):
    ran = run(str(folder))
    assert "what int8 changes" in ran.stdout
    assert "holds" in ran.stdout
    assert all(len(line) <= 80 for line in ran.stdout.splitlines())


def test_the_command_fails_where_the_gate_does(folder, monkeypatch):
    comparison = sys.modules["twopass.evaluation.precision.comparison"]
    monkeypatch.setattr(comparison, "_ALLOWED_OF_FEW", -1.0)
    ran = run(str(folder), "--json")
    assert ran.exit_code == 1
    assert json.loads(ran.stdout)[0]["holds"] is False


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["/nowhere"], "/nowhere: there is no such folder or file"),
        (["--reranker", "all-MiniLM-L6-v2"], "an encoder, where a reranker is needed"),
        (["--encoder", "twopass-minilm-l6"], "a reranker, where an encoder is needed"),
        (["--encoder", "no-such-model"], "no folder of that name"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_sentence(folder, arguments, reason):
    folders = [] if arguments[0].startswith("/") else [str(folder)]
    ran = run(*folders, *arguments)
    assert ran.exit_code == 2
    assert reason in ran.stderr
    assert "Traceback" not in ran.output
