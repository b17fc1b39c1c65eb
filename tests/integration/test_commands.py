"""The command line, as a shell and as a script use it."""

import gzip
import json
from pathlib import Path

import pytest

from twopass.server.config import ServerConfig

from .command_line import answer, invoke
from .corpus import ENCODER, FACTS, RERANKER
from .serving import Server


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


def test_index_leaves_out_known_documents_or_ends_where_it_is_told_to(server, lines, tmp_path):
    command = ("index", "told", str(lines), "--target", server.target)
    answer(*command)
    progress = ("--resume", str(tmp_path / "progress.json"))
    again = answer(*command, "--on-conflict", "skip", "--chunk-size", "4", *progress)
    assert (again["num_replaced"], again["num_skipped"]) == (0, len(FACTS))
    ended = invoke(*command, "--on-conflict", "fail")
    assert ended.exit_code == 1
    assert "chunk 1: " in ended.stderr
    assert "'canberra'" in ended.stderr


def test_index_splits_documents_where_it_is_told_to(server, tmp_path):
    file = tmp_path / "long.jsonl"
    text = f"{FACTS['bread']} {FACTS['sky']} {FACTS['chess']}"
    file.write_text(json.dumps({"id": "long", "text": text}) + "\n")
    target = ("--target", server.target)
    assert answer("index", "in-windows", str(file), "--window-tokens", "20", *target)["num_split"]
    (best,) = answer("search", "in-windows", "blue sky", "--no-rerank", *target)["hits"]
    assert "sky is blue" in text[best["span"]["start"] : best["span"]["end"]]
    whole = ("--whole-documents", *target)
    assert answer("index", "not-in-windows", str(file), *whole)["num_split"] == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[1]", "a JSON array where an object is needed"),
        ("{", "not JSON"),
        ('{"text": "x"}', "no field 'id'"),
    ],
)
def test_a_bad_line_is_named(server, tmp_path, content, reason):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"id": "fine", "text": "x"}\n' + content + "\n")
    ended = invoke("index", "with-a-bad-line", str(file), "--target", server.target)
    assert ended.exit_code == 1
    message = " ".join(ended.stderr.split())
    assert "bad.jsonl:2" in message
    assert reason in message


def test_search_shows_where_each_hit_stood_before(server, facts):
    ended = invoke("search", facts, "blue sky", "-n", "2", "--target", server.target)
    assert ended.exit_code == 0
    assert "first pass" in ended.stdout
    assert "second pass" in ended.stdout
    alone = answer("search", facts, "blue sky", "--no-rerank", "--target", server.target)
    assert alone["rerank_status"] == "disabled"


def test_search_and_rerank_show_the_sentences_that_answer(server, facts, tmp_path):
    target = ("--target", server.target)
    (best,) = answer("search", facts, "blue sky", "-n", "1", "--spans", "--pruned", *target)["hits"]
    text = f"{best['title']} {best['text']}".strip()
    (span,) = best["spans"]
    assert text[span["start"] : span["end"]] == best["pruned_text"] == best["text"]
    told = invoke("search", facts, "blue sky", "-n", "1", "--highlight", *target)
    assert f"**{best['text']}**" in told.stdout
    passages = tmp_path / "passages.txt"
    passages.write_text("It rains. The sky is blue. Cats sleep.\n")
    told = invoke("rerank", "blue sky", str(passages), "--pruned", *target)
    assert "The sky is blue." in told.stdout
    assert "Cats" not in told.stdout
    refused = invoke("rerank", "blue sky", str(passages), "--pruned", "--spans", *target)
    assert refused.exit_code
    assert "--spans and --pruned: a table shows one of them" in refused.stderr


