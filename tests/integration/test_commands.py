"""The command line, as a shell and as a script use it."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from twopass.client import Chunking, Client, Document, Schema
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


@pytest.fixture
def test_collection(tmp_path) -> Path:
    """A test collection of one query."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    corpus = [json.dumps({"_id": name, "text": text}) for name, text in FACTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(corpus))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "why is the sky blue"}\n')
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\tsky\t1\n")
    return folder


def test_eval_measures_every_mode_and_depth_through_a_server_of_its_own(test_collection):
    measured = answer("eval", str(test_collection), "--depth", "5", "--depth", "2")
    assert [result["mode"] for result in measured] == ["dense", "lexical", "hybrid"]
    for result in measured:
        assert result["num_documents"] == len(FACTS)
        assert result["first_pass"]["ndcg"] == result["reranker"]["mrr"] == 1.0
        assert {depth: q["ndcg"] for depth, q in result["reranked"].items()} == {"2": 1.0, "5": 1.0}


@pytest.mark.slow
def test_eval_compares_fusions_and_shows_tables(test_collection, tmp_path):
    keep = ("--data", str(tmp_path / "kept"))
    compared = answer("eval", str(test_collection), "--fusions", *keep)
    assert compared["tiny"]["convex 0.5"] == 1.0
    ended = invoke("eval", str(test_collection), "--no-rerank", *keep)
    assert ended.exit_code == 0, ended.stderr
    for row in ("dense", "lexical", "hybrid", "mean"):
        assert row in ended.stdout
    assert "logits alone" not in ended.stdout


@pytest.mark.slow
def test_eval_compares_blends_and_leaves_runs(test_collection, tmp_path):
    keep = ("--data", str(tmp_path / "kept"))
    compared = answer("eval", str(test_collection), "--blends", "--depth", "3", *keep)
    assert list(compared["tiny"]) == [f"{tenths / 10:g}" for tenths in range(11)]
    assert compared["tiny"]["1"] == 1.0
    ended = invoke("eval", str(test_collection), "--depth", "3", "--runs", str(tmp_path), *keep)
    assert ended.exit_code == 0, ended.stderr
    assert "logits alone" in ended.stdout
    for mode in ("dense", "lexical", "hybrid"):
        first = (tmp_path / f"tiny.{mode}.trec").read_text().splitlines()[0]
        assert first == f"q Q0 sky 1 1.000000 {mode}"


def judged(tmp_path, *lines):
    file = tmp_path / "judgements.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def test_eval_measures_a_running_server_by_the_judgements_that_the_page_saves(
    server, facts, tmp_path
):
    query = "What colour is the sky?"
    best = answer("search", facts, query, "--target", server.target)["hits"][0]["id"]
    file = judged(
        tmp_path,
        {"collection": facts, "query": query, "judgements": {best: 1}},
        {"collection": facts, "query": "nobody knows", "judgements": {best: 0}},
    )
    ended = invoke("eval", file, "--target", server.target, "--json")
    assert ended.exit_code == 0, ended.stderr
    measured = json.loads(ended.stdout)
    assert [result["mode"] for result in measured] == ["dense", "lexical", "hybrid"]
    assert measured[2]["reranked"]["50"]["ndcg"] == 1.0
    assert {(r["dataset"], r["num_documents"], r["num_queries"]) for r in measured} == {
        (facts, len(FACTS), 1)
    }
    assert "relevant: 1 of the queries" in ended.stderr
    assert "the others count as irrelevant" in ended.stderr
    assert "hybrid: 100% of the pairs were scored before" in ended.stderr  # by the modes before


def test_eval_measures_nothing_where_a_collection_of_the_judgements_is_missing(
    server, facts, tmp_path
):
    lines = [{"collection": each, "query": "sky", "judgements": {"a": 1}} for each in (facts, "no")]
    ended = invoke("eval", judged(tmp_path, *lines), "--target", server.target)
    assert ended.exit_code == 4
    assert ended.stderr.startswith("error: collection 'no' does not exist")


def test_eval_refuses_what_means_nothing_for_a_collection_that_is_indexed(tmp_path):
    file = judged(tmp_path, {"collection": "docs", "query": "sky", "judgements": {"a": 1}})
    for flags, told in (
        (("--fusions",), "--fusions"),
        (("--heads", "--language", "en"), "--heads, --language"),
        (("--data", str(tmp_path)), "--data"),
        (("--store", "postgresql://host/database"), "--store"),
        ((str(tmp_path),), "not both"),
    ):
        ended = invoke("eval", file, *flags)
        assert ended.exit_code == 1
        assert told in ended.stderr
    kept = ("--data", str(tmp_path), "--store", "postgresql://host/database")
    ended = invoke("eval", str(tmp_path), *kept)
    assert ended.exit_code == 1
    assert "--data or --store, not both" in ended.stderr
    ended = invoke("eval", str(tmp_path / "judgements"))
    assert ended.exit_code == 1
    assert "judgements: there is no such folder or file" in ended.stderr
    ended = invoke("eval", str(tmp_path / "judgements.jsonl"), "--target", "localhost:1")
    assert ended.exit_code == 3
    assert "localhost:1" in ended.stderr


