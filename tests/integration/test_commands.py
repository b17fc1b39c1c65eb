"""The command line, as a shell and as a script use it."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twopass.commands.main import app
from twopass.server.config import ServerConfig

from .corpus import FACTS
from .serving import Server


def invoke(*arguments: str, stdin: str | None = None):
    return CliRunner().invoke(app, arguments, input=stdin, env={"COLUMNS": "200"})


def answer(*arguments: str, stdin: str | None = None):
    ended = invoke(*arguments, "--json", stdin=stdin)
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture
def lines(tmp_path) -> Path:
    file = tmp_path / "facts.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as sink:
        for number, (name, text) in enumerate(FACTS.items()):
            sink.write(json.dumps({"id": name, "text": text, "number": number}) + "\n")
    return file


def test_index_makes_the_collection_and_keeps_other_fields_as_metadata(server, lines):
    told = answer("index", "by-command", str(lines), "--target", server.target)
    assert told["num_inserted"] == told["num_documents"] == len(FACTS)
    found = answer("search", "by-command", "blue sky", "--target", server.target)
    assert found["hits"][0]["id"] == "sky"
    assert found["hits"][0]["metadata"] == {"number": list(FACTS).index("sky")}
    again = answer("index", "by-command", str(lines), "--target", server.target)
    assert (again["num_inserted"], again["num_replaced"]) == (0, len(FACTS))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[1]", "a JSON list, an object is needed"),
        ("{", "not JSON"),
        ('{"text": "x"}', "no field 'id'"),
    ],
)
def test_a_bad_line_is_named(server, tmp_path, content, reason):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "fine", "text": "x"}\n' + content + "\n")
    ended = invoke("index", "by-command", str(file), "--target", server.target)
    assert ended.exit_code == 1
    message = " ".join(ended.stderr.split())
    assert "bad.jsonl:2" in message
    assert reason in message


def test_search_shows_where_each_hit_stood_before(server, facts):
    ended = invoke("search", facts, "blue sky", "-n", "2", "--target", server.target)
    assert ended.exit_code == 0
    assert "was" in ended.stdout
    assert "rerank" in ended.stdout
    alone = answer("search", facts, "blue sky", "--no-rerank", "--target", server.target)
    assert alone["rerank_status"] == "disabled"


def test_rerank_orders_the_lines_of_standard_input(server):
    passages = "Grass is green.\n\nAir scatters blue light in the sky.\n"
    found = answer("rerank", "Why is the sky blue?", "--target", server.target, stdin=passages)
    assert [hit["index"] for hit in found["hits"]] == [1, 0]


def test_models_lists_what_the_server_holds(server):
    kinds = {m["id"]: m["kind"] for m in answer("models", "--target", server.target)}
    assert kinds == {"all-MiniLM-L6-v2": "encoder", "twopass-minilm-l6": "reranker"}


def test_a_server_that_is_not_there_is_one_sentence():
    ended = invoke("models", "--target", "127.0.0.1:1")
    assert ended.exit_code == 1
    assert "127.0.0.1:1: UNAVAILABLE" in ended.stderr
    assert "Traceback" not in ended.output


def test_serve_has_a_flag_for_every_setting_and_prints_what_it_would_use():
    text = invoke("serve", "--help").stdout
    for name in ServerConfig.model_fields:
        assert f"--{name.replace('_', '-')}" in text
    shown = invoke("serve", "--max-documents", "7", "--show-config").stdout
    assert "max_documents = 7\n" in shown


def test_serve_names_a_setting_that_is_out_of_range():
    ended = invoke("serve", "--threads", "5000", "--show-config")
    assert ended.exit_code == 1
    assert "threads" in ended.stderr
    assert "5000" in ended.stderr


def test_eval_measures_a_test_collection_through_a_server_of_its_own(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    corpus = [json.dumps({"_id": name, "text": text}) for name, text in FACTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(corpus))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "why is the sky blue"}\n')
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\tsky\t1\n")
    (measured,) = answer("eval", str(folder), "--depth", "5")
    assert measured["num_documents"] == len(FACTS)
    assert measured["first_pass"] == measured["blended"] == 1.0


def test_a_setting_that_is_yes_or_no_is_a_flag_for_either():
    shown = invoke("serve", "--insecure", "--no-open-health", "--show-config").stdout
    assert "insecure = true\n" in shown
    assert "open_health = false\n" in shown


def test_the_key_of_the_environment_is_sent(tmp_path, monkeypatch):
    file = tmp_path / "keys.toml"
    key = invoke("keys", "me", "--file", str(file)).stdout.strip()
    with Server(tmp_path / "data", keys=str(file)) as closed:
        refused = invoke("models", "--target", closed.target)
        assert refused.exit_code == 1
        assert "UNAUTHENTICATED" in refused.stderr
        monkeypatch.setenv("TWOPASS_API_KEY", key)
        assert len(answer("models", "--target", closed.target)) == 2