def test_search_finds_as_it_is_told(server, facts):
    def scores(mode: str) -> tuple[bool, bool]:
        found = answer("search", facts, "blue sky", "--mode", mode, "--target", server.target)
        hit = found["hits"][0]
        return hit["dense_score"] is not None, hit["lexical_score"] is not None

    assert scores("dense") == (True, False)
    assert scores("lexical") == (False, True)
    assert scores("hybrid") == (True, True)
    ended = invoke("search", facts, "blue sky", "--mode", "psychic", "--target", server.target)
    assert ended.exit_code == 2
    assert "--mode: 'psychic' given, one of dense, lexical, hybrid is needed" in ended.stderr


def test_search_considers_what_passes_its_filters(server, facts):
    chosen = ("--filter", "place>=2", "--filter", "place<5", "--target", server.target)
    found = answer("search", facts, "blue sky", *chosen)
    assert {hit["metadata"]["place"] for hit in found["hits"]} == {2, 3, 4}


def test_search_skips_the_first_and_bounds_words(server, facts):
    target = ("--target", server.target)
    found = [hit["id"] for hit in answer("search", facts, "blue sky", *target)["hits"]]
    page = answer("search", facts, "blue sky", "-n", "2", "--offset", "3", *target)["hits"]
    assert [hit["id"] for hit in page] == found[3:5]
    bounded = answer("search", facts, "", "--required", "the hive", *target)["hits"]
    assert [hit["id"] for hit in bounded] == []
    words = ("--required", "their hive", "--excluded", "sea", "--optional", "flowers")
    assert [hit["id"] for hit in answer("search", facts, "", *words, *target)["hits"]] == ["bees"]
    begun = answer("search", facts, "blue sky", "--prefix", "volc", *target)["hits"]
    assert [hit["id"] for hit in begun] == ["volcano"]


def test_rerank_orders_the_lines_of_standard_input(server):
    passages = "Grass is green.\n\nAir scatters blue light in the sky.\n"
    found = answer("rerank", "Why is the sky blue?", "--target", server.target, stdin=passages)
    assert [hit["index"] for hit in found["hits"]] == [1, 0]


def test_rerank_reads_passages_as_index_reads_text(server, tmp_path):
    file = tmp_path / "passages.txt"
    lines = ["Café au lait.", "One\u2028line \x0b of all."]
    for encoding, flags in (
        ("utf-8-sig", ()),
        ("utf-16", ()),
        ("cp1252", ("--encoding", "cp1252")),
    ):
        wanted = lines if encoding != "cp1252" else lines[:1]
        file.write_bytes("\r\n".join([*wanted, "", ""]).encode(encoding))
        found = answer("rerank", "coffee", str(file), *flags, "--target", server.target)
        assert sorted(hit["text"] for hit in found["hits"]) == wanted


def test_rerank_names_a_file_that_has_no_passages_and_why(tmp_path):
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"Tea.\nCaf\xe9.\n")
    for file, told in (
        (latin, f"{latin}:2: not UTF-8 (byte 0xE9); --encoding names another encoding"),
        (tmp_path / "none", "none: there is no such file; one is needed with a passage on each"),
        (tmp_path, f"{tmp_path}: Is a directory; a file is needed with a passage on each line"),
    ):
        ended = invoke("rerank", "coffee", str(file), "--target", "localhost:1")
        assert ended.exit_code == 1
        assert told in ended.stderr


def test_models_lists_what_the_server_holds(server):
    kinds = {m["id"]: m["kind"] for m in answer("models", "--target", server.target)}
    assert kinds == {ENCODER: "encoder", RERANKER: "reranker"}


def test_a_server_that_is_not_there_is_one_sentence():
    ended = invoke("models", "--target", "127.0.0.1:1")
    assert ended.exit_code == 3
    assert "is a server running at 127.0.0.1:1?" in ended.stderr
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