@pytest.mark.parametrize(
    ("kind", "flag", "low", "high"),
    [("IVF8,Flat", "--nprobe", 1, 8), ("HNSW4", "--ef-search", 1, 300), ("Flat", "", 0, 0)],
)
def test_recall_is_measured_against_an_exact_search(tmp_path, kind, flag, low, high):
    vectors = np.random.default_rng(0).standard_normal((400, 24)).astype(np.float32)
    with Server(tmp_path, merge_changes=400) as server, Client(server.target) as client:
        schema = Schema(client_vectors=True, dimension=24, index_kind=kind)
        client.create_collection("vectors", schema)
        documents = (Document(str(i), "x", vector=v) for i, v in enumerate(vectors))
        client.upsert("vectors", documents, chunk_size=400)
        server.wait_for_merge("vectors")
        flags = [flag, str(low), flag, str(high)] if flag else []
        told = answer("recall", "vectors", "--queries", "100", *flags, "--target", server.target)
        if not flag:
            (told_low, told_high) = (None, told[0])
        else:
            told_low, told_high = told
            assert told_low["setting"].endswith(f"={low}")
            assert told_low["recall"] < 0.9
        assert told_high["recall"] >= 0.99
        assert told_high["median_ms"] > 0


def test_recall_says_what_it_can_not_measure(server):
    with Client(server.target) as client:
        for name, said in (
            ("no-documents", "over 10 are needed"),
            ("recall-in-windows", "1 of its documents are split"),
        ):
            client.create_collection(name, Schema(chunking=Chunking(32)))
            if name == "recall-in-windows":
                client.upsert(name, [Document("long", "many words " * 30)])
            ended = invoke("recall", name, "--target", server.target)
            client.delete_collection(name)
            assert ended.exit_code == 1
            assert said in " ".join(ended.stderr.split())


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


def test_the_frontier_has_every_way_of_searching(test_collection):
    measured = answer("frontier", str(test_collection), "--depth", "2", "--depth", "3")
    assert [(p["way"]["mode"], p["way"]["depth"], p["way"]["reranker"]) for p in measured] == [
        ("lexical", 3, None),
        ("dense", 3, None),
        ("hybrid", 3, None),
        ("hybrid", 2, RERANKER),
        ("hybrid", 3, RERANKER),
    ]
    assert all(p["ndcg"] == 1.0 and p["milliseconds"] > 0 for p in measured)


def test_choose_reads_each_set_once_by_each_reranker_and_tells_both_halves(tmp_path):
    folders = []
    for kind in ("like", "unlike"):
        folder = tmp_path / kind
        folder.mkdir()
        folders.append(str(folder))
        corpus = [json.dumps({"_id": name, "text": text}) for name, text in FACTS.items()]
        (folder / "corpus.jsonl").write_text("\n".join(corpus))
        queries = [json.dumps({"_id": f"q{n}", "text": "why is the sky blue"}) for n in range(8)]
        (folder / "queries.jsonl").write_text("\n".join(queries))
        judged = "".join(f"q{n}\tsky\t1\n" for n in range(8))
        (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    command = (
        *("choose", folders[0], "--other", folders[1], "--depth", "3"),
        *("--reranker", "twopass-minilm-l6", "--reranker", "twopass-minilm-l3"),
        *("--data", str(tmp_path / "kept")),
    )
    measured = answer(*command)
    assert list(measured["development"]) == ["twopass-minilm-l6", "twopass-minilm-l3"]
    assert measured["development"]["twopass-minilm-l3"]["1"] == {
        "like": 1.0, "unlike": 1.0, "mean, trained": 1.0, "mean, other": 1.0, "mean of kinds": 1.0
    }  # fmt: skip
    assert [(r["reranker"], r["against"]) for r in measured["held_out"]] == [
        ("twopass-minilm-l6", "hybrid alone"),
        ("twopass-minilm-l3", "hybrid alone"),
        ("twopass-minilm-l3", "twopass-minilm-l6"),
    ]
    kept = sorted((tmp_path / "kept" / "candidates").iterdir())
    assert len(kept) == 4
    times = [file.stat().st_mtime_ns for file in kept]
    table = invoke(*command)
    assert table.exit_code == 0, table.stderr
    assert "mean of kinds" in table.stdout
    assert [file.stat().st_mtime_ns for file in kept] == times


def test_a_query_that_is_too_long_is_cut_and_counted_instead_of_ending_the_evaluation(
    test_collection,
):
    long = json.dumps({"_id": "q", "text": "why is the sky blue " * 1_000})  # over max_query_bytes
    (test_collection / "queries.jsonl").write_text(long)
    ended = invoke("eval", str(test_collection), "--mode", "hybrid", "--depth", "2", "--json")
    assert ended.exit_code == 0, ended.stderr
    assert json.loads(ended.stdout)[0]["first_pass"]["ndcg"] == 1.0
    assert json.loads(ended.stdout)[0]["num_queries_cut"] == 1
    assert "tiny, hybrid: 1 of 1 queries are longer than a model reads" in ended.stderr
    table = invoke("eval", str(test_collection), "--mode", "lexical", "--no-rerank")
    assert "cut" not in table.stdout + table.stderr  # words are searched for whole


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


def test_eval_measures_the_modes_that_are_asked_for(test_collection):
    measured = answer("eval", str(test_collection), "--mode", "lexical", "--no-rerank")
    assert [result["mode"] for result in measured] == ["lexical"]


def test_eval_removes_the_endings_of_the_language_that_is_named(test_collection, tmp_path):
    (test_collection / "queries.jsonl").write_text('{"_id": "q", "text": "skies"}\n')
    by_words = ("eval", str(test_collection), "--mode", "lexical", "--no-rerank")
    keep = ("--data", str(tmp_path / "kept"))
    ndcg = [
        answer(*by_words, *keep, *language)[0]["first_pass"]["ndcg"]
        for language in (("--language", "none"), (), ("--language", "none"))
    ]
    assert ndcg == [0.0, 1.0, 0.0]