def test_a_snapshot_is_made_listed_restored_and_deleted(server, lines):
    target = ("--target", server.target)
    answer("index", "to-copy", str(lines), *target)
    (made,) = answer("snapshot", "create", "to-copy", "first", *target)
    assert (made["collection"], made["num_documents"]) == ("to-copy", len(FACTS))
    assert answer("snapshot", "list", "to-copy", *target) == [made]
    assert "first" in invoke("snapshot", "list", "to-copy", *target).stdout
    told = answer("snapshot", "restore", "to-copy", "first", "copied", *target)
    assert told == {"collection": "copied", "num_documents": len(FACTS)}
    found = answer("search", "copied", "blue sky", *target)
    assert found["hits"][0]["id"] == "sky"
    again = invoke("snapshot", "restore", "to-copy", "first", "copied", *target)
    assert again.exit_code == 1
    assert "collection 'copied' exists already" in " ".join(again.stderr.split())
    ended = invoke("snapshot", "delete", "to-copy", "first", *target)
    assert ended.exit_code == 2
    question = f"delete snapshot first of to-copy ({len(FACTS)} documents) for good? give --yes"
    assert question in " ".join(ended.stderr.split())
    assert answer("snapshot", "list", "to-copy", *target) == [made]
    assert invoke("snapshot", "delete", "to-copy", "first", "--yes", *target).exit_code == 0
    assert answer("snapshot", "list", "to-copy", *target) == []


def test_an_alias_is_made_listed_switched_and_removed(server, lines):
    target = ("--target", server.target)
    for name in ("aliased-1", "aliased-2"):
        answer("index", name, str(lines), *target)
    assert answer("alias", "by-alias", "aliased-1", *target)["by-alias"] == "aliased-1"
    assert answer("search", "by-alias", "blue sky", *target)["hits"][0]["id"] == "sky"
    assert answer("alias", "by-alias", "aliased-2", *target)["by-alias"] == "aliased-2"
    assert answer("alias", *target)["by-alias"] == "aliased-2"
    assert "by-alias" in invoke("alias", *target).stdout
    assert "by-alias" not in answer("alias", "by-alias", "--remove", *target)
    for wrong in (["by-alias"], ["by-alias", "aliased-1", "--remove"], ["--remove"]):
        assert invoke("alias", *wrong, *target).exit_code == 2
    refused = invoke("alias", "by-alias", "aliased-3", *target)
    assert refused.exit_code == 4
    assert "collection 'aliased-3' does not exist" in " ".join(refused.stderr.split())


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
        assert "asks for an API key: set TWOPASS_API_KEY" in " ".join(refused.stderr.split())
        monkeypatch.setenv("TWOPASS_API_KEY", "another")
        refused = invoke("models", "--target", closed.target)
        assert "does not know the API key in TWOPASS_API_KEY" in " ".join(refused.stderr.split())
        monkeypatch.setenv("TWOPASS_API_KEY", key)
        assert len(answer("models", "--target", closed.target)) == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--share", "weak"], "--share weak: PATTERN=SHARE is needed"),
        (["--share", "weak*=1.5"], "the share from 0 to 1"),
        ([], "pairs.jsonl:1: not a JSON object with query and positive"),
    ],
)
def test_training_names_what_is_wrong_before_it_begins(tmp_path, monkeypatch, arguments, reason):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"query": "no passage"}\n')
    ended = invoke("train", str(pairs), "--out", str(tmp_path / "run"), *arguments)
    assert ended.exit_code == 1
    assert reason in ended.stderr.replace("\n", " ")


def test_training_without_its_packages_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    ended = invoke("train", str(tmp_path / "pairs.jsonl"), "--out", str(tmp_path))
    assert ended.exit_code == 1
    told = " ".join(ended.stderr.split())
    assert "torch and transformers not installed: " in told
    assert "'torch>=" in told


def test_search_and_rerank_tell_that_a_question_was_cut(server, facts, tmp_path):
    file = tmp_path / "passages.txt"
    file.write_text("one\ntwo\n")
    question = "why is the sky blue " * 80
    for command in (("search", facts, question), ("rerank", question, str(file))):
        told = invoke(*command, "--target", server.target)
        assert told.exit_code == 0, told.stderr
        assert "longer than a model reads" in " ".join(told.stdout.split())
        told = invoke(*command, "--target", server.target, "--query-truncation", "reject")
        assert told.exit_code != 0
        assert "400 tokens" in told.stderr
